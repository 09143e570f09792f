"""`classify`: from inputs to a catalogue, decoded ahead in threads, judged in batches, kept part by part."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

import galaxylib
from galaxylib.catalogue.answers import Answers, answers_of
from galaxylib.catalogue.batches import Batch, batches
from galaxylib.catalogue.frame import UNREADABLE, Frame
from galaxylib.catalogue.inputs import Columns, Inputs
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import BATCHES, PARTS, GalaxyError, is_lack_of_memory
from galaxylib.evaluation.judge import PRECISIONS, judging_precision
from galaxylib.evaluation.judgement import Judgement, judge_batches_with
from galaxylib.evaluation.unlike import first_and_last
from galaxylib.files import check_outputs
from galaxylib.networks.checkpoint import Loaded, checkpoint_files, load
from galaxylib.provenance import commit
from galaxylib.training.hardware import default_device
from galaxylib.votes.checkpoint import load_votes_network

if TYPE_CHECKING:
    from galaxylib.catalogue.shards import Shard

ON_CPU, ON_GPU = 64, 256
"""Images at once: more gain nothing there, fewer leave a GPU idle."""
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
        votes: keep the 37 vote fractions of a network of votes, which reads pictures framed as the Galaxy Zoo
            challenge's; "pretrained" is then the one that comes with the book.
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
    shard: "Shard | None" = None,
    own_network: str = "",
    page: str | Path | None = None,
    lab: str = "",
    progress: bool = False,
) -> Summary:
    """Classify images without labels into a catalogue.

    Called again with the same inputs and settings, a run that was stopped goes on where it was, and gives
    what an uninterrupted run gives, bit for bit. Images that cannot be read become rows that say why. Of the
    images, only a few batches are in memory at a time.

    Args:
        *inputs: image files (JPEG, PNG, TIFF, WebP, FITS, gzip'd or not), folders of them, patterns (`*`,
            `?`, `{band}` for FITS in three files), HDF5 files of the Galaxy10 layout, Parquet files with
            images, and CSV or Parquet tables of paths.
        out: the catalogue; its ending says its kind: .parquet, .csv (with a .json beside it), .ecsv or .fits.
        checkpoint: a folder that `galaxylib train` wrote, the name of a shipped one, or one that is loaded.
        settings: how; None takes the defaults.
        shard: which stretch of the catalogue to make; `out` is then a folder, in which `shard.file` is
            written unless it is there already, and which `galaxylib.catalogue.shards.merge` makes a dataset.
            None makes the whole catalogue.
        own_network: as in `galaxylib.networks.checkpoint.load`.
        page: a folder for a page that shows the catalogue (see `galaxylib.catalogue.page`), or None.
        lab: address of a dream lab to which the page's pictures link, or "".
        progress: show a progress bar with images a second and the time that is left.

    Raises:
        GalaxyError: an input, a setting or the checkpoint is not as it must be, `out` cannot be written, a
            run with other settings was begun there, a page of a shard or more shards than parts are
            wanted, or the memory does not suffice.
    """
    from galaxylib.catalogue import writing
    from galaxylib.catalogue.page import PAGE_FILE, choose, shown, write_page
    from galaxylib.catalogue.shards import is_made, rows_of

    settings, path = settings or Settings(), Path(out) / shard.file if shard else Path(out)
    _check(settings)
    if shard and page is not None:
        raise GalaxyError(
            "A page shows a whole catalogue: leave it out where shards are made, and ask `merge` for it."
        )
    read = [checkpoint_files(checkpoint)] if not isinstance(checkpoint, Loaded) else [[]]
    writing.check_catalogue(path, inputs=[*map(str, inputs), *read[0]])
    if page is not None:
        check_outputs(Path(page) / PAGE_FILE, inputs=[*map(str, inputs), path])
    if not isinstance(checkpoint, Loaded):
        checkpoint = (load_votes_network if settings.votes else load)(checkpoint, own_network=own_network)
    answers = answers_of(checkpoint, settings.frame, votes=settings.votes)
    loaded = answers.loaded
    found = Inputs(inputs, columns=settings.columns)
    settings = replace(settings, precision=judging_precision(settings.precision))
    settings = replace(settings, batch_size=settings.batch_size or fitting_batch(loaded, settings))
    metadata = described(answers, settings)
    origin = {
        "inputs": [source.name for source in found.sources],
        "columns": asdict(settings.columns),
        "images": len(found),
        "content": found.digest,
        "save_every": settings.save_every,
    }
    numbers = range(-(-len(found) // settings.save_every))
    if shard:
        numbers = shard.parts(len(numbers))
        metadata |= origin | {"shard": shard.number, "shards": shard.count}
        if is_made(path, metadata):
            return _summary(path, rows_of(path))
    parts = writing.Parts(path, metadata | origin | {"batch_size": settings.batch_size})
    done = False
    try:
        run = _Run(answers, settings, found, parts, numbers)
        run.complete(progress=progress)
        tables = lambda: parts.tables(numbers)  # noqa: E731
        summary = _summary(path, tables())
        metadata |= {"rows": summary.rows, "unreadable": summary.counts.get(UNREADABLE, 0)}
        writing.write_catalogue(path, tables, run.form, metadata)
        choice = None if page is None else choose(tables())
        done = True
    finally:
        parts.close(remove=done)
    if choice is not None:
        show = partial(shown, frame=settings.frame, columns=settings.columns)
        write_page(page, choice, show, metadata=metadata, lab=lab)
    return summary


def fitting_batch(loaded: Loaded, settings: Settings) -> int:
    """How many images at once suit the device: on a GPU halved until its memory holds them.

    Raises:
        GalaxyError: not even one image fits, or the network cannot read it.
    """
    if default_device().type == "cpu":
        return ON_CPU
    size = ON_GPU
    while True:
        try:
            _trial(loaded, size, symmetries=settings.symmetries, precision=settings.precision)
        except GalaxyError as fault:
            if size == 1 or fault.__cause__ is None or not is_lack_of_memory(fault.__cause__):
                raise
            size //= 2
        else:
            return size


def _trial(loaded: Loaded, count: int, **how: Any) -> Judgement:
    side = loaded.preprocess.crop
    return next(judge_batches_with(loaded, [torch.zeros(count, side, side, 3, dtype=torch.uint8)], **how))


def described(answers: Answers, settings: Settings) -> dict[str, Any]:
    """What a catalogue tells of how it was made, as JSON has it; nothing in it changes from run to run."""
    from galaxylib.catalogue.writing import column_of

    loaded = answers.loaded
    return {
        "galaxylib": galaxylib.__version__,
        "commit": commit(),
        "network": loaded.meta.get("network"),
        "weights_sha256": loaded.meta.get("sha256"),
        "temperature": loaded.temperature,
        "has_reference": loaded.reference is not None,
        "classes": {column_of(name): name for name in CLASS_NAMES},
        "probabilities": answers.probabilities,
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
    if settings.precision not in PRECISIONS:
        raise GalaxyError(
            f"There is no precision {settings.precision!r}: choose one of {', '.join(PRECISIONS)}."
        )


class _Run:
    """The parts that are still to be made, and the making of them."""

    def __init__(
        self, answers: Answers, settings: Settings, inputs: Inputs, parts: Any, numbers: range
    ) -> None:
        from galaxylib.catalogue.rows import schema

        self.answers, self.settings, self.inputs, self.parts = answers, settings, inputs, parts
        self.numbers = numbers
        self.stage, width = "", 0
        if settings.embedding:
            loaded = answers.loaded
            name, size = loaded.meta.get("network", ""), loaded.preprocess.size
            self.stage = first_and_last(loaded.network, name, size=size)[-1]
            width = _trial(loaded, 1, embedding=self.stage).embedding.shape[1]
        self.form = schema(CLASS_NAMES, votes=answers.votes, embedding=width)

    def complete(self, *, progress: bool) -> None:
        """Make what is missing."""
        from galaxylib.catalogue import rows

        every = self.settings.save_every
        sizes = {number: min(every, len(self.inputs) - number * every) for number in self.numbers}
        missing = [number for number in self.numbers if not self.parts.has(number)]
        left, total = sum(sizes[number] for number in missing), sum(sizes.values())
        tables: list[Any] = []
        shown: list[Batch] = []  # what the network works on, one batch at most

        with tqdm(
            total=total, initial=total - left, unit="image", desc="classifying", disable=not progress
        ) as bar:

            def finish(batch: Batch, judged: Judgement | None) -> None:
                tables.append(rows.table_of(batch, judged, self.answers, self.form))
                if batch.ends:
                    self._keep(batch.part, tables)
                bar.update(len(batch.items))

            def images() -> Iterator[torch.Tensor]:
                for batch in batches(
                    self.inputs,
                    missing,
                    self.settings.frame,
                    batch_size=self.settings.batch_size,
                    save_every=every,
                ):
                    readable = batch.readable
                    if not readable.any():
                        finish(batch, None)
                        continue
                    shown.append(batch)
                    yield batch.images if readable.all() else batch.images[torch.from_numpy(readable)]

            for judged in judge_batches_with(
                self.answers.loaded,
                images(),
                activation=self.answers.activation,
                symmetries=self.settings.symmetries,
                embedding=self.stage,
                precision=self.settings.precision,
            ):
                finish(shown.pop(), judged)

    def _keep(self, part: int, tables: list[Any]) -> None:
        import pyarrow as pa

        self.parts.write(part, pa.concat_tables(tables).combine_chunks())
        tables.clear()


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
