"""The claims file and its checks, against hand counts, scikit-learn, SciPy and brute force."""

import csv
import itertools
import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import CLAIMS, MEASURED, shared_data
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import (
    classification_report,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
)
from sklearn.model_selection import train_test_split

from benchmarks.published_labels import guesses
from galaxylib.data.galaxy10 import CLASS_COUNTS, CLASS_NAMES
from galaxylib.data.sky import Catalogue
from galaxylib.errors import GalaxyError
from galaxylib.networks.dmagnet import DMAGNet
from galaxylib.paper.chapter_results import CHAPTERS, GALAXIES, VOTED_ON, Results
from galaxylib.paper.claim_checks import Evidence, averages, class_scores, matchings
from galaxylib.paper.claim_sources import CHECKS
from galaxylib.paper.claims import load_claims
from galaxylib.paper.error_analysis import confused_pairs
from galaxylib.paper.ledger import Verdict, as_table, judge
from galaxylib.paper.significance import chance
from galaxylib.votes.zoo2 import CHALLENGE_IDS, SOLUTIONS


@pytest.fixture(scope="module")
def evidence(printed):
    return Evidence(printed, MEASURED)


@pytest.fixture
def small(tmp_path):
    """A claims file of one claim, whose fields a test may change."""

    def write(**changes):
        claim = {"id": "000-x", "where": "section 1", "says": "half", "value": 0.5, "kind": "score"}
        claim |= {"source": "04_evaluation/accuracy", "tolerance": 0.01} | changes
        content = {"seeds": {"000": {"short": "paper"}}, "facts": {}, "tables": [], "texts": {"000": [claim]}}
        path = tmp_path / "claims.yml"
        path.write_text(yaml.safe_dump(content))
        return load_claims(path)

    return write


def verdicts(printed, outputs, catalogue=None):
    findings = judge(Results(Evidence(printed, MEASURED, catalogue), outputs))
    return {finding.claim.id: finding for finding in findings}


# --- the permuted names -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_class_names_by_brute_force(printed, evidence):
    """Every one of the 10! assignments, by SciPy's optimum and by counting permutations."""
    supports = printed.table("000-table-3-support")["support"].to_numpy()
    counts = printed.table("000-counts")["images"]
    errors = np.abs(supports[:, None] - supports.sum() / counts.sum() * counts.to_numpy()[None])
    rows, columns = linear_sum_assignment(errors)
    found = CHECKS["names"](evidence)
    assert list(found["assigned"].values()) == [counts.index[column] for column in columns]
    assert found["largest_error"] == pytest.approx(errors[rows, columns].max())
    fits = errors <= 1
    perfect = sum(
        all(fits[row, column] for row, column in enumerate(order))
        for order in itertools.permutations(range(10))
        if fits[0, order[0]]
    )
    assert found["assignments"] == perfect == 1
    assert found["rows_named_right"] == 0


def test_a_stratified_draw_gives_the_printed_supports(printed, evidence):
    """scikit-learn's own stratified split of the 17,736 labels has exactly Table 3's supports."""
    labels = np.repeat(list(CLASS_COUNTS), list(CLASS_COUNTS.values()))
    _, test = train_test_split(labels, test_size=3194, stratify=labels, random_state=42)
    drawn = pd.Series(test).value_counts()
    supports = printed.table("000-table-3-support")["support"]
    for row, name in CHECKS["names"](evidence)["assigned"].items():
        assert abs(drawn[name] - supports[row]) <= 1


def test_ambiguous_supports_have_many_matchings():
    supports, counts = {"a": 10, "b": 11, "c": 30}, {"x": 100, "y": 110, "z": 300}
    assert matchings(supports, counts, tolerance=0.5) == [{"a": "x", "b": "y", "c": "z"}]
    assert len(matchings(supports, counts, tolerance=2)) == 2
    assert matchings({"a": 20, "b": 31}, {"x": 100, "z": 410}, tolerance=1) == []


def test_second_assignment_fits_where_it_says(printed, evidence):
    supports = printed.table("000-table-3-support")["support"].to_dict()
    limit = CHECKS["names"](evidence)["second_fits_at"]
    assert len(matchings(supports, CLASS_COUNTS, tolerance=limit - 1e-6)) == 1
    assert len(matchings(supports, CLASS_COUNTS, tolerance=limit + 1e-6)) == 2


# --- Tables 2 and 3 -----------------------------------------------------------------------------------------


def report_of(matrix):
    """scikit-learn's report on galaxies drawn out of a confusion matrix one by one."""
    counts = matrix.to_numpy()
    true, called = (np.repeat(places.ravel(), counts.ravel()) for places in np.indices(counts.shape))
    return classification_report(true, called, target_names=list(matrix.index), output_dict=True)


def test_scores_as_scikit_learn(printed):
    matrix = printed.table("000-table-2")
    oracle, scores, means = report_of(matrix), class_scores(matrix), averages(matrix)
    for name in matrix.index:
        for ours, theirs in (("precision",) * 2, ("recall",) * 2, ("f1", "f1-score"), ("support",) * 2):
            assert scores.loc[name, ours] == pytest.approx(oracle[name][theirs])
    assert means["Accuracy"]["f1"] == pytest.approx(oracle["accuracy"]) == pytest.approx(2763 / 3194)
    for ours, theirs in (("Macro avg.", "macro avg"), ("Weighted avg.", "weighted avg")):
        assert means[ours]["precision"] == pytest.approx(oracle[theirs]["precision"])
        assert means[ours]["recall"] == pytest.approx(oracle[theirs]["recall"])
        assert means[ours]["f1"] == pytest.approx(oracle[theirs]["f1-score"])


def test_table_3_follows_from_table_2(evidence):
    found = CHECKS["matrix"](evidence)
    assert (found["cells"], found["cells_that_follow"]) == (40, 40)
    assert (found["right"], found["total"]) == (2763, 3194)
    # Wilson's interval by its formula.
    z, n, p = 1.959963984540054, 3194, 2763 / 3194
    half = z * np.sqrt(p * (1 - p) / n + z**2 / 4 / n**2) / (1 + z**2 / n)
    centre = (p + z**2 / 2 / n) / (1 + z**2 / n)
    assert (found["accuracy_low"], found["accuracy_high"]) == pytest.approx((centre - half, centre + half))


def test_a_wrong_cell_of_table_3_is_found(printed):
    table = printed.table("000-table-3").copy()
    table.loc["Disturbed", "f1"] = 0.86
    wrong = replace(printed, tables={**printed.tables, "000-table-3": table})
    assert CHECKS["matrix"](Evidence(wrong, MEASURED))["cells_that_follow"] == 39


def test_corrected_tables_by_hand(evidence):
    found = CHECKS["corrected"](evidence)
    assert found["worst"] == "Disturbed"
    assert found["scores"]["Disturbed"]["support"] == 195
    assert found["scores"]["Disturbed"]["f1"] == pytest.approx(2 * 112 / (150 + 195))
    assert found["confusion"]["Barred Spiral"]["Unbarred Loose Spiral"] == 23
    assert found["confusion"]["Unbarred Loose Spiral"]["Unbarred Tight Spiral"] == 38
    assert found["best"][:2] == ["Round Smooth", "Edge-on with Bulge"]
    assert found["confused_pairs"][0] == {"pair": "Unbarred Loose Spiral, Unbarred Tight Spiral", "count": 72}
    assert sum(pair["count"] for pair in found["confused_pairs"]) == 3194 - 2763


def test_confused_pairs_of_three():
    matrix = pd.DataFrame([[9, 1, 0], [4, 9, 2], [0, 0, 9]], index=list("abc"), columns=list("abc"))
    assert [(pair["pair"], pair["count"]) for pair in confused_pairs(matrix)] == [
        ("a, b", 5),
        ("b, c", 2),
        ("a, c", 0),
    ]


# --- sums, networks, the sky --------------------------------------------------------------------------------


def test_sums_by_hand(evidence):
    found = CHECKS["sums"](evidence)
    assert found["class_total"] == 17_736 == sum(CLASS_COUNTS.values())
    assert (found["split_total"], found["missing"]) == (15_957, 1_779)
    assert found["table_1_input"] == 512
    assert found["dma_blocks"] == 5


def test_convnet_report_by_hand(evidence):
    found = CHECKS["convnet_report"](evidence)
    assert found["f1"] == pytest.approx(2 / (1 / 0.85 + 1 / 0.68))
    assert (found["data_points"], found["removed"]) == (256 * 256 * 3, 0.75)
    assert (found["copies"], found["order"], found["rotations"]) == (4, 4, "90 180 270")
    # A kernel of three pixels finds no place on Table I's last two.
    assert found["fifth_side"] == 2 - 3 + 1


def test_equation_3_on_a_hundred_images(evidence):
    """Of 100 images 80 get a class and 68 of these the right one: the report's precision and recall.

    The decisions of ten classes about them, counted by scikit-learn, are what equation 3 adds up.
    """
    true = np.zeros((100, 10), int)
    true[np.arange(100), np.arange(100) % 10] = 1
    called = true.copy()
    called[68:80] = np.roll(true[68:80], 1, axis=1)
    called[80:] = 0
    scores = precision_recall_fscore_support(true, called, average="micro")
    assert scores[:2] == pytest.approx((0.85, 0.68))
    wrong, right = multilabel_confusion_matrix(true, called).sum(axis=0).diagonal()
    assert CHECKS["convnet_report"](evidence)["equation_3"] == pytest.approx((wrong + right) / true.size)


def test_the_split_is_nested_cuts(printed, evidence):
    """A tenth of each class, a fifth of the rest, rounded up in floating point, then a tenth of all left."""
    counts = printed.table("000-counts")["images"]
    aside = np.ceil(counts / 10)
    test = np.ceil((counts - aside) / 5)
    left = counts.sum() - aside.sum() - test.sum()
    found = CHECKS["nested_cuts"](evidence)
    assert (found["aside"], found["test"]) == (aside.sum(), test.sum()) == (1_779, 3_194)
    assert (found["training"], found["validation"]) == (left - left // 10, left // 10) == (11_487, 1_276)
    supports = printed.table("000-table-3-support")["support"]
    assert sorted(found["test_of_class"].values()) == sorted(supports)
    assert found["supports_exact"] == 10


def test_cigar_as_printed(evidence):
    """241 right of the 256 in its row and the 268 in its column: an F1 that rounds to 0.92 from below."""
    f1 = CHECKS["matrix"](evidence)["classes"]["Cigar Shaped Smooth"]["f1"]
    assert f1 == pytest.approx(2 * 241 / (256 + 268))
    assert round(f1, 4) == 0.9198


def test_five_block_report_by_hand(evidence):
    found = CHECKS["five_block_report"](evidence)
    assert (found["images"], found["pooled"]) == (17_736, 7)
    assert (found["above_90"], found["worst"], found["worst_accuracy"]) == (6, "Disturbed", 0.408)
    assert found["minutes"] == pytest.approx(34 * 22 / 19)
    assert found["training_share"] == pytest.approx(0.7)


def test_votes_report_by_hand(evidence):
    found = CHECKS["votes_report"](evidence)
    assert found["reduction"] == pytest.approx(28.09)
    assert found["margin"] == 224
    # Votes that are all for or all against, half and half, have the largest variance of all fractions.
    assert found["largest_variance"] == np.var([0.0, 1.0]) > np.var(np.random.default_rng(0).random(1000))


def test_networks_against_torch(evidence):
    found = CHECKS["networks"](evidence)
    assert {name: found[name]["total"] for name in ("convnet", "negm", "kim_brunner", "five_block")} == {
        "convnet": 654_922,
        "negm": 1_420_738,
        "kim_brunner": 11_229_154,
        "five_block": 1_575_690,
    }
    assert [len(found[name]["layers"]) for name in ("convnet", "negm", "kim_brunner")] == [13, 13, 14]
    assert found["alexnet"]["millions"] == pytest.approx(61.1, abs=0.01)  # torchvision's documentation
    assert found["gz_resnet18"]["weighted_layers"] == 18
    assert found["gz_cnn"]["sides"] == "80 38 18 9"


@pytest.mark.slow
def test_dmagnet_shapes_as_a_real_pass(evidence):
    """Shapes from torch's empty "meta" device against a pass of pixels through a narrow network."""
    found = CHECKS["dmagnet"](evidence)
    features = DMAGNet(width=0.125).eval().forward_features(torch.zeros(1, 3, 256, 256))
    assert found["at_256"]["lam"] == f"1024x{features.shape[2]}x{features.shape[3]}"
    assert found["at_512"]["lam"] == "1024x16x16"
    assert found["components"] == 4
    assert found["blocks"] == {"stem": 0, "dma1": 2, "dma2": 1, "dma3": 2, "lam": 0, "head": 0}


def test_vote_tree(evidence):
    found = CHECKS["vote_tree"](evidence)
    assert found == {"answers": 37, "questions": 11, "sum_to_one": 2, "task_1": 3}


def test_published_code(evidence):
    found = CHECKS["published_code"](evidence)
    assert found["split_total"] == 17_736
    assert (found["training"], found["validation"], found["test"]) == (13_088, 1_454, 3_194)


def test_look_back_times(evidence):
    """z = 0.0005 is z / H0 to first order: with H0 = 67.66 km/s/Mpc about 7.2 million years."""
    found = CHECKS["cosmos"](evidence)
    hubble_time_myr = 977_792 / 67.66
    assert found["low_myr"] == pytest.approx(0.0005 * hubble_time_myr, rel=2e-3)
    assert found["high_gyr"] == pytest.approx(3.04, abs=0.02)


def test_class_counts_of_the_catalogue(printed, real_catalogue):
    """The published set against the paper's section 3, read with csv alone."""
    found = CHECKS["catalogue"](Evidence(printed, MEASURED, Catalogue.read(real_catalogue)))
    with real_catalogue.open() as stream:
        counted = Counter(CLASS_NAMES[int(row["label"])] for row in csv.DictReader(stream))
    assert found["counts"] == dict(counted) == dict(CLASS_COUNTS)
    assert found["total"] == 17_736


def test_counts_measured_beforehand_are_the_papers(evidence):
    assert CHECKS["catalogue"](evidence)["counts"] == dict(CLASS_COUNTS)


def test_guesses_on_a_table_by_hand():
    """Two galaxies, 37 answers: all ones and all zeros miss their common mean by one half."""
    found = guesses(np.array([[1.0] * 37, [0.0] * 37]))
    assert found["guess_each_mean"] == found["guess_one_mean"] == pytest.approx(0.5)
    # One answer of 37 always 1, the others 0: each mean is right, one number misses by its deviation.
    found = guesses(np.array([[1.0] + [0.0] * 36] * 3))
    assert found["guess_each_mean"] == pytest.approx(0)
    assert found["guess_one_mean"] == pytest.approx(np.sqrt(1 / 37 * (1 - 1 / 37)))


def test_guesses_on_the_published_votes(evidence):
    """What the file holds, recomputed from the votes where they are at hand."""
    table = shared_data("gz2") / SOLUTIONS
    rows = np.loadtxt(table, delimiter=",", skiprows=1)
    fractions = rows[rows[:, 0] < CHALLENGE_IDS, 1:]
    found = CHECKS["votes"](evidence)
    assert found["galaxies"] == len(fractions) == 480
    assert found["guess_one_mean"] == pytest.approx(fractions.std(), rel=1e-6)
    # The interval of a mean of squares, galaxy by galaxy, by its standard error.
    squares = ((fractions - fractions.mean()) ** 2).mean(axis=1)
    half = 1.96 * squares.std(ddof=1) / np.sqrt(len(squares))
    low, high = np.sqrt([squares.mean() - half, squares.mean() + half])
    assert found["one_mean"]["low"] == pytest.approx(low, abs=1e-3)
    assert found["one_mean"]["high"] == pytest.approx(high, abs=1e-3)
    assert found["guess_each_mean"] == pytest.approx(np.sqrt(fractions.var(axis=0).mean()), rel=1e-6)


# --- the file -----------------------------------------------------------------------------------------------


def test_every_claim_has_a_verdict(printed, tmp_path):
    """No orphan: without any chapter, each claim is judged, and only chapters' claims wait."""
    table = as_table(judge(Results(Evidence(printed, MEASURED), tmp_path))).set_index("id")
    assert len(table) == len(printed.claims)
    assert set(table["seed"]) == set(printed.seeds)
    waiting = table["verdict"] == str(Verdict.NOT_RUN)
    assert (waiting == table["source"].str.split("/").str[0].isin(CHAPTERS)).all()


def test_every_result_that_a_claim_asks_for_is_reported(printed):
    """By its name in the chapter's source, or by a name that the chapter puts together."""
    for claim in printed.claims.values():
        for term in claim.source.split(" - "):
            chapter, key, *_ = [*term.split("/"), ""]
            if chapter in CHAPTERS:
                source = (CLAIMS.parent / f"{chapter}.py").read_text()
                composed = re.findall(r'report\.\w+\(\s*f"([^"]+)"', source)
                patterns = [re.sub(r"\\{.*?\\}", ".+", re.escape(name)) for name in composed]
                made = f'"{key}"' in source or any(re.fullmatch(pattern, key) for pattern in patterns)
                assert made, claim.id


def test_every_row_that_a_claim_picks_is_made_somewhere(printed):
    """A table may lack a row in a small profile; a row that no code makes is a typing error."""
    code = "".join(path.read_text() for path in (CLAIMS.parents[1] / "galaxylib").rglob("*.py"))
    for claim in printed.claims.values():
        for term in claim.source.split(" - "):
            chapter, *path = term.split("/")
            for step in path:
                if "=" in step:
                    made = code + (CLAIMS.parent / f"{chapter}.py").read_text()
                    assert f'"{step.split("=")[1]}"' in made, claim.id


def test_a_row_that_a_profile_left_out_did_not_run(small, tmp_path):
    printed = small(source="05_baselines/results/name=resnet18/accuracy")
    (tmp_path / "05_baselines.json").write_text(json.dumps(REAL | {"results": [{"name": "convnet"}]}))
    assert verdicts(printed, tmp_path)["000-x"].verdict is Verdict.NOT_RUN


def test_every_check_is_used(printed):
    used = {claim.source.split("/")[0] for claim in printed.claims.values()} - {""}
    # `names` feeds `corrected`, `nested_cuts` and the chapter's text.
    assert set(CHECKS) - used <= {"names"}
    assert used <= set(CHECKS) | set(CHAPTERS)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "guess"}, "unknown kind 'guess'"),
        ({"compare": "near"}, "compares by 'near'"),
        ({"source": ""}, "needs one"),
        ({"kind": "quoted"}, "quoted or stated or open or untestable has none"),
        ({"kind": "open", "source": ""}, "says the reason"),
        ({"reason": "why not"}, "only a quoted one may"),
        ({"strictly": True}, "name them in `under`"),
        ({"under": "moonlight"}, "not among the conditions"),
        ({"cause": "haste"}, "not among the causes"),
        ({"colour": "red"}, "has no use for 'colour'"),
        ({"id": "x"}, "must begin with the number of its document"),
    ],
)
def test_a_faulty_claim_is_told(small, changes, sentence):
    with pytest.raises(GalaxyError, match=sentence):
        small(**changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("09_dreams/accuracy", "no check and no chapter"),
        ("matrx/accuracy", "did you mean matrix"),
        ("matrix/acuracy", "did you mean accuracy"),
        ("04_evaluation/acuracy", "did you mean accuracy"),
    ],
)
def test_an_unknown_source_is_told(small, tmp_path, source, sentence):
    (tmp_path / "04_evaluation.json").write_text('{"accuracy": 0.5}')
    printed = small(source=source)
    whole = replace(load_claims(CLAIMS), claims=printed.claims)
    with pytest.raises(GalaxyError, match=sentence):
        judge(Results(Evidence(whole, MEASURED), tmp_path))


def test_a_missing_or_broken_file_is_told(tmp_path):
    with pytest.raises(GalaxyError, match="cannot be read"):
        load_claims(tmp_path / "none.yml")
    (tmp_path / "04_evaluation.json").write_text("{")
    with pytest.raises(GalaxyError, match="run that chapter again"):
        Results(Evidence(load_claims(CLAIMS), MEASURED), tmp_path).of("04_evaluation")


# --- verdicts -----------------------------------------------------------------------------------------------

SIMULATED = {"kind": "simulated", "n_galaxies": 4000}
REAL = {"kind": "real", "n_galaxies": GALAXIES}
SAMPLE = {"kind": "real", "n_galaxies": 60}


@pytest.mark.parametrize(
    ("kind", "about", "value", "verdict"),
    [
        ("score", SIMULATED, 0.5, Verdict.NEEDS_FILE),
        ("score", SAMPLE, 0.5, Verdict.NEEDS_FILE),
        ("score", REAL, 0.495, Verdict.REPRODUCED),
        ("score", REAL, 0.4, Verdict.DIFFERS),
        ("comparison", SIMULATED, 0.5, Verdict.SIMULATED),
        ("comparison", SIMULATED, 0.4, Verdict.DIFFERS_SIMULATED),
        ("comparison", REAL, 0.4, Verdict.DIFFERS),
        ("comparison", SAMPLE, 0.5, Verdict.NEEDS_FILE),
        ("setting", SIMULATED, 0.5, Verdict.FOLLOWED),
        ("setting", SIMULATED, 0.6, Verdict.DEPARTED),
        ("design", SIMULATED, 0.5, Verdict.REPRODUCED),
        ("score", REAL, None, Verdict.NOT_RUN),
    ],
)
def test_another_result_gives_another_verdict(small, tmp_path, kind, about, value, verdict):
    printed = small(kind=kind)
    assert verdicts(printed, tmp_path)["000-x"].verdict is Verdict.NOT_RUN
    (tmp_path / "04_evaluation.json").write_text(json.dumps(about | {"accuracy": value}))
    finding = verdicts(printed, tmp_path)["000-x"]
    assert finding.verdict is verdict
    assert finding.computed == value


def test_a_chapter_that_does_not_name_its_images(small, tmp_path):
    """It ran on those of the data chapter; where that is missing too, its score is no answer."""
    printed = small()
    (tmp_path / "04_evaluation.json").write_text('{"accuracy": 0.5}')
    assert verdicts(printed, tmp_path)["000-x"].verdict is Verdict.NEEDS_FILE
    (tmp_path / "01_data.json").write_text(json.dumps(REAL))
    assert verdicts(printed, tmp_path)["000-x"].verdict is Verdict.REPRODUCED
    (tmp_path / "01_data.json").write_text(json.dumps(SIMULATED))
    assert verdicts(printed, tmp_path)["000-x"].verdict is Verdict.NEEDS_FILE


def test_a_result_on_drawn_images_is_none_on_the_real_file(small, tmp_path):
    """A chapter on the real file may draw what the file lacks, and says so beside the result."""
    printed = small(source="05_baselines/own/name=negm/accuracy", note="artefacts are drawn")
    for kind, verdict in (("simulated", Verdict.NEEDS_FILE), ("real", Verdict.REPRODUCED)):
        row = {"name": "negm", "kind": kind, "accuracy": 0.5}
        (tmp_path / "05_baselines.json").write_text(json.dumps(REAL | {"own": [row]}))
        finding = verdicts(printed, tmp_path)["000-x"]
        assert finding.verdict is verdict
        assert "artefacts are drawn" in finding.remark


def test_the_dreams_count_their_own_galaxies(small, tmp_path):
    """Ten galaxies dreamt of a whole real file are an answer; the same ten beside no such file are not."""
    printed = small(kind="comparison", source="06_deepdream/share")
    (tmp_path / "06_deepdream.json").write_text('{"kind": "real", "n_galaxies": 10, "share": 0.5}')
    assert verdicts(printed, tmp_path)["000-x"].verdict is Verdict.NEEDS_FILE
    (tmp_path / "01_data.json").write_text(json.dumps(REAL))
    assert verdicts(printed, tmp_path)["000-x"].verdict is Verdict.REPRODUCED
    (tmp_path / "01_data.json").write_text(json.dumps(SIMULATED))
    assert verdicts(printed, tmp_path)["000-x"].verdict is Verdict.NEEDS_FILE


def test_units_comparisons_and_tables(small, tmp_path):
    rows = [{"network": "a", "accuracy": 0.2}, {"network": "b", "accuracy": 0.7}]
    (tmp_path / "05_baselines.json").write_text(json.dumps(SIMULATED | {"table": rows}))
    of = {"kind": "comparison", "unit": "%", "source": "05_baselines/table/network=b/accuracy"}
    for compare, value, verdict in (
        ("above", 69, Verdict.SIMULATED),
        ("above", 71, Verdict.DIFFERS_SIMULATED),
        ("below", 71, Verdict.SIMULATED),
        ("at_least", 70, Verdict.SIMULATED),
        ("at_most", 69, Verdict.DIFFERS_SIMULATED),
    ):
        finding = verdicts(small(**of, compare=compare, value=value, tolerance=0.5), tmp_path)["000-x"]
        assert (finding.verdict, finding.computed) == (verdict, pytest.approx(70))


def test_differences_and_lists_of_words(small, tmp_path):
    results = SIMULATED | {"cnn": 0.15, "resnet": 0.12, "worst": "Merging"}
    (tmp_path / "07_votes.json").write_text(json.dumps(results))
    gain = {"kind": "comparison", "compare": "above", "value": 0, "source": "07_votes/cnn - 07_votes/resnet"}
    finding = verdicts(small(**gain), tmp_path)["000-x"]
    assert (finding.verdict, finding.computed) == (Verdict.SIMULATED, pytest.approx(0.03))
    words = {"kind": "comparison", "compare": "one_of", "source": "07_votes/worst"}
    for value, verdict in (
        ("Disturbed, Merging", Verdict.SIMULATED),
        ("Disturbed, Round", Verdict.DIFFERS_SIMULATED),
    ):
        assert verdicts(small(**words, value=value), tmp_path)["000-x"].verdict is verdict


def test_a_difference_within_chance_is_too_close_to_call(small, tmp_path):
    """Of 450 test galaxies, two shares of one half differ by chance by up to 6.5 points (1.96 sigma)."""
    gain = {"kind": "comparison", "compare": "above", "value": 0, "unit": "%", "noise": "accuracy"}
    printed = small(**gain, source="05_baselines/gain")
    for points, verdict in (
        (7, Verdict.SIMULATED),
        (6, Verdict.CLOSE),
        (-6, Verdict.CLOSE),
        (-7, Verdict.DIFFERS_SIMULATED),
    ):
        (tmp_path / "05_baselines.json").write_text(
            json.dumps(SIMULATED | {"gain": points / 100, "n_test": 450})
        )
        assert verdicts(printed, tmp_path)["000-x"].verdict is verdict
    draws = np.random.default_rng(0).binomial(450, 0.5, size=(2, 20_000)) / 450
    assert np.quantile(np.abs(draws[0] - draws[1]), 0.95) == pytest.approx(chance(450), rel=0.03)


def test_an_interval_around_the_threshold_is_too_close_to_call(small, tmp_path):
    printed = small(
        kind="comparison",
        compare="above",
        value=0.5,
        noise="interval",
        source="06_deepdream/verdicts/name=share/value",
    )
    for low, high, verdict in (
        (0.51, 0.7, Verdict.SIMULATED),
        (0.4, 0.7, Verdict.CLOSE),
        (0.2, 0.4, Verdict.DIFFERS_SIMULATED),
    ):
        row = {"name": "share", "value": (low + high) / 2, "low": low, "high": high}
        (tmp_path / "06_deepdream.json").write_text(json.dumps(SIMULATED | {"verdicts": [row]}))
        assert verdicts(printed, tmp_path)["000-x"].verdict is verdict


def test_an_unclear_change_is_too_close_to_call(small, tmp_path):
    printed = small(
        kind="comparison",
        compare="below",
        value=0,
        noise="p",
        source="05_baselines/experiments/experiment=RMSprop/change",
    )
    for p, scatter, verdict in (
        (0.01, {}, Verdict.SIMULATED),
        (0.2, {}, Verdict.CLOSE),
        (0.01, {"scatter": 0.05}, Verdict.SIMULATED),
        (0.01, {"scatter": 0.15}, Verdict.CLOSE),
    ):
        row = {"experiment": "RMSprop", "change": -0.1, "p": p, **scatter}
        (tmp_path / "05_baselines.json").write_text(json.dumps(SIMULATED | {"experiments": [row]}))
        assert verdicts(printed, tmp_path)["000-x"].verdict is verdict


def test_overlapping_intervals_are_too_close_to_call(small, tmp_path):
    printed = small(
        kind="comparison",
        compare="above",
        value=0,
        noise="interval",
        source="07_votes/results/model=a/rmse - 07_votes/results/model=b/rmse",
    )
    for high, verdict in ((0.14, Verdict.SIMULATED), (0.16, Verdict.CLOSE)):
        rows = [
            {"model": "a", "rmse": 0.16, "low": 0.15, "high": 0.17},
            {"model": "b", "rmse": 0.13, "low": 0.12, "high": high},
        ]
        (tmp_path / "07_votes.json").write_text(json.dumps(SIMULATED | {"results": rows}))
        assert verdicts(printed, tmp_path)["000-x"].verdict is verdict


def test_votes_have_their_own_whole(small, tmp_path):
    printed = small(source="07_votes/rmse", value=0.1)
    for count, verdict in ((1218, Verdict.NEEDS_VOTES), (VOTED_ON, Verdict.REPRODUCED)):
        (tmp_path / "07_votes.json").write_text(json.dumps({"kind": "real", "n": count, "rmse": 0.1}))
        assert verdicts(printed, tmp_path)["000-x"].verdict is verdict
