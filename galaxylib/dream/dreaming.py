"""`dream`: a network, an image and an objective in; the dream and its record out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import images as pictures
from galaxylib.dream.ascent import Ascent, Step
from galaxylib.dream.forward import Tap
from galaxylib.dream.objectives import Objective, check_layers
from galaxylib.dream.record import make_record, save_png, tensor_hash
from galaxylib.dream.settings import LIMITS, PAPER_DREAM, Settings
from galaxylib.errors import DreamError


@dataclass(frozen=True, eq=False)
class Dream:
    """A dream and how it was made.

    Attributes:
        image: (3, H, W) float32 in [0, 1], on the CPU.
        record: plain values for JSON: settings, objective, network, seed, hashes, versions, values.
        given: (3, h, w) the image that was given, in [0, 1].
        start: (3, h', w') what the first step saw: the image at the first size, or noise.
        mask: (h, w) where it might change, or `None`.
        frames: (h, w, 3) uint8 after each step, if asked for.
    """

    image: Tensor
    record: dict[str, Any]
    given: Tensor
    start: Tensor
    mask: Tensor | None = None
    frames: list[np.ndarray] = field(default_factory=list)

    @property
    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        return pictures.to_uint8(self.image)

    def save(self, path: str | Path, **more: Any) -> Path:
        """Write a PNG that carries the record, the start and the mask; `more` is added to the record.

        Raises:
            GalaxyError: the disk is full.
        """
        return save_png(path, self.pixels, self.record | more, image=self.given, mask=self.mask)


def dream(
    network: nn.Module,
    image: Tensor,
    objective: Objective,
    *,
    settings: Settings = PAPER_DREAM,
    preprocess: Preprocess | None = None,
    seed: int = 0,
    mask: Tensor | None = None,
    progress: Callable[[Step], bool | None] | None = None,
    keep_frames: bool = False,
) -> Dream:
    """Change an image so that an objective grows.

    Args:
        network: any module from (N, 3, H, W); it is copied and left as it was.
        image: (3, H, W) float in [0, 1], of any size.
        objective: the measure of the network's activations that shall grow.
        settings: sizes, steps and step lengths; the paper's where none are given.
        preprocess: its `mean` and `std` normalise the pixels; the paper's where none is given.
        seed: of the shifts and of noise, from 0 to 2^32 - 1; the same seed gives the same bytes on the CPU of
            one machine.
        mask: (H, W) like the image, from 0, where the input stays, to 1, where the dream may go.
        progress: called after each step; the dream ends early, with what it has, when it returns `True`.
        keep_frames: keep the image after each step.

    Raises:
        DreamError: the image, mask, objective, seed or settings are impossible, the objective's gradient is
            zero, or the memory does not suffice; the network is as before.
    """
    masks = None if mask is None else mask[None]
    return dream_batch(
        network,
        image[None],
        [objective],
        settings=settings,
        preprocess=preprocess,
        seed=seed,
        masks=masks,
        progress=progress,
        keep_frames=keep_frames,
    )[0]


def dream_batch(
    network: nn.Module,
    images: Tensor,
    objectives: Sequence[Objective],
    *,
    settings: Settings = PAPER_DREAM,
    preprocess: Preprocess | None = None,
    seed: int = 0,
    masks: Tensor | None = None,
    progress: Callable[[Step], bool | None] | None = None,
    keep_frames: bool = False,
) -> list[Dream]:
    """Several dreams in one batch, each image (N, 3, H, W) with its own objective.

    One image with several objectives, or several images with one, is repeated as needed. All share the
    shifts; apart from rounding each dream is what `dream` makes alone. See `dream` for the rest.
    """
    pictures.check_images(images)
    LIMITS["seed"].check("seed", seed)
    count = max(len(images), len(objectives))
    if len(images) not in (1, count) or len(objectives) not in (1, count):
        raise DreamError(f"{len(images)} images and {len(objectives)} objectives do not pair: give as many.")
    images = images.detach().expand(count, -1, -1, -1)
    if masks is not None:
        pictures.check_masks(masks, images)
    objectives = list(objectives) * (count if len(objectives) == 1 else 1)
    layers = check_layers(network, objectives)
    ascent = Ascent(
        tap=Tap(network, layers, precision=getattr(torch, settings.precision)),
        objectives=objectives,
        settings=settings,
        preprocess=preprocess or Preprocess(),
        generator=torch.Generator().manual_seed(int(seed)),
        progress=progress,
        keep_frames=keep_frames,
    )
    starts, results = ascent.run(images, masks)
    facts = make_record(network, settings=settings, preprocess=ascent.preprocess, seed=int(seed))
    dreams = []
    for index, objective in enumerate(objectives):
        mask = None if masks is None else masks[index].cpu()
        record = facts | {
            "objective": {"text": str(objective), "terms": objective.to_dict()},
            "image_sha256": tensor_hash(images[index]),
            "mask_sha256": None if mask is None else tensor_hash(mask),
            "steps_done": ascent.done,
            "values": [values[index] for values in ascent.values],
        }
        frames = [frame[index] for frame in ascent.frames]
        dreams.append(
            Dream(
                image=results[index],
                record=record,
                given=images[index].float().cpu(),
                start=starts[index],
                mask=mask,
                frames=frames,
            )
        )
    return dreams
