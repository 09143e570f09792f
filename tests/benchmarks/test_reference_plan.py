"""The plan of the reference run: what it trains, and that nothing is trained twice."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import CLAIMS

from benchmarks import reference
from ci.parameters import profile_values
from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.networks.registry import NETWORKS
from galaxylib.paper.ablations import PARTS, WHOLE, WithParts
from galaxylib.paper.claims import load_claims
from galaxylib.paper.reference import BASES, HALVED
from galaxylib.paper.reference_votes import NAMES
from galaxylib.votes.simulated import simulated_votes


@pytest.fixture(scope="module")
def values():
    return profile_values("reference", reference.CHAPTER, takes={"simulated": 0, "width": 0})


@pytest.fixture(scope="module")
def plan(values):
    return reference.jobs(values)


def test_every_training_is_planned_once_for_each_seed(values, plan):
    assert len({job.file for job in plan}) == len(plan)
    names = [name.strip() for name in values["networks"].split(",")]
    for name in names:
        seeds = [job.trial.recipe.seed for job in plan if (job.group, job.name) == ("networks", name)]
        assert seeds == list(range(values["seeds"] - (name in reference.SLOW)))
    assert {job.name for job in plan if job.group == "parts"} == {WHOLE, *PARTS.values()}
    wanted = {title.strip() for title in values["experiments"].split(",")}
    assert {job.name for job in plan if job.group == "experiments"} == wanted | set(BASES.values())
    for name in wanted | set(BASES.values()):
        seeds = [job.trial.recipe.seed for job in plan if (job.group, job.name) == ("experiments", name)]
        assert seeds == list(range(reference.TRIALS + (name in BASES.values())))


def test_an_experiment_keeps_the_mean_of_its_last_passes(values, plan):
    """The decay is that of an average over so many steps, 1 - 1 / steps, by the batches of a pass."""
    for job in plan:
        if job.group == "experiments":
            recipe = job.trial.recipe
            batches = len(range(0, values["train_images"], recipe.batch_size))
            assert recipe.averaging == pytest.approx(1 - 1 / (reference.AVERAGED * batches), abs=1e-5)
            assert (recipe.schedule, recipe.keep) == ("constant", "last")


def test_networks_read_the_smaller_of_their_own_size_and_the_largest(values, plan):
    for job in plan:
        if job.group == "networks":
            known, recipe = NETWORKS[job.name], job.trial.recipe
            assert recipe.size == (min(known.size, values["largest"]) if known.smallest else known.size)
            assert (recipe.crop, recipe.epochs, recipe.width) == (known.crop, values["epochs"], 1.0)


def test_each_training_of_the_comparison_has_one_of_half_the_passes(values, plan):
    whole, half = (
        {(job.name, job.trial.recipe.seed): job.trial for job in plan if job.group == group}
        for group in ("networks", HALVED)
    )
    assert half == {key: trial.but(epochs=values["epochs"] // 2) for key, trial in whole.items()}


def test_parts_are_left_out_one_at_a_time(plan):
    for job in plan:
        if job.group == "parts":
            out = [part for part in PARTS if job.trial.recipe.options.get(part) is False]
            assert [PARTS[part] for part in out] == ([] if job.name == WHOLE else [job.name])
            WithParts(**job.trial.recipe.options)


def test_what_has_a_record_by_its_recipe_is_not_made_again(plan, tmp_path):
    few, out, locks = plan[:3], tmp_path / "out", tmp_path / "locks"

    def left():
        return [job.file for job, _ in reference.left(out, few, locks=locks)]

    assert left() == [job.file for job in few]
    for job, epochs in zip(few[:2], (few[0].trial.recipe.epochs, 1), strict=True):
        path = out / job.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"recipe": job.trial.recipe.but(epochs=epochs).to_dict()}))
    assert left() == [few[1].file, few[2].file]


def test_two_processes_never_train_the_same(plan, tmp_path):
    out, locks = tmp_path / "out", tmp_path / "locks"
    first, second = (reference.left(out, plan[:2], locks=locks) for _ in range(2))
    taken = next(first)[0]
    assert next(second)[0] != taken


@pytest.fixture(scope="module")
def vote_plan():
    return reference.vote_jobs(profile_values("reference", reference.VOTES_CHAPTER, takes={}), seeds=3)


def test_networks_of_votes_are_trained_as_printed(vote_plan):
    """As many passes as the source prints, its schedule, and the two large networks once less."""
    claims = load_claims(CLAIMS)
    seeds = {name: [job.trial.recipe.seed for job in vote_plan if job.name == name] for name in NAMES}
    assert seeds == {"cnn": [0, 1, 2], "resnet": [0, 1], "tailored": [0, 1]}
    for job in vote_plan:
        printed = "004-tailored-epochs" if job.name == "tailored" else "004-resnet-epochs"
        assert job.trial.recipe.epochs == claims.value(printed)
        assert job.trial.recipe.learning_rate == claims.value("004-learning-rate")
    assert vote_plan[2].trial.recipe.schedule == claims.value("004-scheduler")


@pytest.mark.slow
def test_a_network_of_votes_judges_the_test_galaxies(vote_plan, sim_file):
    """The record's errors are those of its own rows, by a plain loop over a network that guesses."""
    rows = {"train": np.arange(8), "validation": np.arange(8, 12), "test": np.arange(12, 18)}
    votes = simulated_votes(Galaxy10(sim_file), np.arange(18))
    (job,) = (job for job in vote_plan if job.file == "votes/cnn-0.json")
    one = reference.trained_on_votes(
        replace(job, trial=replace(job.trial, recipe=job.trial.recipe.but(epochs=1))), votes, rows
    )
    assert (one.train_images, len(one.errors), len(one.history)) == (8, 6, 1)
    mean = [np.mean([votes.fractions[row][answer] for row in range(8)]) for answer in range(37)]
    squares = [
        (mean[answer] - votes.fractions[row][answer]) ** 2 for row in range(12, 18) for answer in range(37)
    ]
    assert one.guess == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-5)
    assert one.history[0]["validation_rmse"] == pytest.approx(one.rmse, rel=0.6)


def test_file_names_are_plain(plan, vote_plan):
    assert all(re.fullmatch(r"[a-z]+/\w+-\d\.json", job.file) for job in (*plan, *vote_plan))
