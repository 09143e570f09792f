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
        alpha: (H, W) from 0, transparent, to 1: where the objective listened. It is the gradient's absolute
            value, averaged over the colours and summed over the steps, each step's mean being 1, and cut off
            at its 80th percentile. Fel et al. (2023) sum it too, but do not bring the steps to one mean; we
            do, since a gradient's size goes with that of the image. 0 where no step was made.
        mask: (h, w) where it might change, or `None`.
        frames: (h, w, 3) uint8 after each step, if asked for.
    """

    image: Tensor
    record: dict[str, Any]
    given: Tensor
    start: Tensor
    alpha: Tensor
    mask: Tensor | None = None
    frames: list[np.ndarray] = field(default_factory=list)

    @property
    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        return pictures.to_uint8(self.image)

    @property
    def rgba(self) -> np.ndarray:
        """(H, W, 4) uint8: the pixels and their alpha."""
        return np.dstack([self.pixels, pictures.to_uint8(self.alpha[None])])

    def save(self, path: str | Path, *, transparent: bool = False, **more: Any) -> Path:
        """Write a PNG that carries the record, the start and the mask; `more` is added to the record.

        Args:
            path: path of the PNG.
            transparent: with the alpha.
            more: plain values for the record.

        Raises:
            GalaxyError: the disk is full.
        """
        pixels = self.rgba if transparent else self.pixels
        return save_png(path, pixels, self.record | more, image=self.given, mask=self.mask)


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

    With a `diversity` term the dreams look at each other. They then have one image and one objective, given
    as often as there shall be dreams, and begin from noise of their own; the record of each says how many
    there were and which it is.

    Raises:
        DreamError: as `dream`; images and objectives do not pair; or an objective compares what cannot be.
    """
    pictures.check_images(images)
    LIMITS["seed"].check("seed", seed)
    count = max(len(images), len(objectives))
    if len(images) not in (1, count) or len(objectives) not in (1, count):
        raise DreamError(f"{len(images)} images and {len(objectives)} objectives do not pair: give as many.")
    _check_comparisons(objectives, settings=settings, images=len(images))
    images = images.detach().expand(count, -1, -1, -1)
    if masks is not None:
        pictures.check_masks(masks, images)
        if objectives[0].diverse and not (masks == masks[0]).all():
            raise DreamError("Diversity is among dreams under one mask: give the same for each.")
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
    starts, results, alphas = ascent.run(images, masks)
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
        if objective.diverse:
            record["batch"] = {"count": count, "index": index}
        frames = [frame[index] for frame in ascent.frames]
        dreams.append(
            Dream(
                image=results[index],
                record=record,
                given=images[index].float().cpu(),
                start=starts[index],
                alpha=alphas[index],
                mask=mask,
                frames=frames,
            )
        )
    return dreams


def _check_comparisons(objectives: Sequence[Objective], *, settings: Settings, images: int) -> None:
    """Refuse what can be compared with nothing.

    Raises:
        DreamError: says with what, and what to do.
    """
    for objective in objectives:
        if settings.tile and (objective.anchored or objective.diverse):
            raise DreamError(f"{objective} compares whole images, so it goes without tiles: set tile=0.")
        if settings.start == "image" and all(term.kind == "near" for term in objective.terms):
            raise DreamError(
                f"{objective} begins at its summit, for the image is the one to be near: start from noise or "
                "from galaxies, or add something to climb, as in logit:Merging + 5*near:dma1."
            )
    if any(objective.diverse for objective in objectives):
        LIMITS["count"].check("the number of dreams", len(objectives))
        if settings.start == "image":
            raise DreamError(
                "Images that begin alike stay alike: for diversity start from noise or galaxies."
            )
        if images > 1 or len(set(objectives)) > 1:
            raise DreamError("Diversity is among dreams of one image on one objective: give one of each.")
        if len(objectives) == 1:
            raise DreamError(
                "Diversity compares the images of a batch: dream at least two at once (count, or the "
                "objective as often as there shall be dreams)."
            )
