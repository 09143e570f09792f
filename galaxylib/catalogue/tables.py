"""Tables: Parquet files with images in them, and Parquet and CSV tables with the paths of images."""

import csv
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from galaxylib.catalogue.decoding import decoded
from galaxylib.catalogue.inputs import CSV, Columns, Item, Source, load_file, refuse, stamp, stem
from galaxylib.errors import DataError, GalaxyError

IDS = ("id", "id_str", "object_id", "objid", "galaxy_id", "galaxyid", "iauname", "dr8_id", "dr7objid", "name")
IMAGES = ("image", "img", "image_bytes", "bytes", "jpeg", "png")
PATHS = ("path", "file_loc", "file", "filename", "file_name", "file_path", "filepath", "image_path", "image")
PLACES = (("ra",), ("dec",), ("pixscale", "pxscale"))
"""The usual names of columns, in small letters."""
AT_ONCE = 64
"""Rows of a Parquet file in memory; its row groups are streamed."""


def table(path: Path, columns: Columns) -> Source:
    """The images of a CSV or Parquet file.

    Raises:
        GalaxyError: it has no column of images or paths, or pyarrow is missing.
        DataError: it cannot be read.
    """
    return CSVTable(path, columns) if path.suffix.lower() in CSV else ParquetTable(path, columns)


def _chosen(given: str, usual: Sequence[str], names: Sequence[str], path: Path) -> str:
    """The column asked for, or the first of the usual ones that is there; empty if there is none."""
    if given and given not in names:
        raise GalaxyError(f"{path} has no column {given!r}: it has {', '.join(names)}.")
    small = {name.lower().strip(): name for name in reversed(names)}
    return given or next((small[name] for name in usual if name in small), "")


def _no_images(path: Path, names: Sequence[str], option: str = "--image-column") -> GalaxyError:
    return GalaxyError(
        f"{path} has no column of images or of their paths among {', '.join(names) or 'nothing'}: name it "
        f"with {option}."
    )


def number(value: Any) -> float:
    """A cell as a number; NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _at(path: Any, folder: Path) -> str:
    return os.path.join(folder, str(path))


class CSVTable:
    """A CSV table with the paths of images, which count from the table's folder."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self.path, self.name, self.digest = path, str(path), stamp(path)
        rows = self._rows()
        names = next(rows, [])
        self.image = _chosen(columns.image, PATHS, names, path)
        if not self.image:
            raise _no_images(path, names)
        self.id = _chosen(columns.id, IDS, names, path)
        self.places = [_chosen("", usual, names, path) for usual in PLACES]
        self.count = sum(1 for _ in rows)

    def _rows(self) -> Iterator[list[str]]:
        """The header, then every row that is not empty."""
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as stream:
                yield from filter(None, csv.reader(stream))
        except (OSError, UnicodeDecodeError, csv.Error) as fault:
            raise DataError(f"{self.path} is no CSV table ({fault}): write it again as UTF-8.") from fault

    def items(self, start: int) -> Iterator[Item]:
        """One item a row."""
        rows = self._rows()
        names = next(rows)
        cells = (dict(zip(names, row, strict=False)) for row in islice(rows, start, None))
        yield from _of_paths(self, cells, start)


class ParquetTable:
    """A Parquet file whose rows hold images, as encoded bytes or `{bytes, path}`, or the paths of images."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self.path, self.name, self.digest = path, str(path), stamp(path)
        types = _pyarrow()[0].types
        with self._opened() as file:
            schema, self.count = file.schema_arrow, file.metadata.num_rows

        def holds_bytes(name: str) -> bool:
            kind = schema.field(name).type
            if types.is_struct(kind):
                return "bytes" in {kind.field(place).name for place in range(kind.num_fields)}
            return types.is_binary(kind) or types.is_large_binary(kind)

        names = schema.names
        full = [name for name in names if holds_bytes(name)]
        self.image = columns.image and _chosen(columns.image, (), names, path)
        self.image = self.image or _chosen("", IMAGES, full, path) or (full[0] if full else "")
        self.in_file = bool(self.image) and holds_bytes(self.image)
        self.image = self.image or _chosen("", PATHS, names, path)
        if not self.image:
            raise _no_images(path, names)
        self.id = _chosen(columns.id, IDS, names, path)
        self.places = [_chosen("", usual, names, path) for usual in PLACES]

    def _opened(self) -> Any:
        arrow, parquet = _pyarrow()
        try:
            return parquet.ParquetFile(self.path)
        except (OSError, arrow.ArrowException) as fault:
            raise DataError(
                f"{self.path} is no whole Parquet file ({_first(fault)}): copy it again."
            ) from fault

    def items(self, start: int) -> Iterator[Item]:
        """One item a row; those of a row group that is damaged say so."""
        for first, rows in self._groups(start):
            yield from (self._in_file if self.in_file else partial(_of_paths, self))(rows, first)

    def _groups(self, start: int) -> Iterator[tuple[int, Iterable[dict[str, Any]]]]:
        """From the row group with row `start` on: the first row's number, and the rows."""
        with self._opened() as file:
            first = 0
            for group in range(file.num_row_groups):
                end = first + file.metadata.row_group(group).num_rows
                begin = max(first, start)
                if begin < end:
                    yield begin, islice(self._rows(file, group, end - first), begin - first, None)
                first = end

    def _rows(self, file: Any, group: int, count: int) -> Iterator[dict[str, Any]]:
        arrow, _ = _pyarrow()
        wanted = list(dict.fromkeys(filter(None, [self.id, self.image, *self.places])))
        done = 0
        try:
            for batch in file.iter_batches(AT_ONCE, row_groups=[group], columns=wanted, use_threads=False):
                for row in batch.to_pylist():
                    done += 1
                    yield row
        except (OSError, arrow.ArrowException) as fault:
            lost = (
                f"The rows of row group {group} of {self.path} are damaged ({_first(fault)}): copy it again."
            )
            for _ in range(count - done):
                yield {self.image: DataError(lost)}

    def _in_file(self, rows: Iterable[dict[str, Any]], first: int) -> Iterator[Item]:
        for row, cells in enumerate(rows, first):
            image = cells[self.image]
            if isinstance(image, dict):
                image = image["bytes"] if image["bytes"] is not None else image.get("path")
            where = f"row {row} of {self.path}"
            if isinstance(image, DataError):
                load = partial(refuse, str(image))
            elif isinstance(image, str):
                load = partial(load_file, _at(image, self.path.parent))
            elif image is None:
                load = partial(refuse, f"There is no image in {where}: fill it, or leave the row out.")
            else:
                load = partial(decoded, image, name=where)
            own = cells.get(self.id)
            name = f"{stem(self.name)}:{row}" if own is None else str(own)
            places = [number(cells.get(column)) for column in self.places]
            yield Item(name, self.name, row, load, *places)


def _of_paths(
    source: "CSVTable | ParquetTable", rows: Iterable[dict[str, Any]], first: int
) -> Iterator[Item]:
    """One item for each row of a table of paths."""
    for row, cells in enumerate(rows, first):
        given = cells.get(source.image)
        if isinstance(given, DataError):
            path, load = source.name, partial(refuse, str(given))
        elif not given:
            path = source.name
            load = partial(
                refuse, f"Row {row} of {source.path} names no file: fill it, or leave the row out."
            )
        else:
            path = _at(given, source.path.parent)
            load = partial(load_file, path)
        own = cells.get(source.id)
        name = (stem(path) if given else f"{stem(source.name)}:{row}") if own in (None, "") else str(own)
        places = [number(cells.get(column)) for column in source.places]
        yield Item(name, path, -1, load, *places)


def _first(fault: BaseException) -> str:
    return str(fault).partition("\n")[0][:200]


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as fault:
        raise GalaxyError(INSTALL) from fault
    return pyarrow, pyarrow.parquet


INSTALL = (
    "Tables and catalogues need pyarrow, which is not installed here: pip install 'galaxylib[catalogue]'."
)
