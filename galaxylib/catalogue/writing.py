"""A catalogue on disk: parts while a run lasts, then one table as Parquet, CSV, ECSV or FITS."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from galaxylib.catalogue.tables import INSTALL
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import DataError, GalaxyError
from galaxylib.files import atomic, check_outputs, hold_lock, write_json

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError as missing:
    raise GalaxyError(INSTALL) from missing

KEY = "galaxylib"
"""Under which a catalogue's metadata stand, as JSON: in Parquet's schema and in ECSV's meta; in FITS's header
it is METADATA, and beside a CSV file there is a JSON file of its name."""
TOGETHER = 16
"""Parts in a row group of the finished Parquet file."""
RUN = "run.json"
CARDS = 2880
"""Bytes of a block of a FITS file."""


def column_of(name: str) -> str:
    """The column of a class's probability, such as `p_edge_on_with_bulge`."""
    return "p_" + re.sub(r"\W+", "_", name.lower())


def class_and_rival(row: Mapping[str, Any]) -> tuple[tuple[float, str], tuple[float, str]]:
    """Probability and name of a catalogue's row's class, and of the most probable of the other nine."""
    own = row["class"]
    others = [(row[column_of(name)], name) for name in CLASS_NAMES if name != own]
    return (row[column_of(own)], own), max(others)


class Parts:
    """The parts of a run beside its catalogue: what a run that was stopped goes on from.

    Args:
        catalogue: the file to be; the parts are in a folder of its name with `.parts` behind it.
        identity: what must be the same for a run to go on: options, inputs, weights, versions.

    Raises:
        GalaxyError: the folder holds another run, another process is at work in it, or it cannot be written.
    """

    def __init__(self, catalogue: Path, identity: Mapping[str, Any]) -> None:
        self.catalogue, self.folder = catalogue, catalogue.with_name(catalogue.name + ".parts")
        self._lock = hold_lock(self.folder / "lock", wait=False)
        try:
            self._check(json.loads(json.dumps(identity)))
        except BaseException:
            self._lock.close()
            raise

    def _check(self, identity: dict[str, Any]) -> None:
        try:
            former = json.loads((self.folder / RUN).read_text(encoding="utf-8"))
        except FileNotFoundError:
            write_json(self.folder / RUN, identity)
            return
        except ValueError:
            former = {}
        other = sorted(key for key in former.keys() | identity.keys() if former.get(key) != identity.get(key))
        if other:
            changes = ", ".join(f"{key} (was {former.get(key)!r}, is {identity.get(key)!r})" for key in other)
            raise GalaxyError(
                f"{self.folder} holds an unfinished run with another {changes}: go on as it was begun, or "
                "delete that folder to begin anew."
            )

    def file(self, number: int) -> Path:
        """Where a part lies once it is whole."""
        return self.folder / f"{number:06d}.parquet"

    def has(self, number: int) -> bool:
        """Whether a part is whole."""
        return self.file(number).is_file()

    def write(self, number: int, table: pa.Table) -> None:
        """Write a part, whole or not at all.

        Raises:
            GalaxyError: the disk is full.
        """
        with atomic(self.file(number)) as partial:
            pq.write_table(table, partial)

    def tables(self, numbers: Iterable[int]) -> Iterator[pa.Table]:
        """The parts with these numbers.

        Raises:
            DataError: one is damaged.
        """
        for number in numbers:
            try:
                yield pq.read_table(self.file(number))
            except (OSError, pa.ArrowException) as fault:
                raise DataError(f"{self.file(number)} is damaged: delete it and run again.") from fault

    def close(self, *, remove: bool) -> None:
        """Let go of the folder, and remove it once the catalogue is whole."""
        if remove:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def check_catalogue(path: Path, *, inputs: Iterable[str | Path] = ()) -> None:
    """Refuse a catalogue that could not be written, before any work goes into it.

    Raises:
        GalaxyError: its ending names no format that can be written, it is an input, or as
            `files.check_outputs`.
    """
    if path.suffix.lower() not in WRITERS:
        raise GalaxyError(f"{path} has no ending of a catalogue: choose one of {', '.join(WRITERS)}.")
    if path.suffix.lower() in (".ecsv", ".fits"):
        _astropy()
    beside = [sidecar(path)] if path.suffix.lower() == ".csv" else []
    check_outputs(path, *beside, inputs=inputs)


def write_catalogue(
    path: Path, parts: Callable[[], Iterator[pa.Table]], form: pa.Schema, metadata: Mapping[str, Any]
) -> None:
    """Write a catalogue in the format that its ending names, whole or not at all; memory holds a few parts.

    Args:
        path: the file.
        parts: gives the parts in their order, each time that it is called.
        form: their columns.
        metadata: as JSON has it.

    Raises:
        GalaxyError: the disk is full, or a part is damaged.
    """
    with atomic(path) as partial:
        WRITERS[path.suffix.lower()](partial, parts, form, metadata)
    if path.suffix.lower() == ".csv":
        write_json(sidecar(path), metadata)


def sidecar(path: Path) -> Path:
    """Where the metadata of a CSV catalogue stand: CSV has no place for them."""
    return path.with_name(path.name + ".json")


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata of a catalogue.

    Raises:
        DataError: the file is missing or no catalogue of this library.
    """
    path = Path(path)
    try:
        return json.loads(_READERS[path.suffix.lower()](path))
    except (OSError, KeyError, ValueError, TypeError) as fault:
        raise DataError(f"{path} is no catalogue that `galaxylib classify` wrote: give one.") from fault


def _parquet(
    path: Path, parts: Callable[[], Iterator[pa.Table]], form: pa.Schema, metadata: Mapping[str, Any]
) -> None:
    form = form.with_metadata({KEY: json.dumps(metadata, ensure_ascii=False)})
    with pq.ParquetWriter(path, form) as writer:
        waiting: list[pa.Table] = []
        for table in parts():
            waiting.append(table.cast(form))
            if len(waiting) == TOGETHER:
                writer.write_table(pa.concat_tables(waiting))
                waiting.clear()
        if waiting:
            writer.write_table(pa.concat_tables(waiting))


def _flat(table: pa.Table) -> dict[str, np.ndarray]:
    """The columns as arrays, the embedding as many."""
    columns: dict[str, np.ndarray] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_fixed_size_list(column.type):
            for number, values in enumerate(_matrix(column).T):
                columns[f"{name}_{number}"] = values
        else:
            columns[name] = column.to_numpy()
    return columns


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    width = column.type.list_size
    return column.combine_chunks().flatten().to_numpy().reshape(-1, width)


def _csv(
    path: Path, parts: Callable[[], Iterator[pa.Table]], form: pa.Schema, metadata: Mapping[str, Any]
) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(",".join(_flat(form.empty_table())) + "\n")
        _rows(stream, parts(), na_rep="", quoting=csv.QUOTE_MINIMAL)


def _rows(stream: IO[str], parts: Iterable[pa.Table], **how: Any) -> None:
    import pandas as pd

    for table in parts:
        pd.DataFrame(_flat(table)).to_csv(stream, header=False, index=False, lineterminator="\n", **how)


def _ecsv(
    path: Path, parts: Callable[[], Iterator[pa.Table]], form: pa.Schema, metadata: Mapping[str, Any]
) -> None:
    from astropy.table import Table

    empty = _flat(form.empty_table())
    kinds = {name: str if values.dtype == object else values.dtype for name, values in empty.items()}
    header = io.StringIO()
    Table(names=list(kinds), dtype=list(kinds.values()), meta={KEY: dict(metadata)}).write(
        header, format="ascii.ecsv", delimiter=","
    )
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(header.getvalue())
        _rows(stream, parts(), na_rep="nan", quoting=csv.QUOTE_NONNUMERIC)


def _fits(
    path: Path, parts: Callable[[], Iterator[pa.Table]], form: pa.Schema, metadata: Mapping[str, Any]
) -> None:
    """A binary table; its strings, which FITS keeps in ASCII at one width, are measured first."""
    from astropy.io import fits

    texts = [field.name for field in form if pa.types.is_string(field.type)]
    widths, count = dict.fromkeys(texts, 1), 0
    for table in parts():
        count += len(table)
        for name in texts:
            widths[name] = max(widths[name], *map(len, _ascii(table[name])), 1)
    codes = {pa.float32(): "E", pa.float64(): "D", pa.int64(): "K"}
    formats = {
        field.name: f"{widths[field.name]}A"
        if field.name in widths
        else f"{field.type.list_size}E"
        if pa.types.is_fixed_size_list(field.type)
        else codes[field.type]
        for field in form
    }
    columns = fits.ColDefs([fits.Column(name=name, format=code) for name, code in formats.items()])
    empty = fits.BinTableHDU.from_columns(columns, nrows=0)
    empty.header["NAXIS2"] = count
    empty.header["EXTNAME"] = "CATALOGUE"
    empty.header["METADATA"] = json.dumps(metadata)
    kinds = columns.dtype.newbyteorder(">")
    with path.open("wb") as stream:
        stream.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
        stream.write(empty.header.tostring().encode("ascii"))
        for table in parts():
            records = np.zeros(len(table), kinds)
            for name in formats:
                column = table[name]
                if name in widths:
                    records[name] = _ascii(column)
                elif pa.types.is_fixed_size_list(column.type):
                    records[name] = _matrix(column)
                else:
                    records[name] = column.to_numpy()
            stream.write(records.tobytes())
        stream.write(bytes(-count * kinds.itemsize % CARDS))


def _ascii(column: pa.ChunkedArray) -> list[bytes]:
    return [text.encode("ascii", "backslashreplace") for text in column.to_pylist()]


def _astropy() -> None:
    try:
        import astropy  # noqa: F401
    except ModuleNotFoundError as fault:
        raise GalaxyError(
            "Catalogues as ECSV and FITS need astropy, which is not installed here: "
            "pip install 'galaxylib[catalogue]'."
        ) from fault


def _fits_metadata(path: Path) -> str:
    from astropy.io import fits

    return fits.getheader(path, 1)["METADATA"]


def _ecsv_metadata(path: Path) -> str:
    from astropy.table.meta import get_header_from_yaml

    lines = []
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            if not line.startswith("# "):
                break
            lines.append(line[2:].rstrip("\n"))
    return json.dumps(get_header_from_yaml(lines[1:])["meta"][KEY])


WRITERS = {".parquet": _parquet, ".csv": _csv, ".ecsv": _ecsv, ".fits": _fits}
_READERS: dict[str, Callable[[Path], Any]] = {
    ".parquet": lambda path: pq.read_schema(path).metadata[KEY.encode()],
    ".csv": lambda path: sidecar(path).read_text(encoding="utf-8"),
    ".ecsv": _ecsv_metadata,
    ".fits": _fits_metadata,
}
