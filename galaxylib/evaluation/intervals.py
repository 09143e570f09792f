"""Shares, F1 scores and calibration, each with how far it can be trusted."""

from dataclasses import dataclass

import numpy as np

LEVEL_95 = 1.959963984540054  # of the standard normal distribution

Interval = tuple[float, float]


def ratio(part: float, whole: float) -> float:
    """`part / whole`, 0 where there is nothing to divide by (as scikit-learn has it)."""
    return float(part / whole) if whole else 0.0


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's 95 % score interval of a share; (0, 1) where there was no trial.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, LEVEL_95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = LEVEL_95 / (1 + z2 / trials) * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


@dataclass(frozen=True)
class F1:
    """F1 scores, or their intervals.

    Attributes:
        per_class: one a class.
        macro: mean over the classes that occur.
        weighted: mean over the galaxies' classes.
    """

    per_class: "np.ndarray | list[Interval]"
    macro: "np.ndarray | Interval"
    weighted: "np.ndarray | Interval"


def f1_scores(matrix: np.ndarray) -> F1:
    """From confusion matrices (..., C, C), true classes down.

    A class that is neither true nor predicted anywhere counts in no average; one that is only predicted
    counts as 0 in the macro mean, as in scikit-learn.
    """
    support, claimed = matrix.sum(-1), matrix.sum(-2)
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    present = support + claimed > 0
    per_class = np.divide(2 * right, support + claimed, out=np.zeros(right.shape), where=present)
    macro = per_class.sum(-1) / np.maximum(present.sum(-1), 1)
    weighted = (per_class * support).sum(-1) / np.maximum(support.sum(-1), 1)
    return F1(per_class, macro, weighted)


def bootstrap(matrix: np.ndarray, *, resamples: int, seed: int) -> F1:
    """95 % percentile intervals of the F1 scores when the galaxies are drawn again.

    Drawing N galaxies with replacement is a multinomial draw of the matrix's cells.
    """
    count = int(matrix.sum())
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(count, matrix.ravel() / count, size=resamples).reshape(-1, *matrix.shape)
    found = f1_scores(drawn)
    return F1(
        [_middle(column) for column in found.per_class.T], _middle(found.macro), _middle(found.weighted)
    )


def _middle(values: np.ndarray) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class Calibration:
    """How confidence compares with success.

    Attributes:
        ece: expected calibration error, the mean distance of confidence and accuracy over the galaxies.
        interval: its 95 % bootstrap interval.
        bins: one dict a bin that holds galaxies: `count`, mean `confidence`, `accuracy` and its Wilson
            `interval`.
    """

    ece: float
    interval: Interval
    bins: list[dict[str, object]]


def calibration(
    confidence: np.ndarray, right: np.ndarray, *, bins: int = 15, resamples: int = 2000, seed: int = 0
) -> Calibration:
    """Reliability in bins of equal width (Guo et al. 2017, 15 bins).

    Args:
        confidence: (N,) probability of the predicted class.
        right: (N,) whether it was the true one.
        bins: how many.
        resamples: draws of the bootstrap, at most 500.
        seed: of the bootstrap.
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    table = []
    for number in range(bins):
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
    ece = np.abs(np.bincount(place, gap, bins)).sum() / len(gap)
    again = [
        _ece_of(generator.integers(0, len(gap), len(gap)), place, gap, bins)
        for _ in range(min(resamples, 500))
    ]
    return Calibration(float(ece), _middle(np.array(again)), table)


def _ece_of(chosen: np.ndarray, place: np.ndarray, gap: np.ndarray, bins: int) -> float:
    return float(np.abs(np.bincount(place[chosen], gap[chosen], bins)).sum() / len(chosen))


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
    """softmax(log p / T), (N, C)."""
    logits = np.log(np.maximum(probabilities, 1e-300)) / temperature
    scaled = np.exp(logits - logits.max(1, keepdims=True))
    return scaled / scaled.sum(1, keepdims=True)
