"""The trained network that a chapter examines: the one asked for, this run's, or one trained on the spot."""

from pathlib import Path

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.splits import Split
from galaxylib.evaluation.predictions import check_unseen
from galaxylib.networks.checkpoint import DESCRIPTION, Loaded, load
from galaxylib.training.recipes import QUICK, Recipe

CHECKPOINT = "checkpoint"
"""Folder, within a run's, of the network that the training chapter leaves."""


def open_checkpoint(
    checkpoint: str | Path,
    *,
    outputs: str | Path,
    data: Galaxy10,
    split: Split,
    recipe: Recipe | None = None,
    own_network: str = "",
) -> Loaded:
    """The network that a chapter examines.

    Args:
        checkpoint: its folder, or "pretrained"; empty for the one that the training chapter left in
            `outputs`, or, where there is none, a short training now.
        outputs: folder in which the chapters of a run meet.
        data: the galaxies that a short training works on.
        split: the division of these galaxies.
        recipe: of the short training; by default three quick epochs of a small network.
        own_network: a network of your own that may be imported; see `checkpoint.load`.

    Raises:
        CheckpointError: the checkpoint that was asked for is missing or damaged.
        DataError: it was trained on these galaxies with another split.
    """
    folder = checkpoint if str(checkpoint) else Path(outputs) / CHECKPOINT
    if not str(checkpoint) and not (folder / DESCRIPTION).exists():
        from galaxylib.training.loop import train  # here, for Lightning takes two seconds

        folder = Path(outputs) / "short_training"
        print(f"{outputs} holds no trained network: a small one is trained.", flush=True)
        recipe = recipe or QUICK.but(width=0.125, size=64, epochs=3)
        train(data, split, recipe, out=folder, replace=True)
        own_network = recipe.network
    loaded = load(folder, own_network=own_network)
    check_unseen(split, loaded.meta, checkpoint=folder)
    return loaded
