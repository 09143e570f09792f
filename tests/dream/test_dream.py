"""Dreaming: each piece against a plain re-statement, and nothing left behind."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_dreams import met_data, tilted_blob
from torch import nn

from galaxylib import DMAGNet
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import (
    PAPER_DREAM,
    Objective,
    Prior,
    Settings,
    channel,
    direction,
    dream,
    dream_batch,
    layer,
    logit,
    neuron,
    parse,
)
from galaxylib.dream import images as pictures
from galaxylib.dream.ascent import Ascent, _windows
from galaxylib.dream.forward import Tap, available_bytes, check_memory
from galaxylib.dream.frozen_layers import FrozenConv
from galaxylib.dream.prior import measure
from galaxylib.errors import DreamError, GalaxyError

QUICK = Settings(sizes=(64, 96), steps=(3, 2), rates=(0.05, 0.03), jitter=(4, 2))
STAGES = ("stem", "dma1", "dma2", "dma3", "lam")


@pytest.fixture(scope="module")
def network() -> DMAGNet:
    """A tiny DMAGNet whose BatchNorms have met data, so that folding has something to fold."""
    return met_data()


@pytest.fixture(scope="module")
def galaxy() -> torch.Tensor:
    """A tilted blob on a noisy sky, (3, 80, 80)."""
    return tilted_blob()


def plain_step(network, x, stage, *, shift, step, steps, rate, mean, std):
    """One step of the paper's ascent, written as plainly as can be: whole forward pass, hooks, loops."""
    rolled = torch.empty_like(x)
    height, width = x.shape[2:]
    for row in range(height):
        for column in range(width):
            rolled[:, :, (row + shift[0]) % height, (column + shift[1]) % width] = x[:, :, row, column]
    rolled.requires_grad_()
    kept = []
    handle = network.get_submodule(stage).register_forward_hook(lambda m, i, out: kept.append(out))
    network(rolled)
    handle.remove()
    loss = (kept[0] ** 2).mean()
    loss.backward()
    gradient = rolled.grad
    sigma = 2 * (step + 1) / steps + 0.5
    smooth = torch.zeros_like(gradient)
    padded = F.pad(gradient, (4, 4, 4, 4), mode="reflect")
    for factor in (0.5, 1.0, 2.0):
        kernel = torch.tensor(
            [
                [math.exp(-((i - 4) ** 2 + (j - 4) ** 2) / (2 * (factor * sigma) ** 2)) for j in range(9)]
                for i in range(9)
            ]
        )
        kernel /= kernel.sum()
        for c in range(3):
            smooth[:, c : c + 1] += F.conv2d(padded[:, c : c + 1], kernel[None, None]) / 3
    smooth = (smooth - smooth.mean()) / smooth.std()
    moved = rolled.detach() + rate * smooth
    for c in range(3):
        moved[:, c].clamp_(-mean[c] / std[c], (1 - mean[c]) / std[c])
    network.zero_grad()
    back = torch.empty_like(moved)
    for row in range(height):
        for column in range(width):
            back[:, :, row, column] = moved[:, :, (row + shift[0]) % height, (column + shift[1]) % width]
    return back, loss.item()


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_one_step_is_the_plain_restatement(network, galaxy, stage):
    network.eval()
    preprocess = Preprocess()
    settings = Settings(sizes=(64,), steps=(1,), rates=(0.05,), jitter=(7,), levels=1, sharpen=0)
    made = dream(network, galaxy, layer(stage), settings=settings, seed=3)
    shift = torch.randint(-7, 8, (2,), generator=torch.Generator().manual_seed(3)).tolist()
    x = preprocess.normalise(pictures.fit(galaxy[None], 64, 64))
    expected, loss = plain_step(
        network, x, stage, shift=shift, step=0, steps=1, rate=0.05, mean=preprocess.mean, std=preprocess.std
    )
    expected = preprocess.denormalise(expected)[0]
    assert made.record["values"] == [pytest.approx(loss, rel=1e-5)]
    torch.testing.assert_close(made.image, expected, atol=2e-6, rtol=0)
    assert (made.image - pictures.fit(galaxy[None], 64, 64)[0]).abs().max() > 1e-3


def test_the_papers_protocol_walks_its_sizes_and_levels(network, galaxy):
    seen = []
    settings = replace(PAPER_DREAM, sizes=(64, 128, 256))
    dream(network, galaxy, layer("stem"), settings=settings, progress=lambda s: seen.append(s) and None)
    expected = [
        round(size / ratio)
        for size, steps in zip((64, 128, 256), (20, 10, 5), strict=True)
        for ratio in (1.3, 1)
        for _ in range(steps)
    ]
    assert [step.images.shape[-1] for step in seen] == expected
    assert [step.number for step in seen] == list(range(1, 71))
    assert {step.total for step in seen} == {settings.total_steps} == {70}
    assert PAPER_DREAM.sizes == (256, 512, 1024)
    assert PAPER_DREAM.rates == (0.05, 0.03, 0.01)
    assert PAPER_DREAM.jitter == (10, 5, 5)
    assert PAPER_DREAM.level_side(256, 0) == 197


def test_settings_to_another_size():
    assert PAPER_DREAM.to(256).sizes == (256,)
    assert PAPER_DREAM.to(256).steps == (20,)
    assert PAPER_DREAM.to(2048).sizes == (256, 512, 1024, 2048)
    assert PAPER_DREAM.to(2048).steps == (20, 10, 5, 5)
    assert PAPER_DREAM.to(4096).sizes[-2:] == (2048, 4096)
    assert PAPER_DREAM.to(300).steps == (20, 10)
    assert PAPER_DREAM.to(100).sizes == (100,)
    assert Settings.from_dict(PAPER_DREAM.to(300).to_dict()) == PAPER_DREAM.to(300)


@pytest.mark.parametrize(
    "change",
    [
        {"sizes": (256,)},
        {"sizes": (256, 512, 99999)},
        {"sizes": (40, 512, 1024)},
        {"start": "nothing"},
        {"levels": 0},
        {"ratio": 0.5},
        {"tile": 100},
        {"smoothing": 0.0},
        {"precision": "float8"},
    ],
)
def test_impossible_settings_are_refused(change):
    with pytest.raises(DreamError):
        replace(PAPER_DREAM, **change)


@pytest.mark.slow
def test_a_dream_raises_its_objective_and_stays_an_image(network, galaxy):
    for objective in (layer("lam"), channel("dma1", 3), neuron("dma2", 1), logit("Merging")):
        made = dream(network, galaxy, objective, settings=replace(QUICK, jitter=(0, 0)))
        assert made.image.shape == (3, 96, 96)
        assert 0 <= float(made.image.min()) <= float(made.image.max()) <= 1
        values = made.record["values"]  # three steps on each level at 64 pixels, two at 96
        assert values[2] > values[0], str(objective)
        assert values[5] > values[3], str(objective)


@pytest.mark.slow
def test_same_seed_same_bytes(network, galaxy):
    first = dream(network, galaxy, layer("dma2"), settings=QUICK, seed=5)
    again = dream(network, galaxy, layer("dma2"), settings=QUICK, seed=5)
    other = dream(network, galaxy, layer("dma2"), settings=QUICK, seed=6)
    assert torch.equal(first.image, again.image)
    assert first.record == again.record
    assert not torch.equal(first.image, other.image)


def traces(network: nn.Module) -> list:
    return [
        (module.training, len(module._forward_hooks), len(module._forward_pre_hooks))
        for module in network.modules()
    ] + [(p.requires_grad, p.grad is None, p.sum().item()) for p in network.parameters()]


@pytest.mark.parametrize("fault", [None, KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_behind(network, galaxy, fault):
    network.train()
    network.head.eval()  # mixed modes must survive
    next(network.parameters()).requires_grad_(False)
    before, chance = traces(network), torch.random.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is tested

    def interrupt(step):
        if fault and step.number == 2:
            raise fault

    if fault:
        with pytest.raises(fault):
            dream(network, galaxy, layer("dma2"), settings=QUICK, progress=interrupt)
    else:
        dream(network, galaxy, layer("dma2"), settings=QUICK)
    assert traces(network) == before
    assert torch.equal(torch.random.get_rng_state(), chance)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    next(network.parameters()).requires_grad_(True)
    network.eval()


@pytest.mark.slow
def test_the_fiftieth_dream_costs_what_the_first_did(network, galaxy):
    short = replace(QUICK, sizes=(64,), steps=(1,), rates=(0.1,), jitter=(0,), levels=1)
    before, times = traces(network), []
    for _ in range(50):
        start = time.process_time()
        dream(network, galaxy, layer("dma1"), settings=short)
        times.append(time.process_time() - start)
    assert traces(network) == before
    # The quickest of ten: other work on the machine slows some, and none is ever too quick.
    assert min(times[-10:]) < 1.5 * min(times[1:11])


def test_the_forward_pass_stops_at_the_target_and_weights_get_no_gradient(network, galaxy):
    ran = []
    handles = [
        network.get_submodule(name).register_forward_hook(lambda m, i, o, name=name: ran.append(name))
        for name in (*STAGES, "head")
    ]
    dream(
        network,
        galaxy,
        layer("dma1"),
        settings=replace(QUICK, sizes=(64,), steps=(1,), rates=(0.1,), jitter=(0,)),
    )
    for handle in handles:
        handle.remove()
    assert set(ran) == {"stem", "dma1"}
    assert all(parameter.grad is None for parameter in network.parameters())
    tap = Tap(network, ["dma1"])
    assert not any(parameter.requires_grad for parameter in tap.network.parameters())


def test_folding_changes_no_output(network):
    network.eval()
    x = torch.randn(2, 3, 64, 64)
    tap = Tap(network, ["stem.0.0", "stem", "dma1.0.dlk.large", "dma2", "lam", ""])
    outputs = tap(x)
    with torch.no_grad():
        expected = network(x)
        stem = network.stem[0][0](x)
    torch.testing.assert_close(outputs[""], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(outputs["stem.0.0"], stem, atol=1e-5, rtol=1e-4)
    # What ran was folded, what was listened to or never ran was not.
    assert type(tap.network.stem[0][0]) is nn.Conv2d
    assert isinstance(tap.network.lam.expand[1], nn.Identity)
    early = Tap(network, ["dma1"])
    early(x)
    assert isinstance(early.network.dma1[0].conv[1], nn.Identity)
    # No weight is copied that need not be.
    layers = early.network.named_modules()
    ready = [name for name, layer in layers if isinstance(layer, FrozenConv) and layer._ready]
    assert {name.split(".")[0] for name in ready} == {"stem", "dma1"}


def test_objectives_add_up(network, galaxy):
    x = Preprocess().normalise(pictures.fit(galaxy[None], 64, 64))
    tap = Tap(network, ["dma1", "dma2", ""])
    outputs = tap(x)
    vector = torch.arange(outputs["dma2"].shape[1]) + 1.0
    total = layer("dma1") - 0.5 * channel("dma2", 4) + logit(7) * 3 + neuron("dma2", 0, place=(1, 2))
    total = total + -direction("dma2", vector)
    dma1, dma2, logits = outputs["dma1"], outputs["dma2"], outputs[""]
    along = (dma2 * (vector / vector.norm()).view(1, -1, 1, 1)).sum(1).mean()
    expected = (dma1**2).mean() - 0.5 * dma2[0, 4].mean() + 3 * logits[0, 7] + dma2[0, 0, 1, 2] - along
    torch.testing.assert_close(total.value(outputs)[0], expected)
    assert total.layers == ("dma1", "dma2", "")
    assert Objective.from_dict(total.to_dict()) == total
    assert neuron("dma2", 0).value(outputs)[0] == dma2[0, 0, 2, 2]


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("lam", layer("lam")),
        ("dma1.0.conv", layer("dma1.0.conv")),
        ("2*dma2:5", 2 * channel("dma2", 5)),
        ("dma2:5@middle", neuron("dma2", 5)),
        ("-dma2:5@3,4 + 1e-2*lam", 0.01 * layer("lam") + -neuron("dma2", 5, place=(3, 4))),
        ("logit:In-between Round Smooth - 0.5*stem", logit(3) - 0.5 * layer("stem")),
    ],
)
def test_objectives_from_text(text, objective):
    parsed = parse(text)
    assert sorted(parsed.to_dict(), key=str) == sorted(objective.to_dict(), key=str)
    assert parse(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["", "lam:x", "dma2:3@here", "logit:Spiral", "a:b:c@", "2**lam"])
def test_text_that_is_no_objective(text):
    with pytest.raises(DreamError):
        parse(text)


def test_unknown_names_bring_the_nearest(network, galaxy):
    with pytest.raises(DreamError, match=r"'lamm'.*nearest are lam"):
        dream(network, galaxy, layer("lamm"))
    with pytest.raises(DreamError, match="Barred Spiral"):
        logit("Bared Spiral")
    with pytest.raises(DreamError, match="no number 999"):
        dream(network, galaxy, channel("lam", 999), settings=QUICK)
    with pytest.raises(DreamError, match="no rows and columns"):
        dream(network, galaxy, neuron("head.classify.0", 1), settings=QUICK)
    with pytest.raises(DreamError, match="2 numbers"):
        dream(network, galaxy, direction("lam", [1, 2]), settings=QUICK)
    with pytest.raises(DreamError, match="finite"):
        direction("lam", [0, 0])


@pytest.mark.slow
def test_a_batch_dreams_as_each_alone(network, galaxy):
    objectives = [layer("lam"), channel("dma2", 3), logit(2)]
    together = dream_batch(network, galaxy[None], objectives, settings=QUICK)
    for objective, made in zip(objectives, together, strict=True):
        alone = dream(network, galaxy, objective, settings=QUICK)
        assert made.record["objective"] == alone.record["objective"]
        np.testing.assert_allclose(made.record["values"], alone.record["values"], rtol=2e-3)
        assert (made.image - alone.image).abs().max() < 5e-3
    with pytest.raises(DreamError, match="do not pair"):
        dream_batch(network, galaxy.expand(2, -1, -1, -1), objectives, settings=QUICK)


def test_a_network_of_one_size_says_so(galaxy):
    fixed = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.Flatten(), nn.Linear(4 * 16 * 16, 10))
    with pytest.raises(DreamError, match="cannot read images of 49 x 49 pixels"):
        dream(fixed, galaxy, logit(1), settings=QUICK)
    only = Settings(sizes=(64,), steps=(2,), rates=(0.05,), jitter=(3,), levels=1)
    assert dream(fixed, galaxy, logit(1), settings=only).record["steps_done"] == 2
    assert dream(fixed, galaxy, layer("0"), settings=QUICK).record["steps_done"] == 10


class Silent(nn.Module):
    """A layer that never hears anything."""

    def forward(self, x):
        return F.relu(x - 1e6)


def test_zero_gradient_is_said(galaxy):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), Silent())
    with pytest.raises(DreamError, match="The objective 1:2 has no gradient"):
        dream(network, galaxy, channel("1", 2), settings=QUICK)
    broken = nn.Sequential(nn.Conv2d(3, 4, 3))
    broken[0].weight.data[0] = float("nan")
    with pytest.raises(DreamError, match="not finite"):
        dream(broken, galaxy, layer("0"), settings=QUICK)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (torch.zeros(3, 80), "shape"),
        (torch.zeros(1, 80, 80), "shape"),
        (torch.zeros(3, 80, 80, dtype=torch.uint8), "floats"),
        (torch.full((3, 80, 80), 200.0), "divide bytes by 255"),
        (torch.full((3, 80, 80), float("nan")), "not numbers"),
        (torch.zeros(3, 1, 80), "1 x 80"),
        (torch.zeros(1).expand(3, 20000, 20000), "20000"),
        (torch.zeros(3, 10, 300), "strip"),
    ],
)
def test_bad_images_are_refused(network, image, sentence):
    with pytest.raises(DreamError, match=sentence):
        dream(network, image, layer("stem"), settings=QUICK)


@pytest.mark.slow
def test_odd_images_are_dreamed(network):
    black = dream(network, torch.zeros(3, 50, 90), layer("dma1"), settings=QUICK)
    assert black.image.shape == (3, 96, 173)
    white = dream(network, torch.ones(3, 300, 20), layer("dma1"), settings=replace(QUICK, sizes=(48, 64)))
    assert white.image.shape == (3, 960, 64)


def test_a_callback_stops_the_dream(network, galaxy):
    made = dream(network, galaxy, layer("stem"), settings=QUICK, progress=lambda step: step.number == 4)
    assert made.record["steps_done"] == 4
    assert made.image.shape == (3, 64, 64)
    whole = dream(network, galaxy, layer("stem"), settings=QUICK, keep_frames=True)
    assert len(whole.frames) == whole.record["steps_done"] == QUICK.total_steps == 10
    assert whole.frames[0].shape == (49, 49, 3)
    assert whole.frames[-1].dtype == np.uint8


def test_a_mask_holds(network, galaxy):
    mask = torch.zeros(80, 80)
    mask[:, 40:] = 1
    made = dream(network, galaxy, layer("dma1"), settings=QUICK, mask=mask)
    start = pictures.enlarge(made.start[None], 96, 96).clamp(0, 1)[0]
    assert torch.equal(made.image[:, :, :44], start[:, :, :44])
    assert (made.image - start)[:, :, 52:].abs().mean() > 0.01
    with pytest.raises(DreamError, match="mask"):
        dream(network, galaxy, layer("dma1"), settings=QUICK, mask=2 * mask)


@pytest.mark.slow
def test_regularisers_pull(network, galaxy):
    def roughness(image):
        return float(image.diff(dim=1).abs().mean() + image.diff(dim=2).abs().mean())

    free = dream(network, galaxy, layer("dma1"), settings=QUICK)
    smooth = dream(network, galaxy, layer("dma1"), settings=replace(QUICK, total_variation=1.0))
    near = dream(network, galaxy, layer("dma1"), settings=replace(QUICK, distance=10.0))
    assert roughness(smooth.image) < 0.9 * roughness(free.image)
    start = pictures.enlarge(free.start[None], 96, 96)[0]
    assert (near.image - start).square().mean() < 0.7 * (free.image - start).square().mean()


def test_total_variation_gradient_by_autograd():
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64, requires_grad=True)
    down = F.pad(x[:, :, 1:] - x[:, :, :-1], (0, 0, 0, 1))
    right = F.pad(x[:, :, :, 1:] - x[:, :, :, :-1], (0, 1))
    (expected,) = torch.autograd.grad(torch.sqrt(down**2 + right**2 + 0.09).sum(), x)
    torch.testing.assert_close(pictures.total_variation_gradient(x.detach()), expected)


def test_lanczos_enlarges():
    x = torch.linspace(-1, 1, 32)
    wave = torch.cos(5 * x)[:, None] * torch.sin(4 * x)[None, :]
    larger = pictures.enlarge(wave[None, None], 64, 96)[0, 0]
    rows = (torch.arange(64) + 0.5) / 64 * 32 - 0.5
    columns = (torch.arange(96) + 0.5) / 96 * 32 - 0.5
    exact = torch.cos(5 * (rows * 2 / 31 - 1))[:, None] * torch.sin(4 * (columns * 2 / 31 - 1))[None, :]
    inner = (slice(10, -10), slice(14, -14))
    assert (larger - exact)[inner].abs().max() < 5e-3
    plain = pictures.resize(wave[None, None], 64, 96)[0, 0]
    assert (larger - exact)[inner].abs().max() < 0.4 * (plain - exact)[inner].abs().max()
    # One output by hand: a = 4 lobes, the window times the sinc, weights summing to one.
    weights = {tap: np.sinc(10.25 - tap) * np.sinc((10.25 - tap) / 4) for tap in range(7, 15)}
    by_hand = sum(w * float(x[tap]) for tap, w in weights.items()) / sum(weights.values())
    assert float((pictures.lanczos_matrix(32, 64) @ x)[21]) == pytest.approx(by_hand, abs=1e-6)


def test_unsharp_mask_by_scipy():
    from scipy.ndimage import gaussian_filter

    image = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
    blurred = np.stack([gaussian_filter(c, 2.0, mode="mirror", truncate=3.0) for c in image[0].numpy()])
    expected = np.clip(1.5 * image[0].numpy() - 0.5 * blurred, 0, 1)
    found = pictures.unsharp(image, amount=0.5)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-5)
    from torchvision.transforms.functional import gaussian_blur

    # Dreams made with torchvision's come out byte for byte.
    assert torch.equal(found, (1.5 * image - 0.5 * gaussian_blur(image, 13, 2.0)).clamp(0, 1))


def test_the_fourier_step_is_a_gradient_step_on_coefficients():
    """x = A p with A colouring white noise: moving p along its gradient moves x along A A^T g."""
    prior, std = Prior.load(), torch.tensor([0.11, 0.10, 0.09])
    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(1, 3, 20, 24, generator=generator)
    amplitude = prior.at(20, 24)
    amplitude = (amplitude / amplitude.max()).sqrt()
    colour = torch.as_tensor(prior.colour).float() / (std[:, None] * std[None, :])
    root = torch.linalg.cholesky(colour / colour.trace())
    p = torch.randn(1, 3, 20, 24, generator=generator, requires_grad=True)
    shaped = torch.fft.irfft2(torch.fft.rfft2(p) * amplitude, s=(20, 24))
    x = torch.einsum("cd,ndhw->nchw", root, shaped)
    (moved,) = torch.autograd.grad((x * gradient).sum(), p)
    with torch.no_grad():
        step = torch.einsum(
            "cd,ndhw->nchw", root, torch.fft.irfft2(torch.fft.rfft2(moved) * amplitude, s=(20, 24))
        )
    torch.testing.assert_close(prior.precondition(gradient, std), step, atol=1e-6, rtol=1e-4)


def test_the_prior_measures_what_its_noise_has():
    """Noise drawn from the prior, measured again, gives the prior back."""
    prior = Prior.load()
    quiet = Prior(amplitude=prior.amplitude * 0.3, colour=prior.colour, mean=np.full(3, 0.5), source="test")
    noise = torch.cat([quiet.noise(256, 256, torch.Generator().manual_seed(s)) for s in range(6)])
    found = measure(noise.permute(0, 2, 3, 1).numpy(), source="noise")
    ratio = found.amplitude[4:120] / quiet.amplitude[4:120]
    assert abs(np.log10(ratio)).max() < 0.15
    assert abs(np.log10(ratio)).mean() < 0.04
    assert np.corrcoef(found.colour.ravel(), prior.colour.ravel())[0, 1] > 0.99
    # The same light at another size has the same amplitudes, counted in cycles per width.
    assert float(prior.at(512, 512)[3, 4]) == pytest.approx(float(prior.at(256, 256)[3, 4]), rel=1e-5)
    beyond = prior.at(1024, 1024)[0]
    assert (beyond[129:].diff() < 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("start", ["noise", "galaxies"])
@pytest.mark.parametrize("magnitude", ["free", "galaxies"])
def test_dreams_from_noise_in_fourier_space(network, galaxy, start, magnitude):
    settings = replace(QUICK, start=start, parametrisation="fourier", magnitude=magnitude, levels=1)
    settings = replace(settings, sizes=(64,), steps=(8,), rates=(0.1,), jitter=(0,))
    made = dream(network, galaxy, layer("lam"), settings=settings)
    # The first step brings noise to the wanted amplitudes; from there on it climbs.
    assert made.record["values"][-1] > made.record["values"][1]
    other = dream(network, 1 - galaxy, layer("lam"), settings=settings)
    assert torch.equal(made.image, other.image)  # the image gives only the shape


def test_held_amplitudes():
    image = torch.rand(1, 3, 32, 32)
    moved = image + 0.1 * torch.randn(1, 3, 32, 32)
    held = pictures.with_amplitude(moved, torch.fft.rfft2(image).abs())
    found, wanted = torch.fft.rfft2(held).abs(), torch.fft.rfft2(image).abs()
    torch.testing.assert_close(found[..., 1:, 1:], wanted[..., 1:, 1:], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(held.mean((2, 3)), moved.mean((2, 3)))


@pytest.mark.parametrize(
    ("side", "tile", "overlap"), [(200, 64, 8), (129, 64, 16), (64, 64, 8), (300, 96, 0)]
)
def test_windows_cover_each_pixel_once(side, tile, overlap):
    covered = np.zeros(side, int)
    for first, last, begin in _windows(side, tile, overlap):
        assert 0 <= begin <= first < last <= min(begin + tile, side)
        assert begin + tile <= max(side, tile)
        assert first - begin >= overlap or begin == 0 or begin == side - tile
        covered[first:last] += 1
    assert (covered == 1).all()


def test_tiles_are_exact_for_a_local_network(galaxy):
    """Without gates over the whole image, windows with enough overlap give the same gradient."""
    torch.manual_seed(1)
    local = nn.Sequential(nn.Conv2d(3, 6, 5, padding=2), nn.Tanh(), nn.Conv2d(6, 4, 5, padding=2))
    x = Preprocess().normalise(pictures.fit(galaxy[None], 150, 170))

    def ascent(tile):
        return Ascent(
            tap=Tap(local, ["2"]),
            objectives=[layer("2")],
            settings=replace(QUICK, tile=tile, overlap=16),
            preprocess=Preprocess(),
            generator=torch.Generator(),
            progress=None,
            keep_frames=False,
        )

    whole, _ = ascent(0).gradient(x)
    tiled, _ = ascent(80).gradient(x)
    torch.testing.assert_close(tiled, whole, atol=1e-9, rtol=1e-4)


@pytest.mark.slow
def test_tiled_dreams_run_on_the_network(network, galaxy):
    settings = replace(QUICK, sizes=(64, 160), tile=96, overlap=16)
    made = dream(network, galaxy, layer("lam"), settings=settings)
    assert made.image.shape == (3, 160, 160)
    assert made.record["values"][-1] > made.record["values"][6]


def test_too_little_memory_offers_tiling(network, monkeypatch, galaxy):
    monkeypatch.setattr("galaxylib.dream.forward.available_bytes", lambda device: 2**16)
    with pytest.raises(DreamError, match="set tile=512"):
        dream(network, galaxy, layer("lam"), settings=QUICK)
    monkeypatch.undo()
    assert available_bytes(torch.device("cpu")) > 2**20
    check_memory(Tap(network, ["lam"]), images=1, shape=(64, 64))


@pytest.mark.slow
def test_other_networks_dream_too(galaxy):
    from torchvision.models import resnet18

    network = resnet18(num_classes=10)
    made = dream_batch(network, galaxy[None], [layer("layer2"), logit(3)], settings=QUICK)
    assert all(d.record["values"][5] > d.record["values"][0] for d in made)
    with pytest.raises(GalaxyError, match="layer2"):
        dream(network, galaxy, layer("layer22"), settings=QUICK)


@pytest.mark.slow
def test_bfloat16_dreams_much_alike(network, galaxy):
    exact = dream(network, galaxy, layer("dma1"), settings=QUICK)
    rough = dream(network, galaxy, layer("dma1"), settings=replace(QUICK, precision="bfloat16"))
    assert rough.record["values"][-1] == pytest.approx(exact.record["values"][-1], rel=0.1)
