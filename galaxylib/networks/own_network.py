"""A network of the reader's own: imported by name, and any network tried before something relies on it.

Whatever a network's code raises, `sys.exit` included, becomes one sentence that names the network.
"""

import importlib
import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from galaxylib.errors import GalaxyError, cause, is_lack_of_memory
from galaxylib.networks.baselines import pass_one


@contextmanager
def told(what: str, cure: str) -> Iterator[None]:
    """Turn whatever a network's code raises into the sentence "`what` (cause): `cure`.".

    A lack of memory passes: what helps against it, the caller knows.

    Raises:
        GalaxyError: the code failed, or ended Python.
    """
    try:
        yield
    except (GalaxyError, KeyboardInterrupt):
        raise
    except BaseException as fault:
        if is_lack_of_memory(fault):
            raise
        raise GalaxyError(f"{what} ({cause(fault)}): {cure}.") from fault


def imported(path: str) -> type[nn.Module]:
    """The class at `"module:Class"`; the module may lie in the working directory.

    Its code runs, so the name must come from the user, never from a file.

    Raises:
        GalaxyError: there is none, its module fails, or it is no `torch.nn.Module`.
    """
    module, _, attribute = path.partition(":")
    cure = "name a network as 'module:Class', its module in this folder or on Python's path"
    with told(f"{path!r} cannot be imported", cure):
        # The console script has its own folder on the path, and not the working directory as `python -m` has.
        before = sys.path.copy()
        sys.path.insert(0, os.getcwd())
        importlib.invalidate_caches()
        try:
            kind = getattr(importlib.import_module(module), attribute)
        finally:
            sys.path[:] = before
        if inspect.isclass(kind) and issubclass(kind, nn.Module):
            return kind
    raise GalaxyError(f"{path!r} is no torch.nn.Module: name the class of a network.")


def try_one(network: nn.Module, name: str, *, size: int, classes: int, cure: str) -> None:
    """Try a network on one blank image of `size` x `size` pixels, in evaluation mode.

    Raises:
        GalaxyError: it has no weights, cannot read the image, or gives something else than `classes` logits.
    """
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise GalaxyError(f"{name!r} has no weights that could be trained: name another network.")
    with told(f"{name!r} cannot read images of {size} x {size} pixels", cure):
        logits = pass_one(network, size)
    if not isinstance(logits, Tensor) or logits.shape != (1, classes) or not logits.is_floating_point():
        found = f"of shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise GalaxyError(
            f"{name!r} gives for one image a result {found} in place of {classes} logits (1, {classes}): "
            "mend its last layer."
        )


def check_shapes_known(network: nn.Module, name: str) -> None:
    """Refuse a network with lazy layers, whose weights are not there yet.

    Raises:
        GalaxyError: says where they are.
    """
    tensors = [*network.named_parameters(), *network.named_buffers()]
    lazy = next((path for path, tensor in tensors if is_lazy(tensor)), None)
    if lazy is not None:
        raise GalaxyError(
            f"{name!r} has a lazy layer at {lazy.rpartition('.')[0]}, without a shape so far: give its "
            "number of inputs, or run the network once at the end of its constructor."
        )
