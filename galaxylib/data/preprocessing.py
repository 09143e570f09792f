"""From stored pixels to what a network reads: whole batches, on the device."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import torch
import torch.nn.functional as F

from galaxylib.data.augmentation import Augment, Jitter, Rows, sent
from galaxylib.errors import GalaxyError

MEAN = (0.16797, 0.16304, 0.15937)
STD = (0.11394, 0.10875, 0.10070)
"""Mean and deviation of each channel of the published set, on the scale 0 to 1 (published code)."""


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
        rows: Rows | None = None,
    ) -> torch.Tensor:
        """Prepare a batch.

        Args:
            images: (N, H, W, 3) or (N, 3, H, W) uint8, on any device.
            augment: random changes, for training; then `rows` must be given. They are made on an image of
                half the pixels a side, or a quarter, where the network reads no more.
            seed: of the changes.
            epoch: of the changes.
            rows: (N,) row numbers of the images, which the changes depend on too.

        Returns:
            (N, 3, size, size) float32, normalised, on the same device.
        """
        if augment is None:
            return self.normalise(self.fit(self.unit(images)))
        if rows is None:
            raise GalaxyError("Augmenting needs the row number of each image: pass rows=.")
        view, images = self, self.channels_second(images)
        while view.crop >= 2 * self.size and not any(side % 2 for side in (*images.shape[2:], view.crop)):
            # The changes cost by the pixel. A mean over squares is sharper than the resize that evaluation
            # uses, and the bilinear turn that follows softens it.
            view, images = replace(view, crop=view.crop // 2), _halved(images)
        unit = augment(view.unit(images), seed=seed, epoch=epoch, rows=rows, crop=view.crop)
        unit = view.fit(unit)
        if augment.jitter:
            scale = min(1.0, self.size / self.crop)
            unit = Jitter(augment.jitter)(unit, seed=seed, epoch=epoch, rows=rows, scale=scale)
        return self.normalise(unit)

    def unit(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) float32 in [0, 1] from uint8 images, checked by `channels_second`."""
        return self.channels_second(images).float().div_(255)

    def channels_second(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 from images with the channels last or second.

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
        return images

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
        return sent(torch.tensor(values, dtype=images.dtype), images).view(3, 1, 1)

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


def _halved(images: torch.Tensor) -> torch.Tensor:
    """Means over squares of 2 x 2 pixels: (N, 3, H, W) uint8 -> (N, 3, H / 2, W / 2) uint8."""
    if images.device.type == "cpu":
        # Halfway between two pixels each way, so the interpolation is the mean; whole numbers make it quick.
        return F.interpolate(images, scale_factor=0.5, mode="bilinear", align_corners=False)
    return F.avg_pool2d(images.float(), 2).round().to(torch.uint8)
