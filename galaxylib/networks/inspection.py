"""A network taken apart: what each stage costs, what it gives, how far it sees.

Everything is read off the network itself with forward hooks that are gone when the function returns.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from galaxylib.networks.dmagnet import STAGES, DMAGNet, count_parameters


@contextmanager
def evaluating(network: nn.Module) -> Iterator[nn.Module]:
    """The network in evaluation mode, each of its modules put back into its own mode afterwards."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield network
    finally:
        for module, mode in modes.items():
            module.training = mode


def stage_outputs(network: nn.Module, images: Tensor, *, stages: Sequence[str] = STAGES) -> dict[str, Tensor]:
    """What each of the named submodules gives for normalised images (N, 3, H, W), without gradients."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            outputs[name] = output

        return network.get_submodule(name).register_forward_hook(hook)

    handles = [keep(name) for name in stages]
    try:
        with evaluating(network), torch.no_grad():
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    return outputs


def stage_table(network: nn.Module, *, size: int = 256, stages: Sequence[str] = STAGES) -> pd.DataFrame:
    """One row a stage: its parameters, its output's shape and its arithmetic for one image.

    A multiplication with its addition counts as two floating-point operations; normalisations, activations
    and pooling are not counted (`torch.utils.flop_counter`).

    Returns:
        columns `stage, parameters, output, flop`; `output` as "64 x 128 x 128" (channels x height x width).
    """
    image = torch.zeros(1, 3, size, size)
    with FlopCounterMode(display=False) as counter:
        outputs = stage_outputs(network, image, stages=stages)
    counts = counter.get_flop_counts()
    root = type(network).__name__
    return pd.DataFrame(
        {
            "stage": name,
            "parameters": count_parameters(network.get_submodule(name)),
            "output": " x ".join(str(side) for side in output.shape[1:]),
            "flop": sum(counts.get(f"{root}.{name}", {}).values()),
        }
        for name, output in outputs.items()
    )


def reach(
    network: nn.Module, stage: str, *, size: int = 256, images: int = 8, seed: int = 0, share: float = 0.9
) -> float:
    """How far one unit in the middle of a stage sees: its effective receptive field, in pixels across.

    The gradient of the middle unit (all its channels, with random signs) with respect to the pixels is
    measured on noise images; the result is the diameter of the circle round its centre that holds `share` of
    the gradient's squared magnitude. DMAGNet's gates average over the whole image, so the theoretical
    receptive field of every stage but the stem is the whole image; this measures what counts.
    """

    def output(pixels: Tensor) -> Tensor:
        kept: list[Tensor] = []
        handle = network.get_submodule(stage).register_forward_hook(lambda _m, _i, given: kept.append(given))
        try:
            with evaluating(network):
                network(pixels)
        finally:
            handle.remove()
        return kept[0]

    return reach_of(output, size=size, images=images, seed=seed, share=share)


def reach_of(
    stage: Callable[[Tensor], Tensor],
    *,
    size: int,
    images: int,
    seed: int = 0,
    share: float = 0.9,
    device: torch.device | str = "cpu",
) -> float:
    """What `reach` measures, of a stage given as a function from images to its output (N, C, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(images, 3, size, size, generator=generator).to(device).requires_grad_()
    output = stage(pixels)
    middle = output[:, :, output.shape[2] // 2, output.shape[3] // 2]
    signs = torch.randint(0, 2, middle.shape, generator=generator) * 2.0 - 1.0
    (gradient,) = torch.autograd.grad((middle * signs.to(device)).sum(), pixels)
    return _diameter(gradient.square().sum(dim=(0, 1)).cpu(), share=share)


def _diameter(energy: Tensor, *, share: float) -> float:
    """Diameter of the circle round the centre of gravity of `energy` (H, W) that holds `share` of it."""
    height, width = energy.shape
    rows = torch.arange(height, dtype=energy.dtype)[:, None]
    columns = torch.arange(width, dtype=energy.dtype)[None, :]
    total = energy.sum()
    row, column = (energy * rows).sum() / total, (energy * columns).sum() / total
    distance = torch.sqrt((rows - row) ** 2 + (columns - column) ** 2).flatten()
    order = torch.argsort(distance)
    inside = torch.cumsum(energy.flatten()[order], dim=0) / total
    return 2 * distance[order][torch.searchsorted(inside, share)].item()


def draw(network: DMAGNet) -> Figure:
    """The network as a row of boxes, read off the network: height is resolution, width is channels.

    Heights and widths are on a logarithmic scale; below each stage stand the modules that it is made of.
    """
    size = 256
    table = stage_table(network, size=size)
    figure, axis = plt.subplots(figsize=(7.6, 3.1))
    axis.axis("off")
    left = 0.0
    shapes = [(3, size, size)] + [tuple(int(side) for side in row.split(" x ")) for row in table["output"]]
    names = ["image", *table["stage"]]
    colours = ["#BBBBBB", "#66CCEE", "#4477AA", "#4477AA", "#4477AA", "#AA3377", "#CCBB44"]
    for name, shape, colour in zip(names, shapes, colours, strict=True):
        height = 0.35 * math.log2(shape[1]) if len(shape) == 3 else 0.25
        breadth = 0.16 * math.log2(shape[0])
        axis.add_patch(Rectangle((left, -height / 2), breadth, height, facecolor=colour, edgecolor="black"))
        middle = left + breadth / 2
        axis.text(middle, height / 2 + 0.12, name, ha="center", va="bottom", fontsize=9, weight="bold")
        note = "\n".join((" x ".join(map(str, shape)), *contents(network, name)))
        axis.text(middle, -1.55, note, ha="center", va="top", fontsize=6.8, linespacing=1.35)
        if name != "head":
            start, left = left + breadth + 0.06, left + breadth + 0.82
            axis.add_patch(FancyArrowPatch((start, 0), (left - 0.06, 0), arrowstyle="->", mutation_scale=9))
    axis.set_xlim(-0.4, left + 0.9)
    axis.set_ylim(-2.5, 1.75)
    return figure


def contents(network: DMAGNet, stage: str) -> list[str]:
    """The parts of a stage in a few words, such as ["2 x DMABlock", "768,704 par."]."""
    if stage not in STAGES:
        return []
    module = network.get_submodule(stage)
    parts = list(module) if isinstance(module, nn.Sequential) else [module]
    kinds = [
        type(part[0]).__name__.removesuffix("2d") + " + BN" if isinstance(part, nn.Sequential) else kind
        for part, kind in ((part, type(part).__name__) for part in parts)
    ]
    counted = [
        f"{kinds.count(kind)} x {kind}" if kinds.count(kind) > 1 else kind for kind in dict.fromkeys(kinds)
    ]
    return [*counted, f"{count_parameters(module):,} par."]
