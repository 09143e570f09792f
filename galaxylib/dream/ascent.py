"""The ascent: an image changed step by step until a network's activations are as large as they get.

The protocol is that of the DMAGNet paper (`PAPER_DREAM`): three widths, each dreamed anew from the enlarged
result of the one before; at each width a pyramid of two levels; at each step a random circular shift, the
gradient of the objective, blurred by three Gaussians and brought to mean 0 and deviation 1, a step, and a
clamp to what pixels can be.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import images as pictures
from galaxylib.dream.forward import Tap, check_memory
from galaxylib.dream.objectives import Objective
from galaxylib.dream.settings import Settings
from galaxylib.errors import DreamError

SHARED = 5
"""Steps that share a shift where an objective compares with the given image: each shift needs the image's
activation anew, a forward pass of about a third of a step. So a step that compares takes 5 to 14 % longer
than one that does not (the network `real` at 160 pixels, one thread; diversity in batches of four)."""
FAINT = 0.1
"""Amplitude of the noise that a dream starts from, of that of galaxies: more, and it is all that one sees."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One finished step, as the `progress` callback sees it.

    Attributes:
        number: number of the step, counted from 1.
        total: number of steps of the whole dream.
        size: shorter side being dreamed, in pixels.
        values: (N,) the objective before the step, of each image of the batch.
        images: (N, 3, h, w) in [0, 1] after the step, on the pyramid's present level.
    """

    number: int
    total: int
    size: int
    values: tuple[float, ...]
    images: Tensor


class Ascent:
    """One batch on its way."""

    def __init__(
        self,
        *,
        tap: Tap,
        objectives: Sequence[Objective],
        settings: Settings,
        preprocess: Preprocess,
        generator: torch.Generator,
        progress: Callable[[Step], bool | None] | None,
        keep_frames: bool,
    ) -> None:
        self.tap, self.objectives, self.settings = tap, objectives, settings
        self.preprocess, self.generator = preprocess, generator
        self.progress, self.keep_frames = progress, keep_frames
        self.device = tap.device
        std = torch.tensor(preprocess.std, device=self.device)
        mean = torch.tensor(preprocess.mean, device=self.device)
        self.std = std
        self.low = (-mean / std).view(1, 3, 1, 1)
        self.high = ((1 - mean) / std).view(1, 3, 1, 1)
        needs_prior = "galaxies" in (settings.start, settings.magnitude)
        self.prior = pictures.Prior.load() if needs_prior or settings.parametrisation == "fourier" else None
        self.done = 0
        self.values: list[tuple[float, ...]] = []
        self.frames: list[list[np.ndarray]] = []
        self.stopped = False
        self.compared = [term for objective in objectives for term in objective.terms if term.anchored]
        self.diverse = any(objective.diverse for objective in objectives)
        self.anchors: dict[str, Tensor] = {}
        self.total: Tensor | None = None

    def run(self, images: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Images in [0, 1], (N, 3, H, W) -> what each started from, its dream and its alpha, on the CPU.

        What an objective compares with is the given image at each level's size, shifted like the dream.
        """
        settings, shorter = self.settings, min(images.shape[2:])
        shapes = [tuple(round(side * size / shorter) for side in images.shape[2:]) for size in settings.sizes]
        check_memory(self.tap, images=len(images), shape=max(shapes), tile=settings.tile)
        given = images.float().to(self.device)
        start = self._start(given, *shapes[0])
        now = start
        for number, (height, width) in enumerate(shapes):
            base = start if number == 0 else pictures.enlarge(start, height, width).clamp(0, 1)
            # Not clipped: the first step's clamp does it, as in the published code.
            begin = now if number == 0 else pictures.enlarge(now, height, width)
            mask = self._mask(masks, height, width)
            x = self.preprocess.normalise(begin)
            anchor = self.preprocess.normalise(pictures.fit(given, height, width))
            x = self._size(x, number, self.preprocess.normalise(base), mask, anchor)
            now = self.preprocess.denormalise(pictures.resize(x, height, width)).clamp(0, 1)
            if mask is not None:
                now = base + mask * (now - base)
            if self.stopped:
                break
        if settings.sharpen:
            sharp = pictures.unsharp(now, amount=settings.sharpen)
            now = sharp if mask is None else base + mask * (sharp - base)
        return start.cpu(), now.cpu(), self._alpha(now, mask).cpu()

    def _start(self, images: Tensor, height: int, width: int) -> Tensor:
        if self.settings.start == "image":
            return pictures.fit(images, height, width)
        count = len(images) if self.diverse else 1  # images that begin alike would stay alike
        if self.settings.start == "noise":
            noise = torch.rand(count, 3, height, width, generator=self.generator)
        else:
            noise = self.prior.noise(height, width, self.generator, count=count, strength=FAINT)
        return noise.to(self.device).expand(len(images), -1, -1, -1)

    def _mask(self, masks: Tensor | None, height: int, width: int) -> Tensor | None:
        if masks is None:
            return None
        return pictures.fit(masks.float().to(self.device)[:, None], height, width)

    def _alpha(self, images: Tensor, mask: Tensor | None) -> Tensor:
        """(N, H, W); 0 everywhere where no step was made."""
        if self.total is None:
            return torch.zeros_like(images[:, 0])
        alpha = pictures.opacity(pictures.resize(self.total, *images.shape[2:]))
        return (alpha if mask is None else alpha * mask)[:, 0]

    def _size(self, x: Tensor, number: int, base: Tensor, mask: Tensor | None, anchor: Tensor) -> Tensor:
        """One width: every level of its pyramid."""
        settings, (height, width) = self.settings, x.shape[2:]
        for level in range(settings.levels):
            shape = settings.level_side(height, level), settings.level_side(width, level)
            x = pictures.resize(x, *shape)
            pull = pictures.resize(base, *shape)
            window = None if mask is None else pictures.resize(mask, *shape)
            amplitude = self._amplitude(pull)
            for index in range(settings.steps[number]):
                if self.stopped:
                    return x
                if not self.compared or index % SHARED == 0:
                    shift = torch.randint(
                        -settings.jitter[number], settings.jitter[number] + 1, (2,), generator=self.generator
                    ).tolist()
                    self._anchor(pictures.resize(anchor, *shape), shift)
                sigma = 2 * (index + 1) / settings.steps[number] + settings.smoothing
                direction, values = self.direction(x, shift=shift, sigma=sigma)
                if settings.distance:
                    direction = direction - settings.distance * (x - pull)
                if settings.total_variation:
                    direction = direction - settings.total_variation * pictures.total_variation_gradient(x)
                if window is not None:
                    direction = direction * window
                x = x + settings.rates[number] * direction
                if amplitude is not None:
                    x = pictures.with_amplitude(x, amplitude)
                x = torch.maximum(torch.minimum(x, self.high), self.low)
                self._report(x, values, settings.sizes[number])
        return x

    def direction(self, x: Tensor, *, shift: Sequence[int], sigma: float) -> tuple[Tensor, Tensor]:
        """Where a step goes: the gradient at the shifted image, shaped, mean 0, deviation 1, shifted back.

        Raises:
            DreamError: an objective's gradient is zero or not finite.
        """
        gradient, values = self.gradient(torch.roll(x, tuple(shift), dims=(2, 3)))
        back = tuple(-s for s in shift)
        strength = torch.roll(gradient.abs().mean(1, keepdim=True), back, dims=(2, 3))
        if self.settings.parametrisation == "pixel":
            gradient = pictures.convolve(gradient, pictures.gaussian_cascade(sigma))
        else:
            gradient = self.prior.precondition(gradient, self.std)
        spread = gradient.std(dim=(1, 2, 3))
        for objective, size in zip(self.objectives, spread.tolist(), strict=True):
            if size == 0:
                raise DreamError(
                    f"The objective {objective} has no gradient at this image, so there is no way up: it may "
                    "look at a channel that is silent here; choose another, or another image."
                )
            if not np.isfinite(size):
                raise DreamError(
                    f"The gradient of {objective} is not finite: the network's weights may be damaged."
                )
        self._add_up(strength)
        return torch.roll(pictures.standardise(gradient, spread), back, dims=(2, 3)), values

    def _add_up(self, strength: Tensor) -> None:
        """Sum a gradient's absolute value (N, 1, h, w) over the steps, each step's mean being 1."""
        strength = strength / strength.mean(dim=(2, 3), keepdim=True)
        before = 0 if self.total is None else pictures.resize(self.total, *strength.shape[2:])
        self.total = before + strength

    def _anchor(self, images: Tensor, shift: Sequence[int]) -> None:
        """Have the activations of the given images ready, for objectives that compare with them.

        Raises:
            DreamError: a layer is silent there.
        """
        if not self.compared:
            return
        with torch.no_grad():
            kept = self.tap(torch.roll(images, tuple(shift), dims=(2, 3)))
        self.anchors = {term.layer: kept[term.layer] for term in self.compared}
        for term in self.compared:
            if not self.anchors[term.layer].flatten(1).any(1).all():
                raise DreamError(
                    f"{term} has nothing to compare with, for the layer is silent at the given image: "
                    "choose another layer, or another image."
                )

    def gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient of each image's objective, (N, 3, H, W), and the objectives' values, (N,)."""
        tile, (height, width) = self.settings.tile, x.shape[2:]
        if not tile or max(height, width) <= tile:
            return self._whole(x)
        gradient = torch.empty_like(x)
        values = torch.zeros(len(x), device=x.device)
        for top, bottom, row in _windows(height, tile, self.settings.overlap):
            for left, right, column in _windows(width, tile, self.settings.overlap):
                part, value = self._whole(x[:, :, row : row + tile, column : column + tile])
                # Means over the window, brought to a mean over the image.
                share = part.shape[2] * part.shape[3] / (height * width)
                inner = part[:, :, top - row : bottom - row, left - column : right - column]
                gradient[:, :, top:bottom, left:right] = share * inner
                values += (bottom - top) * (right - left) / (height * width) * value
        return gradient, values

    def _whole(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        try:
            activations = self.tap(x)
            values = self._values(activations)
            (gradient,) = torch.autograd.grad(values.sum(), x)
        except (MemoryError, RuntimeError) as fault:
            if not isinstance(fault, MemoryError | torch.OutOfMemoryError) and "alloc" not in str(fault):
                raise
            raise DreamError(
                f"{x.shape[2]} x {x.shape[3]} pixels need more memory than there is: "
                "set tile=512, or choose a smaller size."
            ) from fault
        return gradient, values.detach()

    def _values(self, activations: dict[str, Tensor]) -> Tensor:
        if all(objective == self.objectives[0] for objective in self.objectives):
            return self.objectives[0].value(activations, self.anchors)
        own = []
        for i, objective in enumerate(self.objectives):
            here, there = (
                {name: kept[name][i : i + 1] for name in objective.layers if name in kept}
                for kept in (activations, self.anchors)
            )
            own.append(objective.value(here, there))
        return torch.cat(own)

    def _amplitude(self, base: Tensor) -> Tensor | None:
        if self.settings.magnitude == "free":
            return None
        if self.settings.magnitude == "input":
            return torch.fft.rfft2(base).abs()
        height, width = base.shape[2:]
        amplitude = self.prior.at(height, width).to(base.device) * height * width
        return amplitude / self.std.view(3, 1, 1)

    def _report(self, x: Tensor, values: Tensor, size: int) -> None:
        self.done += 1
        self.values.append(tuple(values.tolist()))
        if self.progress is None and not self.keep_frames:
            return
        shown = self.preprocess.denormalise(x).clamp(0, 1).cpu()
        if self.keep_frames:
            self.frames.append([pictures.to_uint8(image) for image in shown])
        if self.progress is not None:
            step = Step(
                number=self.done,
                total=self.settings.total_steps,
                size=size,
                values=self.values[-1],
                images=shown,
            )
            self.stopped = self.progress(step) is True


def _windows(side: int, tile: int, overlap: int) -> Iterator[tuple[int, int, int]]:
    """First and last pixel of each part whose gradient a window gives, and where the window begins."""
    if side <= tile:
        yield 0, side, 0
        return
    core = tile - 2 * overlap
    for first in range(0, side, core):
        yield first, min(first + core, side), min(max(first - overlap, 0), side - tile)
