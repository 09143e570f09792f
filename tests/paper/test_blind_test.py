"""The blind test is told as its file has it, for the weights that it names and for no others."""

import json
from pathlib import Path

import pytest

from galaxylib.evaluation.intervals import wilson
from galaxylib.networks.checkpoint import BROUGHT, SHIPPED, describe
from galaxylib.paper.blind_test import NOT_JUDGED, accuracy_in_words, blind_figures, blind_table

ROOT = Path(__file__).resolve().parents[2]
BLIND = json.loads((ROOT / "benchmarks/results/blind_test.json").read_text(encoding="utf-8"))


def test_pooled_figures_by_hand():
    blind = {"rows": [{"sha256": "ab", "n": 70, "right": 43, "ece": 0.15}]}
    meta = {"sha256": "ab", "results": {"real": {"plain": {"n": 60, "accuracy": 0.75}}}}
    found = blind_figures(blind, meta=meta)
    assert (found["blind"]["right"], found["blind"]["n"]) == (43, 70)
    assert (found["pooled"]["right"], found["pooled"]["n"]) == (43 + 45, 130)
    assert found["pooled"]["accuracy"] == pytest.approx(88 / 130)
    assert found["pooled"]["interval"] == wilson(88, 130)
    assert accuracy_in_words(found["blind"]) == "61.4% (49.7% to 72.0%)"


def test_other_weights_are_not_judged():
    blind = {"rows": [{"sha256": "ab", "n": 70, "right": 43, "ece": 0.15}]}
    found = blind_figures(blind, meta={"sha256": "cd", "results": {}})
    assert found == {}
    assert accuracy_in_words(found.get("blind")) == NOT_JUDGED


def test_table_has_a_row_for_each_network():
    plain = {"n": 60, "accuracy": 0.75, "accuracy_interval": list(wilson(45, 60))}
    metas = {name: {"sha256": name, "results": {"real": {"plain": plain}}} for name in ("ab", "cd")}
    table = blind_table(metas, {"rows": [{"sha256": "ab", "n": 70, "right": 43, "ece": 0.15}]})
    assert list(table.index) == ['galaxylib.load("ab")', 'galaxylib.load("cd")']
    assert list(table) == ["the 60 images before", "blind test", "all together"]
    assert table.iloc[0].tolist() == [
        "75.0% (62.8% to 84.2%)",
        "61.4% (49.7% to 72.0%)",
        "67.7% (59.2% to 75.1%)",
    ]
    assert table.iloc[1].tolist() == ["75.0% (62.8% to 84.2%)", NOT_JUDGED, NOT_JUDGED]


@pytest.mark.parametrize("name", SHIPPED)
def test_cards_tell_the_blind_test(name):
    card = (BROUGHT / name / "README.md").read_text(encoding="utf-8")
    found = blind_figures(BLIND, meta=describe(name))
    for part in ("blind", "pooled"):
        words = accuracy_in_words(found.get(part)).replace("%", " %")
        assert words in " ".join(card.split()), f"the card of {name} must say {words}"


@pytest.mark.parametrize("row", BLIND["rows"], ids=lambda row: row["weights"])
def test_the_files_intervals_are_wilsons(row):
    assert row["accuracy"] == pytest.approx(row["right"] / row["n"], abs=1e-4)
    assert tuple(row["wilson_95"]) == pytest.approx(wilson(row["right"], row["n"]), abs=1e-4)
