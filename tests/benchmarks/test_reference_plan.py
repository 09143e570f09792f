"""The plan of the reference run: what it trains, and that nothing is trained twice."""

import json
import re

import pytest

from benchmarks import reference
from ci.parameters import profile_values
from galaxylib.networks.registry import NETWORKS
from galaxylib.paper.ablations import PARTS, WHOLE, WithParts
from galaxylib.paper.experiments import BASES


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


def test_networks_read_the_smaller_of_their_own_size_and_the_largest(values, plan):
    for job in plan:
        if job.group == "networks":
            known, recipe = NETWORKS[job.name], job.trial.recipe
            assert recipe.size == (min(known.size, values["largest"]) if known.smallest else known.size)
            assert (recipe.crop, recipe.epochs, recipe.width) == (known.crop, values["epochs"], 1.0)


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


def test_file_names_are_plain(plan):
    assert all(re.fullmatch(r"[a-z]+/\w+-\d\.json", job.file) for job in plan)
