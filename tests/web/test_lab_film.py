"""The film of a dream that the lab writes: an animated PNG, read here by Pillow."""

import base64
import io
from collections.abc import Iterator

import numpy as np
import pytest
from conftest import page_of_scripts
from PIL import Image


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    folder = tmp_path_factory.mktemp("film")
    html = "<!doctype html><title>Film</title><link rel=icon href=data:,>"
    with page_of_scripts(browser, folder, html) as opened:
        yield opened


def film(page, frames: list[np.ndarray]) -> Image.Image:
    """The film of some frames (H, W, 3) uint8, opened."""
    sent = [
        [*frame.shape[:2], np.dstack([frame, np.full(frame.shape[:2], 255)]).ravel().tolist()]
        for frame in frames
    ]
    text = page.evaluate(
        """async (frames) => {
            const { Film } = await import("./film.js");
            const film = new Film();
            for (const [height, width, data] of frames) film.add({ width, height, data });
            const bytes = new Uint8Array(await (await film.file()).arrayBuffer());
            let text = "";
            for (const byte of bytes) text += String.fromCharCode(byte);
            return btoa(text);
        }""",
        sent,
    )
    return Image.open(io.BytesIO(base64.b64decode(text)))


def seen(opened: Image.Image) -> list[np.ndarray]:
    pictures = []
    for number in range(opened.n_frames):
        opened.seek(number)
        pictures.append(np.asarray(opened.convert("RGB")))
    return pictures


def test_every_step_is_in_the_film_to_the_last_bit(page) -> None:
    generator = np.random.default_rng(0)
    frames = [generator.integers(0, 256, (7, 11, 3), np.uint8) for _ in range(5)]
    opened = film(page, frames)
    assert opened.default_image
    still, *steps = seen(opened)
    np.testing.assert_array_equal(still, frames[-1])  # what a program shows that knows no films
    np.testing.assert_array_equal(steps, frames)
    opened.seek(1)
    assert opened.info["duration"] == pytest.approx(1000 / 12)
    opened.seek(5)
    assert opened.info["duration"] == 2000
    assert opened.info["loop"] == 0


def test_smaller_octaves_are_enlarged(page) -> None:
    frames = [np.full((4, 4, 3), 90, np.uint8), np.full((8, 8, 3), 200, np.uint8)]
    _, small, large = seen(film(page, frames))
    assert small.shape == (8, 8, 3)
    assert (small == 90).all()
    assert (large == 200).all()


def test_a_long_dream_keeps_its_end_and_every_other_step(page) -> None:
    frames = [np.full((2, 2, 3), number, np.uint8) for number in range(250)]
    opened = film(page, frames)
    shades = [int(picture[0, 0, 0]) for picture in seen(opened)[1:]]
    assert len(shades) <= 121
    assert shades[-1] == 249
    assert set(np.diff(shades[:-1])) == {4}
