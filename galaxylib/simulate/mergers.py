"""Galaxies that meet: two or three bodies, with their common halo, a bridge between them, and debris."""

from __future__ import annotations

import math

import numpy as np

from galaxylib.simulate import light
from galaxylib.simulate.bodies import paint
from galaxylib.simulate.components import BAND_AXIS, Body, Place, band_fluxes
from galaxylib.simulate.distributions import Normal, Uniform, happens
from galaxylib.simulate.kinds import EdgeOn, Merger, Spheroid, Spiral, Wreck
from galaxylib.simulate.light import GRID, Map

FARTHEST = 33.0  # arcsec from the image's centre at which a body is still cut by the frame, not beyond it

MERGING_SPIRAL = Spiral(
    cos_inclination=Uniform(0.3, 1.0),
    pitch=Normal(25, 9, 8, 55),
    arms=Uniform(1.0, 3.0),
    lopsided=Uniform(0.1, 0.7),
    warp_share=0.7,
    wander=Uniform(0.3, 1.2),
)

# The bodies that meet (share, kind).
MERGING_BODIES = (
    (0.52, Spheroid(Uniform(1.2, 4.2), Normal(0.8, 0.15, 0.45, 1.0), envelope=0.5)),
    (0.28, MERGING_SPIRAL),
    (0.08, EdgeOn(Uniform(0.15, 0.35), Uniform(0.0, 0.4))),
    (0.12, Wreck()),
)


def merger(kind: Merger, place: Place, rng: np.random.Generator) -> Body:
    """Two or three bodies in contact, the first at the centre, perhaps in a common halo."""
    count = int(kind.bodies(rng))
    second = kind.secondary_flux(rng)
    fluxes = [1 - second, second] if count == 2 else [1 - second, 0.65 * second, 0.35 * second]
    shares = np.array([share for share, _ in MERGING_BODIES])
    first = place.size * kind.first_size(rng)
    separation = min(kind.separation(rng) * first, FARTHEST / 1.15)
    angle = rng.uniform(0, 2 * math.pi)
    total = np.zeros((3, GRID, GRID), np.float32)
    centres: list[tuple[float, float]] = []
    for number, share in enumerate(fluxes):
        size = first * max(0.4, (share / fluxes[0]) ** 0.4) * math.exp(rng.normal(0, 0.15))
        away = 0.0 if number == 0 else separation * rng.uniform(0.85, 1.15)
        x, y = place.x + away * math.cos(angle), place.y + away * math.sin(angle)
        there = Place(x, y, size, place.colour + rng.normal(0, kind.colour_scatter), place.redder_z)
        body = paint(MERGING_BODIES[int(rng.choice(len(shares), p=shares))][1], there, rng)
        total += body.light * np.float32(share)
        centres.append((x, y))
        if number > 0:
            angle += rng.normal(math.pi, 0.7)
    towards = math.atan2(centres[1][1] - centres[0][1], centres[1][0] - centres[0][0])
    extras: list[tuple[Map, float, float]] = []  # light, share of the flux, bluer by
    if happens(rng, kind.halo_share):
        extras.append((_halo(centres, first, towards, rng), kind.halo_flux(rng), 0.05))
    if happens(rng, kind.bridge_share):
        width = max(0.4, first * rng.uniform(0.12, 0.35))
        bridge = light.bridge(centres[0], centres[1], rng, width=width)
        extras.append((bridge, rng.uniform(0.02, 0.1), rng.uniform(0.0, 0.25)))
    if happens(rng, kind.debris_share):
        clumps = _debris(centres, max(separation, first), rng)
        extras.append((clumps, rng.uniform(0.01, 0.08), rng.uniform(0.1, 0.5)))
    total *= np.float32(1 - sum(share for _, share, _ in extras))
    for map_, share, bluer in extras:
        total += light.unit(map_) * np.array(band_fluxes(share, place.colour - bluer), np.float32)[BAND_AXIS]
    truth = {"bodies": count, "separation": separation, "asymmetry": second}
    return Body(total, truth, towards)


def _halo(centres: list[tuple[float, float]], first: float, towards: float, rng: np.random.Generator) -> Map:
    """The common halo, between the two brightest bodies, off the line between them."""
    (x0, y0), (x1, y1) = centres[:2]
    along = rng.uniform(0.1, 0.6)
    off = rng.normal(0, 0.3 * first, 2)
    return light.sersic(
        x0 + along * (x1 - x0) + off[0],
        y0 + along * (y1 - y0) + off[1],
        n=1,
        half_light_radius=max(first * rng.uniform(1.8, 3.2), 0.6 * math.hypot(x1 - x0, y1 - y0)),
        axis_ratio=rng.uniform(0.5, 0.9),
        angle=towards + rng.normal(0, 0.4),
    )


def _debris(centres: list[tuple[float, float]], reach: float, rng: np.random.Generator) -> Map:
    """Clumps strewn around the bodies, within `reach` arcsec of them or so."""
    count = int(rng.integers(3, 10))
    around = np.array(centres)[rng.integers(0, len(centres), count)] + rng.normal(0, 0.5 * reach, (count, 2))
    flux = rng.lognormal(0, 0.7, count)
    places = np.column_stack([around, rng.uniform(0.3, 1.1, count), flux / flux.sum()])
    return light.blobs(*light.plane(), places)
