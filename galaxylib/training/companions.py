"""Companions: images of other surveys learned beside the training images, whatever is known of them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from galaxylib.data.augmentation import sent
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import GalaxyError
from galaxylib.training.recipes import Recipe
from galaxylib.training.tasks import Classification, Task

STREAM = 10**6
"""Keeps the companions' random numbers apart from those of the training images; no epoch has this number."""


@dataclass(frozen=True)
class Source:
    """Where companions come from.

    Attributes:
        name: of the survey or the set of images.
        labels: what is known of them, in a few words: "votes", "coarse classes", "none".
    """

    name: str
    labels: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Companions:
    """Images of other surveys, brought to the look of the training images, with what is known of them.

    Attributes:
        images: (M, H, W, 3) uint8, as large as the training images.
        targets: (M, C) float32. A soft label gives the share of each class, sum 1; a partial one 1 for each
            class that the galaxy may be, else 0; zeros where nothing is known.
        partial: (M,) bool, whether the label is partial.
        chance: (M,) float64, how often each is drawn, relative to the others; 0 for never.
        measured: (M,) bool, whether it counts for BatchNorm's statistics.
        source: (M,) int64 numbers in `sources`.
        sources: where they come from.
        class_names: of the C classes, in their order.

    Raises:
        GalaxyError: the arrays do not belong together, or an image that may be drawn has no label.
    """

    images: np.ndarray
    targets: np.ndarray
    partial: np.ndarray
    chance: np.ndarray
    measured: np.ndarray
    source: np.ndarray
    sources: tuple[Source, ...]
    class_names: tuple[str, ...] = CLASS_NAMES

    def __post_init__(self) -> None:
        count, classes = len(self.images), len(self.class_names)
        columns = (self.partial, self.chance, self.measured, self.source)
        if self.targets.shape != (count, classes) or any(one.shape != (count,) for one in columns):
            raise GalaxyError(
                f"{count} companions of {classes} classes need targets, chances and sources for each: mend "
                f"those of shape {self.targets.shape} and {', '.join(str(one.shape) for one in columns)}."
            )
        if count == 0 or not (np.isfinite(self.chance).all() and self.chance.min() >= 0):
            raise GalaxyError(
                "Companions need at least one image, and chances that are 0 or more: mend them."
            )
        sums = self.targets.sum(axis=1)
        known = np.where(
            self.partial, (sums > 0) & np.isin(self.targets, (0, 1)).all(1), abs(sums - 1) < 1e-3
        )
        wrong = np.flatnonzero((self.chance > 0) & ~(known & (self.targets >= 0).all(axis=1)))
        if len(wrong):
            raise GalaxyError(
                f"Companion {wrong[0]} may be drawn, and its target is no label: give shares that sum to 1, "
                "ones for a group of classes, or the chance 0."
            )

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that a training meets."""
        content = hashlib.sha256(np.ascontiguousarray(self.images).tobytes())
        for array, kind in (
            (self.targets, "<f4"),
            (self.partial, "u1"),
            (self.chance, "<f8"),
            (self.measured, "u1"),
            (self.source, "<i8"),
        ):
            content.update(np.ascontiguousarray(array.astype(kind)).tobytes())
        return content.hexdigest()[:16]

    def description(self) -> dict[str, Any]:
        """What the checkpoint tells of them: each source, its labels, and how many images are used."""
        sources = []
        for number, source in enumerate(self.sources):
            here = self.source == number
            counts = {
                "images": int(here.sum()),
                "drawn": int((here & (self.chance > 0)).sum()),
                "measured": int((here & self.measured).sum()),
            }
            sources.append({"name": source.name, "labels": source.labels, **counts})
        return {"fingerprint": self.fingerprint, "sources": sources}

    def rows(self, *, seed: int, epoch: int, step: int, count: int) -> np.ndarray:
        """The companions of a step, drawn by their chances; none comes twice in a step.

        Args:
            seed: of the draw.
            epoch: of the draw, counted from 0.
            step: of the epoch, counted from 0.
            count: how many are drawn.

        Returns:
            (count,) int64, the same for the same arguments, whatever was drawn before.
        """
        generator = np.random.default_rng((seed, STREAM, epoch, step))
        return generator.choice(len(self), size=count, replace=False, p=self.chance / self.chance.sum())

    def loss(self, logits: Tensor, rows: np.ndarray, *, label_smoothing: float = 0.0) -> Tensor:
        """The mean loss of some companions.

        A soft label costs its cross-entropy, -sum_k t_k log p_k, with the target smoothed; a partial one
        -log sum_k p_k over the classes that it may be.

        Args:
            logits: (len(rows), C) float32.
            rows: (n,) numbers of the companions.
            label_smoothing: share of a soft target that is spread over all classes, from 0 to 1.

        Returns:
            () float32.
        """
        targets = sent(torch.from_numpy(self.targets[rows]), logits)
        partial = torch.from_numpy(self.partial[rows]).to(logits.device, non_blocking=True)
        logs = F.log_softmax(logits, dim=1)
        smooth = (1 - label_smoothing) * targets + label_smoothing / targets.shape[1]
        soft = -(smooth * logs).sum(dim=1)
        # The group's classes alone; one of them at least is there, or the row is no partial one.
        group = -torch.logsumexp(logs.masked_fill((targets == 0) & partial[:, None], -torch.inf), dim=1)
        return torch.where(partial, group, soft).mean()


def stream(seed: int) -> int:
    """The seed of the companions' augmentation, another than that of the training images."""
    return int(np.random.SeedSequence((seed, STREAM)).generate_state(1)[0])


def check_companions(companions: Companions | None, recipe: Recipe, task: Task) -> None:
    """Make sure that a recipe gets the companions that it asks for, and no others.

    Raises:
        GalaxyError: there are none, too few, or some that the recipe does not look at, or the task is
            another.
    """
    if companions is None:
        if recipe.needs_companions:
            raise GalaxyError(
                f"The recipe looks at images of other surveys ({recipe.companions} companions a step, "
                f"statistics {recipe.statistics!r}) and there are none: give them, or set companions to 0 "
                "and statistics to 'training'."
            )
        return
    if not recipe.needs_companions:
        raise GalaxyError(
            "Images of other surveys are given, and the recipe does not look at them: leave them out, or set "
            "companions above 0 or statistics to 'both'."
        )
    if task.name != Classification.name or tuple(task.class_names) != tuple(companions.class_names):
        raise GalaxyError(
            f"The companions' labels are of {len(companions.class_names)} classes, and the task "
            f"{task.name!r} has {len(task.class_names)} outputs of its own: train a network of the same "
            "classes, or leave the companions out."
        )
    drawn = int((companions.chance > 0).sum())
    if recipe.companions > drawn:
        raise GalaxyError(
            f"The recipe draws {recipe.companions} companions a step, and {drawn:,} have a label and a "
            "chance: give more of them, or set companions lower."
        )
    if recipe.statistics != "training" and not companions.measured.any():
        raise GalaxyError(
            f"The recipe measures statistics on {recipe.statistics!r}, and no companion counts for them: set "
            "statistics to 'training', or give images that do."
        )


def mixture(
    companions: Companions, training: np.ndarray, *, seed: int, batch: int, most: int = 4096
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Batches in which every source has the same share, the training images being one if there are any.

    A source that has fewer images than the largest one begins again.

    Args:
        companions: those that are measured take part.
        training: rows of the training images; empty for none.
        seed: of their order.
        batch: images a batch, or a few fewer so that the sources' shares are equal.
        most: images in all, at most.

    Yields:
        rows of training images, rows of companions, and consecutive numbers for the augmentation of both.
    """
    generator = np.random.default_rng((seed, STREAM))
    groups = [generator.permutation(training)] if len(training) else []
    for number in range(len(companions.sources)):
        rows = np.flatnonzero((companions.source == number) & companions.measured)
        if len(rows):
            groups.append(generator.permutation(rows))
    count = max(1, min(most // len(groups), max(map(len, groups))))
    share = min(max(1, batch // len(groups)), count)
    for start in range(0, count - share + 1, share):
        places = np.arange(start, start + share)
        parts = [group[places % len(group)] for group in groups]
        own = parts.pop(0) if len(training) else training
        numbers = start * len(groups) + np.arange(share * len(groups))
        yield own, np.concatenate([own[:0], *parts]), numbers
