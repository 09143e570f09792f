"""What the tests of dreams dream with: a tiny network that has met data, and a picture of a galaxy."""

import torch

from galaxylib.networks.dmagnet import DMAGNet


def met_data() -> DMAGNet:
    """A tiny DMAGNet, still in training mode, whose BatchNorms have met data, so that folding has work."""
    torch.manual_seed(0)
    network = DMAGNet(width=0.125)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, 3, 64, 64))
    return network


def tilted_blob() -> torch.Tensor:
    """A tilted blob on a noisy sky, (3, 80, 80)."""
    y, x = torch.meshgrid(torch.arange(80.0) - 39.5, torch.arange(80.0) - 39.5, indexing="ij")
    light = 0.7 * torch.exp(-(((x + y) / 16) ** 2) - ((x - y) / 8) ** 2)
    noise = 0.02 * torch.randn(3, 80, 80, generator=torch.Generator().manual_seed(1))
    return (torch.stack([light, 0.9 * light, 0.7 * light]) + 0.14 + noise).clamp(0, 1)
