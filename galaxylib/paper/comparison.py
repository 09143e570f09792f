"""Networks side by side: the same galaxies, the same split, as many images, and tests that pair them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from scipy.stats import t as student
from sklearn.metrics import precision_recall_fscore_support

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.splits import Split
from galaxylib.errors import GalaxyError
from galaxylib.evaluation.predictions import class_columns, predict, predicted, scores
from galaxylib.files import scratch
from galaxylib.networks.baselines import flops
from galaxylib.networks.registry import NETWORKS, entry
from galaxylib.training.recipes import Recipe


def recipe_for(name: str, base: Recipe, *, largest: int) -> Recipe:
    """`base` with a network's own input size, crop, learning rate and batch.

    Args:
        name: of the network.
        base: every other setting.
        largest: pixels a side to which the images of DMAGNet, the five-block CNN, ResNet-18, AlexNet and
            networks that are not registered are reduced; the others read the only size that they can.
    """
    known = entry(name)
    smallest = known.smallest or (known.size if name in NETWORKS else 32)
    return base.but(
        network=name,
        size=min(known.size, max(largest, smallest)),
        crop=known.crop,
        learning_rate=known.rate or base.learning_rate,
        batch_size=base.batch_size * known.larger_batch,
    )


@dataclass(frozen=True)
class Outcome:
    """One network, trained and examined.

    Attributes:
        name: of the network.
        title: as the tables show it.
        summary: what `galaxylib.training.loop.train` returned.
        predictions: on the test rows, from `galaxylib.evaluation.predictions.predict`.
        flop: floating-point operations of one image.
        speed: images a second that it judges, as `predict` reads and judges them.
        recipe: how it was trained.
    """

    name: str
    title: str
    summary: dict[str, Any]
    predictions: pd.DataFrame
    flop: int
    speed: float
    recipe: Recipe


def contend(
    data: Galaxy10, split: Split, recipe: Recipe, *, folder: str | Path, progress: bool = False
) -> Outcome:
    """Train a network and let it judge the test rows.

    Args:
        data: the galaxies.
        split: of them.
        recipe: of the training.
        folder: where the checkpoint stands, in a folder of its own, while it is needed; it is gone afterwards
            (AlexNet's, with what resuming needs, takes a gigabyte).
        progress: show training progress.

    Raises:
        DataError: there are too few galaxies.
        GalaxyError: the network cannot be built, or its training failed.
    """
    from galaxylib.networks.checkpoint import load
    from galaxylib.training.loop import train

    with scratch(folder) as out:
        summary = train(data, split, recipe, out=out, progress=progress)
        loaded = load(out, own_network=recipe.network)
    began = time.perf_counter()
    predictions = predict(loaded, data, split.test)
    speed = len(split.test) / (time.perf_counter() - began)
    return Outcome(
        name=recipe.network,
        title=entry(recipe.network).title,
        summary=summary,
        predictions=predictions,
        flop=flops(loaded.network, recipe.size),
        speed=speed,
        recipe=recipe,
    )


def mcnemar(first: Sequence[bool] | np.ndarray, second: Sequence[bool] | np.ndarray) -> dict[str, float]:
    """McNemar's exact test: do two networks fail on different galaxies, one more often than the other?

    Args:
        first: (N,) whether the first network is right about each galaxy.
        second: (N,) the same of the second, on the same galaxies.

    Returns:
        `only_first` and `only_second`, galaxies that only one has right, and `p`, two-sided: the chance of a
        split at least as uneven if both were equally good (McNemar 1947, binomial form).

    Raises:
        GalaxyError: the two are not about the same number of galaxies.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape:
        raise GalaxyError("McNemar's test pairs two networks: give both on the same galaxies.")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = only_first + only_second
    p = binomtest(only_first, discordant).pvalue if discordant else 1.0
    return {"only_first": only_first, "only_second": only_second, "p": float(p)}


def summarised(values: Sequence[float], interval: tuple[float, float]) -> tuple[float, float, float]:
    """Mean and 95 % interval of one score over several seeds.

    Args:
        values: the score of each seed.
        interval: that of the first seed's test galaxies, used where there is one seed only.

    Returns:
        mean, lower and upper end, from 0 to 1; over seeds the interval is Student's, of the mean, and holds
        the scatter of training. With one seed it holds the scatter of the test galaxies only.
    """
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, *interval
    half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def results_table(outcomes: Mapping[str, Sequence[Outcome]], *, resamples: int = 1000) -> pd.DataFrame:
    """One row a network: its size, its cost, its scores with 95 % intervals.

    Args:
        outcomes: of each network, one for each training.
        resamples: draws of the bootstrap behind the intervals of macro F1.

    Returns:
        rows under the networks' names; `accuracy` and `macro_f1` are means over the trainings, with `_low`
        and `_high` from `summarised`; speeds and seconds are means too.
    """
    rows = []
    for runs in outcomes.values():
        judged = [scores(run.predictions, resamples=resamples) for run in runs]
        row = {
            "network": runs[0].title,
            "parameters": runs[0].summary["parameters"],
            "MFLOP": runs[0].flop / 1e6,
            "trained, images/s": np.mean([run.summary["images_per_second"] for run in runs]),
            "judged, images/s": np.mean([run.speed for run in runs]),
            "epochs": runs[0].recipe.epochs,
            "seconds": np.mean([run.summary["seconds"] for run in runs]),
        }
        for score in ("accuracy", "macro_f1"):
            mean, low, high = summarised([one[score] for one in judged], judged[0][f"{score}_interval"])
            row |= {score: mean, f"{score}_low": low, f"{score}_high": high}
        rows.append(row)
    return pd.DataFrame(rows, index=list(outcomes))


def right(predictions: pd.DataFrame) -> np.ndarray:
    """(N,) whether the most probable class is the true one."""
    return (predicted(predictions) == predictions["true"]).to_numpy()


def three_ways(predictions: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall and F1 as a source may have meant them.

    "arg-max, micro": one label a galaxy, counts pooled over the classes; all three equal the accuracy.
    "arg-max, macro": the same labels, averaged over the classes. "each class at 0.5": a class is claimed
    when its probability reaches 0.5, so a galaxy may get no label; counts pooled.

    Returns:
        rows of those names, columns `precision`, `recall`, `f1`.
    """
    names = class_columns(predictions)
    true = predictions["true"].to_numpy()[:, None] == np.array(names)[None, :]
    probabilities = predictions[names].to_numpy()
    best = probabilities == probabilities.max(axis=1, keepdims=True)
    best &= best.cumsum(axis=1) == 1  # a tie goes to the first
    table = {}
    for way, claimed, average in (
        ("arg-max, micro", best, "micro"),
        ("arg-max, macro", best, "macro"),
        ("each class at 0.5", probabilities >= 0.5, "micro"),
    ):
        values = precision_recall_fscore_support(true, claimed, average=average, zero_division=0)
        table[way] = dict(zip(("precision", "recall", "f1"), values[:3], strict=True))
    return pd.DataFrame(table).T.rename_axis("way")
