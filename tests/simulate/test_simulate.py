# ruff: noqa: E402 - without GalSim nothing of this can be imported
import math
import os
import resource
import subprocess
import sys

import h5py
import numpy as np
import pytest

galsim = pytest.importorskip("galsim", reason="galaxies are drawn with GalSim")

from galaxylib.data.galaxy10 import CLASS_COUNTS, CLASS_NAMES, Galaxy10
from galaxylib.errors import GalaxyError
from galaxylib.simulate import TRUTH_COLUMNS, class_counts, dataset, draw, light, simulate
from galaxylib.simulate.bodies import paint
from galaxylib.simulate.camera import Camera, blurred, jpeg, noise, stretch
from galaxylib.simulate.classes import CLASS_RECIPES
from galaxylib.simulate.components import Place
from galaxylib.simulate.distributions import Always
from galaxylib.simulate.kinds import EdgeOn, Spheroid
from galaxylib.simulate.scene import Field, galaxy, paint_field


def contents(path):
    with h5py.File(path) as file:
        found = {"attrs": dict(file.attrs)}
        file.visititems(
            lambda name, item: found.update({name: item[:]}) if isinstance(item, h5py.Dataset) else None
        )
        return found


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Forty galaxies drawn in this process, four of each class."""
    return simulate(
        tmp_path_factory.mktemp("sky") / "forty.h5",
        n=40,
        seed=5,
        balance="uniform",
        processes=1,
        progress=False,
    )


def moments(map_):
    """Sum, centre (arcsec) and axis ratio of a map of light, from its moments."""
    x, y = light.plane()
    total = map_.sum(dtype=float)
    cx, cy = (map_ * x).sum(dtype=float) / total, (map_ * y).sum(dtype=float) / total
    xx = (map_ * (x - cx) ** 2).sum(dtype=float) / total
    yy = (map_ * (y - cy) ** 2).sum(dtype=float) / total
    xy = (map_ * (x - cx) * (y - cy)).sum(dtype=float) / total
    small, large = np.linalg.eigvalsh([[xx, xy], [xy, yy]])
    return total, cx, cy, math.sqrt(small / large)


# The file


def test_the_number_of_processes_changes_nothing(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "CHUNK", 7)
    two = simulate(tmp_path / "two.h5", n=40, seed=5, balance="uniform", processes=2, progress=False)
    assert_same(contents(drawn), contents(two))


def test_an_interrupted_run_goes_on_where_it_stopped(drawn, tmp_path, monkeypatch):
    drawn_rows, calls = dataset.draw_rows, []

    def breaks_at_the_third(rows, labels, seed):
        calls.append(rows)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return drawn_rows(rows, labels, seed)

    out = tmp_path / "again.h5"
    monkeypatch.setattr(dataset, "CHUNK", 9)
    monkeypatch.setattr(dataset, "draw_rows", breaks_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        simulate(out, n=40, seed=5, balance="uniform", processes=1, progress=False)
    assert not out.exists()
    monkeypatch.setattr(
        dataset, "draw_rows", lambda rows, *rest: calls.append(rows) or drawn_rows(rows, *rest)
    )
    del calls[:]
    simulate(out, n=40, seed=5, balance="uniform", processes=1, progress=False)
    assert min(rows.min() for rows in calls) == 18, "the first two chunks were drawn again"
    assert_same(contents(drawn), contents(out))
    assert not out.with_name("again.h5.partial").exists()


def test_a_partial_file_of_other_galaxies_is_not_gone_on_with(tmp_path):
    out = tmp_path / "few.h5"
    dataset._lay_out(
        tmp_path / "few.h5.partial",
        dataset.labels_of(3, seed=1, balance="uniform"),
        {"simulated": True, "seed": 1, "version": dataset.VERSION, "balance": "uniform"},
    )
    simulate(out, n=3, seed=2, processes=1, progress=False)
    assert contents(out)["attrs"]["seed"] == 2


@pytest.mark.parametrize("name", ["few.h5", "few.h5.partial"])
def test_what_is_no_file_of_galaxies_stays(tmp_path, name):
    (tmp_path / name).write_text("years of work")
    with pytest.raises(GalaxyError, match=f"{name} holds something else"):
        simulate(tmp_path / "few.h5", n=3, processes=1, progress=False)
    assert (tmp_path / name).read_text() == "years of work"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_finished_file_is_left_alone_and_a_foreign_one_is_not_overwritten(drawn, closed, monkeypatch):
    before = drawn.stat().st_mtime_ns
    closed(drawn.parent)  # others may read a shared folder
    simulate(drawn, n=40, seed=5, balance="uniform", processes=1, progress=False)
    assert drawn.stat().st_mtime_ns == before
    monkeypatch.undo()
    with pytest.raises(GalaxyError, match="holds something else"):
        simulate(drawn, n=40, seed=6, balance="uniform", progress=False)


def test_the_file_is_in_the_format_of_the_real_one(drawn):
    with Galaxy10(drawn) as data:
        assert data.simulated
        assert len(data) == 40
        assert data.read([0]).shape == (1, 256, 256, 3)
        assert (data.pxscale == 0.262).all()
        assert ((data.dec >= -20) & (data.dec <= 33)).all()
        assert list(data.truth.columns) == sorted(TRUTH_COLUMNS)
    with h5py.File(drawn) as file:
        assert file["images"].dtype == file["ans"].dtype == np.uint8
        assert file.attrs["simulated"]


def test_a_row_of_the_file_is_what_draw_gives(drawn):
    with Galaxy10(drawn) as data:
        image, truth = draw(int(data.labels[17]), seed=np.random.SeedSequence([5, 0], spawn_key=(17,)))
        np.testing.assert_array_equal(data.read([17])[0], image)
        assert data.truth["magnitude"][17] == pytest.approx(truth["magnitude"], rel=1e-6)


def test_classes_are_balanced_as_asked():
    np.testing.assert_array_equal(class_counts(17736, "catalogue"), list(CLASS_COUNTS.values()))
    np.testing.assert_array_equal(class_counts(50, "uniform"), np.full(10, 5))
    counts = class_counts(1003, "catalogue")
    assert counts.sum() == 1003
    assert np.abs(counts - 1003 * np.array(list(CLASS_COUNTS.values())) / 17736).max() < 1
    with pytest.raises(GalaxyError, match="balance"):
        class_counts(10, "even")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"n": 0}, "n is 0: choose n from 1"),
        ({"n": 10**15}, "n is 1000000000000000: choose n from 1 to 10,000,000"),
        ({"n": 1.5}, "n is 1.5: choose n from 1 to 10,000,000, in whole numbers"),
        ({"n": 3, "processes": 0}, "processes is 0: choose processes from 1"),
        ({"n": 3, "seed": -1}, "seed is -1: choose seed from 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(tmp_path, wrong, sentence):
    with pytest.raises(GalaxyError, match=sentence):
        simulate(tmp_path / "none.h5", **wrong)


def test_two_processes_do_not_draw_the_same_file(tmp_path):
    out = tmp_path / "shared.h5"
    identity = {"simulated": True, "seed": 0, "version": dataset.VERSION, "balance": "catalogue"}
    dataset._lay_out(
        tmp_path / "shared.h5.partial", dataset.labels_of(2, seed=0, balance="catalogue"), identity
    )
    hold = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(tmp_path / "shared.h5.partial")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(GalaxyError, match="Another process"):
            simulate(out, n=2, processes=1, progress=False)
        other.stdin.close()
    simulate(out, n=2, processes=1, progress=False)


def test_memory_is_bounded_by_chunks_not_by_the_file(tmp_path, monkeypatch):
    chunk = np.random.default_rng(0).integers(0, 255, (dataset.CHUNK, 256, 256, 3), np.uint8)

    def quick(rows, labels, seed):
        return chunk[: len(rows)].copy(), np.zeros((len(rows), len(TRUTH_COLUMNS)), np.float32)

    monkeypatch.setattr(dataset, "draw_rows", quick)
    simulate(tmp_path / "warm.h5", n=64, processes=1, progress=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    simulate(tmp_path / "large.h5", n=2048, processes=1, progress=False)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert os.path.getsize(tmp_path / "large.h5") > 400e6
    assert grown < 60e6


# The light


def test_a_sersic_body_is_galsims_own():
    ours = light.sersic(1.3, -2.2, n=1.0, half_light_radius=3.0, axis_ratio=0.5, angle=0.4)
    total, x, y, ratio = moments(ours)
    assert total == pytest.approx(1, abs=0.01)
    assert (x, y) == pytest.approx((1.3, -2.2), abs=0.02)
    assert ratio == pytest.approx(0.5, abs=0.02)
    profile = galsim.Sersic(n=1.0, half_light_radius=3.0).shear(q=0.5, beta=0.4 * galsim.radians)
    profile = galsim.Convolve(profile.shift(1.3, -2.2), galsim.Gaussian(sigma=light.PIXEL_SCALE / 2))
    theirs = profile.drawImage(nx=light.GRID, ny=light.GRID, scale=light.PIXEL_SCALE, method="no_pixel").array
    np.testing.assert_allclose(ours, theirs, atol=0.01 * theirs.max())


def test_an_edge_on_disc_follows_the_integral_of_an_exponential_one():
    along = np.array([0.2, 1.0, 2.5], np.float32)
    ours = light.edge_on_disc(along, np.zeros(3, np.float32), scale=1.0, thickness=0.1, cut=50.0)
    depth = np.linspace(-60, 60, 200_001)
    theirs = [np.trapezoid(np.exp(-np.hypot(x, depth)), depth) / 2 for x in along]
    np.testing.assert_allclose(ours, theirs, rtol=0.01)


def test_arms_follow_their_pitch():
    # Along an arm d(theta)/d(ln R) = 1 / tan(pitch): the phase stays zero.
    log_radius = np.linspace(0, 1, 50).astype(np.float32)
    theta = log_radius / math.tan(math.radians(15))
    phase = light.log_spiral(log_radius, theta.astype(np.float32), pitch=math.radians(15), wander=0.0)
    np.testing.assert_allclose(phase, 0, atol=1e-5)


def test_blobs_keep_their_flux():
    places = np.array([[3.0, -4.0, 0.8, 2.0], [-10.0, 1.0, 0.5, 1.0]])
    assert light.blobs(*light.plane(), places).sum() == pytest.approx(3.0, rel=0.01)


@pytest.mark.parametrize("label", range(10))
def test_a_galaxy_has_the_magnitude_and_colour_of_its_truth(label):
    painted, truth = galaxy(CLASS_RECIPES[label], np.random.default_rng(label))
    z, r, g = painted.sum(axis=(1, 2), dtype=float)
    assert 22.5 - 2.5 * math.log10(r) == pytest.approx(truth["magnitude"], abs=0.08)
    if label != CLASS_NAMES.index("Merging"):  # there the bodies' own colours scatter
        assert -2.5 * math.log10(g / r) == pytest.approx(truth["colour"], abs=0.12)
    assert (painted >= 0).all()
    assert z > r > g


def test_painted_axis_ratios_follow_the_recipe():
    place = Place(0.0, 0.0, 3.0, 0.8)
    ratios = []
    for q in (0.9, 0.65, 0.35):
        body = paint(Spheroid(Always(1.0), Always(q), envelope=0.0), place, np.random.default_rng(1))
        ratios.append(moments(body.light[1])[3])
    np.testing.assert_allclose(ratios, [0.9, 0.65, 0.35], atol=0.1)
    edge_on = paint(EdgeOn(Always(0.12), Always(0.0)), place, np.random.default_rng(1))
    assert moments(edge_on.light[1])[3] < 0.3


def test_truth_is_in_the_range_of_its_class():
    truths = {label: [draw(label, seed=100 * label + k)[1] for k in range(6)] for label in (2, 4, 5, 8, 9)}
    assert all(0.66 <= t["axis_ratio"] <= 1 for t in truths[2])
    assert all(t["axis_ratio"] <= 0.52 for t in truths[4])
    assert all(t["bar_fraction"] > 0.02 and t["bar_length"] > 0 for t in truths[5])
    assert all(t["bulge_fraction"] <= 0.10 for t in truths[8])
    assert all(t["bulge_fraction"] >= 0.10 for t in truths[9])
    assert all(14.2 <= t["magnitude"] <= 18.2 for kind in truths.values() for t in kind)
    assert math.isnan(truths[2][0]["arm_pitch"]) or truths[2][0]["arm_strength"] <= 0.22


def test_stars_and_neighbours_leave_the_middle_to_the_galaxy():
    # Within the galaxy's own half-light radius the field adds little, over many fields.
    reach, inside = 3.0, []
    x, y = light.plane()
    middle = np.hypot(x, y) < reach
    for seed in range(12):
        canvas = np.zeros((3, light.GRID, light.GRID), np.float32)
        paint_field(canvas, Field(neighbour=0.0), reach, np.random.default_rng(seed))
        assert canvas[1].sum() > 0
        inside.append(canvas[1][middle].sum())
    assert np.median(inside) < 1.0  # one nanomaggy is a magnitude of 22.5


def test_an_unknown_class_is_a_clear_sentence():
    with pytest.raises(GalaxyError, match="no class 10"):
        draw(10, seed=0)


# The camera


def test_the_stretch_is_the_surveys():
    flux = np.random.default_rng(0).uniform(-0.01, 0.3, (3, 5, 4))
    ours = stretch(flux.astype(np.float32))
    for row in range(5):
        for column in range(4):
            z, r, g = flux[:, row, column]
            v = [max(0.0, 2.2 * z + 0.03), max(0.0, 3.4 * r + 0.03), max(0.0, 6.0 * g + 0.03)]
            i = sum(v) / 3
            f = math.asinh(20 * i) / math.sqrt(20)
            expected = [min(1.0, max(0.0, channel * f / i)) for channel in v]
            np.testing.assert_allclose(ours[row, column], expected, rtol=1e-4)
    # The survey's dark grey sky: 35 of 255 once noise has its share, 32 without.
    assert round(float(stretch(np.zeros((3, 1, 1), np.float32))[0, 0, 0]) * 255) in range(31, 37)


def test_seeing_spreads_light_and_keeps_it():
    scene = np.zeros((3, light.GRID, light.GRID), np.float32)
    scene[:, 140, 140] = 1.0
    seen = blurred(scene, fwhm=1.2, camera=Camera())
    np.testing.assert_allclose(seen.sum(axis=(1, 2)), 1, atol=0.02)
    # The radius at half the peak's height is half the FWHM, band by band.
    for band, factor in enumerate(Camera().band_seeing):
        profile = seen[band, 140, 140:150] / seen[band, 140, 140]
        half = np.interp(0.5, profile[::-1], np.arange(10)[::-1]) * light.PIXEL_SCALE
        assert half == pytest.approx(0.6 * factor, rel=0.06)


def test_noise_has_the_level_it_says():
    camera = Camera(seam=0.0, tint=0.0)
    grain, sigma = noise(np.zeros((3, 256, 256), np.float32), camera, np.random.default_rng(3))
    assert grain[1].std() == pytest.approx(sigma, rel=0.02)
    np.testing.assert_allclose(
        grain.std(axis=(1, 2)) / sigma, np.array(camera.noise) / camera.noise[1], rtol=0.03
    )
    neighbours = np.corrcoef(grain[1][:, 1:].ravel(), grain[1][:, :-1].ravel())[0, 1]
    assert 0.2 < neighbours < 0.6


def test_jpeg_halves_the_colours_resolution():
    rgb = np.full((32, 32, 3), 0.5, np.float32)
    rgb[:, ::2, 0] = 0.8
    rgb[:, ::2, 2] = 0.2
    image = jpeg(rgb, quality=85).astype(float)
    assert image.shape == (32, 32, 3)
    # A pattern of colour alone, one pixel wide, is averaged away.
    assert np.abs(np.diff((image[..., 0] - image[..., 2]), axis=1)).mean() < 0.5 * 0.6 * 255
