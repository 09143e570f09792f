"""From stored pixels to what a network reads: whole batches, on the device."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F

from galaxylib.errors import GalaxyError

MEAN = (0.16797, 0.16304, 0.15937)
STD = (0.11394, 0.10875, 0.10070)
"""Mean and deviation of each channel of the published set, on the scale 0 to 1 (published code)."""

# Weights of red, green and blue in the grey value that contrast turns about (ITU-R 601).
GREY = (0.2989, 0.587, 0.114)


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
        corners: what fills the corners that a rotation uncovers: `"zeros"` (black, as torchvision does by
            default) or `"reflection"` (the sky mirrored at the border).
    """

    rotate: float = 180.0
    flip: float = 0.5
    brightness: float = 0.1
    contrast: float = 0.1
    corners: str = "zeros"

    def __post_init__(self) -> None:
        if self.corners not in ("zeros", "reflection"):
            raise GalaxyError(f"corners cannot be {self.corners!r}: choose 'zeros' or 'reflection'.")
        if not 0 <= self.flip <= 1 or self.rotate < 0 or not 0 <= min(self.brightness, self.contrast) <= 1:
            raise GalaxyError("Augment needs rotate >= 0 and flip, brightness and contrast from 0 to 1.")

    def draw(self, *, seed: int, epoch: int, rows: Sequence[int] | np.ndarray | torch.Tensor) -> torch.Tensor:
        """The changes of each row.

        Returns:
            (len(rows), 5) float32: angle (degrees, anticlockwise), horizontal and vertical flip (0 or 1),
            brightness and contrast factors.
        """
        uniform = np.stack([np.random.default_rng((seed, epoch, int(row))).random(5) for row in rows])
        signed = 2 * uniform - 1
        return torch.from_numpy(
            np.stack(
                [
                    signed[:, 0] * self.rotate,
                    uniform[:, 1] < self.flip,
                    uniform[:, 2] < self.flip,
                    1 + signed[:, 3] * self.brightness,
                    1 + signed[:, 4] * self.contrast,
                ],
                axis=1,
            )
        ).float()

    def __call__(
        self,
        images: torch.Tensor,
        *,
        seed: int,
        epoch: int,
        rows: Sequence[int] | np.ndarray | torch.Tensor,
        crop: int | None = None,
    ) -> torch.Tensor:
        """Change a batch.

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
        changes = self.draw(seed=seed, epoch=epoch, rows=rows).to(images.device, images.dtype)
        turned = _turn(images, changes[:, 0], changes[:, 1], changes[:, 2], crop=crop, corners=self.corners)
        brightness, contrast = changes[:, 3:, None, None].unsqueeze(-1).unbind(1)
        turned = (turned * brightness).clamp_(0, 1)
        grey = torch.tensor(GREY, device=images.device, dtype=images.dtype).view(1, 3, 1, 1)
        middle = (turned * grey).sum(1, keepdim=True).mean((2, 3), keepdim=True)
        return torch.lerp(middle, turned, contrast).clamp_(0, 1)


def _turn(
    images: torch.Tensor,
    degrees: torch.Tensor,
    mirror: torch.Tensor,
    upend: torch.Tensor,
    *,
    crop: int | None,
    corners: str,
) -> torch.Tensor:
    """Rotate anticlockwise about the centre, then flip, in one bilinear look-up."""
    height, width = images.shape[2:]
    rows, columns = (crop, crop) if crop else (height, width)
    # Offsets from the centre, in pixels, of the output's pixels; a flip changes their sign.
    y = (torch.arange(rows, device=images.device, dtype=images.dtype) - (rows - 1) / 2)[None, :, None]
    x = (torch.arange(columns, device=images.device, dtype=images.dtype) - (columns - 1) / 2)[None, None, :]
    y = y * (1 - 2 * upend)[:, None, None]
    x = x * (1 - 2 * mirror)[:, None, None]
    angle = degrees * (math.pi / 180)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    # grid_sample counts from -1 to 1 across the image.
    grid = torch.stack([(cos * x - sin * y) * (2 / width), (sin * x + cos * y) * (2 / height)], dim=-1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=corners, align_corners=False)


@dataclass(frozen=True)
class Preprocess:
    """What happens to every image before a network sees it, in training and in use alike.

    Attributes:
        size: height and width of what the network reads, in pixels.
        crop: height and width of the central square that is kept of the stored image, in stored pixels.
        mean, std: of each channel, on the scale 0 to 1.
    """

    size: int = 256
    crop: int = 256
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD

    def __post_init__(self) -> None:
        if self.size < 1 or self.crop < 1 or len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise GalaxyError(
                f"{self} cannot be: size and crop count pixels from 1, mean and std hold three numbers, "
                "those of std above 0."
            )

    def __call__(
        self,
        images: torch.Tensor,
        *,
        augment: Augment | None = None,
        seed: int = 0,
        epoch: int = 0,
        rows: Sequence[int] | np.ndarray | torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Prepare a batch.

        Args:
            images: (N, H, W, 3) or (N, 3, H, W) uint8, on any device.
            augment: random changes, for training; then `rows` must be given.
            seed: of the changes.
            epoch: of the changes.
            rows: (N,) row numbers of the images, which the changes depend on too.

        Returns:
            (N, 3, size, size) float32, normalised, on the same device.
        """
        unit = self.unit(images)
        if augment is None:
            return self.normalise(self.fit(unit))
        if rows is None:
            raise GalaxyError("Augmenting needs the row number of each image: pass rows=.")
        return self.normalise(self.fit(augment(unit, seed=seed, epoch=epoch, rows=rows, crop=self.crop)))

    def unit(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) float32 in [0, 1] from uint8 images with the channels last or second.

        Raises:
            GalaxyError: the images are not a uint8 batch, or are smaller than the crop.
        """
        if images.ndim != 4 or images.dtype != torch.uint8 or 3 not in (images.shape[1], images.shape[3]):
            raise GalaxyError(
                f"Images of shape {tuple(images.shape)} and type {images.dtype} are no batch: "
                "give (N, H, W, 3) or (N, 3, H, W) uint8."
            )
        if images.shape[3] == 3:
            images = images.permute(0, 3, 1, 2)
        if min(images.shape[2:]) < self.crop:
            raise GalaxyError(
                f"Images of {images.shape[2]} x {images.shape[3]} pixels are smaller than the crop "
                f"of {self.crop}: "
                "choose a smaller crop."
            )
        return images.float().div_(255)

    def fit(self, images: torch.Tensor) -> torch.Tensor:
        """Central crop, then antialiased resize: (N, 3, H, W) -> (N, 3, size, size)."""
        top, left = (images.shape[2] - self.crop) // 2, (images.shape[3] - self.crop) // 2
        images = images[:, :, top : top + self.crop, left : left + self.crop]
        if self.crop == self.size:
            return images
        return F.interpolate(
            images, size=(self.size, self.size), mode="bilinear", antialias=True, align_corners=False
        )

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """[0, 1] -> mean 0, deviation 1 over the training set; (N, 3, H, W) or (3, H, W)."""
        return (images - self._column(self.mean, images)) / self._column(self.std, images)

    def denormalise(self, images: torch.Tensor) -> torch.Tensor:
        """Back to [0, 1] from normalised images, (N, 3, H, W) or (3, H, W); values are not clipped."""
        return images * self._column(self.std, images) + self._column(self.mean, images)

    @staticmethod
    def _column(values: tuple[float, ...], images: torch.Tensor) -> torch.Tensor:
        return torch.tensor(values, device=images.device, dtype=images.dtype).view(3, 1, 1)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """From plain values.

        Raises:
            GalaxyError: the values do not describe a preprocessing.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or set(content) != names:
            raise GalaxyError(
                f"A preprocessing is described by {', '.join(sorted(names))}, not by {content!r}."
            )
        return cls(
            size=int(content["size"]),
            crop=int(content["crop"]),
            mean=tuple(map(float, content["mean"])),
            std=tuple(map(float, content["std"])),
        )
