"""Seed 002's proposed hierarchy: nine small networks with two answers each, in place of one with ten."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.in_memory import InMemory
from galaxylib.paper.progress import steps
from galaxylib.paper.trials import Result, Trial, probabilities, run_trial


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


SMOOTH = tuple(classes_of(HIERARCHY.yes))
FEATURED = tuple(label for label in classes_of(HIERARCHY.no) if label > 1)
"""Class numbers of smooth galaxies, and of discs with features; Disturbed and Merging are neither."""


def run_hierarchy(trial: Trial, train: InMemory, *, root: Fork = HIERARCHY) -> dict[str, Result]:
    """Train one two-answer network for each fork, on the galaxies that belong below it."""
    return {
        fork.question: run_trial(
            trial,
            train.relabelled([classes_of(fork.yes), classes_of(fork.no)]),
            class_names=("yes", "no"),
        )
        for fork in steps(forks(root), label=lambda fork: f"two answers, {fork.question}")
    }


def hierarchy_probabilities(
    results: Mapping[str, Result], images: InMemory, *, root: Fork = HIERARCHY
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
