"""Trained networks of votes: kept, read back, and scored on a folder of real galaxies."""

from pathlib import Path
from typing import Any

import numpy as np

from galaxylib.errors import CheckpointError
from galaxylib.evaluation.predictions import EVALUATION, PREDICTIONS
from galaxylib.files import write_json
from galaxylib.networks import checkpoint
from galaxylib.networks.checkpoint import Loaded
from galaxylib.votes.outputs import RULES, predict_votes
from galaxylib.votes.zoo2 import ANSWERS, read_votes, rmse, rmse_interval, write_predictions

PRETRAINED = Path(__file__).parents[1] / "weights" / "zoo2"


def load_votes_network(path: str | Path, *, own_network: str = "") -> Loaded:
    """Read a network of votes.

    Args:
        path: its folder, or "pretrained" for the one that comes with the book.
        own_network: a network of your own that may be imported; see `checkpoint.load`.

    Raises:
        CheckpointError: there is none, it is damaged, or it is no network of votes.
    """
    if str(path) == "pretrained":
        path = PRETRAINED
        if not (path / checkpoint.DESCRIPTION).is_file():
            raise CheckpointError(
                "This copy of galaxylib carries no pretrained network of votes: train one in the chapter on "
                "votes and give its folder as the checkpoint."
            )
    loaded = checkpoint.load(path, own_network=own_network)
    if loaded.class_names != ANSWERS or loaded.meta.get("task", {}).get("rule") not in RULES:
        raise CheckpointError(
            f"{path} holds a network with {len(loaded.class_names)} outputs that is not of Galaxy Zoo's "
            "votes: give a checkpoint that was trained for them, or `pretrained`."
        )
    return loaded


def evaluate_votes(
    folder: str | Path,
    path: str | Path,
    out: str | Path,
    *,
    symmetries: bool = False,
    batch_size: int = 128,
    progress: bool = False,
    own_network: str = "",
) -> dict[str, Any]:
    """Score a network of votes on a folder in the challenge's layout.

    Writes `evaluation.json` and `predictions.csv` (the challenge's columns) into `out`.

    Args:
        folder: the galaxies.
        path: the checkpoint, or "pretrained".
        out: where the two files go.
        symmetries: average over the eight right-angle rotations and mirrorings.
        batch_size: images at once.
        progress: show a progress bar.
        own_network: a network of your own that may be imported; see `checkpoint.load`.

    Returns:
        What `evaluation.json` holds: `n`, `rmse`, `rmse_interval`, `rmse_mean_guess` (the folder's own column
        means, the best that a constant can do), `rmse_by_answer`, `n_trained_on` (galaxies of the folder that
        the network saw in training) and, where some were and some were not, `unseen`: the same figures for
        those it never saw.

    Raises:
        DataError: the folder is not in the challenge's layout.
        CheckpointError: the checkpoint is missing, damaged, or not of votes.
        GalaxyError: the disk is full.
    """
    loaded = load_votes_network(path, own_network=own_network)
    votes = read_votes(folder)
    task = loaded.meta["task"]
    predicted = predict_votes(
        loaded.network,
        votes.images,
        task["rule"],
        symmetries=symmetries,
        batch_size=batch_size,
        progress=progress,
    )
    seen = np.isin(votes.ids, task.get("trained_on", []))
    content = figures(predicted, votes.fractions) | {
        "rmse_by_answer": dict(
            zip(ANSWERS, np.sqrt(((predicted - votes.fractions) ** 2).mean(axis=0)).tolist(), strict=True)
        ),
        "n_trained_on": int(seen.sum()),
        "symmetries": symmetries,
        "data": {"path": str(folder)},
        "checkpoint": {name: loaded.meta[name] for name in ("network", "sha256")} | {"rule": task["rule"]},
    }
    if seen.any() and not seen.all():
        content["unseen"] = figures(predicted[~seen], votes.fractions[~seen])
    write_predictions(Path(out) / PREDICTIONS, votes.ids, predicted)
    write_json(Path(out) / EVALUATION, content)
    return content


def figures(predicted: np.ndarray, observed: np.ndarray) -> dict[str, Any]:
    """`n`, `rmse`, `rmse_interval` and `rmse_mean_guess` of (N, 37) predictions."""
    return {
        "n": len(observed),
        "rmse": rmse(predicted, observed),
        "rmse_interval": rmse_interval(predicted, observed),
        "rmse_mean_guess": rmse(observed.mean(axis=0, keepdims=True), observed),
    }
