"""The network that a checkpoint's description names, built, and its weights compared with it."""

import reprlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from galaxylib.errors import CheckpointError, GalaxyError
from galaxylib.networks.schemas import CURE, check_options


@contextmanager
def building(name: str, folder: Path) -> Iterator[None]:
    """Tell a fault that arises inside as one of the checkpoint in a folder.

    Raises:
        CheckpointError: something inside raised a `GalaxyError`.
    """
    try:
        yield
    except GalaxyError as fault:
        raise CheckpointError(f"The network {name!r} in {folder} cannot be built: {fault}") from fault


def built(meta: dict[str, Any], size: int, *, where: str) -> nn.Module:
    """The network of a description, its weights still to come.

    Args:
        meta: the description.
        size: pixels a side of the images that it reads.
        where: the description's file, for the sentence.

    Raises:
        GalaxyError: it names no network, an option that it must not set, or another number of classes.
    """
    from galaxylib.networks.registry import build_sized

    count = len(meta["class_names"])
    check_options(meta["network"], meta["options"], where=where)
    options = {"classes": count} | meta["options"]
    if options["classes"] != count:
        raise GalaxyError(f"it names {count} classes, and its options ask for another number.")
    return build_sized(meta["network"], size=size, options=options)


def check_weights(
    network: nn.Module, tensors: dict[str, torch.Tensor], meta: dict[str, Any], *, described: Path
) -> None:
    """Refuse weights that are not those of the network which `described`, the description's file, names.

    Raises:
        CheckpointError: arrays are missing, of another shape, or not all numbers.
    """

    def forms(content: Mapping[str, torch.Tensor]) -> dict[str, str]:
        # Of what precision numbers with a fraction were kept makes no difference.
        kinds = {key: "" if one.is_floating_point() else f"{one.dtype} " for key, one in content.items()}
        return {key: f"{kind}{tuple(content[key].shape)}" for key, kind in kinds.items()}

    expected, found = forms(network.state_dict()), forms(tensors)
    if expected != found:
        odd = sorted(key for key in expected | found if expected.get(key) != found.get(key))
        raise CheckpointError(
            f"The weights in {described.parent} are of another architecture than {meta['network']!r}: "
            f"{len(odd)} arrays differ, first {reprlib.repr(odd[0])} "
            f"(expected {expected.get(odd[0], 'none')}, found {found.get(odd[0], 'none')})."
        )
    count = sum(parameter.numel() for parameter in network.parameters())
    if count != meta["parameters"]:
        raise CheckpointError(
            f"In {described}, parameters is {meta['parameters']}, and there are {count}: {CURE}."
        )
    lost = next((key for key, _ in network.named_parameters() if not tensors[key].isfinite().all()), None)
    if lost is not None:
        raise CheckpointError(f"The weights {lost} in {described.parent} are not all numbers: {CURE}.")
