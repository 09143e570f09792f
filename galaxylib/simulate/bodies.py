"""From a kind of body (see `galaxylib.simulate.kinds`) to light in z, r, g and the numbers behind it."""

from __future__ import annotations

import math
from functools import singledispatch

import numpy as np

from galaxylib.simulate import light
from galaxylib.simulate.components import EXTINCTION, Body, LayerStack, Place
from galaxylib.simulate.distributions import happens
from galaxylib.simulate.kinds import EdgeOn, Kind, Lenticular, Shelled, Spheroid, Spiral, Wreck
from galaxylib.simulate.light import Map
from galaxylib.simulate.spirals import knots, spiral


@singledispatch
def paint(kind: Kind, place: Place, rng: np.random.Generator) -> Body:
    """Draw one body of `kind` at `place`.

    Args:
        kind: a kind from `galaxylib.simulate.kinds` (mergers are made of several, see `mergers`).
        place: where, how large, what colour.
        rng: the generator of all random numbers.

    Returns:
        the body, of one nanomaggy in r.
    """
    raise TypeError(f"no painter for {type(kind).__name__}")


@paint.register
def _spheroid(kind: Spheroid, place: Place, rng: np.random.Generator) -> Body:
    n, q = kind.index(rng), _ratio(kind.axis_ratio(rng))
    angle = rng.uniform(0, math.pi)
    stack = LayerStack(place)
    envelope = rng.uniform(0.05, 0.4) if happens(rng, kind.envelope) else 0.0
    halo = rng.uniform(0.1, 0.35) * (1 - envelope) if happens(rng, kind.halo) else 0.0
    inner = place.size * (1 - 0.3 * envelope - 0.6 * halo)
    stack.add(
        light.sersic(place.x, place.y, n=n, half_light_radius=inner, axis_ratio=q, angle=angle),
        1 - envelope - halo,
    )
    if envelope:
        wide = place.size * rng.uniform(1.3, 2.2)
        q_wide = float(np.clip(q + rng.uniform(-0.05, 0.12), 0.2, 1))
        stack.add(
            light.sersic(place.x, place.y, n=1, half_light_radius=wide, axis_ratio=q_wide, angle=angle),
            envelope,
            rng.uniform(-0.15, 0.05),
        )
    if halo:
        wide = place.size * rng.uniform(2.0, 3.2)
        q_wide = float(np.clip(q + rng.uniform(-0.1, 0.15), 0.3, 1))
        x, y = place.x + rng.normal(0, 0.1 * place.size), place.y + rng.normal(0, 0.1 * place.size)
        turn = angle + rng.normal(0, 0.15)
        stack.add(
            light.sersic(x, y, n=1, half_light_radius=wide, axis_ratio=q_wide, angle=turn),
            halo,
            rng.uniform(-0.15, 0.05),
        )
    if happens(rng, kind.cusp):
        x, y = light.plane()
        spot = np.array([[place.x, place.y, 0.25, 1.0]])
        stack.add(light.blobs(x, y, spot), rng.uniform(0.01, 0.1), rng.uniform(-0.2, 0.2))
    if happens(rng, 0.25):  # a hint of asymmetry: real smooth galaxies are not perfect ellipses
        off = 0.25 * place.size
        stack.add(
            light.sersic(
                place.x + rng.normal(0, off),
                place.y + rng.normal(0, off),
                n=0.8,
                half_light_radius=place.size * rng.uniform(0.7, 1.6),
                axis_ratio=q,
                angle=angle + rng.normal(0, 0.2),
            ),
            rng.uniform(0.03, 0.15),
            rng.uniform(-0.1, 0.05),
        )
    return Body(stack.combined(), {"sersic_n": n, "axis_ratio": q}, angle)


def _ratio(drawn: float) -> float:
    """An axis ratio of at most one: what a bell curve puts above one counts back."""
    return min(drawn, 2 - drawn)


@paint.register
def _lenticular(kind: Lenticular, place: Place, rng: np.random.Generator) -> Body:
    q, bulge, angle = _ratio(kind.axis_ratio(rng)), kind.bulge(rng), rng.uniform(0, math.pi)
    cut, softness = rng.uniform(2.0, 5.0), rng.uniform(0.06, 0.2)
    lens = rng.uniform(0.1, 0.45) * (1 - bulge) if happens(rng, kind.lens_share) else 0.0
    ring = rng.uniform(0.02, 0.08) * (1 - bulge) if happens(rng, kind.ring_share) else 0.0
    lens_at, lens_edge = rng.uniform(0.8, 1.8), rng.uniform(0.08, 0.2)
    ring_at, ring_width = rng.uniform(1.6, 2.6), rng.uniform(0.12, 0.25)
    bulge_half, n = rng.uniform(0.2, 0.6), rng.uniform(1.0, 3.5)

    def parts(radius: Map) -> tuple[tuple[Map, float, float], ...]:
        """Light at a radius (in h), share and g - r of what has no arms: the disc, the lens, the ring."""
        return (
            (np.exp(-radius) * light.soft_cut(radius, cut, softness * cut), 1 - bulge - lens - ring, 0.0),
            (light.soft_cut(radius, lens_at, lens_edge) * np.exp(-radius / 3), lens, 0.03),
            (light.ring(radius, ring_at, ring_at * ring_width), ring, -0.08),
        )

    # The scale length h that gives the half-light radius, from the profile alone.
    r = np.linspace(0.01, 8, 800)
    grown = np.cumsum(
        sum(share * r * map_ / (r * map_).sum() for map_, share, _ in parts(r))
        + bulge * r * (inner := np.exp(-1.678 * r / bulge_half)) / (r * inner).sum()
    )
    h = place.size / float(r[np.searchsorted(grown, 0.5)])
    x, y = light.plane()
    u, v = light.turned(x - np.float32(place.x), y - np.float32(place.y), angle)
    radius = light.distance(u, v / np.float32(q)) * np.float32(math.sqrt(q) / h)
    stack = LayerStack(place)
    for map_, share, redder in parts(radius):
        stack.add(map_, share, redder)
    stack.add(
        light.sersic(
            place.x,
            place.y,
            n=n,
            half_light_radius=h * bulge_half,
            axis_ratio=float(np.clip(q + rng.uniform(0.0, 0.3), 0.4, 1)),
            angle=angle,
        ),
        bulge,
        rng.uniform(-0.1, 0.2),
    )
    return Body(stack.combined(), {"sersic_n": n, "axis_ratio": q, "bulge_fraction": bulge}, angle)


paint.register(Spiral, spiral)


@paint.register
def _edge_on(kind: EdgeOn, place: Place, rng: np.random.Generator) -> Body:
    h, angle = place.size / 1.3, rng.uniform(0, math.pi)
    x, y = light.plane()
    x, y = x - np.float32(place.x), y - np.float32(place.y)
    asymmetry = kind.asymmetry(rng)
    if happens(rng, 0.5):
        x, y = light.warped(
            x,
            y,
            amplitude=h * rng.uniform(0.02, 0.12),
            wavelength=h * rng.uniform(6, 12),
            angle=angle,
            phase=rng.uniform(0, 2 * math.pi),
        )
    along, height = light.turned(x, y, angle)
    if happens(rng, kind.warp_share):
        # The ends leave the plane: to two sides as an integral sign does, or to one as a bow does.
        beyond = np.maximum(np.abs(along) / np.float32(h) - np.float32(rng.uniform(0.8, 1.8)), 0)
        side = np.sign(along) if happens(rng, 0.8) else np.float32(1)
        height = height + np.float32(h * rng.uniform(0.02, 0.09)) * side * beyond**2
    along = along * (1 + np.float32(asymmetry) * np.tanh(along / np.float32(h)))
    thickness, cut, bulge = kind.thickness(rng), rng.uniform(2.6, 4.5), kind.bulge(rng)
    stack = LayerStack(place)
    thick = kind.thick(rng)
    if thick > 0.02:
        scale, wide = h * rng.uniform(0.9, 1.3), thickness * rng.uniform(1.6, 2.6)
        outskirt = light.edge_on_disc(along, height, scale=scale, thickness=wide, cut=cut)
        stack.add(outskirt, (1 - bulge) * thick, rng.uniform(-0.05, 0.1))
    thin = rng.uniform(0.0, 0.45)
    # Nothing is exactly edge-on: the disc's own inclination opens it by up to a few degrees.
    stack.add(
        light.edge_on_disc(along, height, scale=h, thickness=thickness, cut=cut),
        (1 - bulge) * (1 - thin) * (1 - thick),
        0.03,
    )
    patches = np.exp(
        np.float32(rng.uniform(0.05, 0.35))
        * np.sin(along * np.float32(rng.uniform(2, 6) / h) + np.float32(rng.uniform(0, 6.3)))
    )
    slim = light.edge_on_disc(
        along, height, scale=h * rng.uniform(1.0, 1.4), thickness=thickness * 0.45, cut=cut
    )
    stack.add(slim * patches, (1 - bulge) * thin * (1 - thick), -rng.uniform(0.05, 0.3))
    if bulge > 0.01:
        stack.add(
            light.sersic(
                place.x,
                place.y,
                n=rng.uniform(1.0, 3.0),
                half_light_radius=h * kind.bulge_size(rng),
                axis_ratio=rng.uniform(0.5, 0.9),
                angle=angle,
            ),
            bulge,
            rng.uniform(0.0, 0.2),
        )
    if happens(rng, 0.5):
        spread = light.edge_on_disc(along, height, scale=h, thickness=thickness * 0.5, cut=cut)
        stack.add(
            knots(spread, rng, h, np.abs(along) / np.float32(h) + 0.1, count=int(rng.integers(2, 16))),
            rng.uniform(0.003, 0.05),
            -rng.uniform(0.1, 0.5),
        )
    depth = kind.dust(rng) if happens(rng, kind.dust_share) else 0.0
    if depth:
        hz = thickness * h
        lane = (height - np.float32(rng.uniform(-0.5, 0.5) * hz)) / np.float32(hz * rng.uniform(0.2, 0.4))
        stack.dust = np.float32(depth) * np.exp(-np.abs(along) / np.float32(1.2 * h) - 0.5 * lane**2)
    truth = {
        "axis_ratio": thickness,
        "inclination": 90.0,
        "bulge_fraction": bulge,
        "dust_depth": depth,
        "asymmetry": asymmetry,
    }
    return Body(stack.combined(), truth, angle)


@paint.register
def _wreck(kind: Wreck, place: Place, rng: np.random.Generator) -> Body:
    angle, q, n = rng.uniform(0, math.pi), kind.axis_ratio(rng), kind.index(rng)
    x, y = light.plane()
    x, y = x - np.float32(place.x), y - np.float32(place.y)
    stack = LayerStack(place)
    pieces = int(kind.pieces(rng))
    shares = rng.dirichlet(np.array([2.5] + [1.2] * (pieces - 1))) if pieces > 1 else np.ones(1)
    for piece, share in enumerate(shares):
        bent_x, bent_y = light.warped(
            x,
            y,
            amplitude=place.size * rng.uniform(0.2, 0.7),
            wavelength=place.size * rng.uniform(4, 8),
            angle=rng.uniform(0, 2 * math.pi),
            phase=rng.uniform(0, 2 * math.pi),
        )
        shift = 0.0 if piece == 0 else place.size * rng.uniform(0.3, 1.1)
        towards = rng.uniform(0, 2 * math.pi)
        u, v = light.turned(
            bent_x - np.float32(shift * math.cos(towards)),
            bent_y - np.float32(shift * math.sin(towards)),
            angle,
        )
        radius = light.distance(u, v / np.float32(q)) / np.float32(place.size * rng.uniform(0.6, 1.2))
        stack.add(
            np.exp(-np.float32(1.3 + 0.5 * n) * radius ** np.float32(1 / n**0.7)), share, rng.normal(0, 0.12)
        )
        angle += rng.normal(0, 0.6)
    clumps = int(kind.clumps(rng))
    spread = rng.normal(0, 0.8 * place.size, (clumps, 2))
    flux = rng.lognormal(0, 0.6, clumps)
    places = np.column_stack(
        [spread[:, 0] + place.x, spread[:, 1] + place.y, rng.uniform(0.25, 0.9, clumps), flux / flux.sum()]
    )
    stack.add(light.blobs(*light.plane(), places), kind.clump_flux(rng), -rng.uniform(0.15, 0.5))
    return Body(stack.combined(), {"sersic_n": n, "axis_ratio": q, "asymmetry": float(1 - shares[0])}, angle)


@paint.register
def _shelled(kind: Shelled, place: Place, rng: np.random.Generator) -> Body:
    core = paint(Spheroid(kind.index, kind.axis_ratio), place, rng)
    x, y = light.plane()
    x, y = x - np.float32(place.x), y - np.float32(place.y)
    stack = LayerStack(place)
    shells, flux = int(kind.shells(rng)), kind.shell_flux(rng)
    axis = rng.uniform(0, 2 * math.pi)
    for _ in range(shells):
        radius = place.size * rng.uniform(1.2, 4.0)
        stack.add(
            light.shell(
                x,
                y,
                radius=radius,
                width=radius * rng.uniform(0.15, 0.4),
                angle=axis + (math.pi if happens(rng, 0.5) else 0) + rng.normal(0, 0.3),
                opening=rng.uniform(0.8, 2.6),
            ),
            flux,
            rng.uniform(-0.15, 0.0),
        )
    for _ in range(int(kind.streams(rng))):
        stack.add(_stream(place, rng), kind.stream_flux(rng), -rng.uniform(0.0, 0.3))
    thrown = happens(rng, kind.lopsided_share)
    if thrown:
        stack.add(_lopsided_outskirt(x, y, place, rng), rng.uniform(0.08, 0.3), -rng.uniform(0.0, 0.2))
    share = sum(layer.share for layer in stack.layers)
    painted = core.light
    if share:
        painted = painted * np.float32(1 - share) + stack.combined() * np.float32(share)
    depth = rng.uniform(0.4, 1.6) if happens(rng, kind.dust_share) else 0.0
    if depth:
        patch = np.float32(depth) * _dust_patch(x, y, place, rng)
        dimmed = painted * np.exp(-EXTINCTION[:, None, None] * patch)
        painted = dimmed * (painted.sum(axis=(1, 2)) / dimmed.sum(axis=(1, 2)))[:, None, None]
    truth = {**core.truth, "shells": shells, "asymmetry": share, "dust_depth": depth}
    return Body(painted, truth, core.ridge)


def _stream(place: Place, rng: np.random.Generator) -> Map:
    """A thin stream that loops around the body, by a quarter to a whole turn."""
    away, turn = place.size * rng.uniform(1.3, 3.2), rng.uniform(1.5, 6.0)
    start = rng.uniform(0, 2 * math.pi)
    return light.stream(
        place.x,
        place.y,
        rng,
        radius=away,
        width=max(0.35, away * rng.uniform(0.04, 0.12)),
        start=start,
        turn=turn,
        axis_ratio=rng.uniform(0.4, 1.0),
    )


def _lopsided_outskirt(x: Map, y: Map, place: Place, rng: np.random.Generator) -> Map:
    """A faint plateau that lies to one side of the body, bent, with an edge."""
    towards, away = rng.uniform(0, 2 * math.pi), place.size * rng.uniform(0.4, 1.2)
    u, v = x - np.float32(away * math.cos(towards)), y - np.float32(away * math.sin(towards))
    u, v = light.warped(
        u,
        v,
        amplitude=place.size * rng.uniform(0.1, 0.5),
        wavelength=place.size * rng.uniform(5, 9),
        angle=rng.uniform(0, 2 * math.pi),
        phase=rng.uniform(0, 2 * math.pi),
    )
    u, v = light.turned(u, v, rng.uniform(0, math.pi))
    radius = light.distance(u, v / np.float32(rng.uniform(0.45, 0.9))) / np.float32(place.size)
    reach = rng.uniform(1.8, 3.0)
    return np.exp(-radius / 2) * light.soft_cut(radius, reach, 0.15 * reach)


def _dust_patch(x: Map, y: Map, place: Place, rng: np.random.Generator) -> Map:
    """Where the dust lies: an oblong patch before the body, off its centre; 1 in its middle."""
    towards, away = rng.uniform(0, 2 * math.pi), place.size * rng.uniform(0.1, 0.6)
    u, v = light.turned(
        x - np.float32(away * math.cos(towards)),
        y - np.float32(away * math.sin(towards)),
        towards + math.pi / 2 + rng.normal(0, 0.4),
    )
    long, short = place.size * rng.uniform(0.4, 1.2), max(0.4, place.size * rng.uniform(0.1, 0.25))
    return np.exp(-0.5 * ((u / np.float32(long)) ** 2 + (v / np.float32(short)) ** 2))
