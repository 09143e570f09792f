"""Whether a network's score "unlike its training's images" tells what is no galaxy from galaxies."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from galaxylib.data.in_memory import InMemory
from galaxylib.evaluation.intervals import percentiles_95
from galaxylib.evaluation.judgement import judge_with
from galaxylib.evaluation.predictions import unlike_summary
from galaxylib.networks.checkpoint import Loaded
from galaxylib.simulate.artefacts import ARTEFACTS, SKY, STAR, draw_others

KINDS: dict[str, tuple[str, ...]] = {"star": (STAR,), "empty sky": (SKY,), "artefact": ARTEFACTS}
"""What is drawn, and of which of the simulator's kinds in turn."""


def unlike_scores(
    trained: Loaded, *, count: int, seed: int, batch_size: int = 64
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Draw cutouts without a galaxy, and let a checkpoint that has a reference judge them.

    Args:
        trained: the checkpoint.
        count: cutouts of each of `KINDS`.
        seed: of the drawing.
        batch_size: images at once.

    Returns:
        For each of `KINDS` the images, (count, 256, 256, 3) uint8, and their scores, (count,).
    """
    images = {
        name: draw_others(kinds, count, seed=seed + number)
        for number, (name, kinds) in enumerate(KINDS.items())
    }
    rows = np.arange(count)
    scores = {
        name: judge_with(
            trained, InMemory(drawn, np.zeros(count, np.int64), True), rows, batch_size=batch_size
        ).unlike
        for name, drawn in images.items()
    }
    return images, scores


def area_under_curve(
    galaxies: np.ndarray, others: np.ndarray, *, resamples: int = 500, seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """How often one of the others has a higher score than a galaxy, ties counting half, and its interval.

    Args:
        galaxies: (N,) scores of galaxies.
        others: (M,) scores of what is no galaxy.
        resamples: draws of the bootstrap, of both sides; more than 500 count as 500.
        seed: start of the bootstrap's random numbers.

    Returns:
        The area under the receiver operating characteristic, in [0, 1], and its 95 % bootstrap interval.
    """
    from scipy.stats import rankdata

    def area(low: np.ndarray, high: np.ndarray) -> float:
        ranks = rankdata(np.concatenate([low, high]))[len(low) :]
        return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(low) * len(high)))

    generator = np.random.default_rng(seed)
    again = [
        area(generator.choice(galaxies, len(galaxies)), generator.choice(others, len(others)))
        for _ in range(min(resamples, 500))
    ]
    return area(galaxies, others), percentiles_95(np.array(again))


def unlike_table(
    galaxies: np.ndarray, others: dict[str, Sequence[float]], *, resamples: int = 500, seed: int = 0
) -> pd.DataFrame:
    """How well the score tells each kind from galaxies.

    Args:
        galaxies: (N,) scores of galaxies that were not trained on.
        others: for each kind (M,) scores.
        resamples: draws of the bootstrap.
        seed: of the bootstrap.

    Returns:
        One line for galaxies and one a kind, `kind` its index: `n`, `above` (share with a score above 1),
        `above_interval`, `area` (NaN for galaxies) and `area_interval`.
    """
    lines = []
    for kind, scores in {"galaxy": galaxies, **others}.items():
        scores = np.asarray(scores)
        told = unlike_summary(scores)
        area, interval = (np.nan, (np.nan, np.nan))
        if kind != "galaxy":
            area, interval = area_under_curve(galaxies, scores, resamples=resamples, seed=seed)
        lines.append(
            {
                "kind": kind,
                "n": len(scores),
                "above": told["above"],
                "above_interval": told["interval"],
                "area": area,
                "area_interval": interval,
            }
        )
    return pd.DataFrame(lines).set_index("kind")
