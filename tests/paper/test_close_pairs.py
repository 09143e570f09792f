"""Close pairs before a network of votes."""

import numpy as np
import torch
from torch import nn

from galaxylib.paper.close_pairs import MERGER, merger_fractions, pair_images, pairs_figure
from galaxylib.simulate.pairs import draw_pair
from galaxylib.votes.zoo2 import ANSWERS


class RedIsMerger(nn.Module):
    """Gives "merger" a logit that is the mean of the image's first channel, all others 0."""

    def forward(self, x):
        logits = torch.zeros(len(x), len(ANSWERS))
        logits[:, MERGER] = x[:, 0].mean(dim=(1, 2))
        return logits


def test_fractions_are_those_of_the_drawn_pairs():
    """Pair by pair and separation by separation, against a plain loop over the images."""
    separations, seeds = (0.5, 3.0), (7, 8)
    found = merger_fractions(RedIsMerger(), "sigmoid", separations, seeds)
    assert found.shape == (2, 2)
    for line, apart in zip(found, separations, strict=True):
        for value, seed in zip(line, seeds, strict=True):
            (image,) = pair_images(apart, [seed])
            alone = merger_fractions(RedIsMerger(), "sigmoid", [apart], [seed])
            np.testing.assert_allclose(value, alone[0, 0], atol=1e-6)
            assert image.shape == (120, 120, 3)
    assert found[0, 0] != found[0, 1]


def test_a_picture_shows_as_much_as_galaxy_zoo_would():
    """Sixteen half-light radii of the first galaxy, reduced to 120 pixels."""
    sizes = {seed: draw_pair(2.0, seed=seed)[1] for seed in range(6)}
    large = max(sizes, key=sizes.get)
    stored, _ = draw_pair(2.0, seed=large)
    (shown,) = pair_images(2.0, [large])
    side = min(256, int(16 * sizes[large] / 0.262) // 2 * 2)
    edge = (256 - side) // 2
    plain = stored[edge : edge + side, edge : edge + side].mean()
    assert abs(shown.mean() - plain) < 1.0


def test_the_figure_has_a_picture_for_each_separation():
    figure = pairs_figure(np.array([[0.4, 0.5], [0.1, 0.2]]), (1.0, 2.0), (0, 1))
    assert [axis.get_title() for axis in figure.axes] == ["1 radii", "2 radii", ""]
    np.testing.assert_allclose(figure.axes[-1].lines[0].get_ydata(), [0.45, 0.15])
