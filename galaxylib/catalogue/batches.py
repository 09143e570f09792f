"""Batches of framed images, decoded ahead in threads while the network works on the one before."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import cycle

import numpy as np
import torch

from galaxylib.catalogue.frame import UNREADABLE, Frame
from galaxylib.catalogue.inputs import Inputs, Item
from galaxylib.data.galaxy10 import SHAPE
from galaxylib.errors import GalaxyError, is_lack_of_memory, sentence
from galaxylib.provenance import cores
from galaxylib.training.hardware import Devices

CHUNK = 8
"""Images that a thread decodes in one go."""
AHEAD = 2
"""Batches that are decoded, or being decoded, while the network works on another."""


@dataclass(frozen=True, eq=False)
class Look:
    """What became of an item before a network saw it.

    Attributes:
        flags: those of `frame.FLAGS` that hold.
        reason: why it could not be read; empty where it could.
        ra, dec: degrees; NaN where unknown.
        pixscale: arcsec a pixel of the image as it came; NaN where unknown.
    """

    flags: tuple[str, ...]
    reason: str
    ra: float
    dec: float
    pixscale: float


@dataclass(eq=False)
class Batch:
    """Images on their way to the network.

    Attributes:
        part: of the catalogue, counted from 0.
        ends: whether it is the part's last batch.
        items: where the images come from, N of them.
        images: (N, 256, 256, 3) uint8, pinned where there is a GPU; what could not be read is not set. They
            hold until the next batch, for which `batches` may use their memory again.
        looks: what became of each.
    """

    part: int
    ends: bool
    items: list[Item]
    images: torch.Tensor
    looks: list[Look] = field(default_factory=list)

    @property
    def readable(self) -> np.ndarray:
        """(N,) whether each image could be read."""
        return np.array([not look.reason for look in self.looks])


def batches(
    inputs: Inputs, parts: Sequence[int], frame: Frame, *, batch_size: int, save_every: int
) -> Iterator[Batch]:
    """The images of some parts, in their order; at most `AHEAD` + 1 batches are in memory.

    They take turns in as many buffers: where each batch asks for new memory, gaps stay between what is in
    use, and the process grows by hundreds of megabytes over its first thousands of images.

    Args:
        inputs: the images.
        parts: which parts, in ascending order.
        frame: how images are framed.
        batch_size: images a batch; a part's last one may be smaller, so that no part depends on another.
        save_every: images a part.

    Raises:
        GalaxyError: there are fewer images than there were, or the memory does not suffice.
    """
    pool = ThreadPoolExecutor(threads(), thread_name_prefix="decoder")
    ahead: deque[tuple[Batch, list[Future[list[Look]]]]] = deque()

    def first() -> Batch:
        batch, looked = ahead.popleft()
        batch.looks = [one for some in looked for one in some.result()]
        return batch

    try:
        for batch in _planned(inputs, parts, _buffers(min(batch_size, save_every, len(inputs))), save_every):
            pixels = batch.images.numpy()
            chunks = (slice(place, place + CHUNK) for place in range(0, len(batch.items), CHUNK))
            looked = [pool.submit(_looks, batch.items[few], frame, pixels[few]) for few in chunks]
            ahead.append((batch, looked))
            if len(ahead) > AHEAD:
                yield first()
        while ahead:
            yield first()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _buffers(batch_size: int) -> list[torch.Tensor]:
    shape, pinned = (batch_size, *SHAPE), torch.cuda.is_available()
    return [torch.empty(shape, dtype=torch.uint8, pin_memory=pinned) for _ in range(AHEAD + 1)]


def _planned(
    inputs: Inputs, parts: Sequence[int], buffers: Sequence[torch.Tensor], save_every: int
) -> Iterator[Batch]:
    total, place, batch_size, free = len(inputs), 0, len(buffers[0]), cycle(buffers)
    items = inputs.items(0, total)
    for part in parts:
        start, stop = part * save_every, min((part + 1) * save_every, total)
        if start != place:  # or tables would be read again from their beginning for each part
            items = inputs.items(start, total)
        place = stop
        for first in range(start, stop, batch_size):
            few = [item for _, item in zip(range(min(batch_size, stop - first)), items, strict=False)]
            if len(few) < min(batch_size, stop - first):
                raise GalaxyError(
                    "There are fewer images than at the run's beginning: leave the inputs as they are, and "
                    "run again."
                )
            yield Batch(part, first + batch_size >= stop, few, next(free)[: len(few)])


def _looks(items: Sequence[Item], frame: Frame, out: np.ndarray) -> list[Look]:
    return [look(item, frame, place) for item, place in zip(items, out, strict=True)]


def look(item: Item, frame: Frame, out: np.ndarray) -> Look:
    """Load and frame an item; whatever goes wrong, except a lack of memory, becomes its reason.

    Args:
        item: the image.
        frame: how it is framed.
        out: (256, 256, 3) uint8, where its pixels go.
    """
    try:
        picture = item.load()
        place = {
            name: own if np.isfinite(own := getattr(item, name)) else getattr(picture, name)
            for name in ("ra", "dec", "pixscale")
        }
        out[:], flags = frame(replace(picture, **place))
    except Exception as fault:
        if is_lack_of_memory(fault):
            raise
        return Look((UNREADABLE,), " ".join(sentence(fault).split()), item.ra, item.dec, item.pixscale)
    return Look(flags, "", **place)


def threads() -> int:
    """How many decode side by side: one a core, shared among the processes that torchrun started here."""
    return min(max(1, cores() // Devices.announced().local), 32)
