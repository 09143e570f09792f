"""Trained networks on disk: a folder with the weights (safetensors) and a description (JSON).

Nothing in a checkpoint is ever executed: safetensors holds plain arrays. The description carries the hash of
the weights, and the weights carry the class names, so that neither can be swapped without notice.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import nn

from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import CheckpointError, GalaxyError
from galaxylib.files import atomic, sha256

CLASSES = "class_names"
WEIGHTS, DESCRIPTION = "weights.safetensors", "checkpoint.json"
PRETRAINED = Path(__file__).parents[1] / "weights" / "pretrained"
SMALL = PRETRAINED.with_name("small")
NEEDED = ("network", "options", "preprocess", "class_names", "sha256")


@dataclass(frozen=True)
class Loaded:
    """A network ready for use.

    Attributes:
        network: in evaluation mode, on the CPU, float32.
        preprocess: what an image must go through first.
        class_names: of the logits, in their order.
        meta: the whole description: recipe, data, versions, hardware, time.
    """

    network: nn.Module
    preprocess: Preprocess
    class_names: tuple[str, ...]
    meta: dict[str, Any]


def save(
    folder: str | Path,
    network: nn.Module,
    *,
    name: str,
    options: Mapping[str, Any],
    preprocess: Preprocess,
    class_names: Sequence[str],
    half: bool = False,
    **provenance: Any,
) -> Path:
    """Write a checkpoint; a former one in the same folder stays whole until both new files are written.

    Args:
        folder: where; other files in it are left alone.
        network: whose weights to keep.
        name: of the network, as `galaxylib.networks.registry.build` knows it.
        options: what else `build` needs to make it again.
        preprocess: what its images go through.
        class_names: of its logits, in their order.
        half: store in half precision, for weights that are shipped.
        **provenance: whatever else the description should tell, as JSON has it.

    Raises:
        GalaxyError: the disk is full; the former checkpoint is kept.
    """
    folder = Path(folder)
    tensors = {key: _stored(tensor, half=half) for key, tensor in network.state_dict().items()}
    # Serialised in memory first: a full disk then meets Python's own writing, which says so plainly.
    # One entry only: with more, safetensors would write them in any order, and the hash would change.
    content = to_bytes(tensors, metadata={CLASSES: json.dumps(list(class_names))})
    description = {
        "network": name,
        "options": dict(options),
        "preprocess": preprocess.to_dict(),
        "class_names": list(class_names),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "sha256": hashlib.sha256(content).hexdigest(),
        **provenance,
    }
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    with atomic(folder / WEIGHTS) as weights, atomic(folder / DESCRIPTION) as about:
        weights.write_bytes(content)
        about.write_text(text, encoding="utf-8")
    return folder


def halve(checkpoint: str | Path, folder: str | Path) -> Path:
    """Copy a checkpoint with its weights in half precision, as weights are shipped.

    Raises:
        CheckpointError: there is no whole checkpoint to copy.
        GalaxyError: the disk is full.
    """
    loaded = load(checkpoint)
    told = {name: value for name, value in loaded.meta.items() if name not in (*NEEDED, "parameters")}
    return save(
        folder,
        loaded.network,
        name=loaded.meta["network"],
        options=loaded.meta["options"],
        preprocess=loaded.preprocess,
        class_names=loaded.class_names,
        half=True,
        **told,
    )


def load(checkpoint: str | Path) -> Loaded:
    """Read a checkpoint.

    Args:
        checkpoint: its folder, or the name of one that comes with the book: "pretrained", at full width, or
            "small", at three sixteenths of it, for pages and slow machines.

    Raises:
        CheckpointError: the folder is missing or incomplete, its files do not belong together, were altered
            or cut short, or hold another network than they say.
    """
    folder = _folder(checkpoint)
    meta = describe(folder)
    if sha256(folder / WEIGHTS) != meta["sha256"]:
        raise CheckpointError(
            f"The weights in {folder} are not those that {DESCRIPTION} describes (another SHA-256): the file "
            "was altered or cut short, so copy it again or train again."
        )
    tensors, carried = _read(folder / WEIGHTS)
    if carried.get(CLASSES) != json.dumps(meta["class_names"]):
        raise CheckpointError(
            f"{folder / DESCRIPTION} names the classes {', '.join(meta['class_names'])}, its weights were "
            f"trained for {carried.get(CLASSES, 'others')}: copy both files of the checkpoint again."
        )
    network, preprocess = _built(meta, folder)
    _check_shapes(network, tensors, meta["network"], folder)
    network.load_state_dict(tensors)
    return Loaded(
        network=network.float().eval(),
        preprocess=preprocess,
        class_names=tuple(meta["class_names"]),
        meta=meta,
    )


def describe(folder: str | Path) -> dict[str, Any]:
    """The description of a checkpoint, without reading its weights.

    Raises:
        CheckpointError: the folder holds no checkpoint, or its description is not one.
    """
    folder = _folder(folder)
    try:
        meta = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        missing = [key for key in NEEDED if key not in meta]
    except FileNotFoundError as fault:
        raise CheckpointError(
            f"{folder} holds no {DESCRIPTION}, so it is no checkpoint: give the folder that "
            "`galaxylib train` wrote."
        ) from fault
    except (OSError, ValueError, TypeError) as fault:
        raise CheckpointError(f"{folder / DESCRIPTION} cannot be read ({fault}): train again.") from fault
    if missing or not isinstance(meta, dict):
        raise CheckpointError(
            f"{folder / DESCRIPTION} does not say {missing[0] if missing else 'anything'!r}."
        )
    if not (folder / WEIGHTS).is_file():
        raise CheckpointError(f"{folder} holds no {WEIGHTS}: copy the whole folder, or train again.")
    return meta


def _folder(checkpoint: str | Path) -> Path:
    shipped = {"pretrained": PRETRAINED, "small": SMALL}.get(str(checkpoint))
    if shipped is not None:
        if not (shipped / DESCRIPTION).is_file():
            raise CheckpointError(
                f"This copy of galaxylib carries no weights named {checkpoint}: train a network with "
                "`galaxylib train` and give its folder as the checkpoint."
            )
        return shipped
    folder = Path(checkpoint)
    if not folder.is_dir():
        raise CheckpointError(
            f"There is no checkpoint folder {folder}: give one that `galaxylib train` wrote, or `pretrained`."
        )
    return folder


def _stored(tensor: torch.Tensor, *, half: bool) -> torch.Tensor:
    tensor = tensor.detach().cpu()
    if half and tensor.is_floating_point():
        tensor = tensor.half()
    return tensor.contiguous()


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            return tensors, file.metadata() or {}
    except (SafetensorError, OSError) as fault:
        raise CheckpointError(f"{path} is not a whole safetensors file ({fault}): copy it again.") from fault


def _built(meta: dict[str, Any], folder: Path) -> tuple[nn.Module, Preprocess]:
    from galaxylib.networks.registry import build

    try:
        return build(meta["network"], **meta["options"]), Preprocess.from_dict(meta["preprocess"])
    except (GalaxyError, TypeError, ValueError) as fault:
        raise CheckpointError(
            f"{folder} describes a network {meta['network']!r} with {meta['options']}, "
            f"which cannot be built: {fault}"
        ) from fault


def _check_shapes(network: nn.Module, tensors: dict[str, torch.Tensor], name: str, folder: Path) -> None:
    expected = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    if expected == found:
        return
    odd = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    raise CheckpointError(
        f"The weights in {folder} are of another architecture than {name!r}: {len(odd)} arrays differ, first "
        f"{odd[0]} (expected {expected.get(odd[0], 'none')}, found {found.get(odd[0], 'none')})."
    )
