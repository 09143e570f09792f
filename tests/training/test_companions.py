"""Companions are drawn as their chances say, cost what the formulas say, and resume bit for bit."""

import json
import math
from dataclasses import replace

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from companions_drawn import drawn_companions
from conftest import write_galaxy10
from killed_runs import left_after_each_epoch
from torch import nn

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.splits import make_split
from galaxylib.errors import CheckpointError, GalaxyError
from galaxylib.networks.checkpoint import describe, load
from galaxylib.training.companions import check_companions, mixture, stream
from galaxylib.training.hardware import Devices
from galaxylib.training.loop import train
from galaxylib.training.plan import Plan
from galaxylib.training.recipes import QUICK, RECIPES
from galaxylib.training.state import LAST
from galaxylib.training.steps import Run
from galaxylib.training.tasks import Classification

pytestmark = pytest.mark.slow

PLAIN = QUICK.but(width=0.05, size=32, crop=128, epochs=2, more_epochs=0, batch_size=12, precision="float32")
BESIDE = PLAIN.but(companions=8, companion_weight=0.5)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    labels = np.repeat(np.arange(len(CLASS_NAMES)), 6)
    return Galaxy10(
        write_galaxy10(tmp_path_factory.mktemp("companions") / "x.h5", labels=labels, simulated=True)
    )


@pytest.fixture(scope="module")
def split(data):
    return make_split(data, fractions=(0.6, 0.2, 0.2))


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def last_weights(folder):
    return torch.load(folder / LAST, weights_only=True)["state_dict"]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_a_plain_loop(smoothing):
    companions = drawn_companions(seed=3)
    rows = np.flatnonzero(companions.chance > 0)[::-1].copy()
    logits = torch.randn(len(rows), 10, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found = companions.loss(logits, rows, label_smoothing=smoothing)
    expected = 0.0
    for place, row in enumerate(rows):
        values = [math.exp(value) for value in logits[place].tolist()]
        shares = [value / sum(values) for value in values]
        if companions.partial[row]:
            group = [share for k, share in enumerate(shares) if companions.targets[row, k] == 1]
            expected -= math.log(sum(group)) / len(rows)
        else:
            for k, share in enumerate(shares):
                target = (1 - smoothing) * float(companions.targets[row, k]) + smoothing / 10
                expected -= target * math.log(share) / len(rows)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    found.backward()
    assert torch.isfinite(logits.grad).all()
    # In a group whose classes are all of them nothing is left to learn.
    whole = replace(companions, targets=np.ones((24, 10), np.float32), partial=np.ones(24, bool))
    assert whole.loss(logits.detach(), rows).item() == pytest.approx(0, abs=1e-6)


def test_draws_hang_on_seed_epoch_and_step_alone_and_follow_the_chances():
    companions = drawn_companions(60)
    chance = np.where(companions.source < 2, np.where(companions.source == 0, 3.0, 1.0), 0.0)
    companions = replace(companions, chance=chance)
    first = companions.rows(seed=1, epoch=2, step=3, count=10)
    assert len(set(first)) == 10
    assert (companions.rows(seed=1, epoch=2, step=3, count=10) == first).all()
    for other in ({"seed": 2}, {"epoch": 3}, {"step": 4}):
        arguments = {"seed": 1, "epoch": 2, "step": 3} | other
        assert (companions.rows(**arguments, count=10) != first).any()
    single = [companions.rows(seed=0, epoch=0, step=step, count=1)[0] for step in range(2000)]
    counts = np.bincount(companions.source[single], minlength=3)
    # Sources of 20 images each, one drawn three times as often: 1500 and 500, sigma 19.
    assert counts[2] == 0
    assert abs(counts[0] - 1500) < 80


def test_parts_and_processes_share_the_companions_of_one(data, split):
    alone = Plan(data, split, BESIDE.but(accumulate=2), Devices())
    both = [Plan(data, split, BESIDE, Devices(local=2, rank=rank)) for rank in (0, 1)]
    assert [alone.companion_places(batch) for batch in (0, 1, 2)] == [
        (0, slice(0, 4)),
        (0, slice(4, 8)),
        (1, slice(0, 4)),
    ]
    assert [plan.companion_places(5) for plan in both] == [(5, slice(0, 4)), (5, slice(4, 8))]
    with pytest.raises(
        GalaxyError, match="10 companions a step do not divide among 1 processes with 4 parts"
    ):
        Plan(data, split, BESIDE.but(accumulate=4, companions=10), Devices())
    with pytest.raises(GalaxyError, match="two or more for each part: choose a multiple of 4 from 8 up"):
        Plan(data, split, BESIDE.but(accumulate=4, companions=4), Devices())


def test_a_step_adds_the_weighted_loss_of_a_pass_of_its_own(tmp_path, data, split, monkeypatch):
    """The first step's gradient against one computed by hand from the two batches that the network saw."""
    recipe = BESIDE.but(epochs=1, dropout=0.0, gradient_norm=0.0)
    companions, seen = drawn_companions(), {"inputs": []}
    measured = Run._measured

    def note(self, batch, part):
        if part == "train" and "batch" not in seen:
            seen["batch"] = [part.clone() for part in batch]
            seen["network"] = {name: value.clone() for name, value in self.network.state_dict().items()}
            self.network.register_forward_pre_hook(lambda _, inputs: seen["inputs"].append(inputs[0].clone()))
        return measured(self, batch, part)

    class Note(L.Callback):
        def on_before_optimizer_step(self, trainer, run, optimizer):
            if "gradient" not in seen:
                seen["gradient"] = {name: p.grad.clone() for name, p in run.network.named_parameters()}
                seen["after"] = {name: value.clone() for name, value in run.network.named_buffers()}

    monkeypatch.setattr(Run, "_measured", note)
    train(
        data, split, recipe, out=tmp_path / "run", companions=companions, callbacks=[Note()], progress=False
    )
    rows = companions.rows(seed=0, epoch=0, step=0, count=8)
    network = load(tmp_path / "run").network
    network.load_state_dict(seen["network"])
    network.train()
    images, labels = seen["batch"]
    beside = seen["inputs"][1]
    assert beside.shape == (8, 3, 32, 32)
    loss = nn.functional.cross_entropy(network(images), labels, label_smoothing=0.1)
    loss = loss + 0.5 * companions.loss(network(beside), rows, label_smoothing=0.1)
    loss.backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.grad, seen["gradient"][name], atol=1e-5, rtol=1e-3)
    for name, value in network.named_buffers():  # both surveys have moved the running statistics, in turn
        torch.testing.assert_close(value, seen["after"][name], atol=1e-5, rtol=1e-3)
    assert stream(0) != 0


def test_without_companions_nothing_changes_and_with_them_everything_is_told(tmp_path, data, split):
    companions = drawn_companions()
    done = train(data, split, BESIDE, out=tmp_path / "run", companions=companions, progress=False)
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert (history["companion_loss"] > 0).all()
    meta = describe(tmp_path / "run")
    assert meta["companions"] == companions.description()
    assert meta["companions"]["sources"][2] == {
        "name": "three",
        "labels": "none",
        "images": 8,
        "drawn": 0,
        "measured": 8,
    }
    assert meta["recipe"] == BESIDE.to_dict()
    assert (
        done["history"][0]["companion_loss"] == meta["best"].get("companion_loss") or done["best_epoch"] > 1
    )
    train(data, split, PLAIN, out=tmp_path / "plain", progress=False)
    assert "companion_loss" not in pd.read_csv(tmp_path / "plain" / "history.csv")
    assert "companions" not in describe(tmp_path / "plain")


@pytest.fixture(scope="module")
def killed(tmp_path_factory, data, split):
    """A run with all that a run can have, what it was given, and what there was of it after each epoch."""
    recipe = BESIDE.but(
        size=48, growth="32x1", epochs=3, averaging=0.9, jitter=1.0, brightness=0.0, contrast=0.0,
        keep="last", accumulate=2, statistics="both",
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("killed")
    first, whole = folder / "first", folder / "whole"
    train(data, split, PLAIN.but(size=48, epochs=1), out=first, progress=False)
    given = {"companions": drawn_companions(), "start": first, "progress": False}
    left = left_after_each_epoch(whole, lambda: train(data, split, recipe, out=whole, **given))
    first.rename(folder / "elsewhere")  # the weights count, not where they lie
    return recipe, given | {"start": folder / "elsewhere"}, whole, left


@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_a_killed_run_resumes_bit_for_bit(tmp_path, data, split, killed, epoch):
    """With companions, a start, parts, growth, averaging, jitter, statistics of both; once from nothing."""
    recipe, given, whole, left = killed
    cut = left[epoch] if epoch else tmp_path / "again"
    if epoch == 1:
        for other, sentence in (
            ({"companions": drawn_companions(seed=1)}, "it used other images of other surveys"),
            ({"start": None}, "it used other first weights"),
        ):
            with pytest.raises(CheckpointError, match=f"cannot be resumed: {sentence}"):
                train(data, split, recipe, out=cut, resume=True, **(given | other))
    train(data, split, recipe, out=cut, resume=epoch > 0, **given)
    assert_same(last_weights(whole), last_weights(cut))
    assert_same(load(whole).network.state_dict(), load(cut).network.state_dict())


def test_a_start_gives_the_first_weights(tmp_path, data, split):
    train(data, split, PLAIN.but(epochs=1), out=tmp_path / "first", progress=False)
    first = load(tmp_path / "first")
    still = PLAIN.but(epochs=1, learning_rate=0.0, weight_decay=0.0, seed=5, keep="last")
    for number, start in enumerate((first, tmp_path / "first")):
        out = tmp_path / str(number)
        train(data, split, still, out=out, start=start, progress=False)
        found, told = load(out), describe(out)["start"]
        for name, tensor in first.network.named_parameters():
            assert torch.equal(tensor, dict(found.network.named_parameters())[name])
        assert told["sha256"] == first.meta["sha256"]
        assert told["name"] == ("loaded", "first")[number]
        assert told["data"]["fingerprint"] == data.fingerprint
    for recipe, sentence in (
        (
            still.but(width=0.1),
            r"its option width is 0\.05, the recipe's 0\.1, so give a checkpoint of the same",
        ),
        (still.but(network="five_block", size=48), "its network is 'dmagnet', the recipe's 'five_block'"),
    ):
        with pytest.raises(CheckpointError, match=sentence):
            train(data, split, recipe, out=tmp_path / "new", start=first, progress=False)
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        train(data, split, still, out=tmp_path / "new", start=tmp_path / "none", progress=False)
    with pytest.raises(GalaxyError, match="is read, so it is not overwritten"):
        train(data, split, still, out=tmp_path / "first", start=tmp_path / "first", replace=True)
    assert not (tmp_path / "new").exists()
    assert load(tmp_path / "first").meta == first.meta


def test_what_does_not_fit_is_one_sentence(tmp_path, data, split):
    companions = drawn_companions()
    none = drawn_companions(labelled=False)
    other = Classification(class_names=("a", "b"))
    nothing = replace(companions, measured=np.zeros(24, bool))
    for given, recipe, task, sentence in (
        (None, BESIDE, None, r"\(8 companions a step, statistics 'training'\) and there are none: give them"),
        (None, PLAIN.but(statistics="both"), None, "and there are none: give them"),
        (companions, PLAIN, None, "the recipe does not look at them: leave them out"),
        (none, BESIDE, None, "draws 8 companions a step, and 0 have a label"),
        (companions, BESIDE, other, "labels are of 10 classes, and the task 'galaxy10' has 2 outputs"),
        (nothing, BESIDE.but(statistics="companions"), None, "no companion counts for them"),
    ):
        with pytest.raises(GalaxyError, match=sentence):
            train(data, split, recipe, out=tmp_path / "run", companions=given, task=task, progress=False)
    assert not (tmp_path / "run").exists()
    check_companions(none, PLAIN.but(statistics="companions"), Classification())
    wrong = companions.targets.copy()
    wrong[0, 0] += 0.1
    for changes, sentence in (
        ({"targets": wrong}, "Companion 0 may be drawn, and its target is no label"),
        ({"partial": ~companions.partial}, "its target is no label"),
        ({"chance": -companions.chance}, "chances that are 0 or more"),
        ({"chance": companions.chance[1:]}, r"need targets, chances and sources for each.*\(23,\)"),
    ):
        with pytest.raises(GalaxyError, match=sentence):
            replace(companions, **changes)


def test_each_source_has_the_same_share_of_a_mixture():
    companions, training = drawn_companions(30), np.arange(100, 117)
    companions = replace(companions, measured=(companions.source > 0) | (np.arange(30) < 3))
    batches = list(mixture(companions, training, seed=0, batch=13))
    seen = np.concatenate([numbers for _, _, numbers in batches])
    assert (seen == np.arange(len(seen))).all()  # no two images share a change
    for own, others, _ in batches:
        assert len(own) == 3
        assert set(own) <= set(training)
        assert companions.measured[others].all()
        assert np.bincount(companions.source[others]).tolist() == [3, 3, 3]
    met = np.concatenate([own for own, _, _ in batches])
    assert len(set(met)) == 15  # the largest source is gone through once, without what fills no batch
    alone = list(mixture(companions, training[:0], seed=0, batch=13, most=24))
    assert all(len(own) == 0 and len(others) == 12 for own, others, _ in alone)
    assert len(alone) == 2


@pytest.mark.parametrize("statistics", ["training", "both", "companions"])
def test_statistics_are_those_of_the_images_asked_for(tmp_path, data, split, monkeypatch, statistics):
    """The first BatchNorm's mean and variance, against the plain ones of what goes into it."""
    recipe = PLAIN.but(epochs=1, statistics=statistics, averaging=0.5, keep="last", batch_size=16)
    companions = None if statistics == "training" else drawn_companions(labelled=False)
    settle, seen = Run.to_keep, []

    def watch(self, *, final):
        first = next(m for m in self.kept.modules() if isinstance(m, nn.BatchNorm2d))
        first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
        return settle(self, final=final)

    monkeypatch.setattr(Run, "to_keep", watch)
    train(data, split, recipe, out=tmp_path / "run", companions=companions, progress=False)
    found = next(m for m in load(tmp_path / "run").network.modules() if isinstance(m, nn.BatchNorm2d))
    means = np.mean([x.double().mean((0, 2, 3)).numpy() for x in seen], axis=0)
    variances = np.mean([x.double().var((0, 2, 3)).numpy() for x in seen], axis=0)
    np.testing.assert_allclose(found.running_mean.numpy(), means, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.running_var.numpy(), variances, rtol=1e-3, atol=1e-6)
    # Blobs on a dark sky and brighter noise: the three kinds of batch are not alike.
    sizes = {"training": {16, 8}, "both": {16}, "companions": {15}}[statistics]
    assert {len(x) for x in seen} == sizes


def test_statistics_alone_leave_the_weights_as_they_are(tmp_path, data, split):
    """Without averaging too: what is kept differs in BatchNorm's statistics and in nothing else."""
    train(data, split, PLAIN.but(keep="last"), out=tmp_path / "plain", progress=False)
    recipe = PLAIN.but(keep="last", statistics="companions")
    companions = drawn_companions(labelled=False)
    train(data, split, recipe, out=tmp_path / "other", companions=companions, progress=False)
    first, second = (load(tmp_path / name).network.state_dict() for name in ("plain", "other"))
    different = {name for name in first if not torch.equal(first[name], second[name])}
    assert different
    assert all(".running_" in name or "num_batches" in name for name in different)


@pytest.mark.parametrize("name", ["real", "real-small"])
def test_the_recipes_of_the_networks_taught_by_real_galaxies_train(tmp_path, data, split, name):
    """A few steps at a fraction of the width and the size, with all else as the recipe says."""
    recipe = RECIPES[name].but(width=0.05, size=48, growth="32x1", epochs=2, batch_size=8, companions=4)
    companions = drawn_companions()
    done = train(data, split, recipe, out=tmp_path / "run", companions=companions, progress=False)
    assert done["best_epoch"] == 2
    content = json.loads((tmp_path / "run" / "checkpoint.json").read_text())
    assert content["recipe"] == recipe.to_dict()
    assert content["companions"]["fingerprint"] == companions.fingerprint
