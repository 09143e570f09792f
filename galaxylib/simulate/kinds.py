"""The kinds of body that galaxies are drawn as, each a handful of distributions.

Lengths of bars and bulges are in disc scale lengths h, angles in degrees, fractions of the r-band flux.
"""

# ruff: noqa: RUF009 - the distributions are frozen, so a shared default is safe

from __future__ import annotations

from dataclasses import dataclass

from galaxylib.simulate.distributions import Distribution, LogNormal, Pick, Uniform


@dataclass(frozen=True)
class Spheroid:
    """A smooth body: one Sersic profile, in `envelope` of the cases inside a fainter, wider one."""

    index: Distribution
    axis_ratio: Distribution
    envelope: float = 0.4


@dataclass(frozen=True)
class Spiral:
    """A disc with arms, perhaps a bar, a ring, a bulge, dust and knots of young stars.

    Attributes:
        cos_inclination: cosine of the inclination; 1 is face-on.
        pitch: angle at which the arms leave the circle, in degrees.
        arms: number of arms.
        strength: share of the disc's light that the arms hold.
        sharpness: kappa of the arm profile exp(kappa (cos phi - 1)).
        wander: radians by which arms leave the perfect spiral.
        blur: sigma by which arms are softened, in scale lengths h.
        flocculence: amplitude of the small random arms.
        bulge: the bulge's share of the flux.
        bar_share: share of these galaxies that have a bar.
        bar_flux: the bar's share of the flux.
        bar_half_length: half of the bar's length, in scale lengths h.
        ring_share: share of these galaxies that have a ring.
        lopsided: amplitude of the m = 1 distortion.
        warp_share: share of these galaxies that are bent.
        young: share of the flux in knots.
    """

    cos_inclination: Distribution
    pitch: Distribution
    arms: Distribution
    strength: Distribution = Uniform(0.15, 0.95)
    sharpness: Distribution = Uniform(0.6, 2.4)
    wander: Distribution = Uniform(0.2, 1.0)
    blur: Distribution = Uniform(0.04, 0.18)
    flocculence: Distribution = Uniform(0.05, 0.45)
    bulge: Distribution = Uniform(0.02, 0.35)
    bar_share: float = 0.0
    bar_flux: Distribution = Uniform(0.10, 0.38)
    bar_half_length: Distribution = Uniform(0.6, 1.8)
    ring_share: float = 0.0
    lopsided: Distribution = Uniform(0.0, 0.15)
    warp_share: float = 0.1
    young: Distribution = LogNormal(0.015, 0.8, 0.002, 0.08)


@dataclass(frozen=True)
class EdgeOn:
    """A disc from its side; `thickness` is hz over h, `dust` the optical depth of the lane in g."""

    thickness: Distribution
    bulge: Distribution
    bulge_size: Distribution = Uniform(0.18, 0.42)
    dust_share: float = 0.6
    dust: Distribution = Uniform(0.2, 1.6)
    asymmetry: Distribution = Uniform(0.02, 0.2)


@dataclass(frozen=True)
class Wreck:
    """A body bent and thrown off its centre, with blue clumps."""

    index: Distribution = Uniform(0.6, 2.5)
    axis_ratio: Distribution = Uniform(0.35, 0.9)
    pieces: Distribution = Pick((1, 2, 3), (0.3, 0.45, 0.25))
    clumps: Distribution = Uniform(2, 9)


@dataclass(frozen=True)
class Shelled:
    """An early type with partial shells."""

    index: Distribution = Uniform(2.0, 4.5)
    axis_ratio: Distribution = Uniform(0.55, 0.95)
    shells: Distribution = Pick((1, 2, 3), (0.45, 0.35, 0.2))
    shell_flux: Distribution = Uniform(0.03, 0.12)


@dataclass(frozen=True)
class Merger:
    """Two or three bodies in contact."""

    bodies: Distribution = Pick((2, 3), (0.85, 0.15))
    secondary_flux: Distribution = Uniform(0.12, 0.5)
    separation: Distribution = LogNormal(2.3, 0.35, 0.9, 5.0)
    halo_share: float = 0.6


Kind = Spheroid | Spiral | EdgeOn | Wreck | Shelled | Merger


@dataclass(frozen=True)
class Tails:
    """Tidal tails: on how many galaxies, how many, and with how much of the flux each."""

    share: float = 0.0
    count: Distribution = Pick((1, 2), (0.5, 0.5))
    flux: Distribution = Uniform(0.02, 0.12)
    length: Distribution = Uniform(2.0, 6.0)  # in half-light radii
