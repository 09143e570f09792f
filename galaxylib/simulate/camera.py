"""The survey's camera: seeing, noise, the colour stretch of the Legacy Surveys' viewer, and JPEG.

The stretch is the one that the viewer's cutouts use (Lupton et al. 2004 with the scales of the DR9/DR10 `grz`
images); the real Galaxy10 images came from that viewer as JPEG files, and their correlated noise is JPEG's.
"""

# ruff: noqa: RUF009 - the distributions are frozen, so a shared default is safe

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import galsim
import numpy as np
import scipy.fft
from PIL import Image

from galaxylib.data.stretch import viewer_colours
from galaxylib.simulate.distributions import LogNormal, Uniform, happens
from galaxylib.simulate.light import GRID, round_transform
from galaxylib.simulate.scene import frame


@dataclass(frozen=True)
class Camera:
    """How the survey sees.

    Attributes:
        seeing: full width at half maximum of the point-spread function in r, arcsec.
        band_seeing: FWHM in z, r, g over that in r.
        beta: exponent of the Moffat profile.
        noise: sigma of a pixel of sky in z, r, g, nanomaggies.
        depth: factor on the noise, image by image.
        tint: scatter of that factor between bands, natural units.
        mixing: k of the kernel [k, 1 - 2k, k] that correlates neighbouring pixels' noise.
        shot: variance a pixel gains per nanomaggy of light in it.
        seam: share of images where two exposures meet, one side noisier.
        quality: quality of the JPEG, from 1 to 95.
    """

    seeing: LogNormal = LogNormal(1.2, 0.12, 0.85, 1.7)
    band_seeing: tuple[float, float, float] = (0.95, 1.0, 1.08)
    beta: float = 3.5
    noise: tuple[float, float, float] = (6.5e-3, 3.8e-3, 2.15e-3)
    depth: LogNormal = LogNormal(1.0, 0.22)
    tint: float = 0.1
    mixing: Uniform = Uniform(0.10, 0.20)
    shot: float = 2e-4
    seam: float = 0.05
    quality: Uniform = Uniform(68, 88)


def blurred(scene: np.ndarray, *, fwhm: float, camera: Camera) -> np.ndarray:
    """The scene (3, GRID, GRID) through a Moffat point-spread function that GalSim draws, band by band."""
    spectrum = scipy.fft.rfft2(scene)
    for band, factor in enumerate(camera.band_seeing):
        spectrum[band] *= round_transform(galsim.Moffat(beta=camera.beta, fwhm=fwhm * factor))
    return scipy.fft.irfft2(spectrum, s=(GRID, GRID))


def noise(light: np.ndarray, camera: Camera, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Noise for an image (3, SIZE, SIZE) in nanomaggies, and its sigma in r where there is only sky."""
    depth = camera.depth(rng)
    sky = np.array(camera.noise) * depth * rng.lognormal(0, camera.tint, 3)
    white = rng.standard_normal(light.shape, dtype=np.float32)
    sigma = np.sqrt(np.float32(sky[:, None, None] ** 2) + np.float32(camera.shot) * np.maximum(light, 0))
    if happens(rng, camera.seam):
        rows, columns = np.indices(light.shape[1:], np.float32)
        angle = rng.uniform(0, 2 * math.pi)
        across = math.cos(angle) * columns + math.sin(angle) * rows
        beyond = across > np.float32(np.quantile(across[::16, ::16], rng.uniform(0.1, 0.9)))
        sigma *= np.where(beyond, rng.uniform(1.2, 2.2, 3).astype(np.float32)[:, None, None], np.float32(1))
    noisy = white * sigma
    k = np.float32(camera.mixing(rng))
    for axis in (1, 2):
        beside = np.roll(noisy, 1, axis)
        beside += np.roll(noisy, -1, axis)
        beside *= k
        noisy *= 1 - 2 * k
        noisy += beside
    return noisy / ((1 - 2 * k) ** 2 + 2 * k**2), float(sky[1])


def jpeg(rgb: np.ndarray, *, quality: int) -> np.ndarray:
    """The image (H, W, 3) in [0, 1] after JPEG with halved colour resolution (4:2:0), uint8."""
    buffer = io.BytesIO()
    Image.fromarray((rgb * 255 + 0.5).astype(np.uint8)).save(buffer, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(buffer))


def exposed(
    scene: np.ndarray, haze: np.ndarray, camera: Camera, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, float]]:
    """The light that the camera records, before it becomes colours: blurred, framed and with noise.

    Args:
        scene: (3, GRID, GRID) nanomaggies a pixel in z, r, g.
        haze: same shape, light that the seeing does not change.
        camera: seeing and noise of the survey.
        rng: the generator of all random numbers.

    Returns:
        (3, 256, 256) nanomaggies a pixel, and the conditions: `psf_fwhm` (arcsec), `sky_sigma` (nanomaggies a
        pixel in r).
    """
    fwhm = camera.seeing(rng)
    seen = frame(blurred(scene, fwhm=fwhm, camera=camera) + haze)
    grain, sky_sigma = noise(seen, camera, rng)
    return seen + grain, {"psf_fwhm": fwhm, "sky_sigma": sky_sigma}


def photograph(
    scene: np.ndarray, haze: np.ndarray, camera: Camera, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, float]]:
    """Take the picture.

    Args:
        scene: (3, GRID, GRID) nanomaggies a pixel in z, r, g.
        haze: same shape, light that the seeing does not change.
        camera: seeing, noise and JPEG of the survey.
        rng: the generator of all random numbers.

    Returns:
        (256, 256, 3) uint8 and the conditions, as `exposed` tells them.
    """
    light, conditions = exposed(scene, haze, camera, rng)
    return jpeg(viewer_colours(light), quality=round(camera.quality(rng))), conditions
