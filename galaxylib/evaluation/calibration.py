"""Whether a network is as often right as it says: reliability in bins, and the temperature that mends it.

Own code, for scikit-learn's `calibration_curve` gives the bins of two classes only, without their counts.
"""

from dataclasses import dataclass

import numpy as np

from galaxylib.evaluation.intervals import Interval, percentiles_95, wilson

BINS = 15


@dataclass(frozen=True)
class Calibration:
    """How confidence compares with success.

    Attributes:
        ece: expected calibration error, the mean distance of confidence and accuracy over the galaxies.
        interval: its 95 % bootstrap interval.
        bins: a dictionary for each bin that holds galaxies: `count`, mean `confidence`, `accuracy` and its
            Wilson `interval`, all but the first in [0, 1].
    """

    ece: float
    interval: Interval
    bins: list[dict[str, object]]


def calibration(
    confidence: np.ndarray, right: np.ndarray, *, resamples: int = 2000, seed: int = 0
) -> Calibration:
    """Reliability in `BINS` bins of equal width between 0 and 1, as in Guo et al. (2017).

    Args:
        confidence: (N,) probability of the predicted class.
        right: (N,) whether it was the true one.
        resamples: draws of the bootstrap; more than 500 count as 500.
        seed: start of the bootstrap's random numbers.
    """
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    table = []
    for number in range(BINS):
        inside = place == number
        if inside.any():
            table.append(
                {
                    "count": int(inside.sum()),
                    "confidence": float(confidence[inside].mean()),
                    "accuracy": float(right[inside].mean()),
                    "interval": wilson(int(right[inside].sum()), int(inside.sum())),
                }
            )
    generator = np.random.default_rng(seed)
    gap = confidence - right
    # Signed gaps add up within a bin; their size counts between bins.
    ece = np.abs(np.bincount(place, gap, BINS)).sum() / len(gap)
    again = [
        _ece_of(generator.integers(0, len(gap), len(gap)), place, gap) for _ in range(min(resamples, 500))
    ]
    return Calibration(float(ece), percentiles_95(np.array(again)), table)


def _ece_of(chosen: np.ndarray, place: np.ndarray, gap: np.ndarray) -> float:
    return float(np.abs(np.bincount(place[chosen], gap[chosen], BINS)).sum() / len(chosen))


def fit_temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The temperature T that makes softmax(log p / T) fit best (least cross-entropy); above 1: overconfident.

    Source: Guo et al. 2017. Log-probabilities serve as logits: they differ by a constant a galaxy.

    Args:
        probabilities: (N, C), of galaxies that were not trained on.
        truth: (N,) number of the true class's column.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        scaled = apply_temperature(probabilities, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(scaled[np.arange(len(truth)), truth], 1e-300)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N, C) at another temperature T above 0: softmax(log p / T), (N, C)."""
    logits = np.log(np.maximum(probabilities, 1e-300)) / temperature
    scaled = np.exp(logits - logits.max(1, keepdims=True))
    return scaled / scaled.sum(1, keepdims=True)
