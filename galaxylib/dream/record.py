"""How a dream was made: enough to make it again, kept inside its own PNG.

A dream's PNG carries its record as JSON in one text chunk and its inputs (the image, and the mask if there
was one) in two more, so that the file alone, with the checkpoint, gives the same bytes again on the same
machine. A record that comes back is a stranger's until shown otherwise: its inputs and its network must have
the hashes that it gives, and each field a value that a dream can have.
"""

import base64
import hashlib
import io
import json
import platform
import reprlib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor, nn

import galaxylib
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream.objectives import Objective
from galaxylib.dream.settings import LIMITS, Range, Settings
from galaxylib.errors import DreamError
from galaxylib.files import atomic
from galaxylib.provenance import processor

FORMAT = 1
RECORD = "galaxylib.dream"
INPUT = "galaxylib.dream.input"
MASK = "galaxylib.dream.mask"
LARGEST_TEXT, LARGEST_INPUT = 2**30, 2**31
"""Bytes of a text chunk, and of an input in memory; a stranger's file may unfold to more than there is."""
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
        "format": FORMAT,
        "settings": settings.to_dict(),
        "seed": seed,
        "preprocess": _plain(preprocess),
        "network": _about(network),
        "versions": {
            "galaxylib": galaxylib.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "processor": _processor(network),
            "threads": torch.get_num_threads(),
        },
    }


def _plain(preprocess: Preprocess) -> dict[str, Any]:
    return json.loads(json.dumps(preprocess.to_dict()))


def _about(network: nn.Module) -> dict[str, Any]:
    return {
        "class": type(network).__name__,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "sha256": network_hash(network),
    }


def _processor(network: nn.Module) -> str:
    """What the network computes on."""
    device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


def save_png(
    path: str | Path, pixels: np.ndarray, record: dict[str, Any], *, image: Tensor, mask: Tensor | None = None
) -> Path:
    """Write a dream with its record and its inputs, whole or not at all.

    Args:
        path: path of the PNG.
        pixels: (H, W, 3) uint8 of the dream, or (H, W, 4) with its alpha.
        record: plain values, as JSON has them.
        image: (3, h, w) that the dream started from, in [0, 1].
        mask: (h, w) where the dream might go, from 0 to 1; none for everywhere.

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Former:
    """A dream that was saved, its record checked.

    Attributes:
        pixels: (H, W, 3) uint8 of the dream, or (H, W, 4) with its alpha.
        record: the whole of it, as plain values.
        image: (3, h, w) that the dream started from, in [0, 1].
        mask: (h, w) where the dream might go, from 0 to 1; `None` for everywhere.
        settings: as the record says, like the rest.
        objective: the objective that grew.
        seed: start of the random numbers for shifts and noise.
        count: number of dreams that were made together and compared; 1 where none were.
        index: number of this one among them, counted from 0.
        steps_done: number of steps after which the dream ended.
        threads: number of threads that computed it.
        checkpoint: the path of the network; `None` where none was given.
        asked: the text of the objective as it was given, which may name a concept; else the objective's own.
    """

    pixels: np.ndarray
    record: dict[str, Any]
    image: Tensor
    mask: Tensor | None
    settings: Settings
    objective: Objective
    seed: int
    count: int
    index: int
    steps_done: int
    threads: int
    checkpoint: str | None
    asked: str

    def is_of(self, network: nn.Module, preprocess: Preprocess) -> bool:
        """Whether the dream was made by this network: the same class, weights and preprocessing."""
        return (_about(network), _plain(preprocess)) == (self.record["network"], self.record["preprocess"])

    def changes(self, versions: Mapping[str, Any]) -> list[str]:
        """What differed when the dream was made from what is here, each in a few words."""
        return [
            f"{name} was {reprlib.repr(there)} and is {here!r} here"
            for name, here in versions.items()
            if (there := self.record["versions"].get(name)) != here
        ]


def read_png(path: str | Path) -> Former:
    """A dream that `save_png` wrote.

    Raises:
        DreamError: the file is no PNG of a dream; its inputs are not those of the record; or a field of the
            record is missing, unknown, of a wrong type or out of its range.
    """
    path = Path(path)
    if not path.is_file():
        raise DreamError(f"There is no file {path}: give the PNG that a dream was saved in.")
    try:
        with _large_dreams(), Image.open(path) as file:
            pixels = np.asarray(file if file.mode == "RGBA" else file.convert("RGB"))
            text = dict(file.text)
        record = json.loads(text[RECORD])
        inputs = {"image": _unpack(text[INPUT]), "mask": _unpack(text[MASK]) if MASK in text else None}
    except Exception as fault:  # each layer of the file (PNG, JSON, base 85, zip, NumPy) raises its own
        raise DreamError(
            f"{path} holds no record of a dream: give a PNG that galaxylib saved and nothing rewrote since."
        ) from fault
    try:
        for name, tensor in inputs.items():
            if _field(record, f"{name}_sha256") != (None if tensor is None else tensor_hash(tensor)):
                raise DreamError(f"the {name} in the file is not the one of its record.")
        return Former(pixels=pixels, record=record, **inputs, **_checked(record))
    except DreamError as fault:
        raise DreamError(f"{path} was changed, or is another version's: {fault}") from fault


@contextmanager
def _large_dreams() -> Iterator[None]:
    """Let Pillow read a picture, and texts, larger than it expects of a PNG."""
    before = PngImagePlugin.MAX_TEXT_MEMORY
    PngImagePlugin.MAX_TEXT_MEMORY = LARGEST_TEXT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    finally:
        PngImagePlugin.MAX_TEXT_MEMORY = before


def _checked(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of its dream, ready for use."""
    Range(FORMAT, FORMAT).check("format", _field(record, "format"))
    settings = Settings.from_dict(_field(record, "settings"))
    objective = Objective.from_dict(_field(record, "objective.terms"))
    if _field(record, "objective.text") != str(objective):
        raise DreamError("objective.text says something else than objective.terms.")
    found = {"settings": settings, "objective": objective}
    for key, name, limit in (
        ("seed", "seed", LIMITS["seed"]),
        ("threads", "versions.threads", LIMITS["threads"]),
        ("steps_done", "steps_done", Range(1, max(1, settings.total_steps))),
    ):
        found[key] = _field(record, name)
        limit.check(name, found[key])
    found |= {"count": 1, "index": 0}
    if "batch" in record:
        for name, limit in (("count", LIMITS["count"]), ("index", LIMITS["index"])):
            found[name] = _field(record, f"batch.{name}")
            limit.check(f"batch.{name}", found[name])
    if found["index"] >= found["count"] or (found["count"] > 1) != objective.diverse:
        raise DreamError("batch says something else than objective.terms.")
    for name in ("network.sha256", "preprocess", "values"):
        _field(record, name)
    for name, what, usual in (("checkpoint", "a path", None), ("asked", "a text", str(objective))):
        found[name] = text = record.get(name, usual)
        if text is not None and not (isinstance(text, str) and text.isprintable()):
            raise DreamError(f"{name} is {reprlib.repr(text)}: it must be {what}.")
    return found


def _field(record: Any, name: str) -> Any:
    """A field of a record; a dot leads into another."""
    for part in name.split("."):
        if not isinstance(record, Mapping) or part not in record:
            raise DreamError(f"{name} is missing.")
        record = record[part]
    return record


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
        if content.zip.getinfo("values.npy").file_size > LARGEST_INPUT:
            raise ValueError("the input is larger than any that a dream takes")
        values = content["values"]
    if values.dtype == np.uint8:
        values = values.astype(np.float32) / np.float32(255)
    return torch.from_numpy(values)
