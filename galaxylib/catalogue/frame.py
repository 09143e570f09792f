"""What a network is shown of an image: 256 x 256 pixels at the survey's scale; and a word for each change."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from galaxylib.catalogue.decoding import Picture
from galaxylib.data.galaxy10 import PIXEL_SCALE, SHAPE
from galaxylib.data.stretch import viewer_colours
from galaxylib.errors import PIXSCALES, DataError, GalaxyError

SIDE = SHAPE[0]
CENTRES = ("middle", "light")
SAME = 0.005
"""Relative difference of two pixel scales that counts as none: half a pixel at the frame's edge."""
FEWEST = 64
"""The image's own pixels along a side of the frame, below which it is called too small."""

RESAMPLED, CUT, PADDED, AS_IS, ASSUMED = "resampled", "cut", "padded", "as_is", "scale_assumed"
TOO_SMALL, TOUCHES, UNREADABLE = "too_small", "touches_frame", "unreadable"
FLAGS = {
    RESAMPLED: "brought from another scale to 0.262 arcsec a pixel",
    CUT: "larger than the frame, so its rim is left out",
    PADDED: "smaller than the frame, which the sky, or the rim's median colour, fills",
    AS_IS: "shown whole, whatever its scale",
    ASSUMED: "nothing tells its scale, so 0.262 arcsec a pixel is assumed",
    TOO_SMALL: f"covers less than half of the frame's side, or has fewer than {FEWEST} pixels along it",
    TOUCHES: "the light around the centre goes on to the edge of what is shown",
    UNREADABLE: "no image could be read: `reason` says why",
}
"""What a catalogue says of an image, and what it means."""


@dataclass(frozen=True)
class Frame:
    """How images of any size and scale become what the network reads.

    Attributes:
        pixscale: arcsec a pixel of images that do not tell their own; None assumes 0.262 and flags it.
        centre: "middle" of the image, or "light": its brightest place, smoothed, within its central half.
        as_is: show every image whole, shrunk or enlarged to 256 pixels, whatever its scale.

    Raises:
        GalaxyError: a value is out of range, or two of them contradict each other.
    """

    pixscale: float | None = None
    centre: str = "middle"
    as_is: bool = False

    def __post_init__(self) -> None:
        if self.pixscale is not None:
            PIXSCALES.check("pixscale", self.pixscale)
        if self.centre not in CENTRES:
            raise GalaxyError(f"There is no centre {self.centre!r}: choose {' or '.join(CENTRES)}.")
        if self.as_is and self.centre != "middle":
            raise GalaxyError(
                "An image that is shown as it is has no other centre: leave out one of the two."
            )

    def __call__(self, picture: Picture) -> tuple[np.ndarray, tuple[str, ...]]:
        """Frame a picture.

        Returns:
            (256, 256, 3) uint8, and those of `FLAGS` that hold for it, in their order.

        Raises:
            DataError: its pixel scale cannot be.
        """
        planes = picture.planes
        height, width = planes.shape[-2:] if picture.is_flux else planes.shape[:2]
        scale, flags = picture.pixscale, set()
        if not np.isfinite(scale):
            scale = self.pixscale or PIXEL_SCALE
            flags |= {ASSUMED} if self.pixscale is None and not self.as_is else set()
        if scale not in PIXSCALES:
            raise DataError(f"Its pixels are said to be {scale:g} arcsec wide: mend its table or its WCS.")
        # How many of the image's own pixels a pixel of the frame is.
        step = max(height, width) / SIDE if self.as_is else PIXEL_SCALE / scale
        step = 1.0 if abs(step - 1) < SAME else step
        middle = (height / 2, width / 2)
        if self.centre == "light":
            middle = _brightest(planes.sum(0) if picture.is_flux else planes.sum(2, dtype=np.float32))
        if step == 1:  # whole pixels stay whole
            middle = tuple(float(np.floor(place)) for place in middle)
        rows, columns = (_along(c, n, step) for c, n in zip(middle, (height, width), strict=True))
        if picture.is_flux:
            image = self._flux(planes, rows, columns, step=step, area=(PIXEL_SCALE / scale) ** 2)
        else:
            image = _colours(planes, rows, columns, step=step)
        covered = min(rows.count, columns.count)
        flags |= {AS_IS} if self.as_is else {RESAMPLED} if step != 1 else set()
        flags |= {CUT} if max(rows.lost, columns.lost) >= step else set()
        flags |= {PADDED} if covered < SIDE else set()
        flags |= {TOO_SMALL} if covered < SIDE / 2 or covered * step < FEWEST else set()
        shown = image[rows.first : rows.first + rows.count, columns.first : columns.first + columns.count]
        flags |= {TOUCHES} if touches(shown) else set()
        return image, tuple(flag for flag in FLAGS if flag in flags)

    @staticmethod
    def _flux(planes: np.ndarray, rows: "Along", columns: "Along", *, step: float, area: float) -> np.ndarray:
        light = np.zeros((3, SIDE, SIDE), np.float32)  # no light is what the sky has
        for band, plane in zip(light, planes, strict=True):
            part = _resized(Image.fromarray(plane), rows, columns, step)
            band[rows.place, columns.place] = part * np.float32(area)
        return (viewer_colours(light) * 255 + 0.5).astype(np.uint8)


@dataclass(frozen=True)
class Along:
    """Where the frame and an image meet along one axis.

    Attributes:
        first, count: pixels of the frame that the image covers.
        start, stop: what they cover of the image, in its pixels, which may be cut by fractions.
        lost: image pixels beyond the frame.
    """

    first: int
    count: int
    start: float
    stop: float
    lost: float

    @property
    def place(self) -> slice:
        """The covered pixels."""
        return slice(self.first, self.first + self.count)


def _along(centre: float, length: int, step: float) -> Along:
    left = centre - SIDE / 2 * step  # of the frame, in image pixels
    # An image that falls short of the frame by a rounding error still covers the pixel.
    first = max(0, int(np.ceil(-left / step - 1e-6)))
    end = min(SIDE, int(np.floor((length - left) / step + 1e-6)))
    if end <= first:  # narrower than one pixel of the frame: it is stretched to one
        first, end = min(first, SIDE - 1), min(first, SIDE - 1) + 1
        return Along(first, 1, 0.0, float(length), 0.0)
    start, stop = max(0.0, left + first * step), min(float(length), left + end * step)
    lost = max(left, 0.0) + max(length - left - SIDE * step, 0.0)
    return Along(first, end - first, start, stop, lost)


def _resized(image: Image.Image, rows: Along, columns: Along, step: float) -> np.ndarray:
    """The covered part of an image on the frame's pixels: bicubic, over an area where pixels become fewer."""
    box = (columns.start, rows.start, columns.stop, rows.stop)
    if step == 1:
        return np.asarray(image.crop(tuple(map(round, box))))
    return np.asarray(image.resize((columns.count, rows.count), Image.Resampling.BICUBIC, box=box))


def _colours(values: np.ndarray, rows: Along, columns: Along, *, step: float) -> np.ndarray:
    if step == 1:
        start, left = round(rows.start), round(columns.start)
        part = values[start : start + rows.count, left : left + columns.count]
    else:
        part = _resized(Image.fromarray(values), rows, columns, step)
    if part.shape == SHAPE:
        return part
    rim = np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])
    image = np.empty(SHAPE, np.uint8)
    image[:] = np.median(rim, axis=0).round().astype(np.uint8)
    image[rows.place, columns.place] = part
    return image


def _brightest(light: np.ndarray) -> tuple[float, float]:
    """Where the light, smoothed over about two arcsec, is brightest in the central half; (row, column)."""
    smooth = ndimage.uniform_filter(light.astype(np.float32), 9, mode="nearest")
    top, left = light.shape[0] // 4, light.shape[1] // 4
    inner = smooth[top : light.shape[0] - top, left : light.shape[1] - left]
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    return top + row + 0.5, left + column + 0.5


def touches(image: np.ndarray, *, block: int = 4, sigmas: float = 5.0) -> bool:
    """Whether the light around the centre of an image goes on, unbroken, to its edge.

    Light is what exceeds the sky by five times the noise, in means over blocks of 4 x 4 pixels of green,
    which is r. The noise comes from the second differences of neighbouring blocks, and the sky from the
    darkest per cent, so that a galaxy that fills nearly all of the image is seen to do so.

    Args:
        image: (H, W, 3) uint8.
        block: pixels a side of a block.
        sigmas: how far above the sky light is, in units of the noise.
    """
    means = np.asarray(Image.fromarray(np.ascontiguousarray(image[..., 1])).reduce(block), np.float32)
    if min(means.shape) < 4:
        return False
    bends = np.abs(np.diff(means, n=2, axis=1)).ravel()  # a galaxy's slopes give none
    # The median of such differences is 1.652 of the noise, and 1 % of the sky lie 2.326 of it below its mean.
    noise = max(np.partition(bends, len(bends) // 2)[len(bends) // 2] / 1.652, 0.5)
    darkest = np.partition(means, means.size // 100, axis=None)[means.size // 100]
    light = means > darkest + (2.326 + sigmas) * noise
    height, width = (length // 2 for length in means.shape)
    centre = np.s_[height - 1 : height + 1, width - 1 : width + 1]
    edges = [np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]]
    if not (light[centre].any() and any(light[edge].any() for edge in edges)):
        return False  # most images, and the quickest answer
    regions, _ = ndimage.label(light)
    return any({*regions[centre].flat} & {*regions[edge]} - {0} for edge in edges)
