"""The galaxies that excite an objective most, against a naive loop; what is silent is named."""

import numpy as np
import pytest
import torch
from torch import nn

from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import channel, direction, layer, logit, neuron
from galaxylib.dream.examples import seen, top_galaxies
from galaxylib.errors import DreamError
from galaxylib.networks.inspection import reach

DEAD, ALIVE, NEGATIVE = 2, 0, 3
PREPROCESS = Preprocess(size=64, crop=128)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Two convolutions and a head; one channel of the second is dead, one is the same everywhere."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=2, padding=2),
        nn.Sequential(nn.Conv2d(4, 5, 3, stride=2, padding=1), nn.ReLU()),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)),
    )
    with torch.no_grad():
        net[1][0].bias[DEAD] = -1e4
        net[0].bias[NEGATIVE] = -50.0  # which nothing behind it reads
        net[1][0].weight[:, NEGATIVE] = 0
        net[1][0].weight[4] = 0
        net[1][0].bias[4] = 2.0
    return net.eval()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    generator = np.random.default_rng(3)
    dark = generator.integers(0, 40, (23, 256, 256, 3))
    for image in dark:
        row, column = generator.integers(70, 180, 2)
        image[row : row + 12, column : column + 12] += generator.integers(60, 200)
    return dark.astype(np.uint8)


def in_batches(images: np.ndarray, size: int = 7):
    return (images[first : first + size] for first in range(0, len(images), size))


@torch.no_grad()
def activation(network: nn.Module, images: np.ndarray, name: str) -> torch.Tensor:
    output = PREPROCESS(torch.from_numpy(images))
    for index in range(int(name) + 1):
        output = network[index](output)
    return output


def test_the_best_are_those_of_a_naive_loop(network: nn.Module, images: np.ndarray) -> None:
    vector = torch.randn(4, generator=torch.Generator().manual_seed(1)).tolist()
    objectives = [channel("1", ALIVE), layer("0"), direction("0", vector), -channel("0", 1), logit(2)]
    found = top_galaxies(network, in_batches(images), objectives, preprocess=PREPROCESS, count=5)
    maps = {
        0: activation(network, images, "1")[:, ALIVE],
        1: activation(network, images, "0").square().mean(dim=1),
        2: torch.einsum("nchw,c->nhw", activation(network, images, "0"), torch.tensor(vector))
        / torch.tensor(vector).norm(),
        3: -activation(network, images, "0")[:, 1],
    }
    for number, plane in maps.items():
        scored = []
        for index in range(len(images)):
            place = max(np.ndindex(*plane.shape[1:]), key=lambda at, i=index, p=plane: p[i][at].item())
            scored.append((plane[index].mean().item(), index, place))
        scored.sort(key=lambda one: -one[0])
        examples = found[number]
        assert not examples.silent
        assert examples.said() == ""
        assert examples.images == len(images)
        assert [(one.index, one.place) for one in examples.best] == [one[1:] for one in scored[:5]]
        assert [one.value for one in examples.best] == pytest.approx([one[0] for one in scored[:5]], rel=1e-4)
    logits = activation(network, images, "2")[:, 2]
    assert [one.index for one in found[4].best] == logits.argsort(descending=True)[:5].tolist()
    # A class has no place: the box is all that the network sees, the middle 128 of the stored 256 pixels.
    assert found[4].best[0].place is None
    assert found[4].best[0].box == (64, 64, 192, 192)


def test_a_neuron_is_shown_at_its_own_place(network: nn.Module, images: np.ndarray) -> None:
    at, middle = top_galaxies(
        network,
        in_batches(images),
        [neuron("1", ALIVE, place=(3, 5)), neuron("1", ALIVE)],
        preprocess=PREPROCESS,
    )
    values = activation(network, images, "1")[:, ALIVE]
    assert {one.place for one in at.best} == {(3, 5)}
    assert at.best[0].index == values[:, 3, 5].argmax()
    assert middle.best[0].index == values[:, 8, 8].argmax()
    assert middle.best[0].place == (8, 8)


def test_the_box_holds_what_excites_the_unit() -> None:
    """One bright square in the dark: the box of the strongest response lies round it, cut off at the rim."""
    net = nn.Sequential(nn.Conv2d(3, 1, 9, stride=4, padding=4))
    nn.init.ones_(net[0].weight)
    image = np.zeros((3, 256, 256, 3), np.uint8)
    image[0, 132:140, 160:168] = 255
    image[1, 64:72, 64:72] = 200
    (found,) = top_galaxies(net, [image], [channel("0", 0)], preprocess=PREPROCESS)
    first, second, dark = found.best
    top, left, bottom, right = first.box
    assert top <= 132
    assert left <= 160
    assert bottom >= 140
    assert right >= 168
    # A kernel of 9 pixels, which are 18 of the stored image; the circle round nine tenths of it.
    assert bottom - top == pytest.approx(2 * reach(net, "0", size=64, images=3))
    assert 14 < bottom - top < 22
    assert second.box[:2] == (64, 64)
    assert dark.value == min(one.value for one in found.best)


def test_the_boxes_of_a_grid_are_those_counted_by_hand() -> None:
    """A kernel of 3 with stride 4 on 32 pixels: the unit in row r reads the pixels 4 r - 1 to 4 r + 1."""
    plain = Preprocess(size=32, crop=256)
    boxes = {place: seen(place, (8, 8), 3, preprocess=plain) for place in ((2, 5), (0, 7))}
    assert boxes[2, 5] == (8 * 7, 8 * 19, 8 * 10, 8 * 22)
    assert boxes[0, 7] == (0, 8 * 27, 8 * 2, 8 * 30)
    # A crop moves and shrinks it.
    assert seen((2, 5), (8, 8), 3, preprocess=Preprocess(size=32, crop=64)) == (110, 134, 116, 140)


def test_silent_channels_are_named(network: nn.Module, images: np.ndarray) -> None:
    objectives = [
        channel("1", DEAD),
        channel("1", 4),
        channel("0", NEGATIVE),
        -channel("0", NEGATIVE),
        channel("1", ALIVE),
        layer("1"),
    ]
    found = top_galaxies(network, in_batches(images), objectives, preprocess=PREPROCESS)
    assert [one.silent for one in found] == [True, True, True, False, False, False]
    assert found[0].said() == "1:2 is silent: none of 23 galaxies excites it."
    assert found[0].best == ()
    assert len(found[4].best) == 9


def test_few_images_and_none(network: nn.Module, images: np.ndarray) -> None:
    (found,) = top_galaxies(network, [images[:2]], [channel("1", ALIVE)], preprocess=PREPROCESS)
    assert sorted(one.index for one in found.best) == [0, 1]
    with pytest.raises(DreamError, match="There is no image to choose from"):
        top_galaxies(network, [], [channel("1", ALIVE)], preprocess=PREPROCESS)
    with pytest.raises(DreamError, match="no layer 'lam'"):
        top_galaxies(network, [images[:2]], [layer("lam")], preprocess=PREPROCESS)
    with pytest.raises(DreamError, match="1 has 5 channels and no number 9"):
        top_galaxies(network, [images[:2]], [channel("1", 9)], preprocess=PREPROCESS)
