"""The colours of the Legacy Surveys' viewer, which Galaxy10's images come from, made and undone.

v = scaled bands of light; I = their mean; f = asinh(Q I) / sqrt(Q); rgb = v f / I, cut at 0 and 1 (Lupton
et al. 2004, with the scales of the DR9/DR10 `grz` images). The SDSS's images have the same form with other
scales.
"""

import math

import numpy as np

SOFTENING = 20.0
"""Q."""

OFFSET = 0.03
"""What the viewer adds to each scaled band, so that the sky is grey."""

SCALES = (2.2, 3.4, 6.0)
"""Factors on z, r, g in nanomaggies a pixel of 0.262 arcsec, shown as red, green and blue."""


def stretched(bands: np.ndarray, *, axis: int) -> np.ndarray:
    """The colours of scaled bands, none of them negative.

    Args:
        bands: float32, with three entries along `axis`.
        axis: where the bands stand.

    Returns:
        the same shape, in [0, 1].
    """
    mean = np.maximum(bands.mean(axis=axis, keepdims=True), np.float32(1e-6))
    x = SOFTENING * mean
    # asinh, by the functions that are quick on every processor.
    brightness = np.log(x + np.sqrt(x * x + 1)) / np.float32(math.sqrt(SOFTENING))
    return np.clip(bands * (brightness / mean), 0, 1)


def viewer_colours(nanomaggies: np.ndarray) -> np.ndarray:
    """The viewer's colour image of light.

    Args:
        nanomaggies: (3, H, W) float, in z, r, g, per pixel of 0.262 arcsec.

    Returns:
        (H, W, 3) float32 in [0, 1]; z is shown as red, r as green, g as blue.
    """
    bands = nanomaggies * np.array(SCALES, np.float32)[:, None, None] + np.float32(OFFSET)
    return np.moveaxis(stretched(np.maximum(bands, 0), axis=0), 0, -1)


def scaled_bands(images: np.ndarray) -> np.ndarray:
    """The scaled bands behind colours: (..., 3) uint8 -> (..., 3) float32; of white, a lower bound."""
    shown = np.asarray(images, np.float32) / 255
    mean = shown.mean(axis=-1, keepdims=True)
    intensity = np.sinh(mean * math.sqrt(SOFTENING)) / SOFTENING
    return shown * (intensity / np.maximum(mean, 1e-3))
