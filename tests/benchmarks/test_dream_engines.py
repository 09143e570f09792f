"""What the benchmark of a dream's step compares computes the same."""

import itertools

import pytest
import torch

from benchmarks.dream_engines import ENGINES, engine, folded, until
from benchmarks.dreaming import network


@pytest.mark.parametrize("name", [name for name in ENGINES if not name.endswith("compiled")])
def test_every_engine_gives_what_the_network_gives(name):
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = until(network(), "dma2")(images)
        found = engine(name, "dma2", torch.float32)(images)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


def test_folding_leaves_no_batch_norm_behind_a_convolution():
    model = folded(until(network(), "dma1"))
    for module in model.modules():
        if isinstance(module, torch.nn.Sequential):
            kinds = [type(child).__name__ for child in module]
            assert ("Conv2d", "BatchNorm2d") not in itertools.pairwise(kinds)
