"""How unlike a training's images an image is, by what a network's first and last stage give for it.

A network asked about a star names a galaxy all the same, and its confidence need not say that something is
amiss. But its activations do: light that no galaxy gives shows in the first stage, shapes that no galaxy has
show in the last one. For each of the two, the mean and the deviation of every channel over the pixels are
compared with those of images like the ones trained on: their distance under a normal distribution whose
covariance is that of probabilistic principal components (Tipping & Bishop 1999), the Mahalanobis distance of
Lee et al. (NeurIPS 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples"), here
without classes.

Measured with the small network that the book had at first, 1000 drawn galaxies to compare with and 1000
others: the area under the curve is 0.93 for drawn stars, 0.98 for empty sky, 0.94 for artefacts (0.83 for
dragged stars alone, which look like galaxies seen edge-on) and 1.00 for images of the SDSS. The largest
logit gives 0.93, 0.95, 0.68 and 0.83, the penultimate layer's ten nearest neighbours 0.92, 0.89, 0.70 and
0.76; the last stage alone fails on other surveys' images (0.58), all stages in one distance on stars
(0.82). With the full network of then and 250 galaxies to compare with it is 0.97, 0.97, 0.94 and 1.00.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from galaxylib.errors import CheckpointError, DataError
from galaxylib.networks.registry import NETWORKS

DIRECTIONS = 128
"""Principal directions kept of a stage, at most; fewer where there are few images."""
FOLDS = FEWEST = 5
"""Images without which no reference is measured."""
ENOUGH = 200
"""Images that make a good one; with a hundred, the areas quoted above are up to 0.05 smaller."""
LIMIT = 95
"""Per cent of images like those trained on that get a score of at most 1."""
QUANTILES = "quantiles"
CURE = "run `galaxylib calibrate` again"


def placed_stages(network: nn.Module, name: str, *, size: int) -> tuple[str, ...]:
    """The stages whose output has places (pixels or tokens), in their order.

    Args:
        network: gives (N, C) logits.
        name: in the registry, which lists the stages to look at; any other network's own parts are looked at.
        size: pixels a side of the images that it reads.

    Raises:
        CheckpointError: no part of the network has such an output.
    """
    from galaxylib.networks.inspection import stage_outputs  # here, for it brings Matplotlib along

    stages = NETWORKS[name].stages if name in NETWORKS else ()
    device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    outputs = stage_outputs(
        network,
        torch.zeros(1, 3, size, size, device=device),
        stages=stages or tuple(part for part, _ in network.named_children()),
    )
    placed = [stage for stage, output in outputs.items() if isinstance(output, Tensor) and output.ndim > 2]
    if not placed:
        raise CheckpointError(
            f"No part of {name!r} gives maps or tokens, as which a stage answers to an image: name a network "
            "whose parts do."
        )
    return tuple(placed)


def first_and_last(network: nn.Module, name: str, *, size: int) -> tuple[str, ...]:
    """The first and the last of `placed_stages`, whose arguments it takes; one where both are the same."""
    placed = placed_stages(network, name, size=size)
    return tuple(dict.fromkeys((placed[0], placed[-1])))


@dataclass(frozen=True, eq=False)
class Normal:
    """The normal distribution of what a stage gives, D numbers an image, with K of its principal directions.

    Attributes:
        mean, scale: (D,) of each number; deviations from the mean are measured in units of the scale.
        directions: (K, D) orthonormal.
        variances: (K,) along them.
        noise: (1,) the variance along every other direction.
        limit: (1,) the distance that `LIMIT` per cent of images which it was not fitted to stay below.
    """

    mean: np.ndarray
    scale: np.ndarray
    directions: np.ndarray
    variances: np.ndarray
    noise: np.ndarray
    limit: np.ndarray

    @classmethod
    def fit(cls, numbers: np.ndarray, *, limit: float = 1.0) -> Self:
        """The distribution of (N, D) numbers, N at least `FEWEST`."""
        from sklearn.decomposition import PCA

        numbers = np.asarray(numbers, np.float64)
        scale = numbers.std(0)
        scale[scale == 0] = 1
        count, width = numbers.shape
        kept = max(1, min(DIRECTIONS, count // 4, width - 1))
        principal = PCA(kept, svd_solver="full").fit((numbers - numbers.mean(0)) / scale)
        arrays = (
            *(numbers.mean(0), scale, principal.components_),
            # What never varied in these images must not weigh without bounds in others.
            *(np.maximum(principal.explained_variance_, 1e-6), np.maximum([principal.noise_variance_], 1e-6)),
            np.array([limit]),
        )
        return cls(*(np.ascontiguousarray(array, np.float32) for array in arrays))

    def distance(self, numbers: np.ndarray) -> np.ndarray:
        """The Mahalanobis distance of (N, D) numbers from the mean, (N,)."""
        away = (np.asarray(numbers, np.float64) - self.mean) / self.scale
        along = away @ self.directions.T.astype(np.float64)
        rest = np.maximum((away**2).sum(1) - (along**2).sum(1), 0)
        return np.sqrt((along**2 / self.variances).sum(1) + rest / self.noise)


@dataclass(frozen=True, eq=False)
class Reference:
    """How a network's stages answer to images like those that it was trained on.

    Attributes:
        stages: the distribution of each stage, by the name of its submodule.
        quantiles: (101,) scores that 0, 1, ... 100 per cent of such images stay below; that of 95 is 1.
    """

    stages: Mapping[str, Normal]
    quantiles: np.ndarray

    @classmethod
    def fit(cls, numbers: Mapping[str, np.ndarray], *, seed: int = 0) -> Self:
        """Measure a reference.

        Every image's distance is taken from a distribution that a fifth of the images, its own among them,
        had no part in; the reference then gets the distribution of all.

        Args:
            numbers: for each stage (N, D), as the judge gives it for images that were not trained on.
            seed: of the division into fifths.

        Raises:
            DataError: there are too few images, or a stage gave something that is no number.
        """
        from sklearn.model_selection import KFold

        count = len(next(iter(numbers.values())))
        if count < FEWEST:
            raise DataError(
                f"{count} images are too few to say what a network's training images are like: give at "
                f"least {FEWEST}, better a few hundred."
            )
        lost = next((stage for stage, given in numbers.items() if not np.isfinite(given).all()), None)
        if lost is not None:
            raise DataError(
                f"The network's stage {lost!r} gives for these images what is no number: train it again."
            )
        stages, ratios = {}, []
        for stage, given in numbers.items():
            held = np.empty(count)
            for fitted, left in KFold(FOLDS, shuffle=True, random_state=seed).split(given):
                held[left] = Normal.fit(given[fitted]).distance(given[left])
            limit = np.percentile(held, LIMIT)
            stages[stage] = Normal.fit(given, limit=limit)
            ratios.append(held / limit)
        scores = np.max(ratios, axis=0)
        together = np.percentile(scores, LIMIT)
        for stage, normal in stages.items():
            stages[stage] = replace(normal, limit=(normal.limit * together).astype(np.float32))
        return cls(stages, np.percentile(scores / together, np.arange(101)).astype(np.float32))

    def scores(self, numbers: Mapping[str, np.ndarray]) -> np.ndarray:
        """How unlike the training's images each image is, (N,) from 0: the larger of its stages' distances.

        The distances are scaled so that 95 % of images like those of the training score at most 1.

        Args:
            numbers: for each stage (N, D), as the judge gives it.

        Raises:
            CheckpointError: the reference was measured with another network.
        """
        found = []
        for stage, normal in self.stages.items():
            if stage not in numbers or numbers[stage].shape[1:] != normal.mean.shape:
                raise CheckpointError(
                    f"The network's stage {stage!r} is not the one that the reference was measured with: "
                    f"{CURE}."
                )
            found.append(normal.distance(numbers[stage]) / normal.limit)
        return np.max(found, axis=0)

    def to_arrays(self) -> dict[str, Tensor]:
        """As a checkpoint keeps it, float32."""
        arrays = {
            f"{stage}/{name}": torch.from_numpy(array)
            for stage, normal in self.stages.items()
            for name, array in asdict(normal).items()
        }
        return arrays | {QUANTILES: torch.from_numpy(self.quantiles)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Tensor]) -> Self:
        """From a checkpoint.

        Raises:
            CheckpointError: the arrays are no reference.
        """
        given = {name: array.numpy() for name, array in arrays.items()}
        quantiles = given.pop(QUANTILES, np.empty(0))
        names = [field.name for field in fields(Normal)]
        stages = dict.fromkeys(name.rpartition("/")[0] for name in given)
        whole = {f"{stage}/{name}" for stage in stages for name in names} == given.keys()
        if stages and whole and quantiles.shape == (101,):
            normals = {stage: Normal(*(given[f"{stage}/{name}"] for name in names)) for stage in stages}
            if all(map(_fits, normals.values())) and np.isfinite(quantiles).all():
                return cls(normals, quantiles)
        raise CheckpointError(f"The checkpoint's reference of its training images is not whole: {CURE}.")


def _fits(normal: Normal) -> bool:
    """Whether the arrays have the shapes and signs that they must have."""
    width, kept = normal.mean.shape, normal.variances.shape
    shapes = (normal.scale.shape, normal.directions.shape, normal.noise.shape, normal.limit.shape)
    arrays = asdict(normal)
    positive = all((arrays[name] > 0).all() for name in ("scale", "variances", "noise", "limit"))
    return (
        len(width) == len(kept) == 1
        and shapes == (width, kept + width, (1,), (1,))
        and all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values())
        and positive
    )
