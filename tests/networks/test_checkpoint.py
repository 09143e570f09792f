"""A checkpoint comes back as it was, or is refused in one sentence."""

import errno
import json
import os
import pickle
from pathlib import Path

import pytest
import torch

import galaxylib
from galaxylib import files
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import CheckpointError, GalaxyError
from galaxylib.networks import checkpoint
from galaxylib.networks.checkpoint import DESCRIPTION, REFERENCE, WEIGHTS, halve, load, save, set_confidence
from galaxylib.networks.registry import build
from galaxylib.provenance import provenance

OPTIONS = {"width": 0.05}


def keep(folder: Path, *, seed: int = 0, half: bool = False, **changes) -> torch.nn.Module:
    torch.manual_seed(seed)
    network = build("dmagnet", **OPTIONS).to(memory_format=torch.channels_last)
    network(torch.randn(4, 3, 32, 32))  # BatchNorm statistics of its own
    about = {
        "name": "dmagnet",
        "options": OPTIONS,
        "preprocess": Preprocess(size=64),
        "class_names": CLASS_NAMES,
    }
    save(folder, network, **about | changes, half=half, **provenance(), recipe={"epochs": 1})
    return network.eval()


@pytest.mark.slow
def test_round_trip_is_exact(tmp_path):
    network = keep(tmp_path / "run")
    found = galaxylib.load(tmp_path / "run")
    for name, tensor in network.state_dict().items():
        assert torch.equal(found.network.state_dict()[name], tensor)
    x = torch.randn(2, 3, 64, 64)
    assert torch.allclose(found.network(x), network(x), atol=1e-6)
    assert not found.network.training
    assert found.class_names == CLASS_NAMES
    assert found.preprocess == Preprocess(size=64)
    assert torch.__version__.startswith(found.meta["packages"]["torch"])
    assert found.meta["hardware"]["processor"]
    assert found.meta["recipe"] == {"epochs": 1}
    assert {"time", "commit", "python"} <= found.meta.keys()


@pytest.mark.slow
def test_half_precision_takes_half_the_room(tmp_path):
    network = keep(tmp_path / "half", half=True)
    keep(tmp_path / "whole")
    sizes = [(tmp_path / name / WEIGHTS).stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.6 * sizes[1]
    halve(tmp_path / "whole", tmp_path / "copy")
    assert (tmp_path / "copy" / WEIGHTS).read_bytes() == (tmp_path / "half" / WEIGHTS).read_bytes()
    assert load(tmp_path / "copy").meta["recipe"] == load(tmp_path / "whole").meta["recipe"]
    found = load(tmp_path / "half").network
    assert next(found.parameters()).dtype == torch.float32
    x = torch.randn(2, 3, 64, 64)
    assert torch.allclose(found(x), network(x), atol=1e-3)


def test_a_checkpoint_is_not_halved_in_its_own_folder(tmp_path):
    keep(tmp_path / "whole")
    before = (tmp_path / "whole" / WEIGHTS).read_bytes()
    with pytest.raises(GalaxyError, match="is read"):
        halve(tmp_path / "whole", tmp_path / "whole" / ".." / "whole")
    assert (tmp_path / "whole" / WEIGHTS).read_bytes() == before


def spoil_cut(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def spoil_bit(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-100] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def describe(folder: Path, **changes) -> None:
    content = json.loads((folder / DESCRIPTION).read_text())
    (folder / DESCRIPTION).write_text(json.dumps(content | changes))


def spoil_hash_too(folder: Path) -> None:
    spoil_cut(folder)
    describe(folder, sha256=files.sha256(folder / WEIGHTS))


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def spoil_pickle(folder: Path) -> None:
    """A pickle in the place of the weights, with the right hash: it must not be executed."""
    (folder / WEIGHTS).write_bytes(pickle.dumps(Bomb()))
    describe(folder, sha256=files.sha256(folder / WEIGHTS))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (spoil_cut, "altered or cut short"),
        (spoil_bit, "altered or cut short"),
        (spoil_hash_too, "not a whole safetensors file"),
        (spoil_pickle, "not a whole safetensors file"),
        (lambda folder: (folder / WEIGHTS).unlink(), f"holds no {WEIGHTS}"),
        (lambda folder: (folder / DESCRIPTION).unlink(), f"holds no {DESCRIPTION}"),
        (lambda folder: (folder / DESCRIPTION).write_text("{"), "cannot be read"),
        (lambda folder: (folder / DESCRIPTION).write_text("[]"), "does not say"),
        (lambda folder: (folder / DESCRIPTION).write_text("{}"), "does not say 'network'"),
        (
            lambda folder: describe(folder, network="convnet", options={}),
            "another architecture than 'convnet'",
        ),
        (lambda folder: describe(folder, options={"width": 0.1}), "another architecture than 'dmagnet'"),
        (lambda folder: describe(folder, network="dmagnett"), "dmagnett"),
        (lambda folder: describe(folder, options={"depth": 3}), "cannot be built"),
        (lambda folder: describe(folder, class_names=sorted(CLASS_NAMES)), "names the classes"),
        (lambda folder: describe(folder, preprocess={"size": 1}), "preprocessing"),
    ],
)
def test_a_spoilt_checkpoint_is_refused(tmp_path, monkeypatch, spoil, sentence):
    monkeypatch.chdir(tmp_path)
    keep(tmp_path / "run")
    spoil(tmp_path / "run")
    with pytest.raises(GalaxyError, match=sentence) as caught:
        load(tmp_path / "run")
    assert isinstance(caught.value, CheckpointError)
    assert not (tmp_path / "exploded").exists()


def test_missing_checkpoints_are_told(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        load(tmp_path / "none")
    monkeypatch.setattr(checkpoint, "BROUGHT", tmp_path)
    with pytest.raises(CheckpointError, match="carries no weights named pretrained"):
        load("pretrained")
    keep(tmp_path / "pretrained", half=True)
    assert load("pretrained").class_names == CLASS_NAMES


@pytest.mark.parametrize("full", [WEIGHTS, DESCRIPTION])
def test_a_full_disk_leaves_the_former_checkpoint(tmp_path, monkeypatch, full):
    former = keep(tmp_path / "run", seed=1)

    def no_space(self, *_: object, **__: object) -> None:
        if full in self.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(self, *_, **__)

    method = "write_bytes" if full == WEIGHTS else "write_text"
    written = getattr(Path, method)
    monkeypatch.setattr(Path, method, no_space)
    with pytest.raises(GalaxyError, match="No space is left"):
        keep(tmp_path / "run", seed=2)
    monkeypatch.undo()
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [DESCRIPTION, WEIGHTS]
    for old, new in zip(former.parameters(), load(tmp_path / "run").network.parameters(), strict=True):
        assert torch.equal(old, new)


class Killed(BaseException):
    """Stands for SIGKILL: nothing that the process would do afterwards is done."""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_former_checkpoint_or_the_new_one(tmp_path, monkeypatch):
    about = {"name": "dmagnet", "options": OPTIONS, "preprocess": Preprocess(), "class_names": CLASS_NAMES}
    networks = [build("dmagnet", **OPTIONS) for _ in range(2)]
    folder, ends = tmp_path / "run", []

    def save_and_die(moment: int) -> None:
        """Die before the act of that number and before each act that would follow."""
        done = iter(range(1000))

        def mortal(act):
            def wrapped(*given, **options):
                if next(done) >= moment:
                    raise Killed
                return act(*given, **options)

            return wrapped

        with monkeypatch.context() as patch:
            for place, name in [
                *((os, name) for name in ("open", "replace", "rename", "unlink")),
                *((Path, name) for name in ("write_bytes", "write_text")),
            ]:
                patch.setattr(place, name, mortal(getattr(place, name)))
            save(folder, networks[1], **about)

    while ends[-1:] != ["finished"]:
        save(folder, networks[0], **about)
        assert sorted(path.name for path in folder.glob("[!.]*")) == [DESCRIPTION, WEIGHTS]
        try:
            save_and_die(len(ends))
            end = "finished"
        except Killed:
            end = "killed"
        found = load(folder).network.state_dict()
        former, new = (
            all(torch.equal(found[name], tensor) for name, tensor in network.state_dict().items())
            for network in networks
        )
        assert new if end == "finished" else former or new
        ends.append(end)
    assert len(ends) > 5


ARRAYS = {"a/mean": torch.arange(5.0), "quantiles": torch.linspace(0, 2, 101)}


@pytest.mark.slow
def test_a_confidence_is_written_beside_weights_that_stay_as_they_are(tmp_path):
    folder = tmp_path / "run"
    keep(folder)
    assert (load(folder).temperature, load(folder).reference) == (1.0, None)
    before = (folder / WEIGHTS).read_bytes()
    set_confidence(folder, temperature=1.7, reference=ARRAYS, images=30, part="validation")
    found = load(folder)
    assert found.temperature == 1.7
    assert found.reference.keys() == ARRAYS.keys()
    assert all(torch.equal(found.reference[name], array) for name, array in ARRAYS.items())
    assert found.meta["calibrated"] == {"images": 30, "part": "validation"}
    assert found.meta["recipe"] == {"epochs": 1}
    assert (folder / WEIGHTS).read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == [DESCRIPTION, REFERENCE, WEIGHTS]
    assert files.sha256(folder / REFERENCE) == found.meta["reference"]["sha256"]
    # A copy in half precision is as sure of itself as the original.
    copy = load(halve(folder, tmp_path / "half"))
    assert copy.temperature == 1.7
    assert torch.equal(copy.reference["quantiles"], ARRAYS["quantiles"])
    set_confidence(folder, temperature=0.8)
    assert (load(folder).temperature, load(folder).reference) == (0.8, None)
    assert not (folder / REFERENCE).exists()
    set_confidence(folder, temperature=1.7, reference=ARRAYS)
    keep(folder, seed=3)  # other weights: what was measured with the former ones is gone
    assert (load(folder).temperature, load(folder).reference) == (1.0, None)
    assert sorted(path.name for path in folder.iterdir()) == [DESCRIPTION, WEIGHTS]


@pytest.mark.parametrize("temperature", [0.0, -1.0, 1e9, float("nan"), None])
def test_a_temperature_out_of_range_is_refused_and_nothing_is_written(tmp_path, temperature):
    keep(tmp_path / "run")
    before = (tmp_path / "run" / DESCRIPTION).read_bytes()
    with pytest.raises(CheckpointError, match=r"temperature must be .*: calibrate again"):
        set_confidence(tmp_path / "run", temperature=temperature, reference=ARRAYS)
    assert (tmp_path / "run" / DESCRIPTION).read_bytes() == before
    assert not (tmp_path / "run" / REFERENCE).exists()


@pytest.mark.slow
def test_a_spoilt_or_lost_reference_is_refused(tmp_path):
    folder = tmp_path / "run"
    keep(folder)
    set_confidence(folder, temperature=1.7, reference=ARRAYS)
    content = bytearray((folder / REFERENCE).read_bytes())
    content[-1] ^= 1
    (folder / REFERENCE).write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r"reference\.safetensors is not the file .* `galaxylib calibrate`"
    ):
        load(folder)
    (folder / REFERENCE).unlink()
    with pytest.raises(CheckpointError, match=r"holds no reference\.safetensors"):
        load(folder)


@pytest.mark.slow
def test_a_kill_while_calibrating_leaves_the_former_confidence_or_the_new_one(tmp_path, monkeypatch):
    folder, ends = tmp_path / "run", []
    other = {"quantiles": torch.linspace(0, 3, 101)}
    keep(folder)

    def mortal(act, done, moment):
        def wrapped(*given, **options):
            if next(done) >= moment:
                raise Killed
            return act(*given, **options)

        return wrapped

    while ends[-1:] != ["finished"]:
        set_confidence(folder, temperature=1.1, reference=ARRAYS)
        done = iter(range(1000))
        with monkeypatch.context() as patch:
            for place, name in [
                *((os, name) for name in ("open", "replace", "rename", "unlink")),
                *((Path, name) for name in ("write_bytes", "write_text")),
            ]:
                patch.setattr(place, name, mortal(getattr(place, name), done, len(ends)))
            try:
                set_confidence(folder, temperature=2.2, reference=other)
                end = "finished"
            except Killed:
                end = "killed"
        found = load(folder)
        is_new = torch.equal(found.reference["quantiles"], other["quantiles"])
        assert found.temperature == (2.2 if is_new else 1.1)
        assert is_new or end == "killed"
        assert is_new or found.reference.keys() == ARRAYS.keys()
        ends.append(end)
    assert len(ends) > 5
