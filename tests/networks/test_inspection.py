"""What is read off a network, against hand counts and receptive fields known in closed form."""

import pytest
import torch
from torch import nn

from galaxylib import DMAGNet
from galaxylib.networks.dmagnet import STAGES
from galaxylib.networks.inspection import draw, reach, stage_outputs, stage_table

# Forward GFLOP of the paper's network for one image of 256 x 256, counted by hand from the layers' shapes.
GFLOP_256 = {"stem": 0.308, "dma1": 1.418, "dma2": 0.632, "dma3": 1.388, "lam": 0.940, "head": 0.303}


@pytest.fixture(scope="module")
def network() -> DMAGNet:
    return DMAGNet()


def test_arithmetic_of_the_paper(network):
    table = stage_table(network).set_index("stage")
    assert (table["flop"] / 1e9).round(3).to_dict() == pytest.approx(GFLOP_256, abs=0.0011)
    assert table["flop"].sum() / 1e9 == pytest.approx(4.989, abs=0.001)


def test_one_convolution_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=False))
    row = stage_table(net, size=32, stages=("0",)).iloc[0]
    assert row["flop"] == 2 * 3 * 5 * 9 * 32 * 32
    assert (row["parameters"], row["output"]) == (135, "5 x 32 x 32")


def test_nothing_stays_behind(network):
    network.train()
    network.head.eval()
    stage_outputs(network, torch.zeros(1, 3, 64, 64))
    assert network.training
    assert network.dma1.training
    assert not network.head.training
    assert not any(module._forward_hooks for module in network.modules())


def test_reach_of_one_kernel_is_its_size():
    net = nn.Sequential(nn.Conv2d(3, 4, 9, padding=4, bias=False))
    nn.init.ones_(net[0].weight)
    # The corner of a 9 x 9 kernel lies 4 sqrt(2) from its middle.
    assert reach(net, "0", size=33, share=1.0) == pytest.approx(8 * 2**0.5, abs=1e-3)
    assert reach(net, "0", size=33, share=0.5) < 8


@pytest.mark.slow
def test_reach_grows_with_depth(network):
    widths = [reach(network, stage, size=128, images=2) for stage in STAGES[:-1]]
    assert widths == sorted(widths)


def test_drawing_names_every_stage(network):
    words = " ".join(text.get_text() for text in draw(network).axes[0].texts)
    assert all(stage in words for stage in STAGES)
    assert "2,402,251" in words
