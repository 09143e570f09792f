"""The lab's mask against the library's on the same steps, and the picture under it as a file."""

import base64
import io
from collections.abc import Iterator

import numpy as np
import pytest
from conftest import page_of_scripts
from PIL import Image
from small_dreams import tilted_blob
from torch import nn

from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import Dream, Settings, dream, layer

SETTINGS = Settings(sizes=(64, 96), steps=(3, 2), rates=(0.05, 0.03), jitter=(0, 0))


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    html = "<!doctype html><title>Mask</title><link rel=icon href=data:,>"
    with page_of_scripts(browser, tmp_path_factory.mktemp("mask"), html) as opened:
        yield opened


@pytest.fixture(scope="module")
def made() -> Dream:
    """A dream of the light above the mean, which needs no network's gradient to be repeated in a page."""
    network = nn.Sequential(nn.ReLU(), nn.Identity())
    return dream(network, tilted_blob(), layer("0"), settings=SETTINGS, preprocess=Preprocess())


def masked(page, settings: dict[str, object]) -> np.ndarray:
    """The page's picture and mask of that dream with such settings, (H, W, 4) uint8."""
    image, preprocess = tilted_blob(), Preprocess()
    height, width, bytes_ = page.evaluate(
        """async ([image, settings, mean, std]) => {
            const { ascend, complete, normalise } = await import("./ascent.js");
            const { Mask } = await import("./mask.js");
            const { withAlpha } = await import("./picture.js");
            const { planewise, toRGBA } = await import("./pixels.js");
            const gradient = async (now) => {
                const seen = normalise(now, mean, std);
                const slope = (value, plane) => (2 * Math.max(0, value)) / std[plane] / seen.data.length;
                return { value: 0, gradient: planewise(seen, slope) };
            };
            const mask = new Mask();
            const given = { ...image, data: Float32Array.from(image.data) };
            const steps = ascend({ image: given, gradient, settings: complete(settings), mean, std, mask });
            let next = await steps.next();
            while (!next.done) next = await steps.next();
            const { width, height } = next.value;
            const opaque = { width, height, data: toRGBA(next.value) };
            return [height, width, [...withAlpha(opaque, mask.bytes(width, height)).data]];
        }""",
        [
            {"width": image.shape[2], "height": image.shape[1], "data": image.flatten().tolist()},
            settings,
            preprocess.mean,
            preprocess.std,
        ],
    )
    return np.array(bytes_, np.uint8).reshape(height, width, 4)


def test_mask_is_the_librarys(page, made: Dream) -> None:
    """Two sizes of two octaves each: the sum is carried from one to the next."""
    found = masked(page, {"sizes": [64, 96], "steps": [3, 2], "rate": [0.05, 0.03], "jitter": 0})
    expected = made.rgba
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert np.mean(found[..., 3] == 255) == pytest.approx(0.2, abs=0.01)
    assert np.unique(found[..., 3]).size > 100


def test_mask_lies_where_the_picture_was_before_it_was_shifted(page) -> None:
    settings = {"size": 64, "steps": 1, "octaves": 1, "rate": 0.05, "seed": 3}
    still, shifted = (masked(page, settings | {"jitter": jitter}) for jitter in (0, 20))
    np.testing.assert_array_equal(shifted[..., 3], still[..., 3])


def test_no_step_leaves_all_transparent(page) -> None:
    assert not masked(page, {"size": 64, "steps": 0})[..., 3].any()


@pytest.mark.parametrize("alpha", [255, None])
def test_file_has_every_pixel_and_its_opacity(page, alpha: int | None) -> None:
    """Also those under an opacity of 0, which a canvas forgets."""
    pixels = np.random.default_rng(0).integers(0, 256, (7, 11, 4), np.uint8)
    pixels[..., 3] = np.arange(77).reshape(7, 11) if alpha is None else alpha
    text = page.evaluate(
        """async ([height, width, data]) => {
            const { pngFile } = await import("./png.js");
            const file = await pngFile({ width, height, data: Uint8ClampedArray.from(data) });
            return btoa(String.fromCharCode(...new Uint8Array(await file.arrayBuffer())));
        }""",
        [7, 11, pixels.ravel().tolist()],
    )
    with Image.open(io.BytesIO(base64.b64decode(text))) as file:
        assert file.mode == ("RGBA" if alpha is None else "RGB")
        np.testing.assert_array_equal(np.asarray(file.convert("RGBA")), pixels)
