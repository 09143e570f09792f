"""DMAGNet, the network of the paper, layer by layer.

Source: Chessa, Murru and Lazzari, "DMAGNet: an Interpretable Convolutional Neural Network for Galaxy
Morphology Classification using Deep Dream". Its Table 1 counts the parameters of each stage; the inside of a
block follows the authors' published design. Every count is met, 23,820,811 in all.

Shapes in the comments are for images of 256 x 256 and `width=1`; `C` is a block's number of channels.
"""

import torch
from torch import Tensor, fx, nn

from galaxylib.errors import GalaxyError

STAGES = ("stem", "dma1", "dma2", "dma3", "lam", "head")
STRIDE = 32
SMALLEST, LARGEST = 32, 8192


def conv(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution without bias that keeps the size (divided by `stride`)."""
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(
        inputs, outputs, kernel, stride, padding=padding, dilation=dilation, groups=groups, bias=False
    )


def conv_bn_relu(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU."""
    return nn.Sequential(
        conv(inputs, outputs, kernel, stride=stride, groups=groups), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class DilatedLargeKernel(nn.Module):
    """DLK: three branches of different reach, weighed channel by channel by what the whole image holds.

    `x + w_large * large(x) + w_medium * medium(x) + w_small * small(x)`, the weights being sigmoids of the
    branches' global means. In spite of its name nothing in it is dilated. 3 C^2 + 20.25 C parameters.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.large = self.branch(channels, kernel=5)
        self.medium = self.branch(channels, kernel=3)
        self.small = self.branch(channels, kernel=None)
        self.selector = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),  # (N, 3C, 1, 1)
            nn.Conv2d(3 * channels, channels // 4, 1),
            nn.ReLU(),
            nn.Conv2d(channels // 4, 3 * channels, 1),
            nn.Sigmoid(),
        )

    @staticmethod
    def branch(channels: int, *, kernel: int | None) -> nn.Sequential:
        """Squeeze to C/4, look around with a depthwise kernel (or not at all), expand to C."""
        inner = channels // 4
        look = [] if kernel is None else [conv_bn_relu(inner, inner, kernel, groups=inner)]
        return nn.Sequential(
            conv_bn_relu(channels, inner, 1), *look, conv(inner, channels, 1), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        large, medium, small = self.large(x), self.medium(x), self.small(x)
        weights = self.selector(torch.cat((large, medium, small), dim=1))  # (N, 3C, 1, 1)
        w_large, w_medium, w_small = weights.chunk(3, dim=1)
        return x + w_large * large + w_medium * medium + w_small * small


class MultiScaleFeedForward(nn.Module):
    """MS-FFN: widen to 4C, look at two scales with depthwise kernels, come back to C, add the input.

    12 C^2 + 98 C parameters.

    Attributes:
        side_by_side: the convolutions whose outputs `forward` concatenates, in order, and the BatchNorm and
            ReLU that take them. A dream reads here what it may fuse.
    """

    side_by_side = (("near", "far"), "norm")

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 4 * channels
        self.expand = conv_bn_relu(channels, wide, 1)
        self.near = conv(wide, wide, 3, groups=wide)
        self.far = conv(wide, wide, 3, dilation=2, groups=wide)
        self.norm = nn.Sequential(nn.BatchNorm2d(2 * wide), nn.ReLU())
        self.project = nn.Sequential(conv(2 * wide, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        wide = self.expand(x)  # (N, 4C, H, W)
        scales = torch.cat((self.near(wide), self.far(wide)), dim=1)  # (N, 8C, H, W)
        return x + self.project(self.norm(scales))


class AttentionFeatureFusion(nn.Module):
    """AFF: a gate for each channel from its global mean, `x + x * gate`. C^2 / 2 parameters.

    One input only: a squeeze-and-excitation gate with a residual, not the two-input fusion of that name.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            conv(channels, channels // 4, 1),
            nn.ReLU(),
            conv(channels // 4, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return x + x * self.gate(x)


class DMABlock(nn.Module):
    """A residual block that normalises first: `shortcut(x) + AFF(MS-FFN(DLK(conv3x3(BN-ReLU(x)))))`."""

    def __init__(self, inputs: int, channels: int, *, stride: int = 1) -> None:
        super().__init__()
        same = stride == 1 and inputs == channels
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(conv(inputs, channels, 1, stride=stride), nn.BatchNorm2d(channels))
        )
        self.norm = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU())
        self.conv = conv_bn_relu(inputs, channels, 3, stride=stride)
        self.dlk = DilatedLargeKernel(channels)
        self.ffn = MultiScaleFeedForward(channels)
        self.aff = AttentionFeatureFusion(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, C, H/stride, W/stride)."""
        inner = self.conv(self.norm(x))
        return self.shortcut(x) + self.aff(self.ffn(self.dlk(inner)))


class LocalAttention(nn.Module):
    """LAM: every pixel and channel gated by a sigmoid of that pixel's channels, between two 3x3 kernels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.refine = conv_bn_relu(inputs, inputs, 3)
        self.gate = nn.Sequential(
            conv(inputs, inputs // 2, 1), nn.ReLU(), conv(inputs // 2, inputs, 1), nn.Sigmoid()
        )
        self.expand = conv_bn_relu(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 512, 8, 8) -> (N, 1024, 8, 8)."""
        x = self.refine(x)
        return self.expand(x * self.gate(x))


class Head(nn.Module):
    """Channels reduced, pixels weighed by attention and averaged, then two linear layers."""

    def __init__(self, inputs: int, *, classes: int, dropout: float, width: float) -> None:
        super().__init__()
        reduced, hidden = scaled(256, width), scaled(128, width)
        self.reduce = conv_bn_relu(inputs, reduced, 3)
        self.attention = nn.Sequential(
            nn.Conv2d(reduced, reduced // 8, 1), nn.ReLU(), nn.Conv2d(reduced // 8, 1, 1), nn.Sigmoid()
        )
        self.classify = nn.Sequential(
            nn.Linear(reduced, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1024, 8, 8) -> (N, classes)."""
        x = self.reduce(x)  # (N, 256, 8, 8)
        # A plain mean over the pixels: the weights are not divided by their sum.
        pooled = (x * self.attention(x)).mean(dim=(2, 3))  # (N, 256)
        return self.classify(pooled)


def scaled(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to a multiple of 8 (groups, gates and memory layouts need it)."""
    return max(8, 8 * round(channels * width / 8))


class DMAGNet(nn.Module):
    """The paper's classifier of galaxies.

    Args:
        classes: number of logits.
        width: factor on every number of channels; 1.0 is the paper, less is for small machines.
        dropout: probability of the dropout before the last linear layer.

    Raises:
        GalaxyError: `classes`, `width` or `dropout` is out of range.
    """

    def __init__(self, *, classes: int = 10, width: float = 1.0, dropout: float = 0.3) -> None:
        super().__init__()
        if classes < 1:
            raise GalaxyError(f"DMAGNet cannot have {classes} classes: ask for at least 1.")
        if not 0.03 <= width <= 4:
            raise GalaxyError(
                f"DMAGNet's width is {width}: choose a factor from 0.03 to 4; 1.0 is the paper."
            )
        if not 0 <= dropout < 1:
            raise GalaxyError(f"DMAGNet's dropout is {dropout}: choose a probability from 0 to below 1.")
        c64, c128, c256, c512, c1024 = (scaled(channels, width) for channels in (64, 128, 256, 512, 1024))
        self.stem = nn.Sequential(  # (N, 3, 256, 256) -> (N, 64, 64, 64)
            conv_bn_relu(3, c64, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1)
        )
        self.dma1 = nn.Sequential(DMABlock(c64, c128, stride=2), DMABlock(c128, c128))  # (N, 128, 32, 32)
        self.dma2 = DMABlock(c128, c256, stride=2)  # (N, 256, 16, 16)
        self.dma3 = nn.Sequential(DMABlock(c256, c512, stride=2), DMABlock(c512, c512))  # (N, 512, 8, 8)
        self.lam = LocalAttention(c512, c1024)  # (N, 1024, 8, 8)
        self.head = Head(c1024, classes=classes, dropout=dropout, width=width)  # (N, classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew, from PyTorch's global generator."""
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W) -> logits (N, classes); H and W at least 32.

        Raises:
            GalaxyError: the images have another number of channels or an impossible size.
        """
        return self.head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W) -> the LAM's output (N, 1024 width, H/32, W/32), rounded up.

        Raises:
            GalaxyError: the images have another number of channels or an impossible size.
        """
        check_images(x)
        for stage in STAGES[:-1]:
            x = self.get_submodule(stage)(x)
        return x


def check_images(x: Tensor) -> None:
    """Refuse what no galaxy image can be.

    Raises:
        GalaxyError: says what the shape is and what it must be.
    """
    if x.ndim != 4 or x.shape[1] != 3:
        raise GalaxyError(
            f"DMAGNet got a tensor of shape {tuple(x.shape)}: give colour images as (N, 3, height, width)."
        )
    if not all(SMALLEST <= side <= LARGEST for side in x.shape[2:]):
        raise GalaxyError(
            f"DMAGNet got images of {x.shape[2]} x {x.shape[3]} pixels: "
            f"each side must be from {SMALLEST} to {LARGEST}, so resize them (256 is the paper's)."
        )


fx.wrap("check_images")  # its way depends on the shape: torch.fx records the call and does not look inside


def initialise(module: nn.Module) -> None:
    """Kaiming-normal convolutions (fan out), small normal linear layers, biases zero."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def count_parameters(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters())
