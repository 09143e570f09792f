"""Where galaxies lie: labels and positions without pixels, and which lie close together on the sky."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from galaxylib.data.galaxy10 import check_positions, checked_labels
from galaxylib.errors import DataError


class Positioned(Protocol):
    """What can be split: a `Galaxy10` file, or a `Catalogue` without pixels."""

    labels: np.ndarray
    ra: np.ndarray
    dec: np.ndarray

    @property
    def fingerprint(self) -> str:
        """A hash of the content."""

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Catalogue:
    """The labels and positions of a Galaxy10 set without its pixels: enough to split it.

    Attributes:
        labels: (N,) int64 class numbers, 0 to 9.
        ra, dec: (N,) float64 degrees; NaN where unknown.
        fingerprint: a hash of the three columns.
    """

    labels: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    fingerprint: str

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a CSV file with the columns `label`, `ra`, `dec`.

        Raises:
            DataError: the file is missing or lacks a column, or its labels or positions are out of range.
        """
        import pandas as pd

        path = Path(path)
        try:
            table = pd.read_csv(path)
            labels, ra, dec = (table[name].to_numpy() for name in ("label", "ra", "dec"))
            ra, dec = ra.astype(np.float64), dec.astype(np.float64)
        except (OSError, KeyError, ValueError) as fault:
            raise DataError(
                f"{path} is not a catalogue ({fault}): give a CSV file with the columns label, ra and dec."
            ) from fault
        labels = checked_labels(labels, path)
        check_positions(ra, dec, path)
        content = b"".join(np.ascontiguousarray(column, "<f8").tobytes() for column in (labels, ra, dec))
        return cls(labels, ra, dec, hashlib.sha256(content).hexdigest()[:16])


def sky_groups(ra: np.ndarray, dec: np.ndarray, radius_arcsec: float = 10.0) -> np.ndarray:
    """Friends of friends on the sphere: galaxies linked by steps of at most `radius_arcsec` share a group.

    Args:
        ra: (N,) right ascension in degrees; a row without a position (NaN) is a group of its own.
        dec: (N,) declination in degrees.
        radius_arcsec: the longest step between two linked galaxies, in arcsec.

    Returns:
        (N,) int64 group numbers, counted from 0 in the order of their first rows.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(ra)
    pairs = sky_pairs(ra, dec, radius_arcsec)
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, groups = connected_components(links, directed=False)
    _, first, groups = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[groups].astype(np.int64)


def sky_pairs(ra: np.ndarray, dec: np.ndarray, radius_arcsec: float) -> np.ndarray:
    """Every pair of rows at most `radius_arcsec` apart on the sky, (P, 2), the lower row first."""
    from scipy.spatial import cKDTree

    known = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    if len(known) < 2:
        return np.empty((0, 2), np.int64)
    alpha, delta = np.radians(ra[known]), np.radians(dec[known])
    directions = np.stack(
        [np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)], axis=1
    )
    # The tree measures straight lines: the chord that spans the angle.
    chord = 2 * np.sin(np.radians(radius_arcsec / 3600) / 2)
    pairs = known[cKDTree(directions).query_pairs(chord, output_type="ndarray")]
    pairs = np.sort(pairs.reshape(-1, 2), axis=1)
    return pairs[np.lexsort(pairs.T[::-1])]
