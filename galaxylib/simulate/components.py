"""A body as a stack of layers: maps of light, each with its share of flux and its colour, behind dust.

The layers are summed in z, r and g and scaled to one nanomaggy in r and to the colour asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from galaxylib.simulate import light
from galaxylib.simulate.light import GRID, Map

ZERO_POINT = 22.5  # magnitude of one nanomaggy
BAND_AXIS = (slice(None), None, None)  # spreads a number for each band over rows and columns
# Extinction in z, r, g over that in g: 1.21, 2.17 and 3.21 x E(B-V) (Schlafly & Finkbeiner 2011, DECam).
EXTINCTION = np.array([0.38, 0.68, 1.0], np.float32)


@dataclass(frozen=True)
class Layer:
    """A map of light that sums to one, its share of the r-band flux, its g - r relative to the galaxy's."""

    light: Map
    share: float
    redder: float = 0.0


@dataclass(frozen=True)
class Body:
    """A painted galaxy of one nanomaggy in r.

    Attributes:
        light: (3, GRID, GRID) float32 in z, r, g.
        truth: the numbers it was made with.
        ridge: direction (radians) along which it extends.
    """

    light: np.ndarray
    truth: dict[str, float]
    ridge: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where, how large, what colour: centre (arcsec from the image's), half-light radius (arcsec), colours.

    `colour` is g - r; `redder_z` what r - z exceeds the value that goes with it, in magnitudes.
    """

    x: float
    y: float
    size: float
    colour: float
    redder_z: float = 0.0


@dataclass
class LayerStack:
    """Layers being gathered, with the optical depth of dust in g before them."""

    place: Place
    layers: list[Layer] = field(default_factory=list)
    dust: Map | None = None

    def add(self, map_: Map, share: float, redder: float = 0.0) -> None:
        """Put one more layer on; a share of zero or less is left out."""
        if share > 0:
            self.layers.append(Layer(light.unit(map_), share, redder))

    def combined(self) -> np.ndarray:
        """The stack in z, r, g (3, GRID, GRID): one nanomaggy in r, of the place's colour."""
        total = np.zeros((3, GRID, GRID), np.float32)
        for layer in self.layers:
            for band, flux in enumerate(band_fluxes(layer.share, self.place.colour + layer.redder)):
                total[band] += layer.light * np.float32(flux)
        if self.dust is not None:
            total *= np.exp(-EXTINCTION[:, None, None] * self.dust)
        wanted = np.array(band_fluxes(1.0, self.place.colour, self.place.redder_z), np.float32)
        sums = np.maximum(total.sum(axis=(1, 2)), 1e-12)
        return total * (wanted / sums)[:, None, None]


def band_fluxes(flux_r: float, colour: float, redder_z: float = 0.0) -> tuple[float, float, float]:
    """Fluxes in z, r, g of a galaxy with `flux_r` and g - r = `colour`; its r - z follows from the colour."""
    r_z = 0.12 + 0.52 * colour + redder_z
    return flux_r * 10 ** (0.4 * r_z), flux_r, flux_r * 10 ** (-0.4 * colour)
