"""Concepts are learned by `galaxylib probe`, named in an objective, and dreamed along."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from written_concepts import write_concepts

from galaxylib import DMAGNet
from galaxylib.cli import main
from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import concept, direction, layer, parse, probing, read_image
from galaxylib.dream.measures import objective_value
from galaxylib.dream.record import read_png
from galaxylib.dream.widget import DreamLab
from galaxylib.errors import GalaxyError
from galaxylib.evaluation import probes
from galaxylib.networks.checkpoint import load, save
from galaxylib.networks.concepts import CONCEPTS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint whose concepts were written by hand."""
    torch.manual_seed(0)
    options = {"width": 0.05}
    path = save(
        tmp_path_factory.mktemp("concepts") / "run",
        DMAGNet(**options),
        name="dmagnet",
        options=options,
        preprocess=Preprocess(size=64),
        class_names=CLASS_NAMES,
    )
    loaded = load(path)
    write_concepts(
        path,
        loaded.network,
        loaded.meta["sha256"],
        {"dma2": {"bar_fraction": 0.5}, "dma3": {"bar_fraction": 0.6}},
    )
    return path


def test_text_names_a_concept(folder):
    concepts = load(folder).concepts
    along = concepts.find("bar_fraction")
    assert along.stage == "dma3"
    assert concept("bar_fraction", concepts=concepts) == direction("dma3", along.read_out.vector)
    assert parse("concept:bar_fraction", concepts=concepts) == concept("bar_fraction", concepts=concepts)
    there = concept("bar_fraction", concepts=concepts, stage="dma2")
    assert parse("concept:bar_fraction@dma2", concepts=concepts) == there
    assert parse("lam - 2*concept:bar_fraction@dma2", concepts=concepts) == layer("lam") - 2 * there
    assert parse("-concept:bar_fraction@dma2", concepts=concepts) == -there
    with pytest.raises(GalaxyError, match="the nearest are bar_fraction"):
        parse("concept:bar", concepts=concepts)
    with pytest.raises(GalaxyError, match="no concepts yet: run `galaxylib probe"):
        parse("concept:bar_fraction")
    # A layer of that name is still a layer.
    assert parse("concept") == layer("concept")


@pytest.mark.slow
def test_a_dream_along_a_concept_is_made_again_and_goes_up_and_down(folder, tmp_path, capsys):
    picture = np.random.default_rng(5).integers(0, 200, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "galaxy.png")
    words = ["dream", "--quiet", "--checkpoint", str(folder), "--size", "48"]
    loaded = load(folder)
    along = parse("concept:bar_fraction@dma2", concepts=loaded.concepts)

    def reading(path):
        return objective_value(
            loaded.network, read_image(path)[None], along, preprocess=loaded.preprocess
        ).item()

    found = {}
    for name, text in (("up", "concept:bar_fraction@dma2"), ("down", "-concept:bar_fraction@dma2")):
        out = tmp_path / f"{name}.png"
        asked = [*words, "--image", str(tmp_path / "galaxy.png"), f"--layer={text}", "--out", str(out)]
        assert main(asked) == 0, capsys.readouterr().err
        assert f"{text} " in capsys.readouterr().out
        record = read_png(out).record
        assert record["asked"] == text
        assert record["objective"]["terms"][0]["kind"] == "direction"
        found[name] = reading(out)
        again = tmp_path / f"{name}-again.png"
        assert main(["dream", "--quiet", "--from", str(out), "--out", str(again)]) == 0
        assert again.read_bytes() == out.read_bytes()
    assert found["down"] < reading(tmp_path / "galaxy.png") < found["up"]
    asked = [*words, "--image", str(tmp_path / "galaxy.png"), "--layer", "concept:x", "--out", "no.png"]
    assert main(asked) == 1
    assert "No concept is called 'x'" in capsys.readouterr().err


def test_the_widget_offers_the_concepts_of_the_network(folder, blob_file, tmp_path, tiny_checkpoint):
    lab = DreamLab(data=blob_file, networks={"with": folder, "without": tiny_checkpoint}, folder=tmp_path)
    assert lab.concept.options == (("bar_fraction (dma3, R² 0.60)", "bar_fraction"),)
    assert lab.concept.disabled
    lab.kind.value = "concept"
    assert lab.layer.disabled
    assert not lab.concept.disabled
    assert not lab.less.disabled
    concepts = load(folder).concepts
    assert lab.objective() == concept("bar_fraction", concepts=concepts)
    lab.less.value = True
    assert lab.objective() == -concept("bar_fraction", concepts=concepts)
    # Below stand the galaxies that have least of it, found together with those that have most.
    less = lab.strip.said.value
    assert "these excite -concept:bar_fraction most, from the left: row " in less
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("galaxylib.dream.strip.top_galaxies", None)
        lab.less.value = False
        assert "these excite concept:bar_fraction most" in lab.strip.said.value
        lab.less.value = True
        assert lab.strip.said.value == less
    lab.network.value = "without"
    assert lab.concept.options == ()
    lab.run.click()
    assert "galaxylib probe" in lab.status.value


@pytest.mark.slow
def test_probe_writes_what_it_learned(tmp_path, capsys, monkeypatch):
    pytest.importorskip("galsim")
    for module in (probes, probing):
        monkeypatch.setattr(module, "DIVISIONS", 3)  # more would only take longer
    from galaxylib.simulate import simulate

    data = simulate(tmp_path / "sim.h5", n=150, seed=4, balance="uniform", processes=1, progress=False)
    torch.manual_seed(1)
    options = {"width": 0.05}
    preprocess = Preprocess(size=32)
    run = save(
        tmp_path / "run",
        DMAGNet(**options),
        name="dmagnet",
        options=options,
        preprocess=preprocess,
        class_names=CLASS_NAMES,
    )
    assert main(["probe", str(run), "--data", str(data), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "learned on 150 galaxies" in told
    content = json.loads((run / CONCEPTS).read_text())
    assert content["sha256"] == load(run).meta["sha256"]
    assert content["data"]["fingerprint"] == Galaxy10(data).fingerprint
    assert content["data"]["seed"] == 4
    assert content["divisions"] == 3
    assert list(content["stages"]) == ["stem", "dma1", "dma2", "dma3", "lam"]
    # Random weights are no better than random weights.
    assert len(load(run).concepts.best()) <= 3
    first = (run / CONCEPTS).read_bytes()
    assert main(["probe", str(run), "--data", str(data), "--quiet"]) == 0
    assert (run / CONCEPTS).read_bytes() == first
    assert main(["probe", "small", "--data", str(data)]) == 1
    assert "copy its folder" in capsys.readouterr().err
