"""Which rows each step of a training works on, however many devices share them."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from galaxylib.data.loader import Images, batches
from galaxylib.data.splits import Split, check_file
from galaxylib.errors import DataError, GalaxyError
from galaxylib.training.at_hand import AtHand, fit
from galaxylib.training.hardware import Devices
from galaxylib.training.recipes import Recipe


class Plan:
    """Which rows each step works on: the same global batches however many devices share them.

    Attributes:
        batch_size: images a step, over all devices; the recipe's, or fewer on a file that has fewer.
        part: images that one device works on at once.
        steps: optimiser steps an epoch; rows that fill no whole batch sit out this epoch.
        images: training images an epoch.
        companions: companions that one device works on beside each part; 0 for none.
        at_hand: the images on the device, once `keep_at_hand` found room for them.
    """

    at_hand: AtHand | None = None

    def __init__(self, data: Images, split: Split, recipe: Recipe, devices: Devices) -> None:
        self.data, self.train, self.validation = data, split.train, split.validation
        self.seed, self.devices, self.accumulate = recipe.seed, devices, recipe.accumulate
        parts = devices.world * recipe.accumulate
        if recipe.batch_size % parts:
            raise GalaxyError(
                f"A batch of {recipe.batch_size} images does not divide among {devices.world} processes with "
                f"{recipe.accumulate} parts each: choose a multiple of {parts}."
            )
        if recipe.batch_size < 2 * parts:
            raise GalaxyError(
                f"A batch of {recipe.batch_size} in parts of one image leaves batch normalisation nothing to "
                f"compare: choose a batch size of {2 * parts} or more."
            )
        if recipe.companions % parts or 0 < recipe.companions < 2 * parts:
            raise GalaxyError(
                f"{recipe.companions} companions a step do not divide among {devices.world} processes with "
                f"{recipe.accumulate} parts each, two or more for each part: choose a multiple of {parts} "
                f"from {2 * parts} up, or 0."
            )
        self.companions = recipe.companions // parts
        check_file(split, data)
        self.batch_size = min(recipe.batch_size, len(split.train) // parts * parts)
        self.part = self.batch_size // parts
        least = int(recipe.needs_validation)
        if self.part < 2 or len(split.validation) < least:
            raise DataError(
                f"The split has {len(split.train)} training and {len(split.validation)} validation images: "
                f"training needs at least {2 * parts} and {least}, so give more galaxies."
            )
        self.steps = len(split.train) // self.batch_size
        self.images = self.steps * self.batch_size

    def rows(self, epoch: int) -> np.ndarray:
        """This process's training rows of an epoch, part after part."""
        order = np.random.default_rng((self.seed, epoch)).permutation(self.train)[: self.images]
        parts = order.reshape(self.steps, self.devices.world, self.accumulate * self.part)
        return parts[:, self.devices.rank].ravel()

    def keep_at_hand(self, device: torch.device) -> None:
        """Send all training and validation images to a GPU, once, if they fit there."""
        rows = np.concatenate([self.train, self.validation])
        if self.at_hand is None and fit(self.data, rows, device):
            self.at_hand = AtHand(self.data, rows, device)

    def companion_places(self, batch: int) -> tuple[int, slice]:
        """Which of an epoch's steps the part `batch` belongs to, and its places among that step's companions.

        Args:
            batch: the part's number in this process, counted from 0 in each epoch.
        """
        step, part = divmod(batch, self.accumulate)
        first = (self.devices.rank * self.accumulate + part) * self.companions
        return step, slice(first, first + self.companions)


class Feed:
    """Batches as Lightning takes them: something with a length that can be gone through again each epoch."""

    def __init__(self, plan: Plan, epoch: Callable[[], int], *, training: bool) -> None:
        self.plan, self.epoch, self.training = plan, epoch, training

    def rows(self) -> np.ndarray:
        """What the coming pass reads."""
        if self.training:
            return self.plan.rows(self.epoch())
        return self.plan.validation[self.plan.devices.rank :: self.plan.devices.world]

    def __len__(self) -> int:
        if self.training:
            return self.plan.steps * self.plan.accumulate
        return -(-len(self.rows()) // self.plan.part)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        rows, size = self.rows(), self.plan.part
        if self.plan.at_hand is not None:
            return self.plan.at_hand.batches(rows, batch_size=size)
        return batches(self.plan.data, rows, batch_size=size)
