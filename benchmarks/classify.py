"""How fast a folder of images is classified, beside what one would otherwise write.

    python benchmarks/classify.py
    python benchmarks/classify.py --memory

Writes folders of 1, 1,000 and 20,000 JPEG files, and lets two shipped networks classify them by

- `galaxylib.classify`, from the files to the finished catalogue, with the probabilities, the margin, the
  score for "unlike training" and the flags of every image,
- the usual loop: torchvision's ImageFolder in a DataLoader with worker processes, softmax, argmax,
- Lightning's `Trainer.predict` with the same loader.

All compute in the same arithmetic, on the same device, in batches of the same size, and each is timed from
the call to the last result; the network is in memory already. The bare forward pass, of batches that lie
prepared in memory, is what none can beat. Each works in turn, several rounds (one for the largest folder);
medians and their ratios go to benchmarks/results/classify.json. What was just written is still in the
system's memory: discs are not measured. With `--memory`, the peak memory of a process that classifies each
folder is measured instead, which a busy machine does not disturb, and put beside the times that stand there.

The pixels are cheap: 256 simulated galaxies over and over, as links to 256 files.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from tqdm import tqdm

from galaxylib import classify, load
from galaxylib.catalogue.run import ON_CPU, ON_GPU, Settings
from galaxylib.evaluation.judge import judging_precision
from galaxylib.files import write_json
from galaxylib.networks.checkpoint import Loaded
from galaxylib.provenance import provenance
from galaxylib.simulate import draw
from galaxylib.training.hardware import default_device

RESULTS = Path(__file__).parent / "results" / "classify.json"
COUNTS, NETWORKS = (1, 1_000, 20_000), ("small", "real")
MEMORY_COUNTS = (1, 1_000, 5_000, 20_000)
DISTINCT, QUALITY, ROUNDS, LARGE = 256, 80, 3, 5_000
PRECISION = judging_precision("auto")
BATCH = ON_GPU if default_device().type == "cuda" else ON_CPU
SHORT = PRECISION == "bfloat16"
WORKERS = max(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


def write_folders(folder: Path, counts: Sequence[int]) -> None:
    """`<count>/images/<row>.jpg` for each count."""
    (folder / "distinct").mkdir()
    for row in tqdm(range(min(DISTINCT, max(counts))), desc="drawing"):
        image = Image.fromarray(draw(row % 10, seed=row)[0])
        image.save(folder / "distinct" / f"{row}.jpg", quality=QUALITY)
    for count in counts:
        inner = folder / str(count) / "images"
        inner.mkdir(parents=True)
        for row in range(count):
            os.link(folder / "distinct" / f"{row % DISTINCT}.jpg", inner / f"{row:06d}.jpg")


def loader(folder: Path, loaded: Loaded) -> DataLoader:
    """The usual one: what a network reads, from a folder of images."""
    read = v2.Compose(
        [
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.CenterCrop(loaded.preprocess.crop),
            v2.Resize(loaded.preprocess.size, antialias=True),
            v2.Normalize(loaded.preprocess.mean, loaded.preprocess.std),
        ]
    )
    return DataLoader(ImageFolder(folder, transform=read), batch_size=BATCH, num_workers=WORKERS)


class Predictor(lightning.LightningModule):
    """A network as Lightning's `predict` wants it."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def predict_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        """Probabilities of a batch."""
        return self.network(batch[0]).float().softmax(1)


@torch.inference_mode()
def usual(folder: Path, loaded: Loaded) -> np.ndarray:
    """The loop that everyone writes."""
    device = default_device()
    network = loaded.network.to(device).eval()
    found = []
    for images, _ in loader(folder, loaded):
        with torch.autocast(device.type, torch.bfloat16, enabled=SHORT):
            logits = network(images.to(device))
        found.append(logits.float().softmax(1).cpu())
    return torch.cat(found).numpy()


def predicted(folder: Path, loaded: Loaded) -> np.ndarray:
    """The same by Lightning."""
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=1,
        precision="bf16-mixed" if SHORT else "32-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    found = trainer.predict(Predictor(loaded.network), loader(folder, loaded))
    return torch.cat(found).float().cpu().numpy()


def ours(folder: Path, loaded: Loaded) -> np.ndarray:
    """This library, from the files to the catalogue."""
    import pandas as pd

    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        out = Path(place) / "catalogue.parquet"
        classify(folder, out=out, checkpoint=loaded, settings=Settings(precision=PRECISION, batch_size=BATCH))
        return pd.read_parquet(out).filter(like="p_").to_numpy()


@torch.inference_mode()
def bare(loaded: Loaded, count: int) -> float:
    """Seconds of the forward pass of `count` images that lie prepared in memory, batch by batch."""
    device = default_device()
    network = loaded.network.to(device, memory_format=torch.channels_last).eval()
    size = loaded.preprocess.size
    images = torch.rand(min(BATCH, count), 3, size, size, device=device)
    images = images.to(memory_format=torch.channels_last)
    timed = min(count, 16 * BATCH)  # every batch takes as long
    for measured in (False, True):
        start = time.perf_counter()
        for first in range(0, timed if measured else 1, BATCH):
            with torch.autocast(device.type, torch.bfloat16, enabled=SHORT):
                network(images[: min(BATCH, timed - first)]).float().softmax(1).cpu()
    return (time.perf_counter() - start) * count / timed


WAYS: dict[str, Callable[[Path, Loaded], np.ndarray]] = {
    "galaxylib": ours,
    "ImageFolder and DataLoader": usual,
    "Lightning predict": predicted,
}

PEAK = """
import sys
from galaxylib import classify
classify(sys.argv[1], out=sys.argv[2], checkpoint=sys.argv[3])
print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])
"""


def peak_megabytes(folder: Path, network: str) -> float:
    """The largest memory of a process that classifies a folder."""
    words = [sys.executable, "-c", PEAK, folder, folder.with_suffix(".parquet"), network]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def measure_one(folder: Path, name: str, count: int, rounds: int) -> dict[str, Any]:
    """One network and one folder."""
    seconds: dict[str, list[float]] = {way: [] for way in ("bare forward pass", *WAYS)}
    answers = {}
    for _ in range(rounds):
        seconds["bare forward pass"].append(bare(load(name), count))
        for way, run in WAYS.items():
            loaded = load(name)
            start = time.perf_counter()
            answers[way] = run(folder / str(count), loaded)
            seconds[way].append(time.perf_counter() - start)
            print(f"{name}, {count}, {way}: {count / seconds[way][-1]:,.1f} images/s", flush=True)
    medians = {way: float(np.median(values)) for way, values in seconds.items()}
    return {
        "seconds": medians,
        "all_rounds": seconds,
        "images_per_second": {way: count / value for way, value in medians.items()},
        "galaxylib_over": {way: value / medians["galaxylib"] for way, value in medians.items()},
        "same_class_as_galaxylib": {
            way: float((found.argmax(1) == answers["galaxylib"].argmax(1)).mean())
            for way, found in answers.items()
        },
    }


def memory(folder: Path, network: str, counts: Sequence[int]) -> dict[str, Any]:
    """Peak memory by the number of images."""
    peaks = {}
    for count in counts:
        peaks[str(count)] = peak_megabytes(folder / str(count), network)
        print(f"{network}, {count}: {peaks[str(count)]:,.0f} MB", flush=True)
    return {"memory": {"network": network, "peak_megabytes": peaks, "provenance": provenance()}}


def times(folder: Path, given: argparse.Namespace, counts: Sequence[int]) -> dict[str, Any]:
    """What each way takes, by network and number of images."""
    found = {
        name: {
            str(count): measure_one(folder, name, count, 1 if count >= LARGE else given.rounds)
            for count in counts
        }
        for name in given.networks
    }
    return {
        "networks": found,
        "precision": PRECISION,
        "batch_size": BATCH,
        "workers_of_the_loader": WORKERS,
        "distinct_images": DISTINCT,
        "provenance": provenance(),
    }


def main() -> None:
    """Parse the arguments and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", action="store_true", help="measure the peak memory, and no times")
    parser.add_argument(
        "--counts",
        type=int,
        nargs="+",
        help=f"images in a folder {[*COUNTS]}; of --memory {[*MEMORY_COUNTS]}",
    )
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), help="shipped networks")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds; one from {LARGE} images on")
    parser.add_argument("--folder", type=Path, help="where the temporary folder goes [the system's]")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the numbers go")
    given = parser.parse_args()
    counts = given.counts or (MEMORY_COUNTS if given.memory else COUNTS)
    numbers = json.loads(given.out.read_text()) if given.out.exists() else {}
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        folder = Path(place)
        write_folders(folder, counts)
        numbers |= memory(folder, given.networks[0], counts) if given.memory else times(folder, given, counts)
    write_json(given.out, numbers)
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
