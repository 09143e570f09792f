"""The reference run's networks of votes: their records, their errors, and what they tell the ledger.

`benchmarks/reference.py` trains them on drawn galaxies with drawn votes, for as many passes as their source
prints, and leaves a JSON file of each in the folder `votes` beside the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from galaxylib.errors import GalaxyError
from galaxylib.paper.parameters import repository
from galaxylib.paper.reference import FOLDER, Scatter, last_change, machines_of, read_record
from galaxylib.paper.reference_page import minutes

GROUP = "votes"
"""The folder of the records, within that of the reference run."""
NAMES = ("cnn", "resnet", "tailored")
"""The three networks in the order of `planned`, as files and the ledger call them."""
PAIRS = (("resnet", "cnn"), ("tailored", "resnet"))
"""Which are compared, as the source compares them: the first less the second."""


@dataclass(frozen=True)
class VoteTraining:
    """One network of votes of the reference run.

    Attributes:
        name: one of `NAMES`.
        title: as the tables show it.
        seed: of the first weights, the order and the augmentation.
        recipe: all settings.
        rule: how its logits become fractions.
        history: one dict an epoch.
        parameters: number of trainable ones.
        seconds: of training.
        train_images: how many it learned from.
        train_rmse: its error on the training images, not augmented, at the end.
        errors: (N,) mean squared error of each test galaxy over the 37 answers.
        guess: the error on the test galaxies of guessing every answer's mean over the training galaxies.
        made: machine, commit, package versions and time.
    """

    name: str
    title: str
    seed: int
    recipe: Mapping[str, Any]
    rule: str
    history: Sequence[Mapping[str, float]]
    parameters: int
    seconds: float
    train_images: int
    train_rmse: float
    errors: np.ndarray
    guess: float
    made: Mapping[str, Any]

    @property
    def rmse(self) -> float:
        """Root mean squared error over the test galaxies and the answers."""
        return float(np.sqrt(self.errors.mean()))

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON has it, the errors to six digits."""
        return vars(self) | {"errors": [float(f"{error:.6g}") for error in self.errors]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave."""
        return cls(**dict(content) | {"errors": np.array(content["errors"])})


def read_vote_trainings(folder: Path | None = None) -> dict[str, list[VoteTraining]]:
    """The records in a reference run's folder by the network's name, each in the order of its seeds.

    Raises:
        GalaxyError: a file is not such a record, or two judge other galaxies.
    """
    found: dict[str, list[VoteTraining]] = {name: [] for name in NAMES}
    for path in sorted(((folder or repository(FOLDER)) / GROUP).glob("*.json")):
        try:
            one = VoteTraining.from_dict(read_record(path))
            found[one.name].append(one)
        except (KeyError, TypeError) as fault:
            raise GalaxyError(f"{path} is no record of a training ({fault}): make it again.") from fault
    if len({len(one.errors) for ones in found.values() for one in ones}) > 1:
        raise GalaxyError("The records of votes judge different galaxies: remove them and make them again.")
    return {name: sorted(ones, key=lambda one: one.seed) for name, ones in found.items() if ones}


def vote_rows(trainings: Mapping[str, Sequence[VoteTraining]]) -> list[dict[str, Any]]:
    """One dict a network: what it is, and its errors.

    Returns:
        `name`, `model` (its title), `parameters`, `epochs`, `seeds`, `seconds` of the shortest and the
        longest training; `rmse` with
        `low` and `high` (95 %, galaxies and trainings), and `train_rmse`, means over the trainings;
        `last_change`, the change of the validation error over the last three epochs.
    """
    scatter = Scatter.of([np.array([one.rmse for one in ones]) for ones in trainings.values()])
    rows = []
    for name, ones in trainings.items():
        rmse = float(np.mean([one.rmse for one in ones]))
        half = scatter.half_width(_influence(ones), (len(ones),))
        rows.append(
            {
                "name": name,
                "model": ones[0].title,
                "parameters": ones[0].parameters,
                "epochs": len(ones[0].history),
                "seeds": len(ones),
                "seconds": [min(one.seconds for one in ones), max(one.seconds for one in ones)],
                "rmse": rmse,
                "low": max(0.0, rmse - half),
                "high": rmse + half,
                "train_rmse": float(np.mean([one.train_rmse for one in ones])),
                "last_change": last_change([one.history for one in ones], figure="validation_rmse"),
            }
        )
    return rows


def vote_differences(trainings: Mapping[str, Sequence[VoteTraining]]) -> list[dict[str, Any]]:
    """The networks of `PAIRS` of which both are trained, galaxy by galaxy.

    Returns:
        `title`, `against`, `change` of the error with `low` and `high` (simultaneous 95 % intervals, of the
        galaxies and of the trainings), `gap_change` of the error on test galaxies less that on the training
        images, with `gap_low` and `gap_high`; `clear`, whether 0 lies outside the first interval, None while
        the chance of a training is unknown.
    """
    scatter = Scatter.of([np.array([one.rmse for one in ones]) for ones in trainings.values()])
    gaps = {name: np.array([one.rmse - one.train_rmse for one in ones]) for name, ones in trainings.items()}
    gap_scatter = Scatter.of(list(gaps.values()))
    rows = []
    for name, base in PAIRS:
        if name not in trainings or base not in trainings:
            continue
        first, second = trainings[name], trainings[base]
        each, counts = _influence(first) - _influence(second), (len(first), len(second))
        level = 1 - 0.05 / len(PAIRS)
        change = float(np.mean([one.rmse for one in first]) - np.mean([one.rmse for one in second]))
        gap = float(gaps[name].mean() - gaps[base].mean())
        half = scatter.half_width(each, counts, level=level)
        gap_half = gap_scatter.half_width(each, counts, level=level)
        rows.append(
            {
                "title": first[0].title,
                "against": second[0].title,
                "change": change,
                "low": change - half,
                "high": change + half,
                "clear": abs(change) > half if scatter.is_known else None,
                "gap_change": gap,
                "gap_low": gap - gap_half,
                "gap_high": gap + gap_half,
            }
        )
    return rows


def votes_chapter(trainings: Mapping[str, Sequence[VoteTraining]]) -> dict[str, Any]:
    """The results of these trainings under the names of the chapter on votes.

    While the chance of a training is unknown, or a network is missing, it is empty: no verdict follows.
    """
    rows = vote_rows(trainings)
    pairs = vote_differences(trainings)
    if len(pairs) < len(PAIRS) or any(pair["clear"] is None for pair in pairs):
        return {}
    ones = {name: trained[0] for name, trained in trainings.items()}
    half = (pairs[1]["gap_high"] - pairs[1]["gap_low"]) / 4
    return {
        "kind": "simulated",
        "n": len(ones["cnn"].errors) + ones["cnn"].train_images,
        "n_test": len(ones["cnn"].errors),
        "conditions": {f"{name}_epochs": len(one.history) for name, one in ones.items()}
        | {
            "cnn_batch": ones["cnn"].recipe["batch_size"],
            "train_images": ones["cnn"].train_images,
            "seeds": min(row["seeds"] for row in rows),
            "simulated": True,
        },
        "results": rows,
        "gaps": [
            {
                "model": row["model"],
                "gap": row["rmse"] - row["train_rmse"],
                "low": row["rmse"] - row["train_rmse"] - half,
                "high": row["rmse"] - row["train_rmse"] + half,
            }
            for row in rows
        ],
        "gap_epochs": ", ".join(str(row["epochs"]) for row in rows[1:]),
        **{f"{row['name']}_rmse": row["rmse"] for row in rows},
        "guess_rmse": ones["cnn"].guess,
    }


def votes_shown(trainings: Mapping[str, Sequence[VoteTraining]], printed: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of `vote_rows` in words, beside the guess and what the source prints of each model."""
    lines = [
        {
            "model": row["model"],
            "trainings": str(row["seeds"]),
            "passes": str(row["epochs"]),
            "minutes each": minutes(row["seconds"]),
            "RMSE here, simulated": f"{row['rmse']:.4f} [{row['low']:.4f}, {row['high']:.4f}]",
            "on its training images": f"{row['train_rmse']:.4f}",
        }
        for row in vote_rows(trainings)
    ]
    guesses = [one.guess for ones in trainings.values() for one in ones][:1]
    lines[:0] = [{"model": "every answer's mean", "RMSE here, simulated": f"{one:.4f}"} for one in guesses]
    shown = pd.DataFrame(lines or [{"model": "none yet"}]).set_index("model").fillna("")
    shown["printed, real galaxies"] = [str(printed.get(name, "")) for name in shown.index]
    return shown


def votes_facts(trainings: Mapping[str, Sequence[VoteTraining]]) -> dict[str, str]:
    """What the chapter says of the run in its sentences.

    Returns:
        on what, where and when it was `made`, and what is `said` of the differences.
    """
    ones = [one for trained in trainings.values() for one in trained]
    if not ones:
        return {"made": "Its trainings are still to come.", "said": "There is nothing to compare yet."}
    rows = vote_rows(trainings)
    changes = [row["last_change"] for row in rows if row["last_change"] is not None]
    batches = sorted({one.recipe["batch_size"] for one in ones})
    return {
        "made": f"It ran on {machines_of(one.made for one in ones)}, with {ones[0].train_images:,} simulated "
        f"galaxies to learn from, {len(ones[0].errors):,} to be judged on, and batches of "
        f"{' and '.join(map(str, batches))}.",
        "said": f"{votes_said(trainings)} Over the last three passes the validation errors changed by "
        f"{min(changes):+.4f} to {max(changes):+.4f}."
        if changes
        else votes_said(trainings),
    }


def votes_said(trainings: Mapping[str, Sequence[VoteTraining]]) -> str:
    """What the differences tell, as a sentence or three."""
    pairs = vote_differences(trainings)
    if len(pairs) < len(PAIRS):
        return "Not all three networks have their training yet."
    told = [
        f"From the {pair['against']} to the {pair['title']} the error on the test galaxies changes by "
        f"{pair['change']:+.4f} [{pair['low']:+.4f}, {pair['high']:+.4f}], and its distance from that on the "
        f"training images by {pair['gap_change']:+.4f} [{pair['gap_low']:+.4f}, {pair['gap_high']:+.4f}]."
        for pair in pairs
    ]
    if any(pair["clear"] is None for pair in pairs):
        told.append("Too few were trained again so far to tell a difference from the chance of a training.")
    return " ".join(told)


def _influence(trainings: Sequence[VoteTraining]) -> np.ndarray:
    """(N,) how each test galaxy moves the mean error of some trainings (the root's derivative)."""
    return np.mean([one.errors / (2 * one.rmse) for one in trainings], axis=0)
