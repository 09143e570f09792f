import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_galaxy10
from votes_folder import write_surveys

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.errors import DataError
from galaxylib.evaluation.intervals import wilson
from galaxylib.networks.checkpoint import load, save
from galaxylib.training.recipes import RECIPES
from galaxylib.votes.held_out import held_out_part, judged
from galaxylib.votes.other_surveys import read_coarse

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "real_galaxies.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("real_galaxies", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["real_galaxies"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["real_galaxies"]


@pytest.fixture(scope="module")
def recipe(bench):
    """A network with BatchNorm and few layers: on images so small, each layer takes its time and no more."""
    tiny = {"network": "five_block", "size": 32, "epochs": 1, "batch_size": 8, "companions": 2}
    return RECIPES["real-small"].but(**bench.SHORT, **tiny)


@pytest.fixture(scope="module")
def start(tmp_path_factory, recipe):
    """A network with random weights to begin with."""
    from galaxylib.data.preprocessing import Preprocess
    from galaxylib.networks.registry import build_for

    torch.manual_seed(0)
    options = recipe.network_options()
    return save(
        tmp_path_factory.mktemp("start") / "begun",
        build_for(recipe.network, size=recipe.size, classes=10, options=options),
        name=recipe.network,
        options=options,
        preprocess=Preprocess(size=recipe.size, crop=256),
        class_names=CLASS_NAMES,
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Twenty galaxies of each simulator, ten to be scored on, and the folders of other surveys."""
    whole = tmp_path_factory.mktemp("drawn")
    for seed, (name, each) in enumerate((("new", 2), ("former", 2), ("test", 1))):
        write_galaxy10(whole / f"{name}.h5", labels=np.repeat(np.arange(10), each), seed=seed, simulated=True)
    return write_surveys(whole)


@pytest.fixture(scope="module")
def given(drawn, start, tmp_path_factory):
    return {
        "start": start,
        "files": {name: Galaxy10(drawn / f"{name}.h5") for name in ("new", "former", "test")},
        "folders": {name: drawn / name for name in ("votes", "coarse", "unlabelled")},
        "scratch": tmp_path_factory.mktemp("scratch"),
    }


@pytest.fixture(scope="module")
def found(bench, recipe, given):
    return bench.measure(bench.RUNS, recipe, **given, seeds=[0])


def test_every_run_is_trained_and_scored(bench, found, given):
    assert list(found["runs"]) == list(bench.RUNS)
    for name, run in found["runs"].items():
        assert set(run["statistics"]) == {"training", "both", "companions"}
        about = json.loads((given["scratch"] / f"{name}-0" / "checkpoint.json").read_text())
        assert about["sha256"] == run["checkpoints"][0]["sha256"]
        assert about["start"]["sha256"] == found["start"]["sha256"]
        beside = [source["name"] for source in about.get("companions", {"sources": []})["sources"]]
        expected = {"gz2": "Galaxy Zoo 2", "gz1": "Galaxy Zoo 1"}
        assert beside[:-1] == [expected[survey] for survey in run["surveys"]]
    recipes = {
        name: json.loads((given["scratch"] / f"{name}-0" / "checkpoint.json").read_text())["recipe"]
        for name in bench.RUNS
    }
    assert recipes["both"]["statistics"] == "both"
    assert recipes["simulated"]["statistics"] == "training"
    changed = {key for key, value in recipes["both"].items() if recipes["no_jitter"][key] != value}
    assert changed == {"jitter", "brightness", "contrast"}
    assert json.dumps(found)


def test_a_run_is_compared_on_the_same_galaxies(found):
    """The difference of two runs' right galaxies is that of the galaxies which one of them has right."""
    runs = found["runs"]
    assert "paired" not in runs["former"]["statistics"]["both"]
    for run in (runs["both"], runs["no_jitter"]):
        for statistics, one in run["statistics"].items():
            before = runs[run["against"]]["statistics"][statistics]["together"]
            for name, pair in one["paired"].items():
                right = [
                    round(scores.get("all", scores)["share"] * found["held_out"][name])
                    for scores in (one["together"][name], before[name])
                ]
                assert pair["only_first"] - pair["only_second"] == right[0] - right[1]


def test_scores_carry_intervals_group_by_group(bench, found, given):
    survey = held_out_part(read_coarse(given["folders"]["coarse"]))
    seed = found["runs"]["both"]["statistics"]["both"]["per_seed"][0]["gz1"]
    sizes = [one["n"] for one in seed["groups"].values()]
    assert sum(sizes) == seed["n"] == len(survey)
    right = round(seed["share"] * seed["n"])
    assert (seed["low"], seed["high"]) == wilson(right, seed["n"])
    assert sum(round(one["share"] * one["n"]) for one in seed["groups"].values()) == right
    assert seed["macro"] == pytest.approx(np.mean([one["share"] for one in seed["groups"].values()]))


def test_statistics_change_and_weights_do_not(bench, recipe, given):
    loaded = load(given["scratch"] / "both-0")
    surveys = bench.Surveys.read(**given["folders"], as_sdss=False)
    companions = surveys.companions(bench.BOTH)
    new = given["files"]["new"]
    states = {
        statistics: bench.with_statistics(loaded, statistics, new, companions, recipe).network.state_dict()
        for statistics in bench.STATISTICS
    }
    for name, tensor in loaded.network.state_dict().items():
        alike = [torch.equal(state[name], tensor) for state in states.values()]
        if "running" not in name and "num_batches" not in name:
            assert all(alike), name
    norm = next(name for name in states["both"] if name.endswith("running_mean"))
    assert not torch.equal(states["training"][norm], states["companions"][norm])


def test_what_is_there_is_not_trained_again(bench, recipe, given, found, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in given["scratch"].rglob("weights.safetensors")}
    judge = bench.judged_everywhere
    calls = []
    monkeypatch.setattr(bench, "judged_everywhere", lambda *words: calls.append(1) or judge(*words))
    again = bench.measure({"both": bench.RUNS["both"]}, recipe, **given, seeds=[0, 1])
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert len(calls) == 3  # the second seed's, one for each kind of statistics
    told, former = (run["runs"]["both"]["statistics"]["both"] for run in (again, found))
    assert told["per_seed"][0] == former["per_seed"][0] == former["together"]
    assert set(told["disagreement"]) == set(told["together"])
    assert not former["disagreement"]


def test_seeds_disagree_as_a_plain_loop_says(bench):
    generator = np.random.default_rng(0)
    seeds = [{"simulated": generator.dirichlet(np.ones(10), 7)} for _ in range(3)]
    guesses = [[int(np.argmax(row)) for row in seed["simulated"]] for seed in seeds]
    plain = [
        sum(a != b for a, b in zip(guesses[i], guesses[j], strict=True)) / 7
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    assert bench.disagreement(seeds)["simulated"] == pytest.approx(np.mean(plain))
    assert bench.disagreement(seeds[:1]) == {}


def test_the_held_out_images_are_those_that_are_kept(bench, given, found):
    """The probabilities that are kept are those of the judge, for a network read back."""
    loaded = load(given["scratch"] / "gz1-0")
    surveys = bench.Surveys.read(**given["folders"], as_sdss=True)
    recipe = RECIPES["real-small"].but(**loaded.meta["recipe"])
    moved = bench.with_statistics(
        loaded,
        "companions",
        given["files"]["new"],
        bench.Surveys.read(**given["folders"], as_sdss=False).companions(bench.BOTH),
        recipe,
    )
    (kept,) = (given["scratch"] / "gz1-0").glob("companions-*.npz")
    with np.load(kept) as arrays:
        np.testing.assert_allclose(arrays["gz1_as_sdss"], judged(moved, surveys.held_out()["gz1"]), atol=1e-6)


def test_files_of_two_sizes_are_refused(bench, recipe, given):
    files = given["files"] | {"former": given["files"]["test"]}
    with pytest.raises(DataError, match="hold different numbers of galaxies"):
        bench.measure(bench.RUNS, recipe, **given | {"files": files}, seeds=[0])


def test_a_network_names_only_what_it_is_sure_of(bench, given, monkeypatch):
    """The unlabelled images of 0.8 and more get their class, the others no label, and are never drawn."""
    surveys = bench.Surveys.read(**given["folders"], as_sdss=False)
    answers = np.full((len(surveys.parts["unlabelled"]), 10), 0.02, np.float32)
    answers[:, 3] = 0.82
    answers[0] = 0.1
    monkeypatch.setattr(bench, "judged", lambda loaded, survey: answers)
    companions = surveys.answered(load(given["start"])).companions(bench.BOTH)
    here = companions.source == len(companions.sources) - 1
    assert companions.sources[-1].name == "Legacy Surveys"
    assert (companions.targets[here].argmax(axis=1)[1:] == 3).all()
    assert companions.targets[here].sum(axis=1).tolist() == [0, *[1] * (here.sum() - 1)]
    assert (companions.chance[here] > 0).tolist() == [False, *[True] * (here.sum() - 1)]
    assert companions.chance[here].sum() == pytest.approx(1)


def test_nobody_teaches_without_images(bench, given):
    surveys = bench.Surveys.read(**given["folders"] | {"unlabelled": None}, as_sdss=False)
    with pytest.raises(DataError, match="give --unlabelled"):
        surveys.answered(load(given["start"]))
