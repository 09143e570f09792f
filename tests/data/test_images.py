"""Pictures that astronomers have: FITS cubes in their own order, compressed FITS, deep and odd pictures."""

import gzip
import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from galaxylib.data.images import decode_image
from galaxylib.dream import read_image
from galaxylib.errors import DreamError

fits = pytest.importorskip("astropy.io.fits")

HEIGHT, WIDTH = 40, 60
y, x = np.mgrid[:HEIGHT, :WIDTH]
LIGHT = np.exp(-(((y - 12) / 6) ** 2 + ((x - 30) / 9) ** 2))
FLUX = {"u": 4.0, "g": 3.0, "r": 1.5, "i": 0.9, "z": 0.5, "h": 0.2}
"""A blue galaxy: the shorter the wavelength, the brighter."""


def cube(bands):
    noise = np.random.default_rng(0).normal(0, 1e-3, (len(bands), HEIGHT, WIDTH))
    return (np.stack([FLUX.get(band, 1.0) * LIGHT for band in bands]) + noise).astype("f4")


def header(**cards):
    made = fits.Header()
    made.update(cards)
    return made


def brightness(image):
    """Red, green and blue at the galaxy's centre, which is 12 rows above the bottom."""
    assert image.shape == (3, HEIGHT, WIDTH)
    return image[:, HEIGHT - 1 - 12, 30].tolist()


@pytest.mark.parametrize(
    ("bands", "cards"),
    [
        ("grz", {"BANDS": "grz"}),
        ("grz", {"BANDS": "g,r,z", "BAND0": "g", "BAND1": "r", "BAND2": "z"}),
        ("grz", {"BAND0": "g", "BAND1": "r", "BAND2": "z"}),
        ("rzg", {"BAND1": "r ", "BAND2": "z", "BAND3": "G"}),
        ("zrg", {"BANDS": "zrg"}),
        ("griz", {"BANDS": "griz"}),
        ("irzg", {"BAND0": "i", "BAND1": "r", "BAND2": "z", "BAND3": "g"}),
        ("ugriz", {"BANDS": "ugriz"}),
        ("gri", {"BANDS": "gri"}),
        ("uhr", {"BANDS": "UHR"}),
        ("zrg", {}),  # nothing is said: red, green, blue
        ("zrg", {"BANDS": 3}),
    ],
)
def test_a_blue_galaxy_is_blue_in_whatever_order_its_planes_come(tmp_path, bands, cards):
    fits.PrimaryHDU(cube(bands), header(**cards)).writeto(tmp_path / "cube.fits")
    red, green, blue = brightness(read_image(tmp_path / "cube.fits"))
    assert red < green < blue == pytest.approx(1, abs=0.01)


def test_the_other_bands_leave_no_trace(tmp_path):
    """The griz cube of a DR10 cutout looks like the grz one of DR9, however bright its i."""
    four = cube("griz")
    fits.PrimaryHDU(four[[0, 1, 3]], header(BANDS="grz")).writeto(tmp_path / "three.fits")
    four[2] *= 100
    fits.PrimaryHDU(four, header(BANDS="griz")).writeto(tmp_path / "four.fits")
    assert torch.equal(read_image(tmp_path / "four.fits"), read_image(tmp_path / "three.fits"))


@pytest.mark.parametrize(
    ("bands", "cards", "sentence"),
    [
        ("griz", {}, "4 planes and its header does not name their bands"),
        ("gr", {"BANDS": "gr"}, "2 planes of the bands g, r"),
        ("grz", {"BANDS": "griz"}, "3 planes of the bands g, r, i, z"),
        ("grz", {"BANDS": "ggg"}, "3 planes of the bands g, g, g"),
        ("abc", {"BAND0": "F814W", "BAND1": "F606W", "BAND2": "F435W"}, "bands f814w, f606w, f435w"),
        ("ugri", {"BANDS": "ugri"}, "4 planes of the bands u, g, r, i: give g, r and z"),
    ],
)
def test_planes_that_cannot_be_ordered_are_one_sentence(tmp_path, bands, cards, sentence):
    fits.PrimaryHDU(cube(bands), header(**cards)).writeto(tmp_path / "cube.fits")
    with pytest.raises(DreamError, match=sentence):
        read_image(tmp_path / "cube.fits")


def test_compressed_fits_is_the_image(tmp_path):
    values = cube("r")[0]
    plain, whole = fits.PrimaryHDU(values), {"compression_type": "GZIP_2", "quantize_level": 0}
    plain.writeto(tmp_path / "image.fits")
    plain.writeto(tmp_path / "image.fits.gz")
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(values, **whole)]).writeto(tmp_path / "image.fits.fz")
    three = fits.CompImageHDU(cube("grz"), header(BANDS="grz"), compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), three]).writeto(tmp_path / "cube.fits.fz")
    image = read_image(tmp_path / "image.fits")
    for name in ("image.fits.gz", "image.fits.fz"):
        assert torch.equal(read_image(tmp_path / name), image), name
        content = (tmp_path / name).read_bytes()
        for said in (name, "cutout", "cutout.png"):  # what a file is stands in it
            assert torch.equal(decode_image(io.BytesIO(content), name=said), image), said
    red, green, blue = brightness(read_image(tmp_path / "cube.fits.fz"))
    assert red < green < blue


def test_the_first_image_of_several_and_axes_of_one(tmp_path):
    values = cube("r")
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0, 2.0])])
    parts = [fits.PrimaryHDU(), table, fits.ImageHDU(values[None]), fits.ImageHDU(-values)]
    parts[0].header["BANDS"] = "r"
    fits.HDUList(parts).writeto(tmp_path / "many.fits")
    fits.writeto(tmp_path / "one.fits", values[0])
    assert torch.equal(read_image(tmp_path / "many.fits"), read_image(tmp_path / "one.fits"))


def huge(width, height):
    head = header(SIMPLE=True, BITPIX=-32, NAXIS=2, NAXIS1=width, NAXIS2=height)
    return head.tostring().encode().ljust(2880)


def plain(values):
    buffer = io.BytesIO()
    fits.PrimaryHDU(values).writeto(buffer)
    return buffer.getvalue()


WHOLE = plain(LIGHT)
ODD = {
    "empty.fits": (b"", "it is empty"),
    "empty.png": (b"", "it is empty"),
    "page.fits": (b"<html>Not found</html>" * 99, "no whole FITS file .*No SIMPLE card"),
    "header.fits": (WHOLE[:1000], "no whole FITS file"),
    "half.fits": (WHOLE[:9000], "no whole FITS file"),
    "half.fits.gz": (gzip.compress(WHOLE)[:400], "no whole FITS file"),
    "other.gz": (gzip.compress(b"no FITS"), "no whole FITS file"),
    "wide.fits": (huge(300_000, 300_000), "300000 x 300000 pixels: cut or shrink"),
    "large.fits": (huge(16_000, 16_000), "too many pixels"),
    "nan.fits": (plain(np.full((9, 9), np.nan)), "no number at all"),
    "inf.fits": (plain(np.full((9, 9), np.inf)), "no number at all"),
    "equal.fits": (plain(np.full((9, 9), 5.0)), "holds the value 5 in every pixel"),
    "zero.fits": (plain(np.zeros((9, 9), "u1")), "holds the value 0 in every pixel"),
    "mark.fits": (plain(np.where(LIGHT > 0.5, 1e200, LIGHT)), "replace those that are no light by NaN"),
    "line.fits": (plain(np.arange(9.0)), "shape .9,.: give one plane or three"),
    "more.fits": (plain(np.zeros((2, 3, 9, 9))), "shape .2, 3, 9, 9.: give one plane or three"),
    "none.fits": (plain(None), "holds no image"),
    "text.png": (b"no picture", "no whole image: give a PNG, JPEG or FITS file"),
}


@pytest.mark.parametrize("name", ODD)
def test_the_true_cause_in_one_sentence(tmp_path, name, capfd):
    content, sentence = ODD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DreamError, match=sentence) as told:
        read_image(tmp_path / name)
    assert "\n" not in str(told.value)
    assert str(tmp_path / name) in str(told.value)
    assert capfd.readouterr() == ("", "")


def test_a_path_that_is_no_file_is_one_sentence(tmp_path):
    for path in (tmp_path, tmp_path / "none.png", "x" * 5000, "a\0b"):
        with pytest.raises(DreamError, match=r"There is no image|cannot be read"):
            read_image(path)


@pytest.mark.parametrize("name", ["half.png", "half.jpg", "half.tif", "half.gif", "half.webp", "half.bmp"])
def test_a_picture_cut_anywhere_is_one_sentence(name):
    buffer = io.BytesIO()
    pixels = (LIGHT[..., None] * [255, 200, 150]).astype("u1")
    Image.fromarray(pixels).save(buffer, format=Image.registered_extensions()["." + name.split(".")[1]])
    whole = buffer.getvalue()
    for length in range(1, len(whole) // 2, max(1, len(whole) // 50)):
        with pytest.raises(DreamError, match=r"no whole image"):
            decode_image(io.BytesIO(whole[:length]), name=name)


def png16(values):
    """A PNG of 16 bits, (H, W, C) uint16, written by hand: Pillow writes none in colour."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    about = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    parts = chunk(b"IHDR", about), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("top", [250, 4095, 65535])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_deep_png_fills_its_own_range(channels, top):
    """Twelve bits in sixteen, or fewer, are neither black nor cut to 256 steps."""
    values = np.round(LIGHT[..., None] * [top, 0.8 * top, 0.6 * top]).astype("u2")[..., :channels]
    values[0, 0] = top
    image = decode_image(io.BytesIO(png16(values)), name="deep.png")
    expected = np.broadcast_to(values.transpose(2, 0, 1) / top, (3, HEIGHT, WIDTH))
    np.testing.assert_allclose(image.numpy(), expected, atol=1e-6)
    assert len(np.unique(image[0].numpy())) == len(np.unique(values[..., 0]))


def test_a_deep_png_with_transparency_lies_over_black():
    values = np.full((8, 8, 4), 1000, "u2")
    values[..., 3], values[:4, :, 3] = 65535, 0
    image = decode_image(io.BytesIO(png16(values)), name="deep.png")
    assert torch.equal(image[:, :4], torch.zeros(3, 4, 8))
    assert torch.equal(image[:, 4:], torch.ones(3, 4, 8))
    grey = decode_image(io.BytesIO(png16(values[..., 2:])), name="deep.png")
    assert torch.equal(grey, image)


def test_a_black_deep_picture_stays_black():
    image = decode_image(io.BytesIO(png16(np.zeros((8, 8, 3), "u2"))), name="deep.png")
    assert torch.equal(image, torch.zeros(3, 8, 8))


def test_deep_colours_in_a_tiff_are_one_sentence(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((8, 8, 3), "u2"), photometric="rgb")
    with pytest.raises(DreamError, match="colours of 16 bits, which are read from PNG and FITS only"):
        read_image(tmp_path / "deep.tif")
    tifffile.imwrite(tmp_path / "grey.tif", (LIGHT * 300).astype("u2"), byteorder=">")
    assert float(read_image(tmp_path / "grey.tif").max()) == 1


def test_other_modes_of_pillow():
    """Two-valued, palettes with a transparent colour, grey with transparency, CMYK, YCbCr."""
    grey = (LIGHT * 255).astype("u1")
    for mode, name in (("1", "tiff"), ("LA", "png"), ("PA", "tiff"), ("CMYK", "tiff"), ("YCbCr", "jpeg")):
        buffer = io.BytesIO()
        Image.fromarray(grey).convert("RGB").convert("LA" if mode == "PA" else mode).save(buffer, format=name)
        image = decode_image(io.BytesIO(buffer.getvalue()), name=name)
        levels = np.where(grey > 127, 255, 0) if mode == "1" else grey
        assert np.abs(image.numpy() * 255 - levels).mean() < (40 if mode == "1" else 3), mode
    palette = Image.fromarray(np.array([[0, 1]] * 2, "u1"), mode="P")
    palette.putpalette([255, 255, 255, 0, 0, 255])
    buffer = io.BytesIO()
    palette.save(buffer, format="PNG", transparency=0)
    image = decode_image(io.BytesIO(buffer.getvalue()), name="palette.png")
    assert image[:, 0].T.tolist() == [[0, 0, 0], [0, 0, 1]]
