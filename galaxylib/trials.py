"""Small experiments that the sources describe in words: one thing changed, everything else alike.

`galaxylib.train` trains with DMAGNet's recipe. These trials follow the recipes of the other sources, in which
the optimiser, the loss or the network itself is what is tried.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from galaxylib.baselines import build
from galaxylib.errors import GalaxyError
from galaxylib.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.hardware import arithmetic
from galaxylib.pixels import Augment, Preprocess

OPTIMIZERS = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
TURNS = ("none", "right angles", "any angle")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training.

    Attributes:
        network: a name that `galaxylib.baselines.build` knows.
        options: of the network.
        crop: central pixels kept of the stored image.
        size: pixels a side that the network reads.
        optimizer: "adam" or "rmsprop".
        learning_rate: constant.
        epochs: passes over the training images.
        batch_size: images a step.
        weighted: weigh each class by N / (classes x N_c) (seed 003, equation 2).
        turns: "none", "right angles" (seed 002), or "any angle" with flips (seed 003).
        blur: deviation in pixels of a Gaussian that smooths every image first; 0 for none.
        seed: of the first weights, the order and the rotations.
    """

    network: str = "convnet"
    options: Mapping[str, Any] = field(default_factory=dict)
    crop: int = 128
    size: int = 128
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    epochs: int = 4
    batch_size: int = 32
    weighted: bool = False
    turns: str = "right angles"
    blur: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise GalaxyError(
                f"There is no optimiser {self.optimizer!r}: choose one of {', '.join(OPTIMIZERS)}."
            )
        if self.turns not in TURNS:
            raise GalaxyError(f"There are no turns {self.turns!r}: choose one of {', '.join(TURNS)}.")

    def but(self, **changes: Any) -> "Trial":
        """The same with some settings changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Images:
    """Galaxies in memory, cut down to what a trial reads.

    Attributes:
        pixels: (N, size, size, 3) uint8.
        labels: (N,) int64, counted from 0.
    """

    pixels: Tensor
    labels: Tensor

    @classmethod
    def read(cls, data: Galaxy10, rows: Sequence[int] | np.ndarray, trial: Trial) -> "Images":
        """The rows of a file, cropped, resized and smoothed as the trial says."""
        fit = Preprocess(size=trial.size, crop=trial.crop)
        rows = np.asarray(rows, dtype=np.int64)
        parts = []
        for start in range(0, len(rows), 256):
            unit = fit.fit(fit.unit(torch.from_numpy(data.read(rows[start : start + 256]))))
            if trial.blur:
                unit = smoothed(unit, trial.blur)
            parts.append((unit * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous())
        pixels = torch.cat(parts) if parts else torch.empty(0, trial.size, trial.size, 3, dtype=torch.uint8)
        return cls(pixels, torch.from_numpy(data.labels[rows]))

    def relabelled(self, groups: Sequence[Sequence[int]]) -> "Images":
        """Only the galaxies whose label is in one of `groups`, labelled by its number."""
        table = torch.full((len(CLASS_NAMES),), -1)
        for number, members in enumerate(groups):
            table[list(members)] = number
        labels = table[self.labels]
        return Images(self.pixels[labels >= 0], labels[labels >= 0])


def smoothed(images: Tensor, sigma: float) -> Tensor:
    """(N, 3, H, W) convolved with a Gaussian of `sigma` pixels, the border mirrored."""
    reach = max(1, round(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(images).view(1, 1, -1)
    count, channels, height, width = images.shape
    lines = images.reshape(count * channels, 1, height, width)
    lines = nn.functional.pad(lines, (reach, reach, reach, reach), mode="reflect")
    lines = nn.functional.conv2d(lines, kernel[:, :, None, :])
    lines = nn.functional.conv2d(lines, kernel[:, :, :, None])
    return lines.reshape(count, channels, height, width)


@dataclass(frozen=True)
class Result:
    """What a trial came to.

    Attributes:
        network: trained, in evaluation mode.
        history: one line an epoch: `epoch, loss`, and the accuracy on each watched set under its name.
        seconds: of training.
    """

    network: nn.Module
    history: pd.DataFrame
    seconds: float


def run_trial(
    trial: Trial, train: Images, *, classes: int = 10, watch: Mapping[str, Images] | None = None
) -> Result:
    """Train one network.

    Args:
        trial: how.
        train: on what.
        classes: number of labels.
        watch: sets whose accuracy is taken after every epoch; none of them changes the training.

    Raises:
        GalaxyError: there are fewer than two images, or the network cannot be built.
    """
    if len(train.labels) < 2:
        raise GalaxyError(f"A trial needs at least 2 training images and got {len(train.labels)}.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    mode = arithmetic("auto")
    torch.manual_seed(trial.seed)
    network = build(trial.network, classes=classes, **trial.options)
    network = network.to(device, memory_format=mode.memory_format)
    optimizer = OPTIMIZERS[trial.optimizer](network.parameters(), lr=trial.learning_rate)
    weights = class_weights(train.labels, classes).to(device) if trial.weighted else None
    generator = torch.Generator().manual_seed(trial.seed)
    history, seconds = [], 0.0
    for epoch in range(1, trial.epochs + 1):
        began, total = time.perf_counter(), 0.0
        network.train()
        for rows in torch.randperm(len(train.labels), generator=generator).split(trial.batch_size):
            if len(rows) < 2:  # BatchNorm cannot train on one image
                continue
            images = turned(train.pixels[rows].to(device), rows, trial, epoch, generator)
            logits = _logits(network, images)
            loss = nn.functional.cross_entropy(logits, train.labels[rows].to(device), weight=weights)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        seconds += time.perf_counter() - began
        row = {"epoch": epoch, "loss": total / len(train.labels)}
        for name, images in (watch or {}).items():
            row[name] = accuracy(probabilities(network, images), images.labels)
        history.append(row)
    return Result(network.eval(), pd.DataFrame(history), seconds)


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """N / (classes x N_c) of each class (seed 003, equation 2); 0 for a class that does not occur."""
    counts = torch.bincount(labels, minlength=classes).float()
    return torch.where(counts > 0, len(labels) / (classes * counts.clamp_min(1)), 0.0)


def turned(pixels: Tensor, rows: Tensor, trial: Trial, epoch: int, generator: torch.Generator) -> Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) normalised, each image turned as the trial says."""
    ready = Preprocess(size=trial.size, crop=trial.size)
    if trial.turns == "any angle":
        augment = Augment(rotate=180, flip=0.5, brightness=0, contrast=0)
        return ready(pixels, augment=augment, seed=trial.seed, epoch=epoch, rows=rows)
    images = ready(pixels)
    if trial.turns == "right angles":
        quarters = torch.randint(0, 4, (len(images),), generator=generator).to(images.device)
        images = torch.stack(
            [image.rot90(int(quarter), (1, 2)) for image, quarter in zip(images, quarters, strict=True)]
        )
    return images


def _logits(network: nn.Module, images: Tensor) -> Tensor:
    mode = arithmetic("auto")
    with torch.autocast(images.device.type, getattr(torch, mode.name), enabled=mode.name != "float32"):
        return network(images.contiguous(memory_format=mode.memory_format)).float()


@torch.inference_mode()
def probabilities(network: nn.Module, images: Images, *, batch_size: int = 128) -> np.ndarray:
    """(N, classes) softmax of the network's logits."""
    network.eval()
    device = next(network.parameters()).device
    size = images.pixels.shape[1]
    ready = Preprocess(size=size, crop=size)
    parts = [
        _logits(network, ready(pixels.to(device))).softmax(1).cpu()
        for pixels in images.pixels.split(batch_size)
    ]
    return torch.cat(parts).numpy()


def accuracy(found: np.ndarray, labels: Tensor) -> float:
    """Share of the most probable labels that are right."""
    return float((found.argmax(axis=1) == labels.numpy()).mean())


@dataclass(frozen=True)
class Fork:
    """A node of seed 002's proposed hierarchy: one network with two answers.

    Attributes:
        question: in a few words.
        yes, no: a class number, or the next fork.
    """

    question: str
    yes: "Fork | int"
    no: "Fork | int"


# The dataset's own order: 0 Disturbed, 1 Merging, 2-4 smooth, 5 barred, 6-7 unbarred, 8-9 edge-on.
HIERARCHY = Fork(
    "smooth?",
    Fork("round?", 2, Fork("cigar-shaped?", 4, 3)),
    Fork(
        "edge-on?",
        Fork("with a bulge?", 9, 8),
        Fork("spiral?", Fork("barred?", 5, Fork("tight?", 6, 7)), Fork("merging?", 1, 0)),
    ),
)


def classes_of(node: Fork | int) -> list[int]:
    """The classes below a node."""
    return [node] if isinstance(node, int) else classes_of(node.yes) + classes_of(node.no)


def forks(node: Fork | int) -> list[Fork]:
    """A node and all forks below it."""
    return [] if isinstance(node, int) else [node, *forks(node.yes), *forks(node.no)]


def run_hierarchy(trial: Trial, train: Images, *, root: Fork = HIERARCHY) -> dict[str, Result]:
    """Train one two-answer network for each fork, on the galaxies that belong below it."""
    return {
        fork.question: run_trial(
            trial, train.relabelled([classes_of(fork.yes), classes_of(fork.no)]), classes=2
        )
        for fork in forks(root)
    }


def hierarchy_probabilities(
    results: Mapping[str, Result], images: Images, *, root: Fork = HIERARCHY
) -> np.ndarray:
    """(N, 10): for each class, the product of the answers on the way to it."""
    found = np.zeros((len(images.labels), len(CLASS_NAMES)))

    def walk(node: Fork | int, share: np.ndarray) -> None:
        if isinstance(node, int):
            found[:, node] = share
            return
        answers = probabilities(results[node.question].network, images)
        walk(node.yes, share * answers[:, 0])
        walk(node.no, share * answers[:, 1])

    walk(root, np.ones(len(images.labels)))
    return found
