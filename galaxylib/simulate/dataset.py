"""Thousands of galaxies into one file: by several processes, in bounded memory, resumable, always the same.

Galaxy number i of seed s is drawn from the seed sequence (s, i) and its class alone, so neither the number of
processes nor an interruption changes a pixel.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from h5py import is_hdf5
from tqdm import tqdm

from galaxylib.data.galaxy10 import CLASS_COUNTS, SHAPE
from galaxylib.data.storage import open_hdf5
from galaxylib.errors import GALAXIES, PROCESSES, SEEDS, GalaxyError
from galaxylib.files import atomic, check_outputs, saving
from galaxylib.provenance import cores
from galaxylib.simulate.drawing import TRUTH_COLUMNS, draw
from galaxylib.simulate.light import PIXEL_SCALE

# Changes whenever the same seed draws another image. Rounding, which differs between processors too, does not
# count: it moves one value in 2,000, mostly by one level, where JPEG rounds a coefficient the other way.
VERSION = "2"
CHUNK = 32  # galaxies a process draws before it hands them over: 6 MB
FEWEST = 128  # galaxies for which starting one more process pays
NOT_YET = 255  # in `ans` of the unfinished file: this galaxy is still to be drawn


def class_counts(n: int, balance: str) -> np.ndarray:
    """How many of `n` galaxies each class gets, (10,) int64.

    Args:
        n: number of galaxies of all classes.
        balance: "catalogue" (as in the real set) or "uniform".

    Raises:
        GalaxyError: `n` is out of range, or there is no such balance.
    """
    GALAXIES.check("n", n)
    if balance not in ("catalogue", "uniform"):
        raise GalaxyError(f'There is no balance "{balance}": choose "catalogue" or "uniform".')
    shares = np.array(list(CLASS_COUNTS.values()), float)
    if balance == "uniform":
        shares[:] = 1
    exact = n * shares / shares.sum()
    counts = np.floor(exact).astype(np.int64)
    # The largest remainders get what rounding down left over.
    counts[np.argsort(counts - exact, kind="stable")[: n - counts.sum()]] += 1
    return counts


def simulate(
    out: str | Path,
    *,
    n: int,
    seed: int = 0,
    balance: str = "catalogue",
    processes: int | None = None,
    progress: bool = True,
) -> Path:
    """Draw `n` galaxies into a file of the Galaxy10 format.

    The file grows as `<out>.partial` and takes its name when complete; an interrupted run goes on from there
    when called again. A finished file of the same galaxies is left as it is.

    Args:
        out: path of the HDF5 file that is written.
        n: number of galaxies.
        seed: start of all random numbers; the same seed draws the same galaxies.
        balance: "catalogue" (as in the real set) or "uniform".
        processes: how many draw at a time; None takes one for each processor. More than one are spawned,
            so that a script must start under `if __name__ == "__main__"`.
        progress: whether to show a progress bar.

    Returns:
        the path of the file.

    Raises:
        GalaxyError: a number makes no sense, `out` holds something else or cannot be written, another process
            is drawing it, or the disk is full.
    """
    SEEDS.check("seed", seed)
    if processes is not None:
        PROCESSES.check("processes", processes)
    out = Path(out)
    partial = Path(f"{out}.partial")
    labels = labels_of(n, seed=seed, balance=balance)
    identity = {"simulated": True, "seed": seed, "version": VERSION, "balance": balance}
    if out.is_file() and _holds(out, n, identity):
        return out
    check_outputs(out, partial)
    if out.exists():
        raise GalaxyError(f"{out} holds something else: remove it, or write to another file.")
    with saving(out):
        if not _holds(partial, n, identity):
            if partial.exists() and not is_hdf5(partial):
                raise GalaxyError(f"{partial} holds something else: move it away, or write to another file.")
            with atomic(partial) as fresh:
                _lay_out(fresh, labels, identity)
        _fill(partial, labels, seed, processes, progress)
        partial.replace(out)
    return out


def labels_of(n: int, *, seed: int, balance: str) -> np.ndarray:
    """The classes of `n` galaxies in the file's order, (n,) int64: exact counts, shuffled by the seed."""
    ordered = np.repeat(np.arange(len(CLASS_COUNTS)), class_counts(n, balance))
    return np.random.default_rng([seed, 1]).permutation(ordered)


def _holds(path: Path, n: int, identity: dict[str, object]) -> bool:
    """Whether `path` is a (perhaps unfinished) file of exactly these galaxies."""
    try:
        with open_hdf5(path) as file:
            same = all(file.attrs.get(key) == value for key, value in identity.items())
            return same and "truth" in file and len(file["ans"]) == n
    except BlockingIOError as fault:
        raise GalaxyError(f"Another process is writing {path}: wait for it, then run again.") from fault
    except (OSError, KeyError):
        return False


def _lay_out(path: Path, labels: np.ndarray, identity: dict[str, object]) -> None:
    """Make the file with room for every galaxy, positions filled in, pixels and labels still to come.

    Nothing but the bytes of existing datasets changes afterwards, so a run that is killed leaves it readable.
    """
    n = len(labels)
    rng = np.random.default_rng([int(identity["seed"]), 2])
    # The sky of the Legacy Surveys' southern part, without their outline.
    low, high = np.sin(np.radians([-20.0, 33.0]))
    with open_hdf5(path, "w") as file:
        file.create_dataset("images", (n, *SHAPE), np.uint8)
        file.create_dataset("ans", data=np.full(n, NOT_YET, np.uint8))
        file["ra"] = rng.uniform(0, 360, n)
        file["dec"] = np.degrees(np.arcsin(rng.uniform(low, high, n)))
        file["redshift"] = np.full(n, np.nan)
        file["pxscale"] = np.full(n, PIXEL_SCALE)
        for name in TRUTH_COLUMNS:
            file[f"truth/{name}"] = np.full(n, np.nan, np.float32)
        file.attrs.update(identity)


def _fill(path: Path, labels: np.ndarray, seed: int, processes: int | None, progress: bool) -> None:
    """Draw what is still missing in the file at `path`."""
    try:
        file = open_hdf5(path, "r+")
    except BlockingIOError as fault:
        raise GalaxyError(f"Another process is writing {path}: wait for it, then run again.") from fault
    with file:
        missing = np.flatnonzero(file["ans"][:] == NOT_YET)
        jobs = [missing[i : i + CHUNK] for i in range(0, len(missing), CHUNK)]
        wanted = processes or min(cores(), 1 + len(missing) // FEWEST)
        with tqdm(
            total=len(labels), initial=len(labels) - len(missing), unit="galaxy", disable=not progress
        ) as bar:
            for rows, (images, truth) in zip(jobs, _drawn(jobs, labels, seed, wanted), strict=True):
                file["images"][rows[0] : rows[-1] + 1] = images
                for column, name in enumerate(TRUTH_COLUMNS):
                    file[f"truth/{name}"][rows[0] : rows[-1] + 1] = truth[:, column]
                file.flush()
                # The label comes last: a galaxy whose label is there is there whole.
                file["ans"][rows[0] : rows[-1] + 1] = labels[rows]
                bar.update(len(rows))


def _drawn(
    jobs: list[np.ndarray], labels: np.ndarray, seed: int, processes: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images and truth of each job in turn; never more than two jobs a process are in memory."""
    if processes == 1:
        for rows in jobs:
            yield draw_rows(rows, labels[rows], seed)
        return
    # GalSim's threads do not survive a fork, and they would fight over the processors.
    with (
        _one_thread(),
        ProcessPoolExecutor(
            processes, mp_context=multiprocessing.get_context("spawn"), initializer=_ignore_interrupts
        ) as pool,
    ):
        waiting: deque[Future[tuple[np.ndarray, np.ndarray]]] = deque()
        try:
            for rows in jobs:
                waiting.append(pool.submit(draw_rows, rows, labels[rows], seed))
                if len(waiting) >= 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def draw_rows(rows: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the galaxies numbered `rows`: images (len, 256, 256, 3) uint8 and truth (len, columns) float32."""
    images = np.empty((len(rows), *SHAPE), np.uint8)
    truth = np.empty((len(rows), len(TRUTH_COLUMNS)), np.float32)
    for place, (row, label) in enumerate(zip(rows, labels, strict=True)):
        images[place], numbers = draw(
            int(label), seed=np.random.SeedSequence([seed, 0], spawn_key=(int(row),))
        )
        truth[place] = list(numbers.values())
    return images, truth


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes spawned within the block use one OpenMP thread each."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent, which lets the children end in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
