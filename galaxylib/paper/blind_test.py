"""The blind test: how the shipped networks did on real images that the makers of their weights never had."""

from collections.abc import Mapping
from typing import Any

from galaxylib.evaluation.intervals import wilson

NOT_JUDGED = "not yet judged"


def blind_figures(blind: Mapping[str, Any], *, meta: Mapping[str, Any]) -> dict[str, Any]:
    """What the blind test says of a network, beside the real sample that its makers scored it on.

    Args:
        blind: the content of `benchmarks/results/blind_test.json`: its `rows` name weights by their SHA-256.
        meta: the description of the network's checkpoint, with its scores on the real sample.

    Returns:
        `blind` and `pooled` (both sets of images together), each with `n`, `right`, `accuracy` and Wilson's
        95 % `interval`, and `ece` of the blind test; empty where these weights were not judged.
    """
    row = next((row for row in blind["rows"] if row["sha256"] == meta["sha256"]), None)
    if row is None:
        return {}
    sample = meta["results"]["real"]["plain"]
    right = row["right"] + round(sample["accuracy"] * sample["n"])
    parts = {"blind": (row["right"], row["n"]), "pooled": (right, row["n"] + sample["n"])}
    return {
        name: {"n": n, "right": hits, "accuracy": hits / n, "interval": wilson(hits, n)}
        for name, (hits, n) in parts.items()
    } | {"ece": row["ece"]}


def accuracy_in_words(figure: Mapping[str, Any] | None) -> str:
    """One figure in words, such as "61.4% (49.7% to 71.9%)"; that it is missing where there is none."""
    if not figure:
        return NOT_JUDGED
    low, high = figure["interval"]
    return f"{figure['accuracy']:.1%} ({low:.1%} to {high:.1%})"
