"""The weights that come with the book: whole, as small as promised, as good as their cards say."""

import re
from functools import cache

import numpy as np
import pytest
import torch

from galaxylib.evaluation.intervals import wilson
from galaxylib.networks.checkpoint import BROUGHT, SHIPPED, describe, load
from galaxylib.paper.shipped import OnReal

pytest.importorskip("galsim", reason="galaxies are drawn")
pytestmark = pytest.mark.slow

FULL, SMALL = (23_820_811, 60e6), (869_991, 3e6)
"""Parameters, and the bytes that the folder may take at most."""


def folder(name):
    return BROUGHT / name


def card_of(name):
    return (folder(name) / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shipped():
    """Each network, read once; not to be changed."""
    return cache(load)


@pytest.fixture(scope="module")
def drawn():
    """A hundred galaxies drawn afresh, of each class in turn."""
    from galaxylib.simulate import draw

    return torch.from_numpy(np.stack([draw(row % 10, seed=9000 + row)[0] for row in range(100)]))


@pytest.mark.parametrize("name", SHIPPED)
def test_weights_have_the_size_they_should(name, shipped):
    parameters, most = SMALL if name.endswith("small") else FULL
    loaded = shipped(name)
    assert sum(weight.numel() for weight in loaded.network.parameters()) == parameters
    assert sum(file.stat().st_size for file in folder(name).iterdir()) <= most
    assert all(torch.isfinite(tensor).all() for tensor in loaded.network.state_dict().values())


@pytest.mark.parametrize("name", SHIPPED)
def test_cards_tell_the_figures_of_the_descriptions(name):
    meta, card = describe(name), card_of(name)
    assert meta["data"]["simulated"] is True
    words = " ".join(card.split())
    assert f"{meta['data']['galaxies']:,} simulated galaxies" in words
    assert f"{meta['parameters']:,} parameters" in words
    for kind in ("simulated", "real"):
        found = meta["results"][kind]["plain"]
        low, high = found["accuracy_interval"]
        told = f"{found['accuracy']:.1%} ({low:.1%} to {high:.1%})".replace("%", " %")
        line = re.search(rf"^- {found['n']:,} {kind} .*$", card, re.MULTILINE)
        assert line is not None, f"the card of {name} gives no figure on {kind} galaxies"
        assert told in line.group(0)
        # The figures belong to the confusion matrix beside them.
        counts = np.array(found["confusion"]["counts"])
        assert counts.sum() == found["n"]
        assert found["accuracy"] == pytest.approx(np.trace(counts) / found["n"])
        assert found["accuracy_interval"] == pytest.approx(wilson(int(np.trace(counts)), found["n"]))


@pytest.mark.parametrize("name", SHIPPED)
def test_cards_tell_what_real_images_taught(name):
    """Each survey by its name and number; of a network without any that it has seen none."""
    told, sources = " ".join(card_of(name).split()), OnReal(name=name, meta=describe(name), scores={}).sources
    for source in sources:
        words = (
            f"{source['drawn']:,} galaxies of {source['name']}"
            if source["drawn"]
            else f"{source['measured']:,} images of {source['name']}"
        )
        assert words in told, f"the card of {name} must say {words!r}"
    assert ("has never seen a real image or a real label" in told) == (not sources)
    assert any(source["drawn"] for source in sources) == name.startswith("real")
    for averaged in describe(name).get("averaged_with", []):
        assert f"`{averaged['sha256'][:12]}...`" in told
    assert f'galaxylib.load("{name}")' in told


@pytest.mark.parametrize("name", SHIPPED)
def test_freshly_drawn_galaxies_are_known(name, shipped, drawn):
    n = 100 if name.endswith("small") else 40
    loaded = shipped(name)
    with torch.no_grad():
        found = loaded.network(loaded.preprocess(drawn[:n])).argmax(1).numpy()
    right = int((found == np.arange(n) % 10).sum())
    # The interval of this small sample must hold the figure of the card.
    low, high = wilson(right, n)
    assert low <= describe(name)["results"]["simulated"]["plain"]["accuracy"] <= high


@pytest.mark.parametrize("name", SHIPPED)
def test_real_galaxies_are_known_as_the_card_says(name, shipped, real_sample):
    from galaxylib.data.galaxy10 import Galaxy10
    from galaxylib.evaluation.predictions import predict, scores

    with Galaxy10(real_sample) as data:
        found = scores(predict(shipped(name), data, range(len(data))), resamples=100)
    # Other processors round otherwise: one image of sixty may change sides.
    told = describe(name)["results"]["real"]["plain"]
    assert found["n"] == told["n"]
    assert abs(found["accuracy"] - told["accuracy"]) <= 1.5 / found["n"]
