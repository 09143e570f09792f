"""The networks that DMAGNet is compared with, in one registry.

`build(name)` makes any of them; `NETWORKS[name]` says where it comes from, how it wants its images, and what
its source prints: recipe and figures. A network that is not here is named by its import path
(`"mypackage.models:MyNet"`) or by timm's name for it (`"convnext_atto"`), everywhere that a name is taken.

Channel widths, kernels and paddings are the sources' own, so every printed parameter count is met exactly.
Where a source leaves a number unprinted, the builder's docstring says what was chosen.
"""

import difflib
import importlib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from galaxylib.dmagnet import STAGES, DMAGNet
from galaxylib.errors import GalaxyError

PAPER = "Chessa, Murru & Lazzari, DMAGNet"
CONVNET_PAPER = "Deep Convolutional Neural Networks for Galaxy Classification"
FIVE_BLOCK_PAPER = "Horta Darrington (2026), Classifying galaxy images with a CNN in PyTorch"
VOTES_PAPER = "Kattuparambil, Galaxy Morphology Estimations via Convolutional Neural Networks"


@dataclass(frozen=True, kw_only=True)
class PrintedRecipe:
    """How a source says that it trained; `None` where it does not say.

    Attributes:
        optimizer: "adam", "adamw" or "rmsprop".
        learning_rate: the largest one.
        epochs: passes over the training images, at most.
        batch_size: images in a step.
        loss: in words.
        augmentation: in words.
        split: in words.
    """

    optimizer: str | None = None
    learning_rate: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    loss: str | None = None
    augmentation: str | None = None
    split: str | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One network of the registry.

    Attributes:
        title: as the tables show it.
        builder: called with `classes=` and the network's own options.
        source: the document that describes it.
        size: pixels a side that the network reads.
        crop: pixels a side of the 256 x 256 image that are kept before resizing to `size`.
        classes: number of outputs in the source.
        stages: submodules in order, those worth dreaming on.
        recipe: how the source trained it.
        printed: figures that the source prints, by name; each a fraction unless its name says otherwise.
        printed_on: the images and the task of those figures.
    """

    title: str
    builder: Callable[..., nn.Module]
    source: str
    size: int
    crop: int
    classes: int = 10
    stages: tuple[str, ...] = ()
    recipe: PrintedRecipe = field(default_factory=PrintedRecipe)
    printed: Mapping[str, float] = field(default_factory=dict)
    printed_on: str = ""


def convnet(
    *, classes: int = 10, dropout: tuple[float, float] = (0.1, 0.25), blocks: int = 4, hidden: int = 256
) -> nn.Sequential:
    """ConvNet of seed 002, Table I: four convolutions without padding; 654,922 parameters at 3 x 128 x 128.

    Args:
        classes: number of logits.
        dropout: before the hidden layer, and before the last.
        blocks: convolutions; 4 is the paper's, which says that a fifth leaves too few values to the next layer.
        hidden: neurons of the one hidden layer.

    Raises:
        GalaxyError: `blocks` is not from 1 to 5 (at 128 pixels nothing is left after five).
    """
    if not 1 <= blocks <= 5:
        raise GalaxyError(f"ConvNet cannot have {blocks} convolutions: choose from 1 to 5; 4 is the paper's.")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs, side = 3, 128
    for number in range(1, blocks + 1):
        outputs = 16 * 2**number
        # The fifth, an experiment, meets 2 x 2 pixels: without padding it could not look at them.
        kernel, stride, padding = (5, 2, 0) if number == 1 else (3, 1, int(number == 5))
        layers[f"conv{number}"] = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU(), nn.MaxPool2d(2)
        )
        inputs, side = outputs, ((side + 2 * padding - kernel) // stride + 1) // 2
    layers["classify"] = nn.Sequential(
        nn.Flatten(),
        nn.Dropout(dropout[0]),
        nn.Linear(inputs * side * side, hidden),
        nn.ReLU(),
        nn.Dropout(dropout[1]),
        nn.Linear(hidden, classes),
    )
    return nn.Sequential(layers)


def negm(*, classes: int = 10, dropout: float = 0.25) -> nn.Sequential:
    """Negm's network (seed 002, Table II), 3 x 69 x 69; 1,420,738 parameters with two classes.

    Args:
        classes: number of logits; the source tells real objects from artefacts, so two.
        dropout: all four rates; not printed, 0.25 is chosen here.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (inputs, outputs) in enumerate(((3, 32), (32, 64), (64, 128)), start=1):
        layers[f"conv{number}"] = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),  # 69 -> 35 -> 18 -> 9
            nn.Dropout(dropout),
        )
    layers["classify"] = nn.Sequential(
        nn.Flatten(), nn.Linear(128 * 9 * 9, 128), nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, classes)
    )
    return nn.Sequential(layers)


def kim_brunner(*, classes: int = 10, bands: int = 3, dropout: float = 0.5) -> nn.Sequential:
    """Kim & Brunner's network (seed 002, Table III) at 44 x 44; 11,229,154 parameters with two classes.

    Args:
        classes: number of logits; the source tells stars from galaxies, so two.
        bands: the original reads five; the images here have three.
        dropout: before each of the last two layers; not printed in the seed, 0.5 is chosen here.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs = bands
    for number, (outputs, kernels) in enumerate(
        ((32, ((5, 0), (3, 1))), (64, ((3, 1),) * 3), (128, ((3, 1),) * 3)), start=1
    ):
        block: list[nn.Module] = []
        for kernel, padding in kernels:
            block += [nn.Conv2d(inputs, outputs, kernel, padding=padding), nn.ReLU()]
            inputs = outputs
        layers[f"block{number}"] = nn.Sequential(*block, nn.MaxPool2d(2))  # 44 -> 40 -> 20 -> 10 -> 5
    layers["classify"] = nn.Sequential(
        nn.Flatten(),
        nn.Linear(128 * 5 * 5, 2048),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(2048, 2048),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(2048, classes),
    )
    # Without batch normalisation, torch's own small start lets the signal fade over ten layers.
    return layers_initialised(nn.Sequential(layers))


def layers_initialised(network: nn.Sequential) -> nn.Sequential:
    """He-normal weights (fan in) and zero biases, but for the last layer, which keeps torch's own."""
    weighted = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer in weighted[:-1]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return network


def five_block(*, classes: int = 10, dropout: float = 0.4, unpooled: int = 0) -> nn.Sequential:
    """The five-block CNN of seed 003, 3 x 128 x 128; 1,575,690 parameters.

    Args:
        classes: number of logits.
        dropout: before the last layer.
        unpooled: how many of the first blocks keep their size; the seed proposes 2 and did not try it.
    """
    widths = (3, 32, 64, 128, 256, 512)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(1, 6):
        block = [
            nn.Conv2d(widths[number - 1], widths[number], 3, padding=1),
            nn.BatchNorm2d(widths[number]),
            nn.ReLU(),
        ]
        if number > unpooled:
            block.append(nn.MaxPool2d(2))  # 128 -> 64 -> 32 -> 16 -> 8 -> 4
        layers[f"block{number}"] = nn.Sequential(*block)
    layers["classify"] = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(512, classes)
    )
    return nn.Sequential(layers)


def gz_cnn(*, classes: int = 37, widths: tuple[int, int] = (8, 16), dropout: float = 0.5) -> nn.Sequential:
    """The three-layer CNN of seed 004, 3 x 80 x 80, as logits (their sigmoid is in `galaxylib.zoo2`).

    80 -> 76 -> 38 -> 36 -> 18 -> 18 -> 9, so the printed 2,592 flattened values are 32 channels x 9 x 9.

    Args:
        classes: number of logits, one for each of the 37 answers.
        widths: channels of the first two convolutions; not printed, 8 and 16 (doubling to 32) chosen here.
        dropout: before the last layer; not printed, 0.5 is chosen here.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs = 3
    for number, (outputs, kernel) in enumerate(zip((*widths, 32), (7, 5, 3), strict=True), start=1):
        layers[f"conv{number}"] = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        )
        inputs = outputs
    layers["classify"] = nn.Sequential(
        nn.Flatten(), nn.Linear(2592, 256), nn.ReLU(), nn.Dropout(dropout), nn.Linear(256, classes)
    )
    return nn.Sequential(layers)


def resnet18(*, classes: int = 10, weights: str | Path | None = None) -> nn.Module:
    """ResNet-18 as torchvision builds it, untrained unless the reader has weights.

    Args:
        classes: number of logits.
        weights: a file with a state dictionary of torchvision's ResNet-18.

    Raises:
        GalaxyError: the weights cannot be read or are another network's.
    """
    return with_weights(torchvision.models.resnet18(weights=None, num_classes=classes), weights)


def alexnet(*, classes: int = 10, dropout: float = 0.5, weights: str | Path | None = None) -> nn.Module:
    """AlexNet as torchvision builds it, untrained unless the reader has weights.

    Args:
        classes: number of logits.
        dropout: before the first two linear layers.
        weights: a file with a state dictionary of torchvision's AlexNet.

    Raises:
        GalaxyError: the weights cannot be read or are another network's.
    """
    network = torchvision.models.alexnet(weights=None, num_classes=classes, dropout=dropout)
    return with_weights(network, weights)


def with_weights(network: nn.Module, path: str | Path | None) -> nn.Module:
    """`network` with the weights of a file, but for the last layer where its number of classes differs.

    Raises:
        GalaxyError: the file cannot be read or holds another network's weights.
    """
    if path is None:
        return network
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as fault:
        raise GalaxyError(f"{path} holds no weights that torch can read: give a state dictionary.") from fault
    own = network.state_dict()
    *_, bias = own  # the last layer's bias, whose weight stands before it
    last = {bias, bias.removesuffix("bias") + "weight"}
    differing = {
        key
        for key in own.keys() | state.keys()
        if key not in state or key not in own or state[key].shape != own[key].shape
    }
    if differing - last:
        raise GalaxyError(
            f"{path} is not of {type(network).__name__}: {len(differing - last)} of its tensors differ, "
            f"{min(differing - last)} for one."
        )
    network.load_state_dict(own | {key: state[key] for key in own if key not in differing})
    return network


_ADAM = PrintedRecipe(optimizer="adam", learning_rate=1e-3)
_GALAXY10 = "Galaxy10 DECaLS, ten classes"

NETWORKS: dict[str, Entry] = {
    "dmagnet": Entry(
        title="DMAGNet",
        builder=DMAGNet,
        source=PAPER,
        size=256,
        crop=256,
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
        classes=2,
        stages=("block1", "block2", "block3"),
        printed_on="stars against galaxies, two classes",
    ),
    "five_block": Entry(
        title="Five-block CNN",
        builder=five_block,
        source=FIVE_BLOCK_PAPER,
        size=128,
        crop=128,
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
        classes=1000,
        stages=("layer1", "layer2", "layer3", "layer4"),
    ),
    "alexnet": Entry(
        title="AlexNet",
        builder=alexnet,
        source=f"Krizhevsky et al. (2012), proposed by {FIVE_BLOCK_PAPER}",
        size=224,
        crop=256,
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

    Raises:
        GalaxyError: no network has that name.
    """
    if name in NETWORKS:
        return NETWORKS[name]
    if ":" in name:
        kind = imported(name)
        return Entry(title=kind.__name__, builder=kind, source=name, size=128, crop=128)
    import timm  # here, for it takes two seconds

    if timm.is_model(name):

        def builder(*, classes: int, **options: Any) -> nn.Module:
            return timm.create_model(name, num_classes=classes, **options)

        return Entry(title=name, builder=builder, source=f"timm, {name}", size=128, crop=128)
    near = difflib.get_close_matches(name, NETWORKS, n=2, cutoff=0.5)
    near += difflib.get_close_matches(name, timm.list_models(), n=2, cutoff=0.75)
    meant = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(NETWORKS)}."
    raise GalaxyError(f"No network is called {name!r}: {meant}")


def imported(path: str) -> type[nn.Module]:
    """The class at `"module:Class"`.

    Raises:
        GalaxyError: there is none, or it is no `torch.nn.Module`.
    """
    module, _, attribute = path.partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as fault:
        raise GalaxyError(
            f"{path!r} cannot be imported ({fault}): name a network as 'module:Class', on Python's path."
        ) from fault
    # A name may come from somebody else's checkpoint: nothing but a network is ever called.
    if not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
        raise GalaxyError(f"{path!r} is no torch.nn.Module: name the class of a network.")
    return kind


def build(name: str, *, classes: int = 10, **options: Any) -> nn.Module:
    """Make a network, untrained.

    Args:
        name: of `NETWORKS`, timm's name of a model, or `"module:Class"` (called with `classes=` if it
            takes that, and with `options`).
        classes: number of logits.
        options: the network's own, such as DMAGNet's `width`.

    Raises:
        GalaxyError: no network has that name, or it does not take these options.
    """
    builder = entry(name).builder
    arguments = dict(options)
    if ":" not in name or "classes" in inspect.signature(builder).parameters:
        arguments["classes"] = classes
    try:
        return builder(**arguments)
    except TypeError as fault:
        raise GalaxyError(f"{name!r} cannot be built with {arguments}: {fault}.") from fault


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One row of a network's layer table: its path, its kind, its output for one image, its parameters."""

    path: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


def layers(network: nn.Module, size: int) -> list[Layer]:
    """Every layer that one image of `size` x `size` pixels passes, in the order in which it does.

    The network's mode is left as it was.
    """
    rows: list[Layer] = []

    def watch(path: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(layer: nn.Module, _: Any, output: Tensor) -> None:
            count = sum(parameter.numel() for parameter in layer.parameters())
            rows.append(
                Layer(path=path, kind=type(layer).__name__, shape=tuple(output.shape[1:]), parameters=count)
            )

        return hook

    handles = [
        layer.register_forward_hook(watch(path))
        for path, layer in network.named_modules()
        if not any(layer.children())
    ]
    try:
        pass_one(network, size)
    finally:
        for handle in handles:
            handle.remove()
    return rows


def flops(network: nn.Module, size: int) -> int:
    """Floating-point operations of one image's forward pass: two for each multiply-add, as torch counts."""
    counter = FlopCounterMode(display=False)
    with counter:
        pass_one(network, size)
    return counter.get_total_flops()


def pass_one(network: nn.Module, size: int) -> None:
    """Send one blank image through, in evaluation mode, and leave the mode as it was."""
    training = network.training
    network.eval()
    parameter = next(network.parameters())
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, size, size, device=parameter.device, dtype=parameter.dtype))
    finally:
        network.train(training)
