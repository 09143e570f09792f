"""DMAGNet against the paper's Table 1, finite differences and a naive re-statement of one block."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from galaxylib import DMAGNet, GalaxyError
from galaxylib.networks.dmagnet import STAGES, DMABlock, count_parameters

TABLE_1 = {
    "stem": 9_536,
    "dma1": 768_704,
    "dma2": 1_375_040,
    "dma3": 11_922_176,
    "lam": 7_343_104,
    "head": 2_402_251,
}
# Per block: shortcut, first norm, 3x3 convolution and its norm, DLK, MS-FFN, AFF.
BLOCKS = {
    "dma1.0": (8_448, 128, 73_728 + 256, 51_744, 209_152, 8_192),
    "dma1.1": (0, 256, 147_456 + 256, 51_744, 209_152, 8_192),
    "dma2": (33_280, 256, 294_912 + 512, 201_792, 811_520, 32_768),
    "dma3.0": (132_096, 512, 1_179_648 + 1_024, 796_800, 3_195_904, 131_072),
    "dma3.1": (0, 1_024, 2_359_296 + 1_024, 796_800, 3_195_904, 131_072),
}


@pytest.fixture(scope="module")
def paper() -> DMAGNet:
    torch.manual_seed(0)
    return DMAGNet().eval()


def small(**options) -> DMAGNet:
    torch.manual_seed(1)
    return DMAGNet(width=0.125, **options)


def test_counts_of_table_1(paper):
    assert {stage: count_parameters(getattr(paper, stage)) for stage in STAGES} == TABLE_1
    assert count_parameters(paper) == 23_820_811
    assert len(list(paper.parameters())) == 256
    assert sum(buffer.numel() for buffer in paper.buffers()) == 63_816


@pytest.mark.parametrize("name", BLOCKS)
def test_counts_inside_a_block(paper, name):
    block = paper.get_submodule(name)
    parts = (block.shortcut, block.norm, block.conv, block.dlk, block.ffn, block.aff)
    assert tuple(count_parameters(part) for part in parts) == BLOCKS[name]


@pytest.mark.parametrize(
    ("size", "shapes"),
    [
        (256, [(64, 64, 64), (128, 32, 32), (256, 16, 16), (512, 8, 8), (1024, 8, 8)]),  # section 4
        (512, [(64, 128, 128), (128, 64, 64), (256, 32, 32), (512, 16, 16), (1024, 16, 16)]),  # Table 1
    ],
)
def test_shapes_of_prose_and_table(paper, size, shapes):
    seen, x = [], torch.zeros(1, 3, size, size)
    with torch.no_grad():
        for stage in STAGES[:-1]:
            x = getattr(paper, stage)(x)
            seen.append(tuple(x.shape[1:]))
        assert paper.head(x).shape == (1, 10)
    assert seen == shapes


@pytest.mark.parametrize("size", [(32, 32), (33, 70), (69, 44), (128, 96)])
def test_any_size_from_32_works(size):
    network = small().eval()
    features = network.forward_features(torch.zeros(2, 3, *size))
    assert features.shape == (2, 128, -(-size[0] // 32), -(-size[1] // 32))
    assert network(torch.zeros(2, 3, *size)).shape == (2, 10)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((3, 64, 64), "N, 3, height, width"),
        ((1, 4, 64, 64), "N, 3, height, width"),
        ((1, 3, 31, 64), "31 x 64"),
        ((1, 3, 64, 9000), "resize"),
    ],
)
def test_impossible_images_are_refused(shape, words):
    with pytest.raises(GalaxyError, match=words):
        small()(torch.zeros(shape))


@pytest.mark.parametrize("options", [{"classes": 0}, {"width": 0.0}, {"width": 9}, {"dropout": 1.0}])
def test_impossible_settings_are_refused(options):
    with pytest.raises(GalaxyError, match="DMAGNet"):
        DMAGNet(**options)


def test_gradient_equals_finite_differences():
    network = small().double().eval()
    image = torch.rand(1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    weights = torch.linspace(-1, 1, 10, dtype=torch.float64)

    def value(pixels):
        return (network(pixels) * weights).sum()

    x = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(x), x)
    for channel, row, column in [(0, 3, 4), (1, 16, 16), (2, 30, 1)]:
        step = torch.zeros_like(image)
        step[0, channel, row, column] = 1e-5
        difference = (value(image + step) - value(image - step)).item() / 2e-5
        assert gradient[0, channel, row, column].item() == pytest.approx(difference, rel=1e-5, abs=1e-12)


def naive_norm(x, norm: nn.BatchNorm2d):
    def column(values):
        return values.view(1, -1, 1, 1)

    scaled = (x - column(norm.running_mean)) / torch.sqrt(column(norm.running_var) + 1e-5)
    return scaled * column(norm.weight) + column(norm.bias)


def naive_block(x, block: DMABlock):
    """The block written out: `dlk`, `ffn` and `aff` as equations on the block's own weights."""
    channels = block.dlk.large[-1].num_features

    def weight(module, name):
        return module.get_submodule(name).weight

    y = torch.relu(naive_norm(x, block.norm[0]))
    y = torch.relu(naive_norm(F.conv2d(y, weight(block, "conv.0"), stride=2, padding=1), block.conv[1]))

    branches = []
    for branch, kernel in ((block.dlk.large, 5), (block.dlk.medium, 3), (block.dlk.small, None)):
        z = torch.relu(naive_norm(F.conv2d(y, weight(branch, "0.0")), branch[0][1]))
        if kernel is not None:
            # A depthwise convolution, one channel at a time.
            kernels, pad = weight(branch, "1.0"), kernel // 2
            z = torch.cat(
                [F.conv2d(z[:, [c]], kernels[[c]], padding=pad) for c in range(channels // 4)], dim=1
            )
            z = torch.relu(naive_norm(z, branch[1][1]))
        branches.append(naive_norm(F.conv2d(z, branch[-2].weight), branch[-1]))
    means = torch.cat([branch.mean(dim=(2, 3)) for branch in branches], dim=1)
    first, second = block.dlk.selector[1], block.dlk.selector[3]
    hidden = torch.relu(means @ first.weight[:, :, 0, 0].T + first.bias)
    gates = torch.sigmoid(hidden @ second.weight[:, :, 0, 0].T + second.bias)
    for number, branch in enumerate(branches):
        y = y + gates[:, number * channels : (number + 1) * channels, None, None] * branch

    wide = torch.relu(naive_norm(F.conv2d(y, weight(block.ffn, "expand.0")), block.ffn.expand[1]))
    near = F.conv2d(wide, block.ffn.near.weight, padding=1, groups=4 * channels)
    far = F.conv2d(wide, block.ffn.far.weight, padding=2, dilation=2, groups=4 * channels)
    both = torch.relu(naive_norm(torch.cat([near, far], dim=1), block.ffn.norm[0]))
    y = y + naive_norm(F.conv2d(both, weight(block.ffn, "project.0")), block.ffn.project[1])

    squeezed = torch.relu(y.mean(dim=(2, 3)) @ block.aff.gate[1].weight[:, :, 0, 0].T)
    gate = torch.sigmoid(squeezed @ block.aff.gate[3].weight[:, :, 0, 0].T)
    y = y + y * gate[:, :, None, None]

    return y + naive_norm(F.conv2d(x, weight(block, "shortcut.0"), stride=2), block.shortcut[1])


def test_block_equals_its_equations():
    torch.manual_seed(3)
    block = DMABlock(8, 16, stride=2).double().eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight.data, module.bias.data, module.running_mean):
                values.normal_(1, 0.5)
            module.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 8, 12, 12, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(block(x), naive_block(x, block), rtol=1e-12, atol=1e-12)


def test_train_and_eval_mode_differ_as_they_must():
    network = small()
    x = torch.randn(4, 3, 64, 64)
    network.eval()
    assert torch.equal(network(x), network(x))
    network.train()
    before = network.dma2.norm[0].running_mean.clone()
    first, second = network(x), network(x)
    assert not torch.equal(first, second), "dropout must be at work"
    assert not torch.equal(before, network.dma2.norm[0].running_mean), "BatchNorm must learn its statistics"


def test_width_scales_parameters():
    counts = [count_parameters(DMAGNet(width=width)) for width in (0.125, 0.25, 0.5)]
    assert counts == sorted(counts)
    assert counts[1] < 23_820_811 / 12
