"""The networks that come with the book beside each other on real galaxies, class by class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.evaluation.predictions import predict, scores
from galaxylib.networks.checkpoint import SHIPPED, describe, load, trainings_of
from galaxylib.paper.blind_test import NOT_JUDGED, accuracy_in_words, blind_figures, score_in_words


@dataclass(frozen=True, kw_only=True)
class OnReal:
    """How one of the networks did on real galaxies.

    Attributes:
        name: as `galaxylib.load` takes it.
        meta: the description of its checkpoint.
        scores: as `galaxylib.evaluation.predictions.scores` gives them.
    """

    name: str
    meta: Mapping[str, Any]
    scores: Mapping[str, Any]

    @property
    def title(self) -> str:
        """How it is loaded."""
        return f'galaxylib.load("{self.name}")'

    @property
    def sources(self) -> list[Mapping[str, Any]]:
        """The real images that it met in training, by where they come from.

        Those of its first weights, and of trainings whose mean it is, are among them.
        """
        parts = reversed(trainings_of(self.meta))
        found = [source for part in parts for source in part.get("companions", {}).get("sources", [])]
        return list({source["name"]: source for source in found}.values())

    def taught_by(self) -> str:
        """What it learned from, in words."""
        words = f"{self.meta['data']['galaxies']:,} simulated"
        drawn = sum(source["drawn"] for source in self.sources)
        return f"{words}, {drawn:,} real of other surveys" if drawn else words


def on_real(real: Galaxy10 | None, *, resamples: int = 2000, seed: int = 0, **views: Any) -> list[OnReal]:
    """Let each network judge a file of real galaxies, or tell what its makers found.

    Args:
        real: the galaxies; `None` for the figures that the checkpoints carry, of one look at each image.
        resamples: draws of the bootstrap.
        seed: of the bootstrap.
        **views: `batch_size` and `symmetries` of `predict`.
    """
    found = []
    for name in SHIPPED:
        meta = describe(name)
        if real is None:
            told = meta["results"]["real"]["plain"]
        else:
            judged = predict(load(name), real, np.arange(len(real)), **views)
            told = scores(judged, resamples=resamples, seed=seed)
        found.append(OnReal(name=name, meta=meta, scores=told))
    return found


def network_table(found: list[OnReal], blind: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each network, as text: what taught it, its scores here, and the blind test.

    Args:
        found: of `on_real`.
        blind: the content of `benchmarks/results/blind_test.json`.
    """
    lines = {}
    for one in found:
        here = one.scores
        judged = blind_figures(blind, meta=one.meta)
        lines[one.title] = {
            "learned from": one.taught_by(),
            "accuracy": score_in_words(here),
            "macro F1": "{:.2f} ({:.2f} to {:.2f})".format(here["macro_f1"], *here["macro_f1_interval"]),
            "blind test": accuracy_in_words(judged.get("blind")),
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("network")


def class_table(found: list[OnReal]) -> pd.DataFrame:
    """A row for each class, as text: its galaxies, and how many of them each network names correctly."""
    galaxies = {one["name"]: one["support"] for one in found[0].scores["per_class"]}
    table = pd.DataFrame({"galaxies": galaxies})
    for one in found:
        table[one.name] = [_recall(row) for row in one.scores["per_class"]]
    return table.rename_axis("class")


def weights_table(blind: Mapping[str, Any]) -> pd.DataFrame:
    """A column for each network, as text: its size, what made it, and how it does.

    Args:
        blind: the content of `benchmarks/results/blind_test.json`.
    """
    columns = {}
    for one in on_real(None):
        meta, judged = one.meta, blind_figures(blind, meta=one.meta)
        figures = {kind: meta["results"][kind]["plain"] for kind in ("simulated", "real")}
        chips = meta["hardware"]["gpus"] or [f"one core of {meta['hardware']['processor']}"]
        columns[one.name] = {
            "parameters": f"{meta['parameters']:,}",
            "image (pixels)": meta["preprocess"]["size"],
            "galaxies": one.taught_by(),
            "goes on from": meta.get("start", {}).get("name", "random weights"),
            "minutes, last stage": f"{meta['seconds'] / 60:.0f}",
            "hardware, last stage": ", ".join(chips),
            "averaged with": _averaged_in_words(meta),
            "accuracy, simulated": score_in_words(figures["simulated"]),
            f"accuracy, {figures['real']['n']} real images": score_in_words(figures["real"]),
            "calibration error, the same": f"{figures['real']['ece']:.0%}",
            "accuracy, blind test": accuracy_in_words(judged.get("blind")),
            "accuracy, all real images": accuracy_in_words(judged.get("pooled")),
            "calibration error, blind test": f"{judged['ece']:.0%}" if judged else NOT_JUDGED,
        }
    return pd.DataFrame(columns)


def _averaged_in_words(meta: Mapping[str, Any]) -> str:
    """The trainings whose weights were averaged with this one's: their galaxies, and where they ended."""
    told = []
    for other in meta.get("averaged_with", [])[1:]:
        before = other.get("start", {}).get("data", {}).get("galaxies")
        galaxies = f"{other['data']['galaxies']:,} simulated" + (f" after {before:,}" if before else "")
        chips = other["hardware"]["gpus"] or [other["hardware"]["processor"]]
        told.append(f"a training on {galaxies} ({', '.join(chips)})")
    return "; ".join(told) or "none"


def former_in_words(blind: Mapping[str, Any]) -> str:
    """The blind test of weights that the book has had before: accuracies by name, or that there are none."""
    told = [
        f"{row['weights']} {accuracy_in_words(row | {'interval': row['wilson_95']})}"
        for row in _former(blind)
    ]
    return "; ".join(told) or "none"


def blind_in_words(name: str, blind: Mapping[str, Any]) -> str:
    """What "it", the blind test, gave a network; what it gave the weights before, where that is all."""
    judged = blind_figures(blind, meta=describe(name))
    if judged:
        return f"it gave these weights {accuracy_in_words(judged['blind'])}"
    former = " and ".join(f"{row['accuracy']:.1%}" for row in _former(blind))
    told = f"; it gave the former ones {former}" if former else ""
    return f"it has not judged these weights yet{told}"


def blind_at_first(name: str, blind: Mapping[str, Any]) -> tuple[str, str]:
    """The blind test for the first page: a share with its interval, and whose it is.

    It is that of the network, or, where nobody has judged it yet, that of the first weights before it.
    """
    judged, former = blind_figures(blind, meta=describe(name)), _former(blind)
    if judged or not former:
        return accuracy_in_words(judged.get("blind")), f"“{name}”"
    told = accuracy_in_words(former[0] | {"interval": former[0]["wilson_95"]})
    return told, f"the former “{former[0]['weights']}”"


def _former(blind: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows on weights that the book has no more."""
    now = {describe(name)["sha256"] for name in SHIPPED}
    return [row for row in blind["rows"] if row["sha256"] not in now]


def order_in_words(found: list[OnReal]) -> str:
    """What the intervals of the accuracies say of the networks' order."""
    first = max(found, key=lambda one: one.scores["accuracy_interval"][0])
    last = min(found, key=lambda one: one.scores["accuracy_interval"][1])
    if first.scores["accuracy_interval"][0] <= last.scores["accuracy_interval"][1]:
        return "These galaxies are too few to rank the networks: all the intervals overlap."
    return f"The whole interval of {first.title} lies above that of {last.title}."


def _recall(row: Mapping[str, Any]) -> str:
    low, high = row["recall_interval"]
    return f"{round(row['recall'] * row['support'])} ({low:.0%} to {high:.0%})"
