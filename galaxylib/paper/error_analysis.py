"""Where a network succeeds and where it fails: accuracy against what is known of each galaxy."""

import numpy as np
import pandas as pd

from galaxylib.evaluation.intervals import wilson
from galaxylib.evaluation.predictions import class_columns, predicted

PIXEL = 0.262  # arcsec, of the Legacy Surveys
ZERO_POINT = 22.5  # magnitude of one nanomaggy


def signal_to_noise(truth: pd.DataFrame) -> pd.Series:
    """How far the galaxy stands out from the sky's noise, inside its half-light radius.

    Half of the light over the noise of the pixels of a circle of that radius, in r; the galaxy's own photon
    noise is left out, so that bright galaxies come out somewhat too high.

    Args:
        truth: with `magnitude` (r), `half_light_radius` (arcsec) and `sky_sigma` (nanomaggies a pixel in r).
    """
    light = 0.5 * 10 ** (-0.4 * (truth["magnitude"] - ZERO_POINT))
    pixels = np.pi * (truth["half_light_radius"] / PIXEL) ** 2
    return (light / (truth["sky_sigma"] * np.sqrt(pixels))).rename("signal_to_noise")


def accuracy_against(
    predictions: pd.DataFrame, values: np.ndarray | pd.Series, *, bins: int = 5
) -> pd.DataFrame:
    """Accuracy in bins that hold equally many galaxies.

    Args:
        predictions: from `galaxylib.evaluation.predictions.predict`.
        values: one number a line of `predictions`; lines with NaN are left out.
        bins: how many, fewer where values repeat.

    Returns:
        one line a bin: `low` and `high` (smallest and largest value), `middle` (median), `n`, `accuracy`, and
        its Wilson interval as `accuracy_low`, `accuracy_high`. Empty where no value is known.
    """
    values = np.asarray(values, dtype=float)
    right = (predicted(predictions) == predictions["true"]).to_numpy()
    known = np.flatnonzero(np.isfinite(values))
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, bins + 1))) if len(known) else np.empty(0)
    place = np.clip(np.searchsorted(edges, values[known], side="right") - 1, 0, max(len(edges) - 2, 0))
    lines = []
    for number in np.unique(place):
        inside = known[place == number]
        low, high = wilson(int(right[inside].sum()), len(inside))
        lines.append(
            {
                "low": float(values[inside].min()),
                "high": float(values[inside].max()),
                "middle": float(np.median(values[inside])),
                "n": len(inside),
                "accuracy": float(right[inside].mean()),
                "accuracy_low": low,
                "accuracy_high": high,
            }
        )
    return pd.DataFrame(lines)


def confident_mistakes(predictions: pd.DataFrame, *, count: int) -> pd.DataFrame:
    """The wrong predictions with the highest probability: `row`, `true`, `predicted`, `probability`."""
    names = class_columns(predictions)
    guess = predicted(predictions)
    table = pd.DataFrame(
        {
            "row": predictions["row"],
            "true": predictions["true"],
            "predicted": guess,
            "probability": predictions[names].max(axis=1),
        }
    )
    wrong = table[table["true"] != table["predicted"]]
    return wrong.sort_values("probability", ascending=False).head(count).reset_index(drop=True)


def worst_confusions(counts: pd.DataFrame, *, count: int) -> pd.DataFrame:
    """The cells beside the diagonal of a confusion matrix that hold most of their row.

    Returns:
        `true`, `predicted`, `n` and `share` (of the true class), the largest share first.
    """
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    cells = [
        {
            "true": true,
            "predicted": guess,
            "n": int(counts.loc[true, guess]),
            "share": float(shares.loc[true, guess]),
        }
        for true in counts.index
        for guess in counts.columns
        if true != guess and counts.loc[true, guess]
    ]
    table = pd.DataFrame(cells, columns=["true", "predicted", "n", "share"])
    return table.sort_values(["share", "n"], ascending=False).head(count).reset_index(drop=True)


def confused_pairs(matrix: pd.DataFrame) -> list[dict[str, str | int]]:
    """Pairs of classes by how often one is called the other, most often first."""
    counts = matrix.to_numpy()
    both = counts + counts.T
    pairs = [
        {
            "pair": ", ".join(sorted((matrix.index[one], matrix.index[other]))),
            "count": int(both[one, other]),
        }
        for one, other in zip(*np.triu_indices(len(counts), k=1), strict=True)
    ]
    return sorted(pairs, key=lambda pair: -pair["count"])
