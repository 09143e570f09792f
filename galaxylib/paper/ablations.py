"""DMAGNet without one of the parts that its paper credits: what each of them brings can then be measured."""

from typing import Any

import torch
from torch import Tensor, nn

from galaxylib.networks.dmagnet import DMABlock, DMAGNet
from galaxylib.paper.reference import Reference, differences

WHOLE = "DMAGNet, whole"
PARTS_WIDTH = 0.25
"""The width at which the reference run leaves the parts out: it takes many trainings."""
PARTS = {
    "dlk": "no DLK",
    "ms_ffn": "no MS-FFN",
    "aff": "no AFF",
    "lam_attention": "no attention in the LAM",
    "weighted_pooling": "plain pooling",
}
"""What `WithParts` may leave out, by the name of its option, and how a table calls the network without it."""


class Open(nn.Module):
    """A gate that lets everything through: ones of the shape (N, channels, H, W).

    Args:
        channels: of the gate; 0 for those of the image.
    """

    def __init__(self, channels: int = 0) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> ones."""
        return torch.ones_like(x[:, : self.channels] if self.channels else x)


class WithParts(DMAGNet):
    """DMAGNet, of which parts may be left out; what remains begins with the same weights as in the whole.

    Args:
        classes: number of logits.
        width: factor on the channels.
        dropout: in the head.
        dlk: whether the five blocks have their DLK, the kernels of several reaches; else nothing is there.
        ms_ffn: the same of their MS-FFN.
        aff: the same of their AFF, the gates of channels.
        lam_attention: whether the LAM gates its pixels; its convolutions stay.
        weighted_pooling: whether the head weighs the pixels before it averages them.
    """

    def __init__(
        self,
        *,
        classes: int = 10,
        width: float = 1.0,
        dropout: float = 0.3,
        dlk: bool = True,
        ms_ffn: bool = True,
        aff: bool = True,
        lam_attention: bool = True,
        weighted_pooling: bool = True,
    ) -> None:
        super().__init__(classes=classes, width=width, dropout=dropout)
        for block in (module for module in self.modules() if isinstance(module, DMABlock)):
            block.dlk = block.dlk if dlk else nn.Identity()
            block.ffn = block.ffn if ms_ffn else nn.Identity()
            block.aff = block.aff if aff else nn.Identity()
        if not lam_attention:
            self.lam.gate = Open()
        if not weighted_pooling:
            self.head.attention = Open(1)


def part_changes(reference: Reference) -> list[dict[str, Any]]:
    """Each network without a part less the whole one, in the reference run; see `differences`."""
    return differences(reference, "parts", against=dict.fromkeys(PARTS.values(), WHOLE))
