"""Which run answers a claim: conditions, networks that learned nothing, one class, the reference run."""

import json

import numpy as np
import pytest
import yaml
from conftest import CLAIMS, MEASURED
from reference_records import LABELS, records, vote_training
from sklearn.metrics import recall_score

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import GalaxyError
from galaxylib.paper.ablations import WHOLE
from galaxylib.paper.chapter_results import GALAXIES, Results
from galaxylib.paper.claim_checks import Evidence
from galaxylib.paper.claims import load_claims
from galaxylib.paper.conditions import (
    asked_in_words,
    conditions_of,
    conditions_of_checkpoint,
    had_in_words,
    unmet,
)
from galaxylib.paper.ledger import Verdict, judge
from galaxylib.paper.reference import ABOUT, Reference
from galaxylib.paper.reference_claims import as_chapter
from galaxylib.training.recipes import PAPER_RECIPE, QUICK

REAL = {"kind": "real", "n_galaxies": GALAXIES}
SIMULATED = {"kind": "simulated", "n_galaxies": 4000}


@pytest.fixture
def found(tmp_path):
    """The finding on one claim, whose fields a test may change, after the results given."""

    def judged(outputs, reference=None, *, conditions=None, **changes):
        claim = {"id": "000-x", "where": "section 1", "says": "half", "value": 0.5, "kind": "score"}
        claim |= {"source": "04_evaluation/accuracy", "tolerance": 0.01} | changes
        content = {"seeds": {"000": {"short": "paper"}}, "facts": {}, "tables": [], "texts": {"000": [claim]}}
        content |= {"conditions": conditions or {}}
        (tmp_path / "claims.yml").write_text(yaml.safe_dump(content))
        (tmp_path / "run").mkdir(exist_ok=True)
        for old in (tmp_path / "run").glob("*.json"):
            old.unlink()
        for name, results in outputs.items():
            (tmp_path / "run" / f"{name}.json").write_text(json.dumps(results))
        evidence = Evidence(load_claims(tmp_path / "claims.yml"), MEASURED)
        return judge(Results(evidence, tmp_path / "run", reference=reference))[0]

    return judged


def whole_ledger(outputs, tmp_path, reference=None):
    for name, results in outputs.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(results))
    results = Results(Evidence(load_claims(CLAIMS), MEASURED), tmp_path, reference=reference)
    return {finding.claim.id: finding for finding in judge(results)}


# --- conditions ---------------------------------------------------------------------------------------------

ASKED = {"paper": {"width": 1.0, "size": 256, "epochs": 180, "train_images": 11_487}}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.REPRODUCED),
        ({"epochs": 170}, Verdict.REPRODUCED),
        ({"train_images": 13_088}, Verdict.REPRODUCED),
        ({"epochs": 10}, Verdict.OTHER_CONDITIONS),
        ({"width": 0.25}, Verdict.OTHER_CONDITIONS),
        ({"size": 64}, Verdict.OTHER_CONDITIONS),
        ({"train_images": 800}, Verdict.OTHER_CONDITIONS),
        ({"size": None}, Verdict.OTHER_CONDITIONS),
    ],
)
def test_another_training_does_not_answer_a_score(found, changes, verdict):
    had = ASKED["paper"] | changes
    run = {"04_evaluation": REAL | {"accuracy": 0.5, "conditions": had}}
    assert found(run, conditions=ASKED, under="paper").verdict is verdict


def test_the_papers_accuracy_on_the_real_file(tmp_path):
    """After ten epochs at a quarter of the width, 61 % on the real file says nothing of the paper's 87 %."""
    scores = REAL | {"macro_f1": 0.85, "weighted_f1": 0.86}
    for recipe, accuracy, verdict in (
        (QUICK, 0.61, Verdict.OTHER_CONDITIONS),
        (PAPER_RECIPE, 0.865, Verdict.REPRODUCED),
        (PAPER_RECIPE, 0.61, Verdict.DIFFERS),
    ):
        had = conditions_of(recipe.to_dict(), train_images=12_770, simulated=False)
        run = {"04_evaluation": scores | {"accuracy": accuracy, "conditions": had}}
        finding = whole_ledger(run, tmp_path)["000-accuracy"]
        assert finding.verdict is verdict
        if verdict is Verdict.OTHER_CONDITIONS:
            assert finding.remark == (
                "the claim is about width 1, 256 px, 180 epochs, 11,487 training images, real galaxies; the "
                "run had width 0.25, 64 px, 10 epochs, 12,770 training images, real galaxies"
            )


def test_the_papers_conditions_are_its_recipe():
    """The claims file and the paper's recipe in the library cannot drift apart."""
    asked = load_claims(CLAIMS).conditions["dmagnet"]
    had = conditions_of(PAPER_RECIPE.to_dict(), train_images=asked["train_images"], simulated=False)
    assert unmet(asked, {"conditions": had}) == []
    assert {name: had[name] for name in asked} == asked


def test_a_checkpoint_tells_the_conditions_of_its_training():
    meta = {
        "recipe": PAPER_RECIPE.to_dict(),
        "data": {"fingerprint": "a file", "galaxies": 17_736, "simulated": False},
    }
    asked = load_claims(CLAIMS).conditions["dmagnet"]
    of_its_file = conditions_of_checkpoint(meta, fingerprint="a file", trained_on=asked["train_images"])
    assert unmet(asked, {"conditions": of_its_file}) == []
    elsewhere = conditions_of_checkpoint(meta, fingerprint="another", trained_on=asked["train_images"])
    assert elsewhere["train_images"] == 17_736
    assert conditions_of_checkpoint({"recipe": meta["recipe"]}, fingerprint="", trained_on=1) == {}


REFERENCE_ALONE = {"parts_width", "parts_epochs", "parts_seeds"}
"""Conditions of what only the reference run trains."""


def test_the_chapters_report_the_conditions_that_are_asked():
    printed = load_claims(CLAIMS)
    told = set(conditions_of(QUICK.to_dict(), train_images=1, simulated=True))
    for claim in printed.claims.values():
        chapter = claim.source.split("/")[0]
        source = (CLAIMS.parent / f"{chapter}.py").read_text() if claim.under else ""
        for key in printed.conditions.get(claim.under, {}):
            known = told if "conditions_of" in source else REFERENCE_ALONE
            step = key.split("/")[0]
            assert step in known or f'"{step}"' in source, (claim.id, key)
    assert {claim.under for claim in printed.claims.values()} == {"", *printed.conditions}


def test_conditions_stand_beside_the_results_too():
    content = {"conditions": {"sizes": {"convnet": 48}}, "trial_epochs": 1}
    asked = {"sizes/convnet": 128, "trial_epochs": 50, "trial_images": 14_189, "trial_seeds": None}
    assert unmet(asked, content) == ["sizes/convnet", "trial_epochs", "trial_images"]
    assert had_in_words(asked, content) == "48 px, 1 epoch"
    assert asked_in_words(asked) == "128 px, 50 epochs, 14,189 training images"


def test_a_strict_comparison_asks_its_conditions_of_drawn_galaxies(found):
    conditions = {"long": {"epochs": 15}}
    of = {"kind": "comparison", "conditions": conditions, "under": "long"}
    short, long = ({"04_evaluation": SIMULATED | {"accuracy": 0.5, "epochs": n}} for n in (2, 15))
    assert found(short, **of).verdict is Verdict.SIMULATED
    assert found(short, **of, strictly=True).verdict is Verdict.OTHER_CONDITIONS
    assert found(long, **of, strictly=True).verdict is Verdict.SIMULATED


def test_settings_are_those_of_the_run(tmp_path):
    for recipe, size, rotation in (
        (QUICK, Verdict.DEPARTED, Verdict.FOLLOWED),
        (PAPER_RECIPE.but(rotate=0.0), Verdict.FOLLOWED, Verdict.DEPARTED),
    ):
        run = {"03_training": SIMULATED | {"recipe": recipe.to_dict()}}
        findings = whole_ledger(run, tmp_path)
        assert (findings["000-size"].verdict, findings["000-rotation"].verdict) == (size, rotation)


# --- networks that learned nothing --------------------------------------------------------------------------

BETTER = {"kind": "comparison", "compare": "above", "value": 0, "unit": "%"}
RESULTS = "05_baselines/results"


def baselines(first, second, **more):
    """Two networks by accuracy and the half width of its interval; 15 of 100 test galaxies are one class."""
    rows = [
        {"name": name, "accuracy": value, "accuracy_low": value - half, "accuracy_high": value + half}
        for name, (value, half) in (("a", first), ("b", second))
    ]
    return {
        "05_baselines": SIMULATED | {"results": rows, "n_test": 100, "supports": {"x": 15, "y": 85}} | more
    }


def test_networks_at_the_level_of_guessing_compare_nothing(found):
    of = BETTER | {"source": f"{RESULTS}/name=a/accuracy - {RESULTS}/name=b/accuracy"}
    guess = {"x": 15, **{f"y{n}": 5 for n in range(17)}}
    for first, second, verdict in (
        ((0.40, 0.1), (0.30, 0.1), Verdict.SIMULATED),
        ((0.40, 0.1), (0.20, 0.1), Verdict.NOT_LEARNED),
        ((0.15, 0.1), (0.14, 0.1), Verdict.NOT_LEARNED),
        ((0.30, 0.1), (0.40, 0.1), Verdict.DIFFERS_SIMULATED),
    ):
        assert found(baselines(first, second, supports=guess), **of).verdict is verdict


def test_a_change_from_a_network_that_learned_nothing(found):
    """The line itself stands clear of guessing at 60 %, what it is compared with does not."""
    of = BETTER | {"source": "05_baselines/experiments/experiment=RMSprop/change"}
    for change, verdict in ((0.05, Verdict.SIMULATED), (0.45, Verdict.NOT_LEARNED)):
        row = {
            "experiment": "RMSprop",
            "accuracy": 0.6,
            "low": 0.55,
            "high": 0.65,
            "change": change,
            "p": 0.0,
        }
        run = {"05_baselines": SIMULATED | {"experiments": [row], "n_test": 450}}
        assert found(run, **of).verdict is verdict


def test_stages_recalls_and_two_answers(found):
    low, high = ((0.2, 0.1), (0.2, 0.1)), ((0.6, 0.1), (0.6, 0.1))
    guess = {"Merging": 15, **{f"y{n}": 5 for n in range(17)}}
    for accuracies, share, verdict in ((low, 0.16, Verdict.NOT_LEARNED), (high, 0.6, Verdict.SIMULATED)):
        run = baselines(
            *accuracies,
            supports=guess,
            recall={"a": {"Merging": 0.0}},
            most_confused={"a": "x, y"},
            stages=[{"stage": "second", "test": share, "change": 0.01, "p": 0.0}],
            binary={"accuracy": share + 0.1, "merged": share, "ten": share, "p": 0.0},
        )
        for source in (
            f"{RESULTS}/name=a/accuracy - 05_baselines/recall/a/Merging",
            "05_baselines/stages/stage=second/change",
            "05_baselines/binary/accuracy - 05_baselines/binary/merged",
        ):
            assert found(run, **BETTER, source=source).verdict is verdict, source
        words = {"kind": "comparison", "value": "x, y", "source": "05_baselines/most_confused/a"}
        assert found(run, **words).verdict is verdict


def test_votes_no_better_than_the_mean(found):
    of = {"kind": "comparison", "compare": "above", "value": 0}
    of |= {"source": "07_votes/results/model=a/rmse - 07_votes/results/model=b/rmse"}
    for guess, verdict in ((0.2, Verdict.SIMULATED), (0.155, Verdict.NOT_LEARNED)):
        rows = [
            {"model": "a", "rmse": 0.15, "low": 0.14, "high": 0.16},
            {"model": "b", "rmse": 0.13, "low": 0.12, "high": 0.14},
        ]
        run = {"07_votes": {"kind": "simulated", "n": 1400, "results": rows, "guess_rmse": guess}}
        assert found(run, **of).verdict is verdict


def test_dreams_of_a_network_that_learned_nothing(found):
    own = "the network of this run"
    assert f'"": "{own}"' in (CLAIMS.parent / "06_deepdream.py").read_text()
    of = {"kind": "comparison", "compare": "above", "value": 0, "source": "06_deepdream/gain"}
    for network, low, verdict in (
        (own, 0.1, Verdict.NOT_LEARNED),
        (own, 0.5, Verdict.SIMULATED),
        ("the network that comes with the book", 0.1, Verdict.SIMULATED),
    ):
        run = {"06_deepdream": SIMULATED | {"gain": 1, "network": network}}
        run |= {"04_evaluation": SIMULATED | {"accuracy_low": low}}
        assert found(run, **of).verdict is verdict


# --- one class ----------------------------------------------------------------------------------------------


def test_a_recall_has_the_chance_of_its_class(found):
    """Of 94 galaxies a recall is known to ten points; the 900 of all classes would make five of it."""
    of = BETTER | {"noise": "class", "source": f"{RESULTS}/name=a/accuracy - 05_baselines/recall/a/Merging"}
    supports = {"Merging": 94, **{f"y{n}": 90 for n in range(9)}}
    for recall, verdict in ((0.52, Verdict.CLOSE), (0.68, Verdict.CLOSE), (0.48, Verdict.SIMULATED)):
        run = baselines((0.6, 0.05), (0.6, 0.05), supports=supports, recall={"a": {"Merging": recall}})
        assert found(run, **of).verdict is verdict


def test_a_printed_recall_is_close_within_the_chance_of_its_class(found):
    of = {"noise": "class", "unit": "%", "value": 90, "tolerance": 5, "source": "05_baselines/recall/a/Cigar"}
    supports = {"Cigar": 33, "others": 1740}
    for recall, verdict in (
        (0.88, Verdict.REPRODUCED),
        (0.75, Verdict.CLOSE),
        (0.60, Verdict.DIFFERS),
    ):
        run = {"05_baselines": REAL | {"supports": supports, "recall": {"a": {"Cigar": recall}}}}
        assert found(run, **of).verdict is verdict


# --- the reference run --------------------------------------------------------------------------------------

BASE = "ConvNet as printed"
RMSPROP = {"source": "05_baselines/experiments/experiment=RMSprop/change", "noise": "p"}
WORSE = RMSPROP | {"kind": "comparison", "compare": "below", "value": 0, "unit": "%"}
GAP = WORSE | {"source": "05_baselines/experiments/experiment=RMSprop/gap_change", "noise": "interval"}


def own_run(change):
    row = {"experiment": "RMSprop", "accuracy": 0.6, "low": 0.55, "high": 0.65, "change": change, "p": 0.001}
    return {"05_baselines": SIMULATED | {"experiments": [row], "n_test": 450}}


def test_the_reference_run_judges_what_it_has(found, tmp_path):
    """The page's short run says that RMSprop is better; the reference run says worse, and is believed."""
    folder = tmp_path / "long"
    assert found(own_run(0.1), folder, **WORSE).verdict is Verdict.DIFFERS_SIMULATED  # no folder yet
    records(folder, {BASE: 0.8, "RMSprop": 0.6})
    conditions = {"convnet": {"trial_sizes/convnet": 128, "trial_epochs": 50, "trial_seeds": None}}
    finding = found(own_run(0.1), folder, conditions=conditions, under="convnet", **WORSE)
    assert finding.verdict is Verdict.SIMULATED
    assert finding.remark == (
        "in the reference run, on AMD EPYC, 2026-11-26: 12 epochs, 3 trainings of each, 128 px; "
        "the claim is about 50 epochs, 128 px"
    )
    assert finding.computed == pytest.approx(-20, abs=5)


def test_what_the_reference_run_lacks_this_run_judges(found, tmp_path):
    records(tmp_path / "long", {BASE: 0.8})
    finding = found(own_run(0.1), tmp_path / "long", **WORSE)
    assert (finding.verdict, finding.remark) == (Verdict.DIFFERS_SIMULATED, "")
    nothing = found({}, tmp_path / "long", **WORSE)
    assert nothing.verdict is Verdict.NOT_RUN
    stages = WORSE | {"source": "05_baselines/stages/stage=second/change"}
    run = {"05_baselines": SIMULATED | {"stages": [], "n_test": 450}}
    assert found(run, tmp_path / "long", **stages).verdict is Verdict.NOT_RUN


def test_the_reference_run_tells_chance_and_guessing_too(found, tmp_path):
    for number, (shares, verdict) in enumerate(
        (
            ({BASE: 0.80, "RMSprop": 0.79}, Verdict.CLOSE),
            ({BASE: 0.80, "RMSprop": 0.60}, Verdict.SIMULATED),
            ({BASE: 0.60, "RMSprop": 0.80}, Verdict.DIFFERS_SIMULATED),
            ({BASE: 0.10, "RMSprop": 0.09}, Verdict.NOT_LEARNED),
        )
    ):
        records(tmp_path / str(number), shares)
        assert found({}, tmp_path / str(number), **WORSE).verdict is verdict, shares
    once = tmp_path / "once"
    records(once, {BASE: 0.8, "RMSprop": 0.6}, seeds=1)
    assert found({}, once, **WORSE).verdict is Verdict.CLOSE  # nobody knows the chance of a training


def test_overfitting_is_the_gap_between_training_and_test(found, tmp_path):
    """Both know nine tenths of the training images; the one that is worse on the test overfits more."""
    records(tmp_path / "long", {BASE: 0.8, "RMSprop": 0.6})
    more = found({}, tmp_path / "long", **GAP | {"compare": "above"})
    assert more.verdict is Verdict.SIMULATED
    assert more.computed == pytest.approx(20, abs=5)
    assert found(own_run(0.1), None, **GAP).verdict is Verdict.NOT_RUN
    records(tmp_path / "once", {BASE: 0.8, "RMSprop": 0.6}, seeds=1)
    assert found({}, tmp_path / "once", **GAP).verdict is Verdict.CLOSE


def test_parts_of_dmagnet(found, tmp_path):
    records(tmp_path / "long", {WHOLE: 0.8, "no DLK": 0.6}, group="parts")
    of = WORSE | {"source": "05_baselines/parts/name=no DLK/change", "noise": "interval"}
    assert found({}, tmp_path / "long", **of).verdict is Verdict.SIMULATED


def test_the_reference_run_answers_nothing_about_real_images(found, tmp_path):
    records(tmp_path / "long", {BASE: 0.8, "RMSprop": 0.6})
    real = {"05_baselines": own_run(0.1)["05_baselines"] | REAL}
    assert found(real, tmp_path / "long", **WORSE).verdict is Verdict.DIFFERS
    assert found({"01_data": REAL}, tmp_path / "long", **WORSE).verdict is Verdict.NOT_RUN
    score = {"source": f"05_baselines/experiments/experiment={BASE}/accuracy"}
    finding = found({}, tmp_path / "long", **score)
    assert finding.verdict is Verdict.NEEDS_FILE
    assert finding.remark == "in the reference run, on AMD EPYC, 2026-11-26: on simulated galaxies"


def test_recalls_and_confusions_of_the_reference_run(tmp_path):
    """Every wrong galaxy is taken for the next class: each pair of neighbours as scikit-learn counts it."""
    records(tmp_path, {"convnet": 0.8}, seeds=1, group="networks")
    reference = Reference.read(tmp_path)
    content = as_chapter(reference)
    (one,) = reference.trainings
    shares = recall_score(LABELS, one.predicted, average=None)
    assert list(content["recall"]["convnet"].values()) == pytest.approx(shares)
    wrong = np.bincount(LABELS[one.predicted != LABELS], minlength=10)
    assert wrong.max() > np.sort(wrong)[-2]  # no tie
    pair = {CLASS_NAMES[wrong.argmax()], CLASS_NAMES[(wrong.argmax() + 1) % 10]}
    assert set(content["most_confused"]["convnet"].split(", ")) == pair
    assert content["supports"] == dict.fromkeys(CLASS_NAMES, 40)


def test_a_broken_reference_run_is_told(tmp_path):
    (tmp_path / ABOUT).write_text("{")
    with pytest.raises(GalaxyError, match="no record of the reference run"):
        Results(Evidence(load_claims(CLAIMS), MEASURED), tmp_path / "none", reference=tmp_path)


def test_the_reference_run_judges_the_networks_of_votes(tmp_path):
    """At the printed passes, on drawn galaxies."""
    records(tmp_path, {"ConvNet as printed": 0.7})
    (tmp_path / "votes").mkdir()
    for name, factor in (("cnn", 1.5), ("resnet", 1.0), ("tailored", 0.6)):
        for seed in range(3):
            one = vote_training(name, seed, factor, epochs=25 if name == "tailored" else 15)
            (tmp_path / "votes" / f"{name}-{seed}.json").write_text(json.dumps(one.to_dict()))
    found = whole_ledger({}, tmp_path, reference=tmp_path)
    for name in ("004-resnet-better", "004-tailored-better"):
        assert found[name].verdict is Verdict.SIMULATED
        assert "in the reference run" in found[name].remark
    for name in ("cnn", "resnet", "tailored"):  # scores, which only the real file answers
        assert found[f"004-{name}"].verdict is Verdict.NEEDS_VOTES
