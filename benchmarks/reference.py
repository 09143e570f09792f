"""The reference run: the trainings that a page has no time for, made one by one and never twice.

Each finished training leaves its record in `benchmarks/results/reference/`, so that the run may be cut at any
time and goes on where it was; two processes may share the work:

    OMP_NUM_THREADS=1 python -m benchmarks.reference &
    OMP_NUM_THREADS=1 python -m benchmarks.reference --group experiments

What is trained stands in the profile `reference` (ci/profiles.yml); a record that was made by another recipe
is made again.
"""

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from ci.parameters import profile_values
from galaxylib.data import splits
from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.splits import Split
from galaxylib.errors import GalaxyError
from galaxylib.files import write_json
from galaxylib.networks.dmagnet import count_parameters
from galaxylib.networks.registry import entry
from galaxylib.paper.ablations import PARTS, PARTS_WIDTH, WHOLE
from galaxylib.paper.comparison import recipe_for
from galaxylib.paper.experiments import Views, planned
from galaxylib.paper.reference import ABOUT, BASES, FOLDER, GROUPS, HALVED, Training, read_record
from galaxylib.paper.reference_votes import GROUP, NAMES, VoteTraining
from galaxylib.paper.trials import Trial, accuracy, probabilities, run_trial
from galaxylib.paper.vote_networks import VoteTrial, run_votes
from galaxylib.paper.vote_networks import planned as planned_votes
from galaxylib.paper.workspace import open_data, open_split
from galaxylib.provenance import provenance
from galaxylib.training.recipes import QUICK
from galaxylib.votes.outputs import predict_votes
from galaxylib.votes.simulated import simulated_votes
from galaxylib.votes.zoo2 import Votes, rmse

CHAPTER = "05_baselines"
VOTES_CHAPTER = "07_votes"
SLOW = ("dmagnet", "resnet18", "alexnet", "resnet", "tailored")
"""Networks that are trained once less than the others."""
TRIALS = 3
"""Trainings of each experiment; the first of each network, the measure of all others, has one more."""
AVERAGED = 2
"""Passes over which the weights of an experiment are averaged. The papers train at a constant rate and keep
the last weights, of which two trainings differ by several points, whatever is changed between them."""


@dataclass(frozen=True)
class Job:
    """One training that is planned.

    Attributes:
        group: where it belongs.
        name: of the network, the experiment or the part, which its file is called by.
        title: as a table shows it.
        trial: how.
    """

    group: str
    name: str
    title: str
    trial: Trial | VoteTrial

    @property
    def file(self) -> str:
        """Its record, within the folder."""
        slug = "".join(letter if letter.isalnum() else "_" for letter in self.name)
        return f"{self.group}/{slug}-{self.trial.recipe.seed}.json"


def jobs(values: dict[str, Any]) -> list[Job]:
    """All trainings by the parameters of the profile.

    The comparison comes seed by seed, so that all networks are there early, and after it the same with half
    the passes; the experiments and the parts come one by one, with all seeds of each, for one training alone
    says nothing about them.
    """
    seeds, batch = values["seeds"], values["batch_size"]
    base = QUICK.but(width=values["width"], batch_size=batch, epochs=values["epochs"])
    names = [name.strip() for name in values["networks"].split(",")]
    found = []
    for seed in range(seeds):
        for name in names:
            if name in SLOW and seed and seed == seeds - 1:
                continue
            recipe = recipe_for(name, base.but(seed=seed), largest=values["largest"])
            found.append(Job("networks", name, entry(name).title, Trial(recipe=recipe)))
    found += [
        Job(HALVED, job.name, job.title, job.trial.but(epochs=job.trial.recipe.epochs // 2)) for job in found
    ]
    wanted = {title.strip() for title in values["experiments"].split(",")} | set(BASES.values())
    plans = planned(epochs=values["trial_epochs"], batch_size=batch, five_size=values["five_size"], seed=0)
    for title in (title for title in plans if title in wanted):
        trial = averaged(plans[title], images=values["train_images"])
        trials = TRIALS + (title in BASES.values())
        found += [Job("experiments", title, title, trial.but(seed=seed)) for seed in range(trials)]
    for part, title in {"": WHOLE, **PARTS}.items():
        recipe = base.but(
            network="galaxylib.paper.ablations:WithParts",
            options={"width": PARTS_WIDTH, **({part: False} if part else {})},
            size=values["largest"],
            crop=entry("dmagnet").crop,
            epochs=values["trial_epochs"],
        )
        found += [Job("parts", title, title, Trial(recipe=recipe.but(seed=seed))) for seed in range(seeds)]
    return found


def averaged(trial: Trial, *, images: int) -> Trial:
    """The same with the moving average of the weights kept, over `AVERAGED` passes through so many images."""
    steps = AVERAGED * math.ceil(images / trial.recipe.batch_size)
    return trial.but(averaging=round(1 - 1 / steps, 5))


def vote_jobs(values: dict[str, Any], *, seeds: int) -> list[Job]:
    """The trainings of the networks of votes by the parameters of their chapter in the profile."""
    epochs = values["cnn_epochs"], values["resnet_epochs"], values["tailored_epochs"]
    found = []
    for seed in range(seeds):
        plan = planned_votes(
            epochs=epochs, cnn_batch=values["cnn_batch"], schedule=values["schedule"], seed=seed
        )
        for name, (title, trial) in zip(NAMES, plan.items(), strict=True):
            if name in SLOW and seed and seed == seeds - 1:
                continue
            found.append(Job(GROUP, name, title, trial))
    return found


def divided(galaxies: Galaxy10, split: Split, *, count: int) -> dict[str, np.ndarray]:
    """Rows by part: so many to train on, and all others that the split has."""
    kept = np.random.default_rng(0).permutation(split.train)[:count]
    return {"train": np.sort(kept), "validation": split.validation, "test": split.test}


def trained(job: Job, views: Views) -> Training:
    """Train one network and let it judge the test galaxies."""
    sets = views.of(job.trial)
    result = run_trial(job.trial, sets["train"], validation=sets["validation"])
    found = probabilities(result.network, sets["test"])
    return Training(
        group=job.group,
        name=job.name,
        title=job.title,
        seed=job.trial.recipe.seed,
        recipe=job.trial.recipe.to_dict(),
        history=_plain(result.history),
        parameters=count_parameters(result.network),
        seconds=round(result.seconds, 1),
        train_accuracy=accuracy(probabilities(result.network, sets["train"]), sets["train"].labels),
        predicted=found.argmax(axis=1),
        made=provenance(),
    )


def trained_on_votes(job: Job, votes: Votes, rows: dict[str, np.ndarray]) -> VoteTraining:
    """Train one network of votes and let it judge the test galaxies.

    Args:
        job: of the group of votes.
        votes: of all galaxies in `rows`, in the order of its parts.
        rows: by part, as `divided` has them.
    """
    ends = np.cumsum([len(rows[part]) for part in splits.PARTS])
    places = dict(zip(splits.PARTS, np.split(np.arange(ends[-1]), ends[:-1]), strict=True))
    split = Split(**places, method="sky", seed=0, fingerprint=votes.fingerprint)
    result = run_votes(votes, split, job.trial, epoch=0)
    train, test = votes.rows(places["train"]), votes.rows(places["test"])
    found = {
        name: predict_votes(result.network, part.images, job.trial.rule)
        for name, part in (("train", train), ("test", test))
    }
    guess = np.broadcast_to(train.fractions.mean(axis=0), test.fractions.shape)
    return VoteTraining(
        name=job.name,
        title=job.title,
        seed=job.trial.recipe.seed,
        recipe=job.trial.recipe.to_dict(),
        rule=job.trial.rule,
        history=_plain(result.history),
        parameters=count_parameters(result.network),
        seconds=round(float(result.history["seconds"].sum()), 1),
        train_images=len(train),
        train_rmse=rmse(found["train"], train.fractions),
        errors=((found["test"] - test.fractions) ** 2).mean(axis=1),
        guess=rmse(guess, test.fractions),
        made=provenance(),
    )


def _plain(history: pd.DataFrame) -> list[dict[str, float]]:
    """The figures of each epoch as JSON has them."""
    return [
        {name: round(value, 5) for name, value in epoch.items() if isinstance(value, int | float)}
        for epoch in history.to_dict(orient="records")
    ]


def left(folder: Path, plan: list[Job], *, locks: Path) -> Iterator[tuple[Job, Path]]:
    """The trainings without a record by the same recipe, each while no other process is at it."""
    locks.mkdir(parents=True, exist_ok=True)
    for job in plan:
        path = folder / job.file
        try:
            with FileLock(locks / f"{job.group}-{path.stem}.lock", blocking=False):
                if not path.is_file() or read_record(path)["recipe"] != job.trial.recipe.to_dict():
                    yield job, path
        except Timeout:
            continue


def main() -> None:
    """Make what is left of the plan."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(FOLDER), help="folder of the records")
    parser.add_argument(
        "--build", type=Path, default=Path("_build/results/reference"), help="for the galaxies"
    )
    parser.add_argument("--group", choices=(*GROUPS, GROUP), help="which trainings; all of them without it")
    options = parser.parse_args()
    values = profile_values("reference", CHAPTER, takes={"simulated": 0, "width": 0})
    plan = jobs(values)
    plan += vote_jobs(profile_values("reference", VOTES_CHAPTER, takes={}), seeds=values["seeds"])
    options.build.mkdir(parents=True, exist_ok=True)
    with FileLock(options.build / "galaxies.lock"):
        galaxies = open_data("simulated", outputs=options.build, simulated=values["simulated"])
        split = open_split(galaxies, outputs=options.build)
        rows = divided(galaxies, split, count=values["train_images"])
        names: dict[str, dict[str, int]] = {}
        for job in plan:
            group = names.setdefault(job.group, {})
            group[job.name] = group.get(job.name, 0) + 1
        about = {
            "what": "trainings of the reference run, on simulated galaxies",
            "drawn": len(galaxies),
            **{f"n_{part}": len(numbers) for part, numbers in rows.items()},
            "fingerprint": galaxies.fingerprint,
            "largest": values["largest"],
            "planned": names,
            "labels": "".join(map(str, galaxies.labels[rows["test"]].tolist())),
        }
        known = options.out / ABOUT
        if known.is_file() and read_record(known)["fingerprint"] != about["fingerprint"]:
            raise GalaxyError(f"{options.out} holds records of other galaxies: move it away and begin anew.")
        options.out.mkdir(parents=True, exist_ok=True)
        write_json(known, about)
    views = Views(galaxies, rows)
    chosen = [job for job in plan if options.group in (None, job.group)]
    votes = cache(lambda: simulated_votes(galaxies, np.concatenate([rows[part] for part in splits.PARTS])))
    for job, path in left(options.out, chosen, locks=options.build / "locks"):
        began = time.monotonic()
        one = trained_on_votes(job, votes(), rows) if job.group == GROUP else trained(job, views)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, one.to_dict())
        if isinstance(one, VoteTraining):
            told = f"an error of {one.rmse:.4f}"
        else:
            told = f"{(one.predicted == galaxies.labels[rows['test']]).mean():.1%} right"
        print(f"{job.file}: {told}, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
