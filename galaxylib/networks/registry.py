"""The networks that DMAGNet is compared with, in one registry.

`build(name)` makes any of them; `NETWORKS[name]` says where it comes from, how it wants its images, and what
its source prints: recipe and figures. A network that is not here is named by its import path
(`"mypackage.models:MyNet"`) or by timm's name for it (`"convnext_atto"`), everywhere that a name is taken.

The networks themselves are in `galaxylib.networks.baselines` and `galaxylib.networks.dmagnet`.
"""

import difflib
import inspect
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from torch import nn

from galaxylib.errors import GalaxyError
from galaxylib.networks.baselines import (
    alexnet,
    convnet,
    five_block,
    gz_cnn,
    kim_brunner,
    negm,
    resnet18,
    shi,
)
from galaxylib.networks.dmagnet import STAGES, DMAGNet
from galaxylib.networks.entries import Entry, PrintedRecipe
from galaxylib.networks.own_network import check_shapes_known, imported, told, try_one

DMAGNET_PAPER = "Chessa, Murru & Lazzari, DMAGNet"
CONVNET_PAPER = "Deep Convolutional Neural Networks for Galaxy Classification"
FIVE_BLOCK_PAPER = "Horta Darrington (2026), Classifying galaxy images with a CNN in PyTorch"
VOTES_PAPER = "Kattuparambil, Galaxy Morphology Estimations via Convolutional Neural Networks"


_GALAXY10 = "Galaxy10 DECaLS, ten classes"

NETWORKS: dict[str, Entry] = {
    "dmagnet": Entry(
        title="DMAGNet",
        builder=DMAGNet,
        source=DMAGNET_PAPER,
        size=256,
        crop=256,
        rate=2e-3,
        smallest=32,
        stages=STAGES,
        recipe=PrintedRecipe(
            optimizer="adamw",
            learning_rate=5e-4,
            epochs=140,
            batch_size=64,
            loss="cross-entropy, labels smoothed by 0.1",
            augmentation="rotations, flips, brightness, contrast",
            split="11,487 training, 1,276 validation, 3,194 test",
        ),
        printed={"accuracy": 0.87, "weighted_f1": 0.86},
        printed_on=_GALAXY10,
    ),
    "convnet": Entry(
        title="ConvNet",
        builder=convnet,
        source=CONVNET_PAPER,
        size=128,
        crop=128,
        rate=1e-3,
        stages=("conv1", "conv2", "conv3", "conv4"),
        recipe=PrintedRecipe(
            optimizer="adam",
            learning_rate=1e-3,
            epochs=50,
            loss="cross-entropy",
            augmentation="rotations by 90, 180 and 270 degrees",
            split="80 % training, 20 % validation",
        ),
        printed={"accuracy": 0.75, "precision": 0.85, "recall": 0.68, "f1": 0.76},
        printed_on=_GALAXY10,
    ),
    # 256 pixels become 69 and 44 by whole factors: the central 138 halved, the central 132 divided by three.
    "negm": Entry(
        title="Negm",
        builder=negm,
        source=f"Negm (2021), in {CONVNET_PAPER}",
        size=69,
        crop=138,
        rate=1e-3,
        classes=2,
        stages=("conv1", "conv2", "conv3"),
        printed={"accuracy": 0.92},
        printed_on="real objects against artefacts, two classes",
    ),
    "kim_brunner": Entry(
        title="Kim & Brunner",
        builder=kim_brunner,
        source=f"Kim & Brunner (2016), in {CONVNET_PAPER}",
        size=44,
        crop=132,
        rate=3e-4,
        classes=2,
        stages=("block1", "block2", "block3"),
        printed_on="stars against galaxies, two classes",
    ),
    "shi": Entry(
        title="Shi",
        builder=shi,
        source=f"Shi (2016), in {CONVNET_PAPER}",
        size=32,
        crop=128,
        rate=1e-3,
        classes=2,
        stages=("conv1", "conv2", "conv3"),
        printed={"accuracy": 0.98},
        printed_on="smooth galaxies against featured ones, two classes",
    ),
    "five_block": Entry(
        title="Five-block CNN",
        builder=five_block,
        source=FIVE_BLOCK_PAPER,
        size=128,
        crop=128,
        rate=2e-3,
        smallest=32,
        stages=("block1", "block2", "block3", "block4", "block5"),
        recipe=PrintedRecipe(
            optimizer="adam",
            learning_rate=1e-3,
            epochs=50,
            batch_size=64,
            loss="cross-entropy, classes weighted by N / (classes x N_c)",
            augmentation="flips, rotation in [-180, 180] degrees",
            split="70 % training, 15 % test, 15 % validation",
        ),
        printed={"accuracy": 0.80, "first_stage_accuracy": 0.75, "first_stage_training_accuracy": 0.76},
        printed_on=_GALAXY10,
    ),
    "resnet18": Entry(
        title="ResNet-18",
        builder=resnet18,
        source=f"He et al. (2015), proposed by {FIVE_BLOCK_PAPER}",
        size=224,
        crop=256,
        rate=2e-3,
        smallest=32,
        classes=1000,
        stages=("layer1", "layer2", "layer3", "layer4"),
    ),
    "alexnet": Entry(
        title="AlexNet",
        builder=alexnet,
        source=f"Krizhevsky et al. (2012), proposed by {FIVE_BLOCK_PAPER}",
        size=224,
        crop=256,
        rate=3e-4,
        smallest=64,
        larger_batch=4,
        classes=1000,
        stages=("features",),
    ),
    "gz_cnn": Entry(
        title="Three-layer CNN",
        builder=gz_cnn,
        source=VOTES_PAPER,
        size=80,
        crop=224,
        classes=37,
        task="zoo2",
        stages=("conv1", "conv2", "conv3"),
        recipe=PrintedRecipe(
            optimizer="adam", learning_rate=1e-3, batch_size=256, loss="root mean square of the 37 errors"
        ),
        printed={"rmse": 0.145},
        printed_on="37 vote fractions of Galaxy Zoo 2",
    ),
    "gz_resnet18": Entry(
        title="ResNet-18 for votes",
        builder=resnet18,
        source=VOTES_PAPER,
        size=80,
        crop=224,
        classes=37,
        task="zoo2",
        stages=("layer1", "layer2", "layer3", "layer4"),
        recipe=PrintedRecipe(
            optimizer="adam",
            epochs=15,
            batch_size=64,
            loss="root mean square of the 37 errors",
        ),
        printed={"rmse": 0.126, "tailored_rmse": 0.11},
        printed_on="37 vote fractions of Galaxy Zoo 2",
    ),
}


def entry(name: str) -> Entry:
    """What is known of a network: its registry entry, or a plain one for timm's or the reader's own.

    A name with a colon imports its module, so it must come from the user, never from a file.

    Raises:
        GalaxyError: no network has that name.
    """
    if name in NETWORKS:
        return NETWORKS[name]
    if ":" in name:
        kind = imported(name)
        return Entry(title=kind.__name__, builder=kind, source=name, size=128, crop=128)
    import timm  # here, for it takes two seconds

    # A tag behind a dot names weights that would have to be fetched.
    if timm.is_model(name) and "." not in name:

        def builder(
            *,
            classes: int,
            img_size: int | None = None,
            drop_rate: float | None = None,
            drop_path_rate: float | None = None,
        ) -> nn.Module:
            given = {"img_size": img_size, "drop_rate": drop_rate, "drop_path_rate": drop_path_rate}
            # timm leaves out what is None.
            return timm.create_model(name, pretrained=False, num_classes=classes, **given)

        return Entry(title=name, builder=builder, source=f"timm, {name}", size=128, crop=128)
    near = difflib.get_close_matches(name, NETWORKS, n=2, cutoff=0.5)
    near += difflib.get_close_matches(name, timm.list_models(), n=2, cutoff=0.75)
    meant = f"the nearest are {', '.join(near)}." if near else f"there are {', '.join(NETWORKS)}."
    raise GalaxyError(f"No network is called {name!r}: {meant}")


def build(name: str, /, *, classes: int = 10, **options: Any) -> nn.Module:
    """Make a network, untrained.

    Args:
        name: of `NETWORKS`, timm's name of an architecture, or `"module:Class"` (called with `classes=` if it
            takes that, and with `options`).
        classes: number of logits.
        options: the network's own, such as DMAGNet's `width`; timm's are `img_size`, `drop_rate` and
            `drop_path_rate`.

    Raises:
        GalaxyError: no network has that name, it does not take these options, or its code fails.
    """
    builder = entry(name).builder
    arguments = dict(options)
    with told(f"{name!r} cannot be built with {options | {'classes': classes}}", "see its constructor"):
        if ":" not in name or "classes" in inspect.signature(builder).parameters:
            arguments["classes"] = classes
        network = builder(**arguments)
        check_shapes_known(network, name)
        return network


def build_sized(
    name: str, *, size: int, classes: int = 10, options: Mapping[str, Any] | None = None
) -> nn.Module:
    """As `build`; one of timm's networks that reads one size only is made for `size`, where it can be.

    Raises:
        GalaxyError: as `build`.
    """
    options = {"classes": classes} | dict(options or {})
    if _only_size(name) and name not in NETWORKS:
        with suppress(GalaxyError):
            network = build(name, img_size=size, **options)
            check_reads(network, name, size=size, classes=classes)
            return network
    return build(name, **options)


def check_reads(network: nn.Module, name: str, *, size: int, classes: int = 10) -> None:
    """Try a network on one blank image, unless its source prints that size.

    Raises:
        GalaxyError: it cannot read `size` x `size` pixels, or gives something else than `classes` logits.
    """
    if name in NETWORKS and NETWORKS[name].size == size:
        return
    usual = _only_size(name)
    cure = f"it is made for {usual} x {usual}, so set the size to {usual}" if usual else "set another size"
    try_one(network, name, size=size, classes=classes, cure=cure)


def build_for(
    name: str, *, size: int, classes: int = 10, options: Mapping[str, Any] | None = None
) -> nn.Module:
    """Make a network, untrained, that reads images of `size` x `size` pixels.

    Raises:
        GalaxyError: as `build`, or as `check_reads`.
    """
    network = build_sized(name, size=size, classes=classes, options=options)
    check_reads(network, name, size=size, classes=classes)
    return network


def _only_size(name: str) -> int | None:
    """Pixels a side for which a network is made; None where that is not known, or any size will do."""
    if name in NETWORKS:
        return NETWORKS[name].size
    if ":" in name:
        return None
    import timm

    settings = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return settings.input_size[-1] if settings is not None and settings.fixed_input_size else None
