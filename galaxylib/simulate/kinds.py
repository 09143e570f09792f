"""The kinds of body that galaxies are drawn as, each a handful of distributions.

Lengths of bars and bulges are in disc scale lengths h, angles in degrees, fractions of the r-band flux.
"""

# ruff: noqa: RUF009 - the distributions are frozen, so a shared default is safe

from __future__ import annotations

from dataclasses import dataclass

from galaxylib.simulate.distributions import Distribution, LogNormal, Pick, Uniform


@dataclass(frozen=True)
class Spheroid:
    """A smooth body: one Sersic profile, perhaps inside wider ones, perhaps with a nucleus of its own.

    Attributes:
        index: Sersic index.
        axis_ratio: minor over major axis; above 1 it counts back.
        envelope: share of these galaxies inside a fainter and wider body.
        halo: share of these galaxies inside a halo that reaches several half-light radii, as a cluster's
            central galaxy is.
        cusp: share of these galaxies with a nucleus too small to be resolved.
    """

    index: Distribution
    axis_ratio: Distribution
    envelope: float = 0.4
    halo: float = 0.0
    cusp: float = 0.0


@dataclass(frozen=True)
class Lenticular:
    """A disc without arms around a bulge: an S0, or a spiral too smooth for volunteers to see arms.

    Attributes:
        axis_ratio: minor over major axis of the disc; above 1 it counts back.
        bulge: the bulge's share of the flux.
        lens_share: share of these galaxies with a lens, a plateau of light that ends at a break.
        ring_share: share of these galaxies with a faint outer ring.
    """

    axis_ratio: Distribution
    bulge: Distribution = Uniform(0.05, 0.6)
    lens_share: float = 0.4
    ring_share: float = 0.1


@dataclass(frozen=True)
class Spiral:
    """A disc with arms, perhaps a bar, a ring, a bulge, dust and knots of young stars.

    Attributes:
        cos_inclination: cosine of the inclination; 1 is face-on.
        pitch: angle at which the arms leave the circle, in degrees.
        arms: number of arms.
        spacing: arcsec that neighbouring arms keep at 1.5 h, where the galaxy has room for it: arms closer
            than the seeing melt into a smooth disc.
        strength: share of the disc's light that the arms hold.
        sharpness: kappa of the arm profile exp(kappa (cos phi - 1)).
        wander: radians by which arms leave the perfect spiral.
        blur: sigma by which arms are softened, in scale lengths h.
        flocculence: amplitude of the small random arms.
        bulge: the bulge's share of the flux.
        bar_share: share of these galaxies that have a bar.
        bar_flux: the bar's share of the flux.
        bar_half_length: half of the bar's length, in scale lengths h.
        ansae: share of the bars with a brighter spot at each end.
        ring_share: share of these galaxies that have a ring.
        outer_ring_share: share of these galaxies that have a faint ring around the arms.
        lopsided: amplitude of the m = 1 distortion.
        warp_share: share of these galaxies that are bent.
        young: share of the flux in knots.
    """

    cos_inclination: Distribution
    pitch: Distribution
    arms: Distribution
    spacing: float = 0.0
    strength: Distribution = Uniform(0.15, 0.95)
    sharpness: Distribution = Uniform(0.6, 2.4)
    wander: Distribution = Uniform(0.2, 1.0)
    blur: Distribution = Uniform(0.06, 0.24)
    flocculence: Distribution = Uniform(0.05, 0.45)
    bulge: Distribution = Uniform(0.02, 0.35)
    bar_share: float = 0.0
    bar_flux: Distribution = Uniform(0.10, 0.38)
    bar_half_length: Distribution = Uniform(0.5, 1.8)
    ansae: float = 0.2
    ring_share: float = 0.0
    outer_ring_share: float = 0.06
    lopsided: Distribution = Uniform(0.0, 0.15)
    warp_share: float = 0.1
    young: Distribution = LogNormal(0.015, 0.8, 0.002, 0.08)


@dataclass(frozen=True)
class EdgeOn:
    """A disc from its side.

    Attributes:
        thickness: scale height hz over scale length h.
        bulge: the bulge's share of the flux.
        bulge_size: the bulge's half-light radius, in scale lengths h.
        dust_share: share of these galaxies with a dust lane.
        dust: the lane's optical depth in g.
        asymmetry: how much longer one half is than the other.
        thick: the share of the disc's flux in a thicker and fainter disc around it.
        warp_share: share of these galaxies whose ends bend away from the plane.
    """

    thickness: Distribution
    bulge: Distribution
    bulge_size: Distribution = Uniform(0.18, 0.42)
    dust_share: float = 0.6
    dust: Distribution = Uniform(0.2, 1.6)
    asymmetry: Distribution = Uniform(0.02, 0.26)
    thick: Distribution = Uniform(0.0, 0.4)
    warp_share: float = 0.3


@dataclass(frozen=True)
class Wreck:
    """A body bent and thrown off its centre, with blue clumps that hold `clump_flux` of the light."""

    index: Distribution = Uniform(0.6, 2.5)
    axis_ratio: Distribution = Uniform(0.35, 0.9)
    pieces: Distribution = Pick((1, 2, 3), (0.3, 0.45, 0.25))
    clumps: Distribution = Uniform(2, 12)
    clump_flux: Distribution = Uniform(0.02, 0.3)


@dataclass(frozen=True)
class Shelled:
    """A smooth body with what it swallowed: shells, streams, a lopsided outskirt, a patch of dust.

    Attributes:
        index: Sersic index of the body.
        axis_ratio: minor over major axis of the body.
        shells: number of partial shells.
        shell_flux: share of the flux in each shell, at the noise's level where it is small.
        streams: number of thin streams that loop around the body.
        stream_flux: share of the flux in each stream.
        lopsided_share: share of these galaxies with an outskirt thrown to one side.
        dust_share: share of these galaxies with a patch of dust before the body.
    """

    index: Distribution = Uniform(1.2, 4.5)
    axis_ratio: Distribution = Uniform(0.5, 0.95)
    shells: Distribution = Pick((0, 1, 2, 3), (0.2, 0.35, 0.3, 0.15))
    shell_flux: Distribution = LogNormal(0.05, 0.5, 0.015, 0.15)
    streams: Distribution = Pick((0, 1, 2), (0.45, 0.4, 0.15))
    stream_flux: Distribution = LogNormal(0.04, 0.5, 0.015, 0.12)
    lopsided_share: float = 0.6
    dust_share: float = 0.25


@dataclass(frozen=True)
class Merger:
    """Two or three bodies in contact.

    Attributes:
        bodies: how many.
        secondary_flux: share of the bodies' flux that the first lacks.
        first_size: half-light radius of the first body over that of the whole.
        separation: distance between the bodies, in half-light radii of the first.
        colour_scatter: sigma by which the bodies' g - r differ, in magnitudes.
        halo_share: share of these galaxies inside a common halo.
        halo_flux: the halo's share of the flux.
        bridge_share: share of these galaxies with a bridge of light between two bodies.
        debris_share: share of these galaxies with blue clumps strewn around.
    """

    bodies: Distribution = Pick((2, 3), (0.85, 0.15))
    secondary_flux: Distribution = Uniform(0.12, 0.5)
    first_size: Distribution = Uniform(0.5, 0.85)
    separation: Distribution = LogNormal(2.3, 0.35, 0.9, 5.0)
    colour_scatter: float = 0.13
    halo_share: float = 0.6
    halo_flux: Distribution = Uniform(0.08, 0.35)
    bridge_share: float = 0.35
    debris_share: float = 0.3


Kind = Spheroid | Lenticular | Spiral | EdgeOn | Wreck | Shelled | Merger


@dataclass(frozen=True)
class Tails:
    """Tidal tails: on how many galaxies, how many, and with how much of the flux each."""

    share: float = 0.0
    count: Distribution = Pick((1, 2), (0.5, 0.5))
    flux: Distribution = Uniform(0.02, 0.12)
    length: Distribution = Uniform(2.0, 6.0)  # in half-light radii
