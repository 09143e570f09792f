"""The networks of the seeds other than DMAGNet, layer by layer, and a look at any network's layers.

Channel widths, kernels and paddings are the sources' own, so every printed parameter count is met exactly.
Where a source leaves a number unprinted, the builder's docstring says what was chosen.
`galaxylib.networks.registry` registers them all.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from galaxylib.errors import GalaxyError


def convnet(
    *,
    classes: int = 10,
    dropout: tuple[float, float] = (0.1, 0.25),
    blocks: int = 4,
    hidden: int = 256,
    side: int = 128,
) -> nn.Sequential:
    """ConvNet of seed 002, Table I: four convolutions without padding; 654,922 parameters at 3 x 128 x 128.

    Args:
        classes: number of logits.
        dropout: probabilities before the hidden layer and before the last.
        blocks: convolutions; 4 is the paper's, which says that a fifth leaves too few values after it.
        hidden: neurons of the one hidden layer.
        side: pixels a side of the images that it reads; 128 is the paper's.

    Raises:
        GalaxyError: `blocks` is not from 1 to 5, or nothing is left of the image after them (at 128 pixels
            after a sixth).
    """
    if not 1 <= blocks <= 5:
        raise GalaxyError(f"ConvNet cannot have {blocks} convolutions: choose from 1 to 5; 4 is the paper's.")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs, left = 3, side
    for number in range(1, blocks + 1):
        outputs = 16 * 2**number
        # The fifth, an experiment, meets 2 x 2 pixels: without padding it could not look at them.
        kernel, stride, padding = (5, 2, 0) if number == 1 else (3, 1, int(number == 5))
        layers[f"conv{number}"] = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU(), nn.MaxPool2d(2)
        )
        inputs, left = outputs, ((left + 2 * padding - kernel) // stride + 1) // 2
    if left < 1:
        raise GalaxyError(
            f"ConvNet's {blocks} convolutions leave nothing of {side} pixels: "
            "give larger images or fewer blocks."
        )
    layers["classify"] = nn.Sequential(
        nn.Flatten(),
        nn.Dropout(dropout[0]),
        nn.Linear(inputs * left * left, hidden),
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


def shi(*, classes: int = 2) -> nn.Sequential:
    """Shi's network (seed 002, section VI), 3 x 32 x 32: three convolutions, each pooled, then one layer.

    The seed prints no width and no kernel; 32, 64 and 128 channels of 3 x 3, as Negm's, are chosen here.

    Args:
        classes: number of logits; the source tells smooth galaxies from featured ones, so two.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (inputs, outputs) in enumerate(((3, 32), (32, 64), (64, 128)), start=1):
        layers[f"conv{number}"] = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        )
    layers["classify"] = nn.Sequential(nn.Flatten(), nn.Linear(128 * 4 * 4, classes))
    return nn.Sequential(layers)


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
        dropout: probability before the last layer.
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
    """The three-layer CNN of seed 004, 3 x 80 x 80, as logits (their sigmoid is in `galaxylib.votes.zoo2`).

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
    import torchvision  # here, for it takes two seconds

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
    import torchvision  # here, for it takes two seconds

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


def pass_one(network: nn.Module, size: int) -> Any:
    """What a network gives for one blank image, in evaluation mode; the mode is left as it was."""
    training = network.training
    network.eval()
    parameter = next(network.parameters())
    try:
        # Not `inference_mode`: what a network keeps of its first pass must serve a training too.
        with torch.no_grad():
            return network(torch.zeros(1, 3, size, size, device=parameter.device, dtype=parameter.dtype))
    finally:
        network.train(training)
