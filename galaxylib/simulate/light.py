"""The light of galaxies on a grid of pixels: smooth profiles, arms, bars, rings, dust, tails.

Everything is a float32 map of GRID x GRID pixels of 0.262 arcsec, painted before the atmosphere blurs it.
The grid is wider than the image by MARGIN pixels on each side, so that light from outside the frame comes in.
Lengths are arcsec, angles radians, x to the right and y down, the origin at the image's centre.
"""

from __future__ import annotations

import math
from functools import lru_cache

import galsim
import numpy as np
import scipy.fft
import scipy.special

from galaxylib.data.galaxy10 import PIXEL_SCALE

SIZE = 256
MARGIN = 16
GRID = SIZE + 2 * MARGIN
CENTRE = (GRID - 1) / 2
BANDS = ("z", "r", "g")  # in the order of the image's R, G, B

Map = np.ndarray


@lru_cache(maxsize=1)
def plane() -> tuple[Map, Map]:
    """Coordinates (x, y) of every pixel of the grid in arcsec, each (GRID, GRID) float32, read-only."""
    axis = ((np.arange(GRID) - CENTRE) * PIXEL_SCALE).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    x.flags.writeable = y.flags.writeable = False
    return x, y


def distance(x: Map, y: Map) -> Map:
    """From the origin. `np.hypot` takes six times as long, to spare the largest numbers there are."""
    return np.sqrt(x * x + y * y)


def turned(x: Map, y: Map, angle: float) -> tuple[Map, Map]:
    """Coordinates in axes turned by `angle`: the first lies along the direction `angle`."""
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def unit(light: Map) -> Map:
    """The map scaled to a sum of one (an empty map stays empty)."""
    total = float(light.sum())
    return light / np.float32(total) if total > 0 else light


def soft_cut(radius: Map, cut: float, width: float) -> Map:
    """1 inside `cut`, 0 outside, over about `width`: a logistic step."""
    beyond = np.minimum((radius - np.float32(cut)) / np.float32(width), np.float32(80))  # for exp's sake
    return 1 / (1 + np.exp(beyond))


def warped(
    x: Map, y: Map, *, amplitude: float, wavelength: float, angle: float, phase: float
) -> tuple[Map, Map]:
    """Coordinates bent sideways by a sine wave that travels along `angle`.

    A wavelength under three radii of the body makes it zig-zag; the callers keep to more.
    """
    along, across = turned(x, y, angle)
    across = across + np.float32(amplitude) * np.sin(
        np.float32(2 * math.pi / wavelength) * along + np.float32(phase)
    )
    return turned(along, across, -angle)


@lru_cache(maxsize=1)
def _half_plane() -> tuple[galsim.BoundsI, float]:
    """Bounds and step (radians per arcsec) of the half plane of frequencies that a real image needs."""
    return galsim.BoundsI(0, GRID // 2, -GRID // 2, GRID // 2), 2 * math.pi / (GRID * PIXEL_SCALE)


def transform(profile: galsim.GSObject) -> np.ndarray:
    """A GalSim profile's Fourier transform laid out as `scipy.fft.rfft2` of the grid would be."""
    bounds, step = _half_plane()
    drawn = profile.drawKImage(bounds=bounds, scale=step, recenter=False).array
    half = GRID // 2
    spectrum = np.empty((GRID, half + 1), np.complex64)
    spectrum[:half], spectrum[half:] = drawn[half:-1], drawn[:half]
    return spectrum


def round_transform(profile: galsim.GSObject) -> np.ndarray:
    """The same of a round profile in the middle, float32: a quarter of the plane is drawn and mirrored."""
    half, (_, step) = GRID // 2, _half_plane()
    drawn = profile.drawKImage(bounds=galsim.BoundsI(0, half, 0, half), scale=step, recenter=False).array
    quarter = drawn.real.astype(np.float32)
    return np.concatenate((quarter[:half], quarter[half:0:-1]))


@lru_cache(maxsize=1)
def _half_a_pixel() -> np.ndarray:
    """The transform of a Gaussian of half a pixel."""
    return round_transform(galsim.Gaussian(sigma=PIXEL_SCALE / 2))


def sersic(
    x0: float, y0: float, *, n: float, half_light_radius: float, axis_ratio: float, angle: float
) -> Map:
    """A Sersic body (Sersic 1963) of unit flux, drawn by GalSim in Fourier space.

    In Fourier space the cusp of a high `n` needs no oversampling; a Gaussian of half a pixel keeps the map
    from ringing and is small beside any seeing. `n` is rounded to 0.2 so that GalSim's tables serve again.

    Args:
        x0: centre, arcsec right of the image's centre.
        y0: centre, arcsec below the image's centre.
        n: Sersic index, from 0.4 to 6.
        half_light_radius: along the geometric mean of the axes, arcsec.
        axis_ratio: minor over major axis, 0.05 to 1.
        angle: of the major axis, radians from x towards y.
    """
    profile = galsim.Sersic(n=max(0.4, round(n * 5) / 5), half_light_radius=half_light_radius)
    profile = profile.shear(q=axis_ratio, beta=angle * galsim.radians)
    profile = profile.shift(x0 + CENTRE * PIXEL_SCALE, y0 + CENTRE * PIXEL_SCALE)
    spectrum = transform(profile) * _half_a_pixel()
    return np.maximum(scipy.fft.irfft2(spectrum, s=(GRID, GRID)), 0)


@lru_cache(maxsize=1)
def _edge_on_table() -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(0, 12, 600)
    with np.errstate(invalid="ignore"):
        return x, np.nan_to_num(x * scipy.special.k1(x), nan=1.0)


def edge_on_disc(along: Map, height: Map, *, scale: float, thickness: float, cut: float) -> Map:
    """An exponential disc seen from its side, (x/h) K1(x/h) sech^2(z/hz) (van der Kruit & Searle 1981).

    Args:
        along: coordinate along the disc, arcsec.
        height: coordinate across it, arcsec.
        scale: scale length h, arcsec.
        thickness: scale height hz over the scale length h.
        cut: where the disc ends, in scale lengths.
    """
    x, profile = _edge_on_table()
    radius = np.abs(along) / np.float32(scale)
    column = np.interp(radius, x, profile).astype(np.float32) * soft_cut(radius, cut, 0.12 * cut)
    falling = np.exp(-2 * np.minimum(np.abs(height) / np.float32(thickness * scale), 20))
    return column * (4 * falling / (1 + falling) ** 2)  # sech^2, by the one function that is quick everywhere


def log_spiral(log_radius: Map, theta: Map, *, pitch: float, wander: Map | float) -> Map:
    """Phase (radians) around the arms of a logarithmic spiral: zero along the first arm.

    Args:
        log_radius: natural logarithm of the radius.
        theta: azimuth in the disc's plane, in radians.
        pitch: pitch angle in radians; its sign is the winding's sense.
        wander: radians by which the arms leave the perfect spiral.
    """
    return theta - log_radius / np.float32(math.tan(pitch)) + wander


def spiral_waves(log_radius: Map, theta: Map, rng: np.random.Generator, *, waves: int, pitch: float) -> Map:
    """Flocculence: a sum of small random spiral waves, mean about 0 and deviation about 1."""
    field = np.zeros_like(theta)
    phase, slanted = np.empty_like(theta), np.empty_like(theta)
    for _ in range(waves):
        arms = int(rng.integers(3, 11))
        slope = arms / math.tan(pitch * math.exp(rng.normal(0, 0.4))) + rng.normal(0, 3)
        np.multiply(theta, np.float32(arms), out=phase)
        np.multiply(log_radius, np.float32(slope), out=slanted)
        phase -= slanted
        phase += np.float32(rng.uniform(0, 2 * math.pi))
        field += np.cos(phase, out=phase)
    return field * np.float32(math.sqrt(2 / waves))


def bar(u: Map, v: Map, *, half_length: float, axis_ratio: float, boxiness: float) -> Map:
    """A bar along u: flat-topped, its outline a superellipse of exponent `boxiness` (2 is an ellipse)."""
    c = np.float32(boxiness)
    s = (
        np.abs(u / np.float32(half_length)) ** c + np.abs(v / np.float32(half_length * axis_ratio)) ** c
    ) ** (1 / c)
    return np.exp(-1.3 * s) * soft_cut(s, 0.95, 0.17)


def softened(light: Map, sigma: float) -> Map:
    """The map blurred by a Gaussian of `sigma` arcsec."""
    frequency = np.fft.fftfreq(GRID, PIXEL_SCALE).astype(np.float32) ** 2
    square = frequency[:, None] + frequency[None, : GRID // 2 + 1]
    spectrum = scipy.fft.rfft2(light) * np.exp(np.float32(-2 * (math.pi * sigma) ** 2) * square)
    return np.maximum(scipy.fft.irfft2(spectrum, s=light.shape), 0)


def blobs(x: Map, y: Map, places: np.ndarray) -> Map:
    """Round Gaussian blobs; `places` is (n, 4): x, y, sigma (arcsec) and flux of each.

    Each is painted within 4 sigma only, so that thirty of them cost little.
    """
    light = np.zeros((GRID, GRID), np.float32)
    for bx, by, sigma, flux in places:
        column, row = bx / PIXEL_SCALE + CENTRE, by / PIXEL_SCALE + CENTRE
        reach = 4 * sigma / PIXEL_SCALE + 1
        rows = slice(max(0, int(row - reach)), max(0, int(row + reach) + 1))
        columns = slice(max(0, int(column - reach)), max(0, int(column + reach) + 1))
        square = (x[rows, columns] - np.float32(bx)) ** 2 + (y[rows, columns] - np.float32(by)) ** 2
        height = flux * PIXEL_SCALE**2 / (2 * math.pi * sigma**2)
        light[rows, columns] += np.float32(height) * np.exp(-square / np.float32(2 * sigma**2))
    return light


def tail(
    x0: float,
    y0: float,
    rng: np.random.Generator,
    *,
    start: float,
    length: float,
    width: float,
    angle: float,
    curl: float,
) -> Map:
    """A tidal tail of unit flux: blobs strung along an arc, fading and widening outwards.

    Args:
        x0: centre of the galaxy that it leaves, arcsec right of the image's centre.
        y0: the same, arcsec below the image's centre.
        rng: the generator of the blobs' irregularities.
        start: distance from the centre where it begins, arcsec.
        length: length along the arc, arcsec.
        width: sigma where it begins, arcsec.
        angle: direction in which it leaves, radians.
        curl: radians by which it turns over its length.
    """
    steps = max(8, int(length / (0.8 * width)))
    t = (np.arange(steps) + 0.5) / steps
    heading = angle + curl * t
    px = x0 + start * math.cos(angle) + np.cumsum(np.cos(heading)) * length / steps
    py = y0 + start * math.sin(angle) + np.cumsum(np.sin(heading)) * length / steps
    flux = np.exp(-1.6 * t) * (1 - t**3) * rng.lognormal(0, 0.25, steps)
    places = np.stack([px, py, width * (1 + 0.8 * t), flux / flux.sum()], axis=1)
    return blobs(*plane(), places)


def shell(x: Map, y: Map, *, radius: float, width: float, angle: float, opening: float) -> Map:
    """A partial shell: an arc of `opening` radians around the direction `angle`, its outer edge sharp."""
    r, theta = distance(x, y), np.arctan2(y, x)
    away = np.abs(np.angle(np.exp(1j * (theta - angle)))).astype(np.float32)
    edge = np.where(r < radius, width, 0.3 * width).astype(np.float32)
    return np.exp(-0.5 * ((r - radius) / edge) ** 2) * soft_cut(away, opening / 2, 0.15)


def ring(radius: Map, at: float, width: float) -> Map:
    """A ring of light around `at`, with a Gaussian section of sigma `width`."""
    return np.exp(-0.5 * ((radius - np.float32(at)) / np.float32(width)) ** 2)


def bridge(
    start: tuple[float, float], end: tuple[float, float], rng: np.random.Generator, *, width: float
) -> Map:
    """A bridge of unit flux between two places (arcsec): blobs along a bow, thinnest in the middle."""
    (x0, y0), (x1, y1) = start, end
    length = math.hypot(x1 - x0, y1 - y0)
    steps = max(6, int(length / (0.8 * width)))
    t = (np.arange(steps) + 0.5) / steps
    bow = rng.normal(0, 0.15) * 4 * t * (1 - t)
    flux = (1 + 2 * (2 * t - 1) ** 2) * rng.lognormal(0, 0.25, steps)
    px, py = x0 + (x1 - x0) * t - (y1 - y0) * bow, y0 + (y1 - y0) * t + (x1 - x0) * bow
    sigma = width * (0.7 + 0.5 * (2 * t - 1) ** 2)
    return blobs(*plane(), np.stack([px, py, sigma, flux / flux.sum()], axis=1))


def stream(
    x0: float,
    y0: float,
    rng: np.random.Generator,
    *,
    radius: float,
    width: float,
    start: float,
    turn: float,
    axis_ratio: float,
) -> Map:
    """A stream of unit flux: blobs along a part of an ellipse around a galaxy, fading to both ends.

    Args:
        x0: the galaxy's centre, arcsec right of the image's centre.
        y0: the same, arcsec below the image's centre.
        rng: the generator of the blobs' irregularities.
        radius: half of the ellipse's major axis, arcsec.
        width: sigma of the stream, arcsec.
        start: direction of its middle, radians.
        turn: radians that it goes around.
        axis_ratio: minor over major axis of the ellipse.
    """
    steps = max(8, int(radius * turn / width))
    t = (np.arange(steps) + 0.5) / steps - 0.5
    away = radius * (1 + rng.uniform(-0.5, 0.5) * t)
    u, v = turned(away * np.cos(turn * t), away * axis_ratio * np.sin(turn * t), -start)
    flux = np.exp(-4 * t**2) * rng.lognormal(0, 0.2, steps)
    places = np.stack([x0 + u, y0 + v, np.full(steps, width), flux / flux.sum()], axis=1)
    return blobs(*plane(), places)
