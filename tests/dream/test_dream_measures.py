"""The measures of dreams on images whose answer is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from small_dreams import met_data

from galaxylib import DMAGNet
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import PAPER_DREAM, Prior, Settings, layer, logit
from galaxylib.dream import images as pictures
from galaxylib.dream.measures import (
    as_seen,
    change_spectrum,
    describe,
    footprint,
    fourier_modes,
    measure_change,
    morphology,
    motif,
    objective_value,
    probabilities,
    random_twin,
    references,
    spectrum_distance,
)
from galaxylib.paper.dream_panels import (
    dreams,
    interval,
    measured,
    stage_objectives,
    trend,
    verdicts,
)

Y, X = np.mgrid[:128, :128] - 63.5
QUICK = Settings(sizes=(64,), steps=(2,), rates=(0.05,), jitter=(3,))


def sky(seed=0, side=128):
    return 0.14 + np.random.default_rng(seed).normal(0, 0.02, (side, side, 3))


def ellipse(a, b):
    return (X / a) ** 2 + (Y / b) ** 2 <= 1


def test_the_footprint_of_a_known_galaxy():
    inside = ellipse(30, 15)
    image = sky() + 0.3 * inside[..., None]
    image[20:24, 100:104] += 0.5  # a star elsewhere
    image[63:66, 93:99] += 0.5  # and one that touches the rim
    found = footprint(image)
    assert (found & inside).sum() / (found | inside).sum() > 0.82  # the blur adds a pixel to the rim
    assert not found[20:24, 100:104].any()
    assert not footprint(np.zeros((64, 64, 3))).any()
    assert footprint(sky()).mean() < 0.02


def test_the_frequency_of_a_wave():
    for k in (3, 17):
        wave = np.cos(2 * np.pi * k * X / 128)[..., None] * np.ones(3)
        rings, mean = change_spectrum(wave)
        assert mean == pytest.approx(k, rel=1e-6)
        assert rings[k] == pytest.approx(1)
    # Both axes count alike, and so do the columns that a real transform leaves out.
    noise = np.random.default_rng(0).normal(size=(64, 64, 3))
    full = np.abs(np.fft.fft2(noise - noise.mean((0, 1)), axes=(0, 1))) ** 2
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(64) * 64, np.fft.fftfreq(64) * 64, indexing="ij"))
    assert change_spectrum(noise)[1] == pytest.approx((full.sum(2) * k).sum() / full.sum())
    assert np.isnan(change_spectrum(np.zeros((16, 16, 3)))[1])


def test_cells_have_a_motif_and_blobs_have_none():
    angles = np.arange(3) * np.pi / 3
    cells = sum(np.cos(2 * np.pi * 10 / 128 * (X * np.cos(t) + Y * np.sin(t))) for t in angles)
    height, distance = motif(cells[..., None] * np.ones(3))
    # Six neighbours at 2 / sqrt(3) of the period.
    assert height > 0.5
    assert distance == pytest.approx(2 / np.sqrt(3) / 10, abs=0.02)
    blob = np.exp(-(X**2 + Y**2) / 200)[..., None] * np.ones(3)
    white = np.random.default_rng(0).normal(size=(128, 128, 3))
    assert motif(blob)[0] < 0.2
    assert motif(white)[0] < 0.05
    assert motif(np.zeros((32, 32, 3)))[0] == 0


def test_the_distance_of_spectra():
    prior = Prior.load()
    faint = Prior(amplitude=prior.amplitude * 0.3, colour=prior.colour, mean=np.full(3, 0.5), source="test")
    noise = faint.noise(256, 256, torch.Generator().manual_seed(0))[0].permute(1, 2, 0).double().numpy()
    assert spectrum_distance(noise, faint) < 0.15
    assert spectrum_distance(0.5 + (noise - 0.5) * 0.1, faint) == pytest.approx(1, abs=0.1)


def test_bars_and_arms_by_their_harmonics():
    radius, angle = np.hypot(X, Y), np.arctan2(Y, X)
    mask = radius < 40
    disc = 0.3 * np.exp(-radius / 20)
    inner = np.where(radius < 18, 1 + 0.5 * np.cos(2 * angle), 1)
    barred = fourier_modes((0.1 + disc * inner * mask)[..., None] * np.ones(3), mask)
    plain = fourier_modes((0.1 + disc * mask)[..., None] * np.ones(3), mask)
    assert barred["bar"] == pytest.approx(0.5, abs=0.05)
    assert plain["bar"] < 0.05
    wound = 1 + 0.4 * np.cos(2 * (angle - 3 * np.log(np.maximum(radius, 1))))
    arms = fourier_modes((0.1 + disc * wound * mask)[..., None] * np.ones(3), mask)
    assert arms["arms"] == pytest.approx(0.4, abs=0.08)
    assert np.isnan(fourier_modes(np.zeros((64, 64, 3)), np.zeros((64, 64), bool))["bar"])


@pytest.mark.slow
def test_morphology_by_statmorph():
    pytest.importorskip("statmorph")
    peaked = sky() + 0.8 * np.exp(-np.hypot(X, Y) / 6)[..., None]
    flat = sky() + 0.3 * ellipse(24, 24)[..., None]
    found = [morphology(image, footprint(image)) for image in (peaked, flat)]
    assert found[0]["concentration"] > found[1]["concentration"]
    assert found[0]["gini"] > found[1]["gini"]
    assert abs(found[1]["asymmetry"]) < 0.15
    assert np.isnan(morphology(sky(), np.zeros((128, 128), bool))["gini"])


def test_the_share_of_a_change_inside():
    reference = sky() + 0.3 * ellipse(30, 30)[..., None]
    mask = ellipse(30, 30)
    change = np.where(mask, 0.2, 0.1)[..., None]
    found = measure_change(reference + change, reference, mask=mask)
    share = mask.mean()
    assert found["inside_share"] == pytest.approx(4 * share / (4 * share + 1 - share))
    assert found["focus"] == pytest.approx(found["inside_share"] / share)
    assert found["change_rms"] == pytest.approx(np.sqrt(0.04 * share + 0.01 * (1 - share)))
    everywhere = measure_change(reference + 0.1, reference, mask=mask)
    assert everywhere["focus"] == pytest.approx(1)


@pytest.fixture(scope="module")
def network():
    return met_data().eval()


@pytest.fixture(scope="module")
def galaxies():
    pictures = [sky(n) + 0.4 * ellipse(12 + 4 * n, 10)[..., None] for n in range(3)]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().clamp(0, 1)


def test_the_random_twin(network, galaxies):
    chance, before = torch.random.get_rng_state(), {k: v.clone() for k, v in network.state_dict().items()}
    preprocess = Preprocess(size=64)
    twin = random_twin(network, galaxies, preprocess=preprocess, seed=1)
    again = random_twin(network, galaxies, preprocess=preprocess, seed=1)
    assert torch.equal(torch.random.get_rng_state(), chance)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not torch.equal(twin.stem[0][0].weight, network.stem[0][0].weight)
    assert torch.equal(twin.lam.expand[0].weight, again.lam.expand[0].weight)
    assert not any(module.training for module in twin.modules())
    # BatchNorm measured on the images: what leaves the first one is normalised on them.
    outputs = twin.stem[0][1](twin.stem[0][0](as_seen(galaxies, preprocess)))
    torch.testing.assert_close(outputs.mean((0, 2, 3)), torch.zeros(outputs.shape[1]), atol=1e-3, rtol=0)
    torch.testing.assert_close(outputs.std((0, 2, 3)), torch.ones(outputs.shape[1]), atol=0.02, rtol=0)


def test_probabilities_see_images_as_in_use(network):
    preprocess = Preprocess(size=64, crop=128)
    stored = torch.randint(0, 256, (2, 256, 256, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = network(preprocess(stored)).softmax(1)
    found = probabilities(network, stored.permute(0, 3, 1, 2).float() / 255, preprocess=preprocess)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-3)


@pytest.mark.slow
def test_a_gallery_and_its_measures(network, galaxies):
    preprocess = Preprocess(size=64)
    objectives = stage_objectives(("stem", "lam"))
    made = dreams(network, galaxies, objectives, settings=QUICK, preprocess=preprocess, seed=0, batch=2)
    still = references(network, galaxies, settings=QUICK, preprocess=preprocess)
    table = measured(made, still, network=network, preprocess=preprocess, measure=False)
    assert list(table["objective"]) == ["stem"] * 3 + ["lam"] * 3
    assert (table["gain"] > 1).all()
    assert (table["change_rms"] > 0.001).all()
    row = table.iloc[4]
    dreamed = made["lam"][1].image
    values = [
        float(objective_value(network, image[None], layer("lam"), preprocess=preprocess)[0])
        for image in (dreamed, still[1])
    ]
    assert row["gain"] == pytest.approx(values[0] / values[1], rel=1e-4)
    picture = still[1].permute(1, 2, 0).double().numpy()
    assert row["bar_before"] == pytest.approx(describe(picture, footprint(picture), measure=False)["bar"])
    # The change of every class's probability, by the network itself.
    seen, dreamt = (
        network(preprocess.normalise(preprocess.fit(pictures.fit(one[None], 256, 256)))).softmax(1)[0]
        for one in (still[1], dreamed)
    )
    changes = torch.tensor([row[f"change_{number}"] for number in range(10)]).float()
    torch.testing.assert_close(changes, (dreamt - seen).detach(), atol=1e-6, rtol=1e-3)
    # A dream on one logit, as the chapter does for all ten.
    value = objective_value(network, galaxies, logit(3), preprocess=preprocess)
    assert value.shape == (3,)


def test_references_take_no_step(network, galaxies):
    still = references(network, galaxies, settings=PAPER_DREAM.to(64), preprocess=Preprocess())
    assert still.shape == (3, 3, 64, 64)
    other = references(DMAGNet(width=0.05), galaxies, settings=PAPER_DREAM.to(64), preprocess=Preprocess())
    assert torch.equal(still, other)


def test_intervals_are_student_s():
    values = np.random.default_rng(0).normal(1, 2, 12)
    mean, low, high = interval(np.append(values, np.nan))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((values.mean(), expected.low, expected.high))
    assert np.isnan(interval(np.array([1.0]))[1])


def test_several_random_networks_widen_the_interval():
    """Each chance alone is Student's; together they add in squares."""
    generator = np.random.default_rng(1)
    of_galaxies, of_networks = generator.normal(0, 1, 8), generator.normal(0, 1, 3)

    def half(values):
        bounds = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        return (bounds.high - bounds.low) / 2

    both = of_networks[:, None] + of_galaxies
    mean, low, high = interval(both)
    assert mean == pytest.approx(both.mean())
    assert (high - low) / 2 == pytest.approx(np.hypot(half(of_galaxies), half(of_networks)))
    both[1, 2] = np.nan  # the galaxy leaves all networks
    assert interval(both)[0] == pytest.approx(np.delete(both, 2, axis=1).mean())


def test_a_trend_has_the_interval_of_each_stage():
    """Galaxies are matched by their number, whatever the rows' order."""
    values = np.random.default_rng(2).normal(size=(2, 2, 5))  # networks, stages, galaxies
    tables = [
        pd.DataFrame(
            {"objective": stage, "galaxy": galaxy, "motif": of[row, galaxy]}
            for row, stage in enumerate(("stem", "lam"))
            for galaxy in order
        )
        for of, order in zip(values, (range(5), range(4, -1, -1)), strict=True)
    ]
    found = trend(tables, "motif")
    assert list(found.index) == ["stem", "lam"]
    for row, stage in enumerate(found.index):
        assert tuple(found.loc[stage]) == pytest.approx(interval(values[:, row]))


def made_up(frequency, motif_height, inside, focus):
    rows = [
        {
            "objective": stage,
            "galaxy": galaxy,
            "change_frequency": frequency[stage] + 0.1 * galaxy,
            "motif": motif_height + 0.001 * galaxy,
            "inside_share": inside + 0.01 * galaxy,
            "focus": focus + 0.1 * galaxy,
        }
        for stage in ("stem", "dma1", "dma2", "dma3", "lam")
        for galaxy in range(5)
    ]
    return pd.DataFrame(rows)


def test_verdicts_follow_the_numbers():
    falling = dict(zip(("stem", "dma1", "dma2", "dma3", "lam"), (30, 20, 15, 10, 5), strict=True))
    trained, control = made_up(falling, 0.3, 0.8, 6), made_up(falling, 0.1, 0.2, 1)
    found = verdicts(trained, [control, control]).set_index("name")
    assert (found["holds"] == "yes").all()
    assert found.loc["stem_frequency_excess", "value"] == pytest.approx(30 - 12.5)
    assert found.loc["dma_motif_excess", "value"] == pytest.approx(0.2)
    assert found.loc["lam_centre_excess", "control"] == pytest.approx(1.2)
    turned = verdicts(control, [trained]).set_index("name")
    assert list(turned["holds"]) == ["yes", "no", "no", "no"]
    noisy = trained.assign(inside_share=np.tile([0.1, 0.9, 0.5, 0.2, 0.8], 5))
    assert verdicts(noisy, [control]).set_index("name").loc["lam_inside_share", "holds"] == "open"
