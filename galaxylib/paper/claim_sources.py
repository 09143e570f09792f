"""Checks of the documents' claims by what this project builds and by sources outside it.

The networks and the settings are the code's own; the sky, the catalogue and the published code are outside.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from galaxylib.paper.claim_checks import BASES, CHECKS, Evidence, check

# With the checks of this module registered, these hold them all.
__all__ = ["BASES", "CHECKS"]


# --- what this project builds -------------------------------------------------------------------------------


@cache
def _dmagnet_shapes(size: int) -> tuple[dict[str, str], dict[str, int], dict[str, int]]:
    """Output shape, parameters and DMA blocks of each stage, from the built network.

    On torch's "meta" device a tensor has a shape and no content, so the pass costs nothing.
    """
    import torch

    from galaxylib.networks.dmagnet import STAGES, DMABlock, DMAGNet, count_parameters

    with torch.device("meta"):
        network, x = DMAGNet(), torch.empty(1, 3, size, size)
    shapes = {}
    for stage in STAGES:
        x = network.get_submodule(stage)(x)
        shapes[stage] = "x".join(str(side) for side in x.shape[1:])
    parameters = {stage: count_parameters(network.get_submodule(stage)) for stage in STAGES}
    blocks = {
        stage: sum(isinstance(part, DMABlock) for part in network.get_submodule(stage).modules())
        for stage in STAGES
    }
    return shapes, parameters, blocks


@check("built")
def dmagnet(evidence: Evidence) -> dict[str, Any]:
    """The built DMAGNet: parameters, shapes at two sizes, blocks."""
    shapes, parameters, blocks = _dmagnet_shapes(256)
    features = [stage for stage in shapes if stage != "head"]
    # The LAM doubles the channels and keeps the size: the printed sequence of sizes counts each size once.
    sides = list(dict.fromkeys(int(shapes[stage].split("x")[-1]) for stage in features))
    return {
        "parameters": parameters | {"total": sum(parameters.values())},
        "at_256": shapes,
        "at_512": _dmagnet_shapes(512)[0],
        "blocks": blocks,
        "classes": int(shapes["head"]),
        "components": len({stage.rstrip("0123456789") for stage in shapes}),
        "resolution_256": " ".join(map(str, [256, *sides])),
        "channels": " ".join(["3", *(shapes[stage].split("x")[0] for stage in features)]),
    }


NAMES = {
    "Conv2d": "Convolutional",
    "MaxPool2d": "Pooling",
    "Flatten": "Flatten",
    "Dropout": "Dropout",
    "Linear": "Fully Connected",
}
"""The words of the documents for the kinds of layer that their tables list."""


def _square(size: Any) -> str:
    """A kernel's size as the documents print it: 3 or (3, 3) is "3 x 3"."""
    height, width = size if isinstance(size, tuple) else (size, size)
    return f"{height} x {width}"


def _single(size: Any) -> str:
    """A stride or a padding that is the same both ways, as one number; "-" for none."""
    first = size[0] if isinstance(size, tuple) else size
    return str(first) if first else "-"


def _rows(network: Any, size: int) -> Iterator[dict[str, Any]]:
    """A network's layers as the documents' tables list them: no activations, channels last."""
    from galaxylib.networks.baselines import layers

    for layer in layers(network, size):
        if layer.kind not in NAMES:
            continue
        module = network.get_submodule(layer.path)
        channels, *sides = layer.shape
        yield {
            "layer": NAMES[layer.kind],
            "output": " x ".join(str(side) for side in (*sides, channels)),
            "params": layer.parameters,
            "filters": channels if layer.kind != "MaxPool2d" else None,
            "kernel": _square(module.kernel_size) if hasattr(module, "kernel_size") else None,
            "stride": _single(module.stride) if hasattr(module, "stride") else None,
            "padding": _single(module.padding) if hasattr(module, "padding") else None,
        }


def _plain_network(name: str, **options: Any) -> dict[str, Any]:
    """What a sequential network of the registry is made of."""
    from torch import nn

    from galaxylib.networks.dmagnet import count_parameters
    from galaxylib.networks.registry import NETWORKS, build

    network = build(name, classes=NETWORKS[name].classes, **options)
    rows = list(_rows(network, NETWORKS[name].size))
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    pooled = [int(row["output"].split(" x ")[0]) for row in rows if row["layer"] == "Pooling"]
    total = count_parameters(network)
    return {
        "layers": {f"{place:02d}": row for place, row in enumerate(rows, start=1)},
        "total": total,
        "thousands": total / 1e3,
        "inputs": convolutions[0].in_channels,
        "classes": NETWORKS[name].classes,
        "convolutions": len(convolutions),
        "channels": " ".join(
            str(n) for n in (convolutions[0].in_channels, *(layer.out_channels for layer in convolutions))
        ),
        "sides": " ".join(str(side) for side in (NETWORKS[name].size, *pooled)),
        "dropout": [module.p for module in network.modules() if isinstance(module, nn.Dropout)],
    }


@check("built")
def networks(evidence: Evidence) -> dict[str, Any]:
    """The other networks as built: each layer of the documents' tables, and the totals in their text."""
    import torch
    from torch import nn

    from galaxylib.networks.dmagnet import count_parameters
    from galaxylib.networks.registry import build

    with torch.device("meta"):
        alexnet, resnet = build("alexnet", classes=1000), build("gz_resnet18", classes=37)
    weighted = [
        path
        for path, module in resnet.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and "downsample" not in path
    ]
    # Kim & Brunner's table leaves out the flattening and the dropout.
    kim_brunner = _plain_network("kim_brunner")
    listed = [row for row in kim_brunner["layers"].values() if row["layer"] not in ("Flatten", "Dropout")]
    return {
        "convnet": _plain_network("convnet"),
        "negm": _plain_network("negm"),
        "kim_brunner": kim_brunner
        | {"layers": {f"{place:02d}": row for place, row in enumerate(listed, start=1)}},
        "five_block": _plain_network("five_block"),
        "gz_cnn": _plain_network("gz_cnn"),
        "gz_resnet18": {"weighted_layers": len(weighted)},
        "alexnet": {"millions": count_parameters(alexnet) / 1e6},
        "dense_weights": nn.Linear(100 * 100, 1, bias=False).weight.numel(),
        "kernel_weights": nn.Conv2d(1, 1, 5, bias=False).weight.numel(),
    }


@check("built")
def vote_images(evidence: Evidence) -> dict[str, Any]:
    """What the networks of votes read of an image, which no parameter of their chapter changes."""
    from galaxylib.votes.outputs import PREPROCESS
    from galaxylib.votes.zoo2 import CROP, FULL, SIZE

    return {
        "stored": FULL,
        "crop": CROP,
        "size": SIZE,
        # What `Preprocess` makes of the brightest pixel, 255 of 255.
        "brightest": (1.0 - PREPROCESS.mean[0]) / PREPROCESS.std[0],
    }


# --- sources outside ----------------------------------------------------------------------------------------


@check("outside")
def published_code(evidence: Evidence) -> dict[str, Any]:
    """How the authors' published code divides the images."""
    split = evidence.printed.facts["published_code"]["split"]
    return split | {"split_total": sum(split.values())}


@check("outside")
def vote_tree(evidence: Evidence) -> dict[str, Any]:
    """The Galaxy Zoo 2 decision tree as its challenge published it: questions, answers, what sums to 1."""
    from galaxylib.votes.zoo2 import ANSWERS, TREE

    return {
        "answers": len(ANSWERS),
        "questions": len(TREE),
        "sum_to_one": sum(question.parent is None for question in TREE),
        "task_1": len(TREE[0].answers),
    }


@check("outside")
def catalogue(evidence: Evidence) -> dict[str, Any]:
    """Galaxies of each class in the published set, counted now if a catalogue is given, else before."""
    from galaxylib.data.galaxy10 import CLASS_NAMES

    if evidence.catalogue is None:
        return dict(evidence.measured["classes"])
    labels = evidence.catalogue.labels
    counts = np.bincount(labels, minlength=len(CLASS_NAMES)).tolist()
    return {"counts": dict(zip(CLASS_NAMES, counts, strict=True)), "total": len(labels)}


@check("outside")
def votes(evidence: Evidence) -> dict[str, Any]:
    """What guesses score on the Galaxy Zoo challenge's votes, measured on a part of them beforehand."""
    measured = evidence.measured["votes_of_the_challenge_alone"]
    return measured | {"one_mean": measured["one_mean_interval"] | {"rmse": measured["guess_one_mean"]}}


@check("outside")
def cosmos(evidence: Evidence) -> dict[str, Any]:
    """Look-back times at the Galaxy Zoo 2 report's redshift limits, in the Planck 2018 cosmology."""
    from astropy.cosmology import Planck18

    low, high = (
        Planck18.lookback_time(float(evidence.printed.value(f"004-z-{end}"))) for end in ("low", "high")
    )
    return {"low_myr": float(low.to_value("Myr")), "high_gyr": float(high.to_value("Gyr"))}
