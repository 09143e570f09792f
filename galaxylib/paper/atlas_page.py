"""The atlas as the pages show it: its figure, its numbers, and the sentences on how far it can be trusted."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.paper.figures import CLASS_COLOURS
from galaxylib.paper.parameters import repository

RESULTS = "benchmarks/results/atlas"
"""Where `benchmarks/atlas.py` leaves what it made: `atlas.json`, whose head the functions here read."""


def read_atlas() -> dict[str, Any]:
    """The content of the committed `atlas.json`.

    Raises:
        DataError: this is no checkout of the repository.
    """
    return json.loads((repository(RESULTS) / "atlas.json").read_text(encoding="utf-8"))


def commonest(cell: Mapping[str, Any]) -> int:
    """The number of the class that most galaxies of a cell have, the first of equals."""
    return int(np.argmax(cell["classes"]))


def fidelity_said(atlas: Mapping[str, Any]) -> str:
    """How true the plane is to the activations, beside two principal components and chance."""
    told, count = atlas["fidelity"], atlas["settings"]["neighbours"]
    plane, pca, chance, full = (told[name] for name in ("plane", "pca", "chance", "full"))
    return (
        f"Of a galaxy's {count} nearest neighbours among the activations, {plane['kept']:.0%} are among its "
        f"{count} nearest in the plane; the first two principal components would keep {pca['kept']:.0%}, and "
        f"chance {chance['kept']:.1%}. The trustworthiness is {plane['trustworthiness']:.3f} "
        f"({pca['trustworthiness']:.3f} and {chance['trustworthiness']:.3f}). The commonest class of those "
        f"neighbours is the galaxy's own for {plane['named']:.1%} of galaxies in the plane, and for "
        f"{full['named']:.1%} among the activations themselves ({pca['named']:.1%} for the components, "
        f"{chance['named']:.1%} by chance)."
    )


def dreams_said(atlas: Mapping[str, Any]) -> str:
    """Whether the dreams of cells excite the network as the cells' galaxies do."""
    told, count = atlas["dreams"], len(atlas["cells"])
    return (
        "By the direction of what it excites in the network, a dream is most like its own cell of all "
        f"{count} in {told['first']:.0%} of cases (by chance {1 / count:.1%}); in the median its own cell "
        f"comes at place {told['rank']:g}. The network gives {told['named']:.0%} of the dreams the class "
        "that most galaxies of their cell have."
    )


def made_said(atlas: Mapping[str, Any]) -> str:
    """When and where the atlas was made, and from which galaxies."""
    made, data = atlas["provenance"], atlas["data"]
    day = datetime.fromisoformat(made["time"])
    hardware = made["hardware"]
    return (
        f"The atlas was made once, on {day.day} {day:%B %Y} on {hardware['cores']} cores of "
        f"{hardware['processor']}, from {data['galaxies']:,} drawn galaxies (seed {data['seed']}), equally "
        f"many of each class, that no network was trained on."
    )


def figure(atlas: Mapping[str, Any]) -> Figure:
    """Every galaxy as a point in the plane, in the colour of its class, with the grid of cells."""
    points, labels = np.array(atlas["points"]), np.array(atlas["labels"])
    side = atlas["settings"]["side"]
    drawn, axis = plt.subplots(figsize=(7.2, 5.4))
    points = points / points.max() * side
    for number, name in enumerate(CLASS_NAMES):
        own = points[labels == number]
        axis.scatter(*own.T, s=3, linewidths=0, color=CLASS_COLOURS[name], label=name, rasterized=True)
    axis.set(
        xlim=(0, side),
        ylim=(0, side),
        aspect="equal",
        xlabel="t-SNE, first coordinate (column of cells)",
        ylabel="t-SNE, second coordinate (row of cells)",
    )
    edges, middles = range(side + 1), np.arange(side) + 0.5
    axis.set_xticks(edges, minor=True)
    axis.set_yticks(edges, minor=True)
    axis.set_xticks(middles, range(1, side + 1))
    axis.set_yticks(middles, range(side, 0, -1))  # the first row is at the top
    axis.tick_params(which="both", length=0)
    axis.grid(which="minor", color="0.85", linewidth=0.5)
    axis.set_axisbelow(True)
    axis.legend(bbox_to_anchor=(1, 1), loc="upper left", fontsize=8, markerscale=4)
    return drawn
