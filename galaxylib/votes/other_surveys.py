"""Real galaxies of other surveys as companions of a training: votes, coarse classes, or no label at all.

Three kinds of folder can be read: images of the Sloan Digital Sky Survey (SDSS) with the votes of Galaxy Zoo
2, others with one of the five classes of Galaxy Zoo 1, and images of the Legacy Surveys without labels. Those
of the SDSS are framed and stretched as Galaxy10's are, which come from the Legacy Surveys' viewer.

A quarter of the labelled ones, chosen by a hash of each galaxy's number, is never learned from: it chooses
between networks (`galaxylib.votes.held_out`).
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from PIL import Image

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.stretch import OFFSET, SCALES, scaled_bands, stretched
from galaxylib.errors import DataError
from galaxylib.training.companions import Companions, Source
from galaxylib.votes.classes import STORED, support, to_classes
from galaxylib.votes.split import near_duplicates
from galaxylib.votes.zoo2 import ENDINGS, IMAGES, middle, read_votes

VOTED_SIDE, COARSE_SIDE = 340, 300
"""Central pixels that are kept of the images with votes and the unlabelled ones, and of those with classes.

The folders' images are 424 and 423 pixels a side, cut to the size of the galaxy.
"""

PIXELS = 0.262, 0.396
"""Arcsec a pixel of the Legacy Surveys' and the SDSS's images, for which their scales hold."""

SDSS_SCALES = (1.0, 1.5, 2.5)
"""Factors on i, r, g in the SDSS's images, shown as red, green and blue."""

BRIGHTER_IN_Z = 1.2
"""Flux of a typical galaxy in z over that in i."""

GAINS = tuple(
    legacy / sdss * (PIXELS[0] / PIXELS[1]) ** 2 * colour
    for legacy, sdss, colour in zip(SCALES, SDSS_SCALES, (BRIGHTER_IN_Z, 1.0, 1.0), strict=True)
)
"""From a scaled band of the SDSS to that of the Legacy Surveys: about 1.155, 0.992 and 1.050."""

HELD_OUT = 0.25
"""Share of the labelled galaxies that is never learned from."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "elliptical": ("Round Smooth", "In-between Round Smooth"),
    "spiral_clockwise": ("Barred Spiral", "Unbarred Tight Spiral", "Unbarred Loose Spiral"),
    "spiral_anticlockwise": ("Barred Spiral", "Unbarred Tight Spiral", "Unbarred Loose Spiral"),
    "edge_on": ("Cigar Shaped Smooth", "Edge-on without Bulge", "Edge-on with Bulge"),
    "merger": ("Disturbed", "Merging"),
}
"""The classes of Galaxy10 that a coarse class may be."""

Look = Callable[[np.ndarray], np.ndarray]
"""From a framed image (256, 256, 3) uint8 to one that is learned from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """Galaxies of one folder, framed and stretched as Galaxy10's.

    Attributes:
        source: the folder's name and kind of labels.
        images: (N, 256, 256, 3) uint8.
        targets: (N, 10) float32 in the order of `CLASS_NAMES`: shares of the votes, or ones for the classes
            that a coarse class may be, or zeros.
        partial: whether the targets are groups of classes.
        kinds: (N,) int64, what is balanced: the class by the votes, the coarse class, or 0.
        held: (N,) bool, the fixed held-out part.
        fractions: (N, 37) float32 votes; None where there are none.
    """

    source: Source
    images: np.ndarray
    targets: np.ndarray
    partial: bool
    kinds: np.ndarray
    held: np.ndarray
    fractions: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, chosen: np.ndarray) -> Self:
        """Only the chosen galaxies, as numbers or (N,) bool."""
        return replace(
            self,
            images=self.images[chosen],
            targets=self.targets[chosen],
            kinds=self.kinds[chosen],
            held=self.held[chosen],
            fractions=None if self.fractions is None else self.fractions[chosen],
        )

    def chances(self) -> np.ndarray:
        """How often each is drawn, (N,) float64 with sum 1, or all 0 where nothing may be drawn.

        A class is the rarer the oftener its galaxies come: each by 1 / sqrt(galaxies of its class).
        """
        known = ~self.held & (self.targets.sum(axis=1) > 0)
        counts = np.bincount(self.kinds[known], minlength=int(self.kinds.max(initial=0)) + 1)
        chance = np.where(known, 1 / np.sqrt(np.maximum(counts[self.kinds], 1)), 0.0)
        return chance / max(chance.sum(), 1e-12)


def restretched(images: np.ndarray) -> np.ndarray:
    """Images of the SDSS as the Legacy Surveys' viewer would show the same light.

    The stretch is undone, each band scaled as the viewer does, its sky added, and stretched anew. Both
    surveys' images have the colours rgb = v f / I of the scaled bands v.

    Args:
        images: (..., 3) uint8; red is i, green r, blue g.

    Returns:
        (..., 3) uint8; red stands for z.
    """
    return _shown(scaled_bands(images) * np.array(GAINS, np.float32) + np.float32(OFFSET))


def lifted(image: np.ndarray) -> np.ndarray:
    """A picture of the Legacy Surveys whose sky is made as bright as in the viewer's.

    The pictures shown to volunteers had a darker sky under the same stretch. Light is added, alike in the
    three bands, until the median over the picture is `OFFSET`; a brighter picture stays as it is.

    Args:
        image: (H, W, 3) uint8.

    Returns:
        (H, W, 3) uint8.
    """
    bands = scaled_bands(image)
    return _shown(bands + np.float32(max(0.0, OFFSET - float(np.median(bands.mean(axis=-1))))))


def _shown(bands: np.ndarray) -> np.ndarray:
    """The colours of scaled bands: (..., 3) float32 -> (..., 3) uint8."""
    return np.round(stretched(bands, axis=-1) * 255).astype(np.uint8)


def in_held_out_part(ids: np.ndarray) -> np.ndarray:
    """Whether a galaxy belongs to the fixed quarter, by a hash of its number alone: (N,) -> (N,) bool."""
    digests = [hashlib.sha256(str(number).encode()).digest() for number in ids]
    return np.array([int.from_bytes(digest[:4]) < HELD_OUT * 2**32 for digest in digests], bool)


def read_voted(folder: str | Path, *, look: Look = restretched) -> Survey:
    """A folder of SDSS images in the Galaxy Zoo challenge's layout, with its votes as soft targets.

    Images of one galaxy stay on the same side of the held-out part.

    Args:
        folder: it holds the votes and the images.
        look: what is done to each framed image.

    Raises:
        DataError: as `galaxylib.votes.zoo2.read_votes`.
    """
    votes = read_votes(folder)
    stored = {file.stem: file for file in _images(Path(folder) / IMAGES)}
    shares = np.maximum(support(votes.fractions), 0)
    leaders = pd.Series(votes.ids).groupby(near_duplicates(votes.images)).transform("min").to_numpy()
    return Survey(
        source=Source("Galaxy Zoo 2", "votes"),
        images=_read([stored[str(number)] for number in votes.ids], VOTED_SIDE, look),
        targets=(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32),
        partial=False,
        kinds=to_classes(votes.fractions),
        held=in_held_out_part(leaders),
        fractions=votes.fractions,
    )


def read_coarse(folder: str | Path, *, look: Look = restretched) -> Survey:
    """A folder of SDSS images with the classes of Galaxy Zoo 1 as partial targets.

    Args:
        folder: it holds `classes.csv`, with the columns `objid` and `class` (one of `GROUPS`), and `images/`,
            named by objid.
        look: what is done to each framed image.

    Raises:
        DataError: the folder, the table or an image is missing or is not as it must be.
    """
    folder = _folder(folder, "classes.csv and images/")
    path = folder / "classes.csv"
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as fault:
        raise DataError(
            f"{path} is no table ({fault}): give one with the columns objid and class."
        ) from fault
    if not {"objid", "class"} <= set(table) or not len(table):
        raise DataError(f"{path} lacks objid, class or any row: give a table with both columns.")
    ids, names = table["objid"].to_numpy(), table["class"].to_numpy()
    wrong = [name for name in names if name not in GROUPS]
    if wrong:
        raise DataError(f"{path} names the class {wrong[0][:40]!r}: choose among {', '.join(GROUPS)}.")
    odd = [number for number in ids if not re.fullmatch(r"\d{1,20}", number)]
    if odd or len(set(ids)) < len(ids):
        raise DataError(f"The objid in {path} are not whole numbers that are all different: mend them.")
    stored = {file.stem: file for file in _images(folder / "images")}
    missing = [number for number in ids if number not in stored]
    if missing:
        raise DataError(
            f"{folder / 'images'} lacks {len(missing):,} of the {len(ids):,} images that classes.csv names, "
            f"{missing[0]}.jpeg for one: copy the images again, or take their rows out of the table."
        )
    groups = {name: [one in members for one in CLASS_NAMES] for name, members in GROUPS.items()}
    return Survey(
        source=Source("Galaxy Zoo 1", "coarse classes"),
        images=_read([stored[number] for number in ids], COARSE_SIDE, look),
        targets=np.array([groups[name] for name in names], np.float32),
        partial=True,
        kinds=np.array([list(GROUPS).index(name) for name in names]),
        held=in_held_out_part(ids),
    )


def read_unlabelled(folder: str | Path) -> Survey:
    """A folder of Legacy Surveys images, of which `images/` alone is read, whatever else lies there.

    Raises:
        DataError: there is no such folder, or an image is not as it must be.
    """
    folder = _folder(folder, "images/")
    paths = _images(folder / "images")
    if not paths:
        raise DataError(
            f"{folder / 'images'} holds no image ({', '.join(ENDINGS)}): give a folder with some."
        )
    return Survey(
        source=Source("Legacy Surveys", "none"),
        images=_read(paths, VOTED_SIDE, lifted),
        targets=np.zeros((len(paths), len(CLASS_NAMES)), np.float32),
        partial=False,
        kinds=np.zeros(len(paths), np.int64),
        held=np.zeros(len(paths), bool),
    )


def companions_of(*surveys: Survey, shares: Mapping[str, float] | None = None) -> Companions:
    """All galaxies of some surveys but the held-out ones, each with its chance to be drawn.

    Args:
        *surveys: one or more.
        shares: how often each survey is drawn, by its source's name, relative to the others; 1 by default.

    Raises:
        DataError: there is no survey, or `shares` names another.
    """
    shares = dict(shares or {})
    names = [survey.source.name for survey in surveys]
    unknown = sorted(set(shares) - set(names))
    if not surveys or unknown:
        raise DataError(
            f"Shares are given for {', '.join(unknown) or 'nothing'}, and the surveys are "
            f"{', '.join(names) or 'none'}: give at least one survey, and shares of these only."
        )
    parts = [survey.rows(~survey.held) for survey in surveys]
    count = [len(part) for part in parts]
    chance = [part.chances() * shares.get(part.source.name, 1.0) for part in parts]
    return Companions(
        images=np.concatenate([part.images for part in parts]),
        targets=np.concatenate([part.targets for part in parts]),
        partial=np.repeat([part.partial for part in parts], count),
        chance=np.concatenate(chance),
        measured=np.ones(sum(count), bool),
        source=np.repeat(np.arange(len(parts)), count),
        sources=tuple(part.source for part in parts),
    )


def _folder(folder: str | Path, content: str) -> Path:
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}: give one that holds {content}.")
    return folder


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in ENDINGS)


def _read(paths: Sequence[Path], side: int, look: Look) -> np.ndarray:
    """The images of some files, framed and in the look that is learned from: (N, 256, 256, 3) uint8."""
    images = np.empty((len(paths), STORED, STORED, 3), np.uint8)
    for row, path in enumerate(paths):
        images[row] = look(_framed(path, side))
    return images


def _framed(path: Path, side: int) -> np.ndarray:
    """The central `side` pixels of a stored image as (256, 256, 3) uint8."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            if width != height or width < side or image.mode[0] in "IF":
                raise DataError(
                    f"{path} has {width} x {height} pixels of mode {image.mode}: give square images in 8-bit "
                    f"colour, of {side} pixels a side at least."
                )
            return middle(image.convert("RGB"), side, STORED)
    except DataError:
        raise
    except Exception as fault:  # each of Pillow's formats has its own for a damaged file
        raise DataError(f"{path} is no whole image ({fault}): copy it again.") from fault
