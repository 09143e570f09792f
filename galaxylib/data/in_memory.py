"""Images and labels in memory, where a training needs no file: cut down once, read many times."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.preprocessing import Preprocess

BATCH = 256
"""Images that are cut down at once."""


@dataclass(frozen=True, eq=False)
class InMemory:
    """Galaxies in memory, as the trainer and the judge read them from a file.

    Attributes:
        images: (N, size, size, 3) uint8.
        labels: (N,) int64, counted from 0.
        simulated: whether they are drawn.
    """

    images: np.ndarray
    labels: np.ndarray
    simulated: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of images and labels."""
        content = hashlib.sha256(self.images.tobytes())
        content.update(self.labels.astype("<i8").tobytes())
        return content.hexdigest()[:16]

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """The images of the rows, (len(rows), size, size, 3) uint8."""
        return self.images[np.asarray(rows, dtype=np.int64)]

    @classmethod
    def of(
        cls,
        data: Galaxy10,
        rows: Sequence[int] | np.ndarray,
        *,
        size: int,
        crop: int,
        blur: float = 0.0,
    ) -> Self:
        """The rows of a file, their central `crop` pixels resized to `size`.

        Args:
            data: the file.
            rows: which galaxies, in which order.
            size: pixels a side that are kept.
            crop: central pixels a side that they come from.
            blur: deviation in pixels of a Gaussian that smooths every image; 0 for none.
        """
        rows = np.asarray(rows, dtype=np.int64)
        parts = [
            shrunk(data.read(rows[start : start + BATCH]), size=size, crop=crop, blur=blur)
            for start in range(0, len(rows), BATCH)
        ]
        empty = np.empty((0, size, size, 3), np.uint8)
        return cls(np.concatenate([empty, *parts]), data.labels[rows].astype(np.int64), data.simulated)

    def joined(self, other: Self) -> Self:
        """These galaxies, then the others."""
        return type(self)(
            np.concatenate([self.images, other.images]),
            np.concatenate([self.labels, other.labels]),
            self.simulated and other.simulated,
        )

    def relabelled(self, groups: Sequence[Sequence[int]]) -> Self:
        """Only the galaxies whose label is in one of `groups`, labelled by its number."""
        table = np.full(max(int(self.labels.max(initial=0)), *map(max, groups)) + 1, -1)
        for number, members in enumerate(groups):
            table[list(members)] = number
        labels = table[self.labels]
        return type(self)(self.images[labels >= 0], labels[labels >= 0], self.simulated)


def shrunk(images: np.ndarray, *, size: int, crop: int, blur: float = 0.0) -> np.ndarray:
    """(N, H, W, 3) uint8 -> (N, size, size, 3) uint8: cropped, resized and smoothed as in `InMemory.of`."""
    fit = Preprocess(size=size, crop=crop)
    unit = fit.fit(fit.unit(torch.from_numpy(images)))
    if blur:
        from torchvision.transforms.functional import gaussian_blur  # here, for it takes two seconds

        reach = max(1, round(3 * blur))
        unit = gaussian_blur(unit, kernel_size=2 * reach + 1, sigma=blur)
    pixels = (unit * 255).round().clamp(0, 255).byte()
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()
