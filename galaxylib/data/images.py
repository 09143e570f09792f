"""Pictures from files: PNG, JPEG, TIFF and what else Pillow reads, and FITS, to (3, H, W) in [0, 1]."""

import gzip
import re
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from galaxylib.errors import DreamError

LARGEST_INPUT = 16384
"""Longest side of an image that is read, pixels."""
FITS = {".fits", ".fit", ".fts", ".fz"}
SIMPLE, GZIP = b"SIMPLE", b"\x1f\x8b"
"""How a FITS file and a compressed one begin."""
BANDS = "ubgvrizyjhk"
"""Filters from short wavelengths to long ones."""
BRIGHTEST = 1e30
"""Of any FITS pixel: larger values are a mark for missing ones."""
SOFTENING = 10.0
"""Of the asinh stretch that FITS images get, in units of the sky's scatter."""


def read_image(path: str | Path) -> Tensor:
    """An image file as (3, H, W) float32 in [0, 1].

    Grey images are repeated in three channels; transparency is laid over black; a palette is looked up; a
    camera's rotation tag is followed. Pixels of 16 or 32 bits are measurements that seldom fill their range:
    they keep their depth and are divided by the brightest one, all channels by the same.

    A FITS file, compressed (`.fits.gz`, `.fits.fz`) or not, gives its first image: one plane, or several with
    their order in the header as `BANDS` (`'grz'`) or `BAND0`, `BAND1`, ... In cubes with g, r and z, z is
    red, r green and g blue, as in Galaxy10's images, and other bands are left out, such as i in the griz
    cubes of the Legacy Surveys' DR10; of any other three bands the longest wavelength is red. Three planes
    without such keywords are taken for red, green and blue. Values are linear in light, so they get an asinh
    stretch from the sky to the brightest pixel; missing ones (NaN) get the median.

    Raises:
        DreamError: the file is missing, no image, cut short, empty, absurdly large, or of unknown bands.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise DreamError(f"There is no image {path}: give the path of a PNG, JPEG or FITS file.")
        with path.open("rb") as stream:
            return decode_image(stream, name=str(path))
    except (OSError, ValueError) as fault:
        why = getattr(fault, "strerror", None) or fault
        raise DreamError(f"{path} cannot be read ({why}): give the path of an image.") from fault


def decode_image(stream: BinaryIO, *, name: str) -> Tensor:
    """The same from an open file, or from bytes in memory.

    Args:
        stream: at its beginning; it can be read again.
        name: of the file, for its ending and for the sentences.

    Raises:
        DreamError: as `read_image`.
    """
    mark = stream.read(len(SIMPLE))
    stream.seek(0)
    if not mark:
        raise DreamError(f"{name} is no whole image (it is empty): copy it again.")
    if mark.startswith((SIMPLE, GZIP)) or Path(name).suffix.lower() in FITS:
        planes = _read_fits(gzip.GzipFile(fileobj=stream) if mark.startswith(GZIP) else stream, name)
    else:
        planes = _read_picture(stream, name)
    planes = np.repeat(planes, 3 // len(planes), axis=0)
    return torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float32))


def _read_picture(stream: BinaryIO, name: str) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is told below
            with Image.open(stream) as file:
                _check_size(file.size[1], file.size[0], name)
                deep = ";16" in str(file.tile) and len(file.getbands()) > 1  # known until pixels are read
                orientation = file.getexif().get(0x0112, 1)
                planes = _deep_colour(file, stream, name) if deep else _planes(file, name)
                return _oriented(planes, orientation)
    except UnidentifiedImageError as fault:
        raise DreamError(f"{name} is no whole image: give a PNG, JPEG or FITS file.") from fault
    except Image.DecompressionBombError as fault:
        raise DreamError(f"{name} has too many pixels: cut or shrink it.") from fault
    except DreamError:
        raise
    except Exception as fault:  # each of Pillow's formats has its own for a damaged file
        raise DreamError(f"{name} is no whole image ({fault}): give a PNG, JPEG or FITS file.") from fault


def _check_size(height: int, width: int, name: str) -> None:
    if max(height, width) > LARGEST_INPUT:
        raise DreamError(
            f"{name} has {width} x {height} pixels: cut or shrink it to at most {LARGEST_INPUT} a side."
        )
    if height * width > (Image.MAX_IMAGE_PIXELS or np.inf):
        raise DreamError(f"{name} has too many pixels: cut or shrink it.")


def _planes(image: Image.Image, name: str) -> np.ndarray:
    """(1 or 3, H, W) in [0, 1] of any of Pillow's modes."""
    if image.mode.startswith("I") or image.mode == "F":
        return _by_own_range(np.asarray(image)[None], name)
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1).astype(np.float32) / 255


def _deep_colour(image: Image.Image, stream: BinaryIO, name: str) -> np.ndarray:
    """Several channels of 16 bits, of which Pillow would keep 8."""
    from torchvision.io import decode_png

    if image.format != "PNG":
        raise DreamError(
            f"{name} has colours of 16 bits, which are read from PNG and FITS only: save it as one of them."
        )
    stream.seek(0)
    with Image.open(stream) as whole:
        whole.verify()  # or libpng prints what is damaged
    stream.seek(0)
    values = decode_png(torch.frombuffer(bytearray(stream.read()), dtype=torch.uint8)).numpy()
    values = values.astype(np.float64)
    if len(values) in (2, 4):
        values = values[:-1] * values[-1:] / 65535
    return _by_own_range(values, name)


def _by_own_range(values: np.ndarray, name: str) -> np.ndarray:
    """From black, or the lowest value where it is negative, to the highest."""
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise DreamError(f"{name} has values that are not numbers: fill them first.")
    low = min(values.min(), 0.0)
    return (values - low) / max(values.max() - low, 1e-30)


def _oriented(planes: np.ndarray, orientation: int) -> np.ndarray:
    """Turned as the camera's tag says (EXIF 0x0112)."""
    if orientation in (5, 6, 7, 8):
        planes = planes.transpose(0, 2, 1)
    if orientation in (2, 3, 6, 7):
        planes = planes[:, :, ::-1]
    if orientation in (3, 4, 7, 8):
        planes = planes[:, ::-1]
    return planes


def _read_fits(stream: BinaryIO, name: str) -> np.ndarray:
    try:
        from astropy.io import fits
    except ModuleNotFoundError as fault:
        raise DreamError("Reading FITS needs astropy: run `pip install astropy`, or give a PNG.") from fault
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is told below
            with fits.open(stream, memmap=False) as file:
                values = _image(file, name)
    except DreamError:
        raise
    except Exception as fault:  # what a damaged file raises depends on where the damage is
        raise DreamError(f"{name} is no whole FITS file ({fault}): copy it again.") from fault
    known = np.isfinite(values)
    if not known.any():
        raise DreamError(f"{name} holds no number at all: choose another image.")
    low, high = values[known].min(), values[known].max()
    if low == high:
        raise DreamError(f"{name} holds the value {low:g} in every pixel: choose another image.")
    if max(-low, high) > BRIGHTEST:
        raise DreamError(
            f"{name} holds values from {low:g} to {high:g}: replace those that are no light by NaN."
        )
    values = np.where(known, values, np.median(values[known]))
    # FITS counts rows from the bottom.
    return _stretch(values)[:, ::-1]


def _image(file: Any, name: str) -> np.ndarray:
    """The first image of a FITS file, (1 or 3, H, W), not stretched; compressed ones look like any other."""
    found = next((part for part in file if part.is_image and part.shape and 0 not in part.shape), None)
    if found is None:
        raise DreamError(f"{name} holds no image: give a FITS file with one, or a PNG.")
    planes = int(np.prod(found.shape[:-2]))
    if len(found.shape) < 2 or planes != max(found.shape[:-2], default=1):
        raise DreamError(f"{name} holds an array of shape {found.shape}: give one plane or three.")
    _check_size(*found.shape[-2:], name)
    bands = {
        key: part.header[key]
        for part in (file[0], found)
        for key in part.header
        if re.fullmatch(r"BAND(S|\d+)", key)
    }
    order = _order(planes, bands, name)
    return np.asarray(found.data.reshape(planes, *found.shape[-2:])[order], dtype=np.float64)


def _order(planes: int, keywords: dict[str, Any], name: str) -> list[int]:
    """Which planes are red, green and blue, or the only one."""
    if planes == 1:
        return [0]
    together = str(keywords.pop("BANDS", ""))
    bands = re.findall("[a-z]", together.lower()) or [
        str(keywords[key]).strip().lower() for key in sorted(keywords, key=lambda key: int(key[4:]))
    ]
    if not bands and planes == 3:
        return [0, 1, 2]
    if not bands:
        raise DreamError(
            f"{name} holds {planes} planes and its header does not name their bands: give one plane or three "
            "(red, green, blue), or write the filters' letters into its keyword BANDS."
        )
    if len(bands) == len(set(bands)) == planes:
        if {"g", "r", "z"} <= set(bands):
            return [bands.index(band) for band in "zrg"]
        if planes == 3 and set(bands) <= set(BANDS):
            return sorted(range(3), key=lambda plane: -BANDS.index(bands[plane]))
    raise DreamError(
        f"{name} holds {planes} planes of the bands {', '.join(bands)}: give g, r and z among others, or "
        f"three different ones of {', '.join(BANDS)}."
    )


def _stretch(values: np.ndarray) -> np.ndarray:
    """Linear light to [0, 1]: the sky near 0.1, its scatter visible, the brightest pixel at 1."""
    sky = np.median(values)
    scatter = 1.4826 * np.median(np.abs(values - sky)) or float(values.std()) or 1.0
    low = np.arcsinh((np.percentile(values, 1) - sky) / (SOFTENING * scatter))
    stretched = np.arcsinh((values - sky) / (SOFTENING * scatter))
    top = max(float(stretched.max()), low + 1e-6)
    return ((stretched - low) / (top - low)).clip(0, 1)
