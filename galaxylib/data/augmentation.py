"""Random changes to training images: what the paper does, and the wider kind behind the shipped networks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from galaxylib.errors import GalaxyError

# Weights of red, green and blue in the grey value that contrast turns about (ITU-R 601).
GREY = (0.2989, 0.587, 0.114)

Rows = Sequence[int] | np.ndarray | torch.Tensor


@dataclass(frozen=True)
class Augment:
    """Random changes to training images: rotation, flips, brightness, contrast, in this order.

    As in the DMAGNet paper, section 3: rotation drawn evenly from [-180, 180] degrees, horizontal and
    vertical flips with probability 0.5, brightness and contrast within 10 %. The changes of an image depend
    on (seed, epoch, row) alone, never on the batch it happens to be in.

    Attributes:
        rotate: largest angle in degrees, either way.
        flip: probability of each flip.
        brightness: largest relative change of brightness.
        contrast: largest relative change of contrast, about the image's mean grey.
        quarter_turns: take the nearest multiple of 90 degrees, so that no pixel is interpolated (the ConvNet
            paper's rotations).
        jitter: the strength of `Jitter`, which follows; 0 for none, 1 as for the shipped networks.
        corners: what fills the corners that a rotation uncovers: `"zeros"` (black, as torchvision does by
            default) or `"reflection"` (the sky mirrored at the border).
    """

    rotate: float = 180.0
    flip: float = 0.5
    brightness: float = 0.1
    contrast: float = 0.1
    quarter_turns: bool = False
    jitter: float = 0.0
    corners: str = "zeros"

    def __post_init__(self) -> None:
        if self.corners not in ("zeros", "reflection"):
            raise GalaxyError(f"corners cannot be {self.corners!r}: choose 'zeros' or 'reflection'.")
        if not 0 <= self.flip <= 1 or self.rotate < 0 or not 0 <= min(self.brightness, self.contrast) <= 1:
            raise GalaxyError("Augment needs rotate >= 0 and flip, brightness and contrast from 0 to 1.")
        if not 0 <= self.jitter <= 2:
            raise GalaxyError(f"The jitter's strength is {self.jitter}: choose a value from 0 to 2.")

    def draw(self, *, seed: int, epoch: int, rows: Rows) -> torch.Tensor:
        """The changes of each row.

        Returns:
            (len(rows), 5) float32: angle (degrees, anticlockwise), horizontal and vertical flip (0 or 1),
            brightness and contrast factors.
        """
        uniform = np.stack([np.random.default_rng((seed, epoch, int(row))).random(5) for row in rows])
        signed = 2 * uniform - 1
        angle = signed[:, 0] * self.rotate
        return torch.from_numpy(
            np.stack(
                [
                    np.round(angle / 90) * 90 if self.quarter_turns else angle,
                    uniform[:, 1] < self.flip,
                    uniform[:, 2] < self.flip,
                    1 + signed[:, 3] * self.brightness,
                    1 + signed[:, 4] * self.contrast,
                ],
                axis=1,
            )
        ).float()

    def __call__(
        self, images: torch.Tensor, *, seed: int, epoch: int, rows: Rows, crop: int | None = None
    ) -> torch.Tensor:
        """Change a batch; `Jitter` is not among the changes, for it works on the resized image.

        Args:
            images: (N, 3, H, W) float in [0, 1], on any device.
            seed: of the draw.
            epoch: of the draw; another epoch brings other changes.
            rows: (N,) row numbers of the images.
            crop: return the central crop of this many pixels only; it is taken after the rotation, so that
                the crop's corners hold sky and not filling as far as the image reaches.

        Returns:
            (N, 3, crop or H, crop or W) float in [0, 1], on the same device.
        """
        changes = sent(self.draw(seed=seed, epoch=epoch, rows=rows), images)
        zoom = shift = None
        if self.jitter:
            zoom, shift = Jitter(self.jitter).frame(seed=seed, epoch=epoch, rows=rows, like=images)
        turned = _turn(images, changes, zoom=zoom, shift=shift, crop=crop, corners=self.corners)
        if not (self.brightness or self.contrast):
            return turned
        brightness, contrast = changes[:, 3:, None, None].unsqueeze(-1).unbind(1)
        turned = (turned * brightness).clamp_(0, 1)
        grey = sent(torch.tensor(GREY), images).view(1, 3, 1, 1)
        middle = (turned * grey).sum(1, keepdim=True).mean((2, 3), keepdim=True)
        return torch.lerp(middle, turned, contrast).clamp_(0, 1)


@dataclass(frozen=True)
class Jitter:
    """Wider changes than the survey's own scatter, so that a gap between two surveys matters less.

    Magnification and position, the strength of light and colour above the sky, the sky's level, gamma, blur
    and noise. All amplitudes grow with `strength`; the amounts at 1 trained the shipped networks.

    Attributes:
        strength: factor on every amplitude below.
    """

    strength: float = 1.0

    ZOOM = 0.12  # sigma of the logarithm of the magnification
    SHIFT = 1 / 64  # largest displacement, share of the image's side
    CONTRAST = 0.2  # largest relative change of the light above the sky
    GAMMA = 0.15  # largest logarithm of the exponent
    LEVEL = 0.008  # sigma of the sky's level, half as much again by channel
    SATURATION = 0.4  # largest relative change of the colours' strength
    TINT = 0.04  # sigma of each channel's gain
    NOISE = 0.04  # largest sigma of added noise, of an image at the stored scale

    def frame(
        self, *, seed: int, epoch: int, rows: Rows, like: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Magnification (N,) and displacement (N, 2; shares of the image's side) of each row."""
        drawn = [np.random.default_rng((seed, epoch, int(row), 1)) for row in rows]
        zoom = np.exp(self.strength * self.ZOOM * np.array([one.standard_normal() for one in drawn]))
        shift = self.strength * self.SHIFT * np.stack([one.uniform(-1, 1, 2) for one in drawn])
        return sent(torch.from_numpy(zoom), like), sent(torch.from_numpy(shift), like)

    def __call__(
        self, images: torch.Tensor, *, seed: int, epoch: int, rows: Rows, scale: float
    ) -> torch.Tensor:
        """Change colours, sharpness and noise of a batch.

        The draw hangs on (seed, epoch, first row): the images of a batch share one generator, for noise is
        drawn on the device. The trainer's batches are the same however often it was interrupted.

        Args:
            images: (N, 3, H, W) float in [0, 1], as large as the network reads them.
            seed: of the draw.
            epoch: of the draw.
            rows: (N,) row numbers of the images.
            scale: the images' pixels for one stored pixel, at most 1: the blur is as wide and the noise as
                coarse on the sky whatever the size.

        Returns:
            (N, 3, H, W) float, mostly in [0, 1], on the same device.
        """
        key = np.random.SeedSequence((seed, epoch, int(rows[0]), 2)).generate_state(1)[0]
        generator = torch.Generator(images.device).manual_seed(int(key))
        count, much = len(images), self.strength

        def uniform(low: float, high: float) -> torch.Tensor:
            drawn = torch.rand(count, 1, 1, 1, generator=generator, device=images.device)
            return drawn * (high - low) + low

        def normal(channels: int) -> torch.Tensor:
            return torch.randn(count, channels, 1, 1, generator=generator, device=images.device)

        sky = images[:, :, ::3, ::3].flatten(2).median(2).values[..., None, None]
        light = images - sky
        grey = light.mean(1, keepdim=True)
        light = grey + (light - grey) * (1 + much * uniform(-self.SATURATION, self.SATURATION))
        gain = 1 + much * self.TINT * normal(3)
        light = light * (1 + much * uniform(-self.CONTRAST, self.CONTRAST)) * gain
        level = much * self.LEVEL * (normal(1) + 0.5 * normal(3))
        images = (sky + level + light).clamp(0, 1)
        images = images ** torch.exp(much * uniform(-self.GAMMA, self.GAMMA))
        reach = 2 * max(1, round(2 * scale)) + 1
        soft = F.pad(images, [reach // 2] * 4, mode="replicate")
        for axis in (2, 3):  # one axis after the other: a fifth of avg_pool2d's time
            soft = soft.unfold(axis, reach, 1).mean(-1)
        images = torch.lerp(images, soft, much * uniform(-1 / 3, 1))  # below 0 it sharpens
        grain = torch.randn(images.shape, generator=generator, device=images.device)
        return images + grain * much * uniform(0, self.NOISE) * math.sqrt(scale)


def sent(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A few numbers in another tensor's type and on its device, without waiting for what is at work there."""
    return values.to(like.device, like.dtype, non_blocking=True)


def _turn(
    images: torch.Tensor,
    changes: torch.Tensor,
    *,
    zoom: torch.Tensor | None,
    shift: torch.Tensor | None,
    crop: int | None,
    corners: str,
) -> torch.Tensor:
    """Rotate anticlockwise about the centre, flip, magnify and move, in one bilinear look-up."""
    height, width = images.shape[2:]
    rows, columns = (crop, crop) if crop else (height, width)
    angle, mirror, upend = changes[:, 0] * (math.pi / 180), changes[:, 1], changes[:, 2]
    # Offsets from the centre, in pixels, of the output's pixels; a flip changes their sign.
    y = (torch.arange(rows, device=images.device, dtype=images.dtype) - (rows - 1) / 2)[None, :, None]
    x = (torch.arange(columns, device=images.device, dtype=images.dtype) - (columns - 1) / 2)[None, None, :]
    y = y * (1 - 2 * upend)[:, None, None]
    x = x * (1 - 2 * mirror)[:, None, None]
    if zoom is not None:
        y, x = y / zoom[:, None, None], x / zoom[:, None, None]
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    # grid_sample counts from -1 to 1 across the image.
    grid = torch.stack([(cos * x - sin * y) * (2 / width), (sin * x + cos * y) * (2 / height)], dim=-1)
    if shift is not None:
        grid = grid + 2 * shift[:, None, None, :]
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=corners, align_corners=False)
