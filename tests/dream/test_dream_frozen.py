"""Frozen layers: outputs and gradients of the layers that they stand for, and nothing kept when they go."""

import gc
import weakref

import pytest
import torch
from torch import nn

from galaxylib import DMAGNet
from galaxylib.dream import frozen_layers
from galaxylib.dream.forward import Tap
from galaxylib.dream.frozen import freeze
from galaxylib.dream.frozen_layers import FrozenConv, ScaleShift


def normed(channels: int) -> nn.BatchNorm2d:
    """A BatchNorm in evaluation that has met data."""
    norm = nn.BatchNorm2d(channels).eval()
    for tensor in (norm.running_mean, norm.weight.data, norm.bias.data):
        tensor.normal_()
    norm.running_var.uniform_(0.5, 2)
    return norm


@pytest.fixture(scope="module")
def network() -> DMAGNet:
    torch.manual_seed(0)
    network = DMAGNet(width=0.125)
    network.train()
    with torch.no_grad():
        network(torch.randn(8, 3, 64, 64))
    return network.eval()


@pytest.mark.parametrize("large", [0, 2**18], ids=["apart", "folded"])
@pytest.mark.parametrize("way", ["onednn", "plain"])
@pytest.mark.parametrize(
    ("inputs", "outputs", "options"),
    [
        (3, 8, {"kernel_size": 7, "stride": 2, "padding": 3}),
        (3, 8, {"kernel_size": 11, "stride": 4, "padding": 2}),
        (3, 8, {"kernel_size": (4, 5), "stride": 3}),
        (1, 8, {"kernel_size": 2, "stride": 2, "padding": 1}),
        (3, 8, {"kernel_size": 5, "bias": False}),
        (16, 8, {"kernel_size": 1}),
        (16, 8, {"kernel_size": 1, "padding": 1}),
        (16, 8, {"kernel_size": 3, "padding": 1}),
        (16, 8, {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"}),
        (16, 8, {"kernel_size": 3, "padding": "same"}),
        (16, 24, {"kernel_size": 3, "stride": 2, "padding": 1}),
        (16, 24, {"kernel_size": 3, "stride": (1, 2), "dilation": 2}),
        (16, 16, {"kernel_size": 3, "padding": 2, "dilation": 2, "groups": 16}),
        (16, 16, {"kernel_size": 3, "stride": 2, "padding": 1, "groups": 16}),
        (8, 16, {"kernel_size": (3, 5), "groups": 4}),
    ],
    ids=str,
)
def test_output_and_gradient_are_those_of_the_layers(monkeypatch, large, way, inputs, outputs, options):
    monkeypatch.setattr(frozen_layers, "LARGE", large)
    if way == "plain":
        monkeypatch.setattr(frozen_layers, "_onednn", lambda x: False)
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(inputs, outputs, **options), normed(outputs)
    for shape in ((2, inputs, 32, 37), (1, inputs, 33, 32)):  # one layer, another shape
        x = torch.randn(shape, requires_grad=True)
        for plain, quick in (
            (conv, FrozenConv(conv)),
            (nn.Sequential(conv, norm, nn.ReLU()), FrozenConv(conv, norm, relu=True)),
        ):
            for _ in range(2):
                expected, found = plain(x), quick(x)
                torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
                weight = torch.randn_like(expected)
                wanted, given = (torch.autograd.grad((y * weight).sum(), x)[0] for y in (expected, found))
                torch.testing.assert_close(given, wanted, atol=2e-5, rtol=1e-5)


def test_scale_and_shift_are_the_batchnorm():
    norm, x = normed(6), torch.randn(2, 6, 5, 5, requires_grad=True)
    for relu in (False, True):
        expected, found = norm(x).relu() if relu else norm(x), ScaleShift(norm, relu=relu)(x)
        torch.testing.assert_close(found, expected)
        weight = torch.randn_like(expected)
        wanted, given = (torch.autograd.grad((y * weight).sum(), x)[0] for y in (expected, found))
        torch.testing.assert_close(given, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["stem", "dma1", "dma2", "dma3", "lam", ""])
def test_a_tap_gives_dmagnets_own_gradient(network, stage):
    x = torch.randn(2, 3, 64, 96, requires_grad=True)
    kept = []
    handle = network.get_submodule(stage).register_forward_hook(lambda m, i, output: kept.append(output))
    network(x)
    handle.remove()
    (wanted,) = torch.autograd.grad(kept[0].square().mean(), x)
    found = Tap(network, [stage])(x)[stage]
    torch.testing.assert_close(found, kept[0], atol=1e-5, rtol=1e-4)
    (given,) = torch.autograd.grad(found.square().mean(), x)
    assert float((given - wanted).norm() / wanted.norm()) < 1e-5
    short = Tap(network, [stage], precision=torch.bfloat16)(x)[stage].detach()
    assert short.dtype == torch.float32
    assert float((short - kept[0].detach()).norm() / kept[0].detach().norm()) < 0.05


@pytest.mark.slow
def test_what_somebody_listens_to_is_left_alone(network):
    names = [name for name, module in network.named_modules() if not list(module.children())]
    x = torch.randn(1, 3, 64, 64)
    kept = {}
    handles = [
        network.get_submodule(name).register_forward_hook(lambda m, i, o, n=name: kept.update({n: o.clone()}))
        for name in names
    ]
    with torch.no_grad():
        network(x)
    for handle in handles:
        handle.remove()
    # Of layers that would be joined (a convolution, its BatchNorm, its ReLU), one is listened to at a time.
    apart = 8
    for first in range(apart):
        with torch.no_grad():
            found = Tap(network, names[first::apart])(x)
        assert [*found] == names[first::apart]
        for name, output in found.items():
            torch.testing.assert_close(
                output, kept[name], atol=1e-5, rtol=1e-4, msg=lambda text, n=name: n + text
            )


def test_hooked_and_unusual_layers_are_not_swapped():
    doubled, plain = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
    doubled.register_forward_hook(lambda m, i, output: 2 * output)
    network = nn.Sequential(doubled, nn.BatchNorm2d(4), nn.ReLU(), plain, nn.SiLU()).eval()
    x = torch.randn(1, 3, 16, 16)
    expected = network(x)
    assert freeze(network) == 1
    assert network[0] is doubled
    assert isinstance(network[1], ScaleShift)
    assert isinstance(network[3], FrozenConv)
    torch.testing.assert_close(network(x), expected)


@pytest.mark.slow
def test_nothing_outlives_its_tap(network):
    """Not even until the garbage collector comes: packed weights are as large as the network."""
    gc.collect()
    gc.disable()
    try:
        tap = Tap(network, ["lam"])
        alive = weakref.ref(tap.network.lam.refine[0])
        assert isinstance(alive(), FrozenConv)
        assert tap.saved_bytes() > 0
        x = torch.randn(1, 3, 64, 64, requires_grad=True)
        torch.autograd.grad(tap(x)["lam"].sum(), x)
        del tap
        assert alive() is None
    finally:
        gc.enable()


def test_a_forecast_of_memory_is_what_a_real_pass_keeps(network):
    tap = Tap(network, ["dma2"])
    kept: dict[int, int] = {}

    def count(tensor):
        kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor.detach()

    x = torch.randn(1, 3, 64, 64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        held = tap(x)
    weights = {value.data_ptr() for value in (*tap.network.parameters(), *tap.network.buffers())}
    real = sum(size for address, size in kept.items() if address not in weights)
    assert tap.saved_bytes() * 64 * 64 == pytest.approx(real, rel=0.1)
    del held
