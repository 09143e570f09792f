"""FITS cutouts: light in g, r, z as one cube or three files, with the scale and place that the WCS tells."""

import io
import math
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from galaxylib.catalogue.decoding import Picture
from galaxylib.data.images import LARGEST_INPUT
from galaxylib.errors import DataError, GalaxyError

BANDS = ("g", "r", "z")
SHOWN = "zrg"
"""Which band is red, green and blue."""
INSTALL = "Reading FITS needs astropy, which is not installed here: pip install 'galaxylib[catalogue]'."


def cutout(contents: Sequence[bytes], *, name: str) -> Picture:
    """Light in three bands from a FITS file or from three.

    The header of a cube names its planes (`BANDS = 'grz'`, or `BAND0`, `BAND1`, ...), as the Legacy Surveys'
    cutouts do; a cube of three planes without such keywords is taken for g, r, z. Other bands are left out.
    Three files are g, r and z in that order, one plane each, on the same pixels. Missing pixels (NaN) count
    as sky. FITS counts rows from the bottom, so the picture is turned upright.

    Args:
        contents: the bytes of one file, or of three.
        name: of the file or the pattern, for the sentences.

    Raises:
        GalaxyError: astropy is missing, a file is no whole FITS file, holds other planes, other units or no
            number, or the three do not fit together.
    """
    try:
        from astropy.io import fits
    except ModuleNotFoundError as fault:
        raise GalaxyError(INSTALL) from fault
    planes, headers = [], []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is told below
            for content in contents:
                with fits.open(io.BytesIO(content), memmap=False) as file:
                    values, header = _bands(file, name, single=len(contents) > 1)
                    planes.append(values)
                    headers.append(header)
    except GalaxyError:
        raise
    except Exception as fault:  # what a damaged file raises depends on where the damage is
        raise DataError(f"{name} is no whole FITS file ({fault}): copy it again.") from fault
    if len({values.shape for values in planes}) > 1:
        sizes = ", ".join("{1} x {0}".format(*values.shape[1:]) for values in planes)
        raise DataError(f"The files of {name} have {sizes} pixels: give g, r and z on the same pixels.")
    light = np.concatenate(planes)
    if len(contents) > 1:
        light = light[[BANDS.index(band) for band in SHOWN]]
    known = np.isfinite(light)
    if not known.any():
        raise DataError(f"{name} holds no number at all: choose another image.")
    light = np.where(known, light, 0)[:, ::-1]
    return Picture(np.ascontiguousarray(light, np.float32), True, *_place(headers[0], light.shape[1:]))


def _bands(file: Any, name: str, *, single: bool) -> tuple[np.ndarray, Any]:
    """(1, H, W) or, of a cube, (3, H, W) in z, r, g; and the image's header."""
    found = next((part for part in file if part.is_image and part.shape and 0 not in part.shape), None)
    if found is None:
        raise DataError(f"{name} holds no image: give one with light in g, r and z.")
    header = file[0].header.copy()
    header.update(found.header)
    shape = found.shape
    planes = math.prod(shape[:-2])
    if len(shape) < 2 or max(shape[-2:]) > LARGEST_INPUT:
        raise DataError(
            f"{name} holds an array of shape {shape}: give cutouts of at most {LARGEST_INPUT} a side."
        )
    unit = str(header.get("BUNIT", "")).strip()
    if unit and not re.search("nanomagg|nmgy", unit, re.IGNORECASE):
        raise DataError(
            f"{name} is in {unit!r}: give light in nanomaggies (22.5 mag is 1), as the surveys do."
        )
    if single:
        if planes != 1:
            raise DataError(
                f"{name} has three files, and one of them {planes} planes: give one plane in each."
            )
        order = [0]
    else:
        order = _order(planes, header, name)
    return np.asarray(found.data, np.float32).reshape(planes, *shape[-2:])[order], header


def _order(planes: int, header: Any, name: str) -> list[int]:
    """Which planes are z, r and g."""
    if planes == 1:
        raise DataError(
            f"{name} holds one plane, and colours need g, r and z: give a cube of the three, or three "
            "files by a pattern such as 'cutout-{band}.fits'."
        )
    numbered = sorted((key for key in header if re.fullmatch(r"BAND\d+", key)), key=lambda key: int(key[4:]))
    told = re.findall("[a-z]", str(header.get("BANDS", "")).lower())
    bands = told or [str(header[key]).strip().lower() for key in numbered] or list(BANDS)
    if len(bands) != planes or not {*SHOWN} <= {*bands}:
        raise DataError(
            f"{name} holds {planes} planes of the bands {', '.join(bands)}: give g, r and z among others, "
            "named by the header's BANDS."
        )
    return [bands.index(band) for band in SHOWN]


def _place(header: Any, shape: tuple[int, int]) -> tuple[float, float, float]:
    """Arcsec a pixel, and ra and dec of the middle in degrees; NaN where the header does not tell."""
    from astropy.wcs import WCS
    from astropy.wcs.utils import proj_plane_pixel_scales

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wcs = WCS(header, naxis=2)
            if not wcs.has_celestial:
                return math.nan, math.nan, math.nan
            scale = float(np.sqrt(np.prod(proj_plane_pixel_scales(wcs))) * 3600)
            ra, dec = wcs.celestial.wcs_pix2world([[(shape[1] - 1) / 2, (shape[0] - 1) / 2]], 0)[0]
    except Exception:  # a WCS that astropy cannot follow tells nothing
        return math.nan, math.nan, math.nan
    return scale, float(ra), float(dec)
