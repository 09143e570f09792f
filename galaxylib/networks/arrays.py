"""Files of arrays in a checkpoint folder (safetensors), which its description names by their hash.

A new file first stands under a name that begins with its hash, which only the new description leads to. From
the moment when that description is in place, the checkpoint is the new one, whatever happens before the file
has its usual name.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from galaxylib.errors import CheckpointError
from galaxylib.files import sha256

Arrays = Mapping[str, torch.Tensor]


def as_bytes(arrays: Arrays, *, metadata: Mapping[str, str] | None = None) -> tuple[bytes, str]:
    """The content of a file of arrays, and its SHA-256 in hexadecimal.

    Args:
        arrays: contiguous, on the CPU.
        metadata: one entry at most: safetensors writes more in any order, and the hash would change.
    """
    content = to_bytes(dict(arrays), metadata=dict(metadata) if metadata else None)
    return content, hashlib.sha256(content).hexdigest()


def named(folder: Path, digest: str, usual: str) -> Path:
    """The name that begins with the hash, of a file whose usual name is `usual`."""
    return folder / f"{digest[:12]}-{usual}"


def find(folder: Path, digest: str, usual: str) -> Path:
    """Where the file lies that a description with this hash is about; it may be missing."""
    new = named(folder, digest, usual)
    return new if new.is_file() else folder / usual


def settle(folder: Path, digest: str, usual: str) -> None:
    """Give a file its usual name, and remove what runs that were cut short have left."""
    with suppress(PermissionError):  # on Windows, while somebody reads the former file
        named(folder, digest, usual).replace(folder / usual)
        for left in folder.glob(f"*-{usual}"):
            left.unlink()


def read(
    path: Path, digest: str, *, described_in: str, cure: str
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The arrays of a file, and its metadata.

    Raises:
        CheckpointError: the file has another hash, or is no whole safetensors file.
    """
    if sha256(path) != digest:
        raise CheckpointError(
            f"{path} is not the file that {described_in} describes (another SHA-256): it was altered or cut "
            f"short, so {cure}."
        )
    try:
        with safe_open(path, framework="pt") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            return arrays, file.metadata() or {}
    except (SafetensorError, OSError) as fault:
        raise CheckpointError(f"{path} is not a whole safetensors file ({fault}): copy it again.") from fault
