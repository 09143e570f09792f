"""How a dream is made: one frozen object, and the paper's values as one of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from galaxylib.errors import DreamError

SMALLEST, LARGEST = 32, 8192
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
        magnitude: Fourier amplitudes after each step: `"free"`, or held at the `"input"`'s or the average of
            `"galaxies"`, so that the dream moves phases only.
        total_variation: weight of the pull towards a smooth image, against a gradient whose deviation is 1.
        distance: weight of the pull back to the input, likewise, times how far a pixel has moved.
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
        if not self.sizes or len({len(self.sizes), len(self.steps), len(self.rates), len(self.jitter)}) != 1:
            raise DreamError("Give sizes, steps, rates and jitter the same number of entries, at least one.")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise DreamError(f"{name} is {getattr(self, name)!r}: choose {' or '.join(choices)}.")
        if self.levels < 1 or not 1 < self.ratio <= 4:
            raise DreamError("A pyramid has at least 1 level and a ratio above 1, up to 4.")
        if not all(SMALLEST <= size <= LARGEST for size in self.sizes):
            raise DreamError(f"A dream of {self.sizes} pixels: choose sizes from {SMALLEST} to {LARGEST}.")
        if self.level_side(min(self.sizes), 0) < SMALLEST:
            raise DreamError(
                f"The smallest level of {min(self.sizes)} pixels would have less than {SMALLEST}: "
                "choose larger sizes or fewer levels."
            )
        if min(self.steps) < 0 or min(self.jitter) < 0 or self.smoothing <= 0:
            raise DreamError("Steps and jitter count from 0, and smoothing is above 0.")
        if self.tile and (self.overlap < 0 or self.tile < 2 * self.overlap + SMALLEST):
            raise DreamError(
                f"Windows of {self.tile} pixels with an overlap of {self.overlap} keep too little: "
                f"choose a tile of at least twice the overlap and {SMALLEST}."
            )

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
        """
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
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """From what `to_dict` gave.

        Raises:
            DreamError: a field is unknown or a value impossible.
        """
        unknown = set(content) - {field.name for field in fields(cls)}
        if unknown:
            raise DreamError(f"The settings have no {', '.join(sorted(unknown))}: this is another version.")
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in content.items()})


PAPER = Settings()
"""The protocol of the DMAGNet paper (section 5.1; numbers from the authors' published code)."""
