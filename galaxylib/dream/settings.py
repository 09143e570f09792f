"""How a dream is made: one frozen object, and the paper's values as one of them."""

import json
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self, TypeVar

from galaxylib import errors
from galaxylib.errors import DreamError

SMALLEST, LARGEST = 32, 8192
Kind = TypeVar("Kind")


class Range(errors.Range):
    """What a number of a dream may be."""

    fault = DreamError


LIMITS = {
    "sizes": Range(SMALLEST, LARGEST),
    "steps": Range(0, 1000),
    "rates": Range(0.0001, 10, whole=False),
    "jitter": Range(0, LARGEST),
    "levels": Range(1, 16),
    "ratio": Range(1.01, 4, whole=False),
    "smoothing": Range(0.01, 100, whole=False),
    "sharpen": Range(0, 10, whole=False),
    "total_variation": Range(0, 100, whole=False),
    "distance": Range(0, 100, whole=False),
    "tile": Range(0, LARGEST),
    "overlap": Range(0, LARGEST),
    "seed": Range(errors.SEEDS.low, errors.SEEDS.high),
    "threads": Range(1, 1024),
    "index": Range(0, 1_000_000),
    "place": Range(0, 1_000_000),
    "weight": Range(-1e9, 1e9, whole=False),
    "vector": Range(-1e9, 1e9, whole=False),
    "power": Range(0, 16, whole=False),
    "count": Range(1, 256),
}
"""Of every number that makes a dream; the command line, the widget and the reading of records ask here."""
ENTRIES = Range(1, 16)
"""How many sizes a dream may have."""
CHOICES = {
    "start": ("image", "noise", "galaxies"),
    "parametrisation": ("pixel", "fourier"),
    "magnitude": ("free", "input", "galaxies"),
    "precision": ("float32", "bfloat16"),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The protocol of a dream.

    Attributes:
        sizes: shorter sides in pixels, one after the other; the dream of one, enlarged, starts the next.
        steps: ascent steps on each level of the pyramid, for each size.
        rates: step length, in normalised pixel units of a gradient whose deviation is 1, for each size.
        jitter: largest random circular shift in pixels, either way, for each size.
        levels: of the pyramid at each size; each is dreamed from scratch on the image of the one before.
        ratio: between a level's width and the one before it.
        smoothing: the sigma in pixels that the gradient's blur starts from, growing by 2 over the steps.
        sharpen: share of the blurred image that the final unsharp mask takes away; 0 is none.
        start: `"image"`; `"noise"` (every value evenly from 0 to 1) or `"galaxies"` (faint random phases with
            the spectrum, colours and mean of galaxies), for which the image only gives the shape.
        parametrisation: `"pixel"`, gradients smoothed; or `"fourier"`, gradients coloured by the spectrum and
            the colour covariance of galaxies.
        magnitude: fourier amplitudes after each step: `"free"`, or held at the `"input"`'s or the average of
            `"galaxies"`, so that the dream moves phases only.
        total_variation: weight of the pull towards a smooth image, against a gradient whose deviation is 1.
        distance: weight of the pull back to the input, against the same gradient, times how far a pixel has
            moved.
        tile: side in pixels of the windows into which larger images are cut to save memory; 0 is never.
        overlap: pixels that a window sees beyond the part whose gradient it gives.
        precision: of the network's arithmetic, `"float32"` or `"bfloat16"`.

    Raises:
        DreamError: a value is impossible.
    """

    sizes: tuple[int, ...] = (256, 512, 1024)
    steps: tuple[int, ...] = (20, 10, 5)
    rates: tuple[float, ...] = (0.05, 0.03, 0.01)
    jitter: tuple[int, ...] = (10, 5, 5)
    levels: int = 2
    ratio: float = 1.3
    smoothing: float = 0.5
    sharpen: float = 0.5
    start: str = "image"
    parametrisation: str = "pixel"
    magnitude: str = "free"
    total_variation: float = 0.0
    distance: float = 0.0
    tile: int = 0
    overlap: int = 64
    precision: str = "float32"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in CHOICES:
                if value not in CHOICES[field.name]:
                    choices = " or ".join(CHOICES[field.name])
                    raise DreamError(f"{field.name} is {reprlib.repr(value)}: choose {choices}.")
            elif field.name in ("sizes", "steps", "rates", "jitter"):
                self._check_entries(field.name, value)
            else:
                LIMITS[field.name].check(field.name, value)
        if self.level_side(min(self.sizes), 0) < SMALLEST:
            raise DreamError(
                f"sizes has {min(self.sizes)}, whose smallest level would have less than {SMALLEST} pixels: "
                "choose larger sizes or fewer levels."
            )
        if self.tile and self.tile < 2 * self.overlap + SMALLEST:
            raise DreamError(
                f"tile is {self.tile} with an overlap of {self.overlap}, which keeps too little: "
                f"choose a tile of at least twice the overlap and {SMALLEST}."
            )

    def _check_entries(self, name: str, values: Any) -> None:
        if not isinstance(values, tuple | list):
            raise DreamError(f"{name} is {reprlib.repr(values)}: give a list of numbers.")
        ENTRIES.check(f"the number of {name}", len(values))
        if len(values) != len(self.sizes):
            raise DreamError(f"{name} has {len(values)} entries and sizes {len(self.sizes)}: give as many.")
        for value in values:
            LIMITS[name].check(name, value)

    def level_side(self, side: int, level: int) -> int:
        """A side's length in pixels on a level of the pyramid; the last level has the full length."""
        return round(side * self.ratio ** (level - self.levels + 1))

    @property
    def total_steps(self) -> int:
        """Ascent steps of the whole dream."""
        return self.levels * sum(self.steps)

    def but(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return replace(self, **changes)

    def to(self, size: int) -> Self:
        """The same protocol with `size` as its last width: the smaller widths come before it.

        A width that the protocol does not have takes the steps, rate and jitter of the next one that it has,
        or of the last. A way past the largest goes by doubling.

        Raises:
            DreamError: no dream can be so large or small.
        """
        LIMITS["sizes"].check("sizes", size)
        widths = [width for width in self.sizes if width < size]
        while widths and widths[-1] * 2 < size:
            widths.append(widths[-1] * 2)
        widths.append(size)
        place = [
            next((i for i, own in enumerate(self.sizes) if own >= w), len(self.sizes) - 1) for w in widths
        ]
        return replace(
            self,
            sizes=tuple(widths),
            steps=tuple(self.steps[i] for i in place),
            rates=tuple(self.rates[i] for i in place),
            jitter=tuple(self.jitter[i] for i in place),
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return to_fields(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """From what `to_dict` gave.

        Raises:
            DreamError: a field is missing or unknown, or a value impossible.
        """
        return from_fields(cls, content, name="settings")


def to_fields(content: Any) -> dict[str, Any]:
    """A dataclass as JSON has it: NumPy's numbers become Python's, tuples become lists."""
    return json.loads(json.dumps(asdict(content), default=lambda number: number.item()))


def from_fields(kind: type[Kind], content: Any, *, name: str) -> Kind:
    """A dataclass from what `to_fields` gave.

    Args:
        kind: the dataclass; it checks its values itself.
        content: a mapping with each of its fields; lists become tuples.
        name: of the content, for the sentence.

    Raises:
        DreamError: a field is missing or unknown, or its value is impossible.
    """
    if not isinstance(content, Mapping):
        raise DreamError(f"{name} is {reprlib.repr(content)}: give its fields with their values.")
    known = {field.name for field in fields(kind)}
    for odd, fault in ((known - set(content), "lacks"), (set(content) - known, "has the unknown")):
        if odd:
            raise DreamError(f"{name} {fault} {', '.join(sorted(map(reprlib.repr, odd)))}.")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in content.items()})


PAPER_DREAM = Settings()
"""The protocol of the DMAGNet paper (section 5.1; numbers from the authors' published code)."""
