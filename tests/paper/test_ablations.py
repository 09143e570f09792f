"""DMAGNet without its parts: what is left out is gone, and nothing else."""

import pytest
import torch

from galaxylib.networks.dmagnet import DMABlock, DMAGNet, count_parameters
from galaxylib.paper.ablations import PARTS, Open, WithParts

SMALL = {"width": 0.125}
CHANNELS = (16, 16, 32, 64, 64)
"""Of the five blocks at this width."""
GONE = {
    "dlk": sum(3 * c * c + 20.25 * c for c in CHANNELS),
    "ms_ffn": sum(12 * c * c + 98 * c for c in CHANNELS),
    "aff": sum(c * c / 2 for c in CHANNELS),
    "lam_attention": 64 * 64,
    "weighted_pooling": 32 * 4 + 4 + 4 + 1,
}
"""The parameters of each part by the printed formulas of its docstring."""


def built(**options):
    torch.manual_seed(3)
    return WithParts(**SMALL, **options).eval()


def test_nothing_left_out_is_dmagnet():
    torch.manual_seed(3)
    whole, image = DMAGNet(**SMALL).eval(), torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(built()(image), whole(image), rtol=0, atol=0)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_takes_its_own_parameters_along(part):
    whole, without = built(), built(**{part: False})
    assert count_parameters(whole) - count_parameters(without) == GONE[part]
    shared = set(dict(whole.named_parameters())) & set(dict(without.named_parameters()))
    for name in shared:  # the same first weights
        torch.testing.assert_close(without.get_parameter(name), whole.get_parameter(name), rtol=0, atol=0)
    image = torch.rand(2, 3, 64, 64)
    assert not torch.equal(without(image), whole(image))


def test_plain_pooling_is_the_mean_over_the_pixels():
    network, features = built(weighted_pooling=False), torch.rand(2, 128, 3, 3)
    head = network.head
    expected = head.classify(head.reduce(features).mean(dim=(2, 3)))
    torch.testing.assert_close(head(features), expected)


def test_an_open_gate_is_one_everywhere():
    x = torch.randn(2, 5, 3, 4)
    assert torch.equal(Open()(x), torch.ones(2, 5, 3, 4))
    assert torch.equal(Open(1)(x), torch.ones(2, 1, 3, 4))


def test_blocks_without_dlk_pass_their_input_on():
    block = next(m for m in built(dlk=False).modules() if isinstance(m, DMABlock))
    x = torch.rand(1, 16, 4, 4)
    assert block.dlk(x) is x
