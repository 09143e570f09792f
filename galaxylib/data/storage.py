"""Where the pixels of a Galaxy10 file lie, and how to get at them quickly.

HDF5 serves one thread at a time. Where images lie one by one, plain or gzip, their bytes are read straight
from the file instead, so that threads read and unpack side by side. Any other layout goes through HDF5.
"""

import os
import threading
import zlib
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np

from galaxylib.errors import DataError
from galaxylib.files import NO_LOCKS


class PixelStore(Protocol):
    """What reads images out of a file."""

    rows_per_chunk: int

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(len(rows), H, W, C) uint8 images, in the order of `rows`."""

    def close(self) -> None:
        """Let go of the file."""


def open_hdf5(path: Path, mode: str = "r") -> h5py.File:
    """Open an HDF5 file as h5py does; without HDF5's lock where the file system has none.

    Raises:
        BlockingIOError: another process writes the file, or, for writing, has it open.
        OSError: it cannot be opened.
    """
    try:
        return h5py.File(path, mode)
    except OSError as fault:
        if fault.errno not in NO_LOCKS:
            raise
        return h5py.File(path, mode, locking=False)


def missing_filter(dataset: h5py.Dataset) -> str:
    """The name of a filter without which `dataset` cannot be unpacked here; empty where none is missing."""
    filters = dataset.id.get_create_plist()
    for number in range(filters.get_nfilters()):
        code, _, _, name = filters.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            return name.decode(errors="replace") or f"number {code}"
    return ""


def pixel_store(path: Path, images: h5py.Dataset) -> PixelStore:
    """The quickest reader for the layout of `images`, a dataset of the open file `path`."""
    if images.file.userblock_size or not (hasattr(os, "pread") and hasattr(images.id, "chunk_iter")):
        return HDF5Store(path, images.chunks[0] if images.chunks else 1)
    filters = images.id.get_create_plist()
    names = [filters.get_filter(number)[0] for number in range(filters.get_nfilters())]
    if images.chunks is None and images.id.get_offset() is not None:
        start, size = images.id.get_offset(), int(np.prod(images.shape[1:]))
        offsets = start + size * np.arange(len(images), dtype=np.int64)
        return ByteStore(path, images.shape[1:], offsets, np.full(len(images), size), packed=False)
    if images.chunks == (1, *images.shape[1:]) and names in ([], [h5py.h5z.FILTER_DEFLATE]):
        offsets, sizes = _chunk_table(images)
        if (offsets >= 0).all():
            return ByteStore(path, images.shape[1:], offsets, sizes, packed=bool(names))
    return HDF5Store(path, images.chunks[0] if images.chunks else 1)


def _chunk_table(images: h5py.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Where the chunk of each row begins in the file, and how long it is; -1 where HDF5 must be asked."""
    offsets = np.full(len(images), -1, np.int64)
    sizes = np.zeros(len(images), np.int64)

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        # A filter mask says that a filter was skipped for this chunk.
        if chunk.filter_mask == 0:
            offsets[chunk.chunk_offset[0]] = chunk.byte_offset
            sizes[chunk.chunk_offset[0]] = chunk.size

    images.id.chunk_iter(note)
    return offsets, sizes


class ByteStore:
    """Images that lie one by one in the file, plain or packed with gzip."""

    rows_per_chunk = 1

    def __init__(
        self, path: Path, shape: tuple[int, ...], offsets: np.ndarray, sizes: np.ndarray, *, packed: bool
    ) -> None:
        self._path, self._shape, self._offsets, self._sizes, self._packed = (
            path,
            shape,
            offsets,
            sizes,
            packed,
        )
        # Reading at an offset shares no position: threads and forked processes may use one descriptor.
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Images in the order of `rows`."""
        images = np.empty((len(rows), *self._shape), np.uint8)
        for place, row in enumerate(rows):
            raw = os.pread(self._descriptor, int(self._sizes[row]), int(self._offsets[row]))
            try:
                image = np.frombuffer(zlib.decompress(raw) if self._packed else raw, np.uint8)
                images[place] = image.reshape(self._shape)
            except (zlib.error, ValueError) as fault:
                raise DataError(
                    f"Image {row} of {self._path} is damaged or cut short: fetch or copy the file again."
                ) from fault
        return images

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


class HDF5Store:
    """Images in any other layout: one thread at a time, each block of images unpacked once a call."""

    def __init__(self, path: Path, rows_per_chunk: int) -> None:
        self.rows_per_chunk = rows_per_chunk
        self._path = path
        self._lock = threading.Lock()
        self._file: h5py.File | None = None
        self._process = -1

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Images in the order of `rows`."""
        with self._lock:
            dataset = self._dataset()
            images = np.empty((len(rows), *dataset.shape[1:]), np.uint8)
            blocks = rows // self.rows_per_chunk
            for block in np.unique(blocks):
                places = np.flatnonzero(blocks == block)
                first, last = rows[places].min(), rows[places].max()
                try:
                    images[places] = dataset[first : last + 1][rows[places] - first]
                except OSError as fault:
                    raise DataError(
                        f"The images {first} to {last} of {self._path} are damaged: "
                        "fetch or copy the file again."
                    ) from fault
            return images

    def _dataset(self) -> h5py.Dataset:
        # An HDF5 file opened before a fork must not be used after it.
        if self._file is None or self._process != os.getpid():
            self._file, self._process = open_hdf5(self._path), os.getpid()
        return self._file["images"]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
