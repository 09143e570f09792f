"""Temperatures measured on other surveys' galaxies agree with plain computations."""

from dataclasses import replace

import numpy as np
import pytest

from galaxylib.errors import DataError
from galaxylib.evaluation.calibration import apply_temperature
from galaxylib.training.companions import Source
from galaxylib.votes import confidence
from galaxylib.votes.classes import support, to_classes
from galaxylib.votes.confidence import temperature_by_agreement, temperature_by_votes
from galaxylib.votes.other_surveys import Survey


def fractions_of(count):
    """Votes of which some are clear and some are not: fractions of one question's answers by turns."""
    from galaxylib.votes.zoo2 import PLACES

    votes = np.zeros((count, 37))
    for row in range(count):
        clear = row % 3 > 0
        for answer in ("Class7.1", "Class7.2"):
            votes[row, PLACES[answer]] = 0.45
        if clear:
            votes[row, PLACES["Class7.1"]], votes[row, PLACES["Class7.2"]] = (0.9, 0.1)[:: 1 - 2 * (row % 2)]
    return votes


@pytest.fixture
def voted():
    votes = fractions_of(60)
    return Survey(
        source=Source("Galaxy Zoo 2", "votes"),
        images=np.zeros((60, 8, 8, 3), np.uint8),
        targets=support(votes).astype(np.float32),
        partial=False,
        kinds=to_classes(votes),
        held=np.arange(60) % 2 == 0,
        fractions=votes,
    )


def probabilities(seed, count):
    return np.random.default_rng(seed).dirichlet(np.full(10, 0.3), count)


def test_votes_count_where_they_are_held_out_and_clear(voted, monkeypatch):
    seen = []

    def judged(loaded, survey, *, batch_size):
        seen.append(survey)
        return probabilities(0, len(survey))

    monkeypatch.setattr(confidence, "judged", judged)
    temperature, how = temperature_by_votes(object(), voted)
    (asked,) = seen
    clear = [row for row in range(0, 60, 2) if row % 3]
    assert len(asked) == len(clear) == 20
    np.testing.assert_array_equal(asked.fractions, voted.fractions[clear])
    assert "20 held-out galaxies" in how
    # No other temperature of a fine grid fits better.
    found, truth = probabilities(0, 20), to_classes(voted.fractions[clear])

    def loss(tried):
        return -np.log(apply_temperature(found, tried)[np.arange(20), truth]).mean()

    assert loss(temperature) <= min(loss(tried) for tried in np.geomspace(0.1, 15, 400)) + 1e-4
    with pytest.raises(DataError, match="more galaxies"):
        temperature_by_votes(object(), replace(voted, held=np.zeros(60, bool)))


def test_networks_are_then_as_sure_as_they_agree(voted, monkeypatch):
    given = {name: probabilities(seed, 60) for seed, name in enumerate("abc")}
    for name in "bc":  # agree on two thirds
        given[name][:40] = given["a"][:40]
    monkeypatch.setattr(confidence, "judged", lambda loaded, survey, *, batch_size: given[loaded])
    temperature, how = temperature_by_agreement("a", ["b", "c"], voted)
    answers = [given[name].argmax(1) for name in "abc"]
    agreement = np.mean([(answers[i] == answers[j]).mean() for i, j in ((0, 1), (0, 2), (1, 2))])
    sure = np.mean([apply_temperature(given[name], temperature).max(1).mean() for name in "abc"])
    assert sure == pytest.approx(agreement, abs=1e-6)
    assert "2 other networks on 60" in how
