"""Layers of a network whose weights stay: what a dream runs instead of the ones that training runs.

A dream needs the gradient of the image and never that of a weight. So a convolution can swallow the BatchNorm
and the ReLU behind it, keep nothing of its input, and hold its weights in the order in which oneDNN reads
them. PyTorch (2.13) brings them into that order anew at every call; on the small maps of a deep stage that
takes longer than the convolution itself. Its gradient is a convolution too, with weights in an order of its
own:

- stride 1: the kernel turned by 180 degrees, inputs and outputs swapped;
- few inputs (a first layer) and a larger stride s: each of the s x s interleaved sub-grids of the image gets
  its gradient from some of the kernel's values, so one convolution with s x s times as many outputs gives
  them all; the usual way is ten times as slow, since three channels fill no vector;
- else: the transposed convolution.

What would need less code takes 1.3 to 1.7 times as long for a step: the network as it is, its BatchNorms
folded, and either of them under `torch.compile` (`benchmarks/dream_engines.py`).
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Back = Callable[[Tensor], Tensor]
FEW = 8
"""Inputs of a convolution, below which the sub-grids are the quicker way back."""
LARGE = 2**18
"""Weights of a convolution, above which none of them is copied but for packing: its maps are small, so that
scaling them costs less than scaling the weights."""


def freeze(network: nn.Module, *, keep: Collection[str] = ()) -> int:
    """Swap a network's convolutions, and BatchNorms and ReLUs around them, for frozen ones, in place.

    The outputs stay the same, apart from rounding. BatchNorm and ReLU are only touched inside an
    `nn.Sequential`: there the order is certain for any network. What a convolution swallows becomes an
    `nn.Identity`. Nothing is computed yet: each frozen layer makes itself ready when it first runs, so what
    never runs costs nothing.

    Args:
        network: any network in evaluation mode; it is changed.
        keep: dotted names of modules that somebody listens to; they are left alone.

    Returns:
        how many convolutions were swapped.
    """
    count = 0
    for path, module in list(network.named_modules()):
        children = {name: child for name, child in module.named_children() if _free(path, name, child, keep)}
        if isinstance(module, nn.Sequential):
            _join(module, children)
        if hasattr(module, "side_by_side"):
            _join_side_by_side(module, path, children, keep)
        for name, child in children.items():
            if type(child) is nn.Conv2d and getattr(module, name) is child:
                setattr(module, name, FrozenConv(child))
        count += sum(isinstance(child, FrozenConv) for child in module.children())
    return count


def _free(path: str, name: str, child: nn.Module, keep: Collection[str]) -> bool:
    hooks = child._forward_hooks or child._forward_pre_hooks or child._backward_hooks
    return f"{path}.{name}".lstrip(".") not in keep and not hooks


def _join(module: nn.Sequential, free: dict[str, nn.Module]) -> None:
    """Each run of convolution, BatchNorm and ReLU in an `nn.Sequential` as one frozen layer."""
    names = [name for name, _ in module.named_children()]
    followers = dict(pairwise(names))

    def after(name: str | None, kind: type[nn.Module]) -> str | None:
        follower = followers.get(name)
        return follower if follower in free and type(free[follower]) is kind else None

    for name in names:
        child = free.get(name)
        if type(child) is nn.Conv2d:
            norm = after(name, nn.BatchNorm2d)
            norm = norm if norm and _fixed(free[norm]) else None
            relu = after(norm or name, nn.ReLU)
            frozen = FrozenConv(child, free[norm] if norm else None, relu=relu is not None)
        elif type(child) is nn.BatchNorm2d and _fixed(child) and getattr(module, name) is child:
            norm, relu = None, after(name, nn.ReLU)
            frozen = ScaleShift(child, relu=relu is not None)
        else:
            continue
        setattr(module, name, frozen)
        for swallowed in filter(None, (norm, relu)):
            setattr(module, swallowed, nn.Identity())


def _join_side_by_side(
    module: nn.Module, path: str, free: dict[str, nn.Module], keep: Collection[str]
) -> None:
    """A BatchNorm and a ReLU behind concatenated convolutions go into each: a network's widest maps.

    Args:
        module: its `side_by_side` names the convolutions, in order, and the `nn.Sequential` of the two.
        path: the module's dotted name.
        free: its children that nobody listens to, by name.
        keep: dotted names of modules that somebody listens to.
    """
    convs, after = module.side_by_side
    if not {*convs, after} <= free.keys() or type(free[after]) is not nn.Sequential:
        return
    norm, _ = free[after]
    inside = free[after].named_children()
    if all(_free(f"{path}.{after}", name, child, keep) for name, child in inside) and _fixed(norm):
        first = 0
        for name in convs:
            last = first + free[name].out_channels
            setattr(module, name, FrozenConv(free[name], norm, part=slice(first, last), relu=True))
            first = last
        setattr(module, after, nn.Identity())


def _fixed(norm: nn.BatchNorm2d) -> bool:
    return norm.track_running_stats and norm.affine


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a BatchNorm does in evaluation, (C,) each."""
    scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias.detach() - norm.running_mean * scale


class ScaleShift(nn.Module):
    """A BatchNorm in evaluation, and the ReLU behind it; keeps its output for the gradient, and only then."""

    def __init__(self, norm: nn.BatchNorm2d, *, relu: bool = False) -> None:
        super().__init__()
        self.relu = relu
        scale, shift = _scale_and_shift(norm)
        self.register_buffer("scale", scale.view(1, -1, 1, 1))
        self.register_buffer("shift", shift.view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        if self.relu:
            return _ScaleShiftReLU.apply(x, self.scale, self.shift)
        return torch.addcmul(self.shift, x, self.scale)


class _ScaleShiftReLU(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        y = torch.addcmul(shift, x, scale).relu_()
        context.save_for_backward(y)
        context.scale = scale
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _through_relu(gradient, *context.saved_tensors).mul_(context.scale), None, None


def _through_relu(gradient: Tensor, y: Tensor) -> Tensor:
    """The gradient where y is positive, else 0, written over y: whoever used y had its own turn before."""
    return torch.ops.aten.threshold_backward.grad_input(gradient, y, 0, grad_input=y)


class FrozenConv(nn.Module):
    """A convolution with the BatchNorm and the ReLU behind it, whose weights stay.

    Args:
        conv: any `nn.Conv2d`; it keeps its weights.
        norm: a BatchNorm in evaluation that follows it.
        part: the BatchNorm's channels that are the convolution's.
        relu: whether a ReLU follows them.
    """

    def __init__(
        self,
        conv: nn.Conv2d,
        norm: nn.BatchNorm2d | None = None,
        *,
        part: slice = slice(None),
        relu: bool = False,
    ) -> None:
        super().__init__()
        self._source = conv, norm, part  # a tuple, so that they are no submodules and nothing converts them
        self._geometry = conv.padding, conv.stride, conv.dilation, conv.groups
        self.relu = relu
        self._kernel = conv.kernel_size
        self.hollow = False
        self._back: Back | None = None
        self._apart = norm is not None and conv.weight.numel() > LARGE
        self._ready: tuple[torch.Size, torch.dtype] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W')."""
        conv = self._source[0]
        if _onednn(x) and conv.padding_mode == "zeros" and not isinstance(conv.padding, str):
            return _Frozen.apply(x, self)
        if self._ready is None or self._ready[1] != x.dtype:
            weight, self.bias = self._folded(x.dtype)
            self.weight, self._ready = (
                weight.contiguous(memory_format=torch.channels_last),
                (x.shape, x.dtype),
            )
        y = conv._conv_forward(x, self.weight, self.bias)
        if self._apart:
            scale, shift = self._scale_and_shift(y.dtype)
            y = torch.addcmul(shift, y, scale)
        return F.relu(y) if self.relu else y

    def _folded(self, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        """Weight and bias, with the BatchNorm in them unless it goes apart; computed when asked for."""
        conv, norm, part = self._source
        weight, bias = conv.weight.detach(), None if conv.bias is None else conv.bias.detach()
        if norm is not None and not self._apart:
            scale, shift = (whole[part] for whole in _scale_and_shift(norm))
            weight, bias = weight * scale.view(-1, 1, 1, 1), shift if bias is None else bias * scale + shift
        return weight.to(dtype), None if bias is None else bias.to(dtype)

    def along(self, x: Tensor) -> Tensor:
        """The convolution itself, by oneDNN."""
        if self.hollow:
            sides = [
                (side + 2 * p - d * (k - 1) - 1) // s + 1
                for side, p, s, d, k in zip(x.shape[2:], *self._geometry[:3], self._kernel, strict=True)
            ]
            return x.new_zeros(len(x), self._source[0].out_channels, *sides)
        # oneDNN chooses the order by the shape; weights in another order than it wants cost it a lot of time.
        if self._ready != (x.shape, x.dtype):
            self.weight = self.bias = self._back = None  # freed before others take their place
            weight, self.bias = self._folded(x.dtype)
            self.weight, self._ready = _packed(weight, x.shape, *self._geometry), (x.shape, x.dtype)
        y = _convolve(x, self.weight, self.bias, *self._geometry, relu=self.relu and not self._apart)
        if self._apart:
            scale, shift = self._scale_and_shift(y.dtype)
            y = y.mul_(scale).add_(shift)
            y = y.relu_() if self.relu else y
        return y

    def _scale_and_shift(self, dtype: torch.dtype) -> list[Tensor]:
        _, norm, part = self._source
        return [whole[part].to(dtype).view(1, -1, 1, 1) for whole in _scale_and_shift(norm)]

    def back(self, gradient: Tensor) -> Tensor:
        """From the gradient of the output before the ReLU to that of the input."""
        if self._back is None:
            weight = self._folded(gradient.dtype)[0]
            self._back = _way_back(self._source[0], weight, self._ready[0], gradient.shape)
        if self._apart:
            gradient = gradient * self._scale_and_shift(gradient.dtype)[0]
        return self._back(gradient)


@contextmanager
def hollow(network: nn.Module) -> Iterator[None]:
    """Let frozen layers give zeros of the right shape: enough to see what a gradient will need."""
    layers = [module for module in network.modules() if isinstance(module, FrozenConv)]
    for layer in layers:
        layer.hollow = True
    try:
        yield
    finally:
        for layer in layers:
            layer.hollow = False


class _Frozen(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, layer: FrozenConv) -> Tensor:
        y = layer.along(x)
        context.layer = layer
        if layer.relu:
            context.save_for_backward(y)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        if context.layer.relu:
            gradient = _through_relu(gradient, *context.saved_tensors)
        return context.layer.back(gradient), None


def _onednn(x: Tensor) -> bool:
    """Whether oneDNN computes this kind of numbers here, with weights in its own order."""
    if x.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    known = hasattr(torch.ops.mkldnn, "_reorder_convolution_transpose_weight")
    return known and (
        x.dtype == torch.float32
        or (x.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def _packed(weight: Tensor, shape: torch.Size, *geometry: Any) -> Tensor:
    """Weights in the order that oneDNN wants for inputs of this shape."""
    return torch.ops.mkldnn._reorder_convolution_weight(weight.contiguous(), *geometry, list(shape))


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, *geometry: Any, relu: bool = False) -> Tensor:
    """`F.conv2d` with packed weights; `geometry` is padding, stride, dilation, groups."""
    kind = "relu" if relu else "none"
    return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, *geometry, kind, [], "")


def _way_back(conv: nn.Conv2d, weight: Tensor, shape: torch.Size, after: torch.Size) -> Back:
    """The function from the gradient of the output, of shape `after`, to that of the input, of `shape`."""
    reach = [d * (k - 1) for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
    small = weight.numel() <= LARGE  # what is turned is copied
    if small and conv.stride == (1, 1) and all(r >= p for r, p in zip(reach, conv.padding, strict=True)):
        # (groups, O, I, rows, columns) with inputs and outputs swapped
        turned = weight.flip(2, 3).unflatten(0, (conv.groups, -1)).transpose(1, 2).flatten(0, 1)
        padding = [r - p for r, p in zip(reach, conv.padding, strict=True)]
        geometry = padding, conv.stride, conv.dilation, conv.groups
        packed = _packed(turned, after, *geometry)
        return lambda gradient: _convolve(gradient, packed, None, *geometry)
    if conv.in_channels < FEW and conv.groups == 1 and conv.dilation == (1, 1) and len({*conv.stride}) == 1:
        return _by_sub_grids(conv, weight, shape, after)
    # What the stride left over at the far sides.
    rest = [
        side - (s * (own - 1) - 2 * p + r + 1)
        for side, own, s, p, r in zip(shape[2:], after[2:], conv.stride, conv.padding, reach, strict=True)
    ]
    geometry = conv.padding, rest, conv.stride, conv.dilation, conv.groups
    operations = torch.ops.mkldnn
    packed = operations._reorder_convolution_transpose_weight(weight.contiguous(), *geometry, list(after))
    return lambda gradient: operations._convolution_transpose_pointwise(
        gradient, packed, None, *geometry, "none", [], ""
    )


def _by_sub_grids(conv: nn.Conv2d, weight: Tensor, shape: torch.Size, after: torch.Size) -> Back:
    stride = conv.stride[0]
    kernels, first = _sub_kernels(weight, conv.padding, stride)
    need = [-(-side // stride) for side in shape[2:]]  # pixels of a sub-grid
    # Zeros on both sides alike, as many as the side wants that wants more; what is too much is cut off.
    padding = [
        max(-low, n - own + low + k - 1, 0)
        for low, n, own, k in zip(first, need, after[2:], kernels.shape[2:], strict=True)
    ]
    top, left = (p + low for p, low in zip(padding, first, strict=True))
    geometry = padding, (1, 1), (1, 1), 1
    packed = _packed(kernels, after, *geometry)

    def back(gradient: Tensor) -> Tensor:
        grids = _convolve(gradient, packed, None, *geometry)
        grids = grids[:, :, top : top + need[0], left : left + need[1]]
        return F.pixel_shuffle(grids, stride)[:, :, : shape[2], : shape[3]]

    return back


def _sub_kernels(weight: Tensor, padding: tuple[int, ...], stride: int) -> tuple[Tensor, list[int]]:
    """The kernels that give the gradients of the sub-grids, and the first offset of each axis.

    Input pixel `s i + a` meets output `o` through the kernel's value `t` where `s i + a = s o + t - p`, so
    `o = i + d` with the offset `d = (a + p - t) / s`, for those t that leave no remainder.

    Returns:
        (I s s, O, rows, columns), in the order of `F.pixel_shuffle`, and the offsets of row and column 0.
    """
    outputs, inputs, *sides = weight.shape
    taps = [
        [(a, t, (a + p - t) // stride) for a in range(stride) for t in range(k) if (a + p - t) % stride == 0]
        for k, p in zip(sides, padding, strict=True)
    ]
    first = [min(d for _, _, d in axis) for axis in taps]
    size = [max(d for _, _, d in axis) - low + 1 for axis, low in zip(taps, first, strict=True)]
    kernels = weight.new_zeros(inputs, stride, stride, outputs, *size)
    for a, t, d in taps[0]:
        for b, u, e in taps[1]:
            kernels[:, a, b, :, d - first[0], e - first[1]] = weight[:, :, t, u].T
    return kernels.flatten(0, 2), first
