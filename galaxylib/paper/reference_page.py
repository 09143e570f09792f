"""The reference run as the pages show it: its tables, its curves, its sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from galaxylib.paper.figures import ACCENT, CONTRAST
from galaxylib.paper.reference import GROUPS, Reference


def points(share: float, low: float, high: float, *, sign: bool = False) -> str:
    """A fraction with its interval, in per cent."""
    form = "+.1f" if sign else ".1f"
    return f"{100 * share:{form}} [{100 * low:{form}}, {100 * high:{form}}]"


def minutes(seconds: Sequence[float]) -> str:
    """The shortest and the longest of some trainings in minutes: "1 to 15", or one figure if they agree."""
    least, most = (f"{one / 60:.0f}" if one >= 60 else f"{one / 60:.1f}" for one in seconds)
    return least if least == most else f"{least} to {most}"


def networks_shown(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows of `network_rows` in words, one line a network."""
    return pd.DataFrame(
        {
            "network": row["network"],
            "parameters": f"{row['parameters']:,}",
            "input, px": row["size"],
            "trainings": row["seeds"],
            "minutes each": minutes(row["seconds"]),
            "accuracy, %": points(row["accuracy"], row["accuracy_low"], row["accuracy_high"]),
            "macro F1": f"{row['macro_f1']:.3f}",
        }
        for row in rows
    ).set_index("network")


def differences_shown(rows: Sequence[Mapping[str, Any]], *, what: str) -> pd.DataFrame:
    """The rows of `differences` in words, one line each, or one that says so where there is none yet.

    Args:
        rows: to be shown.
        what: the head of their names.
    """
    lines = [
        [
            row["title"],
            row["seeds"],
            points(row["change"], row["low"], row["high"], sign=True),
            {True: "yes", False: "no", None: "not known yet"}[row["clear"]],
            points(row["gap_change"], row["gap_low"], row["gap_high"], sign=True),
        ]
        for row in rows
    ]
    heads = [what, "trainings", "accuracy, points", "more than chance", "overfitting, points"]
    return pd.DataFrame(lines or [["none yet", *[""] * 4]], columns=heads).set_index(what)


def recalls_shown(table: pd.DataFrame) -> pd.DataFrame:
    """What `recalls` gives in words, one line a class."""
    return pd.DataFrame(
        {
            "galaxies": table["galaxies"],
            "recognised, %": [points(row.recall, row.low, row.high) for row in table.itertuples()],
            "most often taken for": [f"{row.taken_for}, {row.share:.0%}" for row in table.itertuples()],
        },
        index=table.index,
    )


def learning_figure(reference: Reference, *, group: str, name: str) -> Figure:
    """Loss and accuracy of every training of one network, pass by pass."""
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.4))
    for axis, figure_of, label in (
        (axes[0], "loss", "cross-entropy with label smoothing (nats)"),
        (axes[1], "accuracy", "accuracy"),
    ):
        for number, one in enumerate(reference.of(group)[name]):
            history = pd.DataFrame(one.history)
            for part, colour, style in (("train", ACCENT, "-"), ("validation", CONTRAST, "--")):
                axis.plot(
                    history["epoch"],
                    history[f"{part}_{figure_of}"],
                    style,
                    color=colour,
                    label="" if number else part,
                )
        axis.set(xlabel="pass over the training images", ylabel=label)
    axes[1].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes[0].legend(fontsize=8)
    return figure


def clear_ones(rows: Sequence[Mapping[str, Any]], *, up: bool) -> list[str]:
    """The titles whose change is more than chance, upwards or downwards."""
    return [row["title"] for row in rows if row["clear"] and (row["change"] > 0) == up]


def listed(titles: Sequence[str], *, nothing: str = "none") -> str:
    """Titles as a list in a sentence: "a", "a and b", "a, b and c"."""
    if not titles:
        return nothing
    return " and ".join(filter(None, (", ".join(titles[:-1]), titles[-1])))


def progress_in_words(reference: Reference) -> str:
    """How far the run has come."""
    planned = sum(sum(reference.about["planned"].get(group, {}).values()) for group in GROUPS)
    done = len(reference.trainings)
    if done >= planned:
        return f"All {planned} trainings of its plan are done."
    return f"So far {done} of the {planned} trainings of its plan are done; the others are missing below."


def changes_in_words(
    rows: Sequence[Mapping[str, Any]],
    *,
    planned: int,
    verbs: tuple[str, str] = ("raise the accuracy", "lower the accuracy"),
) -> str:
    """What a table of differences shows, as a sentence or two.

    Args:
        rows: from `differences`.
        planned: how many lines the table will have when the run is done.
        verbs: what those do whose change is above 0, and those below.
    """
    if not rows:
        return "None of these trainings is done yet."
    if all(row["clear"] is None for row in rows):
        told = ["Too few were trained again so far to tell an effect from the chance of a training."]
        return " ".join([*told, _missing(rows, planned)]).strip()
    told = [
        f"By more than chance, these {verb}: {listed(titles)}."
        for verb, titles in zip(verbs, (clear_ones(rows, up=up) for up in (True, False)), strict=True)
        if titles
    ] or ["No difference in accuracy is larger than chance."]
    parted = [row["title"] for row in rows if row.get("gap_low", 0) > 0 or row.get("gap_high", 0) < 0]
    if parted:
        told.append(f"Overfitting differs by more than chance for: {listed(parted)}.")
    widest = max((row["high"] - row["low"]) / 2 for row in rows)
    told.append(f"So many trainings can miss an effect below {100 * widest:.1f} points.")
    return " ".join([*told, _missing(rows, planned)]).strip()


def one_in_words(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    """What one line of a table of differences says, as half a sentence."""
    for row in rows:
        if row["title"] == title:
            told = points(row["change"], row["low"], row["high"], sign=True)
            return f"in the reference run it changes the accuracy by {told} points"
    return "in the reference run it is still to come"


def _missing(rows: Sequence[Mapping[str, Any]], planned: int) -> str:
    left = planned - len(rows)
    return f"Of the {planned} lines {left} are still to come." if left > 0 else ""
