"""How simulated images compare with real ones: the statistics of the data chapter.

All functions take (N, H, W, 3) uint8 images as the files hold them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from galaxylib.data.stretch import OFFSET, SCALES, SOFTENING
from galaxylib.errors import DataError
from galaxylib.simulate.light import PIXEL_SCALE

APERTURE = 4.0
"""Radius, in arcsec, of the circle in which colours are measured."""
FREQUENCIES = 24
"""Spatial frequencies at which power is measured, at most."""
FOLDS = 5
"""Parts of the images, each judged by a classifier that was fitted to the others."""


def linear_light(images: np.ndarray) -> np.ndarray:
    """Undo `stretch.viewer_colours`: (N, H, W, 3) float32 nanomaggies a pixel in z, r, g.

    Where a channel was clipped at white, its light is a lower bound.
    """
    # Not by `scaled_bands`: the square root's double precision lets an empty image have no light at all.
    shown = images.astype(np.float32) / 255
    mean = shown.mean(-1, keepdims=True)
    intensity = np.sinh(mean * np.sqrt(SOFTENING)) / SOFTENING
    stretched = shown * intensity / np.maximum(mean, 1e-3)
    return (stretched - np.float32(OFFSET)) / np.array(SCALES, np.float32)


@dataclass(frozen=True)
class Channels:
    """Mean and standard deviation over all pixels of each channel, and the median sky; scale 0 to 1."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    sky: tuple[float, ...]


def channel_statistics(images: np.ndarray) -> Channels:
    """The brightness of each channel over a set of images; the sky is the median of the outermost ring."""
    ring = images[:, _radius(images.shape[1:3]) >= min(images.shape[1:3]) / 2]
    return Channels(
        mean=tuple(float(value) for value in images.mean((0, 1, 2)) / 255),
        deviation=tuple(float(value) for value in images.std((0, 1, 2), dtype=np.float64) / 255),
        sky=tuple(float(value) for value in np.median(ring, (0, 1)) / 255),
    )


def radial_profiles(images: np.ndarray, *, step: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """How light falls off from the centre: the median over each ring, so that neighbours count little.

    Args:
        images: (N, H, W, 3) uint8.
        step: width of a ring in pixels.

    Returns:
        radii (R,) in arcsec, and (N, R) brightness of the three channels' mean on the scale 0 to 1.
    """
    rings = (_radius(images.shape[1:3]) / step).astype(int)
    grey = images.mean(-1, dtype=np.float32) / 255
    count = int(min(images.shape[1:3]) / 2 / step)
    profiles = np.stack([np.median(grey[:, rings == ring], axis=1) for ring in range(count)], axis=1)
    return (np.arange(count) + 0.5) * step * PIXEL_SCALE, profiles


def colours(images: np.ndarray) -> np.ndarray:
    """Colours of each galaxy's inner four arcsec, with the stretch undone and the sky taken off.

    Args:
        images: (N, 256, 256, 3) uint8.

    Returns:
        (N, 2) AB magnitudes: g - r and r - z; NaN where a band has no light above the sky.
    """
    radius = _radius(images.shape[1:3])
    inside, ring = radius <= APERTURE / PIXEL_SCALE, radius >= min(images.shape[1:3]) / 2
    light = linear_light(images)
    flux = light[:, inside].sum(1) - inside.sum() * np.median(light[:, ring], axis=1)
    magnitude = -2.5 * np.log10(np.where(flux > 0, flux, np.nan))
    z, r, g = magnitude.T
    return np.stack([g - r, r - z], axis=1)


def power_spectra(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power of the brightness at each spatial frequency, averaged over directions.

    Args:
        images: (N, H, W, 3) uint8.

    Returns:
        frequencies (F,) in cycles a pixel, evenly spaced in the logarithm, and (N, F) power of the three
        channels' mean (scale 0 to 1).
    """
    grey = images.mean(-1, dtype=np.float32) / 255
    height, width = grey.shape[1:]
    # A window, or the border's jump would put power on the axes.
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    grey = (grey - grey.mean((1, 2), keepdims=True)) * (window / np.sqrt((window**2).mean()))
    power = np.abs(np.fft.fft2(grey)) ** 2 / (height * width)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    edges = np.geomspace(1 / min(height, width), 0.5, FREQUENCIES + 1)
    which = np.digitize(frequency, edges) - 1
    used = [number for number in range(FREQUENCIES) if (which == number).any()]
    centres = np.array([frequency[which == number].mean() for number in used])
    return centres, np.stack([power[:, which == number].mean(1) for number in used], axis=1)


def portrait(images: np.ndarray) -> dict[str, Any]:
    """All of the above for a set of images, as JSON has it: what figures of realism are drawn from."""
    channels = channel_statistics(images)
    radii, profiles = radial_profiles(images)
    frequencies, power = power_spectra(images)
    return {
        "images": len(images),
        "mean": list(channels.mean),
        "deviation": list(channels.deviation),
        "sky": list(channels.sky),
        "radius_arcsec": radii.tolist(),
        "profile_16_50_84": np.quantile(profiles, [0.16, 0.5, 0.84], axis=0).tolist(),
        "frequency_per_pixel": frequencies.tolist(),
        "power_16_50_84": np.quantile(power, [0.16, 0.5, 0.84], axis=0).tolist(),
        "colours": colours(images).tolist(),
    }


def rows_alike(labels: np.ndarray, counts: Sequence[int], *, at_most: int, seed: int = 0) -> np.ndarray:
    """Rows whose classes are mixed as in another set, so that galaxies are compared and not mixtures.

    Args:
        labels: (N,) class of each row.
        counts: galaxies of each class in the other set.
        at_most: rows wanted; the mixture is taken as many times as fits and as there are rows for.
        seed: start of the random choice.

    Returns:
        sorted rows; where a class has too few rows for the mixture even once, all of them.

    Raises:
        DataError: no row is of a class that the other set has.
    """
    counts = np.asarray(counts)
    available = np.bincount(labels, minlength=len(counts))
    wanted = counts > 0
    times = max(1, min(at_most // counts.sum(), (available[wanted] // counts[wanted]).min()))
    generator = np.random.default_rng(seed)
    chosen = [
        generator.permutation(np.flatnonzero(labels == kind))[: times * count]
        for kind, count in enumerate(counts)
    ]
    if not sum(map(len, chosen)):
        raise DataError(f"None of {len(labels)} galaxies is of a class of the other set: compare more.")
    return np.sort(np.concatenate(chosen))


def features(images: np.ndarray) -> np.ndarray:
    """Some seventy numbers an image: channels, profile, colours, spectrum; what `tell_apart` looks at."""
    _, profiles = radial_profiles(images, step=6.0)
    _, power = power_spectra(images)
    scaled = images.astype(np.float32) / 255
    flat = scaled.reshape(len(images), -1, 3)
    quantiles = (
        np.quantile(flat, [0.05, 0.5, 0.95, 0.999], axis=1).transpose(1, 0, 2).reshape(len(images), -1)
    )
    middle = flat - flat.mean(1, keepdims=True)
    covariance = np.einsum("npc,npd->ncd", middle, middle) / flat.shape[1]
    scale = np.sqrt(np.einsum("ncc->nc", covariance)) + 1e-6
    correlation = (covariance / (scale[:, :, None] * scale[:, None, :]))[:, [0, 0, 1], [1, 2, 2]]
    return np.column_stack(
        [
            flat.mean(1),
            scale,
            quantiles,
            correlation,
            profiles,
            np.nan_to_num(colours(images)),
            np.log(power + 1e-9),
        ]
    )


@dataclass(frozen=True)
class Apart:
    """How well simulated and real images can be told apart.

    Attributes:
        right: images put on the right side, of `n`, by a classifier that had not seen them.
        n: number of images judged.
        auc: chance that a random real image looks more real to it than a random simulated one; 0.5 is a toss.
    """

    right: int
    n: int
    auc: float


def tell_apart(simulated: np.ndarray, real: np.ndarray, *, seed: int = 0) -> Apart:
    """A small classifier, logistic regression on `features`, judged by cross-validation.

    Args:
        simulated: (N, 256, 256, 3) uint8, as many as there are real ones and of the same classes: otherwise
            the classes would tell.
        real: (N, 256, 256, 3) uint8.
        seed: of the division into the five folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = np.concatenate([features(simulated), features(real)])
    is_real = np.repeat([0, 1], [len(simulated), len(real)])
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    chosen = StratifiedKFold(min(FOLDS, len(simulated), len(real)), shuffle=True, random_state=seed)
    scores = cross_val_predict(judge, table, is_real, cv=chosen, method="decision_function")
    return Apart(
        right=int(((scores > 0) == is_real).sum()),
        n=len(is_real),
        auc=float(roc_auc_score(is_real, scores)),
    )


def _radius(shape: tuple[int, int]) -> np.ndarray:
    """Distance of each pixel from the image's centre, in pixels."""
    height, width = shape
    return np.hypot(np.arange(height)[:, None] - (height - 1) / 2, np.arange(width)[None] - (width - 1) / 2)
