"""`galaxylib probe`: learn a network's concepts on drawn galaxies, for dreams to go along."""

import argparse
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.dream.measures import random_twin
from galaxylib.errors import DataError, filled
from galaxylib.evaluation.command import add_completed, folder_to_complete
from galaxylib.evaluation.probes import (
    DIVISIONS,
    Features,
    compare,
    pixel_features,
    read_outs,
    stage_features,
    truth_of,
)
from galaxylib.evaluation.unlike import placed_stages
from galaxylib.files import check_outputs
from galaxylib.networks.checkpoint import Loaded, has_met, load
from galaxylib.networks.concepts import CONCEPTS, Concepts, ReadOut, write
from galaxylib.provenance import commit

TWINS = 3
"""Networks with random weights that a trained one is compared with."""
MEASURED_ON = 64
"""Galaxies on which their BatchNorm statistics are measured."""


def probed(loaded: Loaded, data: Galaxy10, *, progress: bool = False) -> dict[str, Any]:
    """What each stage knows of each true property of drawn galaxies, and along which direction.

    Args:
        loaded: the network.
        data: drawn galaxies with their truth, best none that the network was trained on.
        progress: show a progress bar for each pass.

    Returns:
        the content of `concepts.json` (see `galaxylib.networks.concepts`).

    Raises:
        DataError: the file holds no truth, or knows no property of enough galaxies.
        CheckpointError: no stage of the network has places.
        GalaxyError: the network cannot read images of that size.
    """
    truth = truth_of(data.truth)
    preprocess = loaded.preprocess
    stages = placed_stages(loaded.network, loaded.meta.get("network", ""), size=preprocess.size)

    def seen(network: nn.Module) -> Features:
        return stage_features(network, data, preprocess=preprocess, stages=stages, progress=progress)

    features = seen(loaded.network)
    twins = [seen(twin) for twin in twins_of(loaded, data)]
    pixels = pixel_features(data, max(of.shape[1] for of in features.values()), preprocess=preprocess)
    compared = compare(features, twins, pixels, truth, labels=data.labels)
    return described(loaded, data, read_outs(features, truth, compared))


def twins_of(loaded: Loaded, data: Galaxy10) -> list[nn.Module]:
    """`TWINS` networks like a loaded one with random weights, the same ones whenever they are made.

    Their BatchNorm statistics are measured on the first galaxies of `data`.
    """
    images = torch.from_numpy(data.read(range(min(MEASURED_ON, len(data))))).permute(0, 3, 1, 2).float() / 255
    return [
        random_twin(loaded.network, images, preprocess=loaded.preprocess, seed=seed) for seed in range(TWINS)
    ]


def described(loaded: Loaded, data: Galaxy10, found: Mapping[str, Mapping[str, ReadOut]]) -> dict[str, Any]:
    """Read-outs by stage and property as the content of `concepts.json`."""
    drawn = {
        name: data.attributes[name] for name in ("seed", "balance", "version") if name in data.attributes
    }
    return {
        "sha256": loaded.meta["sha256"],
        "data": {
            "fingerprint": data.fingerprint,
            "galaxies": len(data),
            "simulated": data.simulated,
            **drawn,
        },
        "divisions": DIVISIONS,
        "twins": TWINS,
        "commit": commit(),
        "stages": {
            stage: {name: read_out.to_dict() for name, read_out in read_outs.items()}
            for stage, read_outs in found.items()
        },
    }


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's options."""
    add_completed(command)
    command.add_argument(
        "--data",
        type=filled,
        required=True,
        metavar="FILE",
        help="galaxies that `simulate` drew, none of them trained on; a thousand or more make good concepts",
    )


def run(options: argparse.Namespace) -> None:
    """Run `galaxylib probe`.

    Raises:
        GalaxyError: one sentence; the checkpoint then says what it said before.
    """
    folder = folder_to_complete(options.checkpoint)
    loaded = load(folder, own_network=options.own_network)
    check_outputs(folder / CONCEPTS, inputs=[options.data])
    data = Galaxy10(options.data)
    if has_met(loaded.meta, data.fingerprint):
        raise DataError("The network was trained on galaxies of this file: draw others with another seed.")
    write(folder, probed(loaded, data, progress=not options.quiet))
    best = Concepts(folder, loaded.meta["sha256"]).best()
    for concept in best:
        one = concept.read_out
        print(
            f"{concept.name}: best in {concept.stage}, which explains {one.r2:.0%} of it ({one.low:.0%} to "
            f"{one.high:.0%}); controls {one.control:.0%}."
        )
    print(f"{len(best)} concepts, learned on {len(data)} galaxies, are in {folder / CONCEPTS}.")
