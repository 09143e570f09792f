"""The reference run's records, as the chapter on the other networks would report them to the ledger."""

import math
from typing import Any

import numpy as np

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.paper.ablations import PARTS_WIDTH, part_changes
from galaxylib.paper.conditions import TURNED
from galaxylib.paper.error_analysis import confused_pairs
from galaxylib.paper.reference import BASES, Reference, matrix, network_rows, recalls, reference_changes


def as_chapter(reference: Reference) -> dict[str, Any]:
    """The results of the reference run under the chapter's own names.

    Returns:
        `kind`, `n_galaxies`, `n_test`, `supports` (test galaxies of each class) and `conditions`; `results`,
        a row a network; `recall` of each class and the pair `most_confused`, by network; `experiments`, whose
        `change` and `gap_change` have their own `_low` and `_high`, and the same of DMAGNet's `parts`; and
        `recipes` of the printed networks.
    """
    networks, experiments, parts = (
        network_rows(reference, group) for group in ("networks", "experiments", "parts")
    )
    trials = reference.of("experiments")
    epochs, trial_epochs, parts_epochs = (
        max((row["epochs"] for row in rows), default=None) for rows in (networks, experiments, parts)
    )
    bases = {name: trials[title][0] for name, title in BASES.items() if title in trials}
    named = reference.of("networks")
    counts = np.bincount(reference.labels, minlength=len(CLASS_NAMES)).tolist()
    return {
        "kind": "simulated",
        "n_galaxies": reference.about["drawn"],
        "n_test": reference.about["n_test"],
        "supports": dict(zip(CLASS_NAMES, counts, strict=True)),
        "conditions": {
            "sizes": {row["name"]: row["size"] for row in networks},
            "trial_sizes": {name: one.recipe["size"] for name, one in bases.items()},
            "epochs": epochs,
            "turned_epochs": epochs and epochs / TURNED,
            "train_images": reference.about["n_train"],
            "seeds": max((row["seeds"] for row in networks), default=None),
            "trial_images": reference.about["n_train"],
            "trial_epochs": trial_epochs,
            "trial_turned_epochs": trial_epochs and trial_epochs / TURNED,
            "trial_seeds": max((row["seeds"] for row in experiments), default=None),
            "parts_width": PARTS_WIDTH,
            "parts_epochs": parts_epochs,
            "parts_seeds": max((row["seeds"] for row in parts), default=None),
        },
        "results": networks,
        "recall": {
            name: {
                row.Index: row.recall if row.galaxies else None
                for row in recalls(reference, runs).itertuples()
            }
            for name, runs in named.items()
        },
        "most_confused": {
            name: confused_pairs(matrix(reference, runs))[0]["pair"] for name, runs in named.items()
        },
        "experiments": _changes(experiments, reference_changes(reference)),
        "parts": _changes(parts, part_changes(reference)),
        "recipes": {name: dict(one.recipe) for name, one in bases.items()},
    }


def _changes(rows: list[dict[str, Any]], changed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `network_rows` with what `differences` says of them; `experiment` repeats the name.

    While the chance of a training is unknown, intervals of the changes span everything: no verdict follows.
    """
    known = {row["name"]: row for row in changed}
    found = []
    for row in rows:
        one = row | {"experiment": row["name"]}
        if change := known.get(row["name"]):
            one |= {key: change[key] for key in ("change", "clear", "gap_change")}
            for key, ends in (("change", ("low", "high")), ("gap_change", ("gap_low", "gap_high"))):
                low, high = (
                    (-math.inf, math.inf) if change["clear"] is None else (change[end] for end in ends)
                )
                one |= {f"{key}_low": low, f"{key}_high": high}
        found.append(one)
    return found
