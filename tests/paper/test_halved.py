"""Whether trainings of half the passes say what they should, on made-up ones whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
from reference_records import records

from galaxylib.paper.halved import halved_in_words, halved_rows, halved_shown, one_halved_in_words
from galaxylib.paper.reference import HALVED, Reference, Scatter

WHOLE = {"one": 0.9, "another": 0.51, "third of them": 0.55}
HALF = {"one": 0.6, "another": 0.5}


@pytest.fixture
def run(tmp_path) -> Reference:
    """Three networks with three trainings each, and two of half the passes of two of them."""
    records(tmp_path, HALF, seeds=2, group=HALVED, epochs=6)
    records(tmp_path, WHOLE, group="networks", epochs=12)
    return Reference.read(tmp_path)


def test_a_change_is_that_of_the_accuracies_and_its_interval_knows_both_chances(run):
    rows = {row["name"]: row for row in halved_rows(run)}
    assert set(rows) == set(HALF)
    groups = [run.of(group) for group in (HALVED, "networks")]
    scatter = Scatter.of([run.right(ones).mean(axis=1) for group in groups for ones in group.values()])
    # Three networks of three trainings leave six degrees of freedom, two networks of two another two.
    assert scatter.freedom == 8
    for name, row in rows.items():
        before, after = (np.mean([one.predicted == run.labels for one in group[name]]) for group in groups)
        assert (row["before"], row["after"]) == pytest.approx((before, after))
        assert row["change"] == pytest.approx(after - before)
        # Two trainings beside three; two lines, so that each holds in 97.5 of 100 cases.
        alone = scatter.half_width(np.zeros(len(run.labels)), (2, 3), level=0.975)
        assert (row["high"] - row["low"]) / 2 > alone > 0
        assert row["clear"] == (not row["low"] <= 0 <= row["high"])
        assert (row["half"], row["epochs"]) == (6, 12)
    assert rows["one"]["clear"]
    assert not rows["another"]["clear"]


def test_losses_at_half_and_at_the_end_are_those_of_their_own_trainings(run):
    falling = {
        group: tuple(
            replace(one, history=[{"validation_loss": step * epoch} for epoch in range(len(one.history))])
            for one in run.trainings
            if one.group == group
        )
        for group, step in ((HALVED, -0.2), ("networks", -0.1))
    }
    rows = halved_rows(replace(run, trainings=sum(falling.values(), ())))
    assert [(row["half_change"], row["last_change"]) for row in rows] == [pytest.approx((-0.6, -0.3))] * 2


def test_words_name_those_that_gain_and_whether_the_first_place_changes(run):
    rows = halved_rows(run)
    told = halved_in_words(rows, planned=2)
    assert "these gain from it: one." in told
    assert told.endswith("one stays the best.")
    swapped = [row | {"after": 1 - row["after"]} for row in rows]
    assert halved_in_words(swapped, planned=2).endswith("another takes the first place from one.")
    assert halved_in_words(rows, planned=3).endswith("Of the 3 lines 1 are still to come.")


def test_one_network_alone_is_told_with_its_passes_and_its_gain(run):
    rows = halved_rows(run)
    told = one_halved_in_words(rows, "one")
    assert f"After {rows[0]['half']} passes it names {rows[0]['before']:.1%} correctly" in told
    assert f"{100 * rows[0]['change']:+.1f} [{100 * rows[0]['low']:+.1f}" in told
    assert one_halved_in_words(rows, "third of them") == ""


def test_table_has_a_line_for_each(run):
    table = halved_shown(halved_rows(run))
    assert list(table.index) == ["one", "another"]
    assert table.loc["one", "after half, %"] == f"{100 * run.right(run.of(HALVED)['one']).mean():.1f}"
    assert table.loc["one", "after all, %"] == f"{100 * run.right(run.of('networks')['one']).mean():.1f}"
    none = replace(run, trainings=tuple(run.of("networks")["one"]))
    assert halved_rows(none) == []
    assert list(halved_shown([]).index) == ["none yet"]
    assert halved_in_words([], planned=3) == "None of these trainings is done yet."
