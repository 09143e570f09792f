"""Whether a network is as often right as it says: reliability in bins, and the temperature that mends it.

And how often it is right where it may leave out the galaxies that it is least sure of.

Own code, for scikit-learn's `calibration_curve` gives the bins of two classes only, without their counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from galaxylib.errors import GalaxyError
from galaxylib.evaluation.intervals import Interval, percentiles_95, wilson

BINS = 15
TEMPERATURES = (0.05, 20.0)
COVERAGES = (1.0, 0.9, 0.8, 0.5)


@dataclass(frozen=True)
class Calibration:
    """How confidence compares with success.

    Attributes:
        ece: expected calibration error, the mean distance of confidence and accuracy over the galaxies.
        interval: its 95 % interval by the bootstrap. Galaxies drawn again add their own chance to the error,
            so that the draws lie above it; they are shifted down by their mean excess, to 0 at most.
        by_chance: the error that a network of the same confidence shows on so many galaxies, on average, when
            it is right exactly as often as it says.
        bins: a dictionary for each bin that holds galaxies: `count`, mean `confidence`, `accuracy` and its
            Wilson `interval`, all but the first in [0, 1].
    """

    ece: float
    interval: Interval
    by_chance: float
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
    ece, count = _ece(place, gap), len(gap)
    again, honest = [], []
    for _ in range(min(resamples, 500)):
        chosen = generator.integers(0, count, count)
        again.append(_ece(place[chosen], gap[chosen]))
        honest.append(_ece(place, confidence - (generator.random(count) < confidence)))
    low, high = percentiles_95(np.maximum(np.array(again) - np.mean(again) + ece, 0))
    return Calibration(ece, (low, high), float(np.mean(honest)), table)


def _ece(place: np.ndarray, gap: np.ndarray) -> float:
    return float(np.abs(np.bincount(place, gap, BINS)).sum() / len(gap))


def fit_temperature(
    probabilities: np.ndarray | Sequence[np.ndarray], targets: np.ndarray | Sequence[np.ndarray]
) -> float:
    """The temperature T that makes softmax(log p / T) fit best (least cross-entropy); above 1: overconfident.

    Source: Guo et al. 2017. Log-probabilities serve as logits: they differ by a constant a galaxy.

    Args:
        probabilities: (N, C), of galaxies that were not trained on; or a list of such arrays, one a source,
            where each source counts alike, however many galaxies it has.
        targets: (N,) number of the true class's column, or (N, C) the share of each class, such as that of
            volunteers' votes, whose rows add up to 1; a list where `probabilities` is one.

    Returns:
        T, from 0.05 to 20.

    Raises:
        GalaxyError: there is nothing to fit, or targets and probabilities do not fit together.
    """
    from scipy.optimize import minimize_scalar

    if isinstance(probabilities, np.ndarray):
        probabilities, targets = [probabilities], [targets]
    if len(probabilities) != len(targets) or not len(probabilities):
        raise GalaxyError(
            f"There are {len(probabilities)} sources of probabilities and {len(targets)} of targets: give "
            "one of each for every source."
        )
    sources = [(given, _shares(wanted, given)) for given, wanted in zip(probabilities, targets, strict=True)]

    def loss(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        return float(np.mean([cross_entropy(apply_temperature(p, temperature), t) for p, t in sources]))

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def _shares(targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Targets as shares of the classes, (N, C)."""
    targets = np.asarray(targets)
    count, classes = probabilities.shape
    if count == 0:
        raise GalaxyError(
            "A temperature cannot be fitted to no galaxy: give galaxies that were not trained on."
        )
    if (
        targets.shape == (count,)
        and targets.dtype.kind in "iu"
        and 0 <= targets.min() <= targets.max() < classes
    ):
        return np.eye(classes)[targets]
    if targets.shape == (count, classes) and targets.min() >= 0 and np.allclose(targets.sum(1), 1, atol=1e-3):
        return targets
    raise GalaxyError(
        f"Targets of shape {targets.shape} do not fit probabilities of shape {probabilities.shape}: give "
        f"each galaxy the number of its class, from 0 to {classes - 1}, or shares of the classes that add up "
        "to 1."
    )


def cross_entropy(probabilities: np.ndarray, shares: np.ndarray) -> float:
    """Mean over N galaxies of -sum(share x log probability), in nats; both (N, C)."""
    return float(-(shares * np.log(np.maximum(probabilities, 1e-300))).sum(1).mean())


def temperature_from_agreement(probabilities: Sequence[np.ndarray]) -> float:
    """The temperature at which networks' mean confidence equals their agreement; no label is needed.

    Networks of the same kind that were trained from different seeds agree on an image about as often as each
    is right (generalisation disagreement equality: Jiang et al., ICLR 2022, "Assessing Generalization of SGD
    via Disagreement"), provided that together they are calibrated. So the mean probability of the predicted
    class ought to be the mean agreement of two networks, and one temperature for all of them makes it so.

    Args:
        probabilities: of at least two networks, each (N, C) for the same N images, none of them trained on.

    Returns:
        T, from 0.05 to 20; a bound where the agreement lies beyond what any temperature between them gives.

    Raises:
        GalaxyError: there are fewer than two networks, no image, or arrays of different shapes.
    """
    from scipy.optimize import brentq

    shapes = {np.shape(given) for given in probabilities}
    if len(probabilities) < 2 or len(shapes) > 1 or 0 in next(iter(shapes)):
        raise GalaxyError(
            f"The agreement of {len(probabilities)} networks with probabilities of "
            f"{len(shapes)} shapes cannot be measured: give at least two networks' for the same images."
        )
    answers = [given.argmax(1) for given in probabilities]
    agreement = np.mean([(one == other).mean() for one, other in combinations(answers, 2)])

    def surplus(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        sure = [apply_temperature(given, temperature).max(1).mean() for given in probabilities]
        return float(np.mean(sure) - agreement)

    low, high = np.log(TEMPERATURES)
    if surplus(low) <= 0 or surplus(high) >= 0:
        return TEMPERATURES[0] if surplus(low) <= 0 else TEMPERATURES[1]
    return float(np.exp(brentq(surplus, low, high)))


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N, C) at another temperature T above 0: softmax(log p / T), (N, C)."""
    logits = np.log(np.maximum(probabilities, 1e-300)) / temperature
    scaled = np.exp(logits - logits.max(1, keepdims=True))
    return scaled / scaled.sum(1, keepdims=True)


@dataclass(frozen=True)
class RiskCoverage:
    """How often a network is right where it may stay silent about the galaxies it is least sure of.

    Attributes:
        coverage: (K,) shares of the galaxies about which it speaks, the surest first, up to 1.
        accuracy: (K,) share of those that it names correctly.
        area: mean over all coverages of the share that it names wrongly; 0 is best.
        table: for each of `COVERAGES` a dictionary with `coverage`, `n` (galaxies kept), `accuracy` and its
            Wilson `interval`.
    """

    coverage: list[float]
    accuracy: list[float]
    area: float
    table: list[dict[str, object]]


def risk_coverage(confidence: np.ndarray, right: np.ndarray, *, points: int = 100) -> RiskCoverage:
    """Accuracy against the share of galaxies kept, from the surest to the least sure.

    Galaxies of equal confidence stand in for each other: each counts as their mean. Source: Geifman &
    El-Yaniv, NeurIPS 2017, "Selective Classification for Deep Neural Networks".

    Args:
        confidence: (N,) probability of the predicted class, at least one.
        right: (N,) whether it was the true one.
        points: length of the curve, at most.
    """
    _, group = np.unique(-np.asarray(confidence), return_inverse=True)
    expected = np.bincount(group, np.asarray(right, float)) / np.bincount(group)
    successes = np.cumsum(expected[np.sort(group)])
    count = len(successes)
    accuracy = successes / np.arange(1, count + 1)
    kept = np.unique(np.ceil(np.linspace(0, 1, min(points, count) + 1)[1:] * count - 1e-9).astype(int))
    table = []
    for share in COVERAGES:
        number = max(1, round(share * count))
        told = {"coverage": share, "n": number, "accuracy": float(accuracy[number - 1])}
        table.append(told | {"interval": wilson(round(float(successes[number - 1])), number)})
    return RiskCoverage(
        (kept / count).tolist(), accuracy[kept - 1].tolist(), float(1 - accuracy.mean()), table
    )
