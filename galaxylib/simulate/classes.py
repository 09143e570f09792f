"""The ten classes of Galaxy10 DECaLS as data: how bright, how large, what colour, and what shapes.

The ranges of neighbouring classes overlap on purpose, as the votes of volunteers do (Walmsley et al. 2022):
a round body of axis ratio 0.75 may carry the name of either smooth class. Sizes are half-light radii in
arcsec; the other units are those of `galaxylib.simulate.kinds`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.simulate.distributions import LogNormal, Normal, Pick, Uniform
from galaxylib.simulate.kinds import EdgeOn, Kind, Lenticular, Merger, Shelled, Spheroid, Spiral, Tails, Wreck


@dataclass(frozen=True)
class ClassRecipe:
    """One class.

    Attributes:
        name: the class's name in Galaxy10.
        magnitude: total magnitude in r.
        size: half-light radius at the mean magnitude, arcsec; brighter is larger, by 0.12 dex a magnitude.
        size_scatter: scatter of the logarithm of the size, natural.
        colour: g - r of the whole galaxy, in magnitudes.
        kinds: (share of the galaxies, kind of body) pairs.
        tails: how many galaxies have tidal tails, and which.
        smallest: half-light radius that no galaxy of the class falls below, arcsec.
    """

    name: str
    magnitude: Normal
    size: float
    size_scatter: float
    colour: Normal
    kinds: tuple[tuple[float, Kind], ...]
    tails: Tails = Tails()  # noqa: RUF009 - frozen
    smallest: float = 0.9


def _magnitude(mean: float, sigma: float) -> Normal:
    return Normal(mean, sigma, 14.2, 18.2)


def _colour(mean: float, sigma: float) -> Normal:
    return Normal(mean, sigma, 0.1, 1.35)


# Arms too weak or too blurred to be seen: volunteers call it smooth.
_FAINT_ARMS = Spiral(
    cos_inclination=Uniform(0.75, 1.0),
    pitch=Normal(16, 6, 6, 40),
    arms=Pick((2, 3, 4), (0.5, 0.25, 0.25)),
    strength=Uniform(0.02, 0.15),
    sharpness=Uniform(0.4, 1.0),
    flocculence=Uniform(0.0, 0.08),
    bulge=Uniform(0.05, 0.5),
    outer_ring_share=0.0,
)

# Nearly edge-on, so that arms still show: volunteers call it edge-on.
_INCLINED = Spiral(
    cos_inclination=Uniform(0.10, 0.28),
    pitch=Normal(18, 7, 6, 40),
    arms=Pick((2, 3, 4), (0.6, 0.2, 0.2)),
    warp_share=0.3,
)

_BARRED = Spiral(
    cos_inclination=Normal(0.78, 0.17, 0.42, 1.0),
    pitch=Normal(19, 7, 6, 45),
    arms=Pick((2, 3, 4), (0.86, 0.07, 0.07)),
    strength=Uniform(0.1, 0.9),
    bulge=Uniform(0.04, 0.3),
    bar_share=1.0,
    ring_share=0.35,
    outer_ring_share=0.12,
)

# A strong bar in a lens or a ring, with next to no arms, as in an SB0.
_BARRED_LENTICULAR = replace(
    _BARRED,
    strength=Uniform(0.0, 0.2),
    blur=Uniform(0.1, 0.3),
    flocculence=Uniform(0.0, 0.15),
    bar_flux=Uniform(0.14, 0.38),
    bar_half_length=Uniform(0.7, 1.6),
    ring_share=0.5,
    outer_ring_share=0.25,
    young=LogNormal(0.005, 0.8, 0.001, 0.03),
)

_TIGHT = Spiral(
    cos_inclination=Normal(0.78, 0.17, 0.42, 1.0),
    pitch=Normal(12.5, 4, 6, 24),
    arms=Pick((2, 3, 4, 5), (0.52, 0.2, 0.18, 0.1)),
    spacing=2.4,
    strength=Uniform(0.4, 1.0),
    sharpness=Uniform(0.8, 2.6),
    blur=Uniform(0.04, 0.14),
    young=LogNormal(0.008, 0.8, 0.001, 0.05),
    bulge=Uniform(0.08, 0.5),
    bar_share=0.25,
    bar_flux=Uniform(0.02, 0.1),
    bar_half_length=Uniform(0.4, 1.0),
    ring_share=0.3,
    outer_ring_share=0.1,
)

_LOOSE = Spiral(
    cos_inclination=Normal(0.78, 0.2, 0.38, 1.0),
    pitch=Normal(26, 8, 12, 50),
    arms=Pick((1, 2, 3, 4), (0.08, 0.62, 0.16, 0.14)),
    spacing=2.4,
    strength=Uniform(0.35, 1.0),
    wander=Uniform(0.2, 1.0),
    bulge=Uniform(0.01, 0.3),
    bar_share=0.2,
    bar_flux=Uniform(0.02, 0.12),
    bar_half_length=Uniform(0.4, 1.1),
    lopsided=Uniform(0.0, 0.5),
    warp_share=0.5,
    young=LogNormal(0.025, 0.7, 0.003, 0.1),
)

_DISTURBED_DISC = Spiral(
    cos_inclination=Uniform(0.3, 1.0),
    pitch=Normal(30, 10, 12, 60),
    arms=Pick((1, 2, 3), (0.5, 0.4, 0.1)),
    strength=Uniform(0.2, 0.9),
    wander=Uniform(0.4, 1.6),
    bulge=Uniform(0.02, 0.45),
    lopsided=Uniform(0.3, 0.85),
    warp_share=0.8,
    young=LogNormal(0.04, 0.7, 0.005, 0.2),
)

# One dominant galaxy with a small one inside its light.
_UNEQUAL = Merger(
    bodies=Pick((2, 3), (0.9, 0.1)),
    secondary_flux=Uniform(0.06, 0.22),
    first_size=Uniform(0.65, 1.0),
    separation=LogNormal(1.5, 0.35, 0.7, 3.0),
)

# Two nuclei in one body: the halo holds most of the light.
_DOUBLE_NUCLEUS = Merger(
    bodies=Pick((2,), (1.0,)),
    secondary_flux=Uniform(0.2, 0.5),
    first_size=Uniform(0.2, 0.4),
    separation=LogNormal(1.7, 0.3, 1.0, 3.0),
    halo_share=1.0,
    halo_flux=Uniform(0.4, 0.7),
)

# A pair of two large galaxies, often cut by the frame, that have only begun to meet.
_EARLY = Merger(
    bodies=Pick((2,), (1.0,)),
    secondary_flux=Uniform(0.25, 0.5),
    first_size=Uniform(0.6, 1.0),
    separation=LogNormal(3.2, 0.3, 2.0, 6.0),
    halo_share=0.4,
    bridge_share=0.6,
)

CLASS_RECIPES: tuple[ClassRecipe, ...] = (
    ClassRecipe(
        name="Disturbed",
        magnitude=_magnitude(16.70, 0.55),
        size=4.2,
        size_scatter=0.36,
        colour=_colour(0.60, 0.22),
        kinds=((0.34, _DISTURBED_DISC), (0.31, Wreck()), (0.35, Shelled())),
        tails=Tails(share=0.45, flux=LogNormal(0.05, 0.5, 0.015, 0.13)),
    ),
    ClassRecipe(
        name="Merging",
        magnitude=_magnitude(16.20, 0.75),
        size=6.3,
        size_scatter=0.38,
        colour=_colour(0.84, 0.18),
        kinds=((0.44, Merger()), (0.24, _UNEQUAL), (0.12, _DOUBLE_NUCLEUS), (0.20, _EARLY)),
        tails=Tails(
            share=0.5, count=Pick((1, 2, 3), (0.4, 0.4, 0.2)), flux=LogNormal(0.05, 0.6, 0.015, 0.16)
        ),
    ),
    ClassRecipe(
        name="Round Smooth",
        magnitude=_magnitude(16.85, 0.6),
        size=2.9,
        size_scatter=0.42,
        colour=_colour(0.86, 0.22),
        kinds=(
            (
                0.68,
                Spheroid(
                    index=Uniform(0.9, 4.6), axis_ratio=Normal(1.0, 0.11, 0.66, 1.0), halo=0.25, cusp=0.1
                ),
            ),
            (0.26, Lenticular(axis_ratio=Normal(1.0, 0.1, 0.7, 1.0))),
            (0.06, _FAINT_ARMS),
        ),
    ),
    ClassRecipe(
        name="In-between Round Smooth",
        magnitude=_magnitude(16.85, 0.5),
        size=2.8,
        size_scatter=0.42,
        colour=_colour(0.84, 0.20),
        kinds=(
            (
                0.72,
                Spheroid(
                    index=Uniform(0.8, 4.0), axis_ratio=Normal(0.655, 0.09, 0.40, 0.86), halo=0.2, cusp=0.1
                ),
            ),
            (0.28, Lenticular(axis_ratio=Normal(0.62, 0.09, 0.40, 0.84))),
        ),
    ),
    ClassRecipe(
        name="Cigar Shaped Smooth",
        magnitude=_magnitude(17.00, 0.5),
        size=3.05,
        size_scatter=0.38,
        colour=_colour(0.76, 0.20),
        kinds=(
            (
                0.66,
                Spheroid(index=Uniform(0.7, 2.6), axis_ratio=Normal(0.36, 0.07, 0.20, 0.52), envelope=0.4),
            ),
            (0.14, Lenticular(axis_ratio=Normal(0.36, 0.06, 0.24, 0.5), bulge=Uniform(0.05, 0.3))),
            (
                0.20,
                EdgeOn(
                    thickness=Uniform(0.22, 0.38),
                    bulge=Uniform(0.0, 0.25),
                    dust_share=0.1,
                    dust=Uniform(0.1, 0.4),
                    asymmetry=Uniform(0.0, 0.08),
                    warp_share=0.0,
                ),
            ),
        ),
    ),
    ClassRecipe(
        name="Barred Spiral",
        magnitude=_magnitude(15.95, 0.75),
        size=7.5,
        size_scatter=0.36,
        colour=_colour(0.81, 0.155),
        kinds=((0.78, _BARRED), (0.22, _BARRED_LENTICULAR)),
    ),
    ClassRecipe(
        name="Unbarred Tight Spiral",
        magnitude=_magnitude(16.10, 0.7),
        size=7.0,
        size_scatter=0.28,
        colour=_colour(0.77, 0.155),
        kinds=((1.0, _TIGHT),),
        smallest=4.0,
    ),
    ClassRecipe(
        name="Unbarred Loose Spiral",
        magnitude=_magnitude(16.10, 0.7),
        size=7.1,
        size_scatter=0.32,
        colour=_colour(0.65, 0.17),
        kinds=((1.0, _LOOSE),),
        smallest=3.5,
    ),
    ClassRecipe(
        name="Edge-on without Bulge",
        magnitude=_magnitude(15.90, 0.75),
        size=8.2,
        size_scatter=0.42,
        colour=_colour(0.70, 0.18),
        kinds=(
            (0.86, EdgeOn(thickness=Uniform(0.12, 0.34), bulge=Uniform(0.0, 0.10))),
            (0.14, replace(_INCLINED, bulge=Uniform(0.01, 0.10))),
        ),
    ),
    ClassRecipe(
        name="Edge-on with Bulge",
        magnitude=_magnitude(16.50, 0.6),
        size=5.6,
        size_scatter=0.4,
        colour=_colour(0.86, 0.16),
        kinds=(
            (0.12, replace(_INCLINED, bulge=Uniform(0.15, 0.5))),
            (
                0.88,
                EdgeOn(
                    thickness=Uniform(0.11, 0.32),
                    bulge=Normal(0.3, 0.1, 0.1, 0.6),
                    bulge_size=Uniform(0.22, 0.55),
                    dust_share=0.45,
                ),
            ),
        ),
    ),
)

if tuple(recipe.name for recipe in CLASS_RECIPES) != CLASS_NAMES:  # a wrong order would mislabel every image
    raise RuntimeError("The recipes are not in the order of Galaxy10's classes.")
