"""Convolutions whose gradient is quick on a CPU.

PyTorch (2.13, with oneDNN) computes the gradient of a depthwise convolution on the CPU many times more slowly
than the convolution itself, worst of all for a dilated kernel. Two identities avoid that:

- The gradient of the input is the same kind of convolution of the output's gradient, with the kernel turned
  by 180 degrees.
- A kernel of dilation d never mixes the d x d interleaved sub-grids of an image: on each it is an ordinary
  kernel. The gradient of its weights is that of the ordinary kernel on the sub-grids, taken as more images.

DMAGNet spends a third of a training step there otherwise. In float32 without AVX-512, the gradient of many
weights takes twice the time of the convolution itself where the images are small. There

- the gradient at each place of the kernel is one product of matrices, the output's gradient by the shifted
  input,

which saves 8 % of a step. Results differ by rounding only.
"""

from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALL, MANY = 16 * 16, 2**19
"""Pixels of the largest output and weights of the smallest layer for which the products are quicker."""


def quicken(network: nn.Module) -> int:
    """Let the convolutions inside `network` compute their gradients the quick way.

    Parameters, their names and the forward pass stay what they were.

    Returns:
        How many convolutions took the change.
    """
    changed = 0
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            quick = _quick_kind(child) if type(child) is nn.Conv2d else None
            if quick is not None:
                setattr(parent, name, quick.sharing(child))
                changed += 1
    return changed


def _quick_kind(layer: nn.Conv2d) -> "type[_Sharing] | None":
    """Depthwise or dense, of an odd kernel, with zeros around it so that the size stays or is halved."""
    (height, width), (down, across) = layer.kernel_size, layer.dilation
    if (
        height % 2 == 0
        or width % 2 == 0
        or layer.stride[0] != layer.stride[1]
        or down != across
        or layer.padding != (down * (height - 1) // 2, across * (width - 1) // 2)
        or layer.padding_mode != "zeros"
    ):
        return None
    if layer.groups == 1 and down == 1:
        return QuickDense if layer.weight.numel() >= MANY else None
    depthwise = layer.groups == layer.in_channels == layer.out_channels > 1
    return QuickDepthwise if depthwise and layer.stride == (1, 1) else None


class _Sharing(nn.Conv2d):
    @classmethod
    def sharing(cls, layer: nn.Conv2d) -> Self:
        """One that works with the very parameters of `layer`."""
        quick = cls.__new__(cls)
        quick.__dict__.update(layer.__dict__)
        return quick


class QuickDense(_Sharing):
    """An ordinary `nn.Conv2d` with the gradient described above where it helps."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, H / stride, W / stride)."""
        size = x.shape[2] * x.shape[3] / self.stride[0] ** 2
        if size > SMALL or torch.is_autocast_enabled(x.device.type):
            return super().forward(x)
        y = _Dense.apply(x, self.weight, self.stride[0])
        return y if self.bias is None else y + self.bias[:, None, None]


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        context.save_for_backward(x, weight)
        context.stride = stride
        return F.conv2d(x, weight, None, stride, _padding(weight, 1))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = context.saved_tensors
        wants_x, wants_weight, _ = context.needs_input_grad
        stride, for_x = context.stride, None
        if wants_x:
            for_x = _gradients(x, weight, gradient, stride=stride, mask=[True, False, False])[0]
        return for_x, _by_products(x, weight, gradient, stride) if wants_weight else None, None


def _by_products(x: Tensor, weight: Tensor, gradient: Tensor, stride: int) -> Tensor:
    """The gradient of the weights (D, C, height, width), one place of the kernel after the other."""
    outputs, inputs, height, width = weight.shape
    rows, columns = gradient.shape[2:]
    down, across = _padding(weight, 1)
    if down or across:
        x = F.pad(x, [across, across, down, down])
    x = x.permute(0, 2, 3, 1)
    gradient = gradient.permute(0, 2, 3, 1).reshape(-1, outputs).t()
    found = weight.new_empty(outputs, height, width, inputs)
    for i in range(height):
        for j in range(width):
            shifted = x[:, i : i + stride * rows : stride, j : j + stride * columns : stride]
            found[:, i, j] = gradient @ shifted.reshape(-1, inputs)
    return found.permute(0, 3, 1, 2)


class QuickDepthwise(_Sharing):
    """A depthwise `nn.Conv2d` with the gradient described above."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        weight = self.weight
        if torch.is_autocast_enabled(x.device.type):
            short = torch.get_autocast_dtype(x.device.type)
            x, weight = x.to(short), weight.to(short)
        y = _Depthwise.apply(x, weight, self.dilation[0])
        return y if self.bias is None else y + self.bias.to(y.dtype)[:, None, None]


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
        context.save_for_backward(x, weight)
        context.dilation = dilation
        return _convolve(x, weight, dilation)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = context.saved_tensors
        wants_x, wants_weight, _ = context.needs_input_grad
        for_x = _convolve(gradient, weight.flip(2, 3), context.dilation) if wants_x else None
        return for_x, _weight_gradient(x, weight, gradient, context.dilation) if wants_weight else None, None


def _padding(weight: Tensor, dilation: int) -> list[int]:
    return [dilation * (side - 1) // 2 for side in weight.shape[2:]]


def _convolve(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return F.conv2d(x, weight, None, 1, _padding(weight, dilation), dilation, weight.shape[0])


def _weight_gradient(x: Tensor, weight: Tensor, gradient: Tensor, dilation: int) -> Tensor:
    if dilation > 1 and x.shape[2] % dilation == 0 and x.shape[3] % dilation == 0:
        x, gradient, dilation = sub_grids(x, dilation), sub_grids(gradient, dilation), 1
    return _gradients(x, weight, gradient, dilation=dilation, mask=[False, True, False])[1]


def _gradients(
    x: Tensor, weight: Tensor, gradient: Tensor, *, stride: int = 1, dilation: int = 1, mask: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """PyTorch's own gradients of the input, the weights and the bias, as far as the mask asks for them."""
    return torch.ops.aten.convolution_backward(
        gradient,
        x,
        weight,
        None,
        [stride, stride],
        _padding(weight, dilation),
        [dilation, dilation],
        False,
        [0, 0],
        x.shape[1] // weight.shape[1],
        mask,
    )


def sub_grids(x: Tensor, step: int) -> Tensor:
    """Every `step`-th pixel as an image of its own: (N, C, H, W) -> (step^2 N, C, H/step, W/step).

    The result lies in memory with its channels last.
    """
    count, channels, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(count, height // step, step, width // step, step, channels)
    parts = pixels.permute(2, 4, 0, 1, 3, 5).reshape(-1, height // step, width // step, channels)
    return parts.permute(0, 3, 1, 2)
