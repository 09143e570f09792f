"""What a dream makes larger: terms on a network's activations that add up.

>>> from galaxylib.dream.objectives import channel, layer, logit
>>> layer("lam")                                    # the paper's: mean square of a stage
>>> layer("dma2") - 0.5 * layer("stem") + 2 * logit("Barred Spiral")
>>> parse("dma2 - 0.5*stem + 2*logit:Barred Spiral")  # the same, from text
>>> parse("concept:bar_fraction", concepts=galaxylib.load("real").concepts)   # a direction that means bars
"""

import difflib
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.dream.settings import LIMITS, from_fields, to_fields
from galaxylib.errors import DreamError
from galaxylib.networks.concepts import Concepts

OUTPUT = ""
"""The name under which a network itself, and so its logits, is found among its modules."""

TERM = re.compile(
    r"(?P<minus>-)?((?P<factor>[\d.]+(e[+-]?\d+)?)\s*\*\s*)?"
    r"(?P<name>[^:@*]+)(:(?P<index>[^@]+)(@(?P<place>.+))?)?"
)
KINDS = ("energy", "channel", "neuron", "direction", "logit")
TAKEN_BY = {"index": ("channel", "neuron", "logit"), "place": ("neuron",), "vector": ("direction",)}
"""Which kinds of term have what."""
SHORTEST = 1e-9
"""What some entry of a direction must reach, so that its length is above zero in single precision."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """One weighed measure of one activation.

    Attributes:
        kind: `"energy"` mean square of everything; `"channel"` mean of one channel; `"neuron"` one channel at
            one place; `"direction"` mean over places of the product with a unit vector over the channels;
            `"logit"` one value of the network's output, before the softmax.
        layer: dotted name of a submodule; `OUTPUT` is the network itself.
        index: number of the channel or logit, counted from 0.
        place: row and column of a neuron on the activation's grid; `None` is its middle.
        vector: one number a channel, for a direction.
        weight: factor on the term in the sum.

    Raises:
        DreamError: a value is impossible.
    """

    kind: str
    layer: str
    index: int | None = None
    place: tuple[int, int] | None = None
    vector: tuple[float, ...] | None = None
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

    def value(self, activation: Tensor) -> Tensor:
        """(N, C, H, W) or (N, C) -> (N,), the weight included.

        Raises:
            DreamError: the activation has no such channel or place.
        """
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
        names = {
            "energy": self.layer or "output",
            "channel": f"{self.layer}:{self.index}",
            "neuron": f"{self.layer}:{self.index}@"
            + ("middle" if self.place is None else ",".join(map(str, self.place))),
            "direction": f"direction({self.layer})",
            "logit": f"logit:{self.index}",
        }
        return names[self.kind]


@dataclass(frozen=True)
class Objective:
    """A sum of terms; objectives add, subtract and take factors."""

    terms: tuple[Term, ...]

    def __add__(self, other: Self) -> "Objective":
        return Objective(self.terms + other.terms)

    def __mul__(self, factor: float) -> "Objective":
        return Objective(tuple(replace(term, weight=term.weight * float(factor)) for term in self.terms))

    __rmul__ = __mul__

    def __neg__(self) -> "Objective":
        return self * -1

    def __sub__(self, other: Self) -> "Objective":
        return self + -other

    @property
    def layers(self) -> tuple[str, ...]:
        """The submodules that the terms look at, each once."""
        return tuple(dict.fromkeys(term.layer for term in self.terms))

    def value(self, activations: Mapping[str, Tensor]) -> Tensor:
        """Activations by layer, each (N, C, ...) -> (N,)."""
        return torch.stack([term.value(activations[term.layer]) for term in self.terms]).sum(0)

    def __str__(self) -> str:
        text = ""
        for term in self.terms:
            size = abs(term.weight)
            sign = "-" if term.weight < 0 else "+"
            factor = "" if size == 1 else f"{size:g}*"
            text += f" {sign} {factor}{term}"
        return text.removeprefix(" + ").replace(" - ", "-", 1) if text.startswith(" - ") else text[3:]

    def to_dict(self) -> list[dict[str, Any]]:
        """As plain values, for JSON."""
        return [to_fields(term) for term in self.terms]

    @classmethod
    def from_dict(cls, content: Any) -> Self:
        """From what `to_dict` gave.

        Raises:
            DreamError: it does not describe terms.
        """
        if not isinstance(content, list) or not content:
            raise DreamError(f"terms is {reprlib.repr(content)}: give a list of at least one term.")
        return cls(tuple(from_fields(Term, row, name="a term") for row in content))


def layer(name: str) -> Objective:
    """Mean square of a submodule's output: the paper's objective, with `name` one of its stages."""
    return Objective((Term(kind="energy", layer=name),))


def channel(name: str, index: int) -> Objective:
    """Mean of one channel of a submodule's output."""
    return Objective((Term(kind="channel", layer=name, index=index),))


def neuron(name: str, index: int, *, place: tuple[int, int] | None = None) -> Objective:
    """One channel at one place (row, column) of a submodule's output; the middle where no place is given."""
    return Objective((Term(kind="neuron", layer=name, index=index, place=place),))


def direction(name: str, vector: Sequence[float]) -> Objective:
    """Mean over places of the product of a submodule's output with a unit vector along `vector` (C,).

    Raises:
        DreamError: the vector is zero or not finite.
    """
    numbers = torch.as_tensor(vector, dtype=torch.float64).flatten()
    return Objective((Term(kind="direction", layer=name, vector=tuple(numbers.tolist())),))


def logit(which: int | str, *, class_names: Sequence[str] = CLASS_NAMES) -> Objective:
    """One logit, by number or by class name.

    Raises:
        DreamError: no class is called so; the sentence gives the nearest names.
    """
    if isinstance(which, str):
        lower = [name.lower() for name in class_names]
        if which.lower() not in lower:
            raise DreamError(f"No class is called {which!r}{_nearest(which, class_names)}.")
        which = lower.index(which.lower())
    return Objective((Term(kind="logit", layer=OUTPUT, index=which),))


def concept(name: str, *, concepts: Concepts, stage: str = "") -> Objective:
    """The direction along which a true property of galaxies grows, as `galaxylib probe` found it.

    Args:
        name: of the property, such as "bar_fraction".
        concepts: of the network, `Loaded.concepts`.
        stage: the layer that it is read off; the one that reads it best where none is given.

    Raises:
        GalaxyError: the network has no concepts, or none of that name there; the sentence gives a cure.
    """
    found = concepts.find(name, stage)
    return direction(found.stage, found.read_out.vector)


def parse(
    text: str, *, class_names: Sequence[str] = CLASS_NAMES, concepts: Concepts | None = None
) -> Objective:
    """An objective from text.

    Terms are joined by ` + ` and ` - ` (with spaces) and may begin with a factor and `*`. A term is a layer
    (`lam`), a channel (`dma2:5`), a neuron (`dma2:5@3,4` or `dma2:5@middle`), a logit (`logit:3`,
    `logit:Barred Spiral`) or a concept (`concept:bar_fraction`, at a stage `concept:bar_fraction@dma3`).

    Args:
        text: the objective.
        class_names: of the logits.
        concepts: of the network, `Loaded.concepts`, which are read where the text names one.

    Raises:
        DreamError: the text cannot be read, or no channel, place or factor can be as it says.
        GalaxyError: as `concept`.
    """
    concepts = concepts or Concepts(None, "")
    pieces = re.split(r"\s+([+-])\s+", text.strip())
    total = _term(pieces[0], class_names, concepts)
    for sign, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        term = _term(piece, class_names, concepts)
        total = total + term if sign == "+" else total - term
    return total


def _term(text: str, class_names: Sequence[str], concepts: Concepts) -> Objective:
    found = TERM.fullmatch(text.strip())
    if not found:
        raise DreamError(
            f"{text!r} is no objective: write a layer (lam), a channel (dma2:5) or a logit (logit:Merging)."
        )
    name, index, place = (found[key] and found[key].strip() for key in ("name", "index", "place"))
    try:
        if name == "logit" and index:
            which = int(index) if index.isdigit() else index
            objective = logit(which, class_names=class_names)
        elif name == "concept" and index:
            objective = concept(index, concepts=concepts, stage=place or "")
        elif index is None:
            objective = layer(name)
        elif place is None:
            objective = channel(name, int(index))
        else:
            row_column = None if place == "middle" else tuple(int(part) for part in place.split(","))
            objective = neuron(name, int(index), place=row_column)
        factor = float(found["factor"] or 1)
    except ValueError as fault:
        raise DreamError(
            f"{text!r} is no objective: a factor is a number, a channel and a place are whole numbers."
        ) from fault
    return objective * (-factor if found["minus"] else factor)


def check_layers(network: nn.Module, objectives: Iterable[Objective]) -> tuple[str, ...]:
    """The layers that some objectives need, each once.

    Raises:
        DreamError: the network has no submodule of that name; the sentence gives the nearest names.
    """
    names = [name for name, _ in network.named_modules()]
    wanted = tuple(dict.fromkeys(name for objective in objectives for name in objective.layers))
    for name in wanted:
        if name not in names:
            raise DreamError(f"The network has no layer {name!r}{_nearest(name, names[1:])}.")
    return wanted


def _nearest(name: str, names: Sequence[str]) -> str:
    """`": the nearest are a, b, c"`; names that end alike count as near."""
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    close += [other for other in names if other.split(".")[-1] == name.split(".")[-1]]
    close = list(dict.fromkeys(close))[:3] or list(names[:6])
    return f": the nearest are {', '.join(close)}" if close else ""
