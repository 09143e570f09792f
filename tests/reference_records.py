"""A made-up reference run on disk."""

import json

import numpy as np

from galaxylib.paper.reference import ABOUT, Training
from galaxylib.paper.trials import CONVNET

LABELS = np.tile(np.arange(10), 40)
MADE = {"time": "2026-11-26T12:00:00+00:00", "hardware": {"processor": "AMD EPYC"}}


def records(folder, shares, *, seeds=3, group="experiments", train_accuracy=0.9):
    """A reference run in which each of some trainings names a share of the galaxies rightly."""
    for name, share in shares.items():
        for seed in range(seeds):
            right = np.random.default_rng([seed, len(name)]).random(len(LABELS)) < share
            one = Training(
                group=group,
                name=name,
                title=name,
                seed=seed,
                recipe=CONVNET.but(seed=seed).to_dict(),
                history=[{"epoch": 1}] * 12,
                parameters=1000,
                seconds=60.0,
                train_accuracy=train_accuracy,
                predicted=np.where(right, LABELS, (LABELS + 1) % 10),
                made=MADE,
            )
            (folder / group).mkdir(parents=True, exist_ok=True)
            (folder / group / f"{len(name)}-{seed}.json").write_text(json.dumps(one.to_dict()))
    about = {"drawn": 10_000, "n_train": 4000, "n_test": len(LABELS), "labels": "".join(map(str, LABELS))}
    about |= {
        "planned": {"networks": {}, "experiments": {}, "parts": {}, group: dict.fromkeys(shares, seeds)}
    }
    folder.mkdir(exist_ok=True)
    (folder / ABOUT).write_text(json.dumps(about))
