"""The reference run: its records, and the arithmetic of what they are compared by."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from galaxylib.errors import GalaxyError
from galaxylib.paper import reference_page
from galaxylib.paper.figures import accuracy_figure
from galaxylib.paper.reference import (
    ABOUT,
    Reference,
    Scatter,
    Training,
    differences,
    digits,
    machines_of,
    network_rows,
    recalls,
)

LABELS = np.tile(np.arange(10), 40)
MADE = {"time": "2026-01-02T03:04:05+00:00", "hardware": {"processor": "a processor", "gpus": []}}
LOSSES = (1.9, 1.5, 1.4, 1.35, 1.34)


def training(name, seed, share, *, group="networks", train_accuracy=0.9):
    """One that is right about a share of the galaxies, drawn by the seed, and one class off on the others."""
    right = np.random.default_rng([seed, len(name)]).random(len(LABELS)) < share
    return Training(
        group=group,
        name=name,
        title=name.title(),
        seed=seed,
        recipe={"size": 96, "crop": 256},
        history=[
            {"epoch": number, "validation_loss": loss, "validation_accuracy": share, "train_loss": loss}
            | {"train_accuracy": share}
            for number, loss in enumerate(LOSSES, start=1)
        ],
        parameters=1000,
        seconds=60.0,
        train_accuracy=train_accuracy,
        predicted=np.where(right, LABELS, (LABELS + 1) % 10),
        made=MADE,
    )


@pytest.fixture
def run():
    trainings = [training("good", seed, 0.8) for seed in range(3)]
    trainings += [training("poor", seed, 0.5, train_accuracy=0.55) for seed in range(2)]
    about = {"planned": {"networks": {"poor": 3, "good": 3, "absent": 1}}, "fingerprint": "abc"}
    return Reference(about, LABELS, tuple(trainings))


def written(run, folder):
    (folder / "networks").mkdir()
    about = dict(run.about) | {"labels": "".join(map(str, run.labels))}
    (folder / ABOUT).write_text(json.dumps(about))
    for one in run.trainings:
        (folder / "networks" / f"{one.name}-{one.seed}.json").write_text(json.dumps(one.to_dict()))


def test_records_come_back_as_they_were(run, tmp_path):
    written(run, tmp_path)
    again = Reference.read(tmp_path)
    assert again.about["planned"] == run.about["planned"]
    np.testing.assert_array_equal(again.labels, run.labels)
    for one in run.trainings:
        (same,) = [two for two in again.of("networks")[one.name] if two.seed == one.seed]
        assert json.dumps(same.to_dict()) == json.dumps(one.to_dict())


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda text: text[: len(text) // 2], "no record of the reference run"),
        (lambda text: text.replace('"predicted"', '"said"'), "no record of a training"),
        (lambda text: json.dumps(json.loads(text) | {"predicted": "0123"}), "judges other galaxies"),
    ],
)
def test_a_harmed_record_is_named(run, tmp_path, harm, told):
    written(run, tmp_path)
    path = tmp_path / "networks" / "good-1.json"
    path.write_text(harm(path.read_text()))
    with pytest.raises(GalaxyError, match=f"good-1.json.*{told}|{told}"):
        Reference.read(tmp_path)


def test_no_run_at_all_is_told(tmp_path):
    with pytest.raises(GalaxyError, match="no record of the reference run"):
        Reference.read(tmp_path)


def test_digits():
    assert digits("0193").tolist() == [0, 1, 9, 3]


def test_scatter_is_the_pooled_variance():
    """Against SciPy's t-test of two samples, which pools in the same way."""
    first, second = np.array([0.50, 0.53, 0.55]), np.array([0.60, 0.61])
    scatter = Scatter.of([first, second])
    assert scatter.freedom == 3
    spread = scatter.deviation * np.sqrt(1 / 3 + 1 / 2)
    t = (first.mean() - second.mean()) / spread
    assert t == pytest.approx(stats.ttest_ind(first, second).statistic)
    # Galaxies without any chance of their own: Student's interval is left.
    interval = stats.ttest_ind(first, second).confidence_interval(0.95)
    half = scatter.half_width(np.full(50, 0.1), (3, 2))
    assert half == pytest.approx((interval.high - interval.low) / 2)


def test_one_training_each_leaves_the_chance_of_the_galaxies():
    right = np.arange(400) < 100
    scatter = Scatter.of([right[None].mean(axis=1)])
    assert (scatter.deviation, scatter.freedom) == (0.0, 0)
    normal = 1.96 * np.sqrt(0.25 * 0.75 / 399)
    assert scatter.half_width(right.astype(float), (1,)) == pytest.approx(normal, rel=1e-4)


def test_rows_of_the_networks(run):
    rows = network_rows(run, "networks")
    assert [row["name"] for row in rows] == [
        "poor",
        "good",
    ]  # the plan's order; what is not trained is absent
    poor, good = rows
    shares = [(one.predicted == LABELS).mean() for one in run.of("networks")["good"]]
    assert good["accuracy"] == pytest.approx(np.mean(shares))
    assert good["accuracy_low"] < good["accuracy"] < good["accuracy_high"]
    macro = [f1_score(LABELS, one.predicted, average="macro") for one in run.of("networks")["good"]]
    assert good["macro_f1"] == pytest.approx(np.mean(macro))
    assert (poor["seeds"], good["seeds"], good["size"], good["crop"]) == (2, 3, 96, 256)
    assert good["last_change"] == pytest.approx(1.34 - 1.5)
    shown = reference_page.networks_shown(rows)
    assert shown.loc["Good", "trainings"] == 3


def test_differences_know_both_chances(run):
    (row,) = differences(run, "networks", against={"good": "poor"})
    assert row["clear"] is True
    good, poor = (run.right(run.of("networks")[name]) for name in ("good", "poor"))
    assert row["change"] == pytest.approx(good.mean() - poor.mean())
    assert row["clear"]
    assert row["low"] > 0
    each = good.mean(axis=0) - poor.mean(axis=0)
    assert row["high"] - row["low"] > 2 * 1.96 * each.std(ddof=1) / np.sqrt(len(each))
    assert row["gap_change"] == pytest.approx((0.9 - good.mean()) - (0.55 - poor.mean()))


def test_equals_are_not_told_apart_and_more_comparisons_widen():
    twins = [training(name, seed, 0.6) for name in ("one", "two", "six") for seed in range(3)]
    about = {"planned": {"networks": dict.fromkeys(("one", "two", "six"), 3)}}
    run = Reference(about, LABELS, tuple(twins))
    (alone,) = differences(run, "networks", against={"two": "one"})
    both = differences(run, "networks", against={"two": "one", "six": "one"})
    assert not alone["clear"]
    assert both[0]["high"] - both[0]["low"] > alone["high"] - alone["low"]


def test_recalls_are_shares_of_a_class(run):
    trainings = run.of("networks")["good"]
    table = recalls(run, trainings)
    share = run.right(trainings)[:, LABELS == 1].mean()
    assert table.loc["Merging", "recall"] == pytest.approx(share)
    assert table.loc["Merging", "galaxies"] == 40
    assert table.loc["Merging", "low"] < share < table.loc["Merging", "high"]
    # Whatever is wrong was given the next class.
    assert table.loc["Merging", "taken_for"] == "Round Smooth"
    assert table.loc["Merging", "share"] == pytest.approx(1 - share)


def test_words(run):
    rows = differences(run, "networks", against={"good": "poor"})
    assert reference_page.changes_in_words(rows, planned=1).startswith(
        "By more than chance, these raise the accuracy: Good."
    )
    assert "Of the 3 lines 2 are still to come." in reference_page.changes_in_words(rows, planned=3)
    same = [rows[0] | {"clear": False}]
    assert reference_page.changes_in_words(same, planned=1).startswith(
        "No difference in accuracy is larger than chance."
    )
    assert reference_page.changes_in_words([], planned=2) == "None of these trainings is done yet."
    assert reference_page.differences_shown([], what="network").index.tolist() == ["none yet"]
    assert reference_page.progress_in_words(run).startswith("So far 5 of the 7 trainings")
    whole = replace(run, about={"planned": {"networks": {"good": 3, "poor": 2}}})
    assert reference_page.progress_in_words(whole) == "All 5 trainings of its plan are done."
    assert reference_page.listed(["a", "b", "c"]) == "a, b and c"
    assert run.machines("networks") == "a processor, 2026-01-02"
    later = {"time": "2026-01-03T00:00:00", "hardware": {"processor": "another", "gpus": ["a GPU"]}}
    assert machines_of([MADE, later]) == "a GPU and a processor, 2026-01-02 to 2026-01-03"
    assert [reference_page.minutes(pair) for pair in ((30, 930), (100, 110))] == ["0.5 to 16", "2"]


def test_one_line_in_words(run):
    rows = differences(run, "networks", against={"good": "poor"})
    change = 100 * rows[0]["change"]
    assert f"changes the accuracy by {change:+.1f} [" in reference_page.one_in_words(rows, "Good")
    assert reference_page.one_in_words(rows, "other") == "in the reference run it is still to come"


@pytest.mark.parametrize("again", [(), ("good",), ("good", "poor")])
def test_too_few_trainings_tell_no_effect(run, again):
    """Up to two degrees of freedom the interval is that of the galaxies, and no effect is clear."""
    firsts = tuple(one for one in run.trainings if one.seed == 0 or (one.seed == 1 and one.name in again))
    (row,) = differences(replace(run, trainings=firsts), "networks", against={"good": "poor"})
    assert row["clear"] is None
    assert reference_page.clear_ones([row], up=True) == []
    assert reference_page.changes_in_words([row], planned=1).startswith("Too few were trained again so far")
    assert reference_page.differences_shown([row], what="network").iloc[0, 2] == "not known yet"
    good, poor = (run.right([one for one in firsts if one.name == name]) for name in ("good", "poor"))
    each = good.mean(axis=0) - poor.mean(axis=0)
    chance = 1.96 * each.std(ddof=1) / np.sqrt(len(each))
    assert row["high"] - row["low"] == pytest.approx(2 * chance, rel=1e-3)


def test_figures_have_a_line_for_each_network(run):
    rows = network_rows(run, "networks")
    curves = {row["name"]: (range(1, 6), LOSSES) for row in rows}
    figure = accuracy_figure(rows, curves, along="pass")
    assert len(figure.axes[1].lines) == len(rows)
    curves = reference_page.learning_figure(run, group="networks", name="good")
    assert [len(axis.lines) for axis in curves.axes] == [6, 6]
