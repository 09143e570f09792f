"""From images to vote fractions: the three networks of seed 004, their outputs and their training.

Source: Kattuparambil, "Galaxy Morphology Estimations via Convolutional Neural Networks", sections 3 to 5.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from galaxylib.data.preprocessing import Augment, Preprocess
from galaxylib.errors import GalaxyError
from galaxylib.networks.registry import build
from galaxylib.training.hardware import arithmetic
from galaxylib.votes.zoo2 import ANSWERS, PLACES, SIZE, Votes, from_the_root, places

PREPROCESS = Preprocess(size=SIZE, crop=SIZE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
"""The central 80 x 80 of `Votes.images`, values in [0, 1], as printed."""

RULES = ("sigmoid", "question", "tree")


def to_fractions(logits: Tensor, rule: str) -> Tensor:
    """Turn 37 logits into 37 vote fractions.

    Args:
        logits: (N, 37).
        rule: "sigmoid": each answer by itself. "question": the answers of every question are rescaled to sum
            to 1, as seed 004 says; the labels do not. "tree": the same, times the fraction of the answer that
            leads to the question, as the labels are.

    Returns:
        (N, 37), in [0, 1].

    Raises:
        GalaxyError: there is no such rule.
    """
    if rule not in RULES:
        raise GalaxyError(f"There is no output rule {rule!r}: choose one of {', '.join(RULES)}.")
    if rule == "sigmoid":
        return logits.sigmoid()
    columns: list[Tensor] = [logits[:, 0]] * len(ANSWERS)
    for question in from_the_root():
        place = places(question)
        # The seed divides positive outputs by their sum; exponentials keep every output positive.
        answers = logits[:, place].softmax(dim=1)
        if rule == "tree" and question.parent is not None:
            answers = answers * columns[PLACES[question.parent]][:, None]
        columns[place] = list(answers.unbind(dim=1))
    return torch.stack(columns, dim=1)


def rescaled(fractions: np.ndarray) -> np.ndarray:
    """Labels with each question's answers divided by their sum (0 stays 0): what the seed's rule aims at."""
    scaled = np.array(fractions, dtype=float)
    for question in from_the_root():
        sums = scaled[:, places(question)].sum(axis=1, keepdims=True)
        scaled[:, places(question)] /= np.where(sums > 0, sums, 1)
    return scaled


@dataclass(frozen=True, kw_only=True)
class VoteRecipe:
    """How a network of votes is trained; the defaults are the seed's tailored ResNet-18.

    Attributes:
        network: a name that `galaxylib.networks.registry.build` knows.
        rule: how logits become fractions; see `to_fractions`.
        epochs: passes over the training images.
        batch_size: images a step.
        learning_rate: Adam's. The seed prints 1e-3 for its CNN only.
        weight_decay: AdamW's; the seed uses none.
        augment: rotate in [0, 360] degrees and flip each way with probability 0.5.
        schedule: "plateau": divide the rate by 10 when the validation loss has not fallen for `patience`
            epochs (PyTorch's defaults but for the patience); "cosine": up over the first tenth of the
            steps, then down to nothing; "constant".
        patience: epochs, for the plateau.
        seed: of the first weights, the order and the augmentation.
    """

    network: str = "gz_resnet18"
    rule: str = "tree"
    epochs: int = 25
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    augment: bool = True
    schedule: str = "plateau"
    patience: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise GalaxyError(f"There is no output rule {self.rule!r}: choose one of {', '.join(RULES)}.")
        if self.schedule not in ("plateau", "cosine", "constant"):
            raise GalaxyError(f"There is no schedule {self.schedule!r}: choose plateau, cosine or constant.")
        if min(self.epochs, self.batch_size) < 1 or self.learning_rate <= 0:
            raise GalaxyError("epochs and batch_size count from 1, and the learning rate is above 0.")

    def but(self, **changes: Any) -> "VoteRecipe":
        """The same with some settings changed."""
        return replace(self, **changes)


TAILORED = VoteRecipe()
RESNET = VoteRecipe(rule="sigmoid", augment=False, schedule="constant", epochs=15)
CNN = RESNET.but(network="gz_cnn", batch_size=256)


def root_mean_square(predicted: Tensor, observed: Tensor) -> Tensor:
    """The loss that the seed prints; a floor keeps its gradient finite when all is right."""
    return ((predicted - observed) ** 2).mean().clamp_min(1e-12).sqrt()


def train_votes(
    votes: Votes,
    recipe: VoteRecipe,
    *,
    validation: Votes | None = None,
    network: nn.Module | None = None,
    progress: bool = True,
    each_epoch: Callable[[int, nn.Module], None] | None = None,
) -> tuple[nn.Module, pd.DataFrame]:
    """Train a network on votes.

    Args:
        votes: the training galaxies.
        recipe: how.
        validation: galaxies whose loss is followed; the plateau schedule looks at it, and at the training
            loss where there is none.
        network: continue with this one (changed in place) in place of a new one.
        progress: show a progress bar.
        each_epoch: called with (epoch, network) after each epoch.

    Returns:
        The network in evaluation mode on the CPU, and the history: `epoch, train_rmse, validation_rmse,
        learning_rate, seconds`; `train_rmse` is the mean of the batches' losses, as the seed reports it.

    Raises:
        GalaxyError: there is no galaxy to train on.
    """
    if not len(votes):
        raise GalaxyError("There is no galaxy to train on: give at least one.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    short = arithmetic("auto")
    torch.manual_seed(recipe.seed)
    if network is None:
        network = build(recipe.network, classes=len(ANSWERS))
    network = network.to(device, memory_format=short.memory_format)
    images = torch.from_numpy(votes.images)
    labels = torch.from_numpy(votes.fractions)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    steps = -(-len(votes) // recipe.batch_size)
    schedule = _schedule(optimizer, recipe, steps)
    augment = Augment(rotate=180, flip=0.5, brightness=0, contrast=0) if recipe.augment else None
    order_of = np.random.default_rng(recipe.seed)
    history = []
    began = time.perf_counter()
    bar = tqdm(range(1, recipe.epochs + 1), desc=recipe.network, unit="epoch", disable=not progress)
    for epoch in bar:
        network.train()
        order = torch.from_numpy(order_of.permutation(len(votes)))
        total = 0.0
        for rows in order.split(recipe.batch_size):
            batch = PREPROCESS(
                images[rows].to(device), augment=augment, seed=recipe.seed, epoch=epoch, rows=rows
            ).contiguous(memory_format=short.memory_format)
            with torch.autocast(device.type, getattr(torch, short.name), enabled=short.name != "float32"):
                logits = network(batch)
            loss = root_mean_square(to_fractions(logits.float(), recipe.rule), labels[rows].to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if recipe.schedule == "cosine":
                schedule.step()
            total += loss.item() * len(rows)
        row = {
            "epoch": epoch,
            "train_rmse": total / len(votes),
            "learning_rate": optimizer.param_groups[0]["lr"],
        }
        if validation is not None and len(validation):
            predicted = predict_votes(network, validation.images, recipe.rule)
            row["validation_rmse"] = float(np.sqrt(np.mean((predicted - validation.fractions) ** 2)))
        if recipe.schedule == "plateau":
            schedule.step(row.get("validation_rmse", row["train_rmse"]))
        row["seconds"] = time.perf_counter() - began
        history.append(row)
        bar.set_postfix({name: f"{row[name]:.4f}" for name in row if name.endswith("rmse")})
        if each_epoch is not None:
            each_epoch(epoch, network)
    return network.cpu().eval(), pd.DataFrame(history)


def _schedule(optimizer: torch.optim.Optimizer, recipe: VoteRecipe, steps: int) -> Any:
    if recipe.schedule == "plateau":
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=recipe.patience)
    if recipe.schedule == "cosine":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.learning_rate, total_steps=steps * recipe.epochs, pct_start=0.1
        )
    return None


@torch.inference_mode()
def predict_votes(
    network: nn.Module,
    images: np.ndarray,
    rule: str,
    *,
    batch_size: int = 128,
    symmetries: bool = False,
) -> np.ndarray:
    """Vote fractions of images.

    Args:
        network: gives 37 logits.
        images: (N, H, W, 3) uint8, H and W at least 80, on the scale of `Votes.images`.
        rule: see `to_fractions`.
        batch_size: images at a time.
        symmetries: average over the eight right-angle rotations and mirrorings.

    Returns:
        (N, 37) float32.
    """
    device = next(network.parameters()).device
    short = arithmetic("auto")
    training = network.training
    network.eval()
    parts = []
    for start in range(0, len(images), batch_size):
        batch = PREPROCESS(torch.from_numpy(images[start : start + batch_size]).to(device))
        views = [batch]
        if symmetries:
            views = [
                view.flip(3) if mirrored else view
                for turns in range(4)
                for view in [batch.rot90(turns, (2, 3))]
                for mirrored in (False, True)
            ]
        total = 0.0
        for view in views:
            with torch.autocast(device.type, getattr(torch, short.name), enabled=short.name != "float32"):
                logits = network(view.contiguous(memory_format=short.memory_format))
            total = total + to_fractions(logits.float(), rule)
        parts.append((total / len(views)).cpu())
    network.train(training)
    return torch.cat(parts).numpy() if parts else np.empty((0, len(ANSWERS)), np.float32)


def least_rmse_per_question(fractions: np.ndarray) -> float:
    """The smallest error that outputs can have whose questions each sum to 1, whatever the network.

    The nearest such output to labels that sum to s over k answers adds (1 - s) / k to each: a squared
    distance of (1 - s)^2 / k. Labels that are cumulative along the tree have s below 1 nearly everywhere.

    Args:
        fractions: (N, 37) labels.
    """
    squared = np.zeros(len(fractions))
    for question in from_the_root():
        gap = 1 - np.asarray(fractions, float)[:, places(question)].sum(axis=1)
        squared += gap**2 / len(question.answers)
    return float(np.sqrt(squared.mean() / len(ANSWERS)))


def top_in_top(predicted: np.ndarray, observed: np.ndarray, *, top: int = 5, within: int = 24) -> np.ndarray:
    """Of the `top` galaxies that the network gives most of an answer, how many are truly `within` the first.

    Args:
        predicted: (N, 37).
        observed: (N, 37).
        top: predictions taken for each answer.
        within: how far down the true order they may stand; ties count as the better place.

    Returns:
        (37,) counts, 0 to `top`.
    """
    counts = []
    for column in range(predicted.shape[1]):
        chosen = np.argsort(-predicted[:, column], kind="stable")[:top]
        better = (observed[:, column][None, :] > observed[chosen, column][:, None]).sum(axis=1)
        counts.append(int((better < within).sum()))
    return np.array(counts)
