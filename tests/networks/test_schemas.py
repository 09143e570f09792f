"""What a checkpoint says of itself is checked field by field, and refused in one sentence."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.splits import make_split
from galaxylib.errors import CheckpointError
from galaxylib.networks.checkpoint import DESCRIPTION, WEIGHTS, load
from galaxylib.networks.schemas import DESCRIPTION as FIELDS
from galaxylib.networks.schemas import OPTIONS, check_options, read_json
from galaxylib.training.loop import train
from galaxylib.training.recipes import QUICK
from galaxylib.training.state import LAST, read_run

SMALL = QUICK.but(
    network="convnet",
    options={"blocks": 2, "hidden": 8, "side": 32},
    size=32,
    crop=64,
    epochs=1,
    batch_size=8,
)
ODD = (
    *(None, True, "", "x", "\u0007\ud800", "9" * 5000, -1, 0, 2, 1.5, 1e9, 10**40, math.nan, math.inf),
    *([], [None], [[[]]], {}, {"": 1}, {"x": {"plain": []}}),
)


@pytest.fixture(scope="module")
def trained(blob_file, tmp_path_factory) -> Path:
    """A folder that `train` left; not to be changed."""
    out = tmp_path_factory.mktemp("trained") / "run"
    with Galaxy10(blob_file) as data:
        train(data, make_split(data), SMALL, out=out, progress=False)
    return out


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy of it whose weights are the same file."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / WEIGHTS).hardlink_to(trained / WEIGHTS)
    (folder / DESCRIPTION).write_text((trained / DESCRIPTION).read_text())
    return folder


def described(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / DESCRIPTION).read_text())
    for path, value in changes.items():
        *way, last = path.split(".")
        place = content
        for name in way:
            place = place[name]
        place[last] = value
    (folder / DESCRIPTION).write_text(json.dumps(content))


def told(fault: CheckpointError) -> str:
    sentence = str(fault)
    assert sentence.isprintable()
    assert len(sentence) < 600
    return sentence


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    return told(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"preprocess.size": "64"}, "preprocess.size must be integer, and is '64'"),
        ({"preprocess.size": 0}, "preprocess.size must be bigger than or equal to 1"),
        ({"preprocess.size": 10**9}, "preprocess.size must be smaller than or equal to 1024"),
        ({"preprocess.mean": [0, 0]}, "preprocess.mean must contain at least 3 items"),
        ({"preprocess.mean": [0, 0, math.nan]}, "preprocess.mean[2] must be number, and is 'NaN'"),
        ({"preprocess.std": [1, 1, 1e-300]}, "preprocess.std[2] must be bigger than or equal to 0.0001"),
        ({"preprocess": []}, "preprocess must be object"),
        ({"class_names": {}}, "class_names must be array"),
        ({"class_names": ["a", "a"]}, "class_names must contain unique items"),
        ({"class_names": ["a", "b\nc"]}, r"class_names[1] must be printable, and is 'b\nc'"),
        ({"class_names": ["a", "row"]}, "class_names[1] must NOT match"),
        ({"sha256": "00"}, "sha256 must be sha256, and is '00'"),
        ({"parameters": -3}, "parameters must be bigger than or equal to 1"),
        ({"parameters": 7}, "parameters is 7, and there are "),
        ({"network": ["dmagnet"]}, "network must be string"),
        ({"temperature": 0}, "temperature must be bigger than or equal to 0.01"),
        ({"temperature": math.nan}, "temperature must be number"),
        ({"reference": {}}, "reference must contain ['sha256'] properties"),
        ({"reference": {"sha256": "../x"}}, "reference.sha256 must be sha256"),
        ({"reference": {"sha256": 64 * "0"}}, "holds no reference.safetensors"),
        ({"class_names": ["a", "unlike_training"]}, "class_names[1] must NOT match"),
        ({"task": "zoo2"}, "task must be object"),
        ({"task": {"name": "zoo2", "rule": None}}, "task.rule must be string"),
        ({"recipe": []}, "recipe must be object"),
        ({"recipe.learning_rate": 1e300}, "recipe.learning_rate must be smaller than or equal to"),
        ({"recipe.epochs": None}, "recipe.epochs must be"),
        ({"data": []}, "data must be object"),
        ({"data.simulated": "yes"}, "data.simulated must be boolean"),
        ({"best.validation_accuracy": math.inf}, "best.validation_accuracy must be number"),
        (
            {"network": "dmagnet", "options": {"width": 1e9}},
            "options.width must be smaller than or equal to 4",
        ),
        ({"network": "dmagnet", "options": {"width": math.nan}}, "options.width must be number"),
        ({"options.dropout": True}, "options.dropout must be number or array"),
        ({"options.weights": "/etc/passwd"}, "options must not hold 'weights'"),
        ({"options.classes": 3}, "names 10 classes, and its options ask for another number"),
    ],
)
def test_a_wrong_field_is_named_with_the_file_and_the_cure(run, changes, said) -> None:
    described(run, **changes)
    sentence = refused(run)
    assert said in sentence
    assert DESCRIPTION in sentence or str(run) in sentence


@pytest.mark.slow
@pytest.mark.parametrize("field", [*FIELDS["properties"], "unheard_of"])
def test_whatever_a_field_holds_it_is_one_sentence_or_none(run, field) -> None:
    """A value that happens to be right may pass; what has no business with loading is not even looked at."""
    for value in ODD:
        described(run, **{field: value})
        try:
            load(run)
        except CheckpointError as fault:
            told(fault)
        else:
            assert field not in ("network", "options", "preprocess", "class_names", "sha256") or value == {}


def test_no_depth_and_no_number_of_digits_breaks_the_reading(run) -> None:
    for text in ("[" * 100_000, '{"network": ' + "9" * 10_000 + "}", "\ufeff{}", "\x00"):
        (run / DESCRIPTION).write_text(text)
        assert "cannot be read" in refused(run)
    (run / DESCRIPTION).write_bytes(b"\xff\xfe")
    assert "cannot be read" in refused(run)
    assert read_json("[NaN, -Infinity, 1e999, 1e3, 7]") == ["NaN", "-Infinity", "1e999", 1000.0, 7]


def test_the_options_of_every_network_are_those_of_its_builder() -> None:
    for name, options in {
        "dmagnet": {"width": 0.1, "dropout": 0.2},
        "convnet": {"dropout": [0.1, 0.2], "blocks": 3, "hidden": 64},
        "kim_brunner": {"bands": 3, "dropout": 0.4},
        "five_block": {"unpooled": 2},
        "gz_cnn": {"widths": [8, 16]},
        "convnext_atto": {"drop_path_rate": 0.1},
        "mine:Net": {"depth": 3, "bias": True, "sides": [1, 2.5], "name": 4},
    }.items():
        check_options(name, options, where=DESCRIPTION)
    for name, option in (
        *(("resnet18", {"weights": "x"}), ("dmagnet", {"blocks": 3}), ("gz_cnn", {"widths": [8, 10**6]})),
        *(("convnext_atto", {option: 1}) for option in ("pretrained", "features_only", "checkpoint_path")),
        *(("convnext_atto", {option: {}}) for option in ("pretrained_cfg", "pretrained_cfg_overlay")),
        *(("mine:Net", {"path": "x"}), ("mine:Net", {"depth": 1e9}), ("mine:Net", {"deep": [[1]]})),
    ):
        with pytest.raises(CheckpointError, match=f"{next(iter(option))}"):
            check_options(name, option, where=DESCRIPTION)
    assert not {"weights", "pretrained", "checkpoint_path"} & OPTIONS.keys()


def state_of(folder: Path) -> dict[str, Any]:
    return torch.load(folder / LAST, weights_only=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "value", "said"),
    [
        ("state_dict", [], "state_dict must be object"),
        ("optimizer_states", [], "optimizer_states must contain at least 1 items"),
        ("optimizer_states", [{"state": {}}], "optimizer_states[0] must contain"),
        ("lr_schedulers", None, "lr_schedulers must be array"),
        ("loops", {}, "loops must contain"),
        ("global_step", -1, "global_step must be bigger than or equal to 0"),
        ("callbacks.Keeper.round", 3, "callbacks.Keeper.round must be smaller than or equal to 2"),
        ("callbacks.Keeper.history", [], "callbacks.Keeper.history must contain at least 1 items"),
        ("callbacks.Keeper.history", {}, "callbacks.Keeper.history must be array"),
        ("callbacks.Keeper.history", [{"round": 1}], "callbacks.Keeper.history[0] must contain"),
        (
            "callbacks.Keeper.history.0.validation_loss",
            math.nan,
            "validation_loss must be number, and is 'NaN'",
        ),
        ("callbacks.Keeper.facts", {}, "callbacks.Keeper.facts must contain"),
        ("callbacks.Keeper.facts.recipe", [], "callbacks.Keeper.facts.recipe must be object"),
        (
            "callbacks.Keeper.facts.recipe.learning_rate",
            -1,
            "learning_rate must be bigger than or equal to 0",
        ),
        ("callbacks.Keeper.facts.recipe.epochs", "many", "recipe.epochs must be integer"),
        ("callbacks.Keeper.facts.split_fingerprint", 5, "split_fingerprint must be string"),
        ("callbacks", {}, "damaged or no training state"),
        ("callbacks.Keeper", [], "callbacks.Keeper must be object"),
    ],
)
def test_a_state_to_resume_from_is_checked_likewise(trained, tmp_path, way, value, said) -> None:
    content = state_of(trained)
    facts = content["callbacks"]["Keeper"]["facts"]
    assert read_run(trained, facts, resume=True)["round"] == 1
    *path, last = way.split(".")
    place = content
    for name in path:
        place = place[int(name) if isinstance(place, list) else name]
    place[last] = value
    folder = shutil.copytree(trained, tmp_path / "run")
    torch.save(content, folder / LAST)
    with pytest.raises(CheckpointError, match="train into another folder") as caught:
        read_run(folder, facts, resume=True)
    assert said in str(caught.value)
    assert str(folder / LAST) in str(caught.value)
