"""Random changes: those of the paper are tested with the preprocessing; here quarter turns and the jitter."""

import numpy as np
import pytest
import torch

from galaxylib.data.augmentation import Augment, Jitter
from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import GalaxyError

NOTHING = {"rotate": 0, "flip": 0, "brightness": 0, "contrast": 0}


def test_quarter_turns_are_the_four_rotations():
    images = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    augment = Augment(rotate=180, flip=0, brightness=0, contrast=0, quarter_turns=True)
    moved = augment(images, seed=0, epoch=0, rows=range(40))
    seen = []
    for before, after in zip(images, moved, strict=True):
        (quarter,) = [k for k in range(4) if torch.allclose(before.rot90(k, (1, 2)), after, atol=1e-5)]
        seen.append(quarter)
    assert np.bincount(seen, minlength=4).min() >= 4


def test_jitter_hangs_on_seed_epoch_and_row():
    pixels = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    ready, augment = Preprocess(size=40, crop=64), Augment(jitter=1.0, corners="reflection")
    rows = torch.tensor([5, 2, 9, 7])

    def made(**key):
        return ready(pixels, augment=augment, rows=rows, **{"seed": 0, "epoch": 0, **key})

    assert torch.equal(made(), made())
    assert not torch.equal(made(), made(epoch=1))
    assert not torch.equal(made(), made(seed=1))
    still = ready(pixels, augment=Augment(**NOTHING), seed=0, epoch=0, rows=rows)
    torch.testing.assert_close(still, ready(pixels))


def test_without_strength_the_jitter_changes_nothing():
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    same = Jitter(0.0)(images, seed=0, epoch=0, rows=range(3), scale=1.0)
    torch.testing.assert_close(same, images)
    zoom, shift = Jitter(0.0).frame(seed=0, epoch=0, rows=range(3), like=images)
    assert zoom.tolist() == [1, 1, 1]
    assert shift.abs().max() == 0


def test_jitter_has_the_amounts_that_it_names():
    """Measured over many draws, on an image without light: the sky's level and the noise are what is left."""
    flat = torch.full((400, 3, 16, 16), 0.3)
    made = torch.cat([Jitter()(flat, seed=0, epoch=epoch, rows=range(400), scale=1.0) for epoch in range(3)])
    spread = made.std(dim=(2, 3), correction=0).mean(1)
    # Noise with a sigma drawn evenly from 0 to 0.04: its mean is half of that.
    assert spread.mean() == pytest.approx(0.02, rel=0.1)
    zoom, shift = Jitter().frame(seed=0, epoch=0, rows=range(3000), like=flat)
    assert zoom.log().std() == pytest.approx(0.12, rel=0.05)
    assert shift.abs().max() == pytest.approx(1 / 64, rel=0.01)


def test_a_magnified_image_is_larger_and_a_moved_one_elsewhere(monkeypatch):
    y, x = torch.meshgrid(torch.arange(65.0) - 32, torch.arange(65.0) - 32, indexing="ij")
    blob = torch.exp(-(x**2 + y**2) / 50).expand(1, 3, 65, 65)
    for zoom, shift, extent, centre in ((2.0, 0.0, 4.0, 0.0), (1.0, 0.125, 1.0, 0.125 * 65)):
        frame = torch.tensor([zoom]), torch.tensor([[-shift, 0.0]])
        monkeypatch.setattr(Jitter, "frame", lambda self, frame=frame, **_: frame)
        made = Augment(**NOTHING, jitter=1.0)(blob, seed=0, epoch=0, rows=[0])[0, 0]
        assert made.sum() / blob[0, 0].sum() == pytest.approx(extent, rel=0.02)
        assert (made * x).sum() / made.sum() == pytest.approx(centre, abs=0.1)


def test_a_wrong_strength_is_told():
    with pytest.raises(GalaxyError, match="from 0 to 2"):
        Augment(jitter=3)
