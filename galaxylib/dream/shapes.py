"""Shapes of a galaxy in a picture, measured without any network: how flat, how wide, how tightly wound."""

import numpy as np
from scipy import ndimage

RINGS = 96
"""Samples of the logarithm of the radius."""
ANGLES = 128
"""Samples round the centre."""
PADDED = 1024
"""Length to which the radii's transform is padded, for fine steps in pitch."""
STEEPEST = 60.0
"""Largest pitch that is looked for, degrees; a bar has 90."""
FEWEST = 20
"""Pixels without which a footprint is too small to measure."""


def light_of(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The galaxy's light above the sky, (H, W), 0 outside of its footprint.

    Args:
        image: (H, W, 3) in [0, 1]; its channels are averaged.
        mask: (H, W) bool, the footprint.
    """
    grey = image.mean(axis=2)
    sky = np.median(grey[~mask]) if (~mask).any() else 0.0
    return np.clip(grey - sky, 0, None) * mask


def moments(image: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """The light's second moments.

    Args:
        image: (H, W, 3) in [0, 1].
        mask: (H, W) bool, the galaxy's footprint.

    Returns:
        `axis_ratio`: root of the smaller over the larger eigenvalue; `radius`: root of the mean squared
        distance from the centre of light, in pixels. NaN without light, or where the footprint is too small.
    """
    light = light_of(image, mask)
    total = light.sum()
    if mask.sum() < FEWEST or total <= 0:
        return {"axis_ratio": float("nan"), "radius": float("nan")}
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    away = np.stack([y - (light * y).sum() / total, x - (light * x).sum() / total])
    spread = np.einsum("iyx,jyx,yx->ij", away, away, light) / total
    small, large = np.linalg.eigvalsh(spread)
    return {
        "axis_ratio": float(np.sqrt(max(small, 0.0) / large)) if large > 0 else float("nan"),
        "radius": float(np.sqrt(small + large)),
    }


def spiral(image: np.ndarray, mask: np.ndarray, *, arms: int = 2) -> dict[str, float]:
    """The logarithmic spiral that fits the light best, by its Fourier transform (Puerari & Dottori 1992).

    The light on rings, less each ring's mean and over it, is transformed in the angle and in the logarithm u
    of the radius, A(p, m) = sum of I exp(-i (m theta + p u)); a spiral of m arms and pitch phi has its
    largest amplitude at p = -m / tan(phi). No inclination is taken out.

    Args:
        image: (H, W, 3) in [0, 1].
        mask: (H, W) bool, the galaxy's footprint.
        arms: number of arms, m.

    Returns:
        `pitch` in degrees, from 0 to `STEEPEST`; `strength`, that amplitude over the sum of the samples'
        sizes, from 0 to 1. NaN without light, or where the footprint is too small.
    """
    light = light_of(image, mask)
    total = light.sum()
    if mask.sum() < FEWEST or total <= 0:
        return {"pitch": float("nan"), "strength": float("nan")}
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    centre = (light * y).sum() / total, (light * x).sum() / total
    outer = np.sqrt(mask.sum() / np.pi)
    u = np.linspace(np.log(0.15 * outer), np.log(outer), RINGS)
    radii, theta = np.exp(u)[:, None], np.arange(ANGLES)[None] * 2 * np.pi / ANGLES
    places = [centre[0] + radii * np.sin(theta), centre[1] + radii * np.cos(theta)]
    rings = ndimage.map_coordinates(light, places, order=1)
    mean = rings.mean(axis=1, keepdims=True)
    contrast = np.where(mean > 1e-6, rings / np.maximum(mean, 1e-6) - 1, 0.0)
    harmonic = np.fft.fft(contrast, axis=1)[:, arms]
    spectrum = np.abs(np.fft.fft(harmonic * np.hanning(RINGS), PADDED))
    p = 2 * np.pi * np.fft.fftfreq(PADDED, d=u[1] - u[0])
    wound = np.abs(p) >= arms / np.tan(np.radians(STEEPEST))
    size = np.abs(contrast * np.hanning(RINGS)[:, None]).sum()
    if size <= 0:
        return {"pitch": float("nan"), "strength": 0.0}
    best = int(np.argmax(np.where(wound, spectrum, -1.0)))
    return {
        "pitch": float(np.degrees(np.arctan(arms / abs(p[best])))),
        "strength": float(spectrum[best] / size),
    }
