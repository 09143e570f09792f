"""How well a network of the ten classes does on the held-out galaxies of other surveys, to choose one by."""

from typing import Any

import numpy as np

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import DataError
from galaxylib.networks.checkpoint import Loaded
from galaxylib.votes.classes import agreement, class_probabilities, support, to_classes
from galaxylib.votes.other_surveys import GROUPS, Survey

CLEAR = 0.5
"""Share of support from which the votes on a galaxy's class are clear."""

UNKNOWN = "Nothing is known of these galaxies: give some with votes or classes."

MEMBERS = tuple(dict.fromkeys(GROUPS.values()))
"""The groups of classes that a coarse class may be, the two ways in which a spiral may turn being one."""


def held_out_part(survey: Survey) -> Survey:
    """The galaxies that no training of this project learns from, with their votes or classes."""
    return survey.rows(survey.held)


def clear_votes(fractions: np.ndarray) -> np.ndarray:
    """Whether the votes support their class by `CLEAR` at least: (N, 37) -> (N,) bool."""
    shares = np.maximum(support(fractions), 0)
    return shares[np.arange(len(shares)), to_classes(fractions)] >= CLEAR


def judged(loaded: Loaded, survey: Survey, *, batch_size: int = 32) -> np.ndarray:
    """What a network gives a survey's galaxies: (N, 10) probabilities in the order of `CLASS_NAMES`.

    Raises:
        DataError: the network knows other classes.
    """
    return class_probabilities(loaded, survey.images, preprocess=loaded.preprocess, batch_size=batch_size)


def score(probabilities: np.ndarray, survey: Survey) -> dict[str, Any]:
    """How well probabilities fit what is known of a survey's galaxies.

    Args:
        probabilities: (N, 10) in the order of `CLASS_NAMES`.
        survey: the galaxies, with votes or with coarse classes.

    Returns:
        what `score_votes` or `score_groups` returns.

    Raises:
        DataError: nothing is known of these galaxies, or there are others than probabilities.
    """
    if len(probabilities) != len(survey) or not len(survey):
        raise DataError(f"{len(probabilities)} rows for {len(survey)} galaxies: give one for each, and some.")
    if survey.fractions is not None:
        return score_votes(probabilities, survey.fractions)
    if survey.partial:
        return score_groups(probabilities, survey.kinds)
    raise DataError(UNKNOWN)


def is_right(probabilities: np.ndarray, survey: Survey) -> np.ndarray:
    """About which galaxies a network is right, as `score` counts it: (N, 10) -> (N,) bool.

    Raises:
        DataError: nothing is known of these galaxies.
    """
    if survey.fractions is not None:
        return probabilities.argmax(axis=1) == survey.kinds
    if survey.partial:
        sums, true = _groups(probabilities, survey.kinds)
        return sums.argmax(axis=1) == true
    raise DataError(UNKNOWN)


def score_votes(probabilities: np.ndarray, fractions: np.ndarray) -> dict[str, Any]:
    """Probabilities beside votes.

    Args:
        probabilities: (N, 10) in the order of `CLASS_NAMES`.
        fractions: (N, 37) votes.

    Returns:
        `all` and `clear`, the agreement with the votes' class over all galaxies and over those whose votes
        support it by `CLEAR` at least; `macro` and `macro_clear`, the mean over the classes that occur of the
        share in which both agree; `cross_entropy`, -sum_k t_k log p_k on average over the galaxies whose
        votes support any class, t being the votes' support with sum 1 (nats).
    """
    by_votes, by_network = to_classes(fractions), probabilities.argmax(axis=1)
    shares = np.maximum(support(fractions), 0)
    clear = clear_votes(fractions)
    total = shares.sum(axis=1, keepdims=True)
    told = total[:, 0] > 0
    logs = np.log(np.maximum(probabilities[told], 1e-12))
    return {
        "all": agreement(by_votes, by_network),
        "clear": agreement(by_votes[clear], by_network[clear]),
        "macro": _macro(by_votes, by_votes == by_network),
        "macro_clear": _macro(by_votes[clear], (by_votes == by_network)[clear]),
        "cross_entropy": float(-(shares[told] / total[told] * logs).sum(axis=1).mean()),
    }


def score_groups(probabilities: np.ndarray, kinds: np.ndarray) -> dict[str, Any]:
    """Probabilities beside coarse classes, the two ways in which a spiral may turn being one.

    Args:
        probabilities: (N, 10) in the order of `CLASS_NAMES`.
        kinds: (N,) numbers of the coarse classes, in the order of `GROUPS`.

    Returns:
        `n`; `share`, of galaxies whose largest sum of probabilities is that of their group; `groups`, the
        same for each group that occurs, and `macro`, their mean; `cross_entropy`, -log of the group's sum
        (nats).
    """
    names = [" or ".join(name for name, classes in GROUPS.items() if classes == group) for group in MEMBERS]
    sums, true = _groups(probabilities, kinds)
    right = sums.argmax(axis=1) == true
    return {
        "n": len(true),
        "share": float(right.mean()),
        "groups": {names[k]: float(right[true == k].mean()) for k in np.unique(true)},
        "macro": _macro(true, right),
        "cross_entropy": float(-np.log(np.maximum(sums[np.arange(len(true)), true], 1e-12)).mean()),
    }


def _macro(kinds: np.ndarray, right: np.ndarray) -> float:
    """The mean, over the kinds that occur, of the share that is right; 0 where there are none."""
    return float(np.mean([right[kinds == kind].mean() for kind in np.unique(kinds)])) if len(kinds) else 0.0


def _groups(probabilities: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sum of each group's probabilities, (N, groups), and the number of the true group, (N,)."""
    columns = [[CLASS_NAMES.index(name) for name in group] for group in MEMBERS]
    sums = np.stack([probabilities[:, group].sum(axis=1) for group in columns], axis=1)
    return sums, np.array([MEMBERS.index(group) for group in GROUPS.values()])[kinds]
