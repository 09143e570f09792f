import math

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from galaxylib.data.preprocessing import Augment, Preprocess
from galaxylib.errors import GalaxyError


@pytest.fixture(scope="module")
def images():
    """Eight batches of structure at all scales, in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(8, 3, 9, 9, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(96, 96), mode="bicubic").clamp(0, 1)
    return (smooth + 0.1 * torch.rand(8, 3, 96, 96, generator=generator)).clamp(0, 1)


def test_equals_the_papers_transforms_image_by_image(images):
    augment, rows = Augment(), np.arange(8) + 100
    changes = augment.draw(seed=1, epoch=2, rows=rows).tolist()
    assert {(mirror, upend) for _, mirror, upend, *_ in changes} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    batch = augment(images, seed=1, epoch=2, rows=rows)
    for image, ours, (angle, mirror, upend, brightness, contrast) in zip(images, batch, changes, strict=True):
        theirs = tv.rotate(image, angle, interpolation=InterpolationMode.BILINEAR)
        theirs = tv.horizontal_flip(theirs) if mirror else theirs
        theirs = tv.vertical_flip(theirs) if upend else theirs
        theirs = tv.adjust_contrast(tv.adjust_brightness(theirs, brightness), contrast)
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


@pytest.mark.parametrize(("turned", "oracle"), [(90, lambda x: x.rot90(1, (2, 3))), (0, lambda x: x)])
def test_right_angles_move_pixels_exactly(images, turned, oracle):
    class Fixed(Augment):
        def draw(self, **_):
            return torch.tensor([[turned, 0, 0, 1, 1]]).float().repeat(8, 1)

    torch.testing.assert_close(
        Fixed()(images, seed=0, epoch=0, rows=range(8)), oracle(images), atol=2e-5, rtol=0
    )


def test_draws_have_the_papers_distribution():
    changes = Augment().draw(seed=0, epoch=0, rows=range(4000)).numpy()
    angle, mirror, upend, brightness, contrast = changes.T
    assert -180 <= angle.min() < -179
    assert 179 < angle.max() <= 180
    assert abs(angle.mean()) < 5
    assert angle.std() == pytest.approx(360 / np.sqrt(12), rel=0.03)
    for flips in (mirror, upend):
        assert set(flips) == {0, 1}
        assert flips.mean() == pytest.approx(0.5, abs=0.03)
    for factor in (brightness, contrast):
        assert 0.9 <= factor.min() < 0.901
        assert 1.099 < factor.max() <= 1.1
    assert np.abs(np.corrcoef(changes.T) - np.eye(5)).max() < 0.05


def test_an_image_changes_alike_in_any_batch_and_anew_each_epoch(images):
    augment = Augment()
    whole = augment(images, seed=0, epoch=3, rows=range(8))
    part = augment(images[[5, 2]], seed=0, epoch=3, rows=[5, 2])
    torch.testing.assert_close(whole[[5, 2]], part)
    torch.testing.assert_close(whole, augment(images, seed=0, epoch=3, rows=torch.arange(8)))
    assert not torch.allclose(whole, augment(images, seed=0, epoch=4, rows=range(8)))
    assert not torch.allclose(whole, augment(images, seed=1, epoch=3, rows=range(8)))


def test_the_crop_is_cut_from_the_turned_image(images):
    augment = Augment(brightness=0, contrast=0)
    whole = augment(images, seed=0, epoch=0, rows=range(8))
    crop = augment(images, seed=0, epoch=0, rows=range(8), crop=48)
    torch.testing.assert_close(crop, whole[:, :, 24:72, 24:72], atol=2e-5, rtol=0)


def test_corners_black_or_mirrored(images):
    bright = images * 0.5 + 0.5
    turn = {"seed": 0, "epoch": 0, "rows": range(8)}
    black = Augment(flip=0, brightness=0, contrast=0)
    mirrored = Augment(flip=0, brightness=0, contrast=0, corners="reflection")
    assert black(bright, **turn).min() == 0
    assert mirrored(bright, **turn).min() > 0.4
    centre = (slice(None), slice(None), slice(32, 64), slice(32, 64))
    torch.testing.assert_close(black(bright, **turn)[centre], mirrored(bright, **turn)[centre])


@pytest.mark.parametrize("options", [{"corners": "sky"}, {"flip": 2}, {"rotate": -1}, {"contrast": -0.1}])
def test_augment_that_cannot_be(options):
    with pytest.raises(GalaxyError):
        Augment(**options)


@pytest.fixture(scope="module")
def stored():
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8))


def test_preprocess_normalises_as_torchvision_does(stored):
    ours = Preprocess(size=64, crop=64)(stored)
    for image, result in zip(stored, ours, strict=True):
        theirs = tv.normalize(
            tv.to_dtype(image.permute(2, 0, 1), torch.float32, scale=True),
            (0.16797, 0.16304, 0.15937),
            (0.11394, 0.10875, 0.10070),
        )
        torch.testing.assert_close(result, theirs, atol=1e-5, rtol=0)


def test_channels_last_or_second_and_crop_and_resize(stored):
    preprocess = Preprocess(size=24, crop=48)
    ours = preprocess(stored)
    torch.testing.assert_close(ours, preprocess(stored.permute(0, 3, 1, 2)))
    cropped = tv.center_crop(stored.permute(0, 3, 1, 2).float() / 255, [48, 48])
    theirs = tv.resize(cropped, [24, 24], antialias=True)
    torch.testing.assert_close(preprocess.denormalise(ours), theirs, atol=1e-5, rtol=0)
    assert ours.shape == (4, 3, 24, 24)


def test_augment_happens_before_crop_and_resize(stored):
    preprocess, augment = Preprocess(size=24, crop=32), Augment(corners="reflection")
    ours = preprocess(stored, augment=augment, seed=1, epoch=0, rows=range(4))
    changed = augment(preprocess.unit(stored), seed=1, epoch=0, rows=range(4), crop=32)
    torch.testing.assert_close(ours, preprocess.normalise(tv.resize(changed, [24, 24], antialias=True)))
    with pytest.raises(GalaxyError, match="rows="):
        preprocess(stored, augment=augment)


@pytest.mark.parametrize(("size", "times"), [(24, 2), (12, 4), (16, 2)])
def test_changes_are_made_on_no_more_pixels_than_the_network_reads(stored, size, times):
    preprocess, augment = Preprocess(size=size, crop=48), Augment(corners="reflection")
    ours = preprocess(stored, augment=augment, seed=1, epoch=0, rows=range(4))
    squares = stored.float().reshape(4, 64 // times, times, 64 // times, times, 3).mean((2, 4))
    means = squares.permute(0, 3, 1, 2) / 255
    changed = augment(means, seed=1, epoch=0, rows=range(4), crop=48 // times)
    expected = preprocess.normalise(tv.resize(changed, [size, size], antialias=True))
    # Each halving rounds twice by half a grey level, which brightness and contrast stretch by a tenth each.
    levels = 1.21 * math.log2(times)
    torch.testing.assert_close(ours, expected, atol=levels / 255 / 0.1, rtol=0)


def test_to_dict_and_back():
    preprocess = Preprocess(size=128, crop=192, mean=(0.1, 0.2, 0.3))
    assert Preprocess.from_dict(preprocess.to_dict()) == preprocess
    with pytest.raises(GalaxyError):
        Preprocess.from_dict({"size": 3})


@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 64, 64, 3), torch.zeros(64, 64, 3, dtype=torch.uint8), torch.zeros(1, 4, 9, 9).byte()],
)
def test_images_that_are_no_batch(images):
    with pytest.raises(GalaxyError, match="no batch"):
        Preprocess()(images)


def test_images_smaller_than_the_crop(stored):
    with pytest.raises(GalaxyError, match=r"smaller than the crop\s+of 65"):
        Preprocess(crop=65)(stored)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_the_device_changes_nothing(images):
    ours = Augment()(images.cuda(), seed=0, epoch=0, rows=range(8))
    assert ours.is_cuda
    torch.testing.assert_close(
        ours.cpu(), Augment()(images, seed=0, epoch=0, rows=range(8)), atol=1e-4, rtol=0
    )
