"""Whether longer trainings say what they should, on made-up ones whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
from reference_records import records

from galaxylib.paper.longer import longer_in_words, longer_rows, longer_shown, one_longer_in_words
from galaxylib.paper.reference import LONGER, Reference, Scatter

SHORT = {"one": 0.6, "another": 0.5, "third of them": 0.55}


@pytest.fixture
def run(tmp_path) -> Reference:
    """Three networks with three trainings each, and a longer one of two of them."""
    records(tmp_path, {"one": 0.9, "another": 0.51}, seeds=1, group=LONGER)
    records(tmp_path, SHORT, group="networks")
    return Reference.read(tmp_path)


def test_a_change_is_that_of_the_accuracies_and_its_interval_knows_both_chances(run):
    rows = {row["name"]: row for row in longer_rows(run)}
    assert set(rows) == {"one", "another"}
    scatter = Scatter.of([run.right(ones).mean(axis=1) for ones in run.of("networks").values()])
    for name, row in rows.items():
        before = np.mean([one.predicted == run.labels for one in run.of("networks")[name]])
        (longer,) = run.of(LONGER)[name]
        after = np.mean(longer.predicted == run.labels)
        assert (row["before"], row["after"]) == pytest.approx((before, after))
        assert row["change"] == pytest.approx(after - before)
        # One training beside three; two lines, so that each holds in 97.5 of 100 cases.
        alone = scatter.half_width(np.zeros(len(run.labels)), (1, 3), level=0.975)
        assert (row["high"] - row["low"]) / 2 > alone > 0
        assert row["clear"] == (not row["low"] <= 0 <= row["high"])
    assert rows["one"]["clear"]
    assert not rows["another"]["clear"]


def test_words_name_those_that_gain_and_whether_the_first_place_changes(run):
    rows = longer_rows(run)
    told = longer_in_words(rows, planned=2)
    assert "these gain from it: one." in told
    assert told.endswith("one stays the best.")
    swapped = [row | {"after": 1 - row["after"]} for row in rows]
    assert longer_in_words(swapped, planned=2).endswith("another takes the first place from one.")
    assert longer_in_words(rows, planned=3).endswith("Of the 3 lines 1 are still to come.")


def test_one_network_alone_is_told_with_its_passes_and_its_gain(run):
    rows = longer_rows(run)
    told = one_longer_in_words(rows, "one")
    assert f"of {rows[0]['epochs']} passes, names {rows[0]['after']:.1%} correctly" in told
    assert f"{100 * rows[0]['change']:+.1f} [{100 * rows[0]['low']:+.1f}" in told
    assert one_longer_in_words(rows, "third of them") == ""


def test_table_has_a_line_for_each(run):
    table = longer_shown(longer_rows(run))
    assert list(table.index) == ["one", "another"]
    assert table.loc["one", "accuracy, %"] == f"{100 * run.right(run.of('networks')['one']).mean():.1f}"
    none = replace(run, trainings=tuple(run.of("networks")["one"]))
    assert longer_rows(none) == []
    assert list(longer_shown([]).index) == ["none yet"]
    assert longer_in_words([], planned=3) == "None of these trainings is done yet."
