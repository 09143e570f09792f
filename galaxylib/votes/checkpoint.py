"""Trained networks of votes: kept, read back, and scored on a folder of real galaxies."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from galaxylib.errors import CheckpointError
from galaxylib.evaluation.predictions import EVALUATION, PREDICTIONS
from galaxylib.files import write_json
from galaxylib.networks import checkpoint
from galaxylib.networks.checkpoint import Loaded
from galaxylib.votes.training import PREPROCESS, RULES, VoteRecipe, predict_votes
from galaxylib.votes.zoo2 import ANSWERS, read_votes, rmse, rmse_interval, write_predictions

PRETRAINED = Path(__file__).parents[1] / "weights" / "zoo2"
TASK = "zoo2"


def save_votes_network(
    folder: str | Path,
    network: nn.Module,
    recipe: VoteRecipe,
    *,
    trained_on: Sequence[int] | np.ndarray,
    half: bool = False,
    **provenance: Any,
) -> Path:
    """Write a checkpoint folder as `galaxylib.networks.checkpoint.save` does.

    Args:
        folder: where.
        network: gives 37 logits.
        recipe: how it was trained; its rule belongs to the network.
        trained_on: GalaxyID of every galaxy that it saw in training, so that an evaluation can tell.
        half: store in half precision.
        **provenance: what else the description should tell.

    Raises:
        GalaxyError: the disk is full.
    """
    return checkpoint.save(
        folder,
        network,
        name=recipe.network,
        options={"classes": len(ANSWERS)},
        preprocess=PREPROCESS,
        class_names=ANSWERS,
        half=half,
        task=TASK,
        rule=recipe.rule,
        recipe=asdict(recipe),
        trained_on=[int(number) for number in trained_on],
        **provenance,
    )


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
    if loaded.class_names != ANSWERS or loaded.meta.get("rule") not in RULES:
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
    own_network: str = "",
) -> dict[str, Any]:
    """Score a network of votes on a folder in the challenge's layout.

    Writes `evaluation.json` and `predictions.csv` (the challenge's columns) into `out`.

    Args:
        folder: the galaxies.
        path: the checkpoint, or "pretrained".
        out: where the two files go.
        symmetries: average over the eight right-angle rotations and mirrorings.
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
    predicted = predict_votes(loaded.network, votes.images, loaded.meta["rule"], symmetries=symmetries)
    seen = np.isin(votes.ids, loaded.meta.get("trained_on", []))
    content = figures(predicted, votes.fractions) | {
        "rmse_by_answer": dict(
            zip(ANSWERS, np.sqrt(((predicted - votes.fractions) ** 2).mean(axis=0)).tolist(), strict=True)
        ),
        "n_trained_on": int(seen.sum()),
        "symmetries": symmetries,
        "data": {"path": str(folder)},
        "checkpoint": {name: loaded.meta[name] for name in ("network", "rule", "sha256")},
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
