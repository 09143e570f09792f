"""A dream's steps as a film."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from galaxylib.errors import DreamError
from galaxylib.files import atomic


def save_gif(
    frames: Sequence[np.ndarray], path: str | Path, *, width: int = 256, seconds: float = 4.0
) -> Path:
    """Write frames (h, w, 3) uint8 of any sizes as an endless GIF.

    Args:
        frames: one a step, at least one.
        path: of the GIF.
        width: of the film, in pixels; frames are resized to it.
        seconds: that the film lasts; the last frame stays for one second more.

    Raises:
        DreamError: there is no frame.
        GalaxyError: the disk is full.
    """
    if not frames:
        raise DreamError("The dream kept no frames: make it with keep_frames=True.")
    height = round(width * frames[-1].shape[0] / frames[-1].shape[1])
    pictures = [Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC) for frame in frames]
    # A GIF counts in hundredths of a second, and players stumble below two.
    each = max(20, round(1000 * seconds / len(pictures) / 10) * 10)
    with atomic(path) as partial:
        pictures[0].save(
            partial,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=[each] * (len(pictures) - 1) + [each + 1000],
            loop=0,
        )
    return Path(path)
