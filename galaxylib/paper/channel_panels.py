"""Channels that tell classes apart, and their dreams beside the galaxies that excite them most."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from sklearn.feature_selection import f_classif
from torch import Tensor, nn

from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream.examples import Box, Examples, Ranking, each_channel, reaches
from galaxylib.dream.forward import Tap
from galaxylib.dream.measures import as_seen
from galaxylib.paper.dream_panels import DREAMT

ACROSS, TILE, GAP = 3, 128, 8
"""Galaxies in a row beside a dream, pixels a side of each, and between them."""
OUTLINE = "#66CCEE"
NAMED = 12
"""So many silent channels are named; of more, the number is given."""

Channels = dict[tuple[str, int], Examples]
"""What a pass over galaxies says of every channel, by stage and number."""


def telling_channels(
    network: nn.Module,
    images: Tensor,
    labels: np.ndarray,
    *,
    preprocess: Preprocess,
    stages: Sequence[str] = DREAMT,
    count: int = 4,
) -> tuple[pd.DataFrame, Channels]:
    """The channels whose mean activation tells the classes apart best, by the F ratio between classes.

    Args:
        network: the network whose channels are ranked.
        images: (N, 3, H, W) in [0, 1], at least two classes with two galaxies.
        labels: (N,) class numbers.
        preprocess: the network's own.
        stages: dotted names of submodules.
        count: number of channels to name of each stage.

    Returns:
        columns `stage, channel, f_ratio, class` (the one with the largest mean), best first in each stage;
        channels that are silent everywhere are left out. Then, from the same pass, the galaxies that excite
        each channel of the stages most, and whether it is silent.
    """
    tap = Tap(network, tuple(stages))
    means: dict[str, list[Tensor]] = {name: [] for name in stages}
    ranking = Ranking(each_channel(network, stages, preprocess=preprocess))
    with torch.no_grad():
        for some in images.split(32):
            outputs = tap(as_seen(some, preprocess))
            ranking.add(outputs)
            for name in stages:
                means[name].append(outputs[name].mean(dim=(2, 3)))
    sight = reaches(network, ranking.grids, preprocess=preprocess)
    found = {
        (one.objective.terms[0].layer, one.objective.terms[0].index): one
        for one in ranking.examples(sight, preprocess=preprocess)
    }
    rows = []
    for name in stages:
        values = torch.cat(means[name]).double().numpy()
        alive = np.flatnonzero([not found[name, index].silent for index in range(values.shape[1])])
        ratio, _ = f_classif(values[:, alive], labels)
        for place in np.argsort(-ratio, kind="stable")[:count]:
            number = int(alive[place])
            by_class = {label: values[labels == label, number].mean() for label in np.unique(labels)}
            rows.append(
                {
                    "stage": name,
                    "channel": number,
                    "f_ratio": float(ratio[place]),
                    "class": int(max(by_class, key=by_class.get)),
                }
            )
    return pd.DataFrame(rows), found


def silence(channels: Channels) -> str:
    """Which channels are silent, in a sentence without its full stop."""
    silent = [f"{stage}:{number}" for (stage, number), one in channels.items() if one.silent]
    if not silent:
        return f"none of the {len(channels):,} channels is silent"
    names = f": {', '.join(silent)}" if len(silent) <= NAMED else ""
    return f"{len(silent):,} of the {len(channels):,} channels {'are' if silent[1:] else 'is'} silent{names}"


@dataclass(frozen=True)
class Panel:
    """A dream and the galaxies beside it.

    Attributes:
        title: one or two short lines.
        dream: (H, W, 3) float in [0, 1], or `None` where no dream could start.
        galaxies: (N, 256, 256, 3) uint8, best first.
        boxes: what to outline in each: top, left, bottom and right edge in pixels.
    """

    title: str
    dream: np.ndarray | None
    galaxies: np.ndarray
    boxes: Sequence[Box]


def panel(title: str, dream: Tensor | None, examples: Examples, pixels: Mapping[int, np.ndarray]) -> Panel:
    """A panel from a dream (3, H, W) and what a pass over galaxies says; `pixels` are theirs by index."""
    return Panel(
        title,
        None if dream is None else dream.permute(1, 2, 0).clamp(0, 1).numpy(),
        np.stack([pixels[one.index] for one in examples.best]),
        [one.box for one in examples.best],
    )


def beside(panels: Sequence[Panel], *, columns: int = 2, width: float = 7.2) -> Figure:
    """Each dream with its galaxies on the right, in rows of three, the receptive fields outlined.

    Args:
        panels: in the order in which they are read, from left to right.
        columns: panels in a row.
        width: of the figure, in inches.
    """
    rows = math.ceil(len(panels) / columns)
    side = width / columns
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, rows * (side / 2 + 0.34)), squeeze=False, dpi=125
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, one in zip(axes.flat, panels, strict=False):
        _draw(axis, one)
    return figure


def _draw(axis: plt.Axes, one: Panel) -> None:
    lines = max(ACROSS, math.ceil(len(one.galaxies) / ACROSS))
    step, whole = TILE + GAP, ACROSS * (TILE + GAP) - GAP
    canvas = np.full((lines * step - GAP, 2 * whole + 2 * GAP, 3), 255, np.uint8)
    if one.dream is None:
        canvas[:whole, :whole] = 0
        axis.text(
            whole / 2,
            whole / 2,
            "no way up\nfrom this noise",
            color="white",
            ha="center",
            va="center",
            fontsize=7,
        )
    else:
        canvas[:whole, :whole] = _resized((255 * one.dream).round().astype(np.uint8), whole)
    for number, (galaxy, box) in enumerate(zip(one.galaxies, one.boxes, strict=True)):
        row, column = divmod(number, ACROSS)
        top, left = row * step, whole + 2 * GAP + column * step
        canvas[top : top + TILE, left : left + TILE] = _resized(galaxy, TILE)
        edges = np.asarray(box) * TILE / galaxy.shape[0]
        axis.add_patch(
            Rectangle(
                (left + edges[1] - 0.5, top + edges[0] - 0.5),
                edges[3] - edges[1],
                edges[2] - edges[0],
                fill=False,
                edgecolor=OUTLINE,
                linewidth=0.8,
            )
        )
    axis.imshow(canvas, interpolation="antialiased")
    axis.set_title(one.title, fontsize=7.5, pad=3)


def _resized(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))
