"""Memory stays with the process where the C library can be told so."""

import ctypes
import resource
import sys

import pytest
import torch

from galaxylib.training.hardware import keeping_memory

MEGABYTE = 2**20


def faults() -> int:
    """Pages that the system has to find for an array of 48 MB, once one was freed: the fewest of eight tries.

    The first few may find the freed memory in another place than they need it.
    """
    counts = []
    for _ in range(8):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.zeros(48 * MEGABYTE, dtype=torch.uint8).add_(1)
        counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return min(counts)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library"
)
def test_memory_is_asked_for_once():
    page = resource.getpagesize()
    with keeping_memory():
        kept = faults()
    assert kept < 0.1 * 48 * MEGABYTE / page
    assert faults() > 10 * kept + 100  # and given back as before afterwards


def test_other_systems_are_left_as_they_are(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with keeping_memory():
        assert float(torch.ones(3).sum()) == 3
