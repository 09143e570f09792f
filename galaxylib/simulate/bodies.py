"""From a kind of body (see `galaxylib.simulate.kinds`) to light in z, r, g and the numbers behind it."""

from __future__ import annotations

import math
from functools import singledispatch

import numpy as np

from galaxylib.simulate import light
from galaxylib.simulate.components import Body, LayerStack, Place
from galaxylib.simulate.distributions import happens
from galaxylib.simulate.kinds import EdgeOn, Kind, Shelled, Spheroid, Spiral, Wreck
from galaxylib.simulate.spirals import knots, spiral


@singledispatch
def paint(kind: Kind, place: Place, rng: np.random.Generator) -> Body:
    """Draw one body of `kind` at `place`.

    Args:
        kind: a kind from `galaxylib.simulate.kinds` (mergers are made of several, see `scene`).
        place: where, how large, what colour.
        rng: the generator of all random numbers.

    Returns:
        the body, of one nanomaggy in r.
    """
    raise TypeError(f"no painter for {type(kind).__name__}")


@paint.register
def _spheroid(kind: Spheroid, place: Place, rng: np.random.Generator) -> Body:
    n, q = kind.index(rng), kind.axis_ratio(rng)
    q = min(q, 2 - q) if q > 1 else q
    angle = rng.uniform(0, math.pi)
    stack = LayerStack(place)
    envelope = rng.uniform(0.05, 0.4) if happens(rng, kind.envelope) else 0.0
    inner = place.size * (1 - 0.3 * envelope)
    stack.add(
        light.sersic(place.x, place.y, n=n, half_light_radius=inner, axis_ratio=q, angle=angle), 1 - envelope
    )
    if envelope:
        wide = place.size * rng.uniform(1.3, 2.2)
        q_wide = float(np.clip(q + rng.uniform(-0.05, 0.12), 0.2, 1))
        stack.add(
            light.sersic(place.x, place.y, n=1, half_light_radius=wide, axis_ratio=q_wide, angle=angle),
            envelope,
            rng.uniform(-0.15, 0.05),
        )
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
    along = along * (1 + np.float32(asymmetry) * np.tanh(along / np.float32(h)))
    thickness, cut, bulge = kind.thickness(rng), rng.uniform(2.6, 4.5), kind.bulge(rng)
    stack = LayerStack(place)
    thin = rng.uniform(0.0, 0.45)
    # Nothing is exactly edge-on: the disc's own inclination opens it by up to a few degrees.
    stack.add(
        light.edge_on_disc(along, height, scale=h, thickness=thickness, cut=cut),
        (1 - bulge) * (1 - thin),
        0.03,
    )
    patches = np.exp(
        np.float32(rng.uniform(0.05, 0.35))
        * np.sin(along * np.float32(rng.uniform(2, 6) / h) + np.float32(rng.uniform(0, 6.3)))
    )
    slim = light.edge_on_disc(
        along, height, scale=h * rng.uniform(1.0, 1.4), thickness=thickness * 0.45, cut=cut
    )
    stack.add(slim * patches, (1 - bulge) * thin, -rng.uniform(0.05, 0.3))
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
        radius = np.hypot(u, v / np.float32(q)) / np.float32(place.size * rng.uniform(0.6, 1.2))
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
    stack.add(light.blobs(*light.plane(), places), rng.uniform(0.02, 0.15), -rng.uniform(0.15, 0.5))
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
    share = sum(layer.share for layer in stack.layers)
    truth = {**core.truth, "shells": shells, "asymmetry": share}
    return Body(core.light * np.float32(1 - share) + stack.combined() * np.float32(share), truth, core.ridge)
