"""Layers whose weights stay: what a dream runs instead of the ones that training runs.

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
"""

from collections.abc import Callable
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
