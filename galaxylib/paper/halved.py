"""Whether the reference run trained long enough: what half of its passes give."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from galaxylib.paper.reference import HALVED, Reference, Scatter, last_change
from galaxylib.paper.reference_page import changes_in_words, points


def halved_rows(reference: Reference) -> list[dict[str, Any]]:
    """Each network of the comparison less itself after half the passes, in the order of the plan.

    How much a training differs from the next is pooled over both. The intervals are so wide (Bonferroni) that
    in 95 of 100 such tables all of them hold.

    Returns:
        one dict a network of which both are there: `name` and `title`; `half` and `epochs`, the passes of
        both; the test accuracies `before` and `after`; their difference `change`, with `low`, `high` and
        `clear`, whether 0 lies outside, None while the chance of a training is unknown; all from -1 to 1; and
        `half_change` and `last_change`, the change of the validation loss over the last three passes (nats)
        of the shorter trainings and of the others.
    """
    groups = reference.of(HALVED), reference.of("networks")
    rights = [{name: reference.right(runs) for name, runs in group.items()} for group in groups]
    scatter = Scatter.of([right.mean(axis=1) for group in rights for right in group.values()])
    names = [
        name for name in reference.about["planned"]["networks"] if all(name in group for group in groups)
    ]
    rows = []
    for name in names:
        (half, whole), (before, after) = (([one[name] for one in each]) for each in (groups, rights))
        gained = after.mean(axis=0) - before.mean(axis=0)
        width = scatter.half_width(gained, (len(half), len(whole)), level=1 - 0.05 / len(names))
        change = float(gained.mean())
        rows.append(
            {
                "name": name,
                "title": whole[0].title,
                "half": len(half[0].history),
                "epochs": len(whole[0].history),
                "before": float(before.mean()),
                "after": float(after.mean()),
                "change": change,
                "low": change - width,
                "high": change + width,
                "clear": abs(change) > width if scatter.is_known else None,
                "half_change": last_change([one.history for one in half]),
                "last_change": last_change([one.history for one in whole]),
            }
        )
    return rows


def halved_shown(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows of `halved_rows` in words, one line each, or one that says so where there is none yet."""
    lines = [
        [
            row["title"],
            f"{100 * row['before']:.1f}",
            f"{100 * row['after']:.1f}",
            points(row["change"], row["low"], row["high"], sign=True),
            *("" if row[when] is None else f"{row[when]:+.3f}" for when in ("half_change", "last_change")),
        ]
        for row in rows
    ]
    heads = [
        "network",
        "after half, %",
        "after all, %",
        "change, points",
        "loss at half",
        "loss at the end",
    ]
    return pd.DataFrame(lines or [["none yet", *[""] * 5]], columns=heads).set_index("network")


def halved_in_words(rows: Sequence[Mapping[str, Any]], *, planned: int) -> str:
    """What the table shows: who gains and, once all lines are there, whether the first place changes.

    Args:
        rows: from `halved_rows`.
        planned: how many lines the table will have when the run is done.
    """
    told = changes_in_words(rows, planned=planned, verbs=("gain from it", "lose by it"))
    if not rows or len(rows) < planned:
        return told
    first, last = (max(rows, key=lambda row: row[when])["title"] for when in ("before", "after"))
    place = f"{first} stays the best." if first == last else f"{last} takes the first place from {first}."
    return f"{told} {place}"


def one_halved_in_words(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    """What the second half of the passes brings one network, as a sentence; empty where that is unknown.

    Args:
        rows: from `halved_rows`.
        name: of the network.
    """
    for row in rows:
        if row["name"] == name:
            gain = points(row["change"], row["low"], row["high"], sign=True)
            return (
                f"After {row['half']} passes it names {row['before']:.1%} correctly: the second half changes "
                f"that by {gain} points."
            )
    return ""
