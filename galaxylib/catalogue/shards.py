"""Shards of a catalogue, made side by side by several GPUs or machines, and the dataset that they become."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from galaxylib.catalogue.writing import read_metadata
from galaxylib.errors import DataError, GalaxyError, Range
from galaxylib.files import check_outputs, sha256, write_json

SHARDS = Range(1, 99_999)
MANIFEST = "_manifest.json"
"""What a dataset consists of; readers of Parquet folders pass over names that begin with an underscore."""
OWN = {"shard", "rows", "unreadable"}
"""What shards of one catalogue tell differently; all else must be the same."""


@dataclass(frozen=True)
class Shard:
    """One of several stretches of a catalogue, all with equally many whole parts, give or take one.

    Attributes:
        number: from 1 to `count`.
        count: shards in all, up to 99,999.

    Raises:
        GalaxyError: a number is not as it must be.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        SHARDS.check("shards", self.count)
        Range(1, self.count).check("shard", self.number)

    @classmethod
    def read(cls, text: str) -> "Shard":
        """The shard that a text such as `2/4` names.

        Raises:
            GalaxyError: it names none.
        """
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
        if not found:
            raise GalaxyError(f"--shard {text} is no shard: write K/N, such as 2/4 for the second of four.")
        return cls(*map(int, found.groups()))

    @classmethod
    def announced(cls) -> "Shard | None":
        """That of this process where torchrun started several, one a process; else None."""
        from galaxylib.training.hardware import Devices  # imports torch, which the rest can do without

        devices = Devices.announced()
        return cls(devices.rank + 1, devices.world) if devices.launched else None

    @property
    def file(self) -> str:
        """Its catalogue in the dataset's folder; in the order of these names, the rows are the inputs'."""
        return f"shard-{self.number:05d}-of-{self.count:05d}.parquet"

    def parts(self, count: int) -> range:
        """Which of a catalogue's `count` parts it makes: so a dataset has the very rows of one catalogue.

        Raises:
            GalaxyError: there are fewer parts than shards.
        """
        if count < self.count:
            raise GalaxyError(
                f"{self.count} shards are more than the {count} stretches that the images make: take fewer "
                "shards, or a smaller --save-every."
            )
        return range(count * (self.number - 1) // self.count, count * self.number // self.count)


def is_made(path: Path, metadata: dict[str, Any]) -> bool:
    """Whether a shard's file is there already, made of the same inputs in the same way."""
    try:
        former = read_metadata(path)
    except DataError:
        return False
    given = json.loads(json.dumps(metadata))
    return all(former.get(name) == value for name, value in given.items())


def rows_of(path: Path) -> Iterator[pa.Table]:
    """The rows of a shard's file, row group by row group."""
    with pq.ParquetFile(path) as file:
        yield from map(file.read_row_group, range(file.num_row_groups))


def merge(folder: str | Path, *, page: str | Path | None = None, lab: str = "") -> dict[str, Any]:
    """Check that a folder holds every shard of one catalogue, and write its manifest, `_manifest.json`.

    The shards stay as they are: the folder is a dataset of Parquet files, with the rows of the catalogue that
    one run would have made, in their order.

    Args:
        folder: where `classify` with a shard wrote.
        page: a folder outside of it for a page that shows the catalogue, as `classify` writes one; None for
            no page. Its pictures are read again, by their paths as the catalogue has them.
        lab: as in `classify`.

    Returns:
        The manifest: what all shards tell of their making (inputs, their digest `content`, weights, version,
        commit, settings), the sums `rows` and `unreadable`, and under `shards` each file's name, rows,
        unreadable images and SHA-256.

    Raises:
        DataError: a shard is missing or damaged, or shards of another catalogue are among them.
        GalaxyError: the page would stand among the shards, or cannot be written.
    """
    folder = Path(folder)
    if page is not None:
        _check_page(Path(page), folder)
    told = {path.name: read_metadata(path) for path in sorted(folder.glob("shard-*.parquet"))}
    if not told:
        raise DataError(f"{folder} holds no shard: give the folder that `galaxylib classify --shard` wrote.")
    first, *others = told
    common = {name: value for name, value in told[first].items() if name not in OWN}
    for file in others:
        its = {name: value for name, value in told[file].items() if name not in OWN}
        if other := sorted(name for name in common.keys() | its.keys() if common.get(name) != its.get(name)):
            raise DataError(
                f"{first} and {file} in {folder} differ in {', '.join(other)}: remove the one that does not "
                "belong here, or make it again."
            )
    wanted = [Shard(number, common["shards"]).file for number in range(1, common["shards"] + 1)]
    if missing := [file for file in wanted if file not in told]:
        raise DataError(
            f"{folder} lacks {len(missing)} of {len(wanted)} shards, {missing[0]} the first: make what lacks."
        )
    shards = [
        {"file": file, "rows": its["rows"], "unreadable": its["unreadable"], "sha256": sha256(folder / file)}
        for file, its in told.items()
    ]
    sums = {name: sum(shard[name] for shard in shards) for name in ("rows", "unreadable")}
    manifest = common | sums | {"shards": shards}
    write_json(folder / MANIFEST, manifest)
    if page is not None:
        _write_page(Path(page), folder, manifest, lab)
    return manifest


def _check_page(page: Path, folder: Path) -> None:
    """Refuse a page that could not be written, or that readers of the dataset would take for a part of it."""
    from galaxylib.catalogue.page import PAGE_FILE

    if page.resolve().is_relative_to(folder.resolve()):
        raise GalaxyError(
            f"The page in {page} would stand among the shards: give a folder outside of {folder}."
        )
    check_outputs(page / PAGE_FILE)


def _write_page(page: Path, folder: Path, manifest: dict[str, Any], lab: str) -> None:
    from galaxylib.catalogue.frame import Frame  # imports torch, as the page does
    from galaxylib.catalogue.inputs import Columns
    from galaxylib.catalogue.page import choose, shown, write_page

    tables = (table for shard in manifest["shards"] for table in rows_of(folder / shard["file"]))
    frame = Frame(**{one.name: manifest["frame"][one.name] for one in fields(Frame)})
    show = partial(shown, frame=frame, columns=Columns(**manifest["columns"]))
    write_page(page, choose(tables), show, metadata=manifest, lab=lab)
