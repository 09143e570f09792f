"""A network made ready for dreaming: frozen, folded, and stopped as soon as the wanted layers have spoken.

All of it happens on a copy, so that a dream, however it ends, leaves nothing behind on the caller's network:
no hook, no changed mode, no changed `requires_grad`.
"""

import copy
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from galaxylib.dream.frozen import freeze, hollow
from galaxylib.errors import DreamError, GalaxyError, cause

SPARE, BESIDE = 1.2, 256
"""Peak memory of a step: so many times what its forward pass keeps, and so many bytes a pixel of input beside
(gradients of the widest map, copies of the image); measured on DMAGNet at 1024 pixels, stem to LAM."""


class _ReachedError(Exception):
    """Every wanted layer has spoken: the rest of the network need not run."""


class Tap:
    """Activations of some submodules of a network.

    Args:
        network: any module that takes (N, 3, H, W); it is copied, never changed.
        layers: dotted names of submodules; the empty name is the network itself.
        precision: of the arithmetic, `torch.float32` or `torch.bfloat16`.

    Raises:
        DreamError: the network cannot be copied.
    """

    def __init__(
        self, network: nn.Module, layers: Collection[str], *, precision: torch.dtype = torch.float32
    ) -> None:
        # A copy of the structure only: the weights themselves are shared, and nothing here writes to them.
        shared = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in network.parameters()}
        shared |= {id(buffer): buffer.detach() for buffer in network.buffers()}
        try:
            twin = copy.deepcopy(network, shared)
        except (RuntimeError, TypeError) as fault:
            raise DreamError(
                f"The network cannot be copied ({fault}): give one that holds no graph."
            ) from fault
        self.layers = tuple(layers)
        self.precision = precision
        self.network = twin.eval()
        self.device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
        freeze(self.network, keep=self.layers)
        if precision != torch.float32:
            self.network.to(precision)
        self._kept: dict[str, Tensor] = {}
        for name in self.layers:
            hook = _listen(name, self._kept, wanted=len(self.layers))
            self.network.get_submodule(name).register_forward_hook(hook)

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Normalised images (N, 3, H, W) -> the layers' outputs in float32, by name.

        Raises:
            DreamError: a layer never runs for such images.
        """
        self._kept.clear()
        try:
            self.network(images.to(self.precision, memory_format=torch.channels_last))
        except _ReachedError:
            kept = dict(self._kept)
            self._kept.clear()
            return kept
        except GalaxyError:
            raise
        except (Exception, SystemExit) as fault:
            if isinstance(fault, MemoryError | torch.OutOfMemoryError) or "alloc" in str(fault):
                raise
            raise DreamError(
                f"The network cannot read images of {images.shape[2]} x {images.shape[3]} pixels "
                f"({cause(fault)}): choose a size that it can, and levels=1 if only one."
            ) from fault
        missing = ", ".join(name for name in self.layers if name not in self._kept)
        raise DreamError(f"The network never runs its layer {missing}: choose one that it uses.")

    def saved_bytes(self) -> float:
        """Bytes a pixel of input that a forward pass keeps for its gradient, measured on a small image."""
        side = 64
        weights = {parameter.data_ptr() for parameter in self.network.parameters()}
        kept: dict[int, int] = {}  # by address, since several operations may keep the same tensor

        def count(tensor: Tensor) -> Tensor:
            if tensor.data_ptr() not in weights:
                kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
            return tensor.detach()  # an output that kept itself would never be freed

        pixels = torch.zeros(1, 3, side, side, device=self.device, requires_grad=True)
        with hollow(self.network), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            outputs = self(pixels)  # held, so that no address is used twice
        del outputs
        return sum(kept.values()) / side**2


def _listen(
    name: str, kept: dict[str, Tensor], *, wanted: int
) -> Callable[[nn.Module, object, Tensor], None]:
    """A hook that keeps a layer's output; it does not know its `Tap`, whose memory is so freed at once."""

    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        if not isinstance(output, Tensor):
            raise DreamError(
                f"The layer {name!r} gives a {type(output).__name__} and no tensor: choose another."
            )
        kept[name] = _Copy.apply(output)
        if len(kept) == wanted:
            raise _ReachedError

    return hook


class _Copy(torch.autograd.Function):
    """In float32, since a frozen layer's gradient is written over what it kept of its output.

    The gradient comes back in the output's own type and order of memory: the layers before want it so, and a
    pooling layer (PyTorch 2.13) takes forty times as long with another order.
    """

    @staticmethod
    def forward(context: Any, output: Tensor) -> Tensor:
        last = output.ndim == 4 and output.is_contiguous(memory_format=torch.channels_last)
        context.own = output.dtype, torch.channels_last if last else torch.contiguous_format
        return output.to(torch.float32, copy=True)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> Tensor:
        dtype, order = context.own
        return gradient.to(dtype, memory_format=order)


def check_memory(tap: Tap, *, images: int, shape: tuple[int, int], tile: int = 0) -> None:
    """Refuse a dream that memory does not allow, before it starts.

    Systems hand out more memory than they have and then end the process, so it is no use to wait for an
    error.

    Args:
        tap: the network, made ready for dreaming.
        images: number of images in the batch.
        shape: largest height and width in pixels.
        tile: side in pixels of the windows; 0 for none.

    Raises:
        DreamError: offers tiling, or a smaller size.
    """
    height, width = (min(side, tile) if tile else side for side in shape)
    try:
        needed = (SPARE * tap.saved_bytes() + BESIDE) * images * height * width
    except GalaxyError:
        return  # the network reads no small image to measure on
    there = available_bytes(tap.device)
    if needed > there:
        cure = "choose a smaller size" if 0 < tile <= 512 else "set tile=512"
        raise DreamError(
            f"Dreaming {images} x {shape[0]} x {shape[1]} pixels would need about {needed / 2**30:.1f} GiB "
            f"of memory and {there / 2**30:.1f} are free: {cure}."
        )


def available_bytes(device: torch.device) -> float:
    """Memory that can still be had on a device, in bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = psutil.virtual_memory().available
    # psutil knows nothing of a container's limit.
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        free = min(free, float(limit.read_text()) - float(used.read_text()))
    return free
