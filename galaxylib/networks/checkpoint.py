"""Trained networks on disk: a folder with the weights (safetensors) and a description (JSON).

Nothing in a checkpoint is ever executed, and nothing that it names is imported or fetched: safetensors holds
plain arrays, and the description names a network of this library or an architecture of timm's. A network of
the reader's own, `module:Class`, is imported only where the caller names it too. The description carries the
hash of the weights, and the weights carry the class names, so that neither can be swapped without notice.

A checkpoint may say how far its network's confidence can be trusted (`galaxylib calibrate` writes it): a
`temperature`, by which the logarithms of its probabilities are divided, and a reference, in a file of its own
whose hash the description carries too, of how its stages answer to images like those that it was trained on.
"""

import json
import reprlib
import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from galaxylib.data.preprocessing import Preprocess
from galaxylib.data.splits import SPLIT
from galaxylib.errors import CheckpointError
from galaxylib.files import atomic, check_outputs
from galaxylib.networks import arrays
from galaxylib.networks.building import building, built, check_weights
from galaxylib.networks.concepts import CONCEPTS, Concepts
from galaxylib.networks.schemas import CURE, check, read_json
from galaxylib.networks.schemas import DESCRIPTION as FIELDS

CLASSES = "class_names"
WEIGHTS, DESCRIPTION, REFERENCE = "weights.safetensors", "checkpoint.json", "reference.safetensors"
CONFIDENCE = ("temperature", "reference", "calibrated")
BROUGHT = Path(__file__).parents[1] / "weights"
"""Where the trained networks lie that come with the book, a folder each."""

SHIPPED = ("real", "real-small", "pretrained", "small")
"""The networks of the ten classes among them: what dreams first, what is for slow machines, and their like
that no label of a real image has taught."""

NEEDED = ("network", "options", "preprocess", "class_names", "parameters", "sha256")


@dataclass(frozen=True)
class Loaded:
    """A network ready for use.

    Attributes:
        network: in evaluation mode, on the CPU, float32.
        preprocess: what an image must go through first.
        class_names: of the logits, in their order.
        meta: the whole description: recipe, data, versions, hardware, time.
        temperature: above 0; the logarithms of the network's probabilities are divided by it. 1 leaves them.
        reference: arrays by which `galaxylib.evaluation.unlike.Reference` tells images that are like nothing
            in training; None where none was measured.
        folder: that it was loaded from; None for one made in memory.
    """

    network: nn.Module
    preprocess: Preprocess
    class_names: tuple[str, ...]
    meta: dict[str, Any]
    temperature: float = 1.0
    reference: Mapping[str, torch.Tensor] | None = None
    folder: Path | None = None

    @cached_property
    def concepts(self) -> Concepts:
        """The directions along which true properties grow, read from the folder when first asked for."""
        return Concepts(self.folder, str(self.meta.get("sha256", "")))


def save(
    folder: str | Path,
    network: nn.Module,
    *,
    name: str,
    options: Mapping[str, Any],
    preprocess: Preprocess,
    class_names: Sequence[str],
    half: bool = False,
    reference: Mapping[str, torch.Tensor] | None = None,
    **provenance: Any,
) -> Path:
    """Write a checkpoint; whenever this is cut short, the folder holds the former checkpoint or the new one.

    Args:
        folder: folder of the checkpoint; other files in it are left alone.
        network: the network whose weights are written.
        name: of the network, as `galaxylib.networks.registry.build` knows it.
        options: what else `build` needs to make it again: of those that `schemas.OPTIONS` lists, or
            numbers and switches for a network of your own.
        preprocess: what its images go through.
        class_names: of its logits, in their order.
        half: store in half precision, for weights that are shipped.
        reference: as in `Loaded`.
        **provenance: whatever else the description should tell, as JSON has it.

    Raises:
        GalaxyError: the disk is full; the former checkpoint is kept.
    """
    folder = Path(folder)
    tensors = {key: _stored(tensor, half=half) for key, tensor in network.state_dict().items()}
    # Serialised in memory first: a full disk then meets Python's own writing, which says so plainly.
    content, digest = arrays.as_bytes(tensors, metadata={CLASSES: json.dumps(list(class_names))})
    description = {
        "network": name,
        "options": dict(options),
        "preprocess": preprocess.to_dict(),
        "class_names": list(class_names),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "sha256": digest,
        **provenance,
    }
    files = {WEIGHTS: (content, digest)}
    if reference is not None:
        files[REFERENCE] = arrays.as_bytes(reference)
        description["reference"] = {"sha256": files[REFERENCE][1]}
    _write(folder, description, files)
    return folder


def set_confidence(
    folder: str | Path,
    *,
    temperature: float,
    reference: Mapping[str, torch.Tensor] | None = None,
    **about: Any,
) -> None:
    """Write into a checkpoint how far its network's confidence can be trusted; its weights stay as they are.

    Whenever this is cut short, the checkpoint says what it said before, or all that is new.

    Args:
        folder: of the checkpoint.
        temperature: as in `Loaded`, from 0.01 to 100.
        reference: as in `Loaded`; None removes the former one.
        **about: what the description should tell of the calibration, as JSON has it.

    Raises:
        CheckpointError: the folder holds no whole checkpoint, or the temperature is out of range.
        GalaxyError: the folder cannot be written, or the disk is full.
    """
    folder = _folder(folder)
    description = {key: value for key, value in describe(folder).items() if key not in CONFIDENCE}
    description |= {"temperature": temperature, "calibrated": about}
    files = {}
    if reference is not None:
        files[REFERENCE] = arrays.as_bytes(reference)
        description["reference"] = {"sha256": files[REFERENCE][1]}
    as_read = read_json(json.dumps(description))  # where NaN is no number
    check(as_read, FIELDS, where=folder / DESCRIPTION, cure="calibrate again")
    _write(folder, description, files)


def _write(folder: Path, description: Mapping[str, Any], files: Mapping[str, tuple[bytes, str]]) -> None:
    """Write files of arrays (name: content, hash) and, last, the description that leads to them."""
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    with ExitStack() as stack:
        about = stack.enter_context(atomic(folder / DESCRIPTION))
        for usual, (content, digest) in files.items():
            stack.enter_context(atomic(arrays.named(folder, digest, usual))).write_bytes(content)
        about.write_text(text, encoding="utf-8")
    for usual, (_, digest) in files.items():
        arrays.settle(folder, digest, usual)
    if "reference" not in description:
        (folder / REFERENCE).unlink(missing_ok=True)  # of a former description


def halve(checkpoint: str | Path, folder: str | Path) -> Path:
    """Copy a checkpoint with its weights in half precision, as weights are shipped.

    Raises:
        CheckpointError: there is no whole checkpoint to copy.
        GalaxyError: `folder` is that of the checkpoint or cannot be written, or the disk is full.
    """
    check_outputs(Path(folder) / WEIGHTS, inputs=[_folder(checkpoint) / WEIGHTS])
    loaded = load(checkpoint)
    return save_like(loaded, folder, half=True, reference=loaded.reference)


def save_like(
    loaded: Loaded,
    folder: str | Path,
    *,
    without: Sequence[str] = (),
    half: bool = False,
    reference: Mapping[str, torch.Tensor] | None = None,
    **provenance: Any,
) -> Path:
    """Write a network as `save` does, under the description that it was loaded with.

    The description loses the fields `without`, and gains or changes those of `provenance`; the rest is as in
    `save`, errors included.
    """
    left_out = (*NEEDED, "reference", *without)
    kept = {name: value for name, value in loaded.meta.items() if name not in left_out}
    return save(
        folder,
        loaded.network,
        name=loaded.meta["network"],
        options=loaded.meta["options"],
        preprocess=loaded.preprocess,
        class_names=loaded.class_names,
        half=half,
        reference=reference,
        **kept | provenance,
    )


def load(checkpoint: str | Path, *, own_network: str = "") -> Loaded:
    """Read a checkpoint.

    Args:
        checkpoint: its folder, or the name of one that comes with the book: "real", at full width, or
            "real-small", at three sixteenths of it, for pages and slow machines; "pretrained" and "small" are
            their like, which no label of a real image has taught.
        own_network: a network of your own, "module:Class", that may be imported if the checkpoint holds it;
            the import runs its code.

    Raises:
        CheckpointError: the folder is missing or incomplete, its files do not belong together, were altered
            or cut short, hold another network than they say, or one of your own that you did not name.
    """
    from galaxylib.networks.registry import NETWORKS, check_reads

    folder = _folder(checkpoint)
    meta = describe(folder)
    name = meta["network"]
    if ":" in name and name != own_network:
        raise CheckpointError(
            f"{folder} holds {name!r}, no network of this library, so loading it would run the code of that "
            f"module: if it is yours, say --own-network {shlex.quote(name)}, in Python own_network={name!r}."
        )
    weights = weights_file(folder, meta)
    tensors, carried = arrays.read(
        weights, meta["sha256"], described_in=DESCRIPTION, cure="copy it again or train again"
    )
    if carried.get(CLASSES) != json.dumps(meta["class_names"]):
        raise CheckpointError(
            f"{folder / DESCRIPTION} names the classes {', '.join(meta['class_names'])}, its weights were "
            f"trained for {reprlib.repr(carried.get(CLASSES, 'others'))}: copy both files again."
        )
    with building(name, folder):
        preprocess = Preprocess.from_dict(meta["preprocess"])
        network = built(meta, preprocess.size, where=DESCRIPTION)
    check_weights(network, tensors, meta, described=folder / DESCRIPTION)
    if name not in NETWORKS:
        with building(name, folder):
            check_reads(network, name, size=preprocess.size, classes=len(meta["class_names"]))
    network.load_state_dict(tensors)
    return Loaded(
        network=network.float().eval(),
        preprocess=preprocess,
        class_names=tuple(meta["class_names"]),
        meta=meta,
        temperature=float(meta.get("temperature", 1)),
        reference=_reference(folder, meta),
        folder=folder,
    )


def checkpoint_files(checkpoint: str | Path) -> list[Path]:
    """The files of a checkpoint folder that no output may overwrite, whether or not they are there."""
    return [Path(checkpoint, name) for name in (WEIGHTS, DESCRIPTION, REFERENCE, CONCEPTS, SPLIT)]


def describe(folder: str | Path) -> dict[str, Any]:
    """The description of a checkpoint, without reading its weights.

    Raises:
        CheckpointError: the folder holds no checkpoint, or a field of its description is missing, of another
            type or out of range.
    """
    folder = _folder(folder)
    try:
        meta = read_json((folder / DESCRIPTION).read_text(encoding="utf-8"))
        missing = [key for key in NEEDED if key not in meta]
    except FileNotFoundError as fault:
        raise CheckpointError(
            f"{folder} holds no {DESCRIPTION}, so it is no checkpoint: give the folder that "
            "`galaxylib train` wrote."
        ) from fault
    except (OSError, ValueError, TypeError, RecursionError) as fault:
        raise CheckpointError(f"{folder / DESCRIPTION} cannot be read ({fault}): train again.") from fault
    if missing or not isinstance(meta, dict):
        raise CheckpointError(
            f"{folder / DESCRIPTION} does not say {missing[0] if missing else 'anything'!r}: {CURE}."
        )
    check(meta, FIELDS, where=folder / DESCRIPTION)
    if not weights_file(folder, meta).is_file():
        raise CheckpointError(f"{folder} holds no {WEIGHTS}: copy the whole folder, or train again.")
    return meta


def trainings_of(meta: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All trainings behind a description: its own, that of its first weights, and each that was averaged."""
    found = [meta, *meta.get("averaged_with", [])]
    for start in [one["start"] for one in found if "start" in one]:
        found += [start, *start.get("averaged_with", [])]
    return found


def has_met(meta: Mapping[str, Any], fingerprint: str) -> bool:
    """Whether any training behind a description took galaxies from the file of that fingerprint."""
    return any(one.get("data", {}).get("fingerprint") == fingerprint for one in trainings_of(meta))


def weights_file(folder: Path, meta: Mapping[str, Any]) -> Path:
    """The file that holds the weights which `meta`, the description in `folder`, is about."""
    return arrays.find(folder, str(meta["sha256"]), WEIGHTS)


def _reference(folder: Path, meta: Mapping[str, Any]) -> dict[str, torch.Tensor] | None:
    if "reference" not in meta:
        return None
    digest, cure = meta["reference"]["sha256"], "copy the whole folder, or run `galaxylib calibrate` again"
    path = arrays.find(folder, digest, REFERENCE)
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no {REFERENCE}, which its {DESCRIPTION} names: {cure}.")
    return arrays.read(path, digest, described_in=DESCRIPTION, cure=cure)[0]


def _folder(checkpoint: str | Path) -> Path:
    if str(checkpoint) in SHIPPED:
        shipped = BROUGHT / str(checkpoint)
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
