"""Every score agrees with scikit-learn or with a printed table, and stands under its own class's name."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics
from torch import nn

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import DataError, GalaxyError
from galaxylib.evaluation.calibration import apply_temperature, calibration, fit_temperature
from galaxylib.evaluation.intervals import f1_interval, wilson
from galaxylib.evaluation.judge import eight_views
from galaxylib.evaluation.predictions import (
    confusion,
    matrix_scores,
    predict,
    scores,
    write_evaluation,
)
from galaxylib.networks.checkpoint import Loaded

# DMAGNet paper, Table 2, its rows and columns in the printed order (the printed names are another matter).
PRINTED = """
313 3 5 2 1 7 1 1 23 12
0 51 1 0 3 0 1 2 1 1
10 3 112 2 2 2 7 14 38 5
2 0 2 310 13 2 1 1 5 1
2 2 1 3 241 2 0 0 3 2
5 1 2 2 4 304 6 1 8 1
4 0 4 0 0 4 451 0 0 13
1 5 3 1 0 2 0 349 3 1
22 1 20 5 3 11 6 4 363 38
7 1 0 0 1 2 7 9 34 269
"""
# Its Table 3: precision, recall, F1, support.
PRINTED_SCORES = """
0.86 0.85 0.85 368
0.76 0.85 0.80 60
0.75 0.57 0.65 195
0.95 0.92 0.94 337
0.90 0.94 0.92 256
0.90 0.91 0.91 334
0.94 0.95 0.94 476
0.92 0.96 0.94 365
0.76 0.77 0.76 473
0.78 0.82 0.80 330
"""


def table(text: str) -> np.ndarray:
    return np.array([[float(cell) for cell in line.split()] for line in text.strip().splitlines()])


def made_up(count: int = 400, *, seed: int = 0, names: tuple[str, ...] = CLASS_NAMES) -> pd.DataFrame:
    """Predictions that are right about half of the time."""
    generator = np.random.default_rng(seed)
    truth = generator.choice(len(names), count, p=np.arange(1, 11) / 55)
    logits = generator.normal(size=(count, len(names)))
    logits[np.arange(count), truth] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    predictions = pd.DataFrame(probabilities, columns=list(names))
    predictions.insert(0, "true", [names[number] for number in truth])
    predictions.insert(0, "row", np.arange(count))
    return predictions


def test_printed_confusion_matrix_gives_the_printed_scores():
    matrix = table(PRINTED).astype(int)
    names = [f"row {number}" for number in range(10)]
    found = matrix_scores(pd.DataFrame(matrix, index=names, columns=names))
    assert found["n"] == 3194
    assert found["accuracy"] == 2763 / 3194
    assert round(found["accuracy"], 3) == 0.865
    assert round(found["macro_f1"], 3) == 0.851
    assert round(found["weighted_f1"], 3) == 0.864
    low, high = found["accuracy_interval"]
    assert high - low == pytest.approx(0.024, abs=0.001)
    printed = table(PRINTED_SCORES)
    for entry, (precision, recall, f1, support) in zip(found["per_class"], printed, strict=True):
        assert entry["support"] == support
        assert entry["precision"] == pytest.approx(precision, abs=0.0051)
        assert entry["recall"] == pytest.approx(recall, abs=0.0051)
        assert entry["f1"] == pytest.approx(f1, abs=0.0051)


@pytest.mark.parametrize("missing", [(), ("Merging",)])
def test_scores_agree_with_scikit_learn(missing):
    predictions = made_up()
    predictions = predictions[~predictions["true"].isin(missing)]
    guess = predictions[list(CLASS_NAMES)].idxmax(axis=1)
    found = scores(predictions, resamples=50)
    true = predictions["true"]
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(true, guess))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(true, guess, average="macro"))
    assert found["weighted_f1"] == pytest.approx(metrics.f1_score(true, guess, average="weighted"))
    assert found["top2"] == pytest.approx(
        metrics.top_k_accuracy_score(true, predictions[sorted(CLASS_NAMES)], k=2, labels=sorted(CLASS_NAMES))
    )
    each = metrics.precision_recall_fscore_support(true, guess, labels=list(CLASS_NAMES), zero_division=0)
    for entry, precision, recall, f1, support in zip(found["per_class"], *each, strict=True):
        assert entry["precision"] == pytest.approx(precision)
        assert entry["recall"] == pytest.approx(recall)
        assert entry["f1"] == pytest.approx(f1)
        assert entry["support"] == support
    counts = metrics.confusion_matrix(true, guess, labels=list(CLASS_NAMES))
    assert found["confusion"] == {"class_names": list(CLASS_NAMES), "counts": counts.tolist()}


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say():
    generator = np.random.default_rng(1)
    hits = []
    for share in generator.uniform(0.05, 0.95, 3000):
        low, high = wilson(int(generator.binomial(60, share)), 60)
        hits.append(low <= share <= high)
    assert 0.935 < np.mean(hits) < 0.965
    # Newcombe (1998), Statistics in Medicine 17, 857, Table I.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    found = scores(made_up(300), resamples=1000)
    low, high = found["macro_f1_interval"]
    assert low < found["macro_f1"] < high
    assert 0.06 < high - low < 0.2


def test_calibration_by_a_naive_loop_and_temperature_found_again():
    generator = np.random.default_rng(2)
    logits = generator.normal(size=(4000, 10)) * 2
    honest = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = np.array([generator.choice(10, p=row) for row in honest])
    sharp = apply_temperature(honest, 1 / 1.7)
    assert fit_temperature(sharp, truth) == pytest.approx(1.7, rel=0.05)
    assert np.allclose(apply_temperature(sharp, 1.7), honest)
    confidence, right = sharp.max(1), sharp.argmax(1) == truth
    expected = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    overconfident = calibration(confidence, right)
    assert overconfident.ece == pytest.approx(expected)
    assert overconfident.ece > 0.1 > calibration(honest.max(1), honest.argmax(1) == truth).ece
    assert sum(entry["count"] for entry in overconfident.bins) == 4000


def test_a_calibrated_network_is_told_what_chance_alone_would_show():
    """Its error is all chance, and the interval lies about the error, where plain draws lie above it."""
    generator = np.random.default_rng(5)
    confidence = generator.uniform(0.3, 1, 400)
    errors, middles, chances = [], [], []
    for seed in range(30):
        found = calibration(confidence, generator.random(400) < confidence, resamples=200, seed=seed)
        errors.append(found.ece)
        middles.append(np.mean(found.interval))
        chances.append(found.by_chance)
    assert np.mean(chances) == pytest.approx(np.mean(errors), rel=0.1)
    assert np.mean(middles) == pytest.approx(np.mean(errors), rel=0.05)


def test_the_interval_of_one_class_f1():
    """None of 17 right is no proof of nothing; and it covers the truth about as often as it says."""
    low, high = f1_interval(0, 17)
    assert low == 0
    assert high == pytest.approx(2 * wilson(0, 17)[1] / (1 + wilson(0, 17)[1]))
    assert high > 0.2
    generator = np.random.default_rng(0)
    truth = 2 * 0.5 / (2 * 0.5 + 0.2 + 0.3)  # shares of a class rightly, wrongly and never named so
    covered = []
    for right, wrong, missed, _ in generator.multinomial(60, [0.5, 0.2, 0.3, 0.0], size=400):
        low, high = f1_interval(int(right), int(right + wrong + missed))
        covered.append(low <= truth <= high)
    assert 0.92 < np.mean(covered) < 0.98


class Fixed(nn.Module):
    """Knows each galaxy by its mean brightness: the k-th brightest step is the k-th class of `order`."""

    def __init__(self, order: list[int]) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        label = (x.mean((1, 2, 3)) * 255 / 20).round().long()
        logits = torch.zeros(len(x), 10)
        for row, value in enumerate(label):
            logits[row, self.order.index(int(value))] = 5.0
        return logits


@pytest.fixture
def brightness_file(tmp_path):
    """Ten galaxies; the brightness of each tells its class."""
    import h5py

    path = tmp_path / "bright.h5"
    with h5py.File(path, "w") as file:
        file["images"] = np.repeat(np.arange(10, dtype=np.uint8) * 20, 256 * 256 * 3).reshape(10, 256, 256, 3)
        file["ans"] = np.arange(10, dtype=np.uint8)
    return Galaxy10(path)


RAW = Preprocess(size=32, crop=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def loaded(order: list[int], names: list[str]) -> Loaded:
    return Loaded(network=Fixed(order), preprocess=RAW, class_names=tuple(names), meta={})


def test_scores_keep_their_classes_names(brightness_file, tmp_path):
    """A network trained on sorted folders has its logits in another order: its names go with them."""
    sorted_folders = sorted(CLASS_NAMES)
    order = [CLASS_NAMES.index(name) for name in sorted_folders]
    assert order != list(range(10))
    usual = predict(loaded(list(range(10)), list(CLASS_NAMES)), brightness_file, np.arange(10))
    folders = predict(loaded(order, sorted_folders), brightness_file, np.arange(10))
    assert scores(usual, resamples=20)["accuracy"] == scores(folders, resamples=20)["accuracy"] == 1.0
    assert scores(usual, resamples=20)["confusion"] == scores(folders, resamples=20)["confusion"]
    # The fault of the printed tables: logits in folder order under names in the dataset's order. It is seen.
    slipped = predict(loaded(order, list(CLASS_NAMES)), brightness_file, np.arange(10))
    assert scores(slipped, resamples=20)["accuracy"] < 0.5
    # Neither the order of the columns nor that of the rows of a table on disk changes any score.
    predictions = made_up(200)
    shuffled = predictions.sample(frac=1, random_state=3)
    shuffled = shuffled[["true", *np.random.default_rng(0).permutation(list(CLASS_NAMES)), "row"]]
    shuffled.to_csv(tmp_path / "predictions.csv", index=False)
    again = pd.read_csv(tmp_path / "predictions.csv")
    expected, found = scores(predictions, resamples=50), scores(again, resamples=50)
    assert found["confusion"] == expected["confusion"]
    assert found["per_class"] == expected["per_class"]
    assert found["top2"] == expected["top2"]
    assert found["ece"] == pytest.approx(expected["ece"])


def test_names_of_another_survey_are_refused():
    predictions = made_up(50).rename(columns={"Merging": "Smooth, Cigar shaped"})
    with pytest.raises(DataError, match="Merging"):
        scores(predictions)
    with pytest.raises(DataError, match="empty"):
        scores(made_up(50).iloc[:0])
    with pytest.raises(DataError, match="confusion matrix"):
        matrix_scores(confusion(made_up(50)).rename(columns={"Merging": "Disturbed", "Disturbed": "Merging"}))


def test_eight_views_are_all_there_and_averaged(brightness_file):
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    views = {tuple(view.flatten().tolist()) for view in eight_views(image)}
    by_hand = {
        tuple(
            np.rot90(np.flip(image[0, 0].numpy(), 1) if mirror else image[0, 0].numpy(), k).ravel().tolist()
        )
        for mirror in (False, True)
        for k in range(4)
    }
    assert views == by_hand
    assert len(views) == 8

    class Corner(nn.Module):
        """Sees the top left corner only."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([x[:, 0, 0, 0] * 10, torch.zeros(len(x))], 1)

    network = Loaded(network=Corner(), preprocess=RAW, class_names=CLASS_NAMES[:2], meta={})
    single = predict(network, brightness_file, [3])
    averaged = predict(network, brightness_file, [3], symmetries=True)
    assert np.allclose(single[list(CLASS_NAMES[:2])], averaged[list(CLASS_NAMES[:2])])
    assert np.allclose(averaged[list(CLASS_NAMES[:2])].sum(axis=1), 1)


def test_batch_size_does_not_matter_and_rows_keep_their_order(brightness_file):
    network = loaded(list(range(10)), list(CLASS_NAMES))
    rows = [7, 2, 9, 2]
    pd.testing.assert_frame_equal(
        predict(network, brightness_file, rows, batch_size=3), predict(network, brightness_file, rows)
    )
    assert predict(network, brightness_file, rows)["true"].tolist() == [CLASS_NAMES[row] for row in rows]


def test_evaluation_is_written(tmp_path):
    predictions = made_up(60)
    written = write_evaluation(predictions, tmp_path / "out", part="test")
    read = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert read["n"] == 60
    assert read["part"] == "test"
    assert read["accuracy"] == written["accuracy"]
    assert [entry["name"] for entry in read["per_class"]] == list(CLASS_NAMES)
    header = (tmp_path / "out" / "predictions.csv").read_text().splitlines()[0]
    assert header == ",".join(["row", "true", *CLASS_NAMES])


def test_no_memory_is_told_in_one_sentence(brightness_file):
    class Greedy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    network = Loaded(network=Greedy(), preprocess=RAW, class_names=CLASS_NAMES, meta={})
    with pytest.raises(GalaxyError, match=re.escape("try a batch size of 4")):
        predict(network, brightness_file, range(10), batch_size=8)
