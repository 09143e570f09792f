"""Pictures in, dreams out and made again: reading, the record, the film and the command line."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from galaxylib import DMAGNet
from galaxylib.cli import main
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import Settings, dream, layer, read_image, save_film
from galaxylib.dream.record import network_hash, read_png
from galaxylib.errors import DreamError
from galaxylib.networks.checkpoint import save

QUICK = Settings(sizes=(64,), steps=(2,), rates=(0.05,), jitter=(3,))


@pytest.fixture(scope="module")
def folder(tiny_checkpoint, tmp_path_factory):
    """A checkpoint and a galaxy picture."""
    folder = tmp_path_factory.mktemp("dreams")
    shutil.copytree(tiny_checkpoint, folder / "checkpoint")
    Image.fromarray(blob()).save(folder / "galaxy.png")
    return folder


def blob(side=80):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    light = 180 * np.exp(-((x / 12) ** 2) - (y / 6) ** 2)[..., None] * [1, 0.9, 0.7]
    return (light + 36).astype(np.uint8)


def run(folder, *arguments):
    return main(["dream", "--quiet", "--checkpoint", str(folder / "checkpoint"), *map(str, arguments)])


@pytest.mark.slow
def test_a_dream_is_made_and_made_again_byte_for_byte(folder, tmp_path, capsys):
    out, again, film, text = (tmp_path / name for name in ("a.png", "b.png", "a.gif", "a.json"))
    asked = ["--image", folder / "galaxy.png", "--layer", "dma1:3 + 0.1*stem", "--size", 64, "--seed", 4]
    assert run(folder, *asked, "--out", out, "--film", film, "--json", text) == 0
    assert "64 x 64 pixels; dma1:3 + 0.1*stem" in capsys.readouterr().out
    former = read_png(out)
    record, image, mask = former.record, former.image, former.mask
    assert record == json.loads(text.read_text())
    assert record["seed"] == 4
    assert record["settings"]["sizes"] == [64]
    assert record["steps_done"] == 40
    assert np.array_equal((image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8), blob())
    assert mask is None
    with Image.open(film) as frames:
        assert frames.n_frames == 40
    (folder / "galaxy.png").rename(folder / "moved.png")  # the dream does not need its picture any more
    assert main(["dream", "--quiet", "--from", str(out), "--out", str(again)]) == 0
    (folder / "moved.png").rename(folder / "galaxy.png")
    assert out.read_bytes() == again.read_bytes()


@pytest.mark.slow
def test_masked_noisy_and_stopped_dreams_are_made_again(folder, tmp_path):
    mask = np.zeros((80, 80), np.uint8)
    mask[20:60, 10:50] = 200
    Image.fromarray(mask).save(tmp_path / "mask.png")
    out, again = tmp_path / "a.png", tmp_path / "b.png"
    asked = ["--image", folder / "galaxy.png", "--size", 48, "--mask", tmp_path / "mask.png"]
    asked += ["--start", "galaxies", "--parametrisation", "fourier", "--layer", "logit:Merging"]
    assert run(folder, *asked, "--out", out) == 0
    assert run(folder, "--from", out, "--out", again) == 0
    assert out.read_bytes() == again.read_bytes()
    values = read_png(out).record["values"]
    assert values[-1] != values[0]

    network = DMAGNet(width=0.125)
    image = torch.rand(3, 70, 70)  # no whole bytes: kept as floats
    stopped = dream(network, image, layer("stem"), settings=QUICK, progress=lambda step: step.number == 3)
    stopped.save(tmp_path / "c.png", checkpoint="none")
    former = read_png(tmp_path / "c.png")
    assert torch.equal(former.image, image)
    assert former.record["steps_done"] == former.steps_done == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--image", "{}/none.png"], "There is no image"),
        (["--image", "{}/checkpoint/checkpoint.json"], "no whole image"),
        (["--image", "{}/galaxy.png", "--layer", "lamb"], "nearest are lam"),
        (["--image", "{}/galaxy.png", "--layer", "logit:Spiral"], "No class is called"),
        (["--image", "{}/galaxy.png", "--size", "7"], "is no whole number from 32 to 8,192"),
        (["--image", "{}/galaxy.png", "--size", "1000000"], "is no whole number from 32 to 8,192"),
        (["--image", "{}/galaxy.png", "--checkpoint", "{}/nothing"], "checkpoint"),
        (["--image", "{}/galaxy.png", "--start", "there"], "--start"),
        (["--from", "{}/galaxy.png"], "no record of a dream"),
        (["--from", "{}/none.png"], "There is no file"),
        (["--from", "{}/galaxy.png", "--size", "64"], "leave out --size"),
        ([], "--image"),
    ],
)
def test_faults_are_one_sentence(folder, tmp_path, capsys, arguments, sentence):
    arguments = [text.format(folder) for text in arguments]
    assert run(folder, *arguments, "--out", tmp_path / "out.png") == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


@pytest.mark.slow
def test_other_faults_of_the_command(folder, tmp_path, capsys):
    galaxy = ["--image", folder / "galaxy.png", "--size", 64, "--layer", "stem"]
    assert run(folder, *galaxy, "--out", tmp_path / "out.jpg") == 1
    assert "PNG" in capsys.readouterr().err
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "mask.png")
    assert run(folder, *galaxy, "--mask", tmp_path / "mask.png", "--out", tmp_path / "out.png") == 1
    assert "same size" in capsys.readouterr().err

    assert run(folder, *galaxy, "--out", tmp_path / "a.png") == 0
    other = shutil.copytree(folder / "checkpoint", tmp_path / "other")
    save(
        other,
        DMAGNet(width=0.125),
        name="dmagnet",
        options={"width": 0.125},
        preprocess=Preprocess(),
        class_names=CLASS_NAMES,
    )
    capsys.readouterr()
    arguments = ["--from", str(tmp_path / "a.png"), "--out", str(tmp_path / "b.png")]
    assert main(["dream", "--quiet", "--checkpoint", str(other), *arguments]) == 1
    assert "not the one that made" in capsys.readouterr().err


def test_a_changed_dream_is_found_out(folder, tmp_path):
    made = dream(DMAGNet(width=0.125), torch.rand(3, 64, 64), layer("stem"), settings=QUICK)
    made.save(tmp_path / "a.png")
    made.record["image_sha256"] = "0" * 64
    made.save(tmp_path / "b.png")
    with pytest.raises(DreamError, match="was changed"):
        read_png(tmp_path / "b.png")
    half = tmp_path / "half.png"
    half.write_bytes((tmp_path / "a.png").read_bytes()[:3000])
    with pytest.raises(DreamError, match="no record"):
        read_png(half)


def test_the_networks_hash_sees_every_weight():
    torch.manual_seed(0)
    network = DMAGNet(width=0.05)
    before = network_hash(network)
    assert network_hash(network) == before
    network.head.classify[3].bias.data[4] += 1e-6
    assert network_hash(network) != before
    network.head.classify[3].bias.data[4] -= 1e-6
    network.head.classify[3].weight.data = network.head.classify[3].weight.data.flip(0)
    assert network_hash(network) != before


RGB = blob(24)


@pytest.mark.parametrize(
    ("name", "make", "tolerance"),
    [
        ("rgb.png", lambda p: Image.fromarray(RGB).save(p), 0),
        ("rgb.bmp", lambda p: Image.fromarray(RGB).save(p), 0),
        ("rgb.jpg", lambda p: Image.fromarray(RGB).save(p, quality=98, subsampling=0), 0.02),
        ("rgba.png", lambda p: Image.fromarray(RGB).convert("RGBA").save(p), 0),
        ("palette.gif", lambda p: Image.fromarray(RGB).quantize(256).save(p), 0.03),
        ("cmyk.jpg", lambda p: Image.fromarray(RGB).convert("CMYK").save(p, quality=98), 0.03),
    ],
)
def test_pictures_of_many_modes(tmp_path, name, make, tolerance):
    make(tmp_path / name)
    image = read_image(tmp_path / name)
    assert image.shape == (3, 24, 24)
    assert image.dtype == torch.float32
    expected = torch.from_numpy(RGB).permute(2, 0, 1) / 255
    assert float((image - expected).abs().max()) <= tolerance + 1e-7


def test_grey_and_deep_pictures(tmp_path):
    ramp = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    image = read_image(tmp_path / "deep.png")
    np.testing.assert_allclose(image[1].numpy(), ramp / ramp.max(), atol=1e-7)
    assert len(np.unique(image[0].numpy())) == 600  # all 16 bits
    Image.fromarray((ramp // 256).astype(np.uint8)).save(tmp_path / "grey.png")
    grey = read_image(tmp_path / "grey.png")
    assert torch.equal(grey[0], grey[2])
    Image.fromarray(ramp.astype(np.float32)).save(tmp_path / "float.tif")
    assert float(read_image(tmp_path / "float.tif").max()) == 1
    Image.fromarray(np.zeros((20, 30), bool)).save(tmp_path / "bits.png")
    assert float(read_image(tmp_path / "bits.png").max()) == 0
    clear = np.dstack([RGB, np.zeros((24, 24), np.uint8)])
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert float(read_image(tmp_path / "clear.png").max()) == 0  # wholly transparent: black


def test_a_turned_photograph_is_turned_back(tmp_path):
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 255
    for orientation, stored in {
        1: upright,
        3: upright[::-1, ::-1],
        6: np.rot90(upright, 1),
        8: np.rot90(upright, -1),
    }.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "photo.png", exif=exif)
        image = read_image(tmp_path / "photo.png")
        assert image.shape == (3, 16, 32), orientation
        assert np.array_equal(image[0].numpy() * 255, upright[..., 0]), orientation


def test_broken_and_absurd_pictures(tmp_path, monkeypatch):
    Image.fromarray(RGB).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:200])
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("half.png", "empty.png"):
        with pytest.raises(DreamError, match="no whole image"):
            read_image(tmp_path / name)
    monkeypatch.setattr("galaxylib.data.images.LARGEST_INPUT", 20)
    with pytest.raises(DreamError, match="24 x 24"):
        read_image(tmp_path / "whole.png")
    monkeypatch.undo()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DreamError, match="too many pixels"):
        read_image(tmp_path / "whole.png")
    hole = np.full((8, 8), np.nan, np.float32)
    Image.fromarray(hole).save(tmp_path / "nan.tif")
    with pytest.raises(DreamError, match="not numbers"):
        read_image(tmp_path / "nan.tif")


def test_fits(tmp_path):
    fits = pytest.importorskip("astropy.io.fits")
    light = blob(40)[..., 0].astype(float) ** 2
    fits.writeto(tmp_path / "one.fits", light)
    image = read_image(tmp_path / "one.fits")
    assert image.shape == (3, 40, 40)
    assert torch.equal(image[0], image[2])
    assert float(image.max()) == 1
    # Row 0 of a FITS image is its bottom; the stretch keeps the order of the pixels.
    order = np.argsort(light[::-1].ravel(), kind="stable")
    assert (np.diff(image[0].numpy().ravel()[order]) >= 0).all()
    colour = np.stack([light, 0.5 * light, 0.1 * light])
    colour[:, :3] = np.nan
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(colour)]).writeto(tmp_path / "three.fits")
    image = read_image(tmp_path / "three.fits")
    assert torch.isfinite(image).all()
    assert (image[0] >= image[1]).all()
    fits.writeto(tmp_path / "void.fits", np.full((9, 9), np.nan))
    fits.writeto(tmp_path / "cube.fits", np.zeros((5, 9, 9)))
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "none.fits")
    (tmp_path / "broken.fits").write_bytes(b"SIMPLE  = no")
    for name, sentence in {
        "void.fits": "no number at all",
        "cube.fits": "one plane or three",
        "none.fits": "no image",
        "broken.fits": "FITS",
    }.items():
        with pytest.raises(DreamError, match=sentence):
            read_image(tmp_path / name)


def test_a_film_needs_frames(tmp_path):
    for name in ("film.gif", "film.mp4"):
        with pytest.raises(DreamError, match="keep_frames"):
            save_film([], tmp_path / name)
    with pytest.raises(DreamError, match=r"call it .*film\.mp4"):
        save_film([blob()], tmp_path / "film.avi")


def test_a_film_shows_the_frames(tmp_path):
    """Both formats decoded again: every frame there, in order, at its time, near what went in."""
    av = pytest.importorskip("av")
    places = range(10, 70, 6)
    frames = [np.roll(blob(), place - 40, axis=1) for place in places]  # a blob that walks
    save_film(frames, tmp_path / "a.gif", width=80, seconds=2)
    save_film(frames, tmp_path / "a.mp4", width=80, seconds=2)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == len(frames)
        seen = [np.asarray((film.seek(n), film.convert("RGB"))[1]) for n in range(film.n_frames)]
    with av.open(str(tmp_path / "a.mp4")) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        decoded = list(film.decode(stream))
    assert [frame.time for frame in decoded] == pytest.approx([n / 5 for n in range(15)], abs=1e-3)
    again = [frame.to_ndarray(format="rgb24") for frame in decoded]
    for frame, from_gif, from_mp4 in zip(frames, seen, again, strict=False):
        for found in (from_gif, from_mp4):
            assert np.abs(found.astype(int) - frame).mean() < 4
        assert from_mp4.sum(2).sum(0).argmax() == pytest.approx(frame.sum(2).sum(0).argmax(), abs=1)
    assert np.array_equal(again[-1], again[len(frames) - 1])  # the last one stays


def test_films_of_odd_and_changing_sizes(tmp_path):
    av = pytest.importorskip("av")
    frames = [blob(41), blob(80), blob(81)[:33]]
    save_film(frames, tmp_path / "odd.mp4", width=81)
    with av.open(str(tmp_path / "odd.mp4")) as film:
        assert (film.streams.video[0].width, film.streams.video[0].height) == (80, 32)


def test_a_film_without_pyav_says_so(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    asked = ["--image", folder / "galaxy.png", "--size", 64, "--layer", "stem", "--out", tmp_path / "a.png"]
    assert run(folder, *asked, "--film", tmp_path / "a.mp4") == 1
    said = capsys.readouterr().err
    assert "pip install av" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "a.png").exists()  # said before the dream, not after
