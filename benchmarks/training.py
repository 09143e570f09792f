"""How fast a training epoch is, beside the usual way, on the same machine, network and images.

    python -m benchmarks.training
    python -m benchmarks.training --avx2

"The usual way" is what one would write first: a folder of PNG files per class, torchvision's ImageFolder and
transforms for each image, a DataLoader with a worker a core, float32, PyTorch's default memory layout and
optimiser. Ours is `galaxylib.training.loop.train` as it stands. Both train the same DMAGNet at the paper's
size with the paper's augmentation, AdamW, one cycle and clipping; each goes `--passes` times through the same
images, and the median of all but the first counts. The rounds alternate, so that a machine that slows down
slows all. Beside images a second stand images a core-second: processor time of the process and its workers,
which other work on the machine does not stretch; run with OMP_NUM_THREADS=1 for it, since threads that wait
for each other count too. `--avx2` makes the machine stand for an older one, without AVX-512 and bfloat16.

On a GPU, everything in one run:

    python -m benchmarks.training --compiled --passes 4 --images 2048 --rounds 1

With `--compiled` both loops run once more with the network under torch.compile (mode reduce-overhead, which
records CUDA graphs; the usual loop then in bfloat16 too): what the first pass takes longer than the others is
the time it took to compile. On a GPU it also times bare steps: the share of the chip's measured bfloat16
speed, and the same network in plain float32 with TF32 off and on. Our compiled steps have not run on a card
yet: the entry of the H200 was measured before there were any.

Two things are wanted of them, and the second is more. One is 2.5 times the usual loop, which made 741 images
a second on the H200. The other is the paper's recipe in a quarter of an hour, 180 passes over 12,763 images:
2,553 images a second, 3.4 times that loop.

Results go to benchmarks/results/training.json, an entry for each processor, instruction set and GPU.
"""

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks.machines import add_avx2, put, settle
from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.preprocessing import MEAN, STD
from galaxylib.data.splits import Split, make_split
from galaxylib.networks.registry import build
from galaxylib.simulate import simulate
from galaxylib.training.hardware import arithmetic
from galaxylib.training.loop import train
from galaxylib.training.recipes import PAPER_RECIPE, Recipe

PAPER_IMAGES = (PAPER_RECIPE.epochs + PAPER_RECIPE.more_epochs) * 12_763  # passes times training images
RESULTS = Path(__file__).parent / "results" / "training.json"


def write_pngs(data: Galaxy10, split: Split, folder: Path) -> None:
    """`<class>/<row>.png` for every training image."""
    for row in split.train:
        path = folder / CLASS_NAMES[data.labels[row]] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(data.read([row])[0]).save(path)


@dataclass(frozen=True)
class Rate:
    """Images a second, and a second of one core's time; seconds by which the first pass was longer."""

    wall: float
    core: float
    first: float


def core_seconds() -> float:
    """Processor time of this process and of the worker processes that it has now."""
    workers = [worker.cpu_times() for worker in psutil.Process().children()]
    return time.process_time() + sum(times.user + times.system for times in workers)


def later(passes: list[tuple[float, float]], images: int) -> Rate:
    """The rate of all passes but the first, from the wall and processor seconds of each."""
    wall, core = (statistics.median(column) for column in zip(*passes[1:], strict=True))
    return Rate(images / wall, images / core, passes[0][0] - wall)


def usual_epoch(folder: Path, recipe: Recipe, device: torch.device, *, compiled: bool = False) -> Rate:
    """The usual way; `compiled` puts torch.compile, and on a GPU bfloat16, on top."""
    prepare = transforms.Compose(
        [
            transforms.RandomRotation(recipe.rotate),
            transforms.RandomHorizontalFlip(recipe.flip),
            transforms.RandomVerticalFlip(recipe.flip),
            transforms.ColorJitter(brightness=recipe.brightness, contrast=recipe.contrast),
            *([transforms.Resize(recipe.size)] if recipe.size != 256 else []),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    loader = DataLoader(
        ImageFolder(folder, prepare),
        batch_size=recipe.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=os.cpu_count() or 1,
        persistent_workers=True,
        pin_memory=device.type == "cuda",
    )
    network = build(recipe.network, **recipe.network_options()).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=recipe.weight_decay)
    if compiled:
        network.compile(mode="reduce-overhead")
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.epochs * len(loader)
    )
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    passes = []
    for _ in range(recipe.epochs):
        begun, cores = time.perf_counter(), core_seconds()
        for images, labels in loader:
            optimiser.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=compiled and device.type == "cuda"):
                logits = network(images.to(device))
            loss = criterion(logits.float(), labels.to(device))
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_norm)
            optimiser.step()
            schedule.step()
            loss.item()
        passes.append((time.perf_counter() - begun, core_seconds() - cores))
    return later(passes, len(loader) * recipe.batch_size)


def our_epoch(data: Galaxy10, split: Split, recipe: Recipe, out: Path, *, compiled: bool = False) -> Rate:
    """The project's trainer."""
    images = len(split.train) // recipe.batch_size * recipe.batch_size
    history = train(data, split, recipe, out=out, compiled=compiled, progress=False)["history"]
    return later([(images / one["images_per_second"], one["core_seconds"]) for one in history], images)


def compared(rates: dict[str, list[Rate]]) -> dict[str, Any]:
    """The rounds of each way, their medians, and each way of ours over each usual one."""
    wall = {name: statistics.median(rate.wall for rate in found) for name, found in rates.items()}
    core = {name: statistics.median(rate.core for rate in found) for name, found in rates.items()}
    compiled = [name for name in rates if name.endswith("compiled")]
    return {
        "rounds": {name: [asdict(rate) for rate in found] for name, found in rates.items()},
        "images_per_second": wall,
        "ratios": {
            f"{ours} over {usual}": wall[ours] / wall[usual]
            for ours in rates
            for usual in rates
            if ours.startswith("ours") and usual.startswith("usual")
        },
        "compiled_in_seconds": {
            name: statistics.median(rate.first for rate in rates[name]) for name in compiled
        },
        "hours_of_the_papers_recipe": {name: PAPER_IMAGES / rate / 3600 for name, rate in wall.items()},
        "images_per_core_second": core,
        "ratio_of_core_seconds": core["ours"] / core["usual"],
    }


def bare_step(
    recipe: Recipe, device: torch.device, *, precision: str, tf32: bool = False
) -> dict[str, float]:
    """Forward, backward and AdamW on random images: images and floating-point operations a second."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    mode = arithmetic(precision)
    layout = torch.channels_last if mode.name != "float32" else torch.contiguous_format
    network = build(recipe.network, **recipe.network_options()).to(device, memory_format=layout).train()
    optimiser = torch.optim.AdamW(network.parameters(), fused=mode.name != "float32")
    x = torch.randn(recipe.batch_size, 3, recipe.size, recipe.size, device=device).to(memory_format=layout)
    labels = torch.zeros(recipe.batch_size, dtype=torch.long, device=device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=mode.name != "float32"):
            loss = F.cross_entropy(network(x).float(), labels)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    with FlopCounterMode(display=False) as counter:
        step()
    seconds = _median_seconds(step, device)
    return {
        "images_per_second": recipe.batch_size / seconds,
        "tflops": counter.get_total_flops() / seconds / 1e12,
    }


def peak_bfloat16(device: torch.device, side: int = 8192) -> float:
    """TFLOP/s of a large bfloat16 matrix product."""
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    b = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    return 2 * side**3 / _median_seconds(lambda: a @ b, device) / 1e12


def _median_seconds(work: Any, device: torch.device, rounds: int = 10) -> float:
    times = []
    for _ in range(rounds + 3):
        begun = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return statistics.median(times[3:])


def main() -> None:
    """Measure and write."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=192, help="training images a pass")
    options.add_argument("--rounds", type=int, default=3, help="alternating rounds")
    options.add_argument("--passes", type=int, default=2, help="passes a round; the first does not count")
    options.add_argument("--compiled", action="store_true", help="both under torch.compile too")
    options.add_argument("--batch-size", type=int, default=PAPER_RECIPE.batch_size)
    options.add_argument("--width", type=float, default=PAPER_RECIPE.width)
    options.add_argument("--size", type=int, default=PAPER_RECIPE.size, help="pixels")
    options.add_argument("--out", type=Path, default=RESULTS)
    add_avx2(options)
    given = options.parse_args()
    settle(avx2=given.avx2)
    recipe = PAPER_RECIPE.but(
        epochs=given.passes, more_epochs=0, batch_size=given.batch_size, width=given.width, size=given.size
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rates: dict[str, list[Rate]] = {
        "usual": [],
        "ours": [],
        **({"usual_compiled": [], "ours_compiled": []} if given.compiled else {}),
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = Galaxy10(simulate(folder / "sim.h5", n=given.images + 40, progress=False))
        split = make_split(data)
        # Exactly so many training images, and two to validate on: validation is not what is measured.
        rows = sorted([*split.train, *split.test, *split.validation[2:]])[: given.images]
        split = replace(split, train=torch.tensor(rows).numpy(), validation=split.validation[:2])
        write_pngs(data, split, folder / "png")
        for number in range(given.rounds):
            run = folder / f"run{number}"
            rates["usual"].append(usual_epoch(folder / "png", recipe, device))
            rates["ours"].append(our_epoch(data, split, recipe, run))
            if given.compiled:
                rates["usual_compiled"].append(usual_epoch(folder / "png", recipe, device, compiled=True))
                rates["ours_compiled"].append(our_epoch(data, split, recipe, run / "compiled", compiled=True))
            print({name: found[-1] for name, found in rates.items()}, flush=True)
    result = compared(rates) | {
        "recipe": recipe.to_dict(),
        "images": given.images,
        "precision": arithmetic().name,
    }
    if device.type == "cuda":
        steps = {
            "bfloat16": bare_step(recipe, device, precision="auto"),
            "float32": bare_step(recipe, device, precision="float32"),
            "float32_tf32": bare_step(recipe, device, precision="float32", tf32=True),
        }
        peak = peak_bfloat16(device)
        result["bare_step"] = {**steps, "peak_bfloat16_tflops": peak}
        result["share_of_peak"] = steps["bfloat16"]["tflops"] / peak
    put(given.out, "images a second in a training epoch, loading and augmentation included", result)
    for name, seconds in result.get("compiled_in_seconds", {}).items():
        print(f"{name}: compiled in {seconds:.0f} s")
    for name, ratio in result["ratios"].items():
        print(f"{name}: {ratio:.2f} times the images a second")
    print(f"ours over usual: {result['ratio_of_core_seconds']:.2f} times the images a core-second")
    for name, hours in result["hours_of_the_papers_recipe"].items():
        print(f"the paper's recipe, {name}: {hours:.2f} h")


if __name__ == "__main__":
    main()
