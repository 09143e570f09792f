"""Channels that tell classes apart, and the figure of their dreams beside the galaxies that excite them."""

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from torch import nn

from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import channel
from galaxylib.dream.examples import Example, Examples, top_galaxies
from galaxylib.paper.channel_panels import Panel, beside, panel, silence, telling_channels


def test_the_telling_channel_is_found():
    """Channel 1 answers to red, which only class 1 has; channel 2 never answers."""
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    network[0].weight.data = torch.tensor([[0.3, 0.3, 0.3], [1.0, 0, 0], [0, 0, 0]])[..., None, None]
    network[0].bias.data = torch.tensor([2.0, 2.0, -5.0])
    generator = torch.Generator().manual_seed(0)
    images = 0.3 + 0.05 * torch.rand(20, 3, 32, 32, generator=generator)
    images += 0.1 * torch.rand(20, 1, 1, 1, generator=generator)
    labels = np.arange(20) % 2
    images[labels == 1, 0] += 0.3
    preprocess = Preprocess(size=32)
    table, found = telling_channels(network, images, labels, preprocess=preprocess, stages=("1",), count=3)
    assert list(table["channel"]) == [1, 0]
    assert table["class"].iloc[0] == 1
    assert silence(found) == "1 of the 3 channels is silent: 1:2"
    assert [one.silent for one in found.values()] == [False, False, True]
    alone = top_galaxies(
        network,
        [(255 * images).round().byte().permute(0, 2, 3, 1).numpy()],
        [channel("1", 1)],
        preprocess=Preprocess(size=32, crop=32),
    )
    assert [one.index for one in found["1", 1].best] == [one.index for one in alone[0].best]


def examples(*, silent: bool = False) -> Examples:
    best = tuple(Example(index, 1.0, (0, 0), (0, 64, 128, 256)) for index in (4, 2))
    return Examples(channel("lam", 1), 5, silent, () if silent else best)


def test_silent_channels_in_a_sentence() -> None:
    found = {("lam", number): examples(silent=number < 2) for number in range(1500)}
    assert silence(found) == "2 of the 1,500 channels are silent: lam:0, lam:1"
    found = {("lam", number): examples(silent=number < 40) for number in range(50)}
    assert silence(found) == "40 of the 50 channels are silent"
    assert silence({("lam", 0): examples()}) == "none of the 1 channels is silent"


def test_galaxies_stand_beside_their_dream_with_their_boxes() -> None:
    shades = {index: np.full((256, 256, 3), 10 * index, np.uint8) for index in range(5)}
    one = panel("lam:1", torch.full((3, 32, 32), 2.0), examples(), shades)
    assert one.dream.max() == 1
    assert [int(galaxy.max()) for galaxy in one.galaxies] == [40, 20]
    figure = beside([one, Panel("silent", None, one.galaxies, one.boxes)])
    left, right = figure.axes
    canvas = left.images[0].get_array()
    assert canvas[0, 0, 0] == 255
    boxes = [patch for patch in left.patches if isinstance(patch, Rectangle)]
    assert len(boxes) == 2
    # The box is the upper right part of its galaxy: a quarter of the way in, half of the height.
    x, y = (round(value + 0.5) for value in boxes[1].get_xy())
    assert boxes[1].get_width() / boxes[1].get_height() == 1.5
    assert canvas[y + 1, x + 1, 0] == 20
    assert (right.images[0].get_array()[:40, :40] == 0).all()
    assert "no way up" in right.texts[0].get_text()
    plt.close(figure)
