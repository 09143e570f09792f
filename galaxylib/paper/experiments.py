"""The small experiments of the chapter on the other networks: what is changed, and what it changed.

Sources: seed 002 (ConvNet) and seed 003 (five blocks), which describe most of them in words only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.in_memory import InMemory
from galaxylib.errors import GalaxyError
from galaxylib.evaluation.intervals import wilson
from galaxylib.networks.registry import NETWORKS
from galaxylib.paper.comparison import mcnemar
from galaxylib.paper.progress import steps
from galaxylib.paper.reference import BASES
from galaxylib.paper.trials import FIVE_BLOCK, Result, Trial, probabilities, run_trial

OTHER_SEEDS = {"convnet": "ConvNet with another seed", "five_block": "five blocks with another seed"}
"""The lines that change nothing but the seed: the scatter of a training."""

WHOLE_IMAGE = "the whole 256 pixels"
HIERARCHY_OF_NINE = "nine networks of two answers"
WEAK_DOUBLED = "double weight on the weak classes"
"""Two experiments that are no single training."""
ALWAYS = (*BASES.values(), *OTHER_SEEDS.values())
"""Those that every run of the chapter makes."""

STAGED = {
    "learning_rate": 1e-3,
    "more_learning_rate": 5e-4,
    "patience": 5,
    "best_by": "accuracy",
}
"""Seed 003, section 4.1: 0.001, then 0.0005, each until five epochs bring nothing better.

It does not say from which weights its second stage goes on; here from the last ones.
"""


def planned(*, epochs: int, batch_size: int, five_size: int, seed: int) -> dict[str, Trial]:
    """The experiments by title, those of `BASES` among them.

    Args:
        epochs: passes over the training images of each.
        batch_size: images a step of the comparison; ConvNet's batch is not printed, and a smaller one takes
            more steps in as many epochs.
        five_size: pixels a side that the five-block CNN reads; below 64 its experiment on a narrower crop,
            read at the same scale, would leave it fewer than the 32 that its five poolings need.
        seed: of the first weights, the order and the augmentation.
    """
    convnet = Trial().but(epochs=epochs, batch_size=max(2, batch_size // 2), seed=seed)
    five = Trial(recipe=FIVE_BLOCK, weighted=True)
    five = five.but(epochs=epochs, size=five_size, batch_size=2 * batch_size, seed=seed)
    narrower = {"the central 64 pixels": five.but(crop=64, size=five_size // 2)} if five_size >= 64 else {}
    return {
        BASES["convnet"]: convnet,
        OTHER_SEEDS["convnet"]: convnet.but(seed=seed + 1),
        "RMSprop": convnet.but(optimizer="rmsprop"),
        "no rotations": convnet.but(rotate=0.0),
        "no dropout": convnet.but(options={"dropout": [0.0, 0.0]}),
        "three convolutions": convnet.but(options={"blocks": 3}),
        "five convolutions": convnet.but(options={"blocks": 5}),
        "four times the hidden neurons": convnet.but(options={"hidden": 1024}),
        "denoised by a Gaussian of 1 px": convnet.but(blur=1.0),
        WHOLE_IMAGE: convnet.but(crop=256, size=256, options={"side": 256}),
        BASES["five_block"]: five,
        OTHER_SEEDS["five_block"]: five.but(seed=seed + 1),
        "plain loss": five.but(weighted=False),
        "a quarter of the batch at half the rate": five.but(
            batch_size=max(2, batch_size // 2), learning_rate=five.recipe.learning_rate / 2
        ),
        "no pooling in two blocks": five.but(options={"unpooled": 2}),
    } | narrower


def chosen_experiments(plans: Mapping[str, Trial], wanted: str) -> list[str]:
    """The titles of the experiments to make, those of `ALWAYS` and the ones wanted, in the plans' order.

    Args:
        plans: all that there are, `HIERARCHY_OF_NINE` and `WEAK_DOUBLED` apart.
        wanted: titles parted by commas, or "all".

    Raises:
        GalaxyError: there is no such experiment.
    """
    titles = [*plans, HIERARCHY_OF_NINE, WEAK_DOUBLED]
    if wanted.strip() == "all":
        return titles
    asked = [title.strip() for title in wanted.split(",") if title.strip()]
    for title in asked:
        if title not in titles:
            offered = ", ".join(title for title in titles if title not in ALWAYS)
            raise GalaxyError(f'There is no experiment {title!r}: give "all" or some of {offered}.')
    return [title for title in titles if title in asked or title in ALWAYS]


@dataclass
class Views:
    """The parts of a file as trials read them; what two trials read alike is kept once.

    Attributes:
        data: the file.
        parts: rows by the part's name.
    """

    data: Galaxy10
    parts: Mapping[str, Sequence[int] | np.ndarray]
    kept: dict[tuple[int, int, float], dict[str, InMemory]] = field(default_factory=dict)

    def of(self, trial: Trial) -> dict[str, InMemory]:
        """The parts as this trial reads them, by name."""
        view = (trial.recipe.crop, trial.recipe.size, trial.blur)
        if view not in self.kept:
            self.kept[view] = {name: trial.read(self.data, rows) for name, rows in self.parts.items()}
        return self.kept[view]


def run_planned(plans: Mapping[str, Trial], views: Views) -> tuple[dict[str, Result], dict[str, np.ndarray]]:
    """Train every experiment on the part `train`; its result, and its probabilities on `test`, by title."""
    results, judged = {}, {}
    for title, plan in steps(plans.items(), label=lambda plan: plan[0]):
        sets = views.of(plan)
        results[title] = run_trial(plan, sets["train"])
        judged[title] = probabilities(results[title].network, sets["test"])
    return results, judged


def changes(plans: Mapping[str, Trial], right: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """What each experiment changed, against the first line of its network.

    Args:
        plans: of the experiments; one that is not among them belongs to ConvNet.
        right: by title, (N,) whether each test galaxy is named rightly.

    Returns:
        One line a title, both networks' one after the other: `accuracy` with its Wilson interval `low` and
        `high`, `change` of the accuracy, `p` of McNemar's test, and `scatter`, the change by another seed.
    """
    rows = []
    for network, title in BASES.items():
        base = right[title]
        scatter = abs(float(right[OTHER_SEEDS[network]].mean() - base.mean()))
        for name, hits in right.items():
            if (plans[name].recipe.network if name in plans else "convnet") != network:
                continue
            low, high = wilson(int(hits.sum()), len(hits))
            rows.append(
                {
                    "experiment": name,
                    "accuracy": hits.mean(),
                    "low": low,
                    "high": high,
                    "change": hits.mean() - base.mean(),
                    "p": mcnemar(hits, base)["p"],
                    "scatter": scatter,
                }
            )
    return pd.DataFrame(rows).set_index("experiment")


def shown_changes(experiments: pd.DataFrame) -> pd.DataFrame:
    """The same in words, as the page shows it."""
    first = experiments.index.isin(BASES.values())
    lines = experiments.itertuples()
    return pd.DataFrame(
        {
            "accuracy, %": [f"{100 * r.accuracy:.1f} [{100 * r.low:.1f}, {100 * r.high:.1f}]" for r in lines],
            "change, points": np.where(
                first, "", [f"{100 * change:+.1f}" for change in experiments["change"]]
            ),
            "p": np.where(first, "", [f"{p:.2g}" for p in experiments["p"]]),
        },
        index=experiments.index,
    )


def weakest(found: np.ndarray, labels: np.ndarray, *, count: int = 3) -> list[int]:
    """The classes of lowest recall, by (N, C) probabilities and (N,) labels."""
    right = found.argmax(axis=1) == labels
    ranked = sorted(np.unique(labels).tolist(), key=lambda label: right[labels == label].mean())
    return ranked[:count]


def weak_doubled(
    five: Trial, sets: Mapping[str, InMemory], weak: Sequence[int], *, seed: int
) -> list[dict[str, Any]]:
    """Three trainings from other first weights, one of which counts the errors of the weak classes double.

    A class that was weak by chance is likely to do better in any second training, so the change is taken
    against such a second training and not against the one in which the classes were weak.

    Args:
        five: how.
        sets: `train` and `test` as the trial reads them.
        weak: numbers of the weak classes.
        seed: of the plain training and of the one with double weight; a second plain one has the next.

    Returns:
        two rows, `of` the weak classes and of all: their test `galaxies`, the `change` of the share that is
        recognised, its `scatter`, the same by another seed alone, and McNemar's counts and `p`.
    """
    test = sets["test"]

    def hits(plan: Trial) -> np.ndarray:
        network = run_trial(plan, sets["train"]).network
        return probabilities(network, test).argmax(axis=1) == test.labels

    plain, once_more = hits(five.but(seed=seed)), hits(five.but(seed=seed + 1))
    emphasised = hits(five.but(seed=seed, emphasis=dict.fromkeys(weak, 2.0)))
    of_weak = np.isin(test.labels, weak)
    return [
        {
            "of": name,
            "galaxies": int(chosen.sum()),
            "change": float(emphasised[chosen].mean() - plain[chosen].mean()),
            "scatter": abs(float(once_more[chosen].mean() - plain[chosen].mean())),
            **mcnemar(emphasised[chosen], plain[chosen]),
        }
        for name, chosen in (("weak classes", of_weak), ("all classes", np.ones_like(of_weak)))
    ]


def weak_in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """What `weak_doubled` found, in two sentences; none without rows."""
    if not rows:
        return ""
    weak, everything = rows
    return (
        f"Double weight on these classes changes the recognised share of their {weak['galaxies']} test "
        f"galaxies by {100 * weak['change']:+.1f} points against a second training without it; another seed "
        f"alone changes it by {100 * weak['scatter']:.1f}. The accuracy over all classes changes by "
        f"{100 * everything['change']:+.1f} points, with another seed by {100 * everything['scatter']:.1f}."
    )


def recalls(found: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, float | None]:
    """The share of each class that is recognised, by name; None for a class that does not occur."""
    right = found.argmax(axis=1) == labels
    return {
        name: float(right[labels == label].mean()) if (labels == label).any() else None
        for label, name in enumerate(class_names)
    }


def stage_rows(staged: Result, test: InMemory) -> list[dict[str, float | int | str]]:
    """What the two stages of one training came to, a dict a stage.

    Args:
        staged: of a recipe with two rounds that watched the sets `train` and `test`.
        test: the set `test`.

    Returns:
        `stage`, `epochs`, the accuracies `training` and `test` at the end and, with `first_`, after the first
        epoch; `change` of the test accuracy against the end of the first stage, and McNemar's `p` of it.
    """
    rows: list[dict[str, float | int | str]] = []
    ends = [probabilities(one, test).argmax(axis=1) == test.labels for one in (staged.first, staged.network)]
    for number, (name, end) in enumerate(zip(("first", "second"), ends, strict=True), start=1):
        history = staged.history[staged.history["round"] == number]
        rows.append(
            {
                "stage": name,
                "epochs": len(history),
                "first_training": history["train"].iloc[0],
                "first_test": history["test"].iloc[0],
                "training": history["train"].iloc[-1],
                "test": history["test"].iloc[-1],
                "change": end.mean() - ends[0].mean(),
                "p": mcnemar(end, ends[0])["p"],
            }
        )
    return rows


def own_rows(right: Mapping[str, np.ndarray], *, kinds: Mapping[str, str]) -> list[dict[str, float | str]]:
    """Each network under its own recipe: share of images named rightly, with Wilson's interval.

    Args:
        right: by network, (N,) whether each test image is named rightly.
        kinds: by network, "simulated" or "real".
    """
    rows: list[dict[str, float | str]] = []
    for name, hits in right.items():
        low, high = wilson(int(hits.sum()), len(hits))
        row = {
            "name": name,
            "kind": kinds[name],
            "n": len(hits),
            "accuracy": hits.mean(),
            "low": low,
            "high": high,
        }
        rows.append(row)
    return rows


QUESTIONS = {"negm": "object or artefact", "kim_brunner": "star or galaxy", "shi": "smooth or featured"}


def beside_printed(rows: Sequence[Mapping[str, float | str]], *, passes: Mapping[str, str]) -> pd.DataFrame:
    """The rows of `own_rows` beside what each network's source prints.

    Args:
        rows: one a network.
        passes: by network, the epochs that it was trained for, in words.
    """
    lines = []
    for row in rows:
        known = NETWORKS[row["name"]]
        share, low, high = (100 * row[name] for name in ("accuracy", "low", "high"))
        printed = ", ".join(f"{score.replace('_', ' ')} {value:g}" for score, value in known.printed.items())
        lines.append(
            {
                "network": known.title,
                "question": QUESTIONS.get(row["name"], "ten classes"),
                "epochs here": passes[row["name"]],
                "printed epochs": str(known.recipe.epochs or "not printed"),
                "right here, %": f"{share:.1f} [{low:.1f}, {high:.1f}]",
                "images here": row["kind"],
                "printed": printed or "nothing",
            }
        )
    return pd.DataFrame(lines).set_index("network")
