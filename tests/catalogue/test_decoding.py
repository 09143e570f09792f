"""Every odd kind of picture becomes the right colours, or one sentence; FITS becomes the survey's colours."""

import gzip
import io
import sys

import numpy as np
import pytest
from PIL import Image

from galaxylib import GalaxyError
from galaxylib.catalogue.decoding import decoded
from galaxylib.catalogue.frame import Frame
from galaxylib.catalogue.inputs import Inputs, load_file
from galaxylib.data.stretch import viewer_colours

fits = pytest.importorskip("astropy.io.fits")

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (40, 60, 3), np.uint8)


def saved(image: Image.Image, kind: str, **how) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **how)
    return stream.getvalue()


def pillow(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("PNG", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 70}),
        ("JPEG", {"quality": 80}),
        ("JPEG", {"quality": 80, "subsampling": 2, "progressive": True}),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_colours_are_those_that_pillow_reads(kind, how, packed):
    content = saved(Image.fromarray(COLOURS), kind, **how)
    name = f"x.{kind.lower()}{'.gz' * packed}"
    found = decoded(gzip.compress(content) if packed else content, name=name)
    assert np.abs(found.planes.astype(int) - pillow(content)).max() <= (kind == "JPEG")
    assert found.planes.shape == COLOURS.shape
    assert not found.is_flux
    assert np.isnan(found.pixscale)


def odd(kind: str) -> tuple[bytes, np.ndarray]:
    """An odd picture, and the colours that it shows."""
    image, grey = Image.fromarray(COLOURS), COLOURS[..., 0]
    if kind == "grey":
        return saved(Image.fromarray(grey), "PNG"), np.stack([grey] * 3, 2)
    if kind == "grey JPEG":
        content = saved(Image.fromarray(grey), "JPEG")
        return content, pillow(content)
    if kind == "one bit":
        content = saved(Image.fromarray(grey).convert("1"), "PNG")
        return content, pillow(content)
    if kind == "palette":
        content = saved(image.quantize(16), "PNG")
        return content, pillow(content)
    if kind == "transparent":
        veil = RNG.integers(0, 256, grey.shape, np.uint8)
        content = saved(Image.fromarray(np.dstack([COLOURS, veil])), "PNG")
        return content, np.round(COLOURS * (veil[..., None] / 255)).astype(np.uint8)
    if kind == "CMYK":
        content = saved(image.convert("CMYK"), "TIFF")
        return content, pillow(content)
    if kind == "CMYK JPEG":
        content = saved(image.convert("CMYK"), "JPEG")
        return content, pillow(content)
    if kind == "16 bits":
        deep = grey.astype(np.uint16) * 40  # seldom do measurements fill their range
        content = saved(Image.fromarray(deep), "PNG")
        shown = np.round(deep / deep.max() * 255).astype(np.uint8)
        return content, np.stack([shown] * 3, 2)
    if kind == "32 bits":
        content = saved(Image.fromarray(grey.astype(np.float32) * 3.5), "TIFF")
        shown = np.round(grey / grey.max() * 255).astype(np.uint8)
        return content, np.stack([shown] * 3, 2)
    turn = image.getexif()
    turn[0x0112] = {"turned": 6, "mirrored": 2}[kind]
    content = saved(image, "PNG", exif=turn)
    return content, np.rot90(COLOURS, -1) if kind == "turned" else COLOURS[:, ::-1]


ODD = ["grey", "grey JPEG", "one bit", "palette", "transparent", "CMYK", "CMYK JPEG", "16 bits", "32 bits"]


@pytest.mark.parametrize("kind", [*ODD, "turned", "mirrored"])
def test_odd_pictures_show_what_they_should(kind):
    content, expected = odd(kind)
    found = decoded(content, name="x.png").planes
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert Frame()(decoded(content, name="x.png"))[0].shape == (256, 256, 3)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it is empty"),
        (b"no image", "is no whole image"),
        (saved(Image.fromarray(COLOURS), "PNG")[:500], "is no whole image"),
        (saved(Image.fromarray(COLOURS), "JPEG")[:700], "is no whole image"),
        (saved(Image.fromarray(COLOURS), "TIFF")[:900], "is no whole image"),
        (saved(Image.fromarray(COLOURS), "WEBP")[:300], "is no whole image"),
        (gzip.compress(b"no image", mtime=0), "is no whole image"),
        (gzip.compress(COLOURS.tobytes(), mtime=0)[:300], "is no whole gzip file"),
        (saved(Image.new("L", (16385, 1)), "PNG"), "16385 x 1 pixels: cut or shrink it"),
        (b"SIMPLE  =                    T / cut short", "is no whole FITS file"),
    ],
)
def test_what_is_no_image_is_one_sentence(content, sentence):
    with pytest.raises(GalaxyError, match=sentence) as told:
        decoded(content, name="x.jpg.gz")
    assert str(told.value).startswith("x.jpg")
    assert str(told.value).endswith(".")


def test_gzip_that_unpacks_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("galaxylib.catalogue.decoding.MOST", 1000)
    with pytest.raises(GalaxyError, match="unpacks to more than"):
        decoded(gzip.compress(bytes(2000)), name="x.png.gz")


# FITS

LIGHT = np.abs(RNG.normal(0.02, 0.05, (3, 256, 256))).astype(np.float32)
"""z, r, g."""


def header(*, scale: float = 0.262, turn: float = 0.0, **more) -> "fits.Header":
    """With a WCS whose pixel (128.5, 128.5), counted from 1, is at ra 150, dec 2."""
    size, angle = scale / 3600, np.deg2rad(turn)
    made = fits.Header()
    made.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=150.0, CRVAL2=2.0, CRPIX1=128.5, CRPIX2=128.5)
    made.update(CD1_1=-size * np.cos(angle), CD1_2=size * np.sin(angle))
    made.update(CD2_1=size * np.sin(angle), CD2_2=size * np.cos(angle))
    made.update(**more)
    return made


def as_fits(data: np.ndarray, about=None, *, packed: bool = False) -> bytes:
    stream = io.BytesIO()
    if packed:
        unit = fits.CompImageHDU(data, about, compression_type="GZIP_1", quantize_level=0)
        fits.HDUList([fits.PrimaryHDU(), unit]).writeto(stream)
    else:
        fits.PrimaryHDU(data, about).writeto(stream)
    return stream.getvalue()


def cube(bands: str = "grz") -> np.ndarray:
    """The bands in the order asked for, rows from the bottom, as FITS has them."""
    planes = {"z": LIGHT[0], "r": LIGHT[1], "g": LIGHT[2], "i": np.full((256, 256), 9, np.float32)}
    return np.stack([planes[band][::-1] for band in bands])


EXPECTED = (viewer_colours(LIGHT) * 255 + 0.5).astype(np.uint8)


@pytest.mark.parametrize(
    ("data", "about"),
    [
        (cube(), {}),
        (cube(), {"BANDS": "grz"}),
        (cube("zrg"), {"BANDS": "zrg"}),
        (cube("griz"), {"BAND0": "g", "BAND1": "r", "BAND2": "i", "BAND3": "z"}),
        (cube(), {"BUNIT": "nanomaggy"}),
        (cube().astype(">f8"), {}),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_light_becomes_the_colours_of_the_viewer(data, about, packed):
    content = as_fits(data, header(**about), packed=packed)
    for one, name in ((content, "x.fits"), (gzip.compress(content, 1), "x.fits.gz")):
        found = decoded(one, name=name)
        assert found.is_flux
        assert found.pixscale == pytest.approx(0.262)
        assert (found.ra, found.dec) == pytest.approx((150, 2))
        framed, flags = Frame()(found)
        assert np.array_equal(framed, EXPECTED)
        assert not set(flags) - {"touches_frame"}


def test_a_simulated_galaxy_in_fits_is_the_simulators_image(monkeypatch):
    """What the simulator's camera makes of its light is what FITS with that light becomes, all but JPEG."""
    pytest.importorskip("galsim")
    from galaxylib.simulate import camera, draw

    seen = []
    monkeypatch.setattr(camera, "viewer_colours", lambda light: seen.append(light) or viewer_colours(light))
    monkeypatch.setattr(camera, "jpeg", lambda rgb, quality: (rgb * 255 + 0.5).astype(np.uint8))
    image, _ = draw(5, seed=1)
    grz = seen[0][::-1, ::-1].astype(np.float32)  # rows from the bottom
    found, flags = Frame()(decoded(as_fits(grz, header()), name="x.fits"))
    assert np.abs(found.astype(int) - image).max() <= 1  # of float32
    assert (found != image).mean() < 1e-3
    assert flags == ()


@pytest.mark.parametrize(("scale", "turn"), [(0.262, 0), (0.396, 30), (1.0, 117)])
def test_the_scale_is_the_wcs_s(scale, turn):
    found = decoded(as_fits(cube(), header(scale=scale, turn=turn)), name="x.fits")
    assert found.pixscale == pytest.approx(scale, rel=1e-6)
    assert (found.ra, found.dec) == pytest.approx((150, 2))


def test_without_a_wcs_the_scale_is_not_told():
    found = decoded(as_fits(cube()), name="x.fits")
    assert np.isnan([found.pixscale, found.ra, found.dec]).all()
    assert "scale_assumed" in Frame()(found)[1]


def test_missing_pixels_are_sky():
    light = cube().copy()
    light[:, :10] = np.nan
    framed, _ = Frame()(decoded(as_fits(light), name="x.fits"))
    sky = (viewer_colours(np.zeros((3, 1, 1), np.float32)) * 255 + 0.5).astype(np.uint8)[0, 0]
    assert (framed[-10:] == sky).all()
    assert np.array_equal(framed[:-10], EXPECTED[:-10])


def write_bands(folder, name: str, **about) -> None:
    for band in "grz":
        content = as_fits(cube(band)[0], header(**about))
        (folder / name.replace("{band}", band)).write_bytes(content)


def test_three_files_by_a_pattern_are_one_image(tmp_path):
    write_bands(tmp_path, "cutout-1-{band}.fits")
    write_bands(tmp_path, "cutout-10-{band}.fits")
    (tmp_path / "r").mkdir()
    found = Inputs([str(tmp_path / "cutout-*-{band}.fits")])
    items = list(found.items(0, 9))
    assert [item.id for item in items] == ["cutout-1", "cutout-10"]
    assert [item.path for item in items] == [str(tmp_path / f"{item.id}-{{band}}.fits") for item in items]
    for item in items:
        picture = item.load()
        assert np.array_equal(Frame()(picture)[0], EXPECTED)
        assert picture.pixscale == pytest.approx(0.262)
    (tmp_path / "cutout-1-z.fits").unlink()
    with pytest.raises(GalaxyError, match=r"There is no file .*cutout-1-z\.fits"):
        items[0].load()
    (tmp_path / "cutout-10-r.fits").write_bytes(as_fits(cube("r")[0][:100]))
    with pytest.raises(
        GalaxyError, match="256 x 256, 256 x 100, 256 x 256 pixels: give g, r and z on the same"
    ):
        items[1].load()


def test_a_table_may_name_three_files(tmp_path):
    write_bands(tmp_path, "a-{band}.fits")
    (tmp_path / "t.csv").write_text("id,path\nmine,a-{band}.fits\n")
    item = next(Inputs([tmp_path / "t.csv"]).items(0, 1))
    assert (item.id, item.path) == ("mine", str(tmp_path / "a-{band}.fits"))
    assert np.array_equal(Frame()(item.load())[0], EXPECTED)


@pytest.mark.parametrize(
    ("data", "about", "sentence"),
    [
        (LIGHT[0], {}, "holds one plane, and colours need g, r and z"),
        (LIGHT[:2], {}, "holds 2 planes of the bands g, r, z"),
        (LIGHT, {"BANDS": "ugr"}, "of the bands u, g, r: give g, r and z"),
        (LIGHT, {"BUNIT": "adu"}, "is in 'adu': give light in nanomaggies"),
        (np.full((3, 9, 9), np.nan, np.float32), {}, "holds no number at all"),
        (np.zeros(9, np.float32), {}, r"holds an array of shape \(9,\)"),
        (None, {}, "holds no image"),
    ],
)
def test_fits_without_the_three_bands_is_one_sentence(data, about, sentence):
    with pytest.raises(GalaxyError, match=sentence) as told:
        decoded(as_fits(data, fits.Header(about)), name="x.fits")
    assert str(told.value).endswith(".")


def test_a_missing_astropy_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "astropy.io", None)
    with pytest.raises(GalaxyError, match=r"pip install 'galaxylib\[catalogue\]'"):
        decoded(as_fits(cube()), name="x.fits")


def test_a_file_that_is_away_is_told(tmp_path):
    with pytest.raises(GalaxyError, match="There is no file"):
        load_file(str(tmp_path / "x.png"))
    with pytest.raises(GalaxyError, match="cannot be read"):
        load_file(str(tmp_path))
