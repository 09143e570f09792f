"""What the dream lab in Jupyter shows, against the layer's own output and plain cuts."""

import numpy as np
import pytest
import torch
from small_dreams import tilted_blob

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.dream.controls import SHOWN
from galaxylib.dream.images import fit
from galaxylib.dream.shown import beside, channel_maps, first_of_each_class, small
from galaxylib.errors import DreamError
from galaxylib.networks.checkpoint import load


def test_maps_are_those_of_the_busiest_channels(tiny_checkpoint):
    loaded, kept = load(tiny_checkpoint), []
    busiest, maps = channel_maps(loaded, tilted_blob(), "dma1")
    handle = loaded.network.dma1.register_forward_hook(lambda m, i, output: kept.append(output[0]))
    with torch.no_grad():
        loaded.network(loaded.preprocess.normalise(fit(tilted_blob()[None], 256, 256)))
    handle.remove()
    means = kept[0].abs().mean((1, 2))
    assert busiest == sorted(range(len(means)), key=lambda one: -means[one])[:10]
    assert maps.shape == (64, 640)
    assert maps.dtype == np.uint8
    for number, channel in enumerate(busiest):
        own = maps[:, 64 * number : 64 * (number + 1)]
        assert (own.min(), own.max()) == (0, 255)
        times = 64 // kept[0].shape[1]  # that each value is repeated along a side
        assert np.corrcoef(own[::times, ::times].ravel(), kept[0][channel].ravel())[0, 1] > 0.999
    with pytest.raises(DreamError, match="head has no maps to show"):
        channel_maps(loaded, tilted_blob(), "head")


def test_two_pictures_share_the_width():
    before, after = torch.zeros(3, 40, 80), torch.ones(3, 40, 80)
    shown = beside(before, after, share=0.25)
    assert shown.shape == (SHOWN // 2, SHOWN, 3)
    assert (shown[:, : SHOWN // 4] == 255).all()
    assert (shown[:, SHOWN // 4 :] == 0).all()
    np.testing.assert_array_equal(beside(before, after, share=1.0), small(after))


def test_first_of_each_class(blob_file):
    found = first_of_each_class(blob_file)
    assert list(found) == list(CLASS_NAMES)
    with Galaxy10(blob_file) as data:
        row = int(np.flatnonzero(data.labels == 3)[0])
        np.testing.assert_array_equal(
            (found[CLASS_NAMES[3]] * 255).round().byte().permute(1, 2, 0).numpy(), data.read([row])[0]
        )
