"""What a dream makes larger: terms on a network's activations that add up.

>>> from galaxylib.dream.objectives import channel, layer, logit
>>> layer("lam")                                    # the paper's: mean square of a stage
>>> layer("dma2") - 0.5 * layer("stem") + 2 * logit("Barred Spiral")
>>> parse("dma2 - 0.5*stem + 2*logit:Barred Spiral")  # the same, from text
>>> parse("concept:bar_fraction", concepts=galaxylib.load("real").concepts)   # a direction that means bars
>>> parse("logit:Merging + 5*near:dma1")            # feature accentuation: up, but near to the given image
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
from galaxylib.dream.settings import from_fields, to_fields
from galaxylib.dream.terms import OUTPUT, POWER, Term
from galaxylib.errors import DreamError
from galaxylib.networks.concepts import Concepts

TERM = re.compile(
    r"(?P<minus>-)?((?P<factor>[\d.]+(e[+-]?\d+)?)\s*\*\s*)?"
    r"(?P<name>[^:@*]+)(:(?P<index>[^@]+)(@(?P<place>.+))?)?"
)


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

    @property
    def anchored(self) -> bool:
        """Whether some term compares with the given image."""
        return any(term.anchored for term in self.terms)

    @property
    def diverse(self) -> bool:
        """Whether some term compares the images of a batch."""
        return any(term.kind == "diversity" for term in self.terms)

    def value(self, activations: Mapping[str, Tensor], anchors: Mapping[str, Tensor] | None = None) -> Tensor:
        """Activations by layer, each (N, C, ...), and those of the images to compare with -> (N,)."""
        anchors = anchors or {}
        values = [term.value(activations[term.layer], anchors.get(term.layer)) for term in self.terms]
        return torch.stack(values).sum(0)

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
        # Dreams saved before there were caricatures have no power.
        rows = [{"power": None} | row if isinstance(row, dict) else row for row in content]
        return cls(tuple(from_fields(Term, row, name="a term") for row in rows))


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


def near(name: str) -> Objective:
    """How near a submodule's output is to that of the given image, 0 being the same.

    Beside something else to climb it is feature accentuation (Hamblin et al. 2024); alone, from noise, it
    inverts the submodule (Mahendran and Vedaldi 2015). See `galaxylib.dream.comparisons.nearness`.
    """
    return Objective((Term(kind="near", layer=name),))


def caricature(name: str, *, power: float = POWER) -> Objective:
    """How far a submodule's output goes along that of the given image, times a power of their cosine.

    See `galaxylib.dream.comparisons.exaggeration`.

    Raises:
        DreamError: the power is out of its range.
    """
    return Objective((Term(kind="caricature", layer=name, power=power),))


def diversity(name: str) -> Objective:
    """How unlike the batch's other images a submodule sees an image, from -1 to 0.

    See `galaxylib.dream.comparisons.diversity`.
    """
    return Objective((Term(kind="diversity", layer=name),))


def _caricature(text: str) -> Objective:
    """`dma2`, or `dma2^1` for another power."""
    name, hat, power = text.partition("^")
    return caricature(name, power=float(power)) if hat else caricature(name)


COMPARED = {"near": near, "caricature": _caricature, "diversity": diversity}
"""What makes a term that compares, by the word that it begins with."""


def parse(
    text: str, *, class_names: Sequence[str] = CLASS_NAMES, concepts: Concepts | None = None
) -> Objective:
    """An objective from text.

    Terms are joined by ` + ` and ` - ` (with spaces) and may begin with a factor and `*`. A term is a layer
    (`lam`), a channel (`dma2:5`), a neuron (`dma2:5@3,4` or `dma2:5@middle`), a logit (`logit:3`,
    `logit:Barred Spiral`), a concept (`concept:bar_fraction`, at a stage `concept:bar_fraction@dma3`) or a
    comparison: of a layer's activation with that of the given image (`near:dma1`; `caricature:dma2`, whose
    power is 2, or `caricature:dma2^1`) or with those of the batch's other images (`diversity:dma2`).

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
        elif name in COMPARED and index and place is None:
            objective = COMPARED[name](index)
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
            f"{text!r} is no objective: a factor is a number, like a power; channel and place are whole ones."
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
