"""From a trained network to one table of predictions, and from that table to every figure that is quoted.

Class names travel with the predictions: the truth is a name, each probability stands under a name, and every
score is computed by name. No list of names is ever laid beside a list of numbers afterwards: that is how
names end up beside the wrong numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.splits import SPLIT, Split
from galaxylib.errors import DataError
from galaxylib.evaluation.calibration import calibration, risk_coverage
from galaxylib.evaluation.intervals import bootstrap, f1_interval, f1_scores, ratio, wilson
from galaxylib.evaluation.judgement import judge_with
from galaxylib.files import atomic, write_json
from galaxylib.networks.checkpoint import Loaded, trainings_of

__all__ = ["class_columns", "confusion", "predict", "scores", "wilson", "write_evaluation"]

ROW, TRUE, UNLIKE = "row", "true", "unlike_training"
WRITTEN = EVALUATION, PREDICTIONS = "evaluation.json", "predictions.csv"


def predict(
    loaded: Loaded,
    data: Galaxy10,
    rows: Sequence[int] | np.ndarray,
    *,
    batch_size: int = 64,
    symmetries: bool = False,
    progress: bool = False,
) -> pd.DataFrame:
    """Let a network judge galaxies.

    Args:
        loaded: the network with its preprocessing and class names.
        data: the file.
        rows: which galaxies, in which order.
        batch_size: images at once.
        symmetries: average the probabilities over the eight turns and reflections of each image.
        progress: show a progress bar.

    Returns:
        One line a galaxy: `row`, `true` (class name) and ten probabilities, each under its class's name, at
        the checkpoint's temperature. Where the checkpoint has a reference, `unlike_training` says in a last
        column how unlike the images of its training each image is: above 1, more than 95 % of them.

    Raises:
        DataError: a row is not in the file.
        CheckpointError: the checkpoint's reference is damaged, or was measured with another network.
        GalaxyError: the memory does not suffice, or the network cannot read images of that size; the sentence
            says what to try.
    """
    judged = judge_with(loaded, data, rows, symmetries=symmetries, batch_size=batch_size, progress=progress)
    true = [CLASS_NAMES[label] for label in data.labels[np.asarray(rows, dtype=np.int64)]]
    table = pd.DataFrame(judged.probabilities, columns=list(loaded.class_names))
    table.insert(0, TRUE, true)
    table.insert(0, ROW, np.asarray(rows, dtype=np.int64))
    if judged.unlike is not None:
        table[UNLIKE] = judged.unlike
    return table


def check_unseen(split: Split, meta: Mapping[str, Any], *, checkpoint: str | Path) -> None:
    """Make sure that a network saw no galaxy in training that `split` keeps for its test.

    Args:
        split: whose parts are to be scored.
        meta: the description of the network's checkpoint.
        checkpoint: its name, for the sentence.

    Raises:
        DataError: the network was trained on the same file with another split, or with an unknown one.
    """
    for training in trainings_of(meta):
        if training.get("data", {}).get("fingerprint") != split.fingerprint:
            continue  # trained on other galaxies
        trained_with = training.get("split_fingerprint")
        if trained_with == split.rows_fingerprint:
            continue
        fault = "was trained with another split of this file" if trained_with else "does not name its split"
        cure = f"put back the {SPLIT} that its training wrote, " if trained_with else ""
        raise DataError(
            f"The checkpoint {checkpoint} {fault}, so any part may hold galaxies that it was trained on: "
            f"{cure}train again, or score the whole file."
        )


def class_columns(predictions: pd.DataFrame) -> list[str]:
    """The class names under which the probabilities stand.

    Raises:
        DataError: the table is no table of predictions, or its names do not fit together.
    """
    names = [str(name) for name in predictions.columns if name not in (ROW, TRUE, UNLIKE)]
    if TRUE not in predictions or len(names) < 2 or len(set(names)) < len(names):
        raise DataError(
            "This is no table of predictions: it needs `row`, `true` and one column for each class."
        )
    unknown = sorted(set(predictions[TRUE]) - set(names))
    if unknown:
        raise DataError(
            f"The predictions know the classes {', '.join(names)}, but a galaxy is {unknown[0]!r}: "
            "use a network that was trained on the same classes."
        )
    return names


def predicted(predictions: pd.DataFrame) -> pd.Series:
    """The name of the most probable class of each galaxy."""
    names = class_columns(predictions)
    return predictions[names].idxmax(axis=1).rename("predicted")


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Counts, true classes down and predicted classes across, both in the dataset's order."""
    names = sorted(
        class_columns(predictions),
        key=lambda name: CLASS_NAMES.index(name) if name in CLASS_NAMES else len(CLASS_NAMES),
    )
    counts = pd.crosstab(predictions[TRUE], predicted(predictions))
    counts = counts.reindex(index=names, columns=names, fill_value=0)
    return counts.rename_axis(index="true", columns="predicted")


def scores(predictions: pd.DataFrame, *, resamples: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Everything that is quoted about a table of predictions.

    Intervals hold 95 %: Wilson's for shares of a count (accuracy, precision, recall, top-2) and, by
    `f1_interval`, for the F1 of one class; the bootstrap's for the macro and the weighted F1 and for the
    calibration error (see `Calibration`).

    Args:
        predictions: from `predict`.
        resamples: draws of the bootstrap.
        seed: of the bootstrap.

    Returns:
        `n`, `accuracy`, `macro_f1`, `weighted_f1`, `top2`, `ece`, each score with an `..._interval`;
        `per_class` (for each class its name, support, precision, recall, F1 and intervals); `confusion`
        (class names, counts); `risk_coverage` (`RiskCoverage` as a dictionary); where the table has scores of
        that kind, `unlike_training` (see `unlike_summary`). A class that is neither true nor predicted
        anywhere counts in no average.

    Raises:
        DataError: the table is empty or no table of predictions.
    """
    names = class_columns(predictions)
    if len(predictions) == 0:
        raise DataError("There is nothing to score: the table of predictions is empty.")
    probabilities = predictions[names].to_numpy()
    right = (predicted(predictions) == predictions[TRUE]).to_numpy()
    place = predictions[TRUE].map({name: number for number, name in enumerate(names)}).to_numpy()
    # A galaxy is in the top two if at most one class is more probable than the true one.
    top2 = (probabilities > probabilities[np.arange(len(place)), place][:, None]).sum(1) <= 1
    reliability = calibration(probabilities.max(1), right, resamples=resamples, seed=seed)
    unlike = {UNLIKE: unlike_summary(predictions[UNLIKE].to_numpy())} if UNLIKE in predictions else {}
    return {
        **matrix_scores(confusion(predictions), resamples=resamples, seed=seed),
        "top2": float(top2.mean()),
        "top2_interval": wilson(int(top2.sum()), len(top2)),
        "ece": reliability.ece,
        "ece_interval": reliability.interval,
        "risk_coverage": asdict(risk_coverage(probabilities.max(1), right)),
        **unlike,
    }


def unlike_summary(scores: np.ndarray) -> dict[str, Any]:
    """A summary of N scores from `Reference.scores`, N at least 1.

    Returns:
        `above`, the share of images with a score above 1 (of images like those trained on, 5 % have one), its
        Wilson `interval`, and `quantiles`: the scores that 5, 25, 50, 75 and 95 % of the images stay below.
    """
    above = int((scores > 1).sum())
    levels = (5, 25, 50, 75, 95)
    return {
        "above": above / len(scores),
        "interval": wilson(above, len(scores)),
        "quantiles": dict(zip(map(str, levels), np.percentile(scores, levels).tolist(), strict=True)),
    }


def matrix_scores(counts: pd.DataFrame, *, resamples: int = 2000, seed: int = 0) -> dict[str, Any]:
    """The scores that follow from a confusion matrix alone, such as a printed one.

    Args:
        counts: true classes down, predicted classes across, named alike.
        resamples: draws of the bootstrap.
        seed: of the bootstrap.

    Raises:
        DataError: rows and columns are named differently.
    """
    if list(counts.index) != list(counts.columns):
        raise DataError("A confusion matrix needs the same classes, in the same order, down and across.")
    matrix = counts.to_numpy()
    support, claimed, right = matrix.sum(1), matrix.sum(0), np.diag(matrix)
    summary = f1_scores(matrix)
    macro_interval, weighted_interval = bootstrap(matrix, resamples=resamples, seed=seed)
    per_class = [
        {
            "name": name,
            "support": int(support[place]),
            "precision": ratio(right[place], claimed[place]),
            "precision_interval": wilson(int(right[place]), int(claimed[place])),
            "recall": ratio(right[place], support[place]),
            "recall_interval": wilson(int(right[place]), int(support[place])),
            "f1": float(summary.per_class[place]),
            "f1_interval": f1_interval(
                int(right[place]), int(support[place] + claimed[place] - right[place])
            ),
        }
        for place, name in enumerate(counts.index)
    ]
    count = int(matrix.sum())
    return {
        "n": count,
        "accuracy": ratio(right.sum(), count),
        "accuracy_interval": wilson(int(right.sum()), count),
        "macro_f1": float(summary.macro),
        "macro_f1_interval": macro_interval,
        "weighted_f1": float(summary.weighted),
        "weighted_f1_interval": weighted_interval,
        "per_class": per_class,
        "confusion": {"class_names": [str(name) for name in counts.index], "counts": matrix.tolist()},
    }


def write_evaluation(predictions: pd.DataFrame, out: str | Path, **about: Any) -> dict[str, Any]:
    """Write `evaluation.json` (the scores, and whatever else `about` tells) and `predictions.csv`.

    Returns:
        What `evaluation.json` holds.

    Raises:
        DataError: the table is empty or no table of predictions.
        GalaxyError: the folder cannot be written, or the disk is full.
    """
    out = Path(out)
    content = {**scores(predictions), **about}
    with atomic(out / PREDICTIONS) as partial:
        predictions.to_csv(partial, index=False)
    write_json(out / EVALUATION, content)
    return content
