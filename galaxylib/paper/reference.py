"""The reference run: trainings too long for a page, made once, each with its record in the repository.

`benchmarks/reference.py` trains the networks one by one and leaves a JSON file of each. A page shows them
first, under the machine and the date of the run, and its own short trainings beside them. What is compared is
counted on the same test galaxies; every interval knows both chances, of the galaxies and of the training.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.metrics import confusion_matrix

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import GalaxyError
from galaxylib.evaluation.intervals import f1_scores, ratio, wilson
from galaxylib.paper.parameters import repository

FOLDER = "benchmarks/results/reference"
"""Where the records lie, from the repository's root."""
HALVED = "halved"
"""The group whose trainings have half the passes of those of the comparison."""
GROUPS = ("networks", HALVED, "experiments", "parts")
"""The groups of trainings that name classes; each has its folder."""
BASES = {"convnet": "ConvNet as printed", "five_block": "Five-block CNN, weighted loss"}
"""The first experiment of each network, which the others are compared with."""
ABOUT = "about.json"
"""The file beside them that tells of the galaxies and the plan."""
LAST = 3
"""Epochs over which a validation loss is called flat or not."""
ENOUGH = 3
"""Degrees of freedom from which the scatter between trainings counts as known."""


@dataclass(frozen=True)
class Training:
    """One network of the reference run.

    Attributes:
        group: one of `GROUPS`: the comparison, its networks with half the passes, the experiments of the
            other papers, or DMAGNet's parts.
        name: of the network or the experiment.
        title: as the tables show it.
        seed: of the first weights, the order and the augmentation.
        recipe: all settings.
        history: one dict an epoch.
        parameters: number of trainable ones.
        seconds: of training.
        train_accuracy: share of the training images, not augmented, that it names rightly at the end.
        predicted: (N,) classes that it gives the test galaxies.
        made: machine, commit, package versions and time.
    """

    group: str
    name: str
    title: str
    seed: int
    recipe: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    parameters: int
    seconds: float
    train_accuracy: float
    predicted: np.ndarray
    made: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON has it; the classes are a string of digits, one a galaxy."""
        return vars(self) | {"predicted": "".join(map(str, self.predicted.tolist()))}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave."""
        return cls(**dict(content) | {"predicted": digits(content["predicted"])})


@dataclass(frozen=True)
class Reference:
    """The records of the run, as far as it has come.

    Attributes:
        about: how many galaxies were drawn and how they were divided, their fingerprint, and how many
            trainings of each group are planned.
        labels: (N,) true classes of the test galaxies.
        trainings: those that are done.
    """

    about: Mapping[str, Any]
    labels: np.ndarray
    trainings: tuple[Training, ...]

    @classmethod
    def read(cls, folder: Path | None = None) -> Self:
        """The records in a folder, by default the repository's.

        Raises:
            GalaxyError: there are none, or a file is not a record of this run.
        """
        folder = folder or repository(FOLDER)
        about = read_record(folder / ABOUT)
        labels = digits(about["labels"])
        trainings = []
        for path in sorted(path for group in GROUPS for path in (folder / group).glob("*.json")):
            try:
                one = Training.from_dict(read_record(path))
            except (KeyError, TypeError) as fault:
                raise GalaxyError(f"{path} is no record of a training ({fault}): make it again.") from fault
            if len(one.predicted) != len(labels):
                raise GalaxyError(f"{path} judges other galaxies than its run: remove it and make it again.")
            trainings.append(one)
        return cls(about, labels, tuple(trainings))

    def of(self, group: str) -> dict[str, list[Training]]:
        """The trainings of a group by name, each in the order of its seeds."""
        found: dict[str, list[Training]] = {}
        for one in sorted((one for one in self.trainings if one.group == group), key=lambda one: one.seed):
            found.setdefault(one.name, []).append(one)
        return found

    def right(self, trainings: Sequence[Training]) -> np.ndarray:
        """(trainings, N) whether each names each test galaxy rightly."""
        return np.stack([one.predicted == self.labels for one in trainings])

    def machines(self, group: str) -> str:
        """On what the trainings of a group ran and when, in words."""
        return machines_of(one.made for runs in self.of(group).values() for one in runs)


def machines_of(made: Iterable[Mapping[str, Any]]) -> str:
    """On what some trainings ran and when, in words."""
    made = list(made)
    machines = sorted({(one["hardware"]["gpus"] or [one["hardware"]["processor"]])[0] for one in made})
    days = sorted({one["time"][:10] for one in made})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"{' and '.join(machines)}, {span}"


def read_record(path: Path) -> dict[str, Any]:
    """A JSON file.

    Raises:
        GalaxyError: it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise GalaxyError(f"{path} is no record of the reference run ({fault}): make it again.") from fault


def digits(text: str) -> np.ndarray:
    """(N,) whole numbers below ten, of a string that has one digit for each."""
    return np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - ord("0")


@dataclass(frozen=True)
class Scatter:
    """How much a figure differs between trainings that differ in the seed alone.

    Attributes:
        deviation: pooled over all networks that were trained more than once.
        freedom: its degrees of freedom. Below `ENOUGH` they say next to nothing, and an interval that used
            them would span all accuracies: then the chance of the galaxies stands alone.
    """

    deviation: float
    freedom: int

    @classmethod
    def of(cls, figures: Sequence[np.ndarray]) -> Self:
        """Pool the scatter of several networks' figures, one for each training."""
        freedom = sum(len(one) - 1 for one in figures)
        squares = sum(float(((one - one.mean()) ** 2).sum()) for one in figures)
        return cls(float(np.sqrt(squares / freedom)) if freedom else 0.0, freedom)

    @property
    def is_known(self) -> bool:
        """Whether there are enough repeated trainings to go by."""
        return self.freedom >= ENOUGH

    def half_width(self, galaxies: np.ndarray, trainings: Sequence[int], *, level: float = 0.95) -> float:
        """Half of the interval of a mean over trainings, or of the difference of two.

        The chances of the galaxies (normal) and of the trainings (Student's) are added in squares.

        Args:
            galaxies: (N,) each test galaxy's share of the mean or of the difference.
            trainings: how many trainings stand behind each mean.
            level: of the interval, from 0 to 1.
        """
        tail = (1 + level) / 2
        chance = norm.ppf(tail) * float(galaxies.std(ddof=1)) / np.sqrt(len(galaxies))
        seeds = student.ppf(tail, self.freedom) * self.deviation if self.is_known else 0.0
        return float(np.hypot(chance, seeds * np.sqrt(sum(1 / count for count in trainings))))


def network_rows(reference: Reference, group: str) -> list[dict[str, Any]]:
    """One dict a network of a group, in the order of the plan: what it is, and its scores.

    Returns:
        `name`, `network`, `parameters`, `size` (px), `crop` (px), `epochs`, `seeds`, `seconds` of the
        shortest and the longest training; `accuracy`, `accuracy_low`, `accuracy_high` (95 %, galaxies and
        trainings), `macro_f1`, `train_accuracy`, all from 0 to 1; `last_change`, the change of the validation
        loss over the last three epochs (nats), None where nothing was validated.
    """
    runs = reference.of(group)
    scatter = Scatter.of([reference.right(ones).mean(axis=1) for ones in runs.values()])
    rows = []
    for name in (name for name in reference.about["planned"][group] if name in runs):
        ones, right = runs[name], reference.right(runs[name])
        half = scatter.half_width(right.mean(axis=0), (len(ones),))
        accuracy = float(right.mean())
        matrices = [matrix(reference, [one]).to_numpy() for one in ones]
        rows.append(
            {
                "name": name,
                "network": ones[0].title,
                "parameters": ones[0].parameters,
                "size": ones[0].recipe["size"],
                "crop": ones[0].recipe["crop"],
                "epochs": len(ones[0].history),
                "seeds": len(ones),
                "seconds": [min(one.seconds for one in ones), max(one.seconds for one in ones)],
                "accuracy": accuracy,
                "accuracy_low": max(0.0, accuracy - half),
                "accuracy_high": min(1.0, accuracy + half),
                "macro_f1": float(np.mean([f1_scores(matrix).macro for matrix in matrices])),
                "train_accuracy": float(np.mean([one.train_accuracy for one in ones])),
                "last_change": last_change([one.history for one in ones]),
            }
        )
    return rows


def last_change(
    histories: Sequence[Sequence[Mapping[str, float]]], *, figure: str = "validation_loss"
) -> float | None:
    """By how much a figure changes over the last epochs, on average over trainings; None without it."""
    losses = [[epoch.get(figure) for epoch in history] for history in histories]
    if any(None in one or len(one) <= LAST for one in losses):
        return None
    return float(np.mean([one[-1] - one[-1 - LAST] for one in losses]))


def differences(reference: Reference, group: str, *, against: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each member of a group less the one that it is compared with, in accuracy and in overfitting.

    The intervals are so wide (Bonferroni) that in 95 of 100 such tables all of a column hold.

    Args:
        reference: the run.
        group: of the trainings.
        against: by name, the name of the other.

    Returns:
        one dict for each pair of which both are trained, in the order of the plan: `name`, `title`,
        `against`, `seeds`; `change` of the test accuracy, with `low` and `high`, and `clear`, whether 0 lies
        outside, None while too little in the group was trained again and the chance of a training is unknown;
        `gap_change`, that of training less test accuracy, with `gap_low` and `gap_high`. Changes and ends are
        fractions of 1.
    """
    runs = reference.of(group)
    planned = [name for name in reference.about["planned"][group] if name in runs]
    pairs = [(name, against[name]) for name in planned if against.get(name, name) in set(planned) - {name}]
    rights = {name: reference.right(ones) for name, ones in runs.items()}
    accuracies = {name: right.mean(axis=1) for name, right in rights.items()}
    gaps = {
        name: np.array([one.train_accuracy for one in ones]) - accuracies[name] for name, ones in runs.items()
    }
    level = 1 - 0.05 / max(1, len(pairs))
    compared = (
        (accuracies, Scatter.of(list(accuracies.values())), ("change", "low", "high")),
        (gaps, Scatter.of(list(gaps.values())), ("gap_change", "gap_low", "gap_high")),
    )
    known = compared[0][1].is_known
    rows = []
    for name, base in pairs:
        row = {"name": name, "title": runs[name][0].title, "against": base, "seeds": len(runs[name])}
        each = rights[name].mean(axis=0) - rights[base].mean(axis=0)
        counts = len(runs[name]), len(runs[base])
        for figures, scatter, keys in compared:
            half = scatter.half_width(each, counts, level=level)
            value = float(figures[name].mean() - figures[base].mean())
            row |= zip(keys, (value, value - half, value + half), strict=True)
        rows.append(row | {"clear": row["low"] > 0 or row["high"] < 0 if known else None})
    return rows


def reference_changes(reference: Reference) -> list[dict[str, Any]]:
    """Each experiment of the reference run less the first line of its network; see `differences`."""
    trials = reference.of("experiments")
    against = {name: BASES[runs[0].recipe["network"]] for name, runs in trials.items()}
    return differences(reference, "experiments", against=against)


def matrix(reference: Reference, trainings: Sequence[Training]) -> pd.DataFrame:
    """Test galaxies of each true class (down) by the class given (across), over all trainings."""
    labels = range(len(CLASS_NAMES))
    counts = sum(confusion_matrix(reference.labels, one.predicted, labels=labels) for one in trainings)
    return pd.DataFrame(counts, index=CLASS_NAMES, columns=CLASS_NAMES)


def recalls(reference: Reference, trainings: Sequence[Training]) -> pd.DataFrame:
    """How well one network recognises each class, over its trainings.

    Returns:
        one line a class: `galaxies` that it has among the test galaxies; `recall`, the mean over the
        trainings, with `low` and `high`, Wilson's interval for so many galaxies; and `taken_for`, the wrong
        class that it is given most often, with `share`, how often.
    """
    counts = matrix(reference, trainings).to_numpy() / len(trainings)
    rows = []
    for label, row in enumerate(counts):
        galaxies, wrong = round(row.sum()), np.where(np.arange(len(row)) == label, -1, row)
        low, high = wilson(round(row[label]), galaxies)
        rows.append(
            {
                "galaxies": galaxies,
                "recall": ratio(row[label], galaxies),
                "low": low,
                "high": high,
                "taken_for": CLASS_NAMES[int(wrong.argmax())],
                "share": ratio(wrong.max(), galaxies),
            }
        )
    return pd.DataFrame(rows, index=pd.Index(CLASS_NAMES, name="class"))
