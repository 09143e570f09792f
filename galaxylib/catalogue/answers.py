"""What a network's answers become in a catalogue: ten probabilities and a class, and perhaps votes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from galaxylib.catalogue.frame import SIDE, Frame
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import GalaxyError
from galaxylib.evaluation.judge import Activation, softmax
from galaxylib.networks.checkpoint import Loaded
from galaxylib.votes.classes import support, to_classes
from galaxylib.votes.outputs import to_fractions
from galaxylib.votes.zoo2 import ANSWERS, CROP, FULL

CALIBRATED = "at the network's temperature"
BY_VOTES = "the votes' support for each class, divided by their sum; not calibrated"


@dataclass(frozen=True)
class Answers:
    """How a network is asked, and what its answers become.

    Attributes:
        loaded: the network, with the preprocessing for frames of 256 pixels.
        activation: from its logits to what the judge gives.
        classes: from what the judge gives, (N, C), to ten columns (N, 10) and class numbers (N,).
        votes: the names of the vote fractions; none for a network of ten classes.
        probabilities: what the ten columns are, in words.
    """

    loaded: Loaded
    activation: Activation
    classes: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    votes: tuple[str, ...]
    probabilities: str


def answers_of(loaded: Loaded, frame: Frame, *, votes: bool) -> Answers:
    """How a network is asked.

    Raises:
        GalaxyError: the network gives neither ten classes nor votes, or not what was asked for.
    """
    if loaded.class_names == ANSWERS:
        return _of_votes(loaded, frame, votes=votes)
    if set(loaded.class_names) != set(CLASS_NAMES):
        raise GalaxyError(
            f"The network knows {', '.join(loaded.class_names[:3])} and so on: "
            "give one of Galaxy10's ten classes, or one of Galaxy Zoo's votes."
        )
    if votes:
        raise GalaxyError(
            "The network gives ten classes and no vote fractions: leave out --votes, or give a network "
            "of votes."
        )
    order = [loaded.class_names.index(name) for name in CLASS_NAMES]

    def classes(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return probabilities[:, order], probabilities[:, order].argmax(1)

    return Answers(loaded, softmax, classes, (), CALIBRATED)


def _of_votes(loaded: Loaded, frame: Frame, *, votes: bool) -> Answers:
    if not votes:
        raise GalaxyError("The network gives vote fractions: add --votes, or give one of the ten classes.")
    if not frame.as_is:
        raise GalaxyError(
            "A network of votes reads pictures framed as the Galaxy Zoo challenge's, by the galaxy's own "
            "size: give such pictures, and add --as-is."
        )
    # Of a whole picture the networks read the central 224 of 424 pixels; the frame shows it with 256.
    inner = replace(loaded.preprocess, crop=round(SIDE * CROP / FULL))

    def classes(fractions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = support(fractions)
        return found / np.maximum(found.sum(1, keepdims=True), 1e-9), to_classes(fractions)

    activation = partial(to_fractions, rule=loaded.meta["task"]["rule"])
    return Answers(replace(loaded, preprocess=inner), activation, classes, ANSWERS, BY_VOTES)
