"""Batch normalisation's statistics, measured anew."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def fresh_statistics(network: nn.Module) -> Iterator[nn.Module]:
    """Forget the running means and variances; what the network sees in the block makes new ones.

    All else of the network is in evaluation mode, in the block and afterwards. The new statistics are plain
    averages over the batches.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        yield network
    finally:
        network.eval()
