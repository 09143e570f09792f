"""Pictures from files: PNG, JPEG, TIFF of any mode and depth, and FITS, to (3, H, W) in [0, 1]."""

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from galaxylib.dream.images import LARGEST_INPUT
from galaxylib.errors import DreamError

FITS = {".fits", ".fit", ".fts"}
SOFTENING = 10.0
"""Of the asinh stretch that FITS images get, in units of the sky's scatter."""


def read_image(path: str | Path) -> Tensor:
    """An image file as (3, H, W) float32 in [0, 1].

    Grey images are repeated in three channels; transparency is laid over black; 16 bits and floats keep their
    depth; a palette is looked up; a camera's rotation tag is followed. A FITS image may have one plane or
    three (red, green, blue); it is linear, so it gets an asinh stretch from its sky to its brightest pixel.

    Raises:
        DreamError: the file is missing, no image, cut short, empty, or absurdly large.
    """
    path = Path(path)
    if not path.is_file():
        raise DreamError(f"There is no image {path}: give the path of a PNG, JPEG or FITS file.")
    if path.suffix.lower() in FITS or path.name.lower().endswith(".fits.gz"):
        planes = _read_fits(path)
    else:
        planes = _read_picture(path)
    return torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float32))


def _read_picture(path: Path) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                if max(file.size) > LARGEST_INPUT:
                    raise DreamError(
                        f"{path} has {file.size[0]} x {file.size[1]} pixels: cut or shrink it to at most "
                        f"{LARGEST_INPUT} a side."
                    )
                orientation = file.getexif().get(0x0112, 1)
                file.load()
                image = file.copy()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as fault:
        raise DreamError(f"{path} has too many pixels: cut or shrink it.") from fault
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as fault:
        raise DreamError(f"{path} is no whole image ({fault}): give a PNG, JPEG or FITS file.") from fault
    return _oriented(_planes(image, path), orientation)


def _planes(image: Image.Image, path: Path) -> np.ndarray:
    """(3, H, W) in [0, 1] of any of Pillow's modes."""
    if image.mode.startswith("I;16"):
        return np.repeat((np.asarray(image).astype(np.float32) / 65535)[None], 3, axis=0)
    if image.mode in ("I", "F"):
        values = np.asarray(image).astype(np.float64)
        if not np.isfinite(values).all():
            raise DreamError(f"{path} has values that are not numbers: fill them first.")
        # 32 bits say nothing of their range: 16-bit files are often read so.
        top = (
            65535 if image.mode == "I" and 255 < values.max() <= 65535 and values.min() >= 0 else values.max()
        )
        low = min(float(values.min()), 0.0)
        return np.repeat(((values - low) / max(float(top) - low, 1e-30))[None], 3, axis=0)
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1).astype(np.float32) / 255


def _oriented(planes: np.ndarray, orientation: int) -> np.ndarray:
    """Turned as the camera's tag says (EXIF 0x0112)."""
    if orientation in (5, 6, 7, 8):
        planes = planes.transpose(0, 2, 1)
    if orientation in (2, 3, 6, 7):
        planes = planes[:, :, ::-1]
    if orientation in (3, 4, 7, 8):
        planes = planes[:, ::-1]
    return planes


def _read_fits(path: Path) -> np.ndarray:
    try:
        from astropy.io import fits
    except ModuleNotFoundError as fault:
        raise DreamError("Reading FITS needs astropy: run `pip install astropy`, or give a PNG.") from fault
    try:
        with fits.open(path, memmap=False) as file:
            values = next((hdu.data for hdu in file if hdu.is_image and hdu.data is not None), None)
    except (OSError, ValueError, TypeError) as fault:
        raise DreamError(f"{path} is no whole FITS file ({fault}): copy it again.") from fault
    if values is None:
        raise DreamError(f"{path} holds no image: give a FITS file with one, or a PNG.")
    values = np.squeeze(np.asarray(values, dtype=np.float64))
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or len(values) not in (1, 3) or max(values.shape[1:]) > LARGEST_INPUT:
        raise DreamError(
            f"{path} holds an array of shape {values.shape}: give one plane or three (red, green, blue), "
            f"at most {LARGEST_INPUT} pixels a side."
        )
    known = np.isfinite(values)
    if not known.any():
        raise DreamError(f"{path} holds no number at all: choose another image.")
    values = np.where(known, values, np.median(values[known]))
    # FITS counts rows from the bottom.
    return np.repeat(_stretch(values)[:, ::-1], 3 // len(values), axis=0)


def _stretch(values: np.ndarray) -> np.ndarray:
    """Linear light to [0, 1]: the sky near 0.1, its scatter visible, the brightest pixel at 1."""
    sky = np.median(values)
    scatter = 1.4826 * np.median(np.abs(values - sky)) or float(values.std()) or 1.0
    low = np.arcsinh((np.percentile(values, 1) - sky) / (SOFTENING * scatter))
    stretched = np.arcsinh((values - sky) / (SOFTENING * scatter))
    top = max(float(stretched.max()), low + 1e-6)
    return ((stretched - low) / (top - low)).clip(0, 1)
