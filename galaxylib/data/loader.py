"""Batches of images, read ahead while the network works on the one before."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch

from galaxylib.errors import GalaxyError

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Images(Protocol):
    """Galaxies with labels, in a `Galaxy10` file or in memory: what can be trained on and judged.

    Attributes:
        labels: (N,) int64 class numbers, or (N, 37) float32 vote fractions.
        simulated: whether the galaxies are drawn.
    """

    labels: np.ndarray
    simulated: bool

    @property
    def fingerprint(self) -> str:
        """A hash of the content."""

    def __len__(self) -> int: ...

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """The images of the rows, (len(rows), H, W, 3) uint8."""


def batches(
    data: Images,
    rows: Sequence[int] | np.ndarray,
    *,
    batch_size: int,
    shuffle_seed: int | Sequence[int] | None = None,
    drop_last: bool = False,
    ahead: int = 3,
    threads: int = 2,
) -> Iterator[Batch]:
    """Read `rows` batch by batch, `ahead` batches in advance.

    At most `ahead` + 1 batches are in memory, whatever the size of the file: 12.6 MB each at 64 images.

    Args:
        data: a file, or images in memory.
        rows: which galaxies, in which order.
        batch_size: images a batch; the last one may be smaller.
        shuffle_seed: the seed of a random order; give (seed, epoch) to have one for each epoch. None keeps
            the order.
        drop_last: leave out a last batch that is smaller.
        ahead: how many batches are read in advance.
        threads: how many threads read side by side.

    Yields:
        Images (B, H, W, 3) uint8, labels (B, ...) as the data has them, and rows (B,) int64.

    Raises:
        DataError: a row is not in the file, or its pixels cannot be read.
        GalaxyError: batch_size, ahead or threads is not at least 1.
    """
    if min(batch_size, ahead, threads) < 1:
        raise GalaxyError("batch_size, ahead and threads count from 1.")
    rows = np.asarray(rows, dtype=np.int64)
    if shuffle_seed is not None:
        rows = np.random.default_rng(shuffle_seed).permutation(rows)
    stop = len(rows) - len(rows) % batch_size if drop_last else len(rows)
    starts = iter(range(0, stop, batch_size))
    pool = ThreadPoolExecutor(threads, thread_name_prefix="galaxy10")
    waiting: deque[Future[Batch]] = deque()

    def read_next() -> None:
        start = next(starts, None)
        if start is not None:
            waiting.append(pool.submit(_read, data, rows[start : start + batch_size]))

    try:
        for _ in range(ahead):
            read_next()
        while waiting:
            batch = waiting.popleft().result()
            read_next()
            yield batch
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _read(data: Images, rows: np.ndarray) -> Batch:
    return torch.from_numpy(data.read(rows)), torch.from_numpy(data.labels[rows]), torch.from_numpy(rows)
