"""The reference run's networks of votes: their records, and the arithmetic of what they are compared by."""

import json
from dataclasses import replace

import numpy as np
import pytest
from reference_records import VOTE_ERRORS, VOTE_TITLES, vote_training
from scipy import stats

from galaxylib.errors import GalaxyError
from galaxylib.paper import reference_votes as votes


@pytest.fixture
def trainings():
    return {
        "cnn": [vote_training("cnn", seed, 1.3) for seed in range(3)],
        "resnet": [vote_training("resnet", seed, 1.0, train_rmse=0.04) for seed in range(2)],
        "tailored": [vote_training("tailored", seed, 0.8) for seed in range(2)],
    }


def written(trainings, folder):
    (folder / votes.GROUP).mkdir()
    for one in (one for ones in trainings.values() for one in ones):
        (folder / votes.GROUP / f"{one.name}-{one.seed}.json").write_text(json.dumps(one.to_dict()))
    return folder


def test_records_come_back_as_they_were(trainings, tmp_path):
    again = votes.read_vote_trainings(written(trainings, tmp_path))
    assert list(again) == list(votes.NAMES)
    for name, ones in trainings.items():
        for one, same in zip(ones, again[name], strict=True):
            assert json.dumps(same.to_dict()) == json.dumps(one.to_dict())
            assert same.rmse == pytest.approx(float(np.sqrt(np.mean(one.errors))), rel=1e-5)


def test_a_record_of_other_galaxies_is_refused(trainings, tmp_path):
    trainings["cnn"][0] = replace(trainings["cnn"][0], errors=VOTE_ERRORS[:10])
    with pytest.raises(GalaxyError, match="judge different galaxies"):
        votes.read_vote_trainings(written(trainings, tmp_path))


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / votes.GROUP).mkdir()
    (tmp_path / votes.GROUP / "cnn-0.json").write_text('{"name": "cnn", "errors": [1]}')
    with pytest.raises(GalaxyError, match="no record of a training"):
        votes.read_vote_trainings(tmp_path)


def test_intervals_know_the_galaxies_and_the_trainings(trainings):
    """Of one network alone: the half-width by hand, the galaxies' part against a bootstrap."""
    rows = {row["name"]: row for row in votes.vote_rows(trainings)}
    roots = [np.array([one.rmse for one in ones]) for ones in trainings.values()]
    squares = sum(((root - root.mean()) ** 2).sum() for root in roots)
    seeds = stats.t.ppf(0.975, 4) * np.sqrt(squares / 4)
    mean = np.mean([one.errors for one in trainings["cnn"]], axis=0)
    draws = np.random.default_rng(1).integers(0, len(mean), (4000, len(mean)))
    bootstrap = 1.96 * np.sqrt(mean[draws].mean(axis=1)).std()
    half = (rows["cnn"]["high"] - rows["cnn"]["low"]) / 2
    assert half == pytest.approx(np.hypot(bootstrap, seeds / np.sqrt(3)), rel=0.03)
    assert rows["cnn"]["rmse"] == pytest.approx(roots[0].mean())
    assert rows["cnn"]["last_change"] == pytest.approx(-0.03)


def test_networks_are_compared_galaxy_by_galaxy(trainings):
    better, tailored = votes.vote_differences(trainings)
    assert better["clear"]
    assert better["high"] < 0
    roots = {name: np.mean([one.rmse for one in ones]) for name, ones in trainings.items()}
    assert better["change"] == pytest.approx(roots["resnet"] - roots["cnn"])
    gap = (roots["tailored"] - 0.08) - (roots["resnet"] - 0.04)
    assert tailored["gap_change"] == pytest.approx(gap)
    assert tailored["gap_low"] < gap < tailored["gap_high"] < 0


def test_nothing_is_clear_after_one_training_each(trainings):
    once = {name: ones[:1] for name, ones in trainings.items()}
    assert [pair["clear"] for pair in votes.vote_differences(once)] == [None, None]
    assert votes.votes_chapter(once) == {}
    assert "Too few" in votes.votes_said(once)


def test_what_is_missing_is_said():
    assert votes.votes_shown({}, {}).index.tolist() == ["none yet"]
    assert votes.votes_facts({})["made"] == "Its trainings are still to come."
    assert votes.votes_said({}) == "Not all three networks have their training yet."


def test_the_table_has_the_guess_and_what_is_printed(trainings):
    shown = votes.votes_shown(trainings, {"ResNet-18": 0.126})
    assert shown.index.tolist() == ["every answer's mean", *VOTE_TITLES.values()]
    assert shown.loc["ResNet-18", "printed, real galaxies"] == "0.126"
    assert shown.loc["every answer's mean", "RMSE here, simulated"] == "0.1600"
    assert (
        "with 400 simulated galaxies to learn from, 300 to be judged on"
        in votes.votes_facts(trainings)["made"]
    )
