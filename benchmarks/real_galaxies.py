"""What each part of the recipe for real galaxies brings, on the small network.

Goes on from one checkpoint several times, each time with a part more or a part less, and scores the outcome
on simulated galaxies and on the held-out quarter of two sets of SDSS images:

    python benchmarks/real_galaxies.py --start small --data NEW.h5 --former OLD.h5 --test TEST.h5 \
        --votes GZ2 --coarse GZ1 --unlabelled DECALS

The rule: no label of a Galaxy10 image plays any part in this script. What is held out of Galaxy Zoo 2 and
Galaxy Zoo 1 is never learned from, and is of another survey than Galaxy10's images.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Self

import numpy as np

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.splits import all_to_train
from galaxylib.errors import DataError
from galaxylib.evaluation.intervals import wilson
from galaxylib.evaluation.judge import judge_rows
from galaxylib.files import atomic, write_json
from galaxylib.networks.checkpoint import Loaded, load
from galaxylib.paper.comparison import mcnemar
from galaxylib.provenance import provenance
from galaxylib.training.callbacks import Keeper
from galaxylib.training.companions import Companions
from galaxylib.training.hardware import Devices, arithmetic
from galaxylib.training.loop import train
from galaxylib.training.plan import Plan
from galaxylib.training.recipes import CHOICES, PAPER_RECIPE, RECIPES, Recipe
from galaxylib.training.steps import Run, settled
from galaxylib.training.tasks import Classification
from galaxylib.votes.held_out import held_out_part, is_right, judged, score
from galaxylib.votes.other_surveys import (
    GROUPS,
    Survey,
    companions_of,
    read_coarse,
    read_unlabelled,
    read_voted,
    restretched,
)

STATISTICS = CHOICES["statistics"]
BOTH = ("gz2", "gz1")
SHORT = {"growth": "", "learning_rate": 1e-3, "warm_up": 0.1}
SURE = 0.8
"""From which probability on a network's own answer counts as a label."""
PAPERS_CHANGES = {"jitter": 0.0, "brightness": PAPER_RECIPE.brightness, "contrast": PAPER_RECIPE.contrast}


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """One way to train.

    Attributes:
        title: as the table shows it.
        surveys: what is learned beside the simulated galaxies: "gz2", "gz1", or both.
        former: whether the simulated galaxies are those of the former simulator.
        as_sdss: whether the SDSS's images stay as they are.
        changes: of the recipe.
        teacher: the run whose confident answers label the unlabelled images; "" where they have no label.
        against: the run that it is compared with, galaxy by galaxy; "" for none.
    """

    title: str
    surveys: tuple[str, ...] = ()
    former: bool = False
    as_sdss: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)
    teacher: str = ""
    against: str = ""


RUNS = {
    "former": Ablation(title="former simulator alone", former=True),
    "simulated": Ablation(title="simulator alone", against="former"),
    "gz2": Ablation(title="with votes", surveys=BOTH[:1], against="simulated"),
    "gz1": Ablation(title="with coarse classes", surveys=BOTH[1:], against="simulated"),
    "both": Ablation(title="with both", surveys=BOTH, against="simulated"),
    "as_sdss": Ablation(
        title="with both, in the SDSS's own colours", surveys=BOTH, as_sdss=True, against="both"
    ),
    "no_jitter": Ablation(
        title="with both, the paper's augmentation", surveys=BOTH, changes=PAPERS_CHANGES, against="both"
    ),
    "smaller": Ablation(
        title="with both, at 96 pixels instead of 128", surveys=BOTH, changes={"size": 96}, against="both"
    ),
    "self_taught": Ablation(
        title="with both and its own confident answers", surveys=BOTH, teacher="both", against="both"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Surveys:
    """Other surveys' galaxies in one look: "gz2", "gz1" and, if given, "unlabelled"."""

    parts: Mapping[str, Survey]

    @classmethod
    def read(cls, votes: Path, coarse: Path, unlabelled: Path | None, *, as_sdss: bool) -> Self:
        """Read the folders; the unlabelled images are the Legacy Surveys' own, whatever the look."""
        look = np.asarray if as_sdss else restretched
        parts = {"gz2": read_voted(votes, look=look), "gz1": read_coarse(coarse, look=look)}
        return cls(parts=parts | ({"unlabelled": read_unlabelled(unlabelled)} if unlabelled else {}))

    def companions(self, names: tuple[str, ...]) -> Companions:
        """The named ones and the unlabelled, without what is held out."""
        return companions_of(*(part for name, part in self.parts.items() if name in (*names, "unlabelled")))

    def answered(self, teacher: Loaded) -> Self:
        """The same, the unlabelled images named by a network where it is sure (Lee 2013, pseudo-labels).

        Raises:
            DataError: there are no unlabelled images.
        """
        if "unlabelled" not in self.parts:
            raise DataError(
                "A network cannot teach itself without images: give --unlabelled, or leave the run out."
            )
        unlabelled = self.parts["unlabelled"]
        found = judged(teacher, unlabelled)
        kinds = found.argmax(axis=1)
        sure = found.max(axis=1) >= SURE
        targets = np.where(sure[:, None], np.eye(found.shape[1], dtype=np.float32)[kinds], np.float32(0))
        named = replace(unlabelled, targets=targets, kinds=kinds)
        return replace(self, parts={**self.parts, "unlabelled": named})

    def held_out(self) -> dict[str, Survey]:
        """What a network is scored on."""
        return {name: held_out_part(self.parts[name]) for name in BOTH}


def trained(
    run: Ablation, data: Galaxy10, surveys: Surveys, recipe: Recipe, *, start: str | Path, out: Path
) -> Loaded:
    """The network of one run, gone on with where it was cut; a finished one is only read."""
    companions = surveys.companions(run.surveys) if run.surveys else None
    train(data, all_to_train(data), recipe, out=out, companions=companions, start=start, resume=True)
    return load(out)


def with_statistics(
    loaded: Loaded, statistics: str, data: Galaxy10, companions: Companions, recipe: Recipe
) -> Loaded:
    """The same weights with BatchNorm's statistics measured as a training measures them, which begins here.

    Its round is built and never fitted, so that its folder stays as it is.
    """
    recipe = recipe.but(statistics=statistics, averaging=0.0)
    plan, mode = Plan(data, all_to_train(data), recipe, Devices.announced()), arithmetic(recipe.precision)
    keeper = Keeper(
        Path(), recipe=recipe, task=Classification(), facts={}, images=plan.images, precision=mode.name
    )
    run = Run(loaded.network, plan, recipe, Classification(), mode, keeper, epochs=1, companions=companions)
    return replace(loaded, network=settled(run))


def judged_everywhere(
    loaded: Loaded, test: Galaxy10, looks: Mapping[str, Mapping[str, Survey]]
) -> dict[str, np.ndarray]:
    """Probabilities (N, 10) of the simulated galaxies and of each survey in each look."""
    rows = np.arange(len(test))
    found = {"simulated": judge_rows(loaded.network, test, rows, preprocess=loaded.preprocess)}
    for ending, surveys in looks.items():
        found |= {name + ending: judged(loaded, survey) for name, survey in surveys.items()}
    return found


def scored(
    found: Mapping[str, np.ndarray], labels: np.ndarray, looks: Mapping[str, Mapping[str, Survey]]
) -> dict[str, Any]:
    """Scores of one set of probabilities, shares with Wilson's 95 % intervals."""
    right = found["simulated"].argmax(axis=1) == labels
    scores: dict[str, Any] = {"simulated": share_of(right)}
    for ending, surveys in looks.items():
        for name, survey in surveys.items():
            told = score(found[name + ending], survey)
            if survey.partial:
                told |= share_of(is_right(found[name + ending], survey))
                told["groups"] = {
                    group: share_of(is_right(found[name + ending], survey)[of_group(survey, group)])
                    for group in told["groups"]
                }
            scores[name + ending] = told
    return scores


def of_group(survey: Survey, group: str) -> np.ndarray:
    """Which galaxies belong to a group, named as "one" or "one or another": (N,) bool."""
    return np.isin(survey.kinds, [list(GROUPS).index(name) for name in group.split(" or ")])


def share_of(right: np.ndarray) -> dict[str, Any]:
    """The share that is right, as `galaxylib.votes.classes.agreement` tells it."""
    low, high = wilson(int(right.sum()), len(right))
    return {"n": len(right), "share": float(right.mean()), "low": low, "high": high}


def disagreement(seeds: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """Share of the galaxies that two seeds put into different classes, the mean over all pairs of seeds."""
    pairs = list(combinations(seeds, 2))
    return {
        name: float(np.mean([(one[name].argmax(1) != two[name].argmax(1)).mean() for one, two in pairs]))
        for name in (seeds[0] if pairs else ())
    }


@dataclass(frozen=True, kw_only=True)
class Given:
    """What all runs share.

    Attributes:
        recipe: of all runs, which then change what they are about.
        start: the checkpoint that all begin with.
        files: simulated galaxies: "new", "former" where a run wants it, and "test".
        surveys: other surveys' galaxies by whether they have the SDSS's own look.
        scratch: where networks and their probabilities are kept; what is there is not computed again.
    """

    recipe: Recipe
    start: str | Path
    files: Mapping[str, Galaxy10]
    surveys: Mapping[bool, Surveys]
    scratch: Path

    def judged(
        self, name: str, run: Ablation, seed: int, looks: Mapping[str, Mapping[str, Survey]]
    ) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
        """What the checkpoint of one training says of itself, and its probabilities by statistics."""
        data, surveys = self.files["former" if run.former else "new"], self.surveys[run.as_sdss]
        recipe = self.recipe.but(
            companions=self.recipe.companions if run.surveys else 0,
            statistics="both" if run.surveys else "training",
            **run.changes,
            seed=seed,
        )
        out, test = self.scratch / f"{name}-{seed}", self.files["test"]
        if run.teacher:
            surveys = surveys.answered(load(self.scratch / f"{run.teacher}-{seed}"))
        loaded = trained(run, data, surveys, recipe, start=self.start, out=out)
        found = {}
        for statistics in STATISTICS:
            kept = out / f"{statistics}-{loaded.meta['sha256'][:12]}-{test.fingerprint}.npz"
            if not kept.exists():
                network = with_statistics(loaded, statistics, data, surveys.companions(BOTH), recipe)
                with atomic(kept) as path, path.open("wb") as file:
                    np.savez(file, **judged_everywhere(network, test, looks))
            with np.load(kept) as arrays:
                found[statistics] = dict(arrays)
        return {key: loaded.meta[key] for key in ("sha256", "time", "commit")} | {"seed": seed}, found


def measure(
    runs: Mapping[str, Ablation],
    recipe: Recipe,
    *,
    start: str | Path,
    files: Mapping[str, Galaxy10],
    folders: Mapping[str, Path | None],
    seeds: list[int],
    scratch: Path,
) -> dict[str, Any]:
    """Train and score: the whole benchmark as a JSON object.

    Args:
        runs: of `RUNS`, in their order, for a run is compared with an earlier one, or taught by it.
        recipe: as `Given` has it.
        start: as `Given` has it.
        files: as `Given` has them.
        folders: "votes", "coarse" and "unlabelled", which may be None.
        seeds: of the trainings.
        scratch: as `Given` has it.

    Raises:
        DataError: the two simulators' files are of different sizes.
    """
    if "former" in files and len(files["former"]) != len(files["new"]):
        raise DataError("The former and the new file hold different numbers of galaxies: draw as many.")
    surveys = {as_sdss: Surveys.read(**folders, as_sdss=as_sdss) for as_sdss in (False, True)}
    looks = {"": surveys[False].held_out(), "_as_sdss": surveys[True].held_out()}
    given = Given(recipe=recipe, start=start, files=files, surveys=surveys, scratch=scratch)
    told: dict[str, Any] = {}
    together: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for name, run in runs.items():
        checkpoints, found = zip(*(given.judged(name, run, seed, looks) for seed in seeds), strict=True)
        of_run: dict[str, Any] = {}
        for statistics in STATISTICS:
            one = [seed[statistics] for seed in found]
            mean = {of: np.mean([seed[of] for seed in one], axis=0) for of in one[0]}
            together[name, statistics] = mean
            of_run[statistics] = {
                "per_seed": [scored(seed, files["test"].labels, looks) for seed in one],
                "together": scored(mean, files["test"].labels, looks),
                "disagreement": disagreement(one),
            }
            if run.against in runs:
                other = together[run.against, statistics]
                of_run[statistics]["paired"] = {
                    of: mcnemar(is_right(mean[of], survey), is_right(other[of], survey))
                    for of, survey in looks[""].items()
                }
        told[name] = {
            "title": run.title,
            "against": run.against if run.against in runs else "",
            "surveys": list(run.surveys),
            "changes": dict(run.changes),
            "checkpoints": list(checkpoints),
            "statistics": of_run,
        }
        print(f"{name}: {of_run['both']['together']['gz2']['clear']['share']:.1%} of clear votes", flush=True)
    return {
        "rule": " ".join(__doc__.split("The rule: ")[1].split()),
        "runs": told,
        "seeds": seeds,
        "start": {"name": Path(start).name, "sha256": load(start).meta["sha256"]},
        "recipe": recipe.to_dict(),
        "sure": SURE,
        "files": {
            name: {"galaxies": len(file), "fingerprint": file.fingerprint} for name, file in files.items()
        },
        "learned": {name: int((~part.held).sum()) for name, part in surveys[False].parts.items()},
        "held_out": {name: len(part) for name, part in looks[""].items()},
        "provenance": provenance(),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", required=True, help="checkpoint of the small network, or its name")
    parser.add_argument("--data", type=Path, required=True, help="simulated galaxies to train on")
    parser.add_argument("--former", type=Path, help="as many of the former simulator")
    parser.add_argument("--test", type=Path, required=True, help="simulated galaxies to be scored on")
    parser.add_argument("--votes", type=Path, required=True, help="SDSS images with votes of Galaxy Zoo 2")
    parser.add_argument("--coarse", type=Path, required=True, help="SDSS images with classes of Galaxy Zoo 1")
    parser.add_argument("--unlabelled", type=Path, help="Legacy Surveys' images for BatchNorm's statistics")
    parser.add_argument("--epochs", type=int, default=2, help="passes over the simulated galaxies")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--runs", nargs="+", choices=list(RUNS), help="some of the runs; all by default")
    parser.add_argument(
        "--scratch", type=Path, default=Path("_build/real_galaxies"), help="where runs are kept"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/real_galaxies.json"))
    given = parser.parse_args()
    given.scratch.mkdir(parents=True, exist_ok=True)
    named = {"new": given.data, "former": given.former, "test": given.test}
    wanted = given.runs or [
        name
        for name, run in RUNS.items()
        if (given.former or not run.former) and (given.unlabelled or not run.teacher)
    ]
    found = measure(
        {name: RUNS[name] for name in RUNS if name in wanted},
        RECIPES["real-small"].but(**SHORT, epochs=given.epochs),
        start=given.start,
        files={name: Galaxy10(path) for name, path in named.items() if path is not None},
        folders={name: getattr(given, name) for name in ("votes", "coarse", "unlabelled")},
        seeds=given.seeds,
        scratch=given.scratch,
    )
    write_json(given.out, found)
    print(given.out)


if __name__ == "__main__":
    main()
