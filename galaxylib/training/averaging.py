"""One network from several trainings: the mean of their weights."""

import argparse
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from galaxylib.errors import CheckpointError, GalaxyError, filled
from galaxylib.files import check_outputs
from galaxylib.networks.checkpoint import (
    CONFIDENCE,
    DESCRIPTION,
    Loaded,
    checkpoint_files,
    load,
    save_like,
)

LEAST_ALIKE = 0.5
"""Cosine of two trainings' weights below which their mean is refused: unrelated ones are at 0."""
OF_OTHER_WEIGHTS = (*CONFIDENCE, "best", "results")
"""What a training's description says of weights that the mean does not have."""
OF_TRAINING = (
    *("sha256", "data", "split_fingerprint", "companions", "start", "recipe"),
    *("seconds", "time", "commit", "hardware"),
)
"""What the mean's description repeats of each training."""


def average(checkpoints: Sequence[str | Path], folder: str | Path, *, own_network: str = "") -> Path:
    """Write the mean of the weights of several trainings of one network as a checkpoint.

    Trainings that began at the same weights, or one of which went on from another, often
    end in one valley, whose middle errs less than its slopes (Wortsman et al. 2022, arXiv:2203.05482).
    Trainings from random weights of their own end in valleys of their own, and their mean knows nothing.
    BatchNorm's statistics are averaged too. The mean has no temperature yet: `galaxylib calibrate` finds one.

    Args:
        checkpoints: Two or more folders, or names of weights that come with the book. The mean is described
            as the first is, and tells of each under `averaged_with`.
        folder: Where the mean is written.
        own_network: As in `galaxylib.networks.checkpoint.load`.

    Raises:
        CheckpointError: A checkpoint cannot be loaded, fewer than two are given, they differ in network,
            options, class names, preparation of the image or task, or their weights have nothing in common.
        GalaxyError: `folder` holds a checkpoint already or cannot be written, or the disk is full.
    """
    given = [load(checkpoint, own_network=own_network) for checkpoint in checkpoints]
    names = [str(checkpoint) for checkpoint in checkpoints]
    if len(given) < 2:
        raise CheckpointError(
            "A mean takes two checkpoints at least: give another training of the same network."
        )
    for name, other in zip(names[1:], given[1:], strict=True):
        _check_same(names[0], given[0], name, other)
    _check_alike(names, given)
    if (Path(folder) / DESCRIPTION).exists():
        raise GalaxyError(f"{folder} holds a checkpoint already: give the mean a folder of its own.")
    check_outputs(*checkpoint_files(folder))
    states = [one.network.state_dict() for one in given]
    first = given[0]
    first.network.load_state_dict(
        {
            key: torch.stack([state[key].double() for state in states]).mean(0).to(tensor.dtype)
            for key, tensor in states[0].items()
        }
    )
    told = [part for one in given for part in _told(one.meta)]
    return save_like(first, folder, without=OF_OTHER_WEIGHTS, averaged_with=told)


def _told(meta: dict[str, Any]) -> list[dict[str, Any]]:
    """What the description of the mean says of a training, or of those whose mean was given."""
    return meta.get("averaged_with") or [{key: meta[key] for key in OF_TRAINING if key in meta}]


def _check_same(name: str, first: Loaded, other_name: str, other: Loaded) -> None:
    for what in ("network", "options", "class_names", "preprocess", "task"):
        ours, theirs = (one.meta.get(what) for one in (first, other))
        if what == "task":  # which galaxies taught it may differ
            ours, theirs = ({key: (of or {}).get(key) for key in ("name", "rule")} for of in (ours, theirs))
        if ours != theirs:
            raise CheckpointError(
                f"{other_name} has another {what.replace('_', ' ')} ({theirs!r}) than {name} ({ours!r}): "
                "average trainings of one network on images prepared alike."
            )


def _check_alike(names: Sequence[str], given: Sequence[Loaded]) -> None:
    """Refuse trainings that began apart, by their kernels: BatchNorm's weights are near 1 in all."""
    flat = [
        torch.cat(
            [torch.empty(0), *(of.detach().flatten() for of in one.network.parameters() if of.ndim > 1)]
        )
        for one in given
    ]
    for (name, ours), (other, theirs) in combinations(zip(names, flat, strict=True), 2):
        alike = float(torch.cosine_similarity(ours, theirs, dim=0))
        if not alike >= LEAST_ALIKE:
            raise CheckpointError(
                f"The weights of {name} and {other} have little in common (cosine {alike:.2f}), so their "
                "mean would know nothing: average trainings that began at the same weights, or at one "
                "another's (`train --start`)."
            )


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `galaxylib average`."""
    command.add_argument(
        "checkpoints",
        type=filled,
        nargs="+",
        metavar="CHECKPOINT",
        help="folders that `train` wrote, from the same first weights or one from the other's; the mean is "
        "described as the first is",
    )
    command.add_argument("--out", type=filled, required=True, metavar="FOLDER", help="the folder to write")


def run(options: argparse.Namespace) -> None:
    """Average trainings as the command line says."""
    out = average(options.checkpoints, options.out, own_network=options.own_network)
    count = len(options.checkpoints)
    print(
        f"The mean of {count} trainings is in {out}: before you trust its confidence, calibrate it on "
        "galaxies that none of them has met (--part all)."
    )
