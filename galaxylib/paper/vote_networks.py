"""The networks of votes that the chapter on Galaxy Zoo trains, and how one is followed epoch by epoch."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
from torch import nn

from galaxylib.data.splits import Split
from galaxylib.training.loop import train
from galaxylib.training.recipes import CNN_RECIPE, RESNET_RECIPE, TAILORED_RECIPE, Recipe
from galaxylib.votes.checkpoint import load_votes_network
from galaxylib.votes.classes import in_their_own_light, like_galaxy10
from galaxylib.votes.outputs import VoteFractions, predict_votes
from galaxylib.votes.zoo2 import Votes


@dataclass(frozen=True)
class VoteTrial:
    """One network of votes.

    Attributes:
        recipe: how it is trained.
        rule: how its logits become fractions.
    """

    recipe: Recipe
    rule: str


def planned(
    *, epochs: tuple[int, int, int], cnn_batch: int, schedule: str, seed: int
) -> dict[str, VoteTrial]:
    """The paper's three networks by title.

    Args:
        epochs: of the CNN, of ResNet-18 as it is, and of the tailored one.
        cnn_batch: images a step of the CNN.
        schedule: of the tailored network's learning rate, "one_cycle" or the paper's "plateau".
        seed: of all three.
    """
    cnn, resnet, tailored = epochs
    tailored_recipe = TAILORED_RECIPE.but(epochs=tailored, schedule=schedule, warm_up=0.1, seed=seed)
    return {
        "three-layer CNN": VoteTrial(
            CNN_RECIPE.but(epochs=cnn, batch_size=cnn_batch, seed=seed), rule="sigmoid"
        ),
        "ResNet-18": VoteTrial(RESNET_RECIPE.but(epochs=resnet, seed=seed), rule="sigmoid"),
        "tailored ResNet-18": VoteTrial(tailored_recipe, rule="tree"),
    }


def recipes_of(plans: Mapping[str, VoteTrial]) -> dict[str, Any]:
    """How the three networks of `planned` are trained, as the chapter reports it.

    Returns:
        `cnn`, `resnet` and `tailored`, each the settings of its recipe with its `rule` and with `augment`,
        whether images are turned by any angle and mirrored half the time; `modifications`, what the tailored
        network has and the plain one has not, in the document's words and order.
    """
    cnn, resnet, tailored = (
        plan.recipe.to_dict()
        | {"rule": plan.rule, "augment": plan.recipe.rotate == 180.0 and plan.recipe.flip == 0.5}
        for plan in plans.values()
    )
    words = {
        "augment": "data augmentation",
        "schedule": "learning rate scheduling",
        "rule": "weight rescaling",
    }
    changed = [name for setting, name in words.items() if tailored[setting] != resnet[setting]]
    return {"cnn": cnn, "resnet": resnet, "tailored": tailored, "modifications": ", ".join(changed)}


@dataclass
class PredictAt(L.Callback):
    """Keeps a network's fractions of some images at the end of one epoch, counted from 1.

    Attributes:
        epoch: which.
        images: (N, H, W, 3) uint8.
        rule: of the network.
        found: (N, 37), once the epoch is over.
    """

    epoch: int
    images: np.ndarray
    rule: str
    found: np.ndarray = field(default_factory=lambda: np.empty((0, 37), np.float32))

    def on_train_epoch_end(self, trainer: L.Trainer, run: Any) -> None:
        """Predict, if it is this epoch."""
        if run.epoch == self.epoch:
            self.found = predict_votes(run.kept, self.images, self.rule)


@dataclass(frozen=True)
class VoteResult:
    """A trained network of votes.

    Attributes:
        network: after the last epoch.
        history: the trainer's figures, a line an epoch; `train_loss` is the mean of the batches' errors, as
            the seed reports it, `validation_rmse` the error over all validation galaxies.
        at_epoch: (N, 37) fractions of the validation galaxies at the end of the epoch that was asked for.
    """

    network: nn.Module
    history: pd.DataFrame
    at_epoch: np.ndarray


def run_votes(votes: Votes, split: Split, trial: VoteTrial, *, epoch: int) -> VoteResult:
    """Train a network of votes.

    Args:
        votes: the galaxies.
        split: of them.
        trial: how.
        epoch: at whose end the validation galaxies' fractions are kept.
    """
    watch = PredictAt(epoch, votes.images[split.validation], trial.rule)
    task = VoteFractions(trial.rule)
    with tempfile.TemporaryDirectory() as folder:
        done = train(votes, split, trial.recipe, out=folder, task=task, callbacks=[watch], progress=False)
        network = load_votes_network(folder).network
    return VoteResult(network, pd.DataFrame(done["history"]), watch.found)


def paired_mean(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """The mean difference of two figures of the same galaxies, (N,) each, with its 95 % interval.

    Returns:
        `mean`, `low` and `high`, from the scatter of the single differences.
    """
    apart = np.asarray(first, float) - np.asarray(second, float)
    half = 1.96 * apart.std(ddof=1) / np.sqrt(len(apart))
    return {
        "mean": float(apart.mean()),
        "low": float(apart.mean() - half),
        "high": float(apart.mean() + half),
    }


def class_images(
    votes: Votes, rows: np.ndarray, *, folder: str | Path, side: int, preprocess: Any
) -> tuple[np.ndarray, Any]:
    """Real images of a folder as a network of the ten classes reads them, and their own preprocessing.

    Args:
        votes: the galaxies of the folder.
        rows: which of them.
        folder: in the challenge's layout.
        side: central pixels of the stored image, from `votes.classes.side_for`.
        preprocess: of the network.
    """
    pictures = like_galaxy10(folder, votes.ids[rows], side=side)
    return pictures, in_their_own_light(preprocess, pictures)
