"""What is to be classified: any mixture of files, folders, patterns and tables, as one stream of images.

Nothing is decoded here, and no list of images is kept: an item knows where its image lies and how to load it.
"""

import glob
import hashlib
import math
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from galaxylib.catalogue.decoding import Picture, decoded, unpacked
from galaxylib.data.galaxy10 import GalaxyImages
from galaxylib.data.images import FITS
from galaxylib.errors import DataError, GalaxyError

PICTURES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}
HDF5, PARQUET, CSV = {".h5", ".hdf5"}, {".parquet", ".pq"}, {".csv"}
BAND = "{band}"
"""What stands for g, r and z in a pattern that names three files."""


@dataclass(frozen=True, eq=False)
class Item:
    """One image before it is read.

    Attributes:
        id: the reader's own name for it, or one made from its file's name.
        path: its file; of three files, the pattern that names them.
        row: where it stands in that file, from 0; -1 where it is the whole file.
        load: reads and decodes it, in any thread; raises GalaxyError where that cannot be done.
        ra, dec: degrees; NaN where no table tells.
        pixscale: arcsec a pixel; NaN where no table tells.
    """

    id: str
    path: str
    row: int
    load: Callable[[], Picture]
    ra: float = math.nan
    dec: float = math.nan
    pixscale: float = math.nan


class Source(Protocol):
    """Images of one origin.

    Attributes:
        name: of the input, as it was given.
        count: how many images it has.
        digest: changes where the images may have changed; a run that goes on relies on it.
    """

    name: str
    count: int
    digest: str

    def items(self, start: int) -> Iterator[Item]:
        """The images from number `start` on, always in the same order."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what; empty takes the first of the usual names that is there.

    Attributes:
        id: the reader's own names of the images.
        image: the images' bytes, or the paths of their files.
    """

    id: str = ""
    image: str = ""


class Inputs:
    """Several sources as one.

    Args:
        given: paths of image files, folders, HDF5 files, Parquet files and CSV tables; patterns with `*` and
            `?`, and with `{band}` for cutouts in three files.
        columns: of tables.

    Raises:
        GalaxyError: there is no such file, nothing fits a pattern, a folder holds no image, a table lacks a
            column, or a package is missing.
    """

    def __init__(self, given: Sequence[str | Path], *, columns: Columns | None = None) -> None:
        if not given:
            raise GalaxyError("Nothing is to be classified: give files, folders or tables.")
        columns = columns or Columns()
        sources: list[Source] = []
        for one in map(str, given):
            source = _source(one, columns)
            if isinstance(source, Files) and sources and isinstance(sources[-1], Files):
                sources[-1] = Files(sources[-1].paths + source.paths)  # thousands of words are one source
            else:
                sources.append(source)
        self.sources = tuple(sources)

    def __len__(self) -> int:
        return sum(source.count for source in self.sources)

    @property
    def digest(self) -> str:
        """Changes where the images may have changed."""
        told = "\n".join(f"{source.count} {source.digest}" for source in self.sources)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def items(self, start: int, stop: int) -> Iterator[Item]:
        """The images from number `start` to before `stop`, in the order in which they were given."""
        return islice(self._from(start), max(0, stop - start))

    def _from(self, start: int) -> Iterator[Item]:
        for source in self.sources:
            if start < source.count:
                yield from source.items(start)
            start = max(0, start - source.count)


def _source(given: str, columns: Columns) -> Source:
    path = Path(given)
    if BAND in given:
        return Bands(given)
    if not path.exists() and re.search(r"[*?]", given):
        found = sorted(glob.glob(given, recursive=True))
        if not found:
            raise GalaxyError(f"No file fits {given}: mend the pattern.")
        return Files(tuple(found))
    if not path.exists():
        raise GalaxyError(
            f"There is no file or folder {given}: give images, folders or tables that are there."
        )
    if path.is_dir():
        return Folder(path)
    ending = path.suffix.lower()
    if ending not in HDF5 | PARQUET | CSV:
        return Files((given,))
    try:
        if ending in HDF5:
            return Galaxies(path)
        from galaxylib.catalogue.tables import table

        return table(path, columns)
    except DataError as fault:  # one bad file stops no run
        return Broken(path, str(fault))


def picture_at(path: str, row: int = -1, *, columns: Columns | None = None) -> Picture:
    """The image that `path` and `row` of a catalogue name.

    Raises:
        GalaxyError: as the item's `load`.
    """
    if row < 0:
        return load_file(path)
    return next(_source(path, columns or Columns()).items(row)).load()


def is_image(name: str) -> bool:
    """Whether a file's name is that of a picture or of a FITS file, gzip'd or not."""
    return Path(name.lower().removesuffix(".gz")).suffix in PICTURES | FITS


def stem(path: str) -> str:
    """A file's name without folder and endings, gzip's among them."""
    name = os.path.basename(path)
    bare = name[:-3] if name.lower().endswith(".gz") else name
    return Path(bare).stem.replace(BAND, "").strip("-_.") or name


def stamp(path: str | Path) -> str:
    """A file's name, size and time of change, by which one knows that it is still the same."""
    try:
        about = os.stat(path)
    except OSError:
        return f"{path} is away"
    return f"{path} {about.st_size} {about.st_mtime_ns}"


def load_file(path: str) -> Picture:
    """Read and decode an image file, or three by a pattern with `{band}`.

    Raises:
        GalaxyError: as `decoding.decoded`; or a file is missing or cannot be read.
    """
    if BAND not in path:
        return decoded(_content(path), name=path)
    from galaxylib.catalogue.fits_cutouts import BANDS, cutout

    return cutout([unpacked(_content(path.replace(BAND, band)), path)[0] for band in BANDS], name=path)


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as fault:
        raise DataError(f"There is no file {path}: a table's paths count from the table's folder.") from fault
    except (OSError, ValueError) as fault:
        why = getattr(fault, "strerror", None) or fault
        raise DataError(f"{path} cannot be read ({why}): give the path of an image.") from fault


class Files:
    """Image files, each named by itself."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.paths = paths
        self.name, self.count = paths[0], len(paths)

    @property
    def digest(self) -> str:
        """Of each file's name, size and time of change."""
        return hashlib.sha256("\n".join(map(stamp, self.paths)).encode()).hexdigest()

    def items(self, start: int) -> Iterator[Item]:
        """One item a file."""
        for path in islice(self.paths, start, None):
            yield Item(stem(path), path, -1, partial(load_file, path))


class Folder:
    """The image files below a folder in the order of their names; hidden ones are left out."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)
        told, self.count = hashlib.sha256(), 0
        for found in self._walk():
            told.update(f"{found}\n".encode(errors="surrogateescape"))
            self.count += 1
        self.digest = told.hexdigest()
        if not self.count:
            raise GalaxyError(
                f"{path} holds no image ({', '.join(sorted(PICTURES | FITS))}): give a folder that does; "
                "HDF5 and Parquet files are given by their own names."
            )

    def items(self, start: int) -> Iterator[Item]:
        """One item a file, named by its path below the folder."""
        for path in islice(self._walk(), start, None):
            below = os.path.relpath(path, self.path)
            yield Item(os.path.join(os.path.dirname(below), stem(path)), path, -1, partial(load_file, path))

    def _walk(self) -> Iterator[str]:
        for folder, folders, names in os.walk(self.path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if is_image(name) and not name.startswith("."):
                    yield os.path.join(folder, name)


class Bands:
    """Cutouts in three files each, which a pattern with `{band}` in place of g, r and z names."""

    def __init__(self, pattern: str) -> None:
        self.name = pattern
        parts = re.split(r"(\*|\?)", pattern)
        wild = {"*": "([^/]*)", "?": "([^/])"}
        known = re.compile(
            "".join(wild.get(part, re.escape(part)) for part in parts).replace(r"\{band\}", "g")
        )
        self.paths = []
        for path in sorted(glob.glob(pattern.replace(BAND, "g"))):
            if fits := known.fullmatch(path):
                filled = iter(fits.groups())
                self.paths.append("".join(next(filled) if part in wild else part for part in parts))
        self.count = len(self.paths)
        if not self.count:
            raise GalaxyError(f"No file fits {pattern} with g in place of {BAND}: mend the pattern.")

    @property
    def digest(self) -> str:
        """Of the names and the times of change of all three files."""
        told = (stamp(path.replace(BAND, band)) for path in self.paths for band in "grz")
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    def items(self, start: int) -> Iterator[Item]:
        """One item for three files."""
        for path in islice(self.paths, start, None):
            yield Item(stem(path), path, -1, partial(load_file, path))


class Galaxies:
    """The rows of an HDF5 file of the Galaxy10 layout; labels are not looked at."""

    BLOCKS = 2
    """Blocks of images, where several are packed together, that are kept unpacked."""

    def __init__(self, path: Path) -> None:
        self.name, self.digest = str(path), stamp(path)
        self.data = GalaxyImages(path)
        self.count = len(self.data)
        self._lock = threading.Lock()
        self._block = lru_cache(self.BLOCKS)(self._read_block)

    def items(self, start: int) -> Iterator[Item]:
        """One item a row, named by the file and the row."""
        data = self.data
        for row in range(start, self.count):
            place = (float(data.ra[row]), float(data.dec[row]), float(data.pxscale[row]))
            yield Item(f"{stem(self.name)}:{row}", self.name, row, partial(self.load, row), *place)

    def load(self, row: int) -> Picture:
        """Read a row."""
        together = self.data.rows_per_chunk
        if together == 1:
            return Picture(self.data.read([row])[0])
        with self._lock:  # or two threads unpack the same block
            return Picture(self._block(row // together)[row % together])

    def _read_block(self, block: int) -> np.ndarray:
        together = self.data.rows_per_chunk
        return self.data.read(np.arange(block * together, min((block + 1) * together, self.count)))


class Broken:
    """A file of many images that cannot be opened: one item, which says why."""

    count = 1

    def __init__(self, path: Path, reason: str) -> None:
        self.name, self.digest, self.reason = str(path), stamp(path), reason

    def items(self, start: int) -> Iterator[Item]:
        """The only item."""
        yield from [Item(stem(self.name), self.name, -1, partial(refuse, self.reason))][start:]


def refuse(reason: str) -> Picture:
    """What an item loads that has no image.

    Raises:
        DataError: always.
    """
    raise DataError(reason)
