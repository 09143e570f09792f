"""The networks that come with the book, side by side on real galaxies."""

import numpy as np
import pytest

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.networks.checkpoint import SHIPPED, describe, load
from galaxylib.paper.blind_test import NOT_JUDGED
from galaxylib.paper.shipped import (
    OnReal,
    blind_at_first,
    blind_in_words,
    class_table,
    former_in_words,
    network_table,
    on_real,
    order_in_words,
    weights_table,
)

NOBODY = {"rows": []}


def found(name, low, high):
    return OnReal(name=name, meta={}, scores={"accuracy_interval": (low, high)})


def test_without_a_file_the_checkpoints_tell():
    told = on_real(None)
    assert [one.name for one in told] == list(SHIPPED)
    for one in told:
        assert one.scores == describe(one.name)["results"]["real"]["plain"]
    table = class_table(told)
    assert list(table.index) == list(CLASS_NAMES)
    assert table["galaxies"].sum() == told[0].scores["n"]
    counts = np.array(told[0].scores["confusion"]["counts"])
    assert [int(cell.split()[0]) for cell in table[SHIPPED[0]]] == np.diag(counts).tolist()


def test_the_blind_test_counts_for_the_weights_that_it_names():
    told = on_real(None)
    first = told[0].meta["sha256"]
    row = {"sha256": first, "n": 10, "right": 5, "ece": 0.1}
    table = network_table(told, {"rows": [row]})
    assert table["blind test"].iloc[0].startswith("50.0% (")
    assert set(table["blind test"].iloc[1:]) == {NOT_JUDGED}
    assert set(network_table(told, NOBODY)["blind test"]) == {NOT_JUDGED}


def test_the_table_of_weights_quotes_each_description():
    table = weights_table(NOBODY)
    assert list(table) == list(SHIPPED)
    for name in SHIPPED:
        meta, column = describe(name), name
        told = meta["results"]["real"]["plain"]
        assert table[column]["parameters"] == f"{meta['parameters']:,}"
        assert table[column][f"accuracy, {told['n']} real images"].startswith(f"{told['accuracy']:.1%} (")
        assert (
            table[column]["accuracy, blind test"]
            == table[column]["calibration error, blind test"]
            == NOT_JUDGED
        )


def test_the_table_tells_of_trainings_averaged_with_it(monkeypatch):
    first = {"data": {"galaxies": 8000}, "hardware": {"processor": "X", "gpus": []}}
    on_gpu = {
        "data": {"galaxies": 48000},
        "start": {"data": {"galaxies": 1600}},
        "hardware": {"processor": "X", "gpus": ["GPU Y"]},
    }
    whole = describe(SHIPPED[0])
    for others, words in (
        ([], "none"),
        ([first], "a training on 8,000 simulated (X)"),
        (
            [first, on_gpu],
            "a training on 8,000 simulated (X); a training on 48,000 simulated after 1,600 (GPU Y)",
        ),
    ):
        told = [first, *others] if others else []
        monkeypatch.setattr(
            "galaxylib.paper.shipped.describe", lambda _, told=told: whole | {"averaged_with": told}
        )
        assert set(weights_table(NOBODY).loc["averaged with"]) == {words}


def test_former_weights_are_told_by_name():
    row = {"n": 10, "right": 5, "ece": 0.1, "accuracy": 0.5, "wilson_95": (0.237, 0.763)}
    rows = [row | {"weights": "old", "sha256": "0" * 64}]
    rows += [row | {"weights": name, "sha256": describe(name)["sha256"]} for name in SHIPPED]
    assert former_in_words({"rows": rows}) == "old 50.0% (23.7% to 76.3%)"
    assert former_in_words(NOBODY) == "none"


@pytest.mark.slow
def test_in_few_words_the_weights_before_stand_in():
    row = {"weights": "old", "n": 10, "right": 5, "ece": 0.1, "accuracy": 0.5, "wilson_95": (0.237, 0.763)}
    old = {"rows": [row | {"sha256": "0" * 64}, row | {"sha256": "1" * 64, "accuracy": 0.7}]}
    assert blind_in_words(SHIPPED[0], old) == (
        "it has not judged these weights yet; it gave the former ones 50.0% and 70.0%"
    )
    assert blind_at_first(SHIPPED[0], old) == ("50.0% (23.7% to 76.3%)", "the former “old”")
    new = {"rows": [*old["rows"], row | {"sha256": describe(SHIPPED[0])["sha256"]}]}
    assert blind_in_words(SHIPPED[0], new) == "it gave these weights 50.0% (23.7% to 76.3%)"
    assert blind_at_first(SHIPPED[0], new) == ("50.0% (23.7% to 76.3%)", f"“{SHIPPED[0]}”")
    assert blind_in_words(SHIPPED[0], NOBODY) == "it has not judged these weights yet"
    assert blind_at_first(SHIPPED[0], NOBODY) == (NOT_JUDGED, f"“{SHIPPED[0]}”")


@pytest.mark.slow
def test_a_given_file_is_judged(blob_file, tiny_checkpoint, monkeypatch):
    monkeypatch.setattr("galaxylib.paper.shipped.SHIPPED", ("one", "two"))
    monkeypatch.setattr("galaxylib.paper.shipped.load", lambda _: load(tiny_checkpoint))
    monkeypatch.setattr("galaxylib.paper.shipped.describe", lambda _: describe(tiny_checkpoint))
    with Galaxy10(blob_file) as data:
        told = on_real(data, resamples=20, batch_size=16)
    assert [one.scores["n"] for one in told] == [40, 40]
    assert list(class_table(told)["galaxies"]) == [4] * 10
    assert order_in_words(told).startswith("These galaxies are too few")


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"data": {"galaxies": 32000}}, "32,000 simulated"),
        (
            {
                "data": {"galaxies": 32000},
                "companions": {"sources": [{"name": "a", "drawn": 960}, {"name": "b", "drawn": 0}]},
            },
            "32,000 simulated, 960 real of other surveys",
        ),
        (
            {
                "data": {"galaxies": 5},
                "start": {"companions": {"sources": [{"name": "a", "drawn": 7}, {"name": "b", "drawn": 1}]}},
                "companions": {"sources": [{"name": "a", "drawn": 8}]},
            },
            "5 simulated, 9 real of other surveys",
        ),
        (
            {
                "data": {"galaxies": 5},
                "averaged_with": [{}, {"companions": {"sources": [{"name": "a", "drawn": 7}]}}],
            },
            "5 simulated, 7 real of other surveys",
        ),
        ({"data": {"galaxies": 5}, "companions": {"sources": [{"name": "a", "drawn": 0}]}}, "5 simulated"),
    ],
)
def test_what_taught_it(meta, words):
    assert OnReal(name="x", meta=meta, scores={}).taught_by() == words


def test_the_order_is_told_where_intervals_part():
    apart = [found("a", 0.1, 0.3), found("b", 0.2, 0.6), found("c", 0.4, 0.7)]
    assert order_in_words(apart) == (
        'The whole interval of galaxylib.load("c") lies above that of galaxylib.load("a").'
    )
    assert "all the intervals overlap" in order_in_words(apart[:2])
