"""Images kept on the GPU where they fit: read and sent once, not once an epoch."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from galaxylib.data.loader import Batch, Images, batches

SHARE = 0.4
"""Of the GPU's free memory, what the images may take."""


class AtHand:
    """Some images of a file, on a device.

    Attributes:
        images: (n, H, W, 3) uint8, on the device.
    """

    def __init__(self, data: Images, rows: Sequence[int] | np.ndarray, device: torch.device) -> None:
        rows = np.unique(np.asarray(rows, np.int64))
        self.labels = data.labels
        self.places = np.full(len(data), -1)
        self.places[rows] = np.arange(len(rows))
        self.images = torch.empty((len(rows), *_shape(data, rows)), dtype=torch.uint8, device=device)
        done = 0
        for images, _, _ in batches(data, rows, batch_size=256):
            self.images[done : done + len(images)] = images.to(device)
            done += len(images)

    def batches(self, rows: np.ndarray, *, batch_size: int) -> Iterator[Batch]:
        """As `galaxylib.data.loader.batches`, the images being on the device already."""
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            places = torch.from_numpy(self.places[part]).to(self.images.device, non_blocking=True)
            yield self.images[places], torch.from_numpy(self.labels[part]), torch.from_numpy(part)


def fit(data: Images, rows: Sequence[int] | np.ndarray, device: torch.device) -> bool:
    """Whether so many images fit on a device; never on the processor, which has them in its memory anyway."""
    if device.type != "cuda" or not len(rows):
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return len(rows) * int(np.prod(_shape(data, rows))) <= SHARE * free


def _shape(data: Images, rows: Sequence[int] | np.ndarray) -> tuple[int, ...]:
    """Of one stored image: (H, W, 3)."""
    return data.read(rows[:1]).shape[1:]
