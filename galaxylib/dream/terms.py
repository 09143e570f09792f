"""One weighed measure of one activation: what the terms of an objective are.

>>> from galaxylib.dream.terms import Term
>>> Term(kind="channel", layer="dma2", index=5, weight=0.5)  # half the mean of a channel
"""

import reprlib
from dataclasses import dataclass

import torch
from torch import Tensor

from galaxylib.dream.comparisons import diversity, exaggeration, nearness
from galaxylib.dream.settings import LIMITS
from galaxylib.errors import DreamError

OUTPUT = ""
"""The name under which a network itself, and so its logits, is found among its modules."""

KINDS = ("energy", "channel", "neuron", "direction", "logit", "near", "caricature", "diversity")
TAKEN_BY = {
    "index": ("channel", "neuron", "logit"),
    "place": ("neuron",),
    "vector": ("direction",),
    "power": ("caricature",),
}
"""Which kinds of term have what."""
ANCHORED = ("near", "caricature")
"""Which compare an activation with that of the given image."""
POWER = 2.0
"""Of the cosine in a caricature, where none is given."""
SHORTEST = 1e-9
"""What some entry of a direction must reach, so that its length is above zero in single precision."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """One weighed measure of one activation.

    Attributes:
        kind: `"energy"` mean square of everything; `"channel"` mean of one channel; `"neuron"` one channel at
            one place; `"direction"` mean over places of the product with a unit vector over the channels;
            `"logit"` one value of the network's output, before the softmax; `"near"` how near the activation
            is to that of the given image; `"caricature"` how far it goes along it; `"diversity"` how unlike
            the other images of the batch it is (the formulas are those of `galaxylib.dream.comparisons`).
        layer: dotted name of a submodule; `OUTPUT` is the network itself.
        index: number of the channel or logit, counted from 0.
        place: row and column of a neuron on the activation's grid; `None` is its middle.
        vector: one number a channel, for a direction.
        power: of the cosine in a caricature, from 0.
        weight: factor on the term in the sum.

    Raises:
        DreamError: a value is impossible.
    """

    kind: str
    layer: str
    index: int | None = None
    place: tuple[int, int] | None = None
    vector: tuple[float, ...] | None = None
    power: float | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DreamError(f"kind is {reprlib.repr(self.kind)}: choose {' or '.join(KINDS)}.")
        if not (isinstance(self.layer, str) and self.layer.isprintable()):
            raise DreamError(f"layer is {reprlib.repr(self.layer)}: give the name of a layer.")
        LIMITS["weight"].check("weight", self.weight)
        for name, kinds in TAKEN_BY.items():
            value = getattr(self, name)
            if self.kind not in kinds and value is not None:
                raise DreamError(
                    f"{name} is {reprlib.repr(value)}, but {self.kind} takes none: leave it out."
                )
        if self.kind in TAKEN_BY["index"]:
            LIMITS["index"].check("index", self.index)
        if self.kind in TAKEN_BY["power"]:
            LIMITS["power"].check("power", self.power)
        if self.place is not None:
            if not isinstance(self.place, tuple) or len(self.place) != 2:
                raise DreamError(f"place is {reprlib.repr(self.place)}: give a row and a column, as in 3,4.")
            for number in self.place:
                LIMITS["place"].check("place", number)
        if self.kind == "direction":
            if not isinstance(self.vector, tuple):
                raise DreamError(f"vector is {reprlib.repr(self.vector)}: give one number a channel.")
            for number in self.vector:
                LIMITS["vector"].check("vector", number)
            if max(map(abs, self.vector), default=0) < SHORTEST:
                raise DreamError("A direction needs finite numbers that are not all zero.")

    @property
    def anchored(self) -> bool:
        """Whether the term compares an activation with that of the given image."""
        return self.kind in ANCHORED

    def value(self, activation: Tensor, anchor: Tensor | None = None) -> Tensor:
        """(N, C, H, W) or (N, C) -> (N,), the weight included.

        Args:
            activation: of the layer, for a batch of images.
            anchor: that of the given images, for a term that compares with them.

        Raises:
            DreamError: the activation has no such channel or place, or nothing to be compared with.
        """
        if self.anchored and anchor is None:
            raise DreamError(f"{self} compares with the activation of an image: give that too.")
        if self.kind == "near":
            return self.weight * nearness(activation, anchor)
        if self.kind == "caricature":
            return self.weight * exaggeration(activation, anchor, power=self.power)
        if self.kind == "diversity":
            return self.weight * diversity(activation)
        if self.kind == "energy":
            return self.weight * activation.square().mean(dim=tuple(range(1, activation.ndim)))
        if self.kind == "direction":
            return self.weight * self._along(activation)
        count = activation.shape[1]
        if not 0 <= self.index < count:
            raise DreamError(
                f"{self._layer} has {count} channels and no number {self.index}: choose 0 to {count - 1}."
            )
        chosen = activation[:, self.index]
        if self.kind == "neuron":
            chosen = self._place(chosen)
        return self.weight * chosen.flatten(1).mean(1) if chosen.ndim > 1 else self.weight * chosen

    def _along(self, activation: Tensor) -> Tensor:
        if activation.shape[1] != len(self.vector):
            raise DreamError(
                f"The direction has {len(self.vector)} numbers and {self._layer} has "
                f"{activation.shape[1]} channels: give one number a channel."
            )
        vector = torch.tensor(self.vector, device=activation.device, dtype=activation.dtype)
        return torch.einsum("nc...,c->n...", activation, vector / vector.norm()).flatten(1).mean(1)

    def _place(self, plane: Tensor) -> Tensor:
        if plane.ndim != 3:
            raise DreamError(f"{self._layer} has no rows and columns: ask for a channel, not a neuron.")
        height, width = plane.shape[1:]
        row, column = (height // 2, width // 2) if self.place is None else self.place
        if not (0 <= row < height and 0 <= column < width):
            raise DreamError(
                f"{self._layer} has {height} x {width} places at this size and none at row {row}, "
                f"column {column}: choose inside, or leave the place out for the middle."
            )
        return plane[:, row, column]

    @property
    def _layer(self) -> str:
        return self.layer or "The network's output"

    def __str__(self) -> str:
        name = self.layer or "output"
        power = "" if self.power in (None, POWER) else f"^{self.power:g}"
        names = {
            "energy": name,
            "channel": f"{self.layer}:{self.index}",
            "neuron": f"{self.layer}:{self.index}@"
            + ("middle" if self.place is None else ",".join(map(str, self.place))),
            "direction": f"direction({self.layer})",
            "logit": f"logit:{self.index}",
            "near": f"near:{name}",
            "caricature": f"caricature:{name}{power}",
            "diversity": f"diversity:{name}",
        }
        return names[self.kind]
