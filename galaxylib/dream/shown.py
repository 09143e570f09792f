"""The pictures of the dream lab in Jupyter: galaxies to begin with, dreams made small, maps of channels."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.dream import images as pictures
from galaxylib.dream.controls import SHOWN
from galaxylib.dream.forward import Tap
from galaxylib.errors import DreamError
from galaxylib.networks.checkpoint import Loaded

BUSIEST, MAP = 10, 64
"""Channels whose maps are shown, and pixels a side of each."""


def first_of_each_class(data: str | Path) -> dict[str, Tensor]:
    """The first galaxy of each class of a Galaxy10 file, (3, 256, 256) in [0, 1], by the class's name.

    Raises:
        DataError: the file is not as it must be.
    """
    with Galaxy10(data) as file:
        rows = {name: np.flatnonzero(file.labels == number) for number, name in enumerate(CLASS_NAMES)}
        chosen = {name: int(found[0]) for name, found in rows.items() if found.size}
        pixels = file.read(np.array(list(chosen.values())))
    return {
        name: torch.from_numpy(image).permute(2, 0, 1).float() / 255
        for name, image in zip(chosen, pixels, strict=True)
    }


def small(image: Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] as uint8 (h, w, 3), its longer side `SHOWN` pixels."""
    height, width = (round(side * SHOWN / max(image.shape[1:])) for side in image.shape[1:])
    return pictures.to_uint8(pictures.fit(image[None], height, width)[0])


def beside(before: Tensor, after: Tensor, *, share: float) -> np.ndarray:
    """Two images of one size, made small: `after` in the left `share` of the width, `before` in the rest."""
    given, made = small(before), small(after)
    edge = round(share * made.shape[1])
    return np.concatenate([made[:, :edge], given[:, edge:]], axis=1)


def channel_maps(loaded: Loaded, image: Tensor, name: str) -> tuple[list[int], np.ndarray]:
    """The channels of a layer that respond most to an image (3, H, W) in [0, 1], and their maps side by side.

    Returns:
        the numbers of the channels, the busiest first, and (64, 64 for each) uint8, each map from its least
        to its largest value.

    Raises:
        DreamError: the layer has no maps.
    """
    tap = Tap(loaded.network, [name])
    with torch.no_grad():
        output = tap(loaded.preprocess.normalise(pictures.fit(image[None], 256, 256)))[name][0]
    if output.ndim != 3:
        raise DreamError(f"{name} has no maps to show: it gives one number a channel.")
    busiest = output.abs().mean(dim=(1, 2)).argsort(descending=True)[:BUSIEST].tolist()
    maps = torch.nn.functional.interpolate(output[busiest][None], size=(MAP, MAP))[0]
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    grey = ((maps - low) / (high - low).clamp_min(1e-9) * 255).byte().numpy()
    return busiest, np.concatenate(list(grey), axis=1)
