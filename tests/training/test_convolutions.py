"""The quick gradient is the gradient."""

import pytest
import torch
from torch import nn

from galaxylib import DMAGNet
from galaxylib.training import convolutions
from galaxylib.training.convolutions import QuickDense, QuickDepthwise, quicken, sub_grids


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (5, 1), (3, 2), (3, 3)])
@pytest.mark.parametrize("size", [(12, 12), (6, 8), (7, 5), (4, 2)])
@pytest.mark.parametrize("bias", [False, True])
def test_gradients_are_those_of_autograd(layout, kernel, dilation, size, bias):
    torch.manual_seed(0)
    usual = nn.Conv2d(
        6, 6, kernel, padding=dilation * (kernel - 1) // 2, dilation=dilation, groups=6, bias=bias
    ).double()
    quick = QuickDepthwise.sharing(usual)
    x = torch.randn(3, 6, *size, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    push = torch.randn(3, 6, *size, dtype=torch.float64)
    found = []
    for layer in (usual, quick):
        inputs = [x, *usual.parameters()]
        y = layer(x)
        found.append([y, *torch.autograd.grad(y, inputs, push)])
    for expected, got in zip(*found, strict=True):
        assert torch.allclose(expected, got, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2), ((3, 5), 1), (7, 3)])
@pytest.mark.parametrize("size", [(8, 8), (9, 6), (40, 40)])
@pytest.mark.parametrize("bias", [False, True])
def test_dense_gradients_are_those_of_autograd(layout, kernel, stride, size, bias, monkeypatch):
    monkeypatch.setattr(convolutions, "MANY", 0)
    torch.manual_seed(3)
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (height // 2, width // 2)
    usual = nn.Conv2d(4, 6, (height, width), stride, padding, bias=bias).double()
    network = nn.Sequential(usual)
    assert quicken(network) == 1
    assert isinstance(network[0], QuickDense)
    x = torch.randn(3, 4, *size, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    inputs, found = [x, *usual.parameters()], []
    for layer in (usual, network[0]):
        y = layer(x)
        found.append([y, *torch.autograd.grad(y, inputs, torch.ones_like(y).cumsum(3))])
    for expected, got in zip(*found, strict=True):
        assert torch.allclose(expected, got, rtol=1e-10, atol=1e-12)


def test_sub_grids_by_slicing():
    x = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6)
    expected = torch.cat([x[:, :, i::2, j::2] for i in range(2) for j in range(2)])
    assert torch.equal(sub_grids(x, 2), expected)


def test_a_whole_network_keeps_its_names_values_and_gradients(monkeypatch):
    monkeypatch.setattr(convolutions, "MANY", 0)
    torch.manual_seed(1)
    network = DMAGNet(width=0.125).double().eval()
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    expected = torch.autograd.grad(network(x).square().sum(), list(network.parameters()))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert quicken(network) == sum(isinstance(module, nn.Conv2d) for module in network.modules())
    assert quicken(network) == 0
    assert list(before) == list(network.state_dict())
    # In each of five blocks: two branches of the DLK and two scales of the MS-FFN.
    assert sum(isinstance(module, QuickDepthwise) for module in network.modules()) == 20
    for one, other in zip(
        expected, torch.autograd.grad(network(x).square().sum(), list(network.parameters())), strict=True
    ):
        assert torch.allclose(one, other, rtol=1e-8, atol=1e-12)


def test_under_autocast_it_computes_in_bfloat16():
    torch.manual_seed(2)
    usual = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, bias=False)
    quick = QuickDepthwise.sharing(usual)
    x = torch.randn(4, 8, 16, 16).contiguous(memory_format=torch.channels_last).requires_grad_()
    found = []
    for layer in (usual, quick):
        with torch.autocast("cpu", torch.bfloat16):
            y = layer(x)
        assert y.dtype == torch.bfloat16
        found.append(torch.autograd.grad(y.float().square().sum(), [x, usual.weight]))
    for one, other in zip(*found, strict=True):
        assert other.dtype == torch.float32
        assert torch.allclose(one, other, rtol=0.05, atol=0.05 * float(one.abs().max()))


def test_other_convolutions_are_left_alone(monkeypatch):
    assert quicken(nn.Sequential(nn.Conv2d(64, 64, 3, padding=1))) == 0  # too few weights
    monkeypatch.setattr(convolutions, "MANY", 0)
    layers = [
        nn.Conv2d(8, 8, 3),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2),
        nn.Conv2d(8, 8, 4, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, stride=(1, 2)),
        nn.Conv2d(8, 16, 3, padding=1, groups=8),
        nn.Conv2d(8, 8, 3, padding=1, stride=2, groups=8),
        nn.Conv2d(8, 8, 4, padding=1, groups=8),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, padding_mode="circular"),
    ]
    assert quicken(nn.Sequential(*layers)) == 0
