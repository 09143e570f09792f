"""Small experiments that the sources describe in words: one thing changed, everything else alike.

`training.loop` trains with DMAGNet's recipe. These trials follow the recipes of the other sources, in which
the optimiser, the loss or the network itself is what is tried.
"""

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.preprocessing import Augment, Preprocess
from galaxylib.errors import GalaxyError
from galaxylib.networks.registry import build
from galaxylib.training.hardware import arithmetic

OPTIMIZERS = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
TURNS = ("none", "right angles", "any angle")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training.

    Attributes:
        network: a name that `galaxylib.networks.registry.build` knows.
        options: of the network.
        crop: central pixels kept of the stored image.
        size: pixels a side that the network reads.
        optimizer: "adam" or "rmsprop".
        learning_rate: constant.
        epochs: passes over the training images.
        batch_size: images a step.
        weighted: weigh each class by N / (classes x N_c) (seed 003, equation 2).
        emphasis: further factors on the loss of single classes, by their number.
        turns: "none", "right angles" (seed 002), or "any angle" with flips (seed 003).
        blur: deviation in pixels of a Gaussian that smooths every image first; 0 for none.
        patience: end after so many epochs in which the accuracy on the set that decides has not risen above
            its best; 0 to go through all epochs.
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
    emphasis: Mapping[int, float] = field(default_factory=dict)
    turns: str = "right angles"
    blur: float = 0.0
    patience: int = 0
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
        rows = np.asarray(rows, dtype=np.int64)
        parts = [
            cls.made(data.read(rows[start : start + 256]), data.labels[rows[start : start + 256]], trial)
            for start in range(0, len(rows), 256)
        ]
        if parts:
            return cls.joined(parts)
        return cls(
            torch.empty(0, trial.size, trial.size, 3, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)
        )

    @classmethod
    def made(cls, stored: np.ndarray, labels: Sequence[int] | np.ndarray, trial: Trial) -> "Images":
        """(N, H, W, 3) uint8 images, cropped, resized and smoothed as the trial says, with their labels."""
        fit = Preprocess(size=trial.size, crop=trial.crop)
        unit = fit.fit(fit.unit(torch.from_numpy(stored)))
        if trial.blur:
            unit = smoothed(unit, trial.blur)
        pixels = (unit * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()
        return cls(pixels, torch.as_tensor(labels, dtype=torch.int64))

    @classmethod
    def joined(cls, parts: Sequence["Images"]) -> "Images":
        """All of them, one set after the other."""
        return cls(torch.cat([part.pixels for part in parts]), torch.cat([part.labels for part in parts]))

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
        network: trained, in evaluation mode; after the last epoch, not after the best.
        history: one line an epoch: `epoch, loss`, and the accuracy on each watched set under its name.
        seconds: of training.
    """

    network: nn.Module
    history: pd.DataFrame
    seconds: float


def run_trial(
    trial: Trial,
    train: Images,
    *,
    classes: int = 10,
    watch: Mapping[str, Images] | None = None,
    decides: str = "",
    network: nn.Module | None = None,
) -> Result:
    """Train one network.

    Args:
        trial: how.
        train: on what.
        classes: number of labels.
        watch: sets whose accuracy is taken after every epoch; none of them changes the training but the
            one that decides.
        decides: the name of the watched set that the trial's patience looks at.
        network: go on from this one, which is left as it was, with a fresh optimiser; else a new one.

    Raises:
        GalaxyError: there are fewer than two images, the network cannot be built, or the trial has patience
            and no watched set decides.
    """
    if trial.patience and decides not in (watch or {}):
        raise GalaxyError(
            f"A trial with a patience of {trial.patience} epochs needs a watched set that decides, "
            f"and {decides!r} is not watched."
        )
    if len(train.labels) < 2:
        raise GalaxyError(f"A trial needs at least 2 training images and got {len(train.labels)}.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    mode = arithmetic("auto")
    torch.manual_seed(trial.seed)
    if network is None:
        network = build(trial.network, classes=classes, **trial.options)
    else:
        network = copy.deepcopy(network)
    network = network.to(device, memory_format=mode.memory_format)
    optimizer = OPTIMIZERS[trial.optimizer](network.parameters(), lr=trial.learning_rate)
    weights = class_weights(train.labels, classes) if trial.weighted else torch.ones(classes)
    for label, factor in trial.emphasis.items():
        weights[label] *= factor
    weights = weights.to(device)
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
        if trial.patience and _waited(history, decides) >= trial.patience:
            break
    return Result(network.eval(), pd.DataFrame(history), seconds)


def _waited(history: Sequence[Mapping[str, float]], decides: str) -> int:
    """Epochs since the accuracy on the set that decides was first at its best."""
    curve = [row[decides] for row in history]
    return len(curve) - 1 - curve.index(max(curve))


def run_stages(
    trial: Trial,
    train: Images,
    *,
    rates: Sequence[float],
    watch: Mapping[str, Images],
    decides: str,
    classes: int = 10,
) -> list[Result]:
    """Train in stages: each goes on where the one before ended, with its own rate and a fresh optimiser.

    Source: seed 003, section 4.1 (0.001, then 0.0005, each until five epochs bring nothing better). It does
    not say from which weights its second stage goes on; here from the last ones.

    Args:
        trial: how, but for the rate; its epochs and its patience are those of each stage.
        train: on what.
        rates: learning rate of each stage.
        watch: sets whose accuracy is taken after every epoch.
        decides: the watched set that the patience looks at.
        classes: number of labels.
    """
    stages: list[Result] = []
    for number, rate in enumerate(rates):
        stages.append(
            run_trial(
                trial.but(learning_rate=rate, seed=trial.seed + number),
                train,
                classes=classes,
                watch=watch,
                decides=decides,
                network=stages[-1].network if stages else None,
            )
        )
    return stages


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
