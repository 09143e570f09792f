"""The ways to look into a network: what is asked for, and what is measured, by plain loops."""

import numpy as np
import pytest
import torch

from galaxylib.dream import logit, near
from galaxylib.dream.images import fit
from galaxylib.networks.checkpoint import load
from galaxylib.paper.visualisations import compared, looked, on_white, several, ways

GOAL = logit("Merging")


@pytest.fixture(scope="module")
def made(tiny_checkpoint):
    loaded = load(tiny_checkpoint)
    networks = {"trained": loaded.network}
    chosen = ways(GOAL, size=48, kept="dma1", exaggerated="dma2", inverted=("stem", "lam"), turns=0.1)
    image = torch.rand(3, 60, 60, generator=torch.Generator().manual_seed(0))
    return (
        networks,
        loaded.preprocess,
        image,
        chosen,
        looked(networks, image, chosen, preprocess=loaded.preprocess, seed=0),
    )


@pytest.mark.slow
def test_each_way_asks_for_what_its_name_says(made):
    _, _, image, chosen, dreams = made
    dream, maco, accentuation, caricature, *inversions = chosen
    assert [way.name for way in inversions] == ["inversion of stem", "inversion of lam"]
    assert [way.objective for way in inversions] == [near("stem"), near("lam")]
    assert {way.settings.start for way in inversions} == {"galaxies"}
    assert {way.settings.magnitude for way in inversions} == {"free"}
    assert dream.objective == maco.objective == GOAL
    assert maco.settings.magnitude == maco.settings.start == "galaxies"
    assert [way.masked for way in chosen] == [False, True, False, False, False, False]
    assert str(accentuation.objective) == "logit:1 + 2*near:dma1"
    assert str(caricature.objective) == "caricature:dma2"
    assert dream.settings == accentuation.settings == caricature.settings
    assert all(one.image.shape == (3, 48, 48) for one in dreams["trained"])
    assert all(torch.equal(one.given, image) for one in dreams["trained"])


@pytest.mark.slow
def test_what_is_masked_stands_on_white(made):
    *_, chosen, dreams = made
    maco = dreams["trained"][1]
    picture = on_white(maco, chosen[1])
    for row, column in ((0, 0), (20, 31), (47, 5)):
        alpha, pixel = float(maco.alpha[row, column]), maco.image[:, row, column].numpy()
        np.testing.assert_allclose(picture[row, column], alpha * pixel + (1 - alpha), atol=1e-6)
    plain = dreams["trained"][0]
    np.testing.assert_array_equal(on_white(plain, chosen[0]), plain.image.permute(1, 2, 0).numpy())


@pytest.mark.slow
def test_the_table_by_hooks_on_the_network(made):
    networks, preprocess, image, chosen, dreams = made
    table = compared(dreams, networks, chosen, goal=GOAL, kept="dma1", preprocess=preprocess)
    assert list(table["way"]) == [way.name for way in chosen]
    network, kept = networks["trained"].eval(), []
    handle = network.dma1.register_forward_hook(lambda m, i, output: kept.append(output))
    given = fit(image[None], 48, 48)
    with torch.no_grad():
        before = network(preprocess.normalise(given))[0, 1]
        for row, one in zip(table.itertuples(), dreams["trained"], strict=True):
            after = network(preprocess.normalise(one.image[None]))[0, 1]
            assert row.goal_before == pytest.approx(float(before), abs=1e-4)
            assert row.goal == pytest.approx(float(after), abs=1e-4)
            moved = float((kept[-1] - kept[0]).norm() / kept[0].norm())
            assert row.moved == pytest.approx(moved, rel=1e-3)
            pixels = [picture.double().mean(0).flatten() for picture in (one.image, given[0])]
            a, b = (p - p.mean() for p in pixels)
            assert row.likeness == pytest.approx(float(a @ b / (a.norm() * b.norm())), abs=1e-5)
    handle.remove()


def test_dreams_kept_apart_are_less_alike_and_begin_alike(tiny_checkpoint):
    loaded = load(tiny_checkpoint)
    asked = {"stage": "dma2", "size": 48, "turns": 0.2, "seed": 1}
    alone, apart = (several(loaded, GOAL, weight=weight, **asked) for weight in (0.0, 3.0))
    assert apart.alike < alone.alike
    for one, other in zip(alone.dreams, apart.dreams, strict=True):
        assert torch.equal(one.start, other.start)
    assert not torch.equal(alone.dreams[0].start, alone.dreams[1].start)
    # The figures by a hook and plain loops over pairs.
    network, kept = loaded.network.eval(), []
    handle = network.dma2.register_forward_hook(lambda m, i, output: kept.append(output[0].flatten(1)))
    with torch.no_grad():
        logits = [float(network(loaded.preprocess.normalise(one.image[None]))[0, 1]) for one in apart.dreams]
    handle.remove()
    grams = [(a.double() @ a.double().T).flatten() for a in kept]
    cosines = [
        float(grams[i] @ grams[j] / (grams[i].norm() * grams[j].norm())) for i in range(4) for j in range(i)
    ]
    assert apart.alike == pytest.approx(np.mean(cosines), abs=1e-4)
    assert apart.goal == pytest.approx(np.mean(logits), abs=1e-3)
