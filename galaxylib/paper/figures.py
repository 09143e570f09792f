"""One visual style for the whole book.

Figures are drawn on white, and stay on white where the page is dark. The colours of the classes are told
apart with any of the common kinds of colour blindness; each class keeps its colour in every chapter.
"""

import math
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from galaxylib.data.galaxy10 import CLASS_NAMES

# Found by a search that began at Paul Tol's qualitative sets and stopped where every two of the ten differ by
# 15 in CIEDE2000, to normal eyes and with each of the three kinds of dichromacy (tests/test_figures.py).
CLASS_COLOURS: dict[str, str] = dict(
    zip(
        CLASS_NAMES,
        (
            "#EE858E",  # Disturbed
            "#772262",  # Merging
            "#5F808F",  # Round Smooth
            "#6FC2DE",  # In-between Round Smooth
            "#7C56BC",  # Cigar Shaped Smooth
            "#96002F",  # Barred Spiral
            "#CCB823",  # Unbarred Tight Spiral
            "#D95207",  # Unbarred Loose Spiral
            "#9383FF",  # Edge-on without Bulge
            "#5C645F",  # Edge-on with Bulge
        ),
        strict=True,
    )
)

ACCENT = "#4477AA"
CONTRAST = "#EE6677"


def style() -> None:
    """Set the book's style; call it once at the top of a chapter.

    In a notebook, figures appear below their cell even where `MPLBACKEND` asks for files or for windows.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel") and not re.search("inline|ipympl|nbagg", plt.get_backend()):
        shell.run_line_magic("matplotlib", "inline")
    sns.set_theme(context="notebook", style="ticks", palette=list(CLASS_COLOURS.values()))
    plt.rcParams.update(
        {
            "figure.dpi": 110,
            "figure.figsize": (7.2, 4.2),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": "medium",
            "image.cmap": "cividis",
            "image.interpolation": "nearest",
            "legend.frameon": False,
            "savefig.bbox": "tight",
        }
    )


def image_grid(
    images: Sequence[np.ndarray] | np.ndarray,
    *,
    titles: Sequence[str] | None = None,
    columns: int = 5,
    width: float = 7.2,
    pixels: int = 160,
) -> Figure:
    """Images side by side, without axes.

    Args:
        images: (H, W, 3) arrays, uint8 or float in [0, 1].
        titles: one short line for each image.
        columns: number of images in a row.
        width: width of the figure, in inches.
        pixels: resolution at which each image is drawn, at least; keeps the page light.
    """
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    side = width / columns
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(width, rows * (side + (0.22 if titles is not None else 0))),
        squeeze=False,
        dpi=max(60, pixels / side),
    )
    for number, axis in enumerate(axes.flat):
        axis.axis("off")
        if number < len(images):
            axis.imshow(images[number], interpolation="antialiased")
            if titles is not None:
                axis.set_title(titles[number], fontsize=7.5, pad=3)
    return figure


def accuracy_figure(
    rows: Sequence[Mapping[str, Any]],
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    along: str,
) -> Figure:
    """Accuracy over the number of parameters (left), and as it grew in one training (right), of each network.

    Args:
        rows: one a network, with its `name`, `network` (as shown), `parameters`, `accuracy`, `accuracy_low`
            and `accuracy_high`.
        curves: by name, what the training had taken at the end of each epoch, and the validation accuracy
            then.
        along: what it had taken, in words and with its unit.
    """
    figure, (left, middle) = plt.subplots(1, 2, figsize=(8.6, 4.0))
    for row, colour in zip(rows, sns.color_palette("colorblind", len(rows)), strict=True):
        error = [[row["accuracy"] - row["accuracy_low"]], [row["accuracy_high"] - row["accuracy"]]]
        left.errorbar(
            row["parameters"], row["accuracy"], yerr=np.maximum(error, 0), fmt="o", color=colour, capsize=3
        )
        middle.plot(*curves[row["name"]], marker="o", markersize=3, color=colour, label=row["network"])
    left.set(xscale="log", xlabel="parameters", ylabel="accuracy on the test galaxies")
    middle.set(xlabel=along, ylabel="accuracy on the validation galaxies")
    for axis in (left, middle):
        axis.set_ylim(0, 1)
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    figure.legend(*middle.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return figure
