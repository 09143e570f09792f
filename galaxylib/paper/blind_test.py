"""The blind test: how the shipped networks did on real images that the makers of their weights never had."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from galaxylib.evaluation.intervals import wilson

NOT_JUDGED = "not yet judged"
SETS = {"sample": "Galaxy10", "gz2": "votes", "gz1": "coarse classes"}
"""What networks of several seeds judge, as their result and as the table calls it."""


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


def seeds_table(seeds: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each network that was trained several times, as text.

    Args:
        seeds: the content of `benchmarks/results/real_seeds.json`.
    """
    lines = {}
    for name, sets in seeds["families"].items():
        line = {"trainings": str(len(seeds["sha256"][name]))}
        for key, words in SETS.items():
            one = sets[key]
            mean = f"{one['mean']:.1%} ({one['low']:.1%} to {one['high']:.1%})"
            line[words] = f"{mean}; {one['together']:.1%}"
        lines[name] = line
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("network")


def seeds_in_words(seeds: Mapping[str, Any]) -> str:
    """How far the trainings of each network lie apart on the Galaxy10 images, as a sentence or two."""
    told = []
    for name, sets in seeds["families"].items():
        low, high = min(sets["sample"]["each"]), max(sets["sample"]["each"])
        told.append(
            f"{len(sets['sample']['each'])} trainings of “{name}” name {low:.1%} to {high:.1%} correctly"
        )
    return f"Of the Galaxy10 images, {'; '.join(told)}."


def accuracy_in_words(figure: Mapping[str, Any] | None) -> str:
    """One figure in words, such as "61.4% (49.7% to 71.9%)"; that it is missing where there is none."""
    if not figure:
        return NOT_JUDGED
    low, high = figure["interval"]
    return f"{figure['accuracy']:.1%} ({low:.1%} to {high:.1%})"


def score_in_words(scores: Mapping[str, Any]) -> str:
    """The accuracy of what `galaxylib.evaluation.predictions.scores` returns, in the same words."""
    return accuracy_in_words({**scores, "interval": scores["accuracy_interval"]})


def blind_table(metas: Mapping[str, Mapping[str, Any]], blind: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each network, as text: the images that its makers had, the blind test, and both together.

    Args:
        metas: the descriptions of the networks' checkpoints, by name.
        blind: as `blind_figures` has it.
    """
    lines = {}
    for name, meta in metas.items():
        before, judged = meta["results"]["real"]["plain"], blind_figures(blind, meta=meta)
        lines[f'galaxylib.load("{name}")'] = {
            f"the {before['n']} images before": score_in_words(before),
            "blind test": accuracy_in_words(judged.get("blind")),
            "all together": accuracy_in_words(judged.get("pooled")),
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("network")
