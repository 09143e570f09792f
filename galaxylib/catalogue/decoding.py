"""From the bytes of a file, whatever its kind, to a picture: colours, or light in three bands."""

import gzip
import io
import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from galaxylib.data.images import FITS, GZIP, LARGEST_INPUT, SIMPLE, decode_image
from galaxylib.errors import DataError

MOST = 1 << 30
"""Bytes that a gzip'd file may unpack to."""
PLAIN = {"JPEG", "PNG", "WEBP"}
"""Formats whose 8-bit colours are taken as Pillow gives them."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An image as it came.

    Attributes:
        planes: (H, W, 3) uint8 colours; of light, (3, H, W) float32 nanomaggies a pixel in z, r, g.
        is_flux: whether it is light.
        pixscale: arcsec a pixel; NaN where it does not tell.
        ra, dec: of its middle, degrees; NaN where it does not tell.
    """

    planes: np.ndarray
    is_flux: bool = False
    pixscale: float = math.nan
    ra: float = math.nan
    dec: float = math.nan


def decoded(content: bytes, *, name: str) -> Picture:
    """A picture from the bytes of a JPEG, PNG, TIFF, WebP or FITS file, gzip'd or not.

    Grey images are repeated in three channels; transparency is laid over black; a palette is looked up, CMYK
    becomes RGB, and a camera's rotation tag is followed. Pixels of 16 or 32 bits seldom fill their range:
    they are divided by the brightest one, all channels by the same. FITS: see `fits_cutouts.cutout`.

    Args:
        content: of the file.
        name: of the file, for its ending and for the sentences.

    Raises:
        GalaxyError: the bytes are no image, or not whole.
    """
    content, name = unpacked(content, name)
    if content.startswith(SIMPLE) or any(name.lower().endswith(ending) for ending in FITS):
        from galaxylib.catalogue.fits_cutouts import cutout

        return cutout([content], name=name)
    plain = _plain(content)
    if plain is None:
        unit = decode_image(io.BytesIO(content), name=name)
        plain = np.ascontiguousarray((unit * 255).round().byte().permute(1, 2, 0).numpy())
    return Picture(plain)


def unpacked(content: bytes, name: str) -> tuple[bytes, str]:
    """What a gzip'd file holds, and its name without the ending; anything else as it is.

    Raises:
        DataError: it is damaged or unpacks to too much.
    """
    if not content.startswith(GZIP):
        return content, name
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            inner = stream.read(MOST + 1)
    except (OSError, EOFError, ValueError) as fault:
        raise DataError(f"{name} is no whole gzip file ({fault}): copy it again.") from fault
    if len(inner) > MOST:
        raise DataError(f"{name} unpacks to more than {MOST >> 30} GB: cut it first.")
    return inner, name.removesuffix(".gz")


def _plain(content: bytes) -> np.ndarray | None:
    """The pixels of a file of the usual kind, the quick way; None for every other and for damaged ones."""
    try:
        with Image.open(io.BytesIO(content)) as file:
            usual = (
                file.format in PLAIN
                and file.mode == "RGB"
                and max(file.size) <= LARGEST_INPUT
                and not {"exif", "transparency"} & set(file.info)
                and ";16" not in str(file.tile)
            )
            if usual and file.format == "JPEG":
                from torchvision.io import decode_jpeg  # here, for it takes two seconds

                # The same library as Pillow's, without a copy that keeps Python's other threads waiting.
                coded = torch.frombuffer(bytearray(content), dtype=torch.uint8)
                return decode_jpeg(coded).permute(1, 2, 0).contiguous().numpy()
            return np.asarray(file) if usual else None
    except Exception:  # `decode_image` says what is wrong
        return None
