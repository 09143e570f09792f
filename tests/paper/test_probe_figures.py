"""Heat maps show the figures that a report holds, in an order that a reader can follow."""

import pandas as pd
import pytest

from galaxylib.paper.probes import (
    KINDS,
    carried_over,
    clear,
    facts,
    heat_map,
    heat_map_alt,
    real_figure,
    real_figure_alt,
    real_said,
    table,
)


def read_out(r2, *, gain_low):
    one = {"r2": r2, "low": r2 - 0.1, "high": r2 + 0.1}
    kinds = {kind: one for kind in KINDS if kind != "gain"}
    return kinds | {"galaxies": 9, "control": 0.1, "gain": r2 - 0.1, "gain_low": gain_low, "gain_high": r2}


REPORT = {
    "networks": {
        "tiny": {
            "stages": {
                "stem": {
                    "arm_pitch": read_out(-0.004, gain_low=-0.2),
                    "colour": read_out(0.7, gain_low=-0.1),
                },
                "lam": {"arm_pitch": read_out(0.9, gain_low=0.5), "colour": read_out(0.2, gain_low=-0.3)},
            }
        }
    }
}
QUESTION = {"question": "a bar", "parameter": "bar_fraction", "stage": "lam", "r2_drawn": 0.7, "sign": 1}
ANSWER = {"n": 99, "rho": 0.35, "low": 0.24, "high": 0.46, "control": 0.04, "carries_over": True}
REAL = {"networks": {"tiny": {"questions": [QUESTION | ANSWER, QUESTION | ANSWER | {"rho": 0.3}]}}}


def test_the_heat_map_holds_the_reports_figures():
    found = table(REPORT, "tiny", kind="gain")
    expected = pd.DataFrame({"stem": [-0.104, 0.6], "lam": [0.8, 0.1]}, index=["arm_pitch", "colour"])
    pd.testing.assert_frame_equal(found, expected)
    assert clear(REPORT, "tiny").to_numpy().tolist() == [[False, True], [False, False]]
    axis = heat_map(REPORT, "tiny").axes[0]
    told = [(text.get_text(), text.get_weight()) for text in axis.texts]
    assert told == [("0.00", "normal"), ("0.90", "bold"), ("0.70", "normal"), ("0.20", "normal")]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["arm pitch", "colour"]
    words = heat_map_alt(REPORT, "tiny")
    assert "2 parameters by 2 stages" in words
    assert "arm pitch 0.90 in lam; colour 0.70 in stem" in words


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_drawn(kind):
    assert heat_map(REPORT, "tiny", kind=kind).axes[1].get_ylabel() == KINDS[kind]


def test_rank_correlations_stand_with_their_intervals():
    rows = carried_over(REAL, "tiny")
    assert rows["rho"].tolist() == [0.35, 0.3]
    axis = real_figure(REAL, "tiny").axes[0]
    assert axis.containers[0].lines[0].get_xdata().tolist() == [0.35, 0.3]
    assert len(axis.get_yticklabels()) == 2
    assert "bar fraction with a bar 0.35 (0.24 to 0.46), random 0.04" in real_figure_alt(REAL, "tiny")


def test_sentences_tell_what_the_tables_hold():
    told = facts(REPORT | {"twins": 3}, "tiny")
    assert (told["galaxies"], told["twins"]) == ("9", 3)
    assert "Of 2 properties, 1 are read better" in told["said"]
    assert "arm pitch 0.90 in lam, where training adds 0.80" in told["said"]
    assert "tell of colour" in told["said"]
    assert "Within the classes, 1 of the 1 are still read: arm pitch." in told["said"]


def test_a_property_that_only_the_class_tells_is_not_called_known():
    stages = {
        "lam": {"arm_pitch": read_out(0.9, gain_low=0.5) | {"within": {"r2": 0.0, "low": -0.1, "high": 0.1}}}
    }
    told = facts({"twins": 1, "networks": {"tiny": {"stages": stages}}}, "tiny")["said"]
    assert "Within the classes, none of them is read any more." in told


def test_what_does_not_carry_over_is_named():
    lost = QUESTION | ANSWER | {"parameter": "arm_count", "carries_over": False, "rho": 0.1}
    told = real_said({"networks": {"tiny": {"questions": [QUESTION | ANSWER, lost]}}}, "tiny")
    assert "1 of 2 pairs of a read-out and a question carry over, which are 1 of the 2 read-outs" in told
    assert "bar fraction (0.35)" in told
    assert "Not beyond chance or random weights: arm count." in told
