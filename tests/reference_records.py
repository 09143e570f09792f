"""A made-up reference run on disk."""

import json

import numpy as np

from galaxylib.paper.reference import ABOUT, Training
from galaxylib.paper.reference_votes import NAMES, VoteTraining
from galaxylib.paper.trials import CONVNET

LABELS = np.tile(np.arange(10), 40)
MADE = {"time": "2026-11-26T12:00:00+00:00", "hardware": {"processor": "AMD EPYC", "gpus": []}}


def records(folder, shares, *, seeds=3, group="experiments", train_accuracy=0.9, epochs=12):
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
                history=[{"epoch": 1}] * epochs,
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


VOTE_TITLES = dict(zip(NAMES, ("three-layer CNN", "ResNet-18", "tailored ResNet-18"), strict=True))
VOTE_ERRORS = np.random.default_rng(0).gamma(2, 0.005, 300)


def vote_training(name, seed, factor, *, train_rmse=0.08, epochs=5):
    """A made-up network of votes: its squared errors are `VOTE_ERRORS` times a factor and a little chance."""
    scatter = 1 + 0.02 * np.random.default_rng(seed).normal()
    return VoteTraining(
        name=name,
        title=VOTE_TITLES[name],
        seed=seed,
        recipe={"batch_size": 32, "learning_rate": 1e-3},
        rule="sigmoid",
        history=[{"epoch": epoch, "validation_rmse": 0.5 - 0.01 * epoch} for epoch in range(1, epochs + 1)],
        parameters=1000,
        seconds=90.0,
        train_images=400,
        train_rmse=train_rmse,
        errors=np.round(VOTE_ERRORS * factor * scatter, 6),
        guess=0.16,
        made=MADE,
    )
