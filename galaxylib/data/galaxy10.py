"""The Galaxy10 DECaLS file: checked when opened, pixels read only when asked for.

The format is that of the published Galaxy10 DECaLS set (Zenodo record 10845026): an HDF5 file with `images`
(N, 256, 256, 3) uint8, `ans` (N,) class numbers, and `ra`, `dec` (degrees), `redshift`, `pxscale` (arcsec a
pixel). A simulated file has the same columns, the attributes `simulated`, `seed`, `version`, and the true
parameters of each galaxy in the group `truth`.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import h5py
import numpy as np

from galaxylib.data.storage import PixelStore, missing_filter, open_hdf5, pixel_store
from galaxylib.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

CLASS_COUNTS = MappingProxyType(
    {
        "Disturbed": 1081,
        "Merging": 1853,
        "Round Smooth": 2645,
        "In-between Round Smooth": 2027,
        "Cigar Shaped Smooth": 334,
        "Barred Spiral": 2043,
        "Unbarred Tight Spiral": 1829,
        "Unbarred Loose Spiral": 2628,
        "Edge-on without Bulge": 1423,
        "Edge-on with Bulge": 1873,
    }
)
"""Galaxies of each class in the published set (DMAGNet paper, section 3), in the dataset's order."""

CLASS_NAMES: tuple[str, ...] = tuple(CLASS_COUNTS)
"""The ten classes; a label is a place in this tuple."""

SHAPE = (256, 256, 3)
"""Height, width and channels (z, r, g shown as red, green, blue) of an image."""

PIXEL_SCALE = 0.262
"""Arcsec a pixel: the Legacy Surveys' cutouts at their native sampling."""

COLUMNS = ("ra", "dec", "redshift", "pxscale")


class GalaxyImages:
    """The images and positions of a file of the Galaxy10 layout, whether or not it has labels.

    Opening checks everything but the pixels themselves and costs milliseconds. The object can be pickled and
    handed to worker processes: each opens the file for itself.

    Attributes:
        path: path of the HDF5 file.
        ra, dec: (N,) float64 sky position in degrees (ICRS); NaN where unknown.
        redshift: (N,) float64; NaN where unknown.
        pxscale: (N,) float64 arcsec a pixel; NaN where unknown.
        attributes: the file's own attributes.
        notes: sentences about what the file lacks, such as sky positions.

    Raises:
        DataError: the file is missing, is not HDF5, is cut short, or does not hold what the format asks for.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with opened(self.path) as file:
            self._open(file)

    def _open(self, file: h5py.File) -> None:
        _check_images(file, self.path)
        notes = []
        for name in COLUMNS:
            column, note = _read_column(file, name, len(file["images"]), self.path)
            setattr(self, name, column)
            notes += [note] if note else []
        self.attributes = {key: _plain(value) for key, value in file.attrs.items()}
        self.ra: np.ndarray
        self.dec: np.ndarray
        self.redshift: np.ndarray
        self.pxscale: np.ndarray
        check_positions(self.ra, self.dec, self.path)
        if np.isfinite(self.redshift).any() and np.array_equal(self.redshift, self.dec, equal_nan=True):
            # So it is in the coordinate file published beside the set.
            notes.append("`redshift` repeats the declination: do not use it.")
        self.notes = tuple(notes)

    def __len__(self) -> int:
        return len(self.ra)

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """The images of `rows`, in the order asked for (rows may repeat).

        Returns:
            (len(rows), 256, 256, 3) uint8.

        Raises:
            DataError: a row is not in the file, or its pixels cannot be read.
        """
        rows = np.atleast_1d(np.asarray(rows))
        if rows.size and (rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= len(self)):
            raise DataError(
                f"{self.path} has the rows 0 to {len(self) - 1}: ask for whole numbers in that range."
            )
        return self._store.read(rows.astype(np.int64))

    @property
    def rows_per_chunk(self) -> int:
        """Images unpacked together to read one; above 1, random reading is slow (see `unpacking`)."""
        return self._store.rows_per_chunk

    def close(self) -> None:
        """Let go of the file; reading again opens it again."""
        store = self.__dict__.pop("_store", None)
        if store is not None:
            store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_store"}

    @cached_property
    def _store(self) -> PixelStore:
        with opened(self.path) as file:
            return pixel_store(self.path, file["images"])


class Galaxy10(GalaxyImages):
    """A Galaxy10 file: labels and positions in memory, pixels on disk.

    Attributes:
        labels: (N,) int64 class numbers, 0 to 9.
        simulated: True for a file drawn by `galaxylib simulate`.

    The other attributes, and the errors, are those of `GalaxyImages`.
    """

    def _open(self, file: h5py.File) -> None:
        super()._open(file)
        self.labels = _read_labels(file, self.path)
        self.simulated = bool(self.attributes.get("simulated", False))

    def __repr__(self) -> str:
        kind = "simulated" if self.simulated else "real"
        return " ".join([f"Galaxy10({str(self.path)!r}): {len(self):,} {kind} galaxies.", *self.notes])

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the content, the same whatever the compression: 16 hexadecimal digits.

        It covers every label and position and the pixels of the first, middle and last image: reading all
        3.5 GB each time would cost more than it tells.
        """
        digest = hashlib.sha256(f"galaxy10 {len(self)}".encode())
        for column in (self.labels, self.ra, self.dec, self.redshift, self.pxscale):
            # Every NaN must count as the same NaN.
            known = column == column
            digest.update(np.where(known, column, 0).astype("<f8").tobytes() + np.packbits(known).tobytes())
        digest.update(self.read([0, len(self) // 2, len(self) - 1]).tobytes())
        return digest.hexdigest()[:16]

    @cached_property
    def truth(self) -> "pd.DataFrame | None":
        """True parameters of simulated galaxies, one line a row of the file; None for a real file."""
        import pandas as pd

        with opened(self.path) as file:
            if not isinstance(file.get("truth"), h5py.Group):
                return None
            columns = {
                name: dataset.asstr()[:] if h5py.check_string_dtype(dataset.dtype) else dataset[:]
                for name, dataset in file["truth"].items()
            }
        return pd.DataFrame(columns)


def distinct(images: GalaxyImages) -> int:
    """How many of a file's images differ in a pixel at least, by a hash of each."""
    step = max(64, images.rows_per_chunk)
    found = {
        hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        for first in range(0, len(images), step)
        for image in images.read(np.arange(first, min(first + step, len(images))))
    }
    return len(found)


def opened(path: Path) -> h5py.File:
    """Open an HDF5 file for reading.

    Raises:
        DataError: it is missing, is not HDF5, or is cut short.
    """
    if not path.exists():
        raise DataError(
            f"There is no file {path}: give the path of a Galaxy10 HDF5 file, or make one with "
            "`galaxylib simulate` or `galaxylib fetch`."
        )
    if path.is_dir():
        raise DataError(f"{path} is a folder: give the path of a Galaxy10 HDF5 file in it.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is an empty file: fetch or simulate it again.")
    try:
        return open_hdf5(path)
    except BlockingIOError as fault:
        raise DataError(f"{path} is being written by another process: wait until it is done.") from fault
    except PermissionError as fault:
        raise DataError(f"{path} may not be read by you: change its permissions.") from fault
    except OSError as fault:
        if "truncated" in str(fault):
            raise DataError(f"{path} is cut short (its end is missing): fetch or copy it again.") from fault
        raise DataError(
            f"{path} is not an HDF5 file: give a Galaxy10 file such as Galaxy10_DECals.h5."
        ) from fault


def _dataset(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise DataError(
            f"{path} has no dataset `{name}` (it has: {', '.join(file) or 'nothing'}): "
            "a Galaxy10 file holds `images` and `ans`."
        )
    if lacking := missing_filter(found):
        raise DataError(
            f"`{name}` in {path} is packed with the filter {lacking}, which this HDF5 has not: where it is "
            "installed (often as hdf5plugin), write the file again, packed with gzip."
        )
    return found


def _check_images(file: h5py.File, path: Path) -> None:
    images = _dataset(file, "images", path)
    if images.ndim != 4 or images.shape[1:] != SHAPE:
        raise DataError(f"`images` in {path} has the shape {images.shape}: it must be (N, 256, 256, 3).")
    if images.dtype != np.uint8:
        raise DataError(f"`images` in {path} is of type {images.dtype}: store the pixels as uint8, 0 to 255.")
    if len(images) == 0:
        raise DataError(f"{path} holds no galaxy: give a file with at least one.")


def _read_labels(file: h5py.File, path: Path) -> np.ndarray:
    answers = _dataset(file, "ans", path)
    count = len(file["images"])
    if answers.shape != (count,):
        raise DataError(
            f"{path} holds {count} images but `ans` has the shape {answers.shape}: "
            f"it must have one label for each image."
        )
    return checked_labels(_values(answers, path), path)


def checked_labels(labels: np.ndarray, path: Path) -> np.ndarray:
    """Class numbers as (N,) int64.

    Raises:
        DataError: one is no class of the set; the sentence names the file `path` that holds it.
    """
    if labels.dtype.kind not in "iu":
        raise DataError(
            f"The labels in {path} are of type {labels.dtype}: store class numbers as whole numbers."
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= len(CLASS_NAMES)))
    if len(wrong):
        raise DataError(
            f"{path} labels row {wrong[0]} as class {labels[wrong[0]]} ({len(wrong)} such rows): "
            "Galaxy10 DECaLS has the classes 0 to 9."
        )
    return labels.astype(np.int64)


def _read_column(file: h5py.File, name: str, count: int, path: Path) -> tuple[np.ndarray, str]:
    """A column as float64, and a sentence where it is missing or has gaps."""
    if name not in file:
        return np.full(count, np.nan), f"It has no `{name}`."
    column = _dataset(file, name, path)
    if column.shape != (count,):
        raise DataError(
            f"{path} holds {count} images but `{name}` has the shape {column.shape}: "
            "it must have one value for each image."
        )
    if column.dtype.kind not in "fiu":
        raise DataError(f"`{name}` in {path} is of type {column.dtype}: store it as float64.")
    values = _values(column, path).astype(np.float64)
    gaps = int(np.isnan(values).sum())
    if not gaps:
        return values, ""
    return (
        values,
        f"`{name}` is unknown (NaN) for {'all' if gaps == count else f'{gaps:,} of {count:,}'} galaxies.",
    )


def _values(dataset: h5py.Dataset, path: Path) -> np.ndarray:
    try:
        return dataset[:]
    except OSError as fault:
        raise DataError(
            f"`{dataset.name[1:]}` in {path} is damaged: fetch or copy the file again."
        ) from fault


def check_positions(ra: np.ndarray, dec: np.ndarray, path: Path) -> None:
    """Refuse (N,) positions in degrees that are not on the sky; NaN is unknown.

    Raises:
        DataError: names the first, and the file `path` that holds it.
    """
    wrong = np.flatnonzero((np.abs(dec) > 90) | (np.abs(ra) > 360) | np.isinf(ra) | np.isinf(dec))
    if len(wrong):
        raise DataError(
            f"{path} puts row {wrong[0]} at ra {ra[wrong[0]]}, dec {dec[wrong[0]]}: "
            "positions are degrees, dec from -90 to 90 (NaN where unknown)."
        )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
