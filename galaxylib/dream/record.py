"""How a dream was made: enough to make it again, kept inside its own PNG.

A dream's PNG carries its record as JSON in one text chunk and its inputs (the image, and the mask if there
was one) in two more, so that the file alone, with the checkpoint, gives the same bytes again on the same
machine.
"""

import base64
import hashlib
import io
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor, nn

import galaxylib
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream.settings import Settings
from galaxylib.errors import DreamError
from galaxylib.files import atomic

RECORD = "galaxylib.dream"
INPUT = "galaxylib.dream.input"
MASK = "galaxylib.dream.mask"
_HASHES: WeakKeyDictionary[nn.Module, tuple[Any, str]] = WeakKeyDictionary()


def network_hash(network: nn.Module) -> str:
    """SHA-256 over names, shapes and values of all weights and buffers.

    The hash of a network that was seen before is kept until one of its tensors is another, was written to, or
    sums to something else: hashing takes longer than some dreams.
    """
    tensors = network.state_dict()
    state = tuple(
        (name, value.data_ptr(), value._version, float(value.sum())) for name, value in tensors.items()
    )
    known = _HASHES.get(network)
    if known is None or known[0] != state:
        _HASHES[network] = known = (state, _hash(tensors))
    return known[1]


def _hash(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name}{tuple(values.shape)}{values.dtype}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def tensor_hash(tensor: Tensor) -> str:
    """SHA-256 of a tensor's float32 values and shape."""
    values = tensor.detach().float().cpu().contiguous().numpy()
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()


def make_record(
    network: nn.Module, *, settings: Settings, preprocess: Preprocess, seed: int
) -> dict[str, Any]:
    """What all dreams of a batch share: network, settings, seed, versions; as plain values."""
    return {
        "format": 1,
        "settings": settings.to_dict(),
        "seed": seed,
        "preprocess": json.loads(json.dumps(preprocess.to_dict())),
        "network": {
            "class": type(network).__name__,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "sha256": network_hash(network),
        },
        "versions": {
            "galaxylib": galaxylib.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "threads": torch.get_num_threads(),
        },
    }


def save_png(
    path: str | Path, pixels: np.ndarray, record: dict[str, Any], *, image: Tensor, mask: Tensor | None = None
) -> Path:
    """Write a dream with its record and its inputs, whole or not at all.

    Args:
        path: of the PNG.
        pixels: (H, W, 3) uint8.
        record: plain values.
        image: (3, h, w) that the dream started from, in [0, 1].
        mask: (h, w) from 0 to 1.

    Raises:
        GalaxyError: the disk is full.
    """
    info = PngImagePlugin.PngInfo()
    info.add_text(RECORD, json.dumps(record, ensure_ascii=True, sort_keys=True), zip=True)
    info.add_text(INPUT, _pack(image))
    if mask is not None:
        info.add_text(MASK, _pack(mask))
    path = Path(path)
    with atomic(path) as partial:
        Image.fromarray(pixels).save(partial, format="PNG", pnginfo=info)
    return path


def read_png(path: str | Path) -> tuple[dict[str, Any], Tensor, Tensor | None]:
    """A dream's record, the image it started from, and its mask.

    Raises:
        DreamError: the file is no PNG of a dream, or its inputs are not those of the record.
    """
    path = Path(path)
    if not path.exists():
        raise DreamError(f"There is no file {path}: give the PNG that a dream was saved in.")
    try:
        with Image.open(path) as file:
            file.load()
            text = dict(getattr(file, "text", {}))
        record = json.loads(text[RECORD])
        image = _unpack(text[INPUT])
        mask = _unpack(text[MASK]) if MASK in text else None
    except (OSError, SyntaxError, KeyError, ValueError, EOFError) as fault:
        raise DreamError(
            f"{path} holds no record of a dream: give a PNG that galaxylib saved and nothing rewrote since."
        ) from fault
    if tensor_hash(image) != record.get("image_sha256"):
        raise DreamError(f"The image inside {path} is not the one of its record: the file was changed.")
    return record, image, mask


def _pack(tensor: Tensor) -> str:
    """Exactly, and small where the values are bytes."""
    values = tensor.detach().float().cpu().numpy()
    as_bytes = np.round(values * 255).astype(np.uint8)
    exact = np.array_equal(as_bytes.astype(np.float32) / np.float32(255), values)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, values=as_bytes if exact else values)
    return base64.b85encode(buffer.getvalue()).decode()


def _unpack(text: str) -> Tensor:
    with np.load(io.BytesIO(base64.b85decode(text))) as content:
        values = content["values"]
    if values.dtype == np.uint8:
        values = values.astype(np.float32) / np.float32(255)
    return torch.from_numpy(values)
