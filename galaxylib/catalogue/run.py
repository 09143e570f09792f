"""`classify`: from inputs to a catalogue, decoded ahead in threads, judged in batches, kept part by part."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

import galaxylib
from galaxylib.catalogue.frame import UNREADABLE, Frame
from galaxylib.catalogue.inputs import Columns, Inputs, Item
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import BATCHES, GalaxyError, Range, is_lack_of_memory, sentence
from galaxylib.evaluation.judge import Judgement, judge_batches_with, judging_precision
from galaxylib.evaluation.unlike import first_and_last
from galaxylib.networks.checkpoint import Loaded, checkpoint_files, load
from galaxylib.provenance import commit
from galaxylib.training.hardware import default_device

PARTS = Range(1, 1_000_000)
ON_CPU, ON_GPU = 64, 256
"""Images at once: more gain nothing there, fewer leave a GPU idle."""
CHUNK = 8
"""Images that a thread decodes in one go."""
AHEAD = 2
"""Batches that are decoded, or being decoded, while the network works on another."""
SHOWN = 10
"""Rows that a summary keeps."""


@dataclass(frozen=True)
class Settings:
    """How a catalogue is made.

    Attributes:
        frame: how images become what the network reads.
        columns: which columns of tables hold what.
        symmetries: average the probabilities over the eight turns and reflections of each image.
        embedding: keep what the network's last stage gives, averaged over the pixels.
        votes: keep the 37 vote fractions of a network of votes.
        precision: "float32", as `galaxylib evaluate` computes; "bfloat16"; "auto" takes the latter where the
            machine multiplies it natively, which is faster and moves a probability by up to about 0.02.
        batch_size: images at once; None takes what suits the device.
        save_every: images after which a run that is stopped can go on.
    """

    frame: Frame = field(default_factory=Frame)
    columns: Columns = field(default_factory=Columns)
    symmetries: bool = False
    embedding: bool = False
    votes: bool = False
    precision: str = "auto"
    batch_size: int | None = None
    save_every: int = 2048


@dataclass(frozen=True)
class Summary:
    """What became of a run.

    Attributes:
        path: the catalogue.
        rows: images in it.
        counts: how many have each flag, or class.
        unreadable: path and reason of the first images that could not be read.
        first: the first rows, as dictionaries.
    """

    path: Path
    rows: int
    counts: dict[str, int]
    unreadable: list[tuple[str, str]]
    first: list[dict[str, Any]]


def classify(
    *inputs: str | Path,
    out: str | Path,
    checkpoint: str | Path | Loaded = "real",
    settings: Settings | None = None,
    own_network: str = "",
    progress: bool = False,
) -> Summary:
    """Classify images without labels into a catalogue.

    A run that was stopped goes on where it was, if it is asked for again with the same inputs and settings;
    what comes out is what an uninterrupted run gives, bit for bit. Images that cannot be read are rows that
    say why. Memory does not grow with the number of images.

    Args:
        *inputs: image files (JPEG, PNG, TIFF, WebP, FITS, gzip'd or not), folders of them, patterns (`*`,
            `?`, `{band}` for FITS in three files), HDF5 files of the Galaxy10 layout, Parquet files with
            images, and CSV or Parquet tables of paths.
        out: the catalogue; its ending says its kind: .parquet, .csv (with a .json beside it), .ecsv or .fits.
        checkpoint: a folder that `galaxylib train` wrote, the name of a shipped one, or one that is loaded.
        settings: how; None takes the defaults.
        own_network: as in `galaxylib.networks.checkpoint.load`.
        progress: show a progress bar with images a second and the time that is left.

    Raises:
        GalaxyError: an input, a setting or the checkpoint is not as it must be, `out` cannot be written, a
            run with other settings was begun there, or the memory does not suffice.
    """
    from galaxylib.catalogue import writing

    settings, path = settings or Settings(), Path(out)
    _check(settings)
    read = [checkpoint_files(checkpoint)] if not isinstance(checkpoint, Loaded) else [[]]
    writing.check_catalogue(path, inputs=[*map(str, inputs), *read[0]])
    loaded = checkpoint if isinstance(checkpoint, Loaded) else load(checkpoint, own_network=own_network)
    _check_network(loaded, settings)
    found = Inputs(inputs, columns=settings.columns)
    settings = replace(
        settings,
        precision=judging_precision(settings.precision),
        batch_size=settings.batch_size or (ON_GPU if default_device().type == "cuda" else ON_CPU),
    )
    metadata = described(loaded, settings)
    identity = metadata | {
        "inputs": [source.name for source in found.sources],
        "images": len(found),
        "content": found.digest,
        "batch_size": settings.batch_size,
        "save_every": settings.save_every,
    }
    parts = writing.Parts(path, identity)
    done = False
    try:
        run = _Run(loaded, settings, found, parts)
        run.complete(progress=progress)
        tables = lambda: parts.tables(run.count)  # noqa: E731
        summary = _summary(path, tables())
        metadata |= {"rows": summary.rows, "unreadable": summary.counts.get(UNREADABLE, 0)}
        writing.write_catalogue(path, tables, run.form, metadata)
        done = True
    finally:
        parts.close(remove=done)
    return summary


def described(loaded: Loaded, settings: Settings) -> dict[str, Any]:
    """What a catalogue tells of how it was made, as JSON has it; nothing in it changes from run to run."""
    from galaxylib.catalogue.writing import column_of

    return {
        "galaxylib": galaxylib.__version__,
        "commit": commit(),
        "network": loaded.meta.get("network"),
        "weights_sha256": loaded.meta.get("sha256"),
        "temperature": loaded.temperature,
        "has_reference": loaded.reference is not None,
        "classes": {column_of(name): name for name in loaded.class_names},
        "preprocess": loaded.preprocess.to_dict(),
        "frame": asdict(settings.frame) | {"arcsec_a_pixel": 0.262, "pixels": 256},
        "symmetries": settings.symmetries,
        "embedding": settings.embedding,
        "votes": settings.votes,
        "precision": settings.precision,
        "device": default_device().type,
    }


def _check(settings: Settings) -> None:
    PARTS.check("save_every", settings.save_every)
    if settings.batch_size is not None:
        BATCHES.check("batch_size", settings.batch_size)
    from galaxylib.evaluation.judge import PRECISIONS

    if settings.precision not in PRECISIONS:
        raise GalaxyError(
            f"There is no precision {settings.precision!r}: choose one of {', '.join(PRECISIONS)}."
        )


def _check_network(loaded: Loaded, settings: Settings) -> None:
    if set(loaded.class_names) != set(CLASS_NAMES):
        raise GalaxyError(
            f"The network knows {', '.join(loaded.class_names[:3])} and so on: "
            "give one of Galaxy10's ten classes."
        )
    if settings.votes:
        raise GalaxyError("The network gives ten classes and no vote fractions: leave out --votes.")


@dataclass
class _Batch:
    """Images on their way: of one part, and whether they end it."""

    part: int
    ends: bool
    items: list[Item]
    looked: list[Future[list["_Look"]]] = field(default_factory=list)
    looks: list["_Look"] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Look:
    """What became of an item before the network saw it."""

    image: np.ndarray | None
    flags: tuple[str, ...]
    reason: str
    ra: float
    dec: float
    pixscale: float


class _Run:
    """The parts that are still to be made, and the making of them."""

    def __init__(self, loaded: Loaded, settings: Settings, inputs: Inputs, parts: Any) -> None:
        from galaxylib.catalogue import writing

        self.loaded, self.settings, self.inputs, self.parts = loaded, settings, inputs, parts
        self.count = -(-len(inputs) // settings.save_every)
        self.stage, width = "", 0
        if settings.embedding:
            name, size = loaded.meta.get("network", ""), loaded.preprocess.size
            self.stage = first_and_last(loaded.network, name, size=size)[-1]
            width = _width(loaded, self.stage)
        self.form = writing.schema(CLASS_NAMES, embedding=width)

    def complete(self, *, progress: bool) -> None:
        """Make what is missing."""
        every = self.settings.save_every
        missing = [number for number in range(self.count) if not self.parts.has(number)]
        left = sum(min(every, len(self.inputs) - number * every) for number in missing)
        total = len(self.inputs)
        waiting: deque[_Batch] = deque()
        tables: list[Any] = []

        def images() -> Iterator[torch.Tensor]:
            for batch in self._batches(missing):
                waiting.append(batch)
                readable = [look.image for look in batch.looks if look.image is not None]
                if readable:
                    yield torch.from_numpy(np.stack(readable))

        with tqdm(
            total=total, initial=total - left, unit="image", desc="classifying", disable=not progress
        ) as bar:

            def finish(batch: _Batch, judged: Judgement | None) -> None:
                tables.append(self._table(batch, judged))
                if batch.ends:
                    self._keep(batch.part, tables)
                bar.update(len(batch.items))

            for judged in judge_batches_with(
                self.loaded,
                images(),
                symmetries=self.settings.symmetries,
                embedding=self.stage,
                precision=self.settings.precision,
            ):
                while all(look.image is None for look in waiting[0].looks):
                    finish(waiting.popleft(), None)
                finish(waiting.popleft(), judged)
            while waiting:
                finish(waiting.popleft(), None)

    def _keep(self, part: int, tables: list[Any]) -> None:
        import pyarrow as pa

        self.parts.write(part, pa.concat_tables(tables).combine_chunks())
        tables.clear()

    def _plan(self, missing: Sequence[int]) -> Iterator[_Batch]:
        every, size = self.settings.save_every, self.settings.batch_size
        for part in missing:
            start, stop = part * every, min((part + 1) * every, len(self.inputs))
            items = self.inputs.items(start, stop)
            for first in range(start, stop, size):
                few = [next(items) for _ in range(min(size, stop - first))]
                yield _Batch(part, first + size >= stop, few)

    def _batches(self, missing: Sequence[int]) -> Iterator[_Batch]:
        """The batches in their order, some being decoded in threads ahead of the one that is given."""
        pool = ThreadPoolExecutor(threads(), thread_name_prefix="decoder")
        ahead: deque[_Batch] = deque()

        def first() -> _Batch:
            batch = ahead.popleft()
            batch.looks = [look for some in batch.looked for look in some.result()]
            return batch

        try:
            for batch in self._plan(missing):
                chunks = (batch.items[place : place + CHUNK] for place in range(0, len(batch.items), CHUNK))
                batch.looked = [pool.submit(self._looked, chunk) for chunk in chunks]
                ahead.append(batch)
                if len(ahead) > AHEAD:
                    yield first()
            while ahead:
                yield first()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _looked(self, items: Sequence[Item]) -> list[_Look]:
        return [look(item, self.settings.frame) for item in items]

    def _table(self, batch: _Batch, judged: Judgement | None) -> Any:
        import pyarrow as pa

        items, looks = batch.items, batch.looks
        readable = np.array([look.image is not None for look in looks])
        order = [self.loaded.class_names.index(name) for name in CLASS_NAMES]

        def spread(values: np.ndarray | None, shape: tuple[int, ...] = ()) -> np.ndarray:
            whole = np.full((len(items), *shape), np.nan)
            if values is not None:
                whole[readable] = values
            return whole

        shares = None if judged is None else judged.probabilities[:, order]
        ten = spread(shares, (len(CLASS_NAMES),))
        best = [CLASS_NAMES[row.argmax()] if known else "" for row, known in zip(ten, readable, strict=True)]
        top = np.sort(ten, axis=1)
        columns = [
            [item.id for item in items],
            [item.path for item in items],
            [item.row for item in items],
            *([getattr(look, name) for look in looks] for name in ("ra", "dec", "pixscale")),
            *ten.T.astype(np.float32),
            best,
            (top[:, -1] - top[:, -2]).astype(np.float32),
            spread(None if judged is None else judged.unlike).astype(np.float32),
            [" ".join(look.flags) for look in looks],
            [look.reason for look in looks],
        ]
        if self.stage:
            width = self.form.field("embedding").type.list_size
            given = spread(None if judged is None else judged.embedding, (width,)).astype(np.float32)
            columns.append(pa.FixedSizeListArray.from_arrays(given.ravel(), width))
        arrays = [pa.array(column, kind) for column, kind in zip(columns, self.form.types, strict=True)]
        return pa.Table.from_arrays(arrays, schema=self.form)


def _width(loaded: Loaded, stage: str) -> int:
    """Numbers of an embedding, by a trial."""
    trial = torch.zeros(1, loaded.preprocess.crop, loaded.preprocess.crop, 3, dtype=torch.uint8)
    return next(judge_batches_with(loaded, [trial], embedding=stage)).embedding.shape[1]


def look(item: Item, frame: Frame) -> _Look:
    """Load and frame an item; whatever goes wrong is its reason, but for a lack of memory."""
    try:
        picture = item.load()
        place = {
            name: own if np.isfinite(own := getattr(item, name)) else getattr(picture, name)
            for name in ("ra", "dec", "pixscale")
        }
        image, flags = frame(replace(picture, **place))
    except Exception as fault:
        if is_lack_of_memory(fault):
            raise
        return _Look(None, (UNREADABLE,), " ".join(sentence(fault).split()), item.ra, item.dec, item.pixscale)
    return _Look(image, flags, "", **place)


def threads() -> int:
    """How many decode side by side: one a core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 32)


def _summary(path: Path, tables: Iterator[Any]) -> Summary:
    rows, counts, unreadable, first = 0, {}, [], []
    for table in tables:
        rows += len(table)
        for name in table["class"].to_pylist():
            counts[name] = counts.get(name, 0) + 1
        for place, flags in enumerate(table["flags"].to_pylist()):
            for flag in flags.split():
                counts[flag] = counts.get(flag, 0) + 1
            if UNREADABLE in flags and len(unreadable) < SHOWN:
                unreadable.append((table["path"][place].as_py(), table["reason"][place].as_py()))
        first += table.slice(0, SHOWN - len(first)).to_pylist()
    counts.pop("", None)
    return Summary(path, rows, counts, unreadable, first)
