"""An atlas of what a network makes of galaxies: activations in a plane, cut into cells, and how true it is.

The plane is t-SNE's (van der Maaten and Hinton 2008); a cell is shown by a dream along the mean activation of
its galaxies, as in Carter et al. 2019, "Activation atlas". Of a galaxy's neighbours in the plane most are its
neighbours for the network, and `fidelity` says how many; distances between far groups mean nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors

from galaxylib.errors import DataError

SILENT = 1e-9
"""The length of a direction below which it points nowhere."""


@dataclass(frozen=True, kw_only=True)
class AtlasSettings:
    """How an atlas is laid out.

    Attributes:
        stage: whose activations, averaged over their places.
        components: of the principal components that t-SNE is given.
        perplexity: of t-SNE: about how many neighbours a galaxy has.
        side: cells in a row and in a column.
        neighbours: by which the fidelity is measured.
        examples: galaxies that are shown of a cell, at most.
        seed: of t-SNE, and of the arrangement by chance.
    """

    stage: str = "lam"
    components: int = 50
    perplexity: float = 30.0
    side: int = 12
    neighbours: int = 10
    examples: int = 30
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The galaxies in one cell of the plane; at least one.

    Attributes:
        row, column: from 0, at the top and at the left.
        members: row numbers of its galaxies in the file, rising.
        examples: of them, those nearest to the mean activation, the nearest first.
        vector: (C,) the mean activation of its galaxies less that of all galaxies.
    """

    row: int
    column: int
    members: np.ndarray
    examples: np.ndarray
    vector: np.ndarray


def first_components(features: np.ndarray, count: int) -> np.ndarray:
    """The first principal components of (N, C) activations: (N, K), with K at most `count`, C and N."""
    return PCA(min(count, *features.shape), svd_solver="full").fit_transform(features)


def lay_out(features: np.ndarray, settings: AtlasSettings) -> np.ndarray:
    """Activations (N, C) in a plane: (N, 2), each coordinate from 0 to 1; the same for the same seed.

    Raises:
        DataError: there are too few galaxies for the perplexity.
    """
    if len(features) <= 3 * settings.perplexity:
        raise DataError(
            f"{len(features)} galaxies are too few for a perplexity of {settings.perplexity:g}: "
            f"give more than {3 * settings.perplexity:g}."
        )
    reduced = first_components(features, settings.components)
    layout = TSNE(2, perplexity=settings.perplexity, init="pca", random_state=settings.seed)
    return within_square(layout.fit_transform(reduced))


def within_square(points: np.ndarray) -> np.ndarray:
    """Points (N, 2) moved and stretched so that each coordinate goes from 0 to 1."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (points - low) / np.where(high > low, high - low, 1)


def places(points: np.ndarray, side: int) -> np.ndarray:
    """The row and column, (N, 2), of points (N, 2) from 0 to 1 on a grid; the first row is at the top.

    A cell holds its left and upper edges, the last column and row the outer ones too.
    """
    x, y = points.T
    return np.stack([(1 - y) * side, x * side], axis=1).astype(int).clip(0, side - 1)


def cells(features: np.ndarray, points: np.ndarray, settings: AtlasSettings) -> list[Cell]:
    """The cells that hold galaxies, row by row.

    Args:
        features: (N, C) activations.
        points: (N, 2), from 0 to 1, the same galaxies in the plane.
        settings: how many cells, and how many examples of each.
    """
    numbers = places(points, settings.side) @ [settings.side, 1]
    overall = features.mean(axis=0)
    found = []
    for number in np.unique(numbers):
        members = np.flatnonzero(numbers == number)
        mean = features[members].mean(axis=0)
        apart = np.linalg.norm(features[members] - mean, axis=1)
        examples = members[np.argsort(apart, kind="stable")][: settings.examples]
        row, column = divmod(int(number), settings.side)
        found.append(Cell(row=row, column=column, members=members, examples=examples, vector=mean - overall))
    return found


def nearest(features: np.ndarray, count: int) -> np.ndarray:
    """The numbers of the nearest others of each of (N, C): (N, count), the nearest first."""
    return NearestNeighbors(n_neighbors=count).fit(features).kneighbors(return_distance=False)


def share_kept(before: np.ndarray, after: np.ndarray) -> float:
    """Which share of the neighbours (N, K) `before` is among those `after`, whatever their order."""
    return float(np.mean([np.isin(one, other).mean() for one, other in zip(before, after, strict=True)]))


def share_named(neighbours: np.ndarray, labels: np.ndarray) -> float:
    """How often the commonest class among a galaxy's neighbours (N, K) is its own.

    Where classes are equally common, that with the smallest number is taken.
    """
    classes = int(labels.max()) + 1
    counts = np.stack([(labels[neighbours] == one).sum(axis=1) for one in range(classes)], axis=1)
    return float((counts.argmax(axis=1) == labels).mean())


def fidelity(
    features: np.ndarray, points: np.ndarray, labels: np.ndarray, settings: AtlasSettings
) -> dict[str, dict[str, float]]:
    """How much of the neighbourhoods in (N, C) activations the plane keeps, beside what else would.

    Args:
        features: (N, C) activations.
        points: (N, 2), the same galaxies in the plane.
        labels: (N,) their classes.
        settings: how many neighbours are asked, and the seed of the arrangement by chance.

    Returns:
        for the plane (`plane`), the first two principal components (`pca`) and the plane's points handed to
        galaxies by chance (`chance`): `trustworthiness` (Venna & Kaski 2001, 1 for a plane whose neighbours
        are all neighbours in truth), `kept`, the share of true neighbours that stay neighbours, and `named`,
        how often the commonest class among a galaxy's neighbours is its own. For the activations themselves
        (`full`) `named` alone.
    """
    count = settings.neighbours
    shuffled = np.random.default_rng(settings.seed).permutation(points)
    truly = nearest(features, count)
    told = {"full": {"named": share_named(truly, labels)}}
    layouts = {"plane": points, "pca": first_components(features, 2), "chance": shuffled}
    for name, layout in layouts.items():
        there = nearest(layout, count)
        told[name] = {
            "trustworthiness": float(trustworthiness(features, layout, n_neighbors=count)),
            "kept": share_kept(truly, there),
            "named": share_named(there, labels),
        }
    return told


def found_again(vectors: np.ndarray, dreamed: np.ndarray) -> dict[str, Any]:
    """Whether the dreams of cells excite the network as their cells' galaxies do.

    Args:
        vectors: (M, C) of the cells.
        dreamed: (M, C) what the network gives for their dreams, less the mean of all galaxies.

    Returns:
        `first`, how often a dream's direction is nearest (by the cosine) to its own cell's, `rank`, the
        median place of its own cell among all, 1 the first, and `cosine`, the median cosine with it.
    """
    cosines = unit(dreamed) @ unit(vectors).T
    own = np.array([rankdata(-row, method="min")[number] for number, row in enumerate(cosines)])
    return {
        "first": float((own == 1).mean()),
        "rank": float(np.median(own)),
        "cosine": float(np.median(np.diag(cosines))),
    }


def unit(vectors: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
    """Vectors (M, C), each brought to length 1; one that points nowhere stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors) / np.maximum(lengths, SILENT)
