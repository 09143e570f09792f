"""The galaxies that excite an objective most, and where in them: what a dream is to be looked at beside.

One pass over the images serves any number of objectives, all channels of a layer for instance, and keeps only
the best of each. An objective that no image moves is silent, and is called so before a dream is tried.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from galaxylib.data.galaxy10 import SHAPE
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream.forward import Tap
from galaxylib.dream.objectives import Objective, check_layers
from galaxylib.errors import DreamError
from galaxylib.networks.inspection import ReceptiveField, receptive_field

COUNT = 9
CONSTANT = 1e-6
"""Values over all images that differ by less, relative to the largest, do not differ: single precision."""
NOISE_IMAGES = 2
"""On which a receptive field is measured: its diameter is within a few per cent of that on many."""


@dataclass(frozen=True)
class Example:
    """One of the galaxies that excite an objective most.

    Attributes:
        index: of the galaxy, in the order in which the images were given, counted from 0.
        value: of the objective.
        place: row and column of the strongest response on the layer's grid; `None` where there is no grid,
            or where the objective looks at several layers.
        box: top, left, bottom and right edge, in pixels of the stored image, of what the unit at that place
            sees; without a place, of all that the network sees.
    """

    index: int
    value: float
    place: tuple[int, int] | None
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Examples:
    """What a pass over images says of one objective.

    Attributes:
        objective: of which it says it.
        images: number of images that were looked at.
        silent: no image moves it: its value is the same for all, or it asks for more of something that is
            nowhere above zero.
        best: the galaxies that excite it most, best first; none of a silent one.
    """

    objective: Objective
    images: int
    silent: bool
    best: tuple[Example, ...]

    def said(self) -> str:
        """Of a silent objective the sentence that says so, else nothing."""
        if not self.silent:
            return ""
        return f"{self.objective} is silent: none of {self.images:,} galaxies excites it."


class Ranking:
    """The best images so far of each objective; activations come in batch after batch.

    Args:
        objectives: what the images are ranked by.
        count: how many are kept of each.
    """

    def __init__(self, objectives: Sequence[Objective], *, count: int = COUNT) -> None:
        if count < 1:
            raise DreamError(f"count is {count}: ask for at least 1 galaxy.")
        self.objectives = tuple(objectives)
        self.count = count
        self.images = 0
        self.grids: dict[str, tuple[int, int]] = {}
        self._rows = [_Row() for _ in self.objectives]

    def add(self, activations: Mapping[str, Tensor]) -> None:
        """The next images: activations by layer, each (N, C, H, W) or (N, C), without gradients."""
        spread = {}
        for name, output in activations.items():
            if output.ndim == 4:
                self.grids[name] = (output.shape[2], output.shape[3])
                # Each place as an image of one pixel: what an objective says of it is its response there.
                spread[name] = output.permute(0, 2, 3, 1).reshape(-1, output.shape[1], 1, 1)
        for row, objective in zip(self._rows, self.objectives, strict=True):
            values = objective.value(activations)
            places, highest = self._strongest(objective, spread, values)
            row.add(values, places, highest, first=self.images, count=self.count)
        self.images += len(next(iter(activations.values())))

    def _strongest(
        self, objective: Objective, spread: Mapping[str, Tensor], values: Tensor
    ) -> tuple[Tensor, float]:
        """Where each image responds most, as a number on the grid (N,), -1 for nowhere; and the highest."""
        layers, neurons = objective.layers, [term for term in objective.terms if term.kind == "neuron"]
        if len(layers) != 1 or layers[0] not in spread:
            return torch.full((len(values),), -1), float(values.max())
        rows, columns = self.grids[layers[0]]
        if neurons:
            row, column = neurons[0].place or (rows // 2, columns // 2)
            return torch.full((len(values),), row * columns + column), float(values.max())
        highest, places = objective.value(spread).view(len(values), -1).max(dim=1)
        return places, float(highest.max())

    def examples(self, fields: Mapping[str, ReceptiveField], *, preprocess: Preprocess) -> list[Examples]:
        """What was found, objective by objective.

        Args:
            fields: of each layer that has a grid.
            preprocess: the network's own.
        """
        found = []
        for row, objective in zip(self._rows, self.objectives, strict=True):
            silent = row.constant or (row.highest <= 0 and _wants_more(objective))
            best = []
            for value, index, number in zip(row.values, row.indices, row.places, strict=True):
                place, box = None, None
                if number >= 0:
                    field = fields[objective.layers[0]]
                    place = divmod(int(number), field.grid[1])
                    box = field.box(place)
                best.append(Example(int(index), float(value), place, stored_box(box, preprocess)))
            found.append(Examples(objective, self.images, silent, () if silent else tuple(best)))
        return found


def _wants_more(objective: Objective) -> bool:
    """Whether it asks for activations above zero, and for nothing else."""
    return all(term.weight > 0 and term.kind in ("energy", "channel", "neuron") for term in objective.terms)


class _Row:
    """The best of one objective, and the ends of its values over all images."""

    def __init__(self) -> None:
        self.values = torch.empty(0)
        self.indices = self.places = torch.empty(0, dtype=torch.long)
        self.lowest, self.most, self.highest = np.inf, -np.inf, -np.inf

    @property
    def constant(self) -> bool:
        return self.most - self.lowest <= CONSTANT * max(abs(self.most), abs(self.lowest))

    def add(self, values: Tensor, places: Tensor, highest: float, *, first: int, count: int) -> None:
        values, places = values.detach().float().cpu(), places.cpu()
        self.lowest, self.most = min(self.lowest, float(values.min())), max(self.most, float(values.max()))
        self.highest = max(self.highest, highest)
        values = torch.cat([self.values, values])
        indices = torch.cat([self.indices, torch.arange(first, first + len(places))])
        places = torch.cat([self.places, places])
        best = values.argsort(descending=True, stable=True)[:count]
        self.values, self.indices, self.places = values[best], indices[best], places[best]


def top_galaxies(
    network: nn.Module,
    batches: Iterable[np.ndarray],
    objectives: Sequence[Objective],
    *,
    preprocess: Preprocess,
    count: int = COUNT,
) -> list[Examples]:
    """The images that excite each objective most, in one pass over them.

    Args:
        network: any module from (N, 3, H, W); it is left as it was.
        batches: the images, batch after batch, each (N, 256, 256, 3) uint8 as `Galaxy10.read` gives them.
        objectives: what the images are ranked by, seen as the network sees images in use.
        preprocess: the network's own.
        count: how many galaxies are kept of each objective; the earlier of two with the same value first.

    Returns:
        one entry an objective, in the same order.

    Raises:
        DreamError: the network has no such layer or channel, or there is no image.
    """
    layers = check_layers(network, objectives)
    tap, ranking = Tap(network, layers), Ranking(objectives, count=count)
    with torch.no_grad():
        for batch in batches:
            ranking.add(tap(preprocess(torch.from_numpy(batch).to(tap.device))))
    if not ranking.images:
        raise DreamError("There is no image to choose from: give at least one.")
    return ranking.examples(sights(network, ranking.grids, preprocess=preprocess), preprocess=preprocess)


def sights(network: nn.Module, layers: Iterable[str], *, preprocess: Preprocess) -> dict[str, ReceptiveField]:
    """The receptive field of each of some layers with a grid, at the size that the network reads."""
    return {
        name: receptive_field(network, name, size=preprocess.size, images=NOISE_IMAGES) for name in layers
    }


def stored_box(
    box: tuple[float, float, float, float] | None, preprocess: Preprocess
) -> tuple[float, float, float, float]:
    """A box in pixels of what the network reads, or all of that, in pixels of the stored 256 x 256 image."""
    box = box or (0.0, 0.0, float(preprocess.size), float(preprocess.size))
    margin, scale = (SHAPE[0] - preprocess.crop) // 2, preprocess.crop / preprocess.size
    top, left, bottom, right = (margin + scale * edge for edge in box)
    return top, left, bottom, right
