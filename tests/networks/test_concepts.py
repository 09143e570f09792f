"""Concepts come back as they were written, belong to their weights, and say why one is missing."""

import json

import numpy as np
import pytest

from galaxylib.errors import CheckpointError, GalaxyError
from galaxylib.networks.checkpoint import BROUGHT, SHIPPED, describe, load
from galaxylib.networks.concepts import CONCEPTS, GRAIN, Concepts, ReadOut, write

FIGURES = {"galaxies": 100, "low": 0.4, "high": 0.7, "control": 0.1, "gain": 0.5, "gain_low": 0.3}
NONE = {"galaxies": 100, "r2": 0.3, "low": 0.2, "high": 0.4, "control": 0.35, "gain": -0.05, "gain_low": -0.2}


def unit(*numbers):
    return tuple((np.array(numbers) / np.linalg.norm(numbers)).tolist())


def content(sha256):
    bar = ReadOut(r2=0.6, vector=unit(3, 4, 0), scale=0.02, offset=0.1, **FIGURES)
    better = ReadOut(r2=0.65, vector=unit(-1, 2, 2, 0.1), scale=0.3, offset=-1.0, **FIGURES)
    pitch = ReadOut(r2=0.7, vector=unit(1, 1, 1), scale=5.0, offset=20.0, **FIGURES)
    stages = {
        "dma3": {"bar_fraction": bar, "arm_pitch": pitch, "colour": ReadOut(**NONE)},
        "lam": {"bar_fraction": better, "arm_pitch": ReadOut(**NONE), "colour": ReadOut(**NONE)},
    }
    return {
        "sha256": sha256,
        "data": {"fingerprint": "abc", "galaxies": 100, "simulated": True},
        "divisions": 12,
        "twins": 3,
        "stages": {
            stage: {name: one.to_dict() for name, one in found.items()} for stage, found in stages.items()
        },
    }


@pytest.fixture
def concepts(tmp_path):
    write(tmp_path, content("0" * 64))
    return Concepts(tmp_path, "0" * 64)


def test_concepts_come_back_and_the_best_stage_is_taken(concepts):
    assert [(one.name, one.stage) for one in concepts.best()] == [
        ("arm_pitch", "dma3"),
        ("bar_fraction", "lam"),
    ]
    assert concepts.find("bar_fraction").stage == "lam"
    there = concepts.find("bar_fraction", "dma3").read_out
    np.testing.assert_allclose(there.vector, unit(3, 4, 0), atol=GRAIN / 2)
    seen = np.array([[1.0, 0.0, 7.0], [0.0, 10.0, 0.0]])
    np.testing.assert_allclose(there.read(seen), [0.1 + 0.02 * 0.6, 0.1 + 0.02 * 8], atol=1e-4)
    assert concepts.read_outs["lam"]["colour"] == ReadOut(**NONE)


@pytest.mark.parametrize(
    ("name", "stage", "sentence"),
    [
        ("bar_fracton", "", "the nearest are bar_fraction"),
        (
            "colour",
            "",
            "of dma3, which explains 30% of it, its controls 35%: choose arm_pitch",
        ),
        ("arm_pitch", "lam", "its controls 35%: leave the stage out for dma3"),
        ("arm_pitch", "stem", "choose dma3 or lam"),
    ],
)
def test_a_missing_concept_is_told(concepts, name, stage, sentence):
    with pytest.raises(GalaxyError, match=sentence):
        concepts.find(name, stage)


def test_a_network_without_concepts_or_with_others_names_the_command(tmp_path, tiny_checkpoint):
    loaded = load(tiny_checkpoint)
    with pytest.raises(CheckpointError, match=r"yet: run `galaxylib probe .*checkpoint --data FILE`"):
        loaded.concepts.best()
    with pytest.raises(CheckpointError, match="no concepts yet"):
        Concepts(None, "").find("bar_fraction")
    write(tmp_path, content("1" * 64))
    with pytest.raises(CheckpointError, match=r"learned on other weights than these: run `galaxylib probe"):
        Concepts(tmp_path, loaded.meta["sha256"]).best()


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("stages", "dma3", "bar_fraction", "vector"), ["a"]),
        (("stages", "dma3", "bar_fraction", "vector"), [1e9]),
        (("stages", "dma3", "bar_fraction", "r2"), None),
        (("stages", "dma3", "bar_fraction", "nosuch"), 1),
        (("stages", "dma3", "bar fraction"), {}),
        (("stages",), []),
        (("sha256",), "x"),
    ],
)
def test_a_strangers_file_is_checked(tmp_path, where, value):
    path = write(tmp_path, content("0" * 64))
    spoilt = json.loads(path.read_text())
    inner = spoilt
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    path.write_text(json.dumps(spoilt))
    with pytest.raises(CheckpointError, match="on drawn galaxies again"):
        Concepts(tmp_path, "0" * 64).best()
    path.write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        Concepts(tmp_path, "0" * 64).best()


@pytest.mark.parametrize("name", [name for name in SHIPPED if (BROUGHT / name / CONCEPTS).is_file()])
def test_shipped_concepts_belong_to_their_weights_and_are_small(name):
    path = BROUGHT / name / CONCEPTS
    assert path.stat().st_size < 200_000
    concepts = Concepts(path.parent, describe(name)["sha256"])
    assert {"bar_fraction", "axis_ratio", "arm_pitch", "bulge_fraction"} <= {
        one.name for one in concepts.best()
    }
    card = " ".join((path.parent / "README.md").read_text(encoding="utf-8").split())
    assert f"{len(concepts.best())} concepts" in card
    for found in concepts.read_outs.values():
        for one in found.values():
            assert bool(one.vector) == one.reads
            assert not one.vector or np.linalg.norm(one.vector) == pytest.approx(1, abs=0.01)
