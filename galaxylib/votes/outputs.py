"""From 37 logits to vote fractions: the output rules of seed 004, and the task of learning them.

Source: Kattuparambil, "Galaxy Morphology Estimations via Convolutional Neural Networks", sections 3 to 5.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from galaxylib.data.in_memory import InMemory
from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import GalaxyError
from galaxylib.evaluation.judge import judge_rows
from galaxylib.votes.zoo2 import ANSWERS, PLACES, SIZE, from_the_root, places

if TYPE_CHECKING:
    from torchmetrics import Metric

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
    _check_rule(rule)
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


def _check_rule(rule: str) -> None:
    if rule not in RULES:
        raise GalaxyError(f"There is no output rule {rule!r}: choose one of {', '.join(RULES)}.")


def root_mean_square(predicted: Tensor, observed: Tensor) -> Tensor:
    """The loss that the seed prints; a floor keeps its gradient finite when all is right."""
    return ((predicted - observed) ** 2).mean().clamp_min(1e-12).sqrt()


@dataclass(frozen=True)
class VoteFractions:
    """The task of predicting 37 vote fractions: the root mean square of their errors.

    Attributes:
        rule: how logits become fractions; see `to_fractions`.
        trained_on: GalaxyID of every galaxy that the training sees, so that an evaluation can tell.

    Raises:
        GalaxyError: there is no such rule.
    """

    rule: str = "tree"
    trained_on: tuple[int, ...] = ()

    name = "zoo2"
    class_names = ANSWERS
    mean, std = PREPROCESS.mean, PREPROCESS.std

    def __post_init__(self) -> None:
        _check_rule(self.rule)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss that the seed prints, of one batch."""
        return root_mean_square(to_fractions(logits, self.rule), targets)

    def metrics(self) -> "dict[str, Metric]":
        """The same error over all galaxies of an epoch."""
        from galaxylib.votes.metric import FractionsError  # here, for torchmetrics takes four seconds

        return {"rmse": FractionsError(self.rule)}

    def description(self) -> dict[str, Any]:
        """The rule, which belongs to the network, and the galaxies."""
        return {"rule": self.rule, "trained_on": list(self.trained_on)}


def predict_votes(
    network: nn.Module,
    images: np.ndarray,
    rule: str,
    *,
    batch_size: int = 128,
    symmetries: bool = False,
    progress: bool = False,
) -> np.ndarray:
    """Vote fractions of images.

    Args:
        network: gives 37 logits.
        images: (N, H, W, 3) uint8, H and W at least 80, on the scale of `Votes.images`.
        rule: see `to_fractions`.
        batch_size: images at a time.
        symmetries: average over the eight right-angle rotations and mirrorings.
        progress: show a progress bar.

    Returns:
        (N, 37) float32.

    Raises:
        GalaxyError: there is no such rule, or the memory does not suffice.
    """
    return judge_rows(
        network,
        InMemory(images, np.zeros(len(images), np.int64)),
        np.arange(len(images)),
        preprocess=PREPROCESS,
        activation=partial(to_fractions, rule=rule),
        symmetries=symmetries,
        batch_size=batch_size,
        progress=progress,
    ).reshape(len(images), len(ANSWERS))


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
