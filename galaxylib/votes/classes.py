"""From vote fractions to the ten classes of Galaxy10 DECaLS.

Galaxy10 was made from Galaxy Zoo's votes, by cuts that its makers describe in words only. The rule here is
this project's own, one line a class, so that whoever disagrees can change a line.

A network of the ten classes can be asked about galaxies that have votes only. The challenge's images are of
another survey, so they are brought to the size and the brightness that the network knows (`like_galaxy10`,
`in_their_own_light`); neither looks at a label.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.in_memory import InMemory
from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import DataError
from galaxylib.evaluation.intervals import ratio, wilson
from galaxylib.evaluation.judge import judge_rows
from galaxylib.networks.checkpoint import Loaded
from galaxylib.votes.zoo2 import FULL, IMAGES, PLACES, middle, stored_image

MERGER, DISTURBED = 0.35, 0.25
"""Vote fractions from which a galaxy is Merging, or else Disturbed, whatever else it is."""

HALF_LIGHT = 21.0
"""Half-light radius of the challenge's galaxies in stored pixels, which are 2 % of R90, about 2.4 of it."""

STORED = 256
"""Pixels a side of a Galaxy10 image."""

ANSWERS_FOR: dict[str, tuple[str, ...]] = {
    "Disturbed": ("Class8.3", "Class8.4"),
    "Merging": ("Class8.6",),
    "Round Smooth": ("Class7.1",),
    "In-between Round Smooth": ("Class7.2",),
    "Cigar Shaped Smooth": ("Class7.3",),
    "Edge-on without Bulge": ("Class9.3",),
    "Edge-on with Bulge": ("Class9.1", "Class9.2"),
}
"""The answers whose fractions, summed, speak for a class; the three spirals are in `support`."""


def support(fractions: np.ndarray) -> np.ndarray:
    """How much the votes speak for each class: (N, 37) -> (N, 10), in the order of `CLASS_NAMES`.

    For seven classes it is the sum of `ANSWERS_FOR`. A barred spiral needs a bar and a spiral: the fraction
    of "bar" times the share that saw a spiral. An unbarred one is "no bar" times that share, divided between
    tight and loose as the arms were judged, "medium" going half to each.
    """
    votes = np.asarray(fractions, dtype=float)

    def of(answer: str) -> np.ndarray:
        return votes[:, PLACES[answer]]

    columns = {name: sum(of(answer) for answer in answers) for name, answers in ANSWERS_FOR.items()}
    spiral = of("Class4.1") / np.maximum(of("Class2.2"), 1e-9)
    tight = (of("Class10.1") + of("Class10.2") / 2) / np.maximum(of("Class4.1"), 1e-9)
    columns["Barred Spiral"] = of("Class3.1") * spiral
    columns["Unbarred Tight Spiral"] = of("Class3.2") * spiral * tight
    columns["Unbarred Loose Spiral"] = of("Class3.2") * spiral * (1 - tight)
    return np.stack([columns[name] for name in CLASS_NAMES], axis=1)


def to_classes(fractions: np.ndarray) -> np.ndarray:
    """The class that the votes give each galaxy: (N, 37) -> (N,) int64.

    Merging from a fraction of `MERGER` up, else Disturbed from `DISTURBED` up, else the best supported of the
    other eight.
    """
    found = support(fractions)
    order = {name: place for place, name in enumerate(CLASS_NAMES)}
    classes = np.where(np.arange(len(CLASS_NAMES)) < 2, -1, found).argmax(axis=1)
    classes[found[:, order["Disturbed"]] >= DISTURBED] = order["Disturbed"]
    classes[found[:, order["Merging"]] >= MERGER] = order["Merging"]
    return classes.astype(np.int64)


def side_for(half_light_radius: float) -> int:
    """How much of a challenge image to show, so that a galaxy is as large as the typical one of Galaxy10.

    Args:
        half_light_radius: the typical one, in pixels of a Galaxy10 image.

    Returns:
        central pixels of the 424, even, to be resized to 256.
    """
    side = STORED * HALF_LIGHT / half_light_radius
    return int(np.clip(2 * round(side / 2), 2, FULL))


def like_galaxy10(folder: str | Path, ids: Sequence[int] | np.ndarray, *, side: int) -> np.ndarray:
    """Images of a folder in the challenge's layout, framed as Galaxy10's.

    Args:
        folder: a folder in the challenge's layout.
        ids: GalaxyID of those that are wanted.
        side: central pixels that are kept, from `side_for`.

    Returns:
        (N, 256, 256, 3) uint8.

    Raises:
        DataError: an image is missing, or is not as it must be.
    """
    images = np.empty((len(ids), STORED, STORED, 3), np.uint8)
    for row, number in enumerate(ids):
        images[row] = middle(stored_image(Path(folder) / IMAGES / f"{number}.jpg"), side, STORED)
    return images


def in_their_own_light(preprocess: Preprocess, images: np.ndarray) -> Preprocess:
    """The same preprocessing, normalised with these images' own mean and deviation of each channel.

    Args:
        preprocess: that of the network.
        images: (N, 256, 256, 3) uint8 of another survey.
    """
    # The mean and the deviation over all pixels, image by image so that no float copy of all is made.
    sums = np.stack([image.reshape(-1, 3).mean(axis=0, dtype=float) for image in images])
    squares = np.stack([np.square(image.reshape(-1, 3), dtype=float).mean(axis=0) for image in images])
    mean = sums.mean(axis=0)
    deviation = np.sqrt(np.maximum(squares.mean(axis=0) - mean**2, 1e-6))
    return replace(preprocess, mean=tuple(map(float, mean / 255)), std=tuple(map(float, deviation / 255)))


def class_probabilities(
    loaded: Loaded, images: np.ndarray, *, preprocess: Preprocess, batch_size: int
) -> np.ndarray:
    """What a network gives images in memory: (N, 10) probabilities in the order of `CLASS_NAMES`.

    Args:
        loaded: the network, with its class names; its temperature counts for nothing.
        images: (N, 256, 256, 3) uint8.
        preprocess: the network's own, or the one of `in_their_own_light`.
        batch_size: images at once.

    Raises:
        DataError: the network knows other classes.
    """
    if set(loaded.class_names) != set(CLASS_NAMES):
        raise DataError(
            f"The network knows {', '.join(loaded.class_names[:3])} and so on: "
            "give one of Galaxy10's ten classes."
        )
    data = InMemory(images, np.zeros(len(images), np.int64))
    found = judge_rows(
        loaded.network, data, np.arange(len(data)), preprocess=preprocess, batch_size=batch_size
    )
    return found[:, [loaded.class_names.index(name) for name in CLASS_NAMES]]


def set_beside(
    loaded: Loaded, preprocess: Preprocess, images: np.ndarray, fractions: np.ndarray
) -> dict[str, Any]:
    """A network's classes beside those of the votes.

    Args:
        loaded: the network, with its class names.
        preprocess: its own, or the one of `in_their_own_light`.
        images: (N, 256, 256, 3) uint8.
        fractions: (N, 37) votes on the same galaxies.

    Returns:
        what `agreement` returns; `clear`, the same for the galaxies whose votes support their class by one
        half at least; `confusion`, (10, 10) counts in the order of `CLASS_NAMES`, by the votes down and by
        the network across.

    Raises:
        DataError: the network knows other classes.
    """
    found = class_probabilities(loaded, images, preprocess=preprocess, batch_size=16)
    by_votes, by_network = to_classes(fractions), found.argmax(axis=1)
    clear = support(fractions)[np.arange(len(by_votes)), by_votes] >= 0.5
    confusion = np.zeros((len(CLASS_NAMES), len(CLASS_NAMES)), int)
    np.add.at(confusion, (by_votes, by_network), 1)
    return {
        **agreement(by_votes, by_network),
        "clear": agreement(by_votes[clear], by_network[clear]),
        "confusion": confusion.tolist(),
    }


def agreement(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """How often two judges give the same class.

    Args:
        first: (N,) class numbers by one judge.
        second: (N,) class numbers by the other judge.

    Returns:
        `n`, `share` with its 95 % interval `low` and `high` (Wilson's), `chance` (the share that two judges
        with the same habits would reach by chance) and `kappa`, Cohen's, 0 at chance and 1 at full agreement.
    """
    from sklearn.metrics import cohen_kappa_score  # here, for it takes a second

    same = np.asarray(first) == np.asarray(second)
    habits = [
        np.bincount(np.asarray(judge, int), minlength=len(CLASS_NAMES)) / max(len(same), 1)
        for judge in (first, second)
    ]
    share, chance = ratio(int(same.sum()), len(same)), float(habits[0] @ habits[1])
    low, high = wilson(int(same.sum()), len(same))
    return {
        "n": len(same),
        "share": share,
        "low": low,
        "high": high,
        "chance": chance,
        # scikit-learn gives no number where there are no galaxies, or all are of one class.
        "kappa": float(cohen_kappa_score(first, second)) if 0 < chance < 1 else 0.0,
    }
