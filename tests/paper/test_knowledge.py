"""The sentences on what a network knows hold the figures of the results."""

from galaxylib.paper.knowledge import (
    RESULTS,
    dreams_in_words,
    read_results,
    real_in_words,
    stages_in_words,
)


def share(r2):
    return {"r2": r2, "low": r2 - 0.05, "high": r2 + 0.05}


def probe(trained, within):
    return {
        "galaxies": 9,
        "trained": share(trained),
        "within": share(within),
        "control": 0.08,
        "gain": 0.1,
        "gain_low": 0.1,
    }


def test_the_stage_that_reads_best_is_told():
    stages = {
        "stem": {"axis_ratio": probe(0.2, 0.1), "bar_fraction": probe(0.1, 0.1)},
        "lam": {"axis_ratio": probe(0.9, 0.46), "bar_fraction": probe(0.7, 0.12)},
    }
    told = stages_in_words({"networks": {"tiny": {"stages": stages}}}, "tiny")
    assert "the axis ratio to 90% [85, 95], where random weights and pixels allow 8%" in told
    assert "and to 46% [41, 51] among galaxies of one class; the bar fraction to 70% [65, 75]" in told


def test_each_concept_that_carries_over_is_told_once_by_its_best_question():
    row = {"stage": "lam", "n": 9, "low": 0.3, "high": 0.9, "control": 0.0, "carries_over": True}
    questions = [
        row | {"parameter": "axis_ratio", "question": "round", "rho": 0.9},
        row | {"parameter": "axis_ratio", "question": "edge-on", "rho": 0.8},
        row | {"parameter": "arm_count", "question": "arms", "rho": 0.1, "carries_over": False},
    ]
    told = real_in_words({"galaxies": {"real": 1280}, "networks": {"tiny": {"questions": questions}}}, "tiny")
    assert "1 of 2 read-outs of “tiny” put 1,280 real galaxies" in told
    assert "axis ratio 0.90 [0.30, 0.90])" in told


def dreamed(verdicts, reader):
    concepts = {name: {"verdict": one, "reader": reader} for name, one in verdicts.items()}
    return {"concepts": concepts, "checkpoint": {"name": "real"}, "reader": {"name": "small"}}


def test_what_dreams_move_is_counted():
    told = dreams_in_words(
        dreamed({"arm_pitch": "moves it", "asymmetry": "not shown to move it"}, [1, 0.5, 2])
    )
    assert "Of 2 concepts along which “real” dreamed, 1 (arm pitch) changes the shape that it names" in told
    assert "“small”, reads more of the concept in 2 of 2" in told
    none = dreams_in_words(dreamed({"asymmetry": "not shown to move it"}, [None, None, None]))
    assert "along which “real” dreamed, none change the shape that they name" in none
    assert "in 0 of 0" in none


def test_the_committed_results_are_read_by_name():
    assert set(read_results()) == set(RESULTS)
    assert set(read_results()["concept_dreams"]["concepts"])
