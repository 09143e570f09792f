"""Training learns, resumes bit for bit, shares its batches among processes, and fails in one sentence."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, write_galaxy10
from killed_runs import left_after_each_epoch

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.splits import SPLIT, Split, load_split, make_split
from galaxylib.errors import CheckpointError, DataError, GalaxyError
from galaxylib.files import OURS, hold_lock
from galaxylib.networks.checkpoint import load
from galaxylib.training import hardware
from galaxylib.training import loop as training
from galaxylib.training.callbacks import Keeper
from galaxylib.training.hardware import Devices, arithmetic
from galaxylib.training.loop import train
from galaxylib.training.plan import Plan
from galaxylib.training.recipes import QUICK, RECIPES, Recipe
from galaxylib.training.state import LAST
from galaxylib.training.steps import Run

pytestmark = pytest.mark.slow

SMALL = QUICK.but(width=0.05, size=32, crop=128, epochs=3, more_epochs=0, batch_size=16, precision="float32")
PLAIN = SMALL.but(network="convnet", options={"blocks": 2, "hidden": 8, "side": 32})
"""The same with two convolutions, for what has nothing to do with the network."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    labels = np.repeat(np.arange(len(CLASS_NAMES)), 6)
    return Galaxy10(
        write_galaxy10(tmp_path_factory.mktemp("train") / "blobs.h5", labels=labels, simulated=True)
    )


@pytest.fixture(scope="module")
def split(data):
    return make_split(data, fractions=(0.6, 0.2, 0.2))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load(folder).network.state_dict()


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / LAST, weights_only=True)["state_dict"]


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


class Cut(Exception):
    """Stands for whatever kills a run."""


def test_it_learns_and_leaves_everything(tmp_path, data, split, capsys):
    """Blobs, round to long: even so few tell a network something."""
    recipe = SMALL.but(network="five_block", size=48, epochs=14, batch_size=12, label_smoothing=0.0)
    done = train(data, split, recipe, out=tmp_path / "run")
    losses = [epoch["train_loss"] for epoch in done["history"]]
    assert losses[-1] < losses[0] - 0.4
    assert done["best_epoch"] == 1 + int(np.argmin([epoch["validation_loss"] for epoch in done["history"]]))
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert len(history) == 14
    assert {"epoch", "learning_rate", "train_loss", "validation_loss", "images_per_second"} <= set(history)
    # One cycle: up for 30 % of the steps, then down to next to nothing.
    assert history["learning_rate"].idxmax() + 1 == pytest.approx(0.3 * 14, abs=1)
    assert history["learning_rate"].iloc[-1] < recipe.learning_rate / 1000
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 14
    assert "images/s" in lines[0]
    assert "left" in lines[0]
    meta = json.loads((tmp_path / "run" / "checkpoint.json").read_text())
    assert meta["recipe"] == recipe.to_dict()
    assert meta["data"]["fingerprint"] == data.fingerprint
    assert meta["data"]["simulated"] is True
    assert meta["class_names"] == list(CLASS_NAMES)
    assert meta["best"]["epoch"] == done["best_epoch"]
    assert {"commit", "packages", "hardware", "time", "precision"} <= meta.keys()


def test_the_seed_decides_everything(tmp_path, data, split):
    recipe = SMALL.but(epochs=1)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.rand(3)  # whatever ran before must not matter
        state = torch.random.get_rng_state()
        train(data, split, recipe.but(seed=seed), out=tmp_path / name, progress=False)
        assert torch.equal(state, torch.random.get_rng_state())
    assert_same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not torch.equal(
        weights(tmp_path / "a")["head.classify.0.weight"], weights(tmp_path / "c")["head.classify.0.weight"]
    )


@pytest.fixture(scope="module")
def killed(tmp_path_factory, data, split):
    """Of each arithmetic the recipe of a run, the run, and what there was of it after each epoch."""

    @cache
    def in_arithmetic(precision: str) -> tuple[Recipe, Path, dict[int, Path]]:
        recipe = SMALL.but(epochs=2, more_epochs=2, precision=precision)
        whole = tmp_path_factory.mktemp(precision) / "whole"
        return (
            recipe,
            whole,
            left_after_each_epoch(whole, lambda: train(data, split, recipe, out=whole, progress=False)),
        )

    return in_arithmetic


@pytest.mark.parametrize(
    ("epoch", "precision"),
    [(1, "float32"), (2, "float32"), (3, "float32"), (4, "float32"), (1, "bfloat16"), (3, "bfloat16")],
)
def test_a_killed_run_resumes_bit_for_bit(data, split, killed, epoch, precision):
    """Killed after any epoch of either round, with dropout and augmentation on."""
    recipe, whole, left = killed(precision)
    cut = left[epoch]
    assert len(pd.read_csv(cut / "history.csv")) == epoch
    torch.rand(7)
    done = train(data, split, recipe, out=cut, resume=True, progress=False)
    assert len(done["history"]) == 4
    assert_same(last_weights(whole), last_weights(cut))
    assert_same(weights(whole), weights(cut))
    measured = ["epoch", "learning_rate", "train_loss", "validation_loss", "validation_accuracy"]
    pd.testing.assert_frame_equal(
        pd.read_csv(whole / "history.csv")[measured], pd.read_csv(cut / "history.csv")[measured]
    )


def test_a_second_round_cut_at_its_start_begins_from_the_same_weights(tmp_path, data, split, monkeypatch):
    recipe = SMALL.but(epochs=1, more_epochs=2)
    train(data, split, recipe, out=tmp_path / "whole", progress=False)
    write = Keeper._save

    def write_and_die(self, network, epoch, folder):
        write(self, network, epoch, folder)
        if epoch["epoch"] == 2:
            raise Cut  # the best weights are those of epoch 2 now, the resumable state is that of epoch 1

    monkeypatch.setattr(Keeper, "_save", write_and_die)
    # Whatever its loss, let epoch 2 count as the best.
    monkeypatch.setattr(Keeper, "best", property(lambda self: self.history[-1]))
    with pytest.raises(Cut):
        train(data, split, recipe, out=tmp_path / "cut", progress=False)
    monkeypatch.undo()
    train(data, split, recipe, out=tmp_path / "cut", resume=True, progress=False)
    assert_same(last_weights(tmp_path / "whole"), last_weights(tmp_path / "cut"))


def test_resuming_what_is_finished_changes_nothing(tmp_path, data, split):
    recipe = PLAIN.but(epochs=1)
    train(data, split, recipe, out=tmp_path / "run", progress=False)
    before = (tmp_path / "run" / "weights.safetensors").read_bytes()
    done = train(data, split, recipe, out=tmp_path / "run", resume=True, progress=False)
    assert len(done["history"]) == 1
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == before
    with pytest.raises(CheckpointError, match=r"learning_rate was 0\.002 and is 0\.003 now"):
        train(data, split, recipe.but(learning_rate=3e-3), out=tmp_path / "run", resume=True, progress=False)
    with pytest.raises(CheckpointError, match="another split"):
        train(data, make_split(data, seed=5), recipe, out=tmp_path / "run", resume=True, progress=False)
    (tmp_path / "run" / LAST).write_bytes(b"cut short")
    with pytest.raises(CheckpointError, match="damaged"):
        train(data, split, recipe, out=tmp_path / "run", resume=True, progress=False)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_refused_run_changes_nothing(tmp_path, data, split):
    """Whatever is wrong is found first: a new folder is not made, a former run stays whole."""
    recipe = PLAIN.but(epochs=1)
    other = replace(split, fingerprint="0" * 16)
    wrong = [
        (GalaxyError, "No network", split, recipe.but(network="nosuch")),
        (GalaxyError, "needs a GPU", split, recipe.but(precision="float16")),
        (GalaxyError, "choose a batch size of 2 or more", split, recipe.but(batch_size=1)),
        (GalaxyError, "choose a batch size of 8 or more", split, recipe.but(batch_size=4, accumulate=4)),
        (DataError, "belongs to another file", other, recipe),
    ]
    for fault, sentence, rows, settings in wrong:
        with pytest.raises(fault, match=sentence):
            train(data, rows, settings, out=tmp_path / "new", progress=False)
    assert not any(tmp_path.iterdir())
    run = tmp_path / "run"
    train(data, split, recipe, out=run, progress=False)
    (run / "notes.txt").write_text("mine")
    before = snapshot(run)
    for fault, sentence, rows, settings in wrong:
        for options in ({}, {"resume": True}):
            with pytest.raises(GalaxyError):
                train(data, rows, settings, out=run, progress=False, **options)
        with pytest.raises(fault, match=sentence):
            train(data, rows, settings, out=run, replace=True, progress=False)
    with pytest.raises(CheckpointError, match=r"holds a run already: go on with it \(`--resume`"):
        train(data, split, recipe, out=run, progress=False)
    assert snapshot(run) == before
    # Replacing removes the run and nothing else.
    train(data, split, recipe.but(seed=1), out=run, replace=True, progress=False)
    assert snapshot(run).keys() == before.keys()
    assert (run / "notes.txt").read_text() == "mine"
    assert load(run).meta["recipe"]["seed"] == 1


def test_two_runs_never_share_a_folder(tmp_path, data, split):
    recipe = PLAIN.but(epochs=1)
    with hold_lock(tmp_path / "run" / ".lock"):
        before = snapshot(tmp_path)
        for options in ({}, {"resume": True}, {"replace": True}):
            with pytest.raises(GalaxyError, match="is at work in"):
                train(data, split, recipe, out=tmp_path / "run", progress=False, **options)
        assert snapshot(tmp_path) == before
    train(data, split, recipe, out=tmp_path / "run", progress=False)


def test_the_split_is_there_before_the_first_step(tmp_path, data, split, monkeypatch):
    monkeypatch.setattr(Run, "training_step", lambda *_: (_ for _ in ()).throw(Cut))
    with pytest.raises(Cut):
        train(data, split, PLAIN, out=tmp_path / "run", progress=False)
    assert load_split(tmp_path / "run" / SPLIT, data).rows_fingerprint == split.rows_fingerprint
    monkeypatch.undo()
    # Nothing was finished, so nothing stands in the way of a run with another split.
    other = make_split(data, seed=5)
    train(data, other, PLAIN.but(epochs=1), out=tmp_path / "run", progress=False)
    assert load_split(tmp_path / "run" / SPLIT, data).rows_fingerprint == other.rows_fingerprint
    assert load(tmp_path / "run").meta["split_fingerprint"] == other.rows_fingerprint


@pytest.mark.parametrize("act", [3, 4, 6])
def test_a_run_cut_between_two_files_resumes_bit_for_bit(tmp_path, data, split, monkeypatch, act):
    """In its first epoch, before the weights' description, their usual name, or the state is in place."""
    recipe = SMALL.but(epochs=2)
    whole = tmp_path.parent / "whole-two-epochs"
    if not whole.exists():
        train(data, split, recipe, out=whole, progress=False)
    done, move = iter(range(1, 1000)), os.replace

    def mortal(*paths):
        if next(done) >= act:
            raise Cut
        move(*paths)

    monkeypatch.setattr(os, "replace", mortal)
    with pytest.raises(Cut):
        train(data, split, recipe, out=tmp_path / "cut", progress=False)
    monkeypatch.undo()
    train(data, split, recipe, out=tmp_path / "cut", resume=True, progress=False)
    assert_same(last_weights(whole), last_weights(tmp_path / "cut"))
    assert_same(weights(whole), weights(tmp_path / "cut"))
    assert len(pd.read_csv(tmp_path / "cut" / "history.csv")) == 2


def test_a_lost_state_is_one_sentence(tmp_path, data, split):
    run, recipe = tmp_path / "run", PLAIN.but(epochs=1)
    train(data, split, recipe, out=run, progress=False)
    (run / LAST).unlink()
    # After the first epoch nothing can be lost: the run begins again.
    assert len(train(data, split, recipe, out=run, resume=True, progress=False)["history"]) == 1
    (run / LAST).unlink()
    about = json.loads((run / "checkpoint.json").read_text())
    about["best"]["epoch"] = 2
    (run / "checkpoint.json").write_text(json.dumps(about))
    with pytest.raises(CheckpointError, match=rf"has no {LAST} to go on from: choose another folder"):
        train(data, split, recipe, out=run, resume=True, progress=False)


def test_a_spoilt_state_is_one_sentence(tmp_path, data, split):
    whole, recipe = tmp_path / "whole", PLAIN.but(epochs=2)
    run = left_after_each_epoch(whole, lambda: train(data, split, recipe, out=whole, progress=False))[1]
    content = torch.load(run / LAST, weights_only=True)
    keeper = content["callbacks"]["Keeper"]
    for spoilt in (
        {"state_dict": {}},
        {"optimizer_states": []},
        {"lr_schedulers": []},
        {"optimizer_states": [{"state": {}, "param_groups": "none"}]},
        {"loops": None},
        {"callbacks": None},
        {"callbacks": {"Keeper": keeper | {"history": []}}},
        {"callbacks": {"Keeper": keeper | {"history": [{"epoch": 1}]}}},
        {"callbacks": {"Keeper": keeper | {"facts": {"recipe": None}}}},
    ):
        torch.save(content | spoilt, run / LAST)
        with pytest.raises(CheckpointError, match=r"last\.ckpt.* train into another folder"):
            train(data, split, recipe, out=run, resume=True, progress=False)
    torch.save(content, run / LAST)
    assert len(train(data, split, recipe, out=run, resume=True, progress=False)["history"]) == 2


def test_a_warm_up_of_one_step_is_taken(tmp_path, data, split):
    recipe = PLAIN.but(epochs=1)
    recipe = recipe.but(warm_up=1 / Plan(data, split, recipe, Devices()).steps)
    assert len(train(data, split, recipe, out=tmp_path / "run", progress=False)["history"]) == 1


def test_patience_stops(tmp_path, data, split):
    keeper = object.__new__(Keeper)
    keeper.recipe = PLAIN.but(patience=2)
    epochs = [{"validation_loss": loss} for loss in (2.0, 1.0, 1.5, 1.4)]
    assert [keeper.is_stale(epochs[:count]) for count in range(1, 5)] == [False, False, False, True]
    # With next to no learning rate the loss soon fails to improve.
    recipe = PLAIN.but(epochs=40, patience=1, learning_rate=1e-12)
    done = train(data, split, recipe, out=tmp_path / "run", progress=False)
    assert 2 <= len(done["history"]) < 40
    assert done["history"][-1]["validation_loss"] >= done["history"][-2]["validation_loss"]
    again = train(data, split, recipe, out=tmp_path / "run", resume=True, progress=False)
    assert len(again["history"]) == len(done["history"])


@pytest.mark.parametrize("first", [True, False])
def test_a_loss_that_is_no_number_stops_the_run(tmp_path, data, split, monkeypatch, first):
    """In epoch 2, at its first or last step: the weights of epoch 1 stay, and the run can be resumed."""
    step = Run._measured

    def break_down(self, batch, part):
        loss = step(self, batch, part)
        here = part == "train" and self.epoch == 1 and self.trainer.global_step == bad - 1
        return loss * float("nan") if here else loss

    monkeypatch.setattr(Run, "_measured", break_down)
    steps = Plan(data, split, PLAIN, Devices()).steps
    bad = steps + 1 if first else 2 * steps
    with pytest.raises(GalaxyError, match=rf"stopped being a number at step {bad} \(epoch 2\)"):
        train(data, split, PLAIN, out=tmp_path / "run", progress=False)
    monkeypatch.undo()
    assert load(tmp_path / "run").meta["best"]["epoch"] == 1
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights(tmp_path / "run").values())
    done = train(data, split, PLAIN, out=tmp_path / "run", resume=True, progress=False)
    assert len(done["history"]) == 3


@pytest.mark.parametrize(
    ("fault", "cure"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "try a batch size of 8"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "try a batch size of 8"),
        (MemoryError(), "set accumulate to 2"),
    ],
)
def test_no_memory_says_what_to_try(tmp_path, data, split, monkeypatch, fault, cure):
    def fail(self, batch, batch_idx):
        raise fault

    monkeypatch.setattr(Run, "training_step", fail)
    with pytest.raises(GalaxyError, match=cure):
        train(data, split, PLAIN, out=tmp_path / "run", progress=False)


def test_other_faults_are_not_mistaken_for_memory(tmp_path, data, split, monkeypatch):
    def fail(self, batch, batch_idx):
        raise RuntimeError("something else")

    monkeypatch.setattr(Run, "training_step", fail)
    with pytest.raises(RuntimeError, match="something else"):
        train(data, split, PLAIN, out=tmp_path / "run", progress=False)


def test_a_full_disk_keeps_the_last_state(tmp_path, data, split, monkeypatch):
    recipe = SMALL.but(epochs=2)
    train(data, split, recipe, out=tmp_path / "whole", progress=False)
    write = Path.write_bytes

    def full(self, content):
        if self.name == LAST and (tmp_path / "cut" / LAST).exists():
            write(self, bytes(content)[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(GalaxyError, match="No space is left"):
        train(data, split, recipe, out=tmp_path / "cut", progress=False)
    monkeypatch.undo()
    assert not list((tmp_path / "cut").glob(f"{OURS}*"))
    assert load(tmp_path / "cut").class_names == CLASS_NAMES
    train(data, split, recipe, out=tmp_path / "cut", resume=True, progress=False)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def test_an_interrupt_reaches_the_caller_and_the_run_goes_on(tmp_path, data, split, monkeypatch):
    step = Run.training_step

    def interrupt(self, batch, batch_idx):
        if self.epoch == 1:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Run, "training_step", interrupt)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(data, split, PLAIN, out=tmp_path / "run", progress=False)
    assert signal.getsignal(signal.SIGINT) is handler
    monkeypatch.undo()
    assert len(train(data, split, PLAIN, out=tmp_path / "run", resume=True, progress=False)["history"]) == 3


def test_a_run_that_is_asked_to_end_says_so_and_goes_on(tmp_path, data, split, monkeypatch):
    """SIGTERM, as a batch system sends it when a job's time is over."""
    step = Run.training_step

    def end(self, batch, batch_idx):
        if self.epoch == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Run, "training_step", end)
    with pytest.raises(GalaxyError, match="asked to end"):
        train(data, split, PLAIN, out=tmp_path / "run", progress=False)
    monkeypatch.undo()
    assert len(train(data, split, PLAIN, out=tmp_path / "run", resume=True, progress=False)["history"]) == 3


def test_too_few_images_are_refused(tmp_path, data, split):
    with pytest.raises(DataError, match="1 training and 10 validation"):
        train(data, replace(split, train=split.train[:1]), SMALL, out=tmp_path / "run")
    with pytest.raises(DataError, match="0 validation"):
        train(data, replace(split, validation=split.validation[:0]), SMALL, out=tmp_path / "run")
    with pytest.raises(GalaxyError, match="does not divide among 3 processes"):
        Plan(data, split, SMALL, Devices(local=3))


def test_processes_share_the_batches_of_one(data, split):
    """Each global batch, cut in halves: the same images, in the order in which one process adds them up."""
    recipe = SMALL.but(accumulate=2)
    alone = Plan(data, split, recipe, Devices())
    both = [Plan(data, split, SMALL, Devices(local=2, rank=rank)) for rank in (0, 1)]
    for epoch in (0, 1):
        parts = alone.rows(epoch).reshape(alone.steps, 2, 8)
        for rank in (0, 1):
            assert (both[rank].rows(epoch).reshape(alone.steps, 8) == parts[:, rank]).all()
    assert (alone.rows(0) != alone.rows(1)).any()
    assert set(alone.rows(0)) <= set(split.train)
    small = Plan(data, split, SMALL.but(batch_size=64), Devices())
    assert (small.batch_size, small.steps) == (len(split.train), 1)


SHARED = SMALL.but(epochs=2, dropout=0.0)


def command_line(out: Path, data: Galaxy10, recipe: Recipe) -> list[str]:
    words = ["-m", "galaxylib", "train", "--data", str(data.path), "--out", str(out), "--quiet"]
    for name, value in recipe.to_dict().items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", str(value)]
    return words


@pytest.fixture
def one_thread():
    """Rounding depends on the number of threads: give this process as many as the others have."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield {**os.environ, "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(before)


def test_two_processes_equal_one_that_adds_up_their_halves(tmp_path, data, one_thread):
    """`torchrun` with gloo on the CPU; BatchNorm sees half a batch either way, dropout is off."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [*launcher, *command_line(tmp_path / "two", data, SHARED)]
    done = subprocess.run(words, cwd=ROOT, env=one_thread, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Best after epoch") == 1
    train(data, make_split(data), SHARED.but(accumulate=2), out=tmp_path / "one", progress=False)
    two, one = last_weights(tmp_path / "two"), last_weights(tmp_path / "one")
    start = training._network(SMALL, classes=10).state_dict()
    moved = 0.0
    for name, tensor in one.items():
        # Running statistics are of each process's own images, averaged; they do not enter the weights.
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(two[name], tensor, rtol=1e-3, atol=2e-5), name
            moved = max(moved, float((tensor - start[name.removeprefix("network.")]).abs().max()))
    assert moved > 2e-3  # they have gone a hundred times as far as they may differ
    histories = [pd.read_csv(tmp_path / name / "history.csv") for name in ("one", "two")]
    assert np.allclose(histories[0]["train_loss"], histories[1]["train_loss"], atol=1e-4)
    assert (tmp_path / "two" / "split.json").exists()


def test_a_process_killed_at_any_moment_resumes_bit_for_bit(tmp_path, data, one_thread):
    """SIGKILL in the midst of an epoch, as a batch system does it."""
    recipe = SMALL.but(epochs=3, more_epochs=2)
    train(data, make_split(data), recipe, out=tmp_path / "whole", progress=False)
    words = [sys.executable, *command_line(tmp_path / "cut", data, recipe)]
    process = subprocess.Popen(words, cwd=ROOT, env=one_thread)
    begun = time.monotonic()
    while not (tmp_path / "cut" / LAST).exists() and time.monotonic() - begun < 120:
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    train(data, make_split(data), recipe, out=tmp_path / "cut", resume=True, progress=False)
    assert_same(last_weights(tmp_path / "whole"), last_weights(tmp_path / "cut"))
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def test_precision_follows_the_hardware(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(hardware, "cpu_has_bfloat16", lambda: True)
    assert arithmetic().lightning == "bf16-mixed"
    monkeypatch.setattr(hardware, "cpu_has_bfloat16", lambda: False)
    assert arithmetic().lightning == "32-true"
    with pytest.raises(GalaxyError, match="needs a GPU"):
        arithmetic("float16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for native, name in ((True, "bf16-mixed"), (False, "16-mixed")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda native=native, **_: native)
        assert arithmetic().lightning == name


def test_the_bar_counts_images(tmp_path, data, split, monkeypatch, capsys):
    """On a terminal: one bar over all epochs, in images, with the time left."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    recipe = PLAIN.but(epochs=2)
    train(data, split, recipe, out=tmp_path / "run")
    shown = capsys.readouterr()
    images = 2 * Plan(data, split, recipe, Devices()).images
    assert shown.out == ""
    assert f"{images}/{images}" in shown.err
    assert "image/s" in shown.err


def test_the_moving_average_is_kept_with_statistics_of_its_own(tmp_path, data, split):
    """Against the definition: average_t = d average_(t-1) + (1 - d) weights_t, from the first step on."""
    recipe = SMALL.but(epochs=2, averaging=0.9, keep="last", dropout=0.0)
    kept: list[dict[str, torch.Tensor]] = []

    class Note(L.Callback):
        def on_train_batch_end(self, trainer, run, outputs, batch, batch_idx):
            kept.append({name: tensor.detach().clone() for name, tensor in run.network.named_parameters()})

    train(data, split, recipe, out=tmp_path / "run", callbacks=[Note()], progress=False)
    expected = kept[0]
    for step in kept[1:]:
        expected = {name: 0.9 * expected[name] + 0.1 * step[name] for name in step}
    found = load(tmp_path / "run").network
    for name, tensor in found.named_parameters():
        torch.testing.assert_close(tensor, expected[name], atol=1e-5, rtol=1e-4)
    statistics = [name for name in found.state_dict() if name.endswith("running_var")]
    last = last_weights(tmp_path / "run")
    assert any(not torch.equal(found.state_dict()[name], last[f"network.{name}"]) for name in statistics)


@pytest.fixture(scope="module")
def averaged(tmp_path_factory, data, split):
    """The same of a run that grows and is averaged."""
    recipe = SMALL.but(
        size=48, growth="32x1", epochs=3, averaging=0.9, jitter=1.0, keep="last", brightness=0.0, contrast=0.0
    )
    whole = tmp_path_factory.mktemp("averaged") / "whole"
    return (
        recipe,
        whole,
        left_after_each_epoch(whole, lambda: train(data, split, recipe, out=whole, progress=False)),
    )


@pytest.mark.parametrize("epoch", [1, 3])
def test_an_averaged_growing_run_resumes_bit_for_bit(data, split, averaged, epoch):
    recipe, whole, left = averaged
    assert len(pd.read_csv(left[epoch] / "history.csv")) == epoch
    train(data, split, recipe, out=left[epoch], resume=True, progress=False)
    assert_same(weights(whole), weights(left[epoch]))


def test_the_best_epochs_average_is_kept_and_not_the_last(tmp_path, data, split, monkeypatch):
    def ever_worse(run, *_):
        run.log("validation_loss", torch.tensor(float(run.epoch + 1)), batch_size=1)

    monkeypatch.setattr(Run, "validation_step", ever_worse)
    done = train(data, split, SMALL.but(epochs=2, averaging=0.9), out=tmp_path / "run", progress=False)
    assert done["best_epoch"] == 1
    found, last = weights(tmp_path / "run"), last_weights(tmp_path / "run")
    names = [name for name in found if name.endswith("weight")]
    assert any(not torch.equal(found[name], last[f"average.module.{name}"]) for name in names)


@pytest.mark.parametrize("name", ["pretrained", "small"])
def test_the_recipes_of_the_shipped_networks_train(tmp_path, data, split, name):
    """A few steps at a fraction of the width and the size, with all else as the recipe says."""
    recipe = RECIPES[name].but(width=0.05, size=48, growth="32x1", epochs=2, batch_size=8)
    done = train(data, split, recipe, out=tmp_path / "run", progress=False)
    assert done["best_epoch"] == 2
    assert load(tmp_path / "run").meta["recipe"] == recipe.to_dict()


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "rmsprop"])
def test_a_step_is_that_of_the_optimiser(tmp_path, data, split, optimizer):
    """The first step of each at a constant rate, against its formula."""
    recipe = SMALL.but(
        epochs=1, optimizer=optimizer, schedule="constant", weight_decay=0.1, gradient_norm=0.0, keep="last"
    )
    seen = {}

    class Note(L.Callback):
        def on_before_optimizer_step(self, trainer, run, optimizer):
            if not seen:
                named = dict(run.network.named_parameters())
                seen["before"] = {name: tensor.detach().clone() for name, tensor in named.items()}
                seen["gradient"] = {name: tensor.grad.clone() for name, tensor in named.items()}

        def on_train_batch_end(self, trainer, run, outputs, batch, batch_idx):
            seen.setdefault("after", {name: p.detach().clone() for name, p in run.network.named_parameters()})

    train(data, split, recipe, out=tmp_path / "run", callbacks=[Note()], progress=False)
    rate = recipe.learning_rate
    for name, before in seen["before"].items():
        gradient, change = seen["gradient"][name], seen["after"][name] - before
        if optimizer == "rmsprop":  # the mean square is a hundredth of the first square
            expected = -rate * gradient / (0.1 * gradient.abs() + 1e-8)
        else:  # both of Adam's means are the gradient's own after one step
            expected = -rate * gradient / (gradient.abs() + 1e-8)
            if optimizer == "adamw":
                expected = expected - rate * 0.1 * before
        torch.testing.assert_close(change, expected, atol=1e-6, rtol=1e-3)


def test_a_plateau_divides_the_rate_by_ten(tmp_path, data, split, monkeypatch):
    recipe = PLAIN.but(epochs=4, schedule="plateau", plateau=1, learning_rate=1e-3)
    monkeypatch.setattr(
        Run, "validation_step", lambda self, *_: self.log("validation_loss", torch.tensor(1.0), batch_size=1)
    )
    done = train(data, split, recipe, out=tmp_path / "run", progress=False)
    rates = [epoch["learning_rate"] for epoch in done["history"]]
    # The first loss is the best; two more that are no better, one over the patience, bring the drop.
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3, 1e-4])


def test_training_without_validation_keeps_the_last_epoch(tmp_path, data):
    rows = np.arange(len(data))
    parts = {"train": rows, "validation": rows[:0], "test": rows[:0]}
    split = Split(**parts, method="all", seed=0, fingerprint=data.fingerprint)
    done = train(data, split, PLAIN.but(epochs=2, keep="last"), out=tmp_path / "run", progress=False)
    assert done["best_epoch"] == 2
    assert not any(name.startswith("validation") for name in done)
    with pytest.raises(DataError, match="and 0 validation images"):
        train(data, split, PLAIN, out=tmp_path / "other", progress=False)


def test_a_processor_held_to_older_instructions_trains_as_one_that_has_no_others(tmp_path):
    code = "from galaxylib.training.hardware import cpu_has_bfloat16; print(cpu_has_bfloat16())"
    held = os.environ | {"ATEN_CPU_CAPABILITY": "avx2"}
    told = subprocess.run([sys.executable, "-c", code], env=held, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
