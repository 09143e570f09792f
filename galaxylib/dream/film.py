"""A dream's steps as a film: GIF, which shows everywhere, or MP4, which is smaller and keeps all colours."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from galaxylib.errors import DreamError
from galaxylib.files import atomic

ENCODERS = ("libx264", "h264", "libopenh264", "mpeg4")
"""The first of these that PyAV was built with writes an MP4; all but the last write H.264."""
SHARP = "18"
"""Constant rate factor of libx264: hardly to be told from the frames themselves."""


def save_film(
    frames: Sequence[np.ndarray], path: str | Path, *, width: int = 256, seconds: float = 4.0
) -> Path:
    """Write frames (h, w, 3) uint8 of any sizes as a film, in the format that the path's ending names.

    Args:
        frames: at least one; one for each step.
        path: ends in `.gif` (endless) or `.mp4` (needs PyAV).
        width: of the film, in pixels; frames are resized to it. An MP4's sides are rounded to even numbers.
        seconds: that the film lasts; the last frame stays for one second more.

    Raises:
        DreamError: there is no frame, the ending is another, or PyAV is missing.
        GalaxyError: the disk is full.
    """
    check_film(path)
    if not frames:
        raise DreamError("The dream kept no frames: make it with keep_frames=True.")
    height = round(width * frames[-1].shape[0] / frames[-1].shape[1])
    if _ending(path) == ".mp4":
        width, height = (2 * max(1, round(side / 2)) for side in (width, height))
    pictures = [Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC) for frame in frames]
    with atomic(path) as partial:
        write = _write_gif if _ending(path) == ".gif" else _write_mp4
        write(pictures, partial, seconds)
    return Path(path)


def check_film(path: str | Path) -> None:
    """Refuse a film that cannot be written, before hours go into its dream.

    Raises:
        DreamError: the ending is neither `.gif` nor `.mp4`, or PyAV is missing.
    """
    if _ending(path) not in (".gif", ".mp4"):
        raise DreamError(f"A film is a GIF or an MP4: call it {Path(path).stem.strip('.') or 'film'}.mp4.")
    if _ending(path) == ".mp4":
        try:
            import av  # noqa: F401
        except ModuleNotFoundError as fault:
            raise DreamError(
                f"Writing {path} needs PyAV: run `pip install av`, or call the film "
                f"{Path(path).with_suffix('.gif')}."
            ) from fault


def _ending(path: str | Path) -> str:
    return Path(path).suffix.lower()


def _write_gif(pictures: list[Image.Image], path: Path, seconds: float) -> None:
    # A GIF counts in hundredths of a second, and players stumble below two.
    each = max(20, round(1000 * seconds / len(pictures) / 10) * 10)
    pictures[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=[each] * (len(pictures) - 1) + [each + 1000],
        loop=0,
    )


def _write_mp4(pictures: list[Image.Image], path: Path, seconds: float) -> None:
    import av

    encoder = next(name for name in ENCODERS if name in av.codecs_available)
    rate = min(50, max(1, round(len(pictures) / seconds)))
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as film:
        stream = film.add_stream(encoder, rate=rate, options={"crf": SHARP} if encoder == "libx264" else {})
        stream.width, stream.height = pictures[0].size
        stream.pix_fmt = "yuv420p"  # the one that every player reads
        for picture in [*pictures, *pictures[-1:] * rate]:
            film.mux(stream.encode(av.VideoFrame.from_image(picture)))
        film.mux(stream.encode())
