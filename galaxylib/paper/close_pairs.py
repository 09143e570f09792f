"""Two unrelated galaxies, closer and closer in the sky: when does a network of votes see a merger?"""

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import nn

from galaxylib.data.galaxy10 import PIXEL_SCALE
from galaxylib.paper.figures import ACCENT
from galaxylib.simulate.pairs import draw_pair
from galaxylib.votes.outputs import predict_votes
from galaxylib.votes.simulated import scaled, sides_shown
from galaxylib.votes.zoo2 import PLACES

MERGER = PLACES["Class8.6"]
"""Where the answer "merger" stands among the 37."""

APART = (0.5, 1.0, 1.5, 2.0, 3.0, 4.5)
"""The separations that the chapter shows, in half-light radii of the first galaxy."""


def pair_images(separation: float, seeds: Sequence[int]) -> np.ndarray:
    """Pairs as Galaxy Zoo would show them, scaled to the first galaxy: (N, H, W, 3) uint8.

    Args:
        separation: in half-light radii of the first galaxy.
        seeds: one a pair; the same seed is the same pair at every separation.
    """
    drawn = [draw_pair(separation, seed=seed) for seed in seeds]
    sides = sides_shown(np.array([radius for _, radius in drawn]), pixel=PIXEL_SCALE)
    return np.stack([scaled(image, int(side)) for (image, _), side in zip(drawn, sides, strict=True)])


def merger_fractions(
    network: nn.Module, rule: str, separations: Sequence[float], seeds: Sequence[int]
) -> np.ndarray:
    """The predicted fraction of volunteers who would say "merger".

    Args:
        network: of votes, gives 37 logits.
        rule: how they become fractions.
        separations: of the pairs, in half-light radii of the first galaxy.
        seeds: one a pair.

    Returns:
        (separations, pairs) from 0 to 1.
    """
    return np.stack(
        [predict_votes(network, pair_images(apart, seeds), rule)[:, MERGER] for apart in separations]
    )


def pairs_figure(fractions: np.ndarray, separations: Sequence[float], seeds: Sequence[int]) -> Figure:
    """The first pair at every separation, and below them the mean predicted fraction with its interval.

    Args:
        fractions: what `merger_fractions` returns.
        separations: as given there.
        seeds: as given there.
    """
    figure = plt.figure(figsize=(8.4, 4.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 2))
    pictures = above.subplots(1, len(separations))
    for axis, apart in zip(pictures, separations, strict=True):
        axis.imshow(pair_images(apart, seeds[:1])[0])
        axis.set_title(f"{apart:g} radii", fontsize=8)
        axis.set_axis_off()
    axis = below.subplots()
    mean = fractions.mean(axis=1)
    half = 1.96 * fractions.std(axis=1, ddof=1) / np.sqrt(fractions.shape[1])
    axis.plot(separations, mean, marker="o", color=ACCENT)
    axis.fill_between(separations, mean - half, mean + half, color=ACCENT, alpha=0.2, linewidth=0)
    axis.set(
        xlabel="separation (half-light radii of the first galaxy)",
        ylabel='predicted fraction of "merger"',
        ylim=(0, None),
    )
    return figure
