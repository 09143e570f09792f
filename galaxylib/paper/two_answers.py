"""Questions with two answers: star or galaxy, object or artefact, smooth or featured (seed 002, section II).

Stars and artefacts are drawn and set against drawn galaxies: among real ones their noise would tell them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.in_memory import InMemory
from galaxylib.networks.registry import NETWORKS
from galaxylib.paper.experiments import Views
from galaxylib.paper.hierarchy import FEATURED, SMOOTH
from galaxylib.paper.progress import steps
from galaxylib.paper.trials import Trial, probabilities, run_trial
from galaxylib.simulate.artefacts import ARTEFACTS, STAR, draw_others

OTHERS = {"negm": "artefact", "kim_brunner": "star"}
"""What two of the networks tell from galaxies; the others tell smooth galaxies from featured ones."""


@dataclass(frozen=True)
class OtherObjects:
    """Drawn stars and artefacts, and galaxies to set against them; two thirds to learn, a third to test.

    Attributes:
        drawn: a file of simulated galaxies.
        rows: of it, in random order, by part: `learn` and `exam`.
        sky: (N, 256, 256, 3) uint8 cutouts without a galaxy, by kind: `star` and `artefact`.
    """

    drawn: Galaxy10
    rows: Mapping[str, np.ndarray]
    sky: Mapping[str, np.ndarray]

    @classmethod
    def draw(
        cls, drawn: Galaxy10, rows: Mapping[str, np.ndarray], *, count: int, seed: int
    ) -> "OtherObjects":
        """Draw `count` stars, and as many artefacts."""
        sky = {
            "star": draw_others((STAR,), count, seed=seed),
            "artefact": draw_others(ARTEFACTS, count, seed=seed + 1),
        }
        return cls(drawn, rows, sky)

    def against(self, kind: str, part: str, trial: Trial) -> InMemory:
        """Galaxies (0) and stars or artefacts (1) of a part, as many of each if there are enough."""
        cutouts = self.sky[kind]
        border = max(2, 2 * len(cutouts) // 3)
        cutouts = cutouts[:border] if part == "learn" else cutouts[border:]
        rows = np.sort(self.rows[part][: len(cutouts)])
        cutouts = cutouts[: len(rows)]
        galaxies = trial.made(self.drawn.read(rows), [0] * len(rows))
        return galaxies.joined(trial.made(cutouts, [1] * len(cutouts)))


def questions(convnet: Trial) -> dict[str, Trial]:
    """How each network with two answers is trained, by its name: like ConvNet where its source is silent."""
    sizes = {name: {"size": NETWORKS[name].size, "crop": NETWORKS[name].crop} for name in (*OTHERS, "shi")}
    double = 2 * convnet.recipe.epochs  # few images, so more passes
    rate = NETWORKS["kim_brunner"].rate
    return {
        "negm": convnet.but(network="negm", epochs=double, **sizes["negm"]),
        "kim_brunner": convnet.but(
            network="kim_brunner", epochs=double, learning_rate=rate, **sizes["kim_brunner"]
        ),
        "shi": convnet.but(network="shi", **sizes["shi"]),
        "convnet": convnet,
    }


def answered(trials: Mapping[str, Trial], objects: OtherObjects, views: Views) -> dict[str, np.ndarray]:
    """Train each network on its question: whether it names each test image rightly, by the network's name."""
    right = {}
    for name, trial in steps(trials.items(), label=lambda one: f"{one[0]}, two answers"):
        if name in OTHERS:
            learn, exam = (objects.against(OTHERS[name], part, trial) for part in ("learn", "exam"))
            names = ("galaxy", OTHERS[name])
        else:
            sets = views.of(trial)
            learn, exam = (sets[part].relabelled([SMOOTH, FEATURED]) for part in ("train", "test"))
            names = ("smooth", "featured")
        network = run_trial(trial, learn, class_names=names).network
        right[name] = probabilities(network, exam).argmax(axis=1) == exam.labels
    return right


def merged(found: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether ten answers, put together to smooth and featured, are right.

    Args:
        found: (N, 10) probabilities.
        labels: (N,) class numbers.

    Returns:
        One bool for each galaxy that is smooth or featured, in their order.
    """
    two = np.isin(labels, (*SMOOTH, *FEATURED))
    featured = found[two][:, FEATURED].sum(axis=1) > found[two][:, SMOOTH].sum(axis=1)
    return featured == np.isin(labels[two], FEATURED)
