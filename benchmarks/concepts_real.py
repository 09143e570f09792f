"""Do read-outs learned on drawn galaxies alone hold on real ones?

Each read-out is learned on drawn galaxies, at the stage that reads its parameter best there, and applied to
images of the SDSS brought to the look of Galaxy10's; its order of the galaxies is compared with that of the
volunteers of Galaxy Zoo 2:

    galaxylib simulate --n 2000 --seed 2001 --balance uniform --out FRESH.h5
    python -m benchmarks.concepts_real --data FRESH.h5 --votes GZ2

Only figures leave this script, no image. A network that was taught by votes is asked about held-out galaxies
alone. A read-out carries over where its rank correlation has the expected sign, and is larger than that of
the same read-out learned on each of three networks with random weights, both beyond an interval that is
corrected for the number of questions (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata, spearmanr

from benchmarks.probes import Scratch, parser, rounded
from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.in_memory import InMemory
from galaxylib.dream.probing import TWINS
from galaxylib.evaluation.probes import Features, fitted, held_out_r2, truth_of
from galaxylib.files import write_json
from galaxylib.networks.checkpoint import Loaded, load
from galaxylib.paper.shipped import OnReal
from galaxylib.provenance import provenance
from galaxylib.votes.other_surveys import Survey, read_voted
from galaxylib.votes.zoo2 import PLACES

ASKED = 0.5
"""Share of the volunteers who must have come to a question, for a galaxy to count."""
DRAWS = 10_000
DIVISIONS = 4
"""Divisions of the drawn galaxies by which a stage is chosen."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One concept beside one question of the decision tree.

    Attributes:
        title: as the table shows it.
        parameter: of the simulator.
        weights: of the answers' columns in the volunteers' mean; columns without weight are left out.
        sign: which way the two should go together.
        of: what the answers are shares of; "" for everybody.
    """

    title: str
    parameter: str
    weights: dict[str, float]
    sign: int = 1
    of: str = ""

    def fractions(self, votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The volunteers' mean, (N,), and which galaxies enough of them were asked about, (N,) bool."""
        answers = votes[:, [PLACES[column] for column in self.weights]].astype(np.float64)
        total = answers.sum(axis=1)
        mean = answers @ np.array([*self.weights.values()]) / np.maximum(total, 1e-9)
        asked = votes[:, PLACES[self.of]] if self.of else np.ones(len(votes))
        return mean, (asked >= ASKED) & (total > 0)


BAR = {"Class3.1": 1.0, "Class3.2": 0.0}
EDGE_ON = {"Class2.1": 1.0, "Class2.2": 0.0}
ODD = {"Class6.1": 1.0, "Class6.2": 0.0}
DISC, SMOOTH, FEATURES, SPIRAL = "Class2.2", "Class1.1", "Class1.2", "Class4.1"
QUESTIONS = (
    Question(title="a bar", parameter="bar_fraction", weights=BAR, of=DISC),
    Question(title="a bar", parameter="bar_length", weights=BAR, of=DISC),
    Question(
        title="loose arms (tight, medium, loose)",
        parameter="arm_pitch",
        weights={"Class10.1": 0.0, "Class10.2": 0.5, "Class10.3": 1.0},
        of=SPIRAL,
    ),
    Question(
        title="number of arms",
        parameter="arm_count",
        weights={f"Class11.{number}": float(number) for number in range(1, 6)},
        of=SPIRAL,
    ),
    Question(
        title="prominent bulge (none to dominant)",
        parameter="bulge_fraction",
        weights={f"Class5.{number + 1}": number / 3 for number in range(4)},
        of=DISC,
    ),
    Question(title="a disc seen edge-on", parameter="inclination", weights=EDGE_ON, of=FEATURES),
    Question(title="a disc seen edge-on", parameter="axis_ratio", weights=EDGE_ON, sign=-1, of=FEATURES),
    Question(
        title="round (round, in between, cigar)",
        parameter="axis_ratio",
        weights={"Class7.1": 1.0, "Class7.2": 0.5, "Class7.3": 0.0},
        of=SMOOTH,
    ),
    Question(title="anything odd", parameter="asymmetry", weights=ODD),
    Question(title="anything odd", parameter="tail_fraction", weights=ODD),
)


def spearman_draws(readings: np.ndarray, wanted: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rank correlations of readings (K, N) with (N,) on rows (D, M) drawn again: (K, D)."""

    def standard(values: np.ndarray) -> np.ndarray:
        ranks = rankdata(values, axis=1)
        centred = ranks - ranks.mean(axis=1, keepdims=True)
        return centred / np.linalg.norm(centred, axis=1, keepdims=True)

    by_votes = standard(wanted[rows])
    return np.stack([(standard(one[rows]) * by_votes).sum(axis=1) for one in readings])


def compared(
    reading: np.ndarray, twins: Sequence[np.ndarray], wanted: np.ndarray, *, sign: int, tests: int
) -> dict[str, Any]:
    """How well a reading orders galaxies, beside those of random networks.

    Args:
        reading: (N,) of the trained network.
        twins: (N,) of each random network.
        wanted: (N,) the volunteers'.
        sign: +1 or -1, which way they should go together.
        tests: number of questions that are asked at once.

    Returns:
        `n`; `rho` (positive in the expected direction) with the bootstrap's 95 % interval `low`, `high`;
        `control`, the largest of the random networks; `corrected_low` and `gain_low`, the low ends of `rho`
        and of its advantage over that control at 95 % over all questions; and whether it `carries_over`.
    """
    readings = sign * np.stack([reading, *twins])
    found = np.array([spearmanr(one, wanted).statistic for one in readings])
    rng = np.random.default_rng(0)
    draws = np.concatenate(
        [
            spearman_draws(readings, wanted, rng.integers(0, len(wanted), (part, len(wanted))))
            for part in [1000] * (DRAWS // 1000)
        ],
        axis=1,
    )
    best = 1 + int(found[1:].argmax())
    end = 2.5 / tests
    low, high = np.percentile(draws[0], [2.5, 97.5])
    corrected, gain = np.percentile(draws[0], end), np.percentile(draws[0] - np.maximum(draws[best], 0), end)
    return {
        "n": len(wanted),
        "rho": float(found[0]),
        "low": float(low),
        "high": float(high),
        "control": float(found[best]),
        "corrected_low": float(corrected),
        "gain_low": float(gain),
        "carries_over": bool(corrected > 0 and gain > 0),
    }


def measure_network(name: str, survey: Survey, scratch: Scratch) -> dict[str, Any]:
    """All questions asked of one network."""
    loaded, drawn = load(name), scratch.drawn
    real = InMemory(survey.images, np.zeros(len(survey), np.int64))
    truth = truth_of(drawn.truth)
    on_drawn, on_real = scratch.features(loaded, drawn), scratch.features(loaded, real)
    twins = [(scratch.twin(loaded, drawn, k), scratch.twin(loaded, real, k)) for k in range(TWINS)]
    stage_of = _best_stages(on_drawn, truth)
    taught = taught_by_votes(name, loaded)
    usable = survey.held if taught else np.ones(len(survey), bool)
    told = []
    for question in QUESTIONS:
        wanted, asked = question.fractions(survey.fractions)
        rows = asked & usable
        stage, r2 = stage_of[question.parameter]
        values = truth[question.parameter]
        readings = [
            fitted(features[0][stage], values).predict(features[1][stage][rows])
            for features in ((on_drawn, on_real), *twins)
        ]
        one = compared(readings[0], readings[1:], wanted[rows], sign=question.sign, tests=len(QUESTIONS))
        told.append(
            {
                "question": question.title,
                "parameter": question.parameter,
                "stage": stage,
                "r2_drawn": r2,
                "sign": question.sign,
                **one,
            }
        )
        print(name, question.title, question.parameter, stage, f"{one['rho']:.2f}", flush=True)
    return {
        "sha256": loaded.meta["sha256"],
        "taught_by_votes": taught,
        "twins": len(twins),
        "questions": told,
    }


def _best_stages(features: Features, truth: Any) -> dict[str, tuple[str, float]]:
    """For each parameter the stage that reads it best on drawn galaxies held out, and its R²."""
    r2 = {
        stage: np.mean([held_out_r2(of, truth, seed=seed) for seed in range(DIVISIONS)], axis=0)
        for stage, of in features.items()
    }
    best = {}
    for number, name in enumerate(truth.columns):
        stage = max(r2, key=lambda one: r2[one][number])
        best[name] = stage, float(r2[stage][number])
    return best


def taught_by_votes(name: str, loaded: Loaded) -> bool:
    """Whether the training has learned from galaxies of Galaxy Zoo 2."""
    sources = OnReal(name=name, meta=loaded.meta, scores={}).sources
    return any(source["name"] == "Galaxy Zoo 2" and source["drawn"] for source in sources)


def main() -> None:
    """Run the benchmark."""
    options = parser(
        __doc__.splitlines()[0], networks=("small", "real-small", "real"), out="concepts_real.json"
    )
    options.add_argument("--votes", type=Path, required=True, help="SDSS images with votes of Galaxy Zoo 2")
    given = options.parse_args()
    given.scratch.mkdir(parents=True, exist_ok=True)
    survey = read_voted(given.votes)
    with Galaxy10(given.data) as data:
        scratch = Scratch(folder=given.scratch, drawn=data)
        told = {name: measure_network(name, survey, scratch) for name in given.networks}
    write_json(
        given.out,
        {
            "rule": " ".join(__doc__.split("Only figures")[1].split("alone. ")[1].split()),
            "asked": ASKED,
            "draws": DRAWS,
            "galaxies": {"drawn": len(data), "real": len(survey), "held_out": int(survey.held.sum())},
            "networks": rounded(told),
            "provenance": provenance(),
        },
    )


if __name__ == "__main__":
    main()
