"""Images kept on the device, and compiled steps, change nothing in what a training comes to."""

import numpy as np
import pytest
import torch
from conftest import write_galaxy10

from galaxylib import DMAGNet
from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.loader import batches
from galaxylib.data.splits import make_split
from galaxylib.errors import GalaxyError
from galaxylib.networks.checkpoint import load
from galaxylib.training import loop, plan
from galaxylib.training.at_hand import AtHand, fit
from galaxylib.training.loop import train
from galaxylib.training.recipes import QUICK
from galaxylib.training.steps import Run, Unchecked

CPU = torch.device("cpu")
SMALL = QUICK.but(width=0.05, size=32, crop=128, epochs=2, batch_size=16, precision="float32")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    labels = np.repeat(np.arange(len(CLASS_NAMES)), 6)
    return Galaxy10(
        write_galaxy10(tmp_path_factory.mktemp("at_hand") / "blobs.h5", labels=labels, simulated=True)
    )


@pytest.fixture(scope="module")
def plainly(data, tmp_path_factory):
    """History and weights of a training that keeps nothing at hand and compiles nothing."""
    out = tmp_path_factory.mktemp("plainly")
    return trained(data, out)


def trained(data, out):
    """Losses of each epoch and the weights that are kept."""
    done = train(data, make_split(data, fractions=(0.6, 0.2, 0.2)), SMALL, out=out, progress=False)
    losses = [(epoch["train_loss"], epoch["validation_loss"]) for epoch in done["history"]]
    return losses, load(out).network.state_dict()


def assert_same(found, wanted):
    assert found[0] == wanted[0]
    assert all(torch.equal(found[1][name], value) for name, value in wanted[1].items())


def test_the_batches_are_those_of_the_file(data):
    rows = np.random.default_rng(0).permutation(len(data))[:23]
    kept = AtHand(data, rows, CPU)
    order = rows[::-1].copy()
    for found, wanted in zip(
        kept.batches(order, batch_size=5), batches(data, order, batch_size=5), strict=True
    ):
        assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))
    assert len(kept.images) == 23


@pytest.mark.parametrize(("free", "fits"), [(10**6, False), (10**9, True)])
def test_images_go_to_a_gpu_that_has_room(data, monkeypatch, free, fits):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**12))
    assert fit(data, range(60), torch.device("cuda", 0)) == fits
    assert not fit(data, [], torch.device("cuda", 0))
    assert not fit(data, range(60), CPU)


@pytest.mark.slow
def test_training_on_images_at_hand_is_the_same(data, plainly, tmp_path, monkeypatch):
    made = []

    class Counted(AtHand):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(len(self.images))

    monkeypatch.setattr(plan, "fit", lambda *_: True)
    monkeypatch.setattr(plan, "AtHand", Counted)
    assert_same(trained(data, tmp_path), plainly)
    split = make_split(data, fractions=(0.6, 0.2, 0.2))
    assert made == [len(split.train) + len(split.validation)]


@pytest.mark.slow
def test_compiled_steps_come_to_the_same(data, plainly, tmp_path, monkeypatch):
    asked = []

    def compile_(function, **how):
        asked.append(how)
        return function

    class Compiled(Run):
        def __init__(self, *arguments, compiled=False, **named):
            super().__init__(*arguments, compiled=True, **named)

    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.setattr(loop, "Run", Compiled)
    assert_same(trained(data, tmp_path), plainly)
    assert asked
    assert all(how == {"mode": "reduce-overhead", "dynamic": False} for how in asked)


@pytest.mark.slow
def test_the_network_is_traced_whole():
    """A break in the graph would end a CUDA graph there; here the traced operations run as they are."""
    network = DMAGNet(width=0.05).train().to(memory_format=torch.channels_last)
    traced = torch.compile(network.forward, backend="eager", fullgraph=True, dynamic=False)
    images, labels = torch.randn(2, 3, 64, 64), torch.tensor([3, 7])
    gradients = []
    for forward in (network, traced):
        torch.manual_seed(0)  # for dropout
        with torch.autocast("cpu", torch.bfloat16):
            logits = forward(images)
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        gradients.append([weights.grad for weights in network.parameters()])
        network.zero_grad()
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


@pytest.mark.slow
def test_nothing_is_compiled_without_a_gpu(data, plainly, tmp_path, monkeypatch):
    def compile_(function, **how):
        raise AssertionError("compiled")

    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    split = make_split(data, fractions=(0.6, 0.2, 0.2))
    done = train(data, split, SMALL, out=tmp_path, compiled=True, progress=False)
    assert [epoch["train_loss"] for epoch in done["history"]] == [first for first, _ in plainly[0]]


def test_compiled_steps_do_not_accumulate(data, tmp_path):
    """A CUDA graph's gradients lie in memory that the next part's graph writes over."""
    with pytest.raises(GalaxyError, match=r"of 2 parts of a batch, .*: train without --compile") as fault:
        train(data, make_split(data), SMALL.but(accumulate=2), out=tmp_path / "run", compiled=True)
    assert "\n" not in str(fault.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("loss", "finite"), [(1.5, True), (float("nan"), False), (float("inf"), False)])
def test_a_loss_on_its_way_is_known(loss, finite):
    assert Unchecked(1, torch.tensor(loss)).is_finite() == finite
