"""Discs seen from above: arms, bars, rings, bulges, dust lanes and knots of young stars."""

from __future__ import annotations

import math

import numpy as np

from galaxylib.simulate import light
from galaxylib.simulate.components import Body, LayerStack, Place
from galaxylib.simulate.distributions import happens
from galaxylib.simulate.kinds import Spiral
from galaxylib.simulate.light import GRID, Map


def _disc_coordinates(
    kind: Spiral, place: Place, rng: np.random.Generator, *, angle: float, cos_i: float, h: float
) -> tuple[Map, Map, float]:
    """Coordinates in the plane of a disc (arcsec), after lopsidedness and warp; and the lopsidedness."""
    x, y = light.plane()
    x, y = x - np.float32(place.x), y - np.float32(place.y)
    lopsided = kind.lopsided(rng)
    if happens(rng, kind.warp_share):
        wave = h * rng.uniform(5, 10)
        x, y = light.warped(
            x,
            y,
            amplitude=h * rng.uniform(0.15, 0.3 + 0.7 * lopsided),
            wavelength=wave,
            angle=rng.uniform(0, 2 * math.pi),
            phase=rng.uniform(0, 2 * math.pi),
        )
    u, v = light.turned(x, y, angle)
    v = v / np.float32(math.sqrt(cos_i**2 + 0.12**2 * (1 - cos_i**2)))
    if lopsided:
        # The outer isophotes slide to one side: the centre stays, light at radius R moves by lopsided x R.
        towards = rng.uniform(0, 2 * math.pi)
        along, _ = light.turned(u, v, towards)
        squeeze = 1 + np.float32(lopsided) * along / (light.distance(u, v) + np.float32(h))
        u, v = u * squeeze, v * squeeze
    return u, v, lopsided


def spiral(kind: Spiral, place: Place, rng: np.random.Generator) -> Body:
    """Draw one disc of the kind, perhaps with a bar: see `galaxylib.simulate.bodies.paint`."""
    h = place.size / 1.55
    cos_i, angle = kind.cos_inclination(rng), rng.uniform(0, math.pi)
    u, v, lopsided = _disc_coordinates(kind, place, rng, angle=angle, cos_i=cos_i, h=h)
    radius = light.distance(u, v) / np.float32(h)
    theta = np.arctan2(v, u)
    log_radius = np.log(radius + np.float32(0.05))

    barred = happens(rng, kind.bar_share)
    bar_flux, bar_half = (kind.bar_flux(rng), kind.bar_half_length(rng)) if barred else (0.0, 0.0)
    bar_angle = rng.uniform(0, math.pi)
    bulge = kind.bulge(rng)
    bulge_half = rng.uniform(0.15, 0.45) * (1 + bulge)

    pitch = math.radians(kind.pitch(rng)) * (1 if happens(rng, 0.5) else -1)
    arms, kappa, strength = int(kind.arms(rng)), kind.sharpness(rng), kind.strength(rng)
    arms, pitch = _spaced(arms, pitch, room=1.5 * h, spacing=kind.spacing)
    wander = _wander(log_radius, rng, kind.wander(rng))
    # A barred galaxy's arms leave the ends of its bar.
    origin = (
        bar_angle - math.log(bar_half + 0.05) / math.tan(pitch) if barred else rng.uniform(0, 2 * math.pi)
    )
    phase = light.log_spiral(log_radius, theta - np.float32(origin), pitch=pitch, wander=wander)
    # No arm is as bright as the next, nor as bright all along.
    uneven = np.float32(rng.uniform(0, 0.45)) * np.cos(phase + np.float32(rng.uniform(0, 2 * math.pi)))
    broken = np.float32(rng.uniform(0, 0.45)) * np.sin(
        np.float32(rng.uniform(2, 6)) * log_radius + phase + np.float32(rng.uniform(0, 2 * math.pi))
    )
    profile = np.exp(np.float32(kappa) * (np.cos(arms * phase) - 1)) * (1 + uneven) * (1 + broken)
    start = 0.9 * bar_half if barred else rng.uniform(0.3, 0.9)
    inside = light.soft_cut(radius, start, 0.15 * start + 0.05)

    cut = rng.uniform(2.0, 4.2)
    edge = light.soft_cut(radius, cut, 0.13 * cut)
    patches = np.exp(
        np.float32(kind.flocculence(rng)) * light.spiral_waves(log_radius, theta, rng, waves=14, pitch=pitch)
    )
    disc = np.exp(-radius) * edge * patches
    if barred:
        disc *= 1 - np.float32(rng.uniform(0.1, 0.75)) * light.soft_cut(radius, bar_half, 0.15 * bar_half)
    # An arm is seen over a turn or so, however tightly it is wound.
    middle, spread = math.log(start * rng.uniform(1.2, 2.2)), rng.uniform(0.35, 0.9)
    fading = -radius / np.float32(rng.uniform(0.9, 1.6)) - 0.5 * ((log_radius - middle) / spread) ** 2
    arm_light = np.exp(fading.astype(np.float32)) * edge * patches * profile
    arm_light = light.softened(arm_light * (1 - inside), h * kind.blur(rng))

    stack = LayerStack(place)
    old_share = 1 - bulge - bar_flux
    ring_share = rng.uniform(0.04, 0.2) * old_share if happens(rng, kind.ring_share) else 0.0
    young = kind.young(rng)
    arm_share = strength * 0.75 * (old_share - ring_share)
    lens = rng.uniform(0.0, 0.3) * old_share if barred and happens(rng, 0.6) else 0.0
    stack.add(disc, old_share - ring_share - arm_share - lens)
    if lens:
        plateau = light.soft_cut(radius, bar_half * rng.uniform(0.8, 1.1), 0.2) * np.exp(-radius / 2)
        stack.add(plateau, lens, 0.05)
    stack.add(arm_light, arm_share, -rng.uniform(0.03, 0.2))
    if ring_share:
        at = bar_half * rng.uniform(0.95, 1.3) if barred else rng.uniform(0.8, 2.2)
        width = at * rng.uniform(0.12, 0.25)
        stack.add(light.ring(radius, at, width), ring_share, -0.08)
    if happens(rng, kind.outer_ring_share):
        at = rng.uniform(2.0, 3.0)
        stack.add(light.ring(radius, at, at * rng.uniform(0.08, 0.18)), rng.uniform(0.02, 0.08), -0.1)
    if barred:
        # Short bars are fat as often as long ones are slender.
        q_bar = rng.uniform(0.2, 0.48) + (0.2 * rng.random() if bar_half < 0.9 else 0.0)
        ub, vb = light.turned(u, v, bar_angle)
        if happens(rng, kind.ansae):
            spots = light.ring(
                light.distance((np.abs(ub) / np.float32(h) - np.float32(0.9 * bar_half)), vb / h),
                0,
                q_bar * bar_half * 0.6,
            )
            stack.add(spots, bar_flux * rng.uniform(0.1, 0.3), -rng.uniform(0.0, 0.1))
        stack.add(
            light.bar(ub, vb, half_length=bar_half * h, axis_ratio=q_bar, boxiness=rng.uniform(2.0, 3.3)),
            bar_flux,
            rng.uniform(0.0, 0.15),
        )
    stack.add(
        light.sersic(
            place.x,
            place.y,
            n=rng.uniform(0.8, 2.6),
            half_light_radius=bulge_half * h,
            axis_ratio=float(np.clip(cos_i + rng.uniform(0.2, 0.5), 0.5, 1)),
            angle=angle,
        ),
        bulge,
        rng.uniform(0.08, 0.35),
    )
    stack.add(knots(arm_light, rng, h, radius, count=int(rng.integers(3, 31))), young, -rng.uniform(0.1, 0.6))
    if happens(rng, 0.6):
        lane = np.exp(np.float32(2.5) * (np.cos(arms * (phase + np.float32(0.5))) - 1))
        stack.dust = np.float32(rng.uniform(0.1, 0.7)) * lane * (1 - inside) * np.exp(-radius / 2)
    truth = {
        "axis_ratio": math.sqrt(cos_i**2 + 0.12**2 * (1 - cos_i**2)),
        "inclination": math.degrees(math.acos(cos_i)),
        "bulge_fraction": bulge,
        "bar_fraction": bar_flux,
        "bar_length": bar_half * h,
        "arm_pitch": abs(math.degrees(pitch)),
        "arm_count": arms,
        "arm_strength": strength,
        "asymmetry": lopsided,
    }
    return Body(stack.combined(), truth, angle)


def _spaced(arms: int, pitch: float, *, room: float, spacing: float) -> tuple[int, float]:
    """Number and pitch of arms that keep `spacing` arcsec between them at a radius of `room` arcsec.

    Arms are left out first, down to two, then the pitch is opened, by half at most.
    """
    wanted = spacing / (2 * math.pi * room)  # the sine of the pitch of a single arm that keeps it
    while arms > 2 and math.sin(abs(pitch)) < arms * wanted:
        arms -= 1
    if math.sin(abs(pitch)) < arms * wanted:
        pitch = math.copysign(min(math.asin(min(1.0, arms * wanted)), 1.5 * abs(pitch)), pitch)
    return arms, pitch


def _wander(log_radius: Map, rng: np.random.Generator, amplitude: float) -> Map:
    """Slow waves in ln R, in radians, by which an arm strays from the perfect spiral."""
    first, second = rng.uniform(1.0, 2.5), rng.uniform(2.5, 5.0)
    return np.float32(amplitude * 0.6) * np.sin(
        np.float32(first) * log_radius + np.float32(rng.uniform(0, 2 * math.pi))
    ) + np.float32(amplitude * 0.25) * np.sin(
        np.float32(second) * log_radius + np.float32(rng.uniform(0, 2 * math.pi))
    )


def knots(where: Map, rng: np.random.Generator, h: float, radius: Map, *, count: int) -> Map:
    """Blobs of young stars, dropped where the arms are bright but not in the middle."""
    weight = (where * radius).ravel().astype(np.float64)
    total = np.cumsum(weight)
    if total[-1] <= 0:
        return np.zeros((GRID, GRID), np.float32)
    spots = np.searchsorted(total, rng.random(count) * total[-1])
    x, y = light.plane()
    sigma = np.clip(h * rng.uniform(0.04, 0.14, count), 0.2, 1.2)
    flux = rng.lognormal(0, 0.7, count)
    return light.blobs(x, y, np.stack([x.ravel()[spots], y.ravel()[spots], sigma, flux / flux.sum()], axis=1))
