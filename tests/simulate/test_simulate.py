# ruff: noqa: E402 - without GalSim nothing of this can be imported
import math
import os
import resource
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

galsim = pytest.importorskip("galsim", reason="galaxies are drawn with GalSim")

from galaxylib.data.galaxy10 import CLASS_COUNTS, CLASS_NAMES, Galaxy10
from galaxylib.data.stretch import viewer_colours
from galaxylib.errors import GalaxyError
from galaxylib.simulate import TRUTH_COLUMNS, class_counts, dataset, draw, light, simulate
from galaxylib.simulate.bodies import paint
from galaxylib.simulate.camera import Camera, blurred, jpeg, noise
from galaxylib.simulate.classes import CLASS_RECIPES
from galaxylib.simulate.components import Place
from galaxylib.simulate.distributions import Always, Uniform
from galaxylib.simulate.kinds import EdgeOn, Lenticular, Merger, Shelled, Spheroid, Spiral, Wreck
from galaxylib.simulate.mergers import merger
from galaxylib.simulate.scene import Field, galaxy, paint_field
from galaxylib.simulate.spirals import _spaced


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


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "CHUNK", 7)
    two = simulate(tmp_path / "two.h5", n=40, seed=5, balance="uniform", processes=2, progress=False)
    assert_same(contents(drawn), contents(two))


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_truth_is_in_the_range_of_its_class():
    truths = {label: [draw(label, seed=100 * label + k)[1] for k in range(6)] for label in (2, 4, 5, 8, 9)}
    assert all(0.66 <= t["axis_ratio"] <= 1 for t in truths[2])
    assert all(t["axis_ratio"] <= 0.52 for t in truths[4])
    assert all(t["bar_fraction"] > 0.02 and t["bar_length"] > 0 for t in truths[5])
    assert all(t["bulge_fraction"] <= 0.10 for t in truths[8])
    assert all(t["bulge_fraction"] >= 0.10 for t in truths[9])
    assert all(14.2 <= t["magnitude"] <= 18.2 for kind in truths.values() for t in kind)
    assert all(math.isnan(t["arm_pitch"]) or t["arm_strength"] <= 0.15 for t in truths[2])


PLACE = Place(0.0, 0.0, 3.0, 0.8)


def share_beyond(body, radius):
    """Share of a body's r-band light farther than `radius` (arcsec) from the image's centre."""
    x, y = light.plane()
    return float(body.light[1][np.hypot(x, y) > radius].sum() / body.light[1].sum())


def off_by_half_a_turn(body):
    """How much of a body's r-band light changes places when the image is turned by half a turn."""
    map_ = body.light[1]
    return float(np.abs(map_ - map_[::-1, ::-1]).sum() / (2 * map_.sum()))


def test_a_halo_puts_light_where_a_plain_body_has_none():
    found = [
        np.mean(
            [
                share_beyond(
                    paint(
                        Spheroid(Always(1.0), Always(0.9), envelope=0.0, halo=halo),
                        PLACE,
                        np.random.default_rng(seed),
                    ),
                    10.0,
                )
                for seed in range(8)
            ]
        )
        for halo in (0.0, 1.0)
    ]
    assert found[0] < 0.03
    assert found[1] > found[0] + 0.04


def test_a_cusp_brightens_the_middle_alone():
    plain, cusped = (
        paint(
            Spheroid(Always(1.0), Always(1.0), envelope=0.0, cusp=cusp), PLACE, np.random.default_rng(4)
        ).light[1]
        for cusp in (0.0, 1.0)
    )
    assert cusped.max() > 1.2 * plain.max()
    assert cusped.sum() == pytest.approx(plain.sum(), rel=1e-3)


def test_a_lenticular_is_smooth_and_as_large_as_asked():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        body = paint(Lenticular(Always(0.95), bulge=Uniform(0.1, 0.5)), PLACE, rng)
        assert off_by_half_a_turn(body) < 0.02, "arms, or something off the centre"
        assert share_beyond(body, 3.0) == pytest.approx(0.5, abs=0.05)
        assert body.truth["axis_ratio"] == 0.95
        assert moments(body.light[1])[3] == pytest.approx(0.95, abs=0.04)
        assert "arm_count" not in body.truth


def test_streams_shells_and_outskirts_make_a_smooth_body_uneven():
    bare = Shelled(
        Always(2.0), Always(0.8), shells=Always(0), streams=Always(0), lopsided_share=0, dust_share=0
    )
    kinds = {
        "bare": bare,
        "shell": replace(bare, shells=Always(2), shell_flux=Always(0.05)),
        "stream": replace(bare, streams=Always(1), stream_flux=Always(0.05)),
        "lopsided": replace(bare, lopsided_share=1.0),
        "dust": replace(bare, dust_share=1.0),
    }
    uneven = {
        name: np.median(
            [off_by_half_a_turn(paint(kind, PLACE, np.random.default_rng(seed))) for seed in range(9)]
        )
        for name, kind in kinds.items()
    }
    assert all(uneven[name] > uneven["bare"] + 0.01 for name in kinds if name != "bare"), uneven


def test_dust_reddens_where_it_lies_and_keeps_the_galaxys_colour():
    kind = Shelled(
        Always(2.0), Always(0.8), shells=Always(0), streams=Always(0), lopsided_share=0, dust_share=1
    )
    body = paint(kind, PLACE, np.random.default_rng(2))
    _, r, g = body.light
    bright = r > 0.05 * r.max()
    colour = -2.5 * np.log10(g[bright] / r[bright])
    assert np.ptp(colour) > 0.1
    assert -2.5 * math.log10(g.sum() / r.sum()) == pytest.approx(0.8, abs=0.1)
    assert body.truth["dust_depth"] > 0


def test_a_streams_light_lies_on_its_ellipse():
    map_ = light.stream(
        1.0, -2.0, np.random.default_rng(0), radius=9.0, width=0.5, start=0.7, turn=2.0, axis_ratio=1.0
    )
    x, y = light.plane()
    away = np.hypot(x - 1.0, y + 2.0)
    assert map_.sum() == pytest.approx(1, rel=0.02)
    assert map_[(away > 4.0) & (away < 14.0)].sum() > 0.98
    middle = math.atan2((map_ * (y + 2.0)).sum(), (map_ * (x - 1.0)).sum())
    assert middle == pytest.approx(0.7, abs=0.4)


def test_a_bridge_joins_its_ends():
    map_ = light.bridge((-8.0, 0.0), (8.0, 0.0), np.random.default_rng(0), width=0.6)
    x, _ = light.plane()
    assert map_.sum() == pytest.approx(1, rel=0.02)
    parts = [map_[(x >= low) & (x < low + 4)].sum() for low in (-8, -4, 0, 4)]
    assert min(parts) > 0.1
    assert map_[np.abs(x) > 11].sum() < 0.01


def test_arms_closer_than_asked_are_left_out_or_opened():
    tight = math.radians(8)
    assert _spaced(4, -tight, room=20.0, spacing=2.4) == (4, -tight)
    arms, pitch = _spaced(4, -tight, room=6.0, spacing=2.4)
    assert arms == 2
    assert 2 * math.pi * 6.0 * math.sin(tight) / 2 >= 2.4
    assert pitch == -tight
    arms, pitch = _spaced(2, -tight, room=4.5, spacing=2.4)
    assert 2 * math.pi * 4.5 * math.sin(-pitch) / 2 == pytest.approx(2.4)
    assert _spaced(2, tight, room=1.0, spacing=2.4)[1] == pytest.approx(1.5 * tight)
    assert _spaced(3, tight, room=1.0, spacing=0.0) == (3, tight)


def test_a_bars_ansae_brighten_its_ends():
    kind = Spiral(
        cos_inclination=Always(1.0),
        pitch=Always(20.0),
        arms=Always(2),
        strength=Always(0.0),
        flocculence=Always(0.0),
        bar_share=1.0,
        bar_flux=Always(0.35),
        bar_half_length=Always(1.5),
        warp_share=0.0,
        lopsided=Always(0.0),
        ansae=1.0,
    )
    x, y = light.plane()
    away, h = np.hypot(x, y), 6.0 / 1.55
    ends = (away > 1.2 * h) & (away < 1.5 * h)
    place = Place(0.0, 0.0, 6.0, 0.8)
    peaks = [
        np.median([paint(one, place, np.random.default_rng(seed)).light[1][ends].max() for seed in range(7)])
        for one in (replace(kind, ansae=0.0), kind)
    ]
    assert peaks[1] > 1.15 * peaks[0]


def test_a_warped_edge_on_disc_leaves_its_plane_and_a_thick_one_is_rounder():
    flat = EdgeOn(
        Always(0.12), Always(0.0), dust_share=0, asymmetry=Always(0.0), thick=Always(0.0), warp_share=0
    )
    ratios = [
        np.median([moments(paint(kind, PLACE, np.random.default_rng(seed)).light[1])[3] for seed in range(7)])
        for kind in (flat, replace(flat, thick=Always(0.4)), replace(flat, warp_share=1.0))
    ]
    assert ratios[1] > ratios[0] + 0.02
    assert ratios[2] != pytest.approx(ratios[0], abs=1e-4)


def test_a_wrecks_clumps_hold_the_light_asked_for():
    smooth, clumpy = (
        paint(
            Wreck(pieces=Always(1), clumps=Always(9), clump_flux=Always(share)),
            PLACE,
            np.random.default_rng(3),
        )
        for share in (0.01, 0.3)
    )
    _, r, g = clumpy.light
    assert (g / r).max() > (smooth.light[2] / smooth.light[1]).max()  # the clumps are blue
    assert np.abs(np.diff(r)).sum() > 1.3 * np.abs(np.diff(smooth.light[1])).sum()


def test_mergers_keep_their_light_and_meet_as_told():
    for seed in range(6):
        kind = Merger(
            bodies=Always(2),
            secondary_flux=Always(0.4),
            first_size=Always(1.0),
            separation=Always(5.0),
            halo_share=0.0,
            bridge_share=0.0,
            debris_share=0.0,
        )
        apart = merger(kind, PLACE, np.random.default_rng(seed))
        joined = merger(replace(kind, bridge_share=1.0, halo_share=1.0), PLACE, np.random.default_rng(seed))
        assert apart.light[1].sum() == pytest.approx(1, abs=0.05)
        assert joined.light[1].sum() == pytest.approx(1, abs=0.05)
        assert apart.truth["separation"] == pytest.approx(15.0)
        # The second body lies that far from the first: the centre of light is 0.4 of the way.
        _, x, y, _ = moments(apart.light[1])
        assert math.hypot(x, y) == pytest.approx(0.4 * 15, rel=0.35)


def test_a_mergers_bodies_stay_where_the_frame_can_cut_them():
    kind = Merger(separation=Always(9.0), bodies=Always(2))
    far = merger(kind, Place(0.0, 0.0, 16.0, 0.8), np.random.default_rng(0))
    assert far.truth["separation"] * 1.15 <= light.GRID / 2 * light.PIXEL_SCALE


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
    ours = viewer_colours(flux.astype(np.float32))
    for row in range(5):
        for column in range(4):
            z, r, g = flux[:, row, column]
            v = [max(0.0, 2.2 * z + 0.03), max(0.0, 3.4 * r + 0.03), max(0.0, 6.0 * g + 0.03)]
            i = sum(v) / 3
            f = math.asinh(20 * i) / math.sqrt(20)
            expected = [min(1.0, max(0.0, channel * f / i)) for channel in v]
            np.testing.assert_allclose(ours[row, column], expected, rtol=1e-4)
    # The survey's dark grey sky: 35 of 255 once noise has its share, 32 without.
    assert round(float(viewer_colours(np.zeros((3, 1, 1), np.float32))[0, 0, 0]) * 255) in range(31, 37)


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
