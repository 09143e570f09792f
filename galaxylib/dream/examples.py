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
from galaxylib.dream.objectives import Objective, channel, check_layers
from galaxylib.errors import DreamError
from galaxylib.networks.inspection import reach_of

COUNT = 9
CONSTANT = 1e-6
"""Values over all images that differ by less, relative to the largest, do not differ: single precision."""
NOISE_IMAGES = 3
"""On which a receptive field is measured."""
NOWHERE = -1
AT_EACH_PLACE = ("energy", "channel", "direction")
"""Kinds of term whose value is a mean over the places of a layer."""
INF = float("inf")

Box = tuple[float, float, float, float]
"""Top, left, bottom and right edge in pixels."""


@dataclass(frozen=True)
class Example:
    """One of the galaxies that excite an objective most.

    Attributes:
        index: of the galaxy, in the order in which the images were given, counted from 0.
        value: of the objective.
        place: row and column of the strongest response on the layer's grid; `None` where there is no grid,
            or where the objective looks at several layers or is no mean over places.
        box: top, left, bottom and right edge, in pixels of the stored image, of what the unit at that place
            sees; without a place, of all that the network sees.
    """

    index: int
    value: float
    place: tuple[int, int] | None
    box: Box


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

    def said(self, name: str = "") -> str:
        """Of a silent objective the sentence that says so, under a name of its own; else nothing."""
        if not self.silent:
            return ""
        return f"{name or self.objective} is silent: none of {self.images:,} galaxies excites it."


class Ranking:
    """The best images so far of each objective; activations come in batch after batch.

    Args:
        objectives: what the images are ranked by.
        count: how many are kept of each.

    Raises:
        DreamError: none shall be kept.
    """

    def __init__(self, objectives: Sequence[Objective], *, count: int = COUNT) -> None:
        if count < 1:
            raise DreamError(f"count is {count}: ask for at least 1 galaxy.")
        self.objectives, self.count, self.images = tuple(objectives), count, 0
        self.grids: dict[str, tuple[int, int]] = {}
        number = len(self.objectives)
        self._values = torch.empty(0, number)
        self._indices = self._places = torch.empty(0, number, dtype=torch.long)
        self._lowest, self._most, self._highest = (torch.full((number,), end) for end in (INF, -INF, -INF))
        self._channels: dict[str, dict[int, int]] = {}
        self._others = []
        for number, objective in enumerate(self.objectives):
            term, *more = objective.terms
            if term.kind == "channel" and term.weight == 1 and not more:
                self._channels.setdefault(term.layer, {})[number] = term.index
            else:
                self._others.append(number)

    def add(self, activations: Mapping[str, Tensor]) -> None:
        """The next images: activations by layer, each (N, C, H, W) or (N, C), without gradients."""
        count = len(next(iter(activations.values())))
        values = torch.empty(count, len(self.objectives))
        places = torch.full(values.shape, NOWHERE)
        highest = torch.empty(len(self.objectives))
        self.grids |= {
            name: tuple(output.shape[2:]) for name, output in activations.items() if output.ndim == 4
        }
        for name, chosen in self._channels.items():
            numbers, channels = list(chosen), list(chosen.values())
            self.objectives[numbers[int(np.argmax(channels))]].value(activations)  # whether there are so many
            output = (
                activations[name].flatten(2) if activations[name].ndim == 4 else activations[name][..., None]
            )
            strongest, at = output.max(dim=2)
            values[:, numbers] = output.mean(dim=2)[:, channels].cpu()
            highest[numbers] = strongest.amax(dim=0)[channels].cpu()
            if name in self.grids:
                places[:, numbers] = at[:, channels].cpu()
        for number in self._others:
            objective = self.objectives[number]
            values[:, number] = objective.value(activations)
            strongest, at = self._strongest(objective, activations, values[:, number])
            highest[number], places[:, number] = strongest.max(), at
        self._keep(values, places)
        self._lowest = torch.minimum(self._lowest, values.amin(dim=0))
        self._most = torch.maximum(self._most, values.amax(dim=0))
        self._highest = torch.maximum(self._highest, highest)
        self.images += count

    def _strongest(
        self, objective: Objective, activations: Mapping[str, Tensor], values: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The strongest response in each image (N,), and where it is, as a number on the grid."""
        nowhere = torch.full(values.shape, NOWHERE)
        name, *others = objective.layers
        kinds = {term.kind for term in objective.terms}
        if others or name not in self.grids or not kinds <= {*AT_EACH_PLACE, "neuron"}:
            return values, nowhere
        rows, columns = self.grids[name]
        for term in objective.terms:
            if term.kind == "neuron":
                row, column = term.place or (rows // 2, columns // 2)
                return values, torch.full(values.shape, row * columns + column)
        # Each place as an image of one pixel: what an objective says of it is its response there.
        output = activations[name]
        spread = output.permute(0, 2, 3, 1).reshape(-1, output.shape[1], 1, 1)
        return objective.value({name: spread}).view(len(output), -1).max(dim=1)

    def _keep(self, values: Tensor, places: Tensor) -> None:
        indices = torch.arange(self.images, self.images + len(values))[:, None].expand(values.shape)
        values = torch.cat([self._values, values])
        best = values.argsort(dim=0, descending=True, stable=True)[: self.count]
        self._values = values.gather(0, best)
        self._indices = torch.cat([self._indices, indices]).gather(0, best)
        self._places = torch.cat([self._places, places]).gather(0, best)

    def examples(self, reaches: Mapping[str, float], *, preprocess: Preprocess) -> list[Examples]:
        """What was found, objective by objective.

        Args:
            reaches: how far a unit of each layer with a grid sees, in pixels of what the network reads.
            preprocess: the network's own.
        """
        spread = self._most - self._lowest
        still = spread <= CONSTANT * torch.maximum(self._most.abs(), self._lowest.abs())
        found = []
        for number, objective in enumerate(self.objectives):
            silent = bool(still[number]) or (_wants_more(objective) and bool(self._highest[number] <= 0))
            best = []
            for row in range(0 if silent else len(self._values)):
                at, place, box = int(self._places[row, number]), None, whole(preprocess)
                if at != NOWHERE:
                    (name,) = objective.layers
                    place = divmod(at, self.grids[name][1])
                    box = seen(place, self.grids[name], reaches[name], preprocess=preprocess)
                best.append(
                    Example(int(self._indices[row, number]), float(self._values[row, number]), place, box)
                )
            found.append(Examples(objective, self.images, silent, tuple(best)))
        return found


def _wants_more(objective: Objective) -> bool:
    """Whether it asks for activations above zero, and for nothing else."""
    return all(term.weight > 0 and term.kind in ("energy", "channel", "neuron") for term in objective.terms)


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
    return ranking.examples(reaches(network, ranking.grids, preprocess=preprocess), preprocess=preprocess)


def each_channel(network: nn.Module, layers: Sequence[str], *, preprocess: Preprocess) -> list[Objective]:
    """An objective for each channel of some layers."""
    tap = Tap(network, layers)
    with torch.no_grad():
        outputs = tap(torch.zeros(1, 3, preprocess.size, preprocess.size, device=tap.device))
    return [channel(name, index) for name in layers for index in range(outputs[name].shape[1])]


def reaches(network: nn.Module, layers: Iterable[str], *, preprocess: Preprocess) -> dict[str, float]:
    """How far a unit of each of some layers with a grid sees, in pixels of what the network reads.

    It is the `reach` of `galaxylib.networks.inspection`, measured on a few noise images.
    """
    found = {}
    for name in layers:
        tap = Tap(network, [name])
        found[name] = reach_of(
            lambda pixels, tap=tap, name=name: tap(pixels)[name],
            size=preprocess.size,
            images=NOISE_IMAGES,
            device=tap.device,
        )
    return found


def seen(place: tuple[int, int], grid: tuple[int, int], reach: float, *, preprocess: Preprocess) -> Box:
    """What a unit sees of the stored image, in its pixels: the square round the receptive field, cut to size.

    Args:
        place: row and column of the unit.
        grid: rows and columns of its layer. Unit 0 looks at pixel 0, and the others follow at equal
            distances, as they do behind convolutions of odd size that are padded to keep the image's.
        reach: diameter of the receptive field, in pixels of what the network reads.
        preprocess: the network's own.
    """
    centres = [(number * preprocess.size / units) + 0.5 for number, units in zip(place, grid, strict=True)]
    edges = [centre + side * reach / 2 for side in (-1, 1) for centre in centres]
    return _stored([min(max(edge, 0.0), float(preprocess.size)) for edge in edges], preprocess)


def whole(preprocess: Preprocess) -> Box:
    """All that a network sees of the stored image, in its pixels."""
    return _stored([0.0, 0.0, float(preprocess.size), float(preprocess.size)], preprocess)


def _stored(edges: Sequence[float], preprocess: Preprocess) -> Box:
    margin, scale = (SHAPE[0] - preprocess.crop) // 2, preprocess.crop / preprocess.size
    top, left, bottom, right = (margin + scale * edge for edge in edges)
    return top, left, bottom, right
