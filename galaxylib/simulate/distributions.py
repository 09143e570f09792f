"""Distributions as data: the recipes of `galaxylib.simulate.classes` are written with these five.

Each is frozen, prints as it was written, and draws one float when called with a NumPy generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Distribution(Protocol):
    """Something that draws one number."""

    def __call__(self, rng: np.random.Generator) -> float:
        """Draw one number with `rng`."""
        ...


@dataclass(frozen=True)
class Always:
    """Always the same number."""

    value: float

    def __call__(self, rng: np.random.Generator) -> float:
        """Return the value; `rng` is left as it was."""
        return self.value


@dataclass(frozen=True)
class Uniform:
    """Any number between `low` and `high` alike."""

    low: float
    high: float

    def __call__(self, rng: np.random.Generator) -> float:
        """Draw one number."""
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class Normal:
    """A bell curve, cut at `low` and `high` (what falls outside is drawn again)."""

    mean: float
    sigma: float
    low: float = -math.inf
    high: float = math.inf

    def __call__(self, rng: np.random.Generator) -> float:
        """Draw one number."""
        while not self.low <= (value := float(rng.normal(self.mean, self.sigma))) <= self.high:
            pass
        return value


@dataclass(frozen=True)
class LogNormal:
    """A number whose logarithm is a bell curve; `sigma` in natural units, cut at `low` and `high`."""

    median: float
    sigma: float
    low: float = 0.0
    high: float = math.inf

    def __call__(self, rng: np.random.Generator) -> float:
        """Draw one number."""
        while not self.low <= (value := self.median * math.exp(rng.normal(0.0, self.sigma))) <= self.high:
            pass
        return value


@dataclass(frozen=True)
class Pick:
    """One of `values`, with `weights` (they need not sum to one)."""

    values: tuple[float, ...]
    weights: tuple[float, ...]

    def __call__(self, rng: np.random.Generator) -> float:
        """Draw one of the values."""
        weights = np.asarray(self.weights, float)
        return self.values[int(rng.choice(len(self.values), p=weights / weights.sum()))]


def happens(rng: np.random.Generator, share: float) -> bool:
    """Whether something that happens in `share` of the cases (0 to 1) happens now."""
    return bool(rng.random() < share)
