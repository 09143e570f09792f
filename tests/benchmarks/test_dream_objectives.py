"""Each objective of the benchmark dreams; what is compared with the other libraries is among them."""

import pytest

from benchmarks import dream_objectives
from benchmarks.dream_objectives import OBJECTIVES, OTHERS, PLAIN, ours
from benchmarks.dreaming import network
from galaxylib import dream


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_objective_is_the_one_that_is_named(name, monkeypatch):
    asked = []

    def dreamt(model, images, objectives, **how):
        asked.extend(objectives)
        return dream_batch(model, images, objectives, **how)

    dream_batch = dream.dream_batch
    monkeypatch.setattr(dream, "dream_batch", dreamt)
    monkeypatch.setattr(dream_objectives, "SIZE", 64)
    ours(network(), name, 1)
    kinds = {term.kind for objective in asked for term in objective.terms}
    assert name.partition(",")[0] in kinds
    assert len(asked) == (2 if name in PLAIN else 1)


def test_the_others_are_compared_on_the_same():
    assert all(name in OBJECTIVES for names in OTHERS.values() for name in names)
