"""Objectives that compare activations, and the alpha: each against a plain loop on the network itself."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from small_dreams import met_data, tilted_blob
from torch import nn

from galaxylib import DMAGNet
from galaxylib.cli import main
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import (
    Objective,
    Settings,
    caricature,
    channel,
    diversity,
    dream,
    dream_batch,
    layer,
    logit,
    near,
    parse,
)
from galaxylib.dream import images as pictures
from galaxylib.dream.ascent import SHARED
from galaxylib.dream.comparisons import LEAST_COSINE
from galaxylib.dream.forward import Tap
from galaxylib.dream.measures import objective_value
from galaxylib.dream.record import read_png
from galaxylib.errors import DreamError
from galaxylib.networks.checkpoint import load

ONE = Settings(sizes=(64,), steps=(6,), rates=(0.05,), jitter=(5,), levels=1, sharpen=0)
FROM_NOISE = ONE.but(start="noise")


@pytest.fixture(scope="module")
def network() -> DMAGNet:
    """A tiny DMAGNet whose BatchNorms have met data."""
    return met_data().eval()


@pytest.fixture(scope="module")
def galaxy() -> torch.Tensor:
    """A tilted blob on a noisy sky, (3, 80, 80)."""
    return tilted_blob()


def naive_near(a, b):
    return -sum((p - q) ** 2 for p, q in zip(a.ravel(), b.ravel(), strict=True)) / sum(
        q**2 for q in b.ravel()
    )


def naive_caricature(a, b, power):
    dot = sum(p * q for p, q in zip(a.ravel(), b.ravel(), strict=True))
    long_a, long_b = (math.sqrt(sum(p**2 for p in one.ravel())) for one in (a, b))
    return dot / long_b**2 * max(LEAST_COSINE, dot / (long_a * long_b)) ** power


def naive_diversity(batch, i):
    grams = []
    for one in batch:
        gram = np.zeros((len(one), len(one)))
        for c in range(len(one)):
            for d in range(len(one)):
                gram[c, d] = sum(p * q for p, q in zip(one[c].ravel(), one[d].ravel(), strict=True))
        grams.append(gram)
    cosines = [
        (grams[i] * other).sum() / (np.linalg.norm(grams[i]) * np.linalg.norm(other))
        for j, other in enumerate(grams)
        if j != i
    ]
    return -sum(cosines) / len(cosines)


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (3, 7)])
def test_each_comparison_is_its_formula_and_its_gradient_that_of_the_formula(shape):
    generator = torch.Generator().manual_seed(0)
    activation = torch.randn(*shape, generator=generator, dtype=torch.float64).abs()
    anchor = torch.randn(*shape, generator=generator, dtype=torch.float64)
    anchor[0] = -activation[0]  # behind: its cosine is the least
    numbers, others = activation.numpy(), anchor.numpy()
    for objective, naive in (
        (near("x"), lambda i: naive_near(numbers[i], others[i])),
        (caricature("x"), lambda i: naive_caricature(numbers[i], others[i], 2)),
        (caricature("x", power=0), lambda i: naive_caricature(numbers[i], others[i], 0)),
        (diversity("x"), lambda i: naive_diversity(numbers, i)),
    ):
        found = (2 * objective).value({"x": activation}, {"x": anchor})
        np.testing.assert_allclose(found, [2 * naive(i) for i in range(3)], rtol=1e-10)
        assert torch.autograd.gradcheck(
            lambda a, one=objective: one.value({"x": a}, {"x": anchor}), activation.clone().requires_grad_()
        )
    same = {"x": activation}
    np.testing.assert_allclose(near("x").value(same, same), 0, atol=1e-12)
    np.testing.assert_allclose(caricature("x", power=3).value(same, same), 1)
    alike = {"x": activation[:1].expand(3, *shape[1:])}
    np.testing.assert_allclose(diversity("x").value(alike), -1)


def plain_dream(network, settings, x, anchor, loss, *, stages, generator):
    """An ascent at one size with hooks on the network as it is: shifts, steps, and the gradient's sum."""
    preprocess = Preprocess()
    low, high = (preprocess.normalise(torch.full((1, 3, 1, 1), value)) for value in (0.0, 1.0))
    total = torch.zeros(x.shape[0], *x.shape[2:])

    def activations(images):
        kept = {}
        handles = [
            network.get_submodule(stage).register_forward_hook(
                lambda m, i, out, stage=stage: kept.__setitem__(stage, out)
            )
            for stage in stages
        ]
        network(images)
        for handle in handles:
            handle.remove()
        return kept

    for step in range(settings.steps[0]):
        if step % SHARED == 0:
            jitter = settings.jitter[0]
            shift = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
        rolled = x.roll(shift, (2, 3)).requires_grad_()
        with torch.no_grad():
            there = activations(anchor.roll(shift, (2, 3)))
        value = loss(activations(rolled), there)
        (gradient,) = torch.autograd.grad(value, rolled)
        size = gradient.roll([-s for s in shift], (2, 3)).abs().mean(1)
        total += size / size.mean()
        sigma = 2 * (step + 1) / settings.steps[0] + 0.5
        gradient = pictures.convolve(gradient, pictures.gaussian_cascade(sigma))
        gradient = (gradient - gradient.mean()) / gradient.std()
        x = x + settings.rates[0] * gradient.roll([-s for s in shift], (2, 3))
        x = x.detach().clamp(low, high)
    return preprocess.denormalise(x)[0].clamp(0, 1), total[0], float(value.detach())


def assert_same_dream(made, image):
    """Two ways of one ascent: rounding may turn a ReLU on or off, and the pixels around it then part.

    That moves a pixel by 0.0005 on average, a weight or a rate that is wrong by a tenth by 0.004.
    """
    assert (made - image).abs().mean() < 1e-3


@pytest.mark.slow
def test_an_inversion_is_the_plain_loop(network, galaxy):
    made = dream(network, galaxy, near("dma2"), settings=FROM_NOISE, seed=3)
    generator = torch.Generator().manual_seed(3)
    noise = torch.rand(1, 3, 64, 64, generator=generator)
    x, anchor = (Preprocess().normalise(one) for one in (noise, pictures.fit(galaxy[None], 64, 64)))

    def loss(here, there):
        return -((here["dma2"] - there["dma2"]) ** 2).sum() / (there["dma2"] ** 2).sum()

    image, total, value = plain_dream(
        network, FROM_NOISE, x, anchor, loss, stages=["dma2"], generator=generator
    )
    assert made.record["values"][-1] == pytest.approx(value, rel=1e-3)
    assert_same_dream(made.image, image)
    assert made.record["values"][0] < made.record["values"][-1] < 0
    # The mask: the sum of the gradient's size, its largest fifth opaque.
    expected = (total / np.sort(total.ravel())[round(0.8 * total.numel()) - 1]).clamp(0, 1)
    assert made.alpha.shape == (64, 64)
    assert (made.alpha - expected).abs().mean() < 0.01
    assert float((made.alpha == 1).float().mean()) == pytest.approx(0.2, abs=0.01)


@pytest.mark.slow
def test_an_accentuation_and_a_caricature_are_the_plain_loop(network, galaxy):
    x = Preprocess().normalise(pictures.fit(galaxy[None], 64, 64))

    def near_loss(here, there):
        away = ((here["dma1"] - there["dma1"]) ** 2).sum() / (there["dma1"] ** 2).sum()
        return here["dma2"][:, 3].mean() - 4 * away

    def caricature_loss(here, there):
        a, b = here["dma1"], there["dma1"]
        return (a * b).sum() / (b * b).sum() * ((a * b).sum() / (a.norm() * b.norm())) ** 2

    for objective, loss, stages in (
        (channel("dma2", 3) + 4 * near("dma1"), near_loss, ["dma1", "dma2"]),
        (caricature("dma1"), caricature_loss, ["dma1"]),
    ):
        made = dream(network, galaxy, objective, settings=ONE, seed=3)
        generator = torch.Generator().manual_seed(3)
        image, _, value = plain_dream(network, ONE, x, x, loss, stages=stages, generator=generator)
        assert made.record["values"][-1] == pytest.approx(value, rel=1e-3)
        assert_same_dream(made.image, image)


def value_at(network, image, given, objective):
    """An objective at an image of 64 pixels, compared with what was given."""
    tap = Tap(network, objective.layers)
    normalise = Preprocess().normalise
    with torch.no_grad():
        here, there = (tap(normalise(one[None])) for one in (image, pictures.fit(given[None], 64, 64)[0]))
        return float(objective.value(here, there))


@pytest.mark.slow
def test_each_does_what_it_is_for(network, galaxy):
    settings = ONE.but(steps=(12,))
    plain = dream(network, galaxy, channel("dma2", 3), settings=settings)
    accented = dream(network, galaxy, channel("dma2", 3) + 10 * near("dma1"), settings=settings)
    start = value_at(network, pictures.fit(galaxy[None], 64, 64)[0], galaxy, channel("dma2", 3))
    assert value_at(network, accented.image, galaxy, channel("dma2", 3)) > start
    nearness = [value_at(network, one.image, galaxy, near("dma1")) for one in (plain, accented)]
    assert nearness[0] < 2 * nearness[1] < 0
    more = dream(network, galaxy, caricature("dma2", power=0), settings=settings)
    assert value_at(network, more.image, galaxy, caricature("dma2", power=0)) > 1.1
    strict = dream(network, galaxy, caricature("dma2", power=8), settings=settings)
    keeps = [
        value_at(network, one.image, galaxy, caricature("dma2", power=1))
        / value_at(network, one.image, galaxy, caricature("dma2", power=0))
        for one in (more, strict)
    ]
    assert keeps[1] > keeps[0]  # the cosine with the image's own activation


@pytest.mark.slow
def test_diverse_dreams_differ_more(network, galaxy):
    settings = FROM_NOISE.but(steps=(15,), rates=(0.1,), jitter=(0,))
    objective = channel("dma2", 3)
    made = {
        weight: dream_batch(
            network, galaxy[None], [objective + weight * diversity("dma1")] * 3, settings=settings
        )
        for weight in (1e-6, 100)
    }
    unlike = {}
    for weight, dreams in made.items():
        assert not torch.equal(dreams[0].start, dreams[1].start)
        with torch.no_grad():
            seen = Tap(network, ["dma1"])(Preprocess().normalise(torch.stack([d.image for d in dreams])))
        unlike[weight] = float(diversity("dma1").value(seen).mean())
    assert unlike[100] > unlike[1e-6]


def test_the_anchor_follows_the_image_through_sizes_and_shifts(network, galaxy):
    """Where no step moves the image, it stays as near to itself as resizing allows."""
    seen = []

    class Watched(Objective):
        def value(self, activations, anchors=None):
            seen.append(float(near("stem").value(activations, anchors)[0].detach()))
            return super().value(activations, anchors)

    watched = Watched((layer("stem") + 1e-9 * near("stem")).terms)
    still = Settings(sizes=(64, 96), steps=(9, 5), rates=(1e-4, 1e-4), jitter=(9, 9))
    dream(network, galaxy, watched, settings=still)
    # On the first level it is the image itself, at three shifts; later it was resized more often.
    assert len(seen) == still.total_steps == 28
    assert seen[0] == 0
    assert min(seen[:9]) > -1e-4
    assert -0.1 < min(seen) < -1e-3
    dream(network, galaxy, Watched(near("stem").terms), settings=FROM_NOISE)
    assert max(seen[28:]) < -0.1  # from noise the anchor is the image all the same


def test_a_shift_is_kept_for_some_steps_and_no_longer(network, galaxy, monkeypatch):
    ran = []
    call = Tap.__call__
    monkeypatch.setattr(Tap, "__call__", lambda self, x: ran.append(x.requires_grad) or call(self, x))
    settings = ONE.but(steps=(2 * SHARED + 1,))
    dream(network, galaxy, caricature("dma1"), settings=settings)
    assert ran.count(True) == 2 * SHARED + 2  # the first asks how much memory it will take
    assert ran.count(False) == 3
    ran.clear()
    dream(network, galaxy, layer("dma1"), settings=settings)
    assert all(ran)


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("near:lam", near("lam")),
        ("logit:Merging + 5*near:dma1", logit("Merging") + 5 * near("dma1")),
        ("caricature:dma1.0.conv", caricature("dma1.0.conv")),
        ("-0.5*caricature:dma2^1.5", -0.5 * caricature("dma2", power=1.5)),
        ("dma2:5 + diversity:stem", channel("dma2", 5) + diversity("stem")),
    ],
)
def test_comparisons_from_text(text, objective):
    assert parse(text) == objective
    assert parse(str(objective)) == objective
    assert Objective.from_dict(objective.to_dict()) == objective


def test_dreams_of_before_are_still_read():
    terms = (layer("lam") - channel("dma1", 2)).to_dict()
    for term in terms:
        del term["power"]
    assert Objective.from_dict(terms) == layer("lam") - channel("dma1", 2)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("caricature:dma2^x", "a factor is a number, like a power"),
        ("caricature:dma2^-1", "power is -1.0: choose power from 0 to 16"),
        ("caricature:dma2^99", "choose power from 0 to 16"),
        ("near:dma1@3", "is no objective"),
    ],
)
def test_comparisons_that_cannot_be_read(text, sentence):
    with pytest.raises(DreamError, match=sentence.replace("^", r"\^")):
        parse(text)


class Deaf(nn.Module):
    """Silent where the image is dark."""

    def forward(self, x):
        return torch.relu(x)


def test_what_can_be_compared_with_nothing_is_said(network, galaxy):
    both = logit(1) + diversity("dma1")
    for objective, settings, sentence in (
        (near("lamm"), FROM_NOISE, "nearest are lam"),
        (near("lam"), ONE, "near:lam begins at its summit.*start from noise"),
        (near("lam") - near("dma1"), ONE, "begins at its summit"),
        (layer("lam") + near("dma1"), ONE.but(tile=512), "compares whole images.*set tile=0"),
        (both, FROM_NOISE, "dream at least two at once"),
        (both, ONE, "start from noise or galaxies"),
    ):
        with pytest.raises(DreamError, match=sentence):
            dream(network, galaxy, objective, settings=settings)
    with pytest.raises(DreamError, match="one image on one objective"):
        dream_batch(network, galaxy.expand(2, -1, -1, -1), [both], settings=FROM_NOISE)
    with pytest.raises(DreamError, match="one image on one objective"):
        dream_batch(network, galaxy[None], [both, logit(2) + diversity("dma1")], settings=FROM_NOISE)
    with pytest.raises(DreamError, match="under one mask"):
        masks = torch.stack([torch.zeros(80, 80), torch.ones(80, 80)])
        dream_batch(network, galaxy[None], [both] * 2, settings=FROM_NOISE, masks=masks)
    with pytest.raises(DreamError, match="the number of dreams is 257"):
        dream_batch(network, galaxy[None], [both] * 257, settings=FROM_NOISE)
    with pytest.raises(DreamError, match="at least two"):
        diversity("x").value({"x": torch.rand(1, 2, 3, 3)})
    with pytest.raises(DreamError, match="near:dma1 compares with the activation of an image"):
        objective_value(network, galaxy[None], near("dma1"), preprocess=Preprocess())
    deaf = nn.Sequential(nn.Identity(), Deaf())
    with pytest.raises(DreamError, match="near:1 has nothing to compare with"):
        dream(deaf, torch.zeros(3, 64, 64), near("1"), settings=FROM_NOISE)


def test_objectives_of_a_batch_compare_each_with_its_own_image(network, galaxy):
    images = torch.stack([galaxy, 1 - galaxy])
    wanted = [channel("dma2", 3) + 4 * near("dma1"), caricature("dma2")]
    together = dream_batch(network, images, wanted, settings=ONE)
    for image, objective, made in zip(images, wanted, together, strict=True):
        alone = dream(network, image, objective, settings=ONE)
        np.testing.assert_allclose(made.record["values"], alone.record["values"], rtol=2e-3)


def test_a_dream_without_a_step_is_transparent_and_a_mask_bounds_the_alpha(network, galaxy):
    still = dream(network, galaxy, layer("dma1"), settings=ONE.but(steps=(0,)))
    assert not still.alpha.any()
    mask = torch.zeros(80, 80)
    mask[:, 40:] = 1
    made = dream(network, galaxy, layer("dma1"), settings=ONE, mask=mask)
    assert not made.alpha[:, :30].any()
    assert made.alpha[:, 34:].max() == 1
    assert np.array_equal(made.rgba[..., :3], made.pixels)
    larger = dream(
        network,
        galaxy,
        layer("dma1"),
        settings=Settings(sizes=(64, 90), steps=(2, 2), rates=(0.05,) * 2, jitter=(3, 3)),
    )
    assert larger.alpha.shape == (90, 90)


@pytest.fixture
def picture(galaxy, tmp_path):
    path = tmp_path / "galaxy.png"
    Image.fromarray(pictures.to_uint8(galaxy)).save(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked",
    [
        ["--layer", "logit:Merging + 5*near:dma1", "--transparent"],
        ["--layer", "caricature:dma1^1"],
        ["--layer", "near:lam", "--start", "galaxies", "--parametrisation", "fourier"],
        ["--layer", "dma1:1 + 3*diversity:stem", "--start", "noise", "--count", "3", "--transparent"],
    ],
)
def test_each_is_made_again_byte_for_byte(tiny_checkpoint, picture, tmp_path, capsys, asked):
    out, again = tmp_path / "dream.png", tmp_path / "again.png"
    command = ["dream", "--quiet", "--image", str(picture), "--size", "48", "--out", str(out)]
    assert main([*command, "--checkpoint", str(tiny_checkpoint), *asked]) == 0
    picture.unlink()
    several = "--count" in asked
    made = [tmp_path / f"dream-{i}.png" for i in (1, 2, 3)] if several else [out]
    assert out.exists() != several
    for path in made:
        assert main(["dream", "--quiet", "--from", str(path), "--out", str(again)]) == 0
        assert f"{path} is verified" in capsys.readouterr().out
        assert path.read_bytes() == again.read_bytes()
        values = read_png(path).record["values"]
        assert values[-1] != values[0]
        with Image.open(path) as file:
            assert file.mode == ("RGBA" if "--transparent" in asked else "RGB")
    assert len({path.read_bytes() for path in made}) == len(made)


def test_a_count_needs_diversity(tiny_checkpoint, picture, tmp_path, capsys):
    command = ["dream", "--quiet", "--image", str(picture), "--out", str(tmp_path / "a.png")]
    assert main([*command, "--checkpoint", str(tiny_checkpoint), "--layer", "lam", "--count", "2"]) == 1
    assert "as in lam + diversity:lam" in capsys.readouterr().err


def test_a_record_of_a_batch_that_cannot_be_is_refused(tiny_checkpoint, galaxy, tmp_path):
    loaded = load(tiny_checkpoint)
    objective = channel("dma1", 1) + diversity("stem")
    made = dream_batch(loaded.network, galaxy[None], [objective] * 2, settings=FROM_NOISE.but(steps=(1,)))[1]
    former = read_png(made.save(tmp_path / "a.png"))
    assert (former.count, former.index) == (2, 1)
    assert former.objective == objective
    for batch, sentence in (
        (None, "batch.count is missing"),
        ({"count": 2}, "batch.index is missing"),
        ({"count": 2, "index": 2}, "batch says something else"),
        ({"count": 1, "index": 0}, "batch says something else"),
        ({"count": 10**9, "index": 0}, "choose batch.count from 1 to 256"),
    ):
        path = made.save(tmp_path / "b.png", batch=batch)
        with pytest.raises(DreamError, match=f"was changed.*{sentence}"):
            read_png(path)
    plain = dream(loaded.network, galaxy, layer("stem"), settings=ONE.but(steps=(1,)))
    path = plain.save(tmp_path / "c.png", batch={"count": 2, "index": 0})
    with pytest.raises(DreamError, match="batch says something else"):
        read_png(path)
