"""Whether the reference run trained long enough: each network has one more training, of twice the passes."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from galaxylib.paper.reference import LONGER, Reference, Scatter, last_change
from galaxylib.paper.reference_page import changes_in_words, points

TIMES = 2
"""How many times the passes of the comparison they have."""


def longer_rows(reference: Reference) -> list[dict[str, Any]]:
    """Each network after its longer training less itself after the others, in the order of the plan.

    How much a training differs from the next is taken from the comparison, whose networks were trained more
    than once. The intervals are so wide (Bonferroni) that in 95 of 100 such tables all of them hold.

    Returns:
        one dict a network of which both are there: `name`, `title`, `epochs` of the longer training; the test
        accuracies `before` and `after`; their difference `change`, with `low`, `high` and `clear`, whether 0
        lies outside, None while the chance of a training is unknown; all from -1 to 1; and `last_change`, the
        change of the validation loss over the last three of the longer training's passes (nats).
    """
    short, longer = reference.of("networks"), reference.of(LONGER)
    rights = {name: reference.right(runs) for name, runs in short.items()}
    scatter = Scatter.of([right.mean(axis=1) for right in rights.values()])
    names = [name for name in reference.about["planned"]["networks"] if name in short and name in longer]
    rows = []
    for name in names:
        after = reference.right(longer[name])
        each = after.mean(axis=0) - rights[name].mean(axis=0)
        counts = len(after), len(rights[name])
        half = scatter.half_width(each, counts, level=1 - 0.05 / len(names))
        change = float(each.mean())
        rows.append(
            {
                "name": name,
                "title": longer[name][0].title,
                "epochs": len(longer[name][0].history),
                "before": float(rights[name].mean()),
                "after": float(after.mean()),
                "change": change,
                "low": change - half,
                "high": change + half,
                "clear": abs(change) > half if scatter.is_known else None,
                "last_change": last_change([one.history for one in longer[name]]),
            }
        )
    return rows


def longer_shown(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows of `longer_rows` in words, one line each, or one that says so where there is none yet."""
    lines = [
        [
            row["title"],
            f"{100 * row['before']:.1f}",
            f"{100 * row['after']:.1f}",
            points(row["change"], row["low"], row["high"], sign=True),
            "" if row["last_change"] is None else f"{row['last_change']:+.3f}",
        ]
        for row in rows
    ]
    heads = [
        "network",
        "accuracy, %",
        "after twice the passes, %",
        "change, points",
        "loss, last three passes",
    ]
    return pd.DataFrame(lines or [["none yet", *[""] * 4]], columns=heads).set_index("network")


def longer_in_words(rows: Sequence[Mapping[str, Any]], *, planned: int) -> str:
    """What the table shows: who gains and, once all lines are there, whether the first place changes.

    Args:
        rows: from `longer_rows`.
        planned: how many lines the table will have when the run is done.
    """
    told = changes_in_words(rows, planned=planned, verbs=("gain from it", "lose by it"))
    if not rows or len(rows) < planned:
        return told
    first, last = (max(rows, key=lambda row: row[when])["title"] for when in ("before", "after"))
    place = f"{first} stays the best." if first == last else f"{last} takes the first place from {first}."
    return f"{told} {place}"


def one_longer_in_words(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    """What the longer training brought one network, as a sentence; empty where it has none.

    Args:
        rows: from `longer_rows`.
        name: of the network.
    """
    for row in rows:
        if row["name"] == name:
            gain = points(row["change"], row["low"], row["high"], sign=True)
            return (
                f"One more training, of {row['epochs']} passes, names {row['after']:.1%} correctly, {gain} "
                "points against the mean of the others."
            )
    return ""
