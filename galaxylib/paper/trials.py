"""Small experiments that the sources describe in words: one thing changed, everything else alike.

They follow the recipes of the other sources, in which the optimiser, the loss or the network itself is tried;
the trainer is the project's own. Images are cut down once and kept in memory.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import lightning as L
import numpy as np
import pandas as pd
import torch
from torch import nn

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.in_memory import InMemory, shrunk
from galaxylib.data.preprocessing import Preprocess
from galaxylib.data.splits import Split
from galaxylib.evaluation.judge import judge_rows
from galaxylib.networks.checkpoint import load
from galaxylib.training.loop import train
from galaxylib.training.recipes import Recipe
from galaxylib.training.state import first_round
from galaxylib.training.tasks import Classification, balanced_weights

CONVNET = Recipe(
    network="convnet",
    size=128,
    crop=128,
    epochs=4,
    more_epochs=0,
    batch_size=32,
    optimizer="adam",
    schedule="constant",
    learning_rate=1e-3,
    weight_decay=0.0,
    label_smoothing=0.0,
    gradient_norm=0.0,
    quarter_turns=True,
    flip=0.0,
    brightness=0.0,
    contrast=0.0,
    keep="last",
)
"""As the ConvNet paper (seed 002) trains: Adam at a constant rate, turns by right angles."""

FIVE_BLOCK = CONVNET.but(network="five_block", quarter_turns=False, flip=0.5)
"""As the five-block paper (seed 003) trains: Adam, any angle, flips; classes are weighted in the loss."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One small experiment: a recipe, and what no recipe of the trainer has.

    Attributes:
        recipe: how the network is trained; its `crop` is cut from the stored images beforehand.
        blur: deviation in pixels of a Gaussian that smooths every image first; 0 for none.
        weighted: whether each class's loss is weighted by N / (C N_c) (seed 003, equation 2).
        emphasis: further factors on the loss of single classes, by their number.
    """

    recipe: Recipe = CONVNET
    blur: float = 0.0
    weighted: bool = False
    emphasis: Mapping[int, float] = field(default_factory=dict)

    def but(self, **changes: Any) -> Self:
        """The same with some settings changed, its own or the recipe's.

        Raises:
            GalaxyError: there is no such setting, or a value is out of range.
        """
        own = {name: changes.pop(name) for name in ("blur", "weighted", "emphasis") if name in changes}
        return replace(self, recipe=self.recipe.but(**changes), **own)

    def read(self, data: Galaxy10, rows: Sequence[int] | np.ndarray) -> InMemory:
        """The rows of a file as the trial's network reads them."""
        return InMemory.of(data, rows, size=self.recipe.size, crop=self.recipe.crop, blur=self.blur)

    def made(self, stored: np.ndarray, labels: Sequence[int]) -> InMemory:
        """Drawn images (N, 256, 256, 3) uint8 with their labels, as the trial's network reads them."""
        images = shrunk(stored, size=self.recipe.size, crop=self.recipe.crop, blur=self.blur)
        return InMemory(images, np.asarray(labels, np.int64), simulated=True)

    def task(self, labels: np.ndarray, class_names: Sequence[str]) -> Classification:
        """What the network learns from galaxies with these labels."""
        weights = balanced_weights(labels, len(class_names)) if self.weighted else np.ones(len(class_names))
        for label, factor in self.emphasis.items():
            weights[label] *= factor
        return Classification(class_names=tuple(class_names), weights=torch.from_numpy(weights))


@dataclass(frozen=True)
class Result:
    """What a trial came to.

    Attributes:
        network: trained, in evaluation mode, after the last epoch.
        history: one line an epoch: the trainer's figures, and the accuracy on each watched set by its name.
        seconds: of training.
        first: the network after the first of two rounds.
    """

    network: nn.Module
    history: pd.DataFrame
    seconds: float
    first: nn.Module | None = None


@dataclass
class Watch(L.Callback):
    """Takes the accuracy on some sets after every epoch; it changes nothing in the training.

    Attributes:
        sets: by name.
        curves: one dict an epoch.
    """

    sets: Mapping[str, InMemory]
    curves: list[dict[str, float]] = field(default_factory=list)

    def on_train_epoch_end(self, trainer: L.Trainer, run: Any) -> None:
        """Judge the sets."""
        self.curves.append(
            {
                name: accuracy(probabilities(run.kept, images), images.labels)
                for name, images in self.sets.items()
            }
        )


def run_trial(
    trial: Trial,
    images: InMemory,
    *,
    class_names: Sequence[str] = CLASS_NAMES,
    validation: InMemory | None = None,
    watch: Mapping[str, InMemory] | None = None,
) -> Result:
    """Train one network on images in memory.

    Args:
        trial: how.
        images: to train on, cut down by the trial.
        class_names: of the labels.
        validation: images that the recipe's patience looks at, where it has any.
        watch: sets whose accuracy is taken after every epoch.

    Raises:
        DataError: there are too few images, or the recipe needs validation images and has none.
        GalaxyError: the network cannot be built, or the loss stopped being a number.
    """
    recipe = trial.recipe.but(crop=trial.recipe.size)
    everything = images if validation is None else images.joined(validation)
    rows, nothing = np.arange(len(everything)), np.empty(0, np.int64)
    parts = {"train": rows[: len(images)], "validation": rows[len(images) :], "test": nothing}
    split = Split(**parts, method="sky", seed=0, fingerprint=everything.fingerprint)
    watcher = Watch(watch or {})
    with tempfile.TemporaryDirectory() as folder:
        done = train(
            everything,
            split,
            recipe,
            out=folder,
            task=trial.task(images.labels, class_names),
            callbacks=[watcher],
            progress=False,
        )
        network = load(folder, own_network=recipe.network).network
        aside = first_round(Path(folder))
        first = load(aside, own_network=recipe.network).network if aside.exists() else None
    history = pd.DataFrame(done["history"]).join(pd.DataFrame(watcher.curves))
    return Result(network, history, done["seconds"], first)


def probabilities(network: nn.Module, images: InMemory) -> np.ndarray:
    """(N, classes) float64 class probabilities of images that are cut down already."""
    size = images.images.shape[1]
    return judge_rows(
        network, images, np.arange(len(images)), preprocess=Preprocess(size=size, crop=size), batch_size=128
    )


def accuracy(found: np.ndarray, labels: Sequence[int] | np.ndarray) -> float:
    """Share of the most probable labels that are right."""
    return float((found.argmax(axis=1) == np.asarray(labels)).mean())
