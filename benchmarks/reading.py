"""How fast a full-size file is opened and read at random, beside what one would otherwise use.

    python benchmarks/reading.py

Writes a file of 17,736 images, the size of the published set, in a temporary folder (3.5 GB), and a folder of
PNG files, and reads random batches of 64 with

- `galaxylib.data.loader.batches`,
- a Dataset that reads one row at a time with h5py, in a DataLoader,
- torchvision's ImageFolder of PNG files, in a DataLoader,

the last two with 0 and 2 worker processes, all giving uint8 tensors. Each reader works in turn, several
rounds; medians go to benchmarks/results/reading.json, with the speed of the quickest training in the book
beside them. What was just written is still in the system's memory: discs are not measured.

The pixels are cheap: 256 simulated galaxies over and over. The 17,736 PNG files are links to 256 files.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms.v2 import PILToTensor
from tqdm import tqdm

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.loader import batches
from galaxylib.data.preprocessing import Augment, Preprocess
from galaxylib.data.unpacking import unpack
from galaxylib.files import write_json
from galaxylib.networks.dmagnet import DMAGNet
from galaxylib.provenance import provenance
from galaxylib.simulate import draw
from galaxylib.training.recipes import QUICK

RESULTS = Path(__file__).parent / "results" / "reading.json"
PUBLISHED, DISTINCT, BATCH = 17_736, 256, 64
BLOCK = (555, 16, 16, 1)  # h5py's own choice for a compressed dataset of the published shape


def write_files(folder: Path, count: int) -> None:
    """`plain.h5`, `blocked.h5` (two blocks of compressed images) and `png/<class>/<row>.png`."""
    images = np.stack([draw(row % 10, seed=row)[0] for row in tqdm(range(DISTINCT), desc="drawing")])
    labels = np.arange(count, dtype=np.uint8) % 10
    _write(folder / "plain.h5", images, labels)
    _write(folder / "blocked.h5", images, labels[: 2 * BLOCK[0]], chunks=BLOCK, compression="gzip")
    for name in CLASS_NAMES:
        (folder / "png" / name).mkdir(parents=True)
    for row in tqdm(range(count), desc="PNG files", unit="file"):
        path = folder / "png" / CLASS_NAMES[labels[row]] / f"{row:05d}.png"
        if row < DISTINCT:
            Image.fromarray(images[row]).save(path)
        else:
            # 17,736 names of 256 files; a row's class may not be its image's, which no reader minds.
            first = row % DISTINCT
            os.link(folder / "png" / CLASS_NAMES[labels[first]] / f"{first:05d}.png", path)


def _write(path: Path, images: np.ndarray, labels: np.ndarray, **layout: Any) -> None:
    with h5py.File(path, "w") as file:
        stored = file.create_dataset("images", (len(labels), 256, 256, 3), np.uint8, **layout)
        step = layout["chunks"][0] if layout else 512
        for start in tqdm(range(0, len(labels), step), desc=path.name):
            rows = np.arange(start, min(start + step, len(labels)))
            stored[rows[0] : rows[-1] + 1] = images[rows % DISTINCT]
        file["ans"] = labels
        for name in ("ra", "dec", "redshift", "pxscale"):
            file[name] = np.full(len(labels), np.nan)


class RowAtATime(Dataset):
    """The usual way: open the file once a process, read one row a call."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, None
        with h5py.File(path) as file:
            self.labels = file["ans"][:]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        """The image and label of a row."""
        if self.file is None:
            self.file = h5py.File(self.path)
        return torch.from_numpy(self.file["images"][row]), int(self.labels[row])


def loader(dataset: Dataset, rows: np.ndarray, workers: int) -> DataLoader:
    """A DataLoader over `rows` in their order."""
    context = "fork" if workers else None
    return DataLoader(
        dataset, batch_size=BATCH, sampler=rows.tolist(), num_workers=workers, multiprocessing_context=context
    )


def speed(stream: Iterable, count: int) -> float:
    """Images a second once the first batch is there: starting worker processes is not counted."""
    iterator = iter(stream)
    next(iterator)
    start = time.perf_counter()
    for _ in iterator:
        pass
    return (count - BATCH) / (time.perf_counter() - start)


def readers(folder: Path) -> dict[str, Callable[[np.ndarray], Iterable]]:
    """Everything that is timed on the full-size file, by name."""
    data = Galaxy10(folder / "plain.h5")
    rowwise, pictures = RowAtATime(data.path), ImageFolder(folder / "png", transform=PILToTensor())
    found: dict[str, Callable[[np.ndarray], Iterable]] = {
        "galaxylib": lambda rows: batches(data, rows, batch_size=BATCH)
    }
    for workers in (0, 2):
        found[f"h5py a row at a time, {workers} workers"] = lambda rows, w=workers: loader(rowwise, rows, w)
        found[f"ImageFolder of PNG, {workers} workers"] = lambda rows, w=workers: loader(pictures, rows, w)
    return found


def training_speed(data: Galaxy10, seconds: float = 15) -> float:
    """Images a second of the quick recipe's training step, the images being in memory already."""
    torch.manual_seed(0)
    network = DMAGNet(width=QUICK.width).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    preprocess, augment, rows = Preprocess(size=QUICK.size), Augment(), np.arange(BATCH)
    images, labels = torch.from_numpy(data.read(rows)), torch.from_numpy(data.labels[rows])
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        x = preprocess(images, augment=augment, epoch=done, rows=rows).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(network(x).float(), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        done += BATCH
    return done / (time.perf_counter() - start)


OPENING = """
import sys, time, numpy, h5py
start = time.perf_counter()
from galaxylib.data.galaxy10 import Galaxy10
data = Galaxy10(sys.argv[1]); data.read([len(data) - 1]); data.fingerprint
seconds = time.perf_counter() - start
peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))
print(seconds, int(peak.split()[1]) / 1024)
"""


def opening(path: Path) -> dict[str, float]:
    """Seconds to open the file, read a row and take its fingerprint, and the process's peak memory."""
    run = subprocess.run([sys.executable, "-c", OPENING, path], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, run.stdout.split())
    return {"seconds": seconds, "peak_megabytes": megabytes}


def blocked(folder: Path) -> dict[str, float]:
    """The published file's kind of layout: one row at a time, and copying it once with `unpack`."""
    data = Galaxy10(folder / "blocked.h5")
    start = time.perf_counter()
    for row in np.random.default_rng(0).integers(0, len(data), 8):
        data.read([row])
    by_row = 8 / (time.perf_counter() - start)
    start = time.perf_counter()
    unpack(data, folder / "unpacked.h5", progress=False)
    return {
        "rows_at_random_per_second": by_row,
        "unpack_per_second": len(data) / (time.perf_counter() - start),
    }


def measure(folder: Path, *, count: int, read: int, rounds: int) -> dict[str, Any]:
    """All numbers of the file."""
    write_files(folder, count)
    found, generator = {name: [] for name in readers(folder)}, np.random.default_rng(0)
    for _ in range(rounds):
        rows = generator.permutation(count)[:read]
        for name, reader in readers(folder).items():
            found[name].append(speed(reader(rows), read))
            print(f"{name}: {found[name][-1]:,.0f} images/s", flush=True)
    medians = {name: float(np.median(values)) for name, values in found.items()}
    trained = training_speed(Galaxy10(folder / "plain.h5"))
    return {
        "images": count,
        "images_read_a_round": read,
        "images_per_second": medians,
        "all_rounds": found,
        "galaxylib_over": {name: medians["galaxylib"] / value for name, value in medians.items()},
        "quick_training_images_per_second": trained,
        "reading_over_training": medians["galaxylib"] / trained,
        "opening": opening(folder / "plain.h5"),
        "blocked_layout": blocked(folder),
        "provenance": provenance(),
    }


def main() -> None:
    """Parse the arguments and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=PUBLISHED, help=f"images in the file [{PUBLISHED}]")
    parser.add_argument("--read", type=int, default=3200, help="images read a round [3200]")
    parser.add_argument("--rounds", type=int, default=3, help="rounds [3]")
    parser.add_argument("--folder", type=Path, help="where the temporary folder goes [the system's]")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the numbers go")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        numbers = measure(Path(folder), count=given.count, read=given.read, rounds=given.rounds)
    write_json(given.out, numbers)
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
