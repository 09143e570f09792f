"""Checks of the documents' claims by arithmetic on what they print.

A check takes an `Evidence` and returns a dictionary of results, which the claims file names by path
(`matrix/Macro avg./f1`). Its basis says what it compares with: the document's own numbers, what this project
builds, or a source outside both. The checks of the last two kinds are in `galaxylib.paper.claim_sources`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from galaxylib.paper.claims import Printed
from galaxylib.paper.error_analysis import confused_pairs

if TYPE_CHECKING:
    from galaxylib.data.galaxy10 import Galaxy10
    from galaxylib.data.sky import Catalogue

TEST_SHARE_TOLERANCE = 1
"""A stratified draw rounds each class to a whole number of galaxies, so it errs by less than one."""


@dataclass(frozen=True)
class Evidence:
    """What a check may look at.

    Attributes:
        printed: content of the claims file.
        measured: what `benchmarks/published_labels.py` once measured on published labels.
        catalogue: labels of the published set to count anew, a `Catalogue` or the real file itself; None
            where the reader has neither.
    """

    printed: Printed
    measured: Mapping[str, Any]
    catalogue: "Catalogue | Galaxy10 | None" = None


Check = Callable[[Evidence], dict[str, Any]]
CHECKS: dict[str, Check] = {}
BASES: dict[str, str] = {}


def check(basis: str) -> Callable[[Check], Check]:
    """Register a check with its basis: "own" numbers, what is "built" here, or a source "outside"."""

    def register(function: Check) -> Check:
        CHECKS[function.__name__] = function
        BASES[function.__name__] = basis
        return function

    return register


# --- the DMAGNet paper --------------------------------------------------------------------------------------


def matchings(
    supports: Mapping[str, int], counts: Mapping[str, int], *, tolerance: float
) -> list[dict[str, str]]:
    """Every way to give each row of a test table its class, so that its support is that class's share.

    The test images are a stratified share of the set, the same for all classes: `sum(supports)` of
    `sum(counts)`. All assignments of classes to rows are searched, each class used once.

    Args:
        supports: test galaxies in each row of the table, by the row's printed name.
        counts: galaxies of each class in the whole set.
        tolerance: largest difference between a support and its class's share, in galaxies.

    Returns:
        the assignments, each from printed name to class.
    """
    share = sum(supports.values()) / sum(counts.values())
    fits = {
        row: [name for name, count in counts.items() if abs(support - share * count) <= tolerance]
        for row, support in supports.items()
    }
    rows = list(supports)
    found: list[dict[str, str]] = []

    def extend(assigned: dict[str, str]) -> None:
        if len(assigned) == len(rows):
            found.append(assigned)
            return
        row = rows[len(assigned)]
        for name in fits[row]:
            if name not in assigned.values():
                extend(assigned | {row: name})

    extend({})
    return found


def class_scores(matrix: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class of a confusion matrix (rows true, columns called)."""
    counts = matrix.to_numpy(float)
    right = np.diag(counts)
    precision, recall = right / counts.sum(axis=0), right / counts.sum(axis=1)
    return pd.DataFrame(
        {
            "precision": precision,
            "recall": recall,
            "f1": 2 * precision * recall / (precision + recall),
            "support": counts.sum(axis=1).astype(int),
        },
        index=matrix.index,
    )


def averages(matrix: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Accuracy, macro and weighted averages of a confusion matrix, named as in the paper's Table 3."""
    scores = class_scores(matrix)
    total = int(scores["support"].sum())
    measures = scores[["precision", "recall", "f1"]]
    weighted = measures.mul(scores["support"], axis=0).sum() / total
    return {
        "Accuracy": {"f1": float(np.trace(matrix.to_numpy())) / total, "support": total},
        "Macro avg.": measures.mean().to_dict() | {"support": total},
        "Weighted avg.": weighted.to_dict() | {"support": total},
    }


def _first_column(table: pd.DataFrame) -> dict[str, int]:
    return {str(name): int(value) for name, value in table.iloc[:, 0].items()}


@check("own")
def names(evidence: Evidence) -> dict[str, Any]:
    """Which class each row of Tables 2 and 3 holds, from the supports alone; and that only one way fits."""
    supports = _first_column(evidence.printed.table("000-table-3-support"))
    counts = _first_column(evidence.printed.table("000-counts"))
    found = matchings(supports, counts, tolerance=TEST_SHARE_TOLERANCE)
    share = sum(supports.values()) / sum(counts.values())
    assigned = found[0] if found else {}
    # At the smallest distance at which a second assignment fits, the first stops being the only one.
    distances = sorted({abs(n - share * count) for n in supports.values() for count in counts.values()})
    second = next(
        distance for distance in distances if len(matchings(supports, counts, tolerance=distance + 1e-9)) > 1
    )
    order = list(assigned.values())
    as_folders = sorted(counts)
    return {
        "assigned": assigned,
        "assignments": len(found),
        "share": share,
        "tolerance": TEST_SHARE_TOLERANCE,
        "largest_error": max(abs(supports[row] - share * counts[name]) for row, name in assigned.items()),
        "second_fits_at": second,
        "rows_named_right": sum(row == name for row, name in assigned.items()),
        "order": order,
        "folder_order": as_folders,
        "out_of_folder_order": [
            name for name, folder in zip(order, as_folders, strict=True) if name != folder
        ],
    }


@check("own")
def matrix(evidence: Evidence) -> dict[str, Any]:
    """Table 3 recomputed from Table 2 as printed: cells, averages, and the interval of the accuracy."""
    from scipy.stats import binomtest

    counts, printed = (evidence.printed.table(f"000-{name}") for name in ("table-2", "table-3"))
    scores = class_scores(counts)
    support = _first_column(evidence.printed.table("000-table-3-support"))
    follows = (scores[printed.columns] - printed).abs() <= 0.005 + 1e-9
    right, total = int(np.trace(counts.to_numpy())), int(counts.to_numpy().sum())
    interval = binomtest(right, total).proportion_ci(method="wilson")
    return averages(counts) | {
        "classes": scores.to_dict(orient="index"),
        "cells": printed.size + len(support),
        "cells_that_follow": int(follows.to_numpy().sum())
        + sum(int(scores["support"][name]) == value for name, value in support.items()),
        "right": right,
        "total": total,
        "accuracy": right / total,
        "accuracy_low": interval.low,
        "accuracy_high": interval.high,
    }


@check("own")
def corrected(evidence: Evidence) -> dict[str, Any]:
    """Tables 2 and 3 with each row and column under the class that its support belongs to."""
    true_name = names(evidence)["assigned"]
    printed = evidence.printed.table("000-table-2")
    order = list(printed.index)
    counts = printed.rename(index=true_name, columns=true_name).loc[order, order]
    scores = class_scores(counts)
    return {
        "confusion": counts.to_dict(orient="index"),
        "scores": scores.to_dict(orient="index"),
        "confused_pairs": confused_pairs(counts),
        "worst": scores["f1"].idxmin(),
        "best": list(scores["f1"].nlargest(4).index),
    }


@check("own")
def sums(evidence: Evidence) -> dict[str, Any]:
    """Totals of the DMAGNet paper's printed parts: classes, split, blocks, and the input of Table 1."""
    printed = evidence.printed
    split = sum(int(printed.value(f"000-split-{part}")) for part in ("training", "validation", "test"))
    total = int(printed.table("000-counts").sum().sum())
    image, *sides = (int(side) for side in str(printed.value("000-resolution")).split())
    shapes = printed.table("000-table-1-shapes").iloc[: len(sides), 0]
    inputs = {int(shape.split("x")[-1]) * image // side for shape, side in zip(shapes, sides, strict=True)}
    return {
        "class_total": total,
        "split_total": split,
        "missing": total - split,
        "dma_blocks": int(printed.table("000-table-1-blocks").sum().sum()),
        "table_1_input": inputs.pop() if len(inputs) == 1 else None,
        "prose": " → ".join(str(side) for side in (image, *sides)),
    }


@check("own")
def nested_cuts(evidence: Evidence) -> dict[str, Any]:
    """The printed split as three cuts, one in another: a tenth set aside, a fifth to test, a tenth to watch.

    The first two are taken of each class and rounded up; the third is taken of all that is left. The paper
    does not say so: its sizes are compared with those of this rule.
    """
    counts = _first_column(evidence.printed.table("000-counts"))
    supports = _first_column(evidence.printed.table("000-table-3-support"))
    # In whole numbers: -(-n // k) is n / k rounded up.
    aside = {name: -(-count // 10) for name, count in counts.items()}
    test = {name: -(-(count - aside[name]) // 5) for name, count in counts.items()}
    left = sum(counts.values()) - sum(aside.values()) - sum(test.values())
    true_name = names(evidence)["assigned"]
    return {
        "aside": sum(aside.values()),
        "test": sum(test.values()),
        "validation": left // 10,
        "training": left - left // 10,
        "test_of_class": test,
        "supports_exact": sum(supports[row] == test[true_name[row]] for row in supports),
    }


# --- the other reports --------------------------------------------------------------------------------------


@check("own")
def convnet_report(evidence: Evidence) -> dict[str, Any]:
    """What the ConvNet report's own numbers say of its scores, layers, crop, rotations and training set."""
    printed = evidence.printed
    precision, recall, accuracy = (
        float(printed.value(f"002-{name}")) / 100 for name in ("precision", "recall", "accuracy")
    )
    rotations = str(printed.value("002-rotations"))
    side, crop = math.isqrt(int(printed.value("002-size")) // 3), int(printed.value("002-crop"))
    share = 1 - float(printed.value("002-validation")) / 100
    classes, kernel = int(printed.value("002-classes")), int(str(printed.value("002-other-kernels"))[0])
    last = int(str(printed.table("002-table-1")["output"]["08"]).split(" x ")[0])
    return {
        "f1": 2 * precision * recall / (precision + recall),
        # Equations 4 and 5 give true and false positives and negatives in shares of the images, pooled over
        # the ten classes; equation 3 is made of the same four.
        "equation_3": (recall + classes - 1 - recall * (1 / precision - 1)) / classes,
        "right": accuracy,
        # The other layers' 3 x 3 kernel, without padding, on Table I's last pooled side.
        "fifth_side": last - (kernel - 1),
        "data_points": 3 * side**2,
        "removed": 1 - crop**2 / side**2,
        "rotations": rotations,
        "copies": 1 + len(rotations.split()),
        "training_share": share,
        "order": math.floor(math.log10(share * int(printed.value("002-images")))),
    }


@check("own")
def five_block_report(evidence: Evidence) -> dict[str, Any]:
    """What the five-block CNN report's own numbers say of its accuracy, its times and its class weights."""
    printed = evidence.printed
    classes = printed.table("003-table-1")["accuracy"] / 100
    value = {
        name: float(printed.value(f"003-{name}"))
        for name in (
            "stage-1-epochs",
            "stage-1-minutes",
            "stage-2-epochs",
            "split-test",
            "split-validation",
        )
    }
    return {
        "images": int(printed.value("003-images")),
        "pooled": max(int(number) for number in str(printed.value("003-window")).split()),
        "above_90": int((classes > 0.9).sum()),
        "above_90_names": ", ".join(classes.index[classes > 0.9]),
        "worst": str(classes.idxmin()),
        "worst_accuracy": float(classes.min()),
        "minutes": value["stage-1-minutes"] / value["stage-1-epochs"] * value["stage-2-epochs"],
        "training_share": 1 - (value["split-test"] + value["split-validation"]) / 100,
    }


@check("own")
def votes_report(evidence: Evidence) -> dict[str, Any]:
    """What the Galaxy Zoo 2 report's own numbers say of its sizes, its losses and its layers."""
    printed = evidence.printed
    stored, size = int(printed.value("004-stored")), int(printed.value("004-size"))
    return {
        "reduction": stored**2 / size**2,
        "margin": stored - 2 * int(printed.value("004-removed")),
        # Popoviciu: no variance on [0, 1] exceeds that of a fair coin.
        "largest_variance": 0.25,
        "resnet_plateau": float(printed.value("004-resnet")),
        "tailored": float(printed.value("004-tailored")),
        "modifications": str(printed.value("004-modifications")),
    }
