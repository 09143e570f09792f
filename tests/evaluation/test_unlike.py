"""The score "unlike training": it is the distance that it says it is, and tells what is no galaxy."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from torch import nn

from galaxylib.data.in_memory import InMemory
from galaxylib.errors import CheckpointError, DataError
from galaxylib.evaluation.judge import look_at_rows, pooled, watching
from galaxylib.evaluation.unlike import Normal, Reference, first_and_last
from galaxylib.networks.checkpoint import load
from galaxylib.networks.registry import build


def correlated(count, width=12, *, seed=0, shift=0.0):
    mixing = np.random.default_rng(99).normal(size=(width, width)) * np.linspace(0.1, 3, width)
    return np.random.default_rng(seed).normal(size=(count, width)) @ mixing + 5 + shift


def test_the_distance_is_that_of_probabilistic_principal_components():
    numbers, others = correlated(40), correlated(25, seed=1, shift=1)
    scaled = (numbers - numbers.mean(0)) / numbers.std(0)
    oracle = PCA(10, svd_solver="full").fit(scaled)
    away = (others - numbers.mean(0)) / numbers.std(0) - oracle.mean_
    expected = np.sqrt(np.einsum("ni,ij,nj->n", away, oracle.get_precision(), away))
    np.testing.assert_allclose(Normal.fit(numbers).distance(others), expected, rtol=1e-3)


def test_what_never_varied_is_neither_divided_by_nor_without_bounds():
    numbers = np.hstack([correlated(60), np.full((60, 2), 3.0)])
    found = Normal.fit(numbers).distance(numbers + np.eye(14)[13] * 0.5)
    assert np.isfinite(found).all()


def test_one_in_twenty_of_like_images_and_all_others_are_above_one():
    reference = Reference.fit({"a": correlated(1500), "b": correlated(1500, 6, seed=3)})
    fresh = reference.scores({"a": correlated(4000, seed=5), "b": correlated(4000, 6, seed=6)})
    assert 0.03 < (fresh > 1).mean() < 0.075
    assert reference.quantiles[95] == pytest.approx(1, abs=1e-3)
    assert np.median(fresh) == pytest.approx(reference.quantiles[50], rel=0.05)
    # It is enough that one of the stages answers oddly.
    odd = reference.scores({"a": correlated(50, seed=7), "b": correlated(50, 6, seed=8, shift=40)})
    assert (odd > 1).all()
    largest = np.maximum(
        *(
            n.distance(correlated(5, w, seed=9)) / n.limit
            for n, w in zip(reference.stages.values(), (12, 6), strict=True)
        )
    )
    np.testing.assert_allclose(
        reference.scores({"a": correlated(5, seed=9), "b": correlated(5, 6, seed=9)}), largest
    )


def test_too_few_images_and_what_is_no_number_are_told():
    with pytest.raises(DataError, match="4 images are too few"):
        Reference.fit({"a": correlated(4)})
    broken = correlated(50)
    broken[3, 2] = np.nan
    with pytest.raises(DataError, match="stage 'a' gives for these images what is no number"):
        Reference.fit({"a": broken})


def test_a_reference_comes_back_from_its_arrays_or_is_refused():
    reference = Reference.fit({"a.0": correlated(50), "b": correlated(50, 6)})
    arrays = reference.to_arrays()
    again = Reference.from_arrays(arrays)
    given = {"a.0": correlated(9, seed=2), "b": correlated(9, 6, seed=2)}
    assert np.array_equal(again.scores(given), reference.scores(given))

    def spoilt(name, array):
        return {key: value for key, value in (arrays | {name: array}).items() if value is not None}

    for name, array in (
        ("quantiles", None),
        ("b/mean", None),
        ("b/mean", torch.zeros(5)),
        ("b/mean", torch.full((6,), torch.nan)),
        ("b/scale", torch.zeros(6)),
        ("b/noise", torch.ones(2)),
        ("b/variances", -arrays["b/variances"]),
        ("b/directions", arrays["b/directions"].double()),
        ("c/mean", torch.zeros(6)),
        ("quantiles", torch.zeros(3)),
    ):
        with pytest.raises(CheckpointError, match=r"not whole.*calibrate"):
            Reference.from_arrays(spoilt(name, array))
    with pytest.raises(CheckpointError, match="not whole"):
        Reference.from_arrays({})


def test_stages_are_pooled_over_their_places():
    maps = torch.randn(3, 5, 4, 6)
    expected = np.hstack([maps.numpy().mean((2, 3)), maps.numpy().std((2, 3))])
    np.testing.assert_allclose(pooled(maps).numpy(), expected, atol=1e-6)
    tokens = maps.flatten(2).transpose(1, 2)
    np.testing.assert_allclose(pooled(tokens).numpy(), expected, atol=1e-6)
    assert torch.equal(pooled(maps[:, :, 0, 0]), maps[:, :, 0, 0])
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten())
    with watching(network, ["0"]) as seen:
        images = torch.randn(2, 3, 8, 8)
        network(images)
        network(images + 1)
    torch.testing.assert_close(seen["0"], pooled(network[0](images)))
    network(images)
    assert not network[0]._forward_hooks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "size", "stages"),
    [
        ("dmagnet", {"width": 0.05}, 64, ("stem", "lam")),
        ("convnet", {}, 128, ("conv1", "conv4")),
        ("alexnet", {}, 64, ("features",)),
        ("convnext_atto", {}, 64, ("stem", "norm_pre")),
    ],
)
def test_the_first_and_the_last_stage_of_any_network(name, options, size, stages):
    assert first_and_last(build(name, **options), name, size=size) == stages


def test_a_network_of_linear_layers_alone_has_no_stage():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10))
    with pytest.raises(CheckpointError, match="No part of 'mine:Flat' gives maps"):
        first_and_last(flat, "mine:Flat", size=8)


@pytest.fixture(scope="module")
def scored():
    """Scores by the shipped small network of drawn galaxies held out, and of cutouts without a galaxy."""
    pytest.importorskip("galsim")
    from galaxylib.data.galaxy10 import CLASS_NAMES
    from galaxylib.simulate.artefacts import ARTEFACTS, SKY, STAR, draw_others
    from galaxylib.simulate.drawing import draw

    loaded = load("small")

    def numbers(images):
        data = InMemory(images, np.zeros(len(images), np.int64), True)
        return look_at_rows(
            loaded.network, data, np.arange(len(data)), preprocess=loaded.preprocess, stages=("stem", "lam")
        ).stages

    galaxies = np.stack([draw(row % len(CLASS_NAMES), seed=row + 10**6)[0] for row in range(420)])
    reference = Reference.fit(numbers(galaxies[:300]))
    found = {"galaxy": reference.scores(numbers(galaxies[300:]))}
    for place, (name, kinds) in enumerate({"star": (STAR,), "artefact": ARTEFACTS, "sky": (SKY,)}.items()):
        found[name] = reference.scores(numbers(draw_others(kinds, 80, seed=place)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["star", "artefact", "sky"])
def test_what_is_no_galaxy_is_told_from_drawn_galaxies(scored, kind):
    galaxies, others = scored["galaxy"], scored[kind]
    truth = np.r_[np.zeros(len(galaxies)), np.ones(len(others))]
    assert roc_auc_score(truth, np.r_[galaxies, others]) >= 0.9
    assert (others > 1).mean() > 5 * (galaxies > 1).mean()
