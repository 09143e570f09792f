"""What a cutout shows: the galaxy of the class asked for, its tails, its neighbours, and the rest of the sky.

Fluxes are nanomaggies; the light is in z, r, g on the grid of `galaxylib.simulate.light`, before any blur.
"""

# ruff: noqa: RUF009 - the distributions are frozen, so a shared default is safe

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from galaxylib.simulate import light
from galaxylib.simulate.bodies import paint
from galaxylib.simulate.classes import ClassRecipe
from galaxylib.simulate.components import BAND_AXIS, ZERO_POINT, Body, Place, band_fluxes
from galaxylib.simulate.distributions import LogNormal, Uniform, happens
from galaxylib.simulate.kinds import Merger, Spheroid, Tails
from galaxylib.simulate.light import CENTRE, GRID, MARGIN, PIXEL_SCALE, SIZE
from galaxylib.simulate.mergers import MERGING_SPIRAL, merger

HALF_FIELD = GRID / 2 * PIXEL_SCALE  # arcsec from the centre to the edge of the grid


@dataclass(frozen=True)
class Field:
    """How crowded the sky is around the galaxy (counts are means of Poisson draws, magnitudes in r)."""

    faint: Uniform = Uniform(8, 26)
    faint_limit: float = 23.6
    faint_depth: float = 1.1  # mean of the exponential by which objects are brighter than the limit
    extended: float = 0.65
    stars: float = 2.4
    star_limit: float = 22.0
    star_depth: float = 1.5
    star_brightest: float = 14.5
    neighbour: float = 0.22
    companion: float = 0.22  # a small galaxy or star close to the galaxy, or before it, by chance
    glow: float = 0.08
    gradient: float = 0.10


def flux(magnitude: float) -> float:
    """Nanomaggies of an AB magnitude."""
    return 10 ** (-0.4 * (magnitude - ZERO_POINT))


def clipped(number: float, low: float, high: float) -> float:
    """The number brought between two others; `np.clip` takes a hundred times as long for one."""
    return max(low, min(high, number))


def galaxy(recipe: ClassRecipe, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, float]]:
    """The galaxy alone: (3, GRID, GRID) nanomaggies a pixel in z, r, g, and its truth."""
    magnitude, colour = recipe.magnitude(rng), recipe.colour(rng)
    size = LogNormal(recipe.size, recipe.size_scatter)(rng) * 10 ** (
        -0.12 * (magnitude - recipe.magnitude.mean)
    )
    size = clipped(size, recipe.smallest, 16.0)
    shares = np.array([share for share, _ in recipe.kinds])
    kind = recipe.kinds[int(rng.choice(len(shares), p=shares / shares.sum()))][1]
    place = Place(*rng.normal(0, 0.08, 2), size, colour, rng.normal(0.015, 0.05))
    body = merger(kind, place, rng) if isinstance(kind, Merger) else paint(kind, place, rng)
    painted, tail_share = with_tails(body, recipe.tails, place, rng)
    truth = {
        "magnitude": magnitude,
        "colour": colour,
        "half_light_radius": size,
        **body.truth,
        "tail_fraction": tail_share,
    }
    return painted * np.float32(flux(magnitude)), truth


def with_tails(body: Body, tails: Tails, place: Place, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """The body's light with tidal tails, still one nanomaggy in r; and the tails' share."""
    if not happens(rng, tails.share):
        return body.light, 0.0
    count = int(tails.count(rng))
    angle, curl = rng.uniform(0, 2 * math.pi), rng.uniform(0.3, 2.2) * (1 if happens(rng, 0.5) else -1)
    tails_light, share = np.zeros_like(body.light), 0.0
    for _ in range(count):
        part = tails.flux(rng)
        thread = light.tail(
            place.x,
            place.y,
            rng,
            start=place.size * rng.uniform(0.4, 1.0),
            length=place.size * tails.length(rng),
            width=max(0.4, place.size * rng.uniform(0.12, 0.35)),
            angle=angle,
            curl=curl * math.exp(rng.normal(0, 0.3)),
        )
        colour = place.colour - rng.uniform(0.0, 0.25)
        tails_light += light.unit(thread) * np.array(band_fluxes(part, colour), np.float32)[BAND_AXIS]
        share += part
        angle += math.pi + rng.normal(0, 0.6)
    return body.light * np.float32(1 - share) + tails_light, share


def paint_field(canvas: np.ndarray, field: Field, reach: float, rng: np.random.Generator) -> None:
    """Add the sky's other objects to `canvas` (3, GRID, GRID), in place.

    Args:
        canvas: nanomaggies a pixel in z, r, g.
        field: how many and which other objects there are.
        reach: half-light radius of the galaxy in the middle (arcsec); companions keep their distance by it.
        rng: the generator of all random numbers.
    """
    for _ in range(rng.poisson(field.faint(rng))):
        magnitude = field.faint_limit - rng.exponential(field.faint_depth)
        x, y = rng.uniform(-HALF_FIELD, HALF_FIELD, 2)
        if happens(rng, field.extended):
            size = clipped(rng.lognormal(math.log(0.55), 0.4) * 10 ** (0.08 * (23 - magnitude)), 0.25, 3)
            _small_galaxy(canvas, x, y, max(magnitude, 18.5), size, rng)
        else:
            _star(canvas, x, y, max(magnitude, 17.0), rng)
    for _ in range(rng.poisson(field.stars)):
        magnitude = max(field.star_limit - rng.exponential(field.star_depth), field.star_brightest)
        x, y = rng.uniform(-HALF_FIELD, HALF_FIELD, 2)
        if math.hypot(x, y) > 0.8 * reach:
            _star(canvas, x, y, magnitude, rng)
    if happens(rng, field.companion):
        angle, is_star = rng.uniform(0, 2 * math.pi), happens(rng, 0.5)
        # A star may stand before the galaxy itself; a galaxy there would look like a merger.
        away = reach * rng.uniform(0.5, 3.0) + 0.5 if is_star else reach * rng.uniform(1.2, 3.0) + 1.5
        x, y = away * math.cos(angle), away * math.sin(angle)
        if is_star:
            _star(canvas, x, y, rng.uniform(17.0, 21.0), rng)
        else:
            _small_galaxy(canvas, x, y, rng.uniform(18.2, 21.0), rng.uniform(0.6, 1.6), rng)
    if happens(rng, field.neighbour):
        away, angle = rng.uniform(12, 36), rng.uniform(0, 2 * math.pi)
        there = Place(
            away * math.cos(angle),
            away * math.sin(angle),
            float(rng.uniform(1.2, 4.0)),
            rng.normal(0.75, 0.2),
        )
        kind = Spheroid(Uniform(0.8, 4), Uniform(0.25, 1)) if happens(rng, 0.7) else MERGING_SPIRAL
        canvas += paint(kind, there, rng).light * np.float32(flux(rng.uniform(16.3, 19.5)))


def paint_haze(canvas: np.ndarray, field: Field, rng: np.random.Generator) -> None:
    """Add what is wider than the seeing, in place: the glow of a bright star, a slope of the sky's level."""
    x, y = light.plane()
    if happens(rng, field.glow):
        away, angle = rng.uniform(20, 60), rng.uniform(0, 2 * math.pi)
        r = light.distance(x - np.float32(away * math.cos(angle)), y - np.float32(away * math.sin(angle)))
        tint = np.array([1.0, 0.45, 0.2], np.float32) * rng.lognormal(0, 0.3, 3).astype(np.float32)
        canvas += (
            np.float32(rng.uniform(0.01, 0.09))
            * np.exp(-r / np.float32(rng.uniform(6, 16)))
            * tint[BAND_AXIS]
        )
    if happens(rng, field.gradient):
        along, _ = light.turned(x, y, rng.uniform(0, 2 * math.pi))
        tint = rng.normal(0, 1, 3).astype(np.float32) * np.array([4e-3, 1.5e-3, 0.7e-3], np.float32)
        canvas += tint[BAND_AXIS] * (along / np.float32(HALF_FIELD))


def _star(canvas: np.ndarray, x: float, y: float, magnitude: float, rng: np.random.Generator) -> None:
    """A point of light, shared between the four pixels around it: a sun-like star or an M dwarf."""
    colour = rng.uniform(0.2, 0.8) if happens(rng, 0.42) else rng.uniform(1.1, 1.6)
    r_z = 0.55 * colour - 0.05 if colour < 1 else rng.uniform(0.7, 2.0)
    bands = np.array([flux(magnitude - r_z), flux(magnitude), flux(magnitude + colour)])
    bands *= 10 ** (
        0.4 * rng.normal(0, 0.12 if magnitude > 18 else 0.3, 3)
    )  # saturated stars have odd colours
    column, row = x / PIXEL_SCALE + CENTRE, y / PIXEL_SCALE + CENTRE
    j, i = math.floor(column), math.floor(row)
    if not (0 <= j < GRID - 1 and 0 <= i < GRID - 1):
        return
    fx, fy = column - j, row - i
    corner = np.array([[(1 - fx) * (1 - fy), fx * (1 - fy)], [(1 - fx) * fy, fx * fy]])
    canvas[:, i : i + 2, j : j + 2] += (bands[BAND_AXIS] * corner).astype(np.float32)


def _small_galaxy(
    canvas: np.ndarray, x: float, y: float, magnitude: float, size: float, rng: np.random.Generator
) -> None:
    """A faint exponential ellipse of half-light radius `size`, painted on a stamp of its own."""
    q, angle = rng.uniform(0.3, 1.0), rng.uniform(0, math.pi)
    colour = clipped(rng.normal(0.8, 0.4), -0.1, 1.7)
    r_z = clipped(rng.normal(0.15 + 0.55 * colour, 0.15), -0.2, 1.6)
    bands = np.array([flux(magnitude - r_z), flux(magnitude), flux(magnitude + colour)], np.float32)
    column, row = round(x / PIXEL_SCALE + CENTRE), round(y / PIXEL_SCALE + CENTRE)
    reach = int(4 * size / PIXEL_SCALE) + 2
    rows = slice(max(0, row - reach), max(0, min(GRID, row + reach + 1)))
    columns = slice(max(0, column - reach), max(0, min(GRID, column + reach + 1)))
    gx, gy = light.plane()
    u, v = light.turned(gx[rows, columns] - np.float32(x), gy[rows, columns] - np.float32(y), angle)
    root = math.sqrt(q)
    stamp = np.exp(np.float32(-1.678 / size) * light.distance(u * root, v / root))
    if stamp.size:
        # Normalised by its integral, not its sum: a stamp cut by the frame keeps only its part of the light.
        area = 2 * math.pi * (size / 1.678) ** 2 / PIXEL_SCALE**2
        canvas[:, rows, columns] += stamp / np.float32(max(area, float(stamp.max()))) * bands[BAND_AXIS]


def frame(grid: np.ndarray) -> np.ndarray:
    """The image's part of a grid (..., GRID, GRID): (..., SIZE, SIZE), in the middle."""
    return grid[..., MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
