"""Depthwise convolutions whose gradient is quick on a CPU.

PyTorch (2.13, with oneDNN) computes the gradient of a depthwise convolution on the CPU many times more slowly
than the convolution itself, worst of all for a dilated kernel. Two identities avoid that:

- The gradient of the input is the same kind of convolution of the output's gradient, with the kernel turned
  by 180 degrees.
- A kernel of dilation d never mixes the d x d interleaved sub-grids of an image: on each it is an ordinary
  kernel. The gradient of its weights is that of the ordinary kernel on the sub-grids, taken as more images.

DMAGNet spends a third of a training step there otherwise. Results differ by rounding only.
"""

from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def quicken(network: nn.Module) -> int:
    """Let the depthwise convolutions inside `network` compute their gradients the quick way.

    Parameters, their names and the forward pass stay what they were.

    Returns:
        How many convolutions took the change.
    """
    changed = 0
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Conv2d and _fits(child):
                setattr(parent, name, QuickDepthwise.sharing(child))
                changed += 1
    return changed


def _fits(layer: nn.Conv2d) -> bool:
    """Depthwise, stride 1, an odd kernel, zeros around it so that the size stays."""
    (height, width), (down, across) = layer.kernel_size, layer.dilation
    return (
        layer.groups == layer.in_channels == layer.out_channels > 1
        and layer.stride == (1, 1)
        and height % 2 == width % 2 == 1
        and down == across
        and layer.padding == (down * (height - 1) // 2, across * (width - 1) // 2)
        and layer.padding_mode == "zeros"
    )


class QuickDepthwise(nn.Conv2d):
    """A depthwise `nn.Conv2d` with the gradient described above."""

    @classmethod
    def sharing(cls, layer: nn.Conv2d) -> Self:
        """One that works with the very parameters of `layer`."""
        quick = cls.__new__(cls)
        quick.__dict__.update(layer.__dict__)
        return quick

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
    return torch.ops.aten.convolution_backward(
        gradient,
        x,
        weight,
        None,
        [1, 1],
        _padding(weight, dilation),
        [dilation, dilation],
        False,
        [0, 0],
        weight.shape[0],
        [False, True, False],
    )[1]


def sub_grids(x: Tensor, step: int) -> Tensor:
    """Every `step`-th pixel as an image of its own: (N, C, H, W) -> (step^2 N, C, H/step, W/step).

    The result lies in memory with its channels last.
    """
    count, channels, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(count, height // step, step, width // step, step, channels)
    parts = pixels.permute(2, 4, 0, 1, 3, 5).reshape(-1, height // step, width // step, channels)
    return parts.permute(0, 3, 1, 2)
