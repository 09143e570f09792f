"""Pictures under a dream: resizing, smoothing, sharpening, noise to start from, and what galaxies look like.

A gradient step on parameters `p` of an image `x = A p` moves the image along `A A^T g`, where `g` is the
gradient with respect to the pixels. So a parametrisation is, exactly, a linear filter of the gradient: the
pixel parametrisation smooths it (as the paper does), the Fourier one colours it with the spectrum and the
colour covariance of galaxies.
"""

import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from galaxylib.data.images import LARGEST_INPUT
from galaxylib.errors import DreamError

LONGEST = 16
KERNEL = 9
CASCADE = (0.5, 1.0, 2.0)
OPAQUE = 0.8
"""Share of a dream's pixels that its mask leaves transparent, more or less."""
LOBES = 4
"""Lobes of the Lanczos window on each side (the 8-tap filter of the authors' tools)."""


def check_images(images: Tensor) -> None:
    """Refuse what no dream can start from.

    Raises:
        DreamError: says what is wrong and what to give.
    """
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point() or not len(images):
        raise DreamError(
            f"An image of shape {tuple(images.shape[1:])} and type {images.dtype} cannot be dreamed: "
            "give (3, height, width) floats from 0 to 1."
        )
    if not all(1 < side <= LARGEST_INPUT for side in images.shape[2:]):
        raise DreamError(
            f"An image of {images.shape[2]} x {images.shape[3]} pixels cannot be dreamed: "
            f"each side must be from 2 to {LARGEST_INPUT}."
        )
    if max(images.shape[2:]) > LONGEST * min(images.shape[2:]):
        raise DreamError(
            f"An image of {images.shape[2]} x {images.shape[3]} pixels is a strip: "
            f"cut it so that one side is at most {LONGEST} times the other."
        )
    bad = int((~torch.isfinite(images)).sum())
    if bad:
        raise DreamError(f"The image has {bad} values that are not numbers: fill them first.")
    low, high = float(images.min()), float(images.max())
    if low < -1e-4 or high > 1 + 1e-4:
        raise DreamError(
            f"The image's values go from {low:.3g} to {high:.3g}: scale them to 0 to 1 (divide bytes by 255)."
        )


def check_masks(masks: Tensor, images: Tensor) -> None:
    """Refuse masks that do not belong to the images (N, 3, H, W).

    Raises:
        DreamError: they are not (N, H, W), or hold something else than numbers from 0 to 1.
    """
    if masks.ndim != 3 or len(masks) != len(images):
        raise DreamError(f"Masks of shape {tuple(masks.shape)}: give one (height, width) for each image.")
    if masks.shape[1:] != images.shape[2:]:
        raise DreamError(
            f"The mask has {masks.shape[1]} x {masks.shape[2]} pixels and the image {images.shape[2]} x "
            f"{images.shape[3]}: make them the same size."
        )
    if not ((masks >= 0) & (masks <= 1)).all():
        raise DreamError("The mask has values that are not from 0 to 1: scale it.")


def to_uint8(image: Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] -> (H, W, 3) uint8, rounded."""
    return (image.permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).numpy(force=True)


@cache
def lanczos_matrix(inputs: int, outputs: int) -> Tensor:
    """(outputs, inputs) weights that enlarge a row of pixels; what lies outside repeats the border.

    Pixel centres lie at half-integers of the common length, so an image keeps its place.
    """
    place = (np.arange(outputs) + 0.5) * inputs / outputs - 0.5
    first = np.floor(place).astype(int) - LOBES + 1
    taps = first[:, None] + np.arange(2 * LOBES)  # (outputs, 2 LOBES)
    away = place[:, None] - taps
    weights = np.sinc(away) * np.sinc(away / LOBES)
    weights /= weights.sum(1, keepdims=True)
    matrix = np.zeros((outputs, inputs))
    rows = np.repeat(np.arange(outputs), 2 * LOBES)
    np.add.at(matrix, (rows, taps.clip(0, inputs - 1).ravel()), weights.ravel())
    return torch.from_numpy(matrix).float()


def enlarge(images: Tensor, height: int, width: int) -> Tensor:
    """Lanczos to a larger size, (N, 3, H, W) -> (N, 3, height, width); values are not clipped."""
    rows = lanczos_matrix(images.shape[2], height).to(images.device)
    columns = lanczos_matrix(images.shape[3], width).to(images.device)
    return rows @ images @ columns.T


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Plain bilinear between pyramid levels, without antialiasing, as the published code does."""
    if images.shape[2:] == (height, width):
        return images
    return F.interpolate(images, size=(height, width), mode="bilinear", align_corners=False)


def fit(images: Tensor, height: int, width: int) -> Tensor:
    """Images in [0, 1] to the first size of a dream: bicubic, antialiased where smaller."""
    if images.shape[2:] == (height, width):
        return images
    return F.interpolate(
        images, size=(height, width), mode="bicubic", antialias=True, align_corners=False
    ).clamp(0, 1)


def gaussian_cascade(sigma: float) -> Tensor:
    """(KERNEL, KERNEL) mean of three Gaussians of 0.5, 1 and 2 times `sigma` pixels, each of sum 1.

    Own code, for torchvision's blur would be three convolutions a step instead of this one.
    """
    away = torch.arange(KERNEL, dtype=torch.float64) - (KERNEL - 1) / 2
    total = torch.zeros(KERNEL, KERNEL, dtype=torch.float64)
    for factor in CASCADE:
        row = torch.exp(-((away / (factor * sigma)) ** 2) / 2)
        row /= row.sum()
        total += row[:, None] * row[None, :] / len(CASCADE)
    return total.float()


def convolve(images: Tensor, kernel: Tensor) -> Tensor:
    """Each channel with the same (k, k) kernel, the image mirrored at its border; the size stays."""
    channels, pad = images.shape[1], kernel.shape[-1] // 2
    weight = kernel.to(images).expand(channels, 1, *kernel.shape).contiguous()
    return F.conv2d(F.pad(images, (pad,) * 4, mode="reflect"), weight, groups=channels)


def unsharp(images: Tensor, *, amount: float) -> Tensor:
    """`(1 + amount) x - amount G(x)`, clipped to [0, 1]; G is a Gaussian of deviation 2 on 13 x 13 pixels."""
    # Not torchvision's `gaussian_blur`, which is the same to the last bit: its import takes two seconds.
    away = torch.linspace(-6, 6, 13, dtype=images.dtype, device=images.device)
    row = torch.exp(-0.5 * (away / 2.0) ** 2)
    row /= row.sum()
    return ((1 + amount) * images - amount * convolve(images, row[:, None] * row)).clamp(0, 1)


def standardise(gradient: Tensor, deviation: Tensor | None = None) -> Tensor:
    """Each image's gradient (N, 3, H, W) to mean 0 and deviation 1; give its own (N,) if it is known."""
    mean = gradient.mean(dim=(1, 2, 3), keepdim=True)
    deviation = gradient.std(dim=(1, 2, 3)) if deviation is None else deviation
    return (gradient - mean).div_(deviation.view(-1, 1, 1, 1))


def opacity(total: Tensor) -> Tensor:
    """What a dream has summed of its gradient's size, (N, 1, H, W), as an alpha channel from 0 to 1.

    The largest fifth of an image's values are opaque, the others in proportion: a few pixels would else make
    all others transparent.
    """
    flat = total.flatten(1)
    most = flat.kthvalue(max(1, round(OPAQUE * flat.shape[1])), dim=1).values
    return (total / most.clamp_min(1e-20).view(-1, 1, 1, 1)).clamp(0, 1)


def total_variation_gradient(images: Tensor) -> Tensor:
    """Gradient of the sum over pixels of `sqrt(dx^2 + dy^2 + 0.3^2)`, by hand; (N, 3, H, W).

    The 0.3, in normalised pixel units, keeps a step of usual length from overshooting.
    """
    down = torch.zeros_like(images)
    right = torch.zeros_like(images)
    down[:, :, :-1] = images[:, :, 1:] - images[:, :, :-1]
    right[:, :, :, :-1] = images[:, :, :, 1:] - images[:, :, :, :-1]
    slope = torch.sqrt(down**2 + right**2 + 0.3**2)
    down, right = down / slope, right / slope
    gradient = -down - right
    gradient[:, :, 1:] += down[:, :, :-1]
    gradient[:, :, :, 1:] += right[:, :, :, :-1]
    return gradient


def frequencies(height: int, width: int) -> Tensor:
    """(height, width // 2 + 1) distance from zero frequency, in cycles per image width (for `rfft2`)."""
    rows = torch.fft.fftfreq(height) * height * (width / height)
    columns = torch.fft.rfftfreq(width) * width
    return torch.sqrt(rows[:, None] ** 2 + columns[None, :] ** 2)


@dataclass(frozen=True, eq=False)
class Prior:
    """What galaxy images look like on average; measured by `galaxylib.dream.prior`.

    Attributes:
        amplitude: (K,) root mean square Fourier amplitude at 0, 1, 2, ... cycles per image width, of images
            in [0, 1] without their mean, averaged over galaxies and channels, divided by the number of
            pixels (so that it does not depend on the size of the image).
        colour: (3, 3) covariance of red, green and blue.
        mean: (3,) mean of red, green and blue, in [0, 1].
        source: which galaxies were measured.
    """

    amplitude: np.ndarray
    colour: np.ndarray
    mean: np.ndarray
    source: str

    @classmethod
    def load(cls) -> Self:
        """The prior that ships with the library."""
        with files("galaxylib.dream").joinpath("prior.npz").open("rb") as stream, np.load(stream) as content:
            return cls(
                amplitude=content["amplitude"],
                colour=content["colour"],
                mean=content["mean"],
                source=str(content["source"]),
            )

    def at(self, height: int, width: int) -> Tensor:
        """(height, width // 2 + 1) amplitude for `rfft2` coefficients divided by the number of pixels.

        Beyond the highest frequency measured the amplitude goes on falling with its last slope.
        """
        k = frequencies(height, width).numpy()
        last = len(self.amplitude) - 1
        half = last // 2
        slope = math.log(self.amplitude[last] / self.amplitude[half]) / math.log(last / half)
        inside = np.interp(k, np.arange(last + 1), self.amplitude)
        beyond = self.amplitude[last] * (np.maximum(k, last) / last) ** min(slope, -1.0)
        return torch.from_numpy(np.where(k <= last, inside, beyond)).float()

    def precondition(self, gradient: Tensor, std: Tensor) -> Tensor:
        """`A A^T g`, the step that a gradient step on Fourier coefficients makes in the image.

        Args:
            gradient: (N, 3, H, W) with respect to normalised pixels.
            std: (3,) by which pixels were divided.

        Returns:
            (N, 3, H, W); `A` scales each coefficient by the square root of the galaxies' amplitude and mixes
            the colours by a square root of their covariance, in normalised units. So a gradient without any
            preference makes a step that has the spectrum of galaxies.
        """
        height, width = gradient.shape[2:]
        amplitude = self.at(height, width).to(gradient.device)
        amplitude = amplitude / amplitude.max()
        colour = torch.as_tensor(self.colour, device=gradient.device, dtype=gradient.dtype)
        std = std.to(gradient)
        colour = colour / (std[:, None] * std[None, :])
        shaped = torch.fft.irfft2(torch.fft.rfft2(gradient) * amplitude, s=(height, width))
        return torch.einsum("cd,ndhw->nchw", colour / colour.trace(), shaped)

    def noise(
        self, height: int, width: int, generator: torch.Generator, *, count: int = 1, strength: float = 1.0
    ) -> Tensor:
        """(count, 3, height, width) in [0, 1]: random phases with the spectrum, colours and mean of galaxies.

        `strength` multiplies the amplitudes.
        """
        white = torch.randn(count, 3, height, width, generator=generator)
        amplitude = strength * self.at(height, width) * math.sqrt(height * width)
        shaped = torch.fft.irfft2(torch.fft.rfft2(white) * amplitude, s=(height, width))
        covariance = torch.as_tensor(self.colour).float()
        covariance = covariance / (covariance.trace() / 3)
        root = torch.linalg.cholesky(covariance)
        mean = torch.as_tensor(self.mean).float().view(1, 3, 1, 1)
        return (torch.einsum("cd,ndhw->nchw", root, shaped) + mean).clamp(0, 1)


def with_amplitude(images: Tensor, amplitude: Tensor) -> Tensor:
    """The images' Fourier phases under given amplitudes; the mean of each channel stays.

    Args:
        images: (N, 3, H, W) real values.
        amplitude: (..., H, W // 2 + 1), as `abs(rfft2(image))`.
    """
    spectrum = torch.fft.rfft2(images)
    size = spectrum.abs()
    turned = torch.where(size > 0, spectrum / size.clamp_min(1e-20), torch.ones_like(spectrum)) * amplitude
    turned[..., 0, 0] = spectrum[..., 0, 0]
    return torch.fft.irfft2(turned, s=images.shape[2:])
