"""What the network is shown: the survey's scale, 256 pixels, and a flag for everything that was done."""

import numpy as np
import pytest

from galaxylib import GalaxyError
from galaxylib.catalogue.decoding import Picture
from galaxylib.catalogue.frame import FLAGS, Frame, touches
from galaxylib.data.stretch import viewer_colours

SCALE = 0.262


def ramp(height: int, width: int) -> np.ndarray:
    """Colours that grow steadily to the right and downwards."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([x * 200 / width, y * 200 / height, (x + y) * 100 / (height + width)], 2) + 20


def as_bytes(values: np.ndarray) -> np.ndarray:
    return values.round().astype(np.uint8)


def test_an_image_of_the_survey_stays_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    for scale in (0.262, 0.2623, 0.2615):
        framed, flags = Frame()(Picture(image, pixscale=scale))
        assert np.array_equal(framed, image)
        assert flags == ()
    assert Frame()(Picture(image))[1] == ("scale_assumed",)
    assert Frame(pixscale=0.262)(Picture(image))[1] == ()
    assert Frame(as_is=True)(Picture(image))[1] == ("as_is",)


@pytest.mark.parametrize("size", [(300, 400), (257, 256), (511, 301)])
def test_a_larger_image_is_cut_around_its_middle(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    framed, flags = Frame()(Picture(image, pixscale=SCALE))
    top, left = ((length - 256) // 2 for length in size)
    assert np.array_equal(framed, image[top : top + 256, left : left + 256])
    assert flags == ("cut",)


@pytest.mark.parametrize("size", [(200, 256), (180, 230), (129, 255)])
def test_a_smaller_image_is_padded_with_its_rim(size):
    image = np.random.default_rng(0).integers(100, 110, (*size, 3), np.uint8)
    framed, flags = Frame()(Picture(image, pixscale=SCALE))
    top, left = (128 - length // 2 for length in size)
    inside = np.zeros((256, 256), bool)
    inside[top : top + size[0], left : left + size[1]] = True
    assert np.array_equal(framed[inside].reshape(image.shape), image)
    rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert (framed[~inside] == np.median(rim, axis=0).round()).all()
    assert flags == ("padded",)


@pytest.mark.parametrize(
    ("scale", "size"), [(0.131, 512), (0.131, 600), (0.4, 168), (0.396, 200), (0.05, 1400)]
)
def test_resampling_puts_every_pixel_where_the_scale_says(scale, size):
    """Of a steady ramp, a pixel's value is the ramp's at its middle."""
    framed, flags = Frame()(Picture(as_bytes(ramp(size, size)), pixscale=scale))
    step = SCALE / scale
    place = size / 2 + (np.arange(256) + 0.5 - 128) * step  # in the image's pixels
    inside = (place > 3 * max(step, 1)) & (place < size - 3 * max(step, 1))
    expected = place * 200 / size + 20
    assert np.abs(framed[:, inside, 0][inside] - expected[inside]).max() < 1.01
    assert np.abs(framed[inside][:, inside, 1] - expected[inside][:, None]).max() < 1.01
    assert "resampled" in flags
    assert ("cut" in flags) == (size / step >= 257)
    assert ("padded" in flags) == (int(size / step / 2) * 2 < 256)


def test_a_table_or_a_header_goes_before_the_option():
    image = as_bytes(ramp(400, 400))
    by_option = Frame(pixscale=0.131)(Picture(image))
    by_image = Frame(pixscale=0.7)(Picture(image, pixscale=0.131))
    assert np.array_equal(by_option[0], by_image[0])
    assert by_option[1] == by_image[1] == ("resampled", "padded", "touches_frame")


def test_as_it_is_shows_the_whole_image():
    framed, flags = Frame(as_is=True)(Picture(as_bytes(ramp(512, 512)), pixscale=3.0))
    assert np.abs(framed[4:-4, 4:-4] - ramp(256, 256)[4:-4, 4:-4]).max() < 1.01
    assert flags == ("as_is", "touches_frame")
    framed, flags = Frame(as_is=True)(Picture(np.full((100, 200, 3), 50, np.uint8)))
    assert (framed == 50).all()
    assert flags == ("padded", "as_is")


def test_the_brightest_place_can_be_the_centre():
    y, x = np.mgrid[:500, :600] + 0.5
    light = 200 * np.exp(-((x - 350) ** 2 + (y - 200) ** 2) / 2 / 12**2) + 20
    framed, flags = Frame(centre="light")(Picture(as_bytes(np.stack([light] * 3, 2)), pixscale=SCALE))
    row, column = np.unravel_index(framed[..., 1].astype(int).argmax(), (256, 256))
    assert max(abs(row - 128), abs(column - 128)) <= 3
    assert flags == ("cut",)


@pytest.mark.parametrize(
    ("scale", "size", "small"), [(SCALE, 127, True), (SCALE, 128, False), (1.1, 60, True)]
)
def test_too_small(scale, size, small):
    framed, flags = Frame()(Picture(np.full((size, size, 3), 90, np.uint8), pixscale=scale))
    assert ("too_small" in flags) == small
    assert framed.shape == (256, 256, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (5, 2)])
@pytest.mark.parametrize("scale", [0.002, 0.262, 50])
def test_no_size_and_scale_is_too_odd(size, scale):
    for frame in (Frame(), Frame(as_is=True), Frame(centre="light")):
        framed, flags = frame(Picture(np.full((*size, 3), 90, np.uint8), pixscale=scale))
        assert framed.shape == (256, 256, 3)
        assert (framed == 90).all()
        assert "too_small" in flags or frame.as_is
        light, _ = frame(Picture(np.ones((3, *size), np.float32), is_flux=True, pixscale=scale))
        assert light.shape == (256, 256, 3)


def test_flags_keep_their_order():
    _, flags = Frame()(Picture(np.full((50, 700, 3), 90, np.uint8)))
    assert list(flags) == [flag for flag in FLAGS if flag in flags]
    assert {"cut", "padded", "too_small", "scale_assumed"} == {*flags}


def galaxy(*, width: float, at: tuple[float, float] = (128, 128), seed: int = 0) -> np.ndarray:
    y, x = np.mgrid[:256, :256] + 0.5
    light = 150 * np.exp(-np.hypot(x - at[0], y - at[1]) / width)
    noise = np.random.default_rng(seed).normal(35, 4, (256, 256, 3))
    return (light[..., None] + noise).clip(0, 255).astype(np.uint8)


def test_touching_is_light_unbroken_from_the_centre_to_the_edge():
    assert not touches(galaxy(width=8))
    assert not touches(galaxy(width=20))
    assert touches(galaxy(width=80))
    assert touches(galaxy(width=30, at=(128, 60)))
    assert not touches(galaxy(width=8, at=(128, 3)))  # a neighbour at the edge
    both = np.maximum(galaxy(width=8), galaxy(width=8, at=(128, 3)))
    assert not touches(both)
    assert not touches(np.full((256, 256, 3), 30, np.uint8))
    assert "touches_frame" in Frame()(Picture(galaxy(width=80), pixscale=SCALE))[1]


def test_light_of_another_scale_keeps_its_surface_brightness():
    """Twice the pixels a side, a quarter of the light in each: the same colours."""
    y, x = np.mgrid[:256, :256] + 0.5
    shape = np.exp(-((x - 128) ** 2 + (y - 128) ** 2) / 2 / 30**2)
    coarse = np.stack([shape * band for band in (0.2, 0.1, 0.05)]).astype(np.float32)
    y, x = (np.mgrid[:512, :512] + 0.5) / 2
    shape = np.exp(-((x - 128) ** 2 + (y - 128) ** 2) / 2 / 30**2)
    fine = np.stack([shape * band / 4 for band in (0.2, 0.1, 0.05)]).astype(np.float32)
    first, _ = Frame()(Picture(coarse, is_flux=True, pixscale=SCALE))
    second, flags = Frame()(Picture(fine, is_flux=True, pixscale=SCALE / 2))
    assert np.array_equal(first, (viewer_colours(coarse) * 255 + 0.5).astype(np.uint8))
    assert np.abs(first.astype(int) - second).max() <= 1
    assert flags == ("resampled",)


def test_light_is_padded_with_empty_sky():
    framed, _ = Frame()(Picture(np.ones((3, 100, 100), np.float32), is_flux=True, pixscale=SCALE))
    sky = (viewer_colours(np.zeros((3, 1, 1), np.float32)) * 255 + 0.5).astype(np.uint8)
    assert (framed[:70] == sky[0, 0]).all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"pixscale": 0}, "pixscale is 0"),
        ({"pixscale": float("nan")}, "pixscale is nan"),
        ({"centre": "left"}, "no centre 'left'"),
        ({"as_is": True, "centre": "light"}, "leave out one"),
    ],
)
def test_frames_that_cannot_be_are_refused(settings, sentence):
    with pytest.raises(GalaxyError, match=sentence):
        Frame(**settings)


@pytest.mark.parametrize("scale", [0.0, -1.0, 1e9])
def test_scales_that_cannot_be_are_told(scale):
    with pytest.raises(GalaxyError, match="mend its table or its WCS"):
        Frame()(Picture(np.zeros((9, 9, 3), np.uint8), pixscale=scale))
