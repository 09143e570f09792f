"""The tables of what teaches a network real galaxies quote the benchmark, and say what was not measured."""

import pytest

from galaxylib.evaluation.intervals import wilson
from galaxylib.paper.real_galaxies import (
    JUDGED_ON,
    NOT_MEASURED,
    facts,
    findings,
    pair_table,
    score_table,
    seeds_in_words,
    statistics_table,
)


def share(right, n):
    low, high = wilson(right, n)
    return {"n": n, "share": right / n, "low": low, "high": high}


def scores(right):
    """Of 100 galaxies, so many right; fewer in the SDSS's own colours."""
    votes = {"clear": share(right, 100), "macro": right / 200}
    own = {"clear": share(right - 10, 100), "macro": right / 400}
    coarse = share(right, 100) | {"macro": right / 200}
    return {
        "simulated": share(80, 100),
        "gz2": votes,
        "gz1": coarse,
        "gz2_as_sdss": own,
        "gz1_as_sdss": share(right - 10, 100) | {"macro": right / 400},
    }


def run(title, *right, against="", pair=(0, 0, 1.0)):
    told = {}
    for number, kind in enumerate(("training", "both", "companions")):
        seeds = [scores(one + number) for one in right]
        told[kind] = {
            "per_seed": seeds,
            "together": scores(70),
            "disagreement": {"gz2": 0.25} if len(right) > 1 else {},
        }
        if against:
            only_first, only_second, p = pair
            one = {"only_first": only_first, "only_second": only_second, "p": p}
            told[kind]["paired"] = {"gz2": one, "gz1": one | {"p": 0.9}}
    return {"title": title, "against": against, "statistics": told}


@pytest.fixture
def result():
    return {
        "runs": {
            "simulated": run("alone", 50, 54),
            "both": run("with both", 60, 64, against="simulated", pair=(9, 1, 0.01)),
            "as_sdss": run("own colours", 40, 44, against="both", pair=(1, 9, 0.0001)),
        },
        "seeds": [0, 1],
        "start": {"name": "small"},
        "recipe": {"epochs": 2},
        "sure": 0.8,
        "files": {"new": {"galaxies": 16000}},
        "learned": {"gz2": 963, "gz1": 2118},
        "held_out": {"gz2": 317, "gz1": 745},
        "provenance": {"time": "2026-11-27T01:02:03", "hardware": {"processor": "AMD EPYC", "gpus": []}},
    }


def in_words(right, n=100):
    low, high = wilson(right, n)
    return f"{right / n:.1%} ({low:.1%} to {high:.1%})"


def test_scores_are_means_over_seeds_with_intervals_of_the_galaxies(result):
    table = score_table(result)
    assert list(table.index) == ["alone", "with both", "own colours", "own colours, and judged in them"]
    assert list(table) == list(JUDGED_ON)
    assert table.loc["alone", "clear votes"] == in_words(53)  # of 51 and 55
    assert table.loc["with both", "coarse classes"] == in_words(63)
    assert table.loc["with both", "votes, mean over classes"] == "31.5%"
    assert table.loc["own colours, and judged in them", "clear votes"] == in_words(33)
    assert table.loc["own colours, and judged in them", "simulated galaxies"] == in_words(80)


def test_each_kind_of_statistics_has_a_row(result):
    table = statistics_table(result)
    assert len(table) == 6
    assert table.loc[("with both", "real images"), "clear votes"] == in_words(64)
    assert table.loc[("alone", "simulated images"), "clear votes"] == in_words(52)


def test_pairs_and_what_chance_does(result):
    table = pair_table(result)
    assert table.loc[("with both", "alone"), "votes: gained, lost, p"] == "9, 1, 0.010"
    assert table.loc[("own colours", "with both"), "votes: gained, lost, p"] == "1, 9, under 0.0005"
    # Four comparisons: 4 x 0.01 is below 0.05 still.
    assert findings(result) == (
        "2 of the 4 differences are larger than chance explains: with both beside alone (votes, better); "
        "own colours beside with both (votes, worse). Chance can explain the others."
    )
    for name in ("both", "as_sdss"):
        result["runs"][name]["statistics"]["both"]["paired"]["gz2"]["p"] = 0.013
    assert findings(result) == "Chance can explain each of the 4 differences."


def test_what_is_quoted_beside_the_tables(result):
    assert facts(result)["made"] == "2026-11-27 on AMD EPYC"
    assert facts(result)["learned_gz1"] == "2,118"
    assert facts(result)["sure"] == "80%"
    assert facts(result)["seeds"] == "means of 2 training runs each"
    assert facts(result | {"seeds": [0]})["seeds"] == "one training run each"
    assert "name 25% of the galaxies with votes differently" in seeds_in_words(result)
    assert in_words(63) in seeds_in_words(result)
    assert in_words(70) in seeds_in_words(result)
    assert "not measured" in seeds_in_words(result | {"seeds": [0]})


def test_without_the_benchmark_the_page_says_so(result):
    assert set(facts(None)) == set(facts(result))
    assert "not measured" in findings(None)
    assert "not measured" in seeds_in_words(None)
    for table in (score_table(None), statistics_table(None), pair_table(None)):
        assert NOT_MEASURED in str(table.index[0])


def test_the_benchmarks_own_result_fits():
    """Where it is committed, every table can be made of it."""
    import json

    from conftest import ROOT

    path = ROOT / "benchmarks" / "results" / "real_galaxies.json"
    if not path.exists():
        pytest.skip("benchmarks/results/real_galaxies.json was not measured yet")
    told = json.loads(path.read_text(encoding="utf-8"))
    assert len(score_table(told)) >= len(told["runs"])
    assert len(pair_table(told)) == sum(bool(one["against"]) for one in told["runs"].values())
    assert {one for one in facts(told).values() if "not measured" in one} == set()
