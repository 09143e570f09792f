"""Shares and F1 scores, each with how far it can be trusted."""

from dataclasses import dataclass

import numpy as np

Interval = tuple[float, float]


def ratio(part: float, whole: float) -> float:
    """`part / whole`, 0 where there is nothing to divide by (as scikit-learn has it)."""
    return float(part / whole) if whole else 0.0


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's 95 % score interval of the share `successes / trials`; (0, 1) where there was no trial.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    if trials == 0:
        return 0.0, 1.0
    from scipy.stats import binomtest  # here, for it takes a second

    low, high = binomtest(successes, trials).proportion_ci(method="wilson")
    return float(low), float(high)


def f1_interval(right: int, either: int) -> Interval:
    """95 % interval of the F1 score of one class.

    F1 = 2 J / (1 + J) rises with the Jaccard share J = `right` / `either`, so that Wilson's interval of J
    gives that of F1. Drawing galaxies again would give [0, 0] for a class of which none is named rightly.

    Args:
        right: galaxies of the class that are named so.
        either: galaxies that are of the class, or are named so, or both.
    """
    low, high = wilson(right, either)
    return 2 * low / (1 + low), 2 * high / (1 + high)


@dataclass(frozen=True)
class F1:
    """F1 scores in [0, 1].

    Attributes:
        per_class: (..., C) one for each class.
        macro: (...) the mean over the classes that occur.
        weighted: (...) the mean over the classes, weighted by their galaxies.
    """

    per_class: np.ndarray
    macro: np.ndarray
    weighted: np.ndarray


def f1_scores(matrix: np.ndarray) -> F1:
    """F1 scores of confusion matrices (..., C, C) that count galaxies, true classes down.

    A class that is neither true nor predicted anywhere counts in no average; one that is only predicted
    counts as 0 in the macro mean, as in scikit-learn, whose `f1_score` takes the labels of one matrix at a
    time and would need minutes for the bootstrap's thousands.
    """
    support, claimed = matrix.sum(-1), matrix.sum(-2)
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    present = support + claimed > 0
    per_class = np.divide(2 * right, support + claimed, out=np.zeros(right.shape), where=present)
    macro = per_class.sum(-1) / np.maximum(present.sum(-1), 1)
    weighted = (per_class * support).sum(-1) / np.maximum(support.sum(-1), 1)
    return F1(per_class, macro, weighted)


def bootstrap(matrix: np.ndarray, *, resamples: int, seed: int) -> tuple[Interval, Interval]:
    """95 % percentile intervals of the macro and the weighted F1 when the galaxies are drawn again.

    Drawing N galaxies with replacement is a multinomial draw of the matrix's cells.

    Args:
        matrix: (C, C) counts, true classes down; at least one galaxy.
        resamples: how many times the galaxies are drawn again.
        seed: start of the random numbers.
    """
    count = int(matrix.sum())
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(count, matrix.ravel() / count, size=resamples).reshape(-1, *matrix.shape)
    found = f1_scores(drawn)
    return percentiles_95(found.macro), percentiles_95(found.weighted)


def percentiles_95(values: np.ndarray) -> Interval:
    """The interval that holds the middle 95 % of the values (N,)."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
