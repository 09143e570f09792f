"""Exported networks in onnxruntime, against PyTorch's own gradients."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_cli import one_sentence, run
from torch import Tensor, nn
from written_concepts import write_concepts

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import Objective, channel, concept, layer, logit
from galaxylib.dream.forward import Tap
from galaxylib.errors import CheckpointError, GalaxyError
from galaxylib.evaluation.judge import judge, look_at_batches
from galaxylib.evaluation.judgement import judge_batches_with
from galaxylib.evaluation.unlike import Reference
from galaxylib.files import LIST, sha256
from galaxylib.networks.checkpoint import BROUGHT, Loaded, load, save
from galaxylib.networks.dmagnet import DMAGNet
from galaxylib.networks.registry import build
from galaxylib.simulate import draw
from galaxylib.web import export_web
from galaxylib.web.export import gradient_graph
from galaxylib.web.trace import Network

onnxruntime = pytest.importorskip("onnxruntime")

STAGES = ("stem", "dma1", "dma2", "dma3", "lam", "logits")
PREPROCESS = Preprocess(size=64)


def a_checkpoint(folder: Path, network: nn.Module, name: str, **options: object) -> Path:
    """Half-precision weights, as they are shipped, of a network whose BatchNorms have met data."""
    network.train()
    with torch.no_grad():
        for seed in range(3):
            network(torch.randn(4, 3, 128, 128, generator=torch.Generator().manual_seed(seed)))
    save(
        folder,
        network,
        name=name,
        options=options,
        preprocess=PREPROCESS,
        class_names=CLASS_NAMES,
        half=True,
    )
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    return a_checkpoint(
        tmp_path_factory.mktemp("web") / "checkpoint", DMAGNet(width=0.125), "dmagnet", width=0.125
    )


@pytest.fixture(scope="module")
def exported(checkpoint) -> Path:
    return export_web(checkpoint, checkpoint.parent / "exported")


def blob(sky: int) -> Tensor:
    """A blob on a noisy sky, the picture's sides odd and unequal."""
    generator = torch.Generator().manual_seed(sky)
    y, x = torch.meshgrid(torch.arange(91.0) - 45, torch.arange(70.0) - 30, indexing="ij")
    light = 0.6 * torch.exp(-((x + y) ** 2 / 400 + (x - y) ** 2 / 100))
    return (0.15 + light + 0.03 * torch.randn(1, 3, 91, 70, generator=generator)).clamp(0, 1)


@pytest.fixture(scope="module")
def image() -> Tensor:
    return blob(3)


once = cache(load)
"""A network read for all who leave it as it is."""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> Callable[[str], Path]:
    """The folder into which a shipped network is exported, once."""

    @cache
    def exported_as(name: str) -> Path:
        if not any((BROUGHT / name).glob("*.safetensors")):
            pytest.skip(f"this copy of galaxylib carries no {name} weights")
        return export_web(name, tmp_path_factory.mktemp("shipped") / name)

    return exported_as


@cache
def session(model: Path) -> "onnxruntime.InferenceSession":
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def by_graph(folder: Path, stage: str, image: Tensor, *, number: int | None) -> tuple[float, np.ndarray]:
    """Value and gradient of the paper's objective on a stage, or with a number of one of its channels."""
    about = json.loads((folder / "network.json").read_text())["graphs"][stage]
    count = about["channels"]
    square, linear = np.zeros((2, count), np.float32)
    if number is None:
        square[:] = 1 / count
    else:
        linear[number] = 1
    feeds = {"image": image.numpy(), "square": square, "linear": linear}
    value, gradient, activation = session(folder / about["file"]).run(
        ["value", "gradient", "activation"], feeds
    )
    assert activation.shape == (count,)
    if number is not None:
        assert value == pytest.approx(activation[number], rel=1e-5)
    return float(value), gradient


def by_torch(checkpoint: str | Path, objective: Objective, image: Tensor) -> tuple[float, np.ndarray]:
    """The same with `galaxylib.dream`'s objective on the checkpoint's network.

    In double precision, since a rounding error in PyTorch can switch a ReLU off as well as one here.
    """
    loaded = once(checkpoint)
    tap = Tap(loaded.network, objective.layers, precision=torch.float64)
    image = image.clone().requires_grad_()
    value = objective.value(tap(loaded.preprocess.normalise(image))).squeeze()
    (gradient,) = torch.autograd.grad(value, image)
    return value.item(), gradient.numpy()


def error_of(found: np.ndarray, expected: np.ndarray) -> float:
    """Errors relative to the gradient there, or where that is small to its deviation over the image."""
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.999999
    scale = np.maximum(np.abs(expected), expected.std())
    return float(np.quantile(np.abs(found - expected) / scale, 0.999))


def assert_gradient_is_pytorchs(folder: Path, checkpoint: str | Path, stage: str, number: int | None) -> None:
    """On one sky of two: where rounding decides whether a ReLU is on, both gradients are right and differ."""
    errors = []
    for sky in (3, 4):
        value, gradient = by_graph(folder, stage, blob(sky), number=number)
        expected_value, expected = by_torch(checkpoint, objective_of(stage, number), blob(sky))
        assert value == pytest.approx(expected_value, rel=1e-4)
        errors.append(error_of(gradient, expected))
        assert errors[-1] < 1e-2
        if errors[-1] < 1e-4:
            return
    pytest.fail(f"the gradients of {stage} differ by {errors} on two skies")


def objective_of(stage: str, number: int | None) -> Objective:
    if number is None:
        return layer("" if stage == "logits" else stage)
    return logit(number) if stage == "logits" else channel(stage, number)


@pytest.mark.slow
@pytest.mark.parametrize("number", [None, 5])
@pytest.mark.parametrize("stage", STAGES)
def test_gradient_is_pytorchs(checkpoint, exported, stage, number):
    assert_gradient_is_pytorchs(exported, checkpoint, stage, number)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["real-small", "real"])
def test_gradients_of_shipped_weights(shipped, name):
    folder = shipped(name)
    for stage in STAGES if name == "real-small" else ("dma1", "logits"):
        assert_gradient_is_pytorchs(folder, name, stage, 3 if stage == "logits" else None)
    files = sum(file.stat().st_size for file in folder.iterdir())
    assert name != "real-small" or files < 3e6


def test_forward_graph_gives_the_logits(checkpoint, exported, image):
    loaded = load(checkpoint)
    with torch.no_grad():
        expected = loaded.network(loaded.preprocess.normalise(image)).numpy()
    (found,) = session(exported / "forward.onnx").run(["logits"], {"image": image.numpy()})
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.slow
def test_the_page_is_as_sure_as_the_checkpoint_says(checkpoint, image, tmp_path):
    loaded = replace(load(checkpoint), temperature=2.5)
    folder = export_web(loaded, tmp_path / "cooled")
    expected = judge(loaded.network, loaded.preprocess.normalise(image), temperature=2.5)
    (logits,) = session(folder / "forward.onnx").run(["logits"], {"image": image.numpy()})
    np.testing.assert_allclose(torch.from_numpy(logits).double().softmax(1), expected, atol=1e-5)
    # What a dream climbs is the network's own logits.
    graph = "logits.onnx"
    assert (folder / graph).read_bytes() == (export_web(checkpoint, tmp_path / "plain") / graph).read_bytes()


SAME_SCORE = {"rtol": 1e-3}
"""How near a page's score for being unlike the training is to the library's; measured: 1e-4 at most."""


def score_by_graph(folder: Path, loaded: Loaded, images: np.ndarray) -> np.ndarray:
    """Of (N, 256, 256, 3) uint8, (N,)."""
    seen = loaded.preprocess.fit(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255).numpy()
    model = session(folder / "forward.onnx")
    return np.concatenate([model.run(["unlike"], {"image": image[None]})[0] for image in seen])


def test_score_for_being_unlike_the_training_is_the_librarys(checkpoint, exported, tmp_path):
    loaded = load(checkpoint)
    images = np.random.default_rng(0).integers(0, 256, (12, 256, 256, 3), np.uint8)
    images[6:] //= np.arange(1, 7, dtype=np.uint8)[:, None, None, None]
    (looks,) = look_at_batches(
        loaded.network,
        [torch.from_numpy(images)],
        preprocess=loaded.preprocess,
        stages=("stem", "lam"),
    )
    measured = replace(loaded, reference=Reference.fit(looks.stages).to_arrays())
    strange = np.concatenate([images, np.zeros_like(images[:1]), np.full_like(images[:1], 255)])
    (expected,) = judge_batches_with(measured, [torch.from_numpy(strange)])
    folder = export_web(measured, tmp_path / "measured")
    found = score_by_graph(folder, measured, strange)
    np.testing.assert_allclose(found, expected.unlike, **SAME_SCORE)
    assert len(session(exported / "forward.onnx").get_outputs()) == 1  # a network without a reference


def test_reference_of_another_network_is_told(checkpoint, tmp_path):
    numbers = {"stem": np.random.default_rng(0).normal(size=(8, 6))}
    other = replace(load(checkpoint), reference=Reference.fit(numbers).to_arrays())
    with pytest.raises(CheckpointError, match="'stem' is not the one that the reference was measured with"):
        export_web(other, tmp_path / "other")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["real-small", "real"])
def test_score_of_shipped_weights_is_the_librarys(shipped, name):
    folder, loaded = shipped(name), once(name)
    drawn = [draw(label, seed=label)[0] for label in (0, 4, 5, 9)]
    images = np.stack([*drawn, np.zeros_like(drawn[0])])
    (expected,) = judge_batches_with(loaded, [torch.from_numpy(images)])
    found = score_by_graph(folder, loaded, images)
    np.testing.assert_allclose(found, expected.unlike, **SAME_SCORE)
    assert (expected.unlike > 1).tolist()[-1]


def test_folder_is_what_its_description_says(checkpoint, exported, tmp_path):
    about = json.loads((exported / "network.json").read_text())
    assert tuple(about["graphs"]) == STAGES
    assert about["class_names"] == list(CLASS_NAMES)
    assert (about["size"], about["mean"]) == (64, list(PREPROCESS.mean))
    assert about["parameters"] == sum(p.numel() for p in load(checkpoint).network.parameters())
    files = [about["weights"], about["forward"], *about["graphs"].values()]
    assert {file["file"] for file in files} | {"network.json", LIST} == {p.name for p in exported.iterdir()}
    for file in files:
        assert (exported / file["file"]).stat().st_size == file["bytes"]
        assert sha256(exported / file["file"]) == file["sha256"]
    again = export_web(checkpoint, tmp_path / "again")
    assert all((again / path.name).read_bytes() == path.read_bytes() for path in exported.iterdir())


def concepts_in(folder: Path) -> list[tuple[str, str, float]]:
    about = json.loads((folder / "network.json").read_text())
    return [(one["name"], one["stage"], one["r2"]) for one in about["concepts"]]


def test_concepts_beside_a_checkpoint_come_along(checkpoint, exported, tmp_path):
    """Each once, at the stage that reads it best; a dream along one has the library's gradient."""
    assert concepts_in(exported) == []
    folder = Path(shutil.copytree(checkpoint, tmp_path / "mine"))
    loaded = load(folder)
    found = {"dma1": {"arm_pitch": 0.5, "bar_fraction": 0.7}, "dma3": {"arm_pitch": 0.604}}
    path = write_concepts(folder, loaded.network, loaded.meta["sha256"], found)
    out = export_web(folder, tmp_path / "out")
    assert concepts_in(out) == [("bar_fraction", "dma1", 0.7), ("arm_pitch", "dma3", 0.6)]
    about = json.loads((out / "network.json").read_text())
    vector = np.array(about["concepts"][1]["vector"], np.float32)
    image = torch.rand(1, 3, 80, 64, generator=torch.Generator().manual_seed(0))
    feeds = {"image": image.numpy(), "square": np.zeros_like(vector), "linear": vector}
    value, gradient = session(out / "dma3.onnx").run(["value", "gradient"], feeds)
    along = concept("arm_pitch", concepts=load(folder).concepts)
    expected_value, expected = by_torch(folder, along, image)
    assert value == pytest.approx(expected_value, rel=1e-3)  # a direction is written with four digits
    assert np.corrcoef(gradient.ravel(), expected.ravel())[0, 1] > 0.99999
    path.write_text(path.read_text().replace(loaded.meta["sha256"], "0" * 64))
    with pytest.raises(CheckpointError, match="was learned on other weights than these"):
        export_web(folder, tmp_path / "none")
    assert not (tmp_path / "none").exists()


class Own(nn.Module):
    """A network that is not in the registry, and does not say which of its parts are worth dreaming."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.second = nn.Conv2d(4, 6, 3)
        self.pool, self.flat, self.head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.flat(self.pool(self.second(self.first(x)))))


def test_own_network_is_dreamed_at_the_stages_of_its_concepts(tmp_path):
    torch.manual_seed(0)
    network = Own().eval()
    meta = {"network": "mine:Own", "options": {}, "sha256": "0" * 64}
    loaded = Loaded(network, PREPROCESS, CLASS_NAMES, meta, folder=tmp_path)
    assert [*json.loads((export_web(loaded, tmp_path / "bare") / "network.json").read_text())["graphs"]] == [
        "logits"
    ]
    write_concepts(tmp_path, network, "0" * 64, {"second": {"axis_ratio": 0.9, "colour": 0.2}})
    loaded = replace(loaded)  # what was said of its concepts is not remembered
    out = export_web(loaded, tmp_path / "out")
    assert [*json.loads((out / "network.json").read_text())["graphs"]] == ["second", "logits"]
    assert concepts_in(out) == [("axis_ratio", "second", 0.9), ("colour", "second", 0.2)]


def test_half_precision_loses_nothing_of_shipped_weights(checkpoint):
    """The weights file holds the checkpoint's kernels and matrices bit for bit."""
    network = Network(load(checkpoint).network, STAGES[:-1])
    gradient_graph(network, PREPROCESS, "logits")
    kept = load_file(checkpoint / "weights.safetensors")
    kernels = {name: tensor for name, tensor in kept.items() if tensor.ndim > 1}
    assert len(kernels) > 50
    for name, tensor in kernels.items():
        offset, array = network.store.places[name]
        stored = np.frombuffer(network.store.content, np.float16, array.size, offset)
        assert np.array_equal(stored, tensor.numpy().ravel())


LAYERS = {
    "stride 2": lambda: nn.Conv2d(3, 6, 3, stride=2, padding=1),
    "stride 3, no padding, one pixel left over": lambda: nn.Conv2d(3, 4, 4, stride=3),
    "even kernel": lambda: nn.Conv2d(3, 4, 2, padding=1),
    "wide and flat": lambda: nn.Conv2d(3, 4, (1, 5), padding=(0, 2)),
    "more padding than kernel": lambda: nn.Conv2d(3, 4, 1, padding=1),
    "dilated, depthwise": lambda: nn.Conv2d(3, 3, 3, padding=2, dilation=2, groups=3),
    "groups": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 3, padding=1, groups=2)),
    "depthwise, two of each": lambda: nn.Conv2d(3, 6, 3, padding=1, groups=3, bias=False),
    "normalised first": lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
    "largest of 3 x 3": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(3, stride=2, padding=1)),
    "largest of 2 x 2": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.Sigmoid()),
    "flat": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 7 * 8, 5), nn.ReLU()),
    "averaged": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5, bias=False)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_each_layer_against_autograd(tmp_path, kind):
    network = nn.Sequential(LAYERS[kind]()).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, -1, 1)
    for parameter in network.parameters():  # as if it came from a shipped checkpoint
        parameter.data = parameter.data.half().float()
    plain = Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    taken = Network(network, ())
    model, count = gradient_graph(taken, plain, "logits")
    (tmp_path / "graph.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "weights.bin").write_bytes(taken.store.content)
    square, linear = torch.randn(2, count)
    image = torch.rand(1, 3, 9, 10, requires_grad=True)
    end = network(image)
    means = [(end**2).flatten(2).mean(2), end.flatten(2).mean(2)] if end.ndim == 4 else [end**2, end]
    value = (square * means[0] + linear * means[1]).sum()
    (expected,) = torch.autograd.grad(value, image)
    assert expected.any(), "nothing is compared where every ReLU is off"
    feeds = {"image": image.detach().numpy(), "square": square.numpy(), "linear": linear.numpy()}
    found_value, found, activation = session(tmp_path / "graph.onnx").run(None, feeds)
    assert float(found_value) == pytest.approx(value.item(), rel=1e-4, abs=1e-6)
    assert activation == pytest.approx(means[1].detach().numpy().ravel(), rel=1e-4, abs=1e-6)
    assert error_of(found, expected.numpy()) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnet", "resnet18"])
def test_other_networks_of_the_registry(tmp_path, name):
    torch.manual_seed(2)
    checkpoint = a_checkpoint(tmp_path / "checkpoint", build(name), name)
    folder = export_web(checkpoint, tmp_path / "out")
    stages = list(json.loads((folder / "network.json").read_text())["graphs"])
    assert stages[-1] == "logits"
    assert len(stages) > 3
    image = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    for stage in (stages[1], "logits"):
        expected_value, expected = by_torch(checkpoint, objective_of(stage, 2), image)
        value, gradient = by_graph(folder, stage, image, number=2)
        assert value == pytest.approx(expected_value, rel=1e-4, abs=1e-6)
        assert error_of(gradient, expected) < 1e-4


class Turned(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(2, 3)


class Choosing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("network", "part"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU()), "GELU"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), Turned()), "transpose"),
        (nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")), "reflect"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(2)), "AdaptiveAvgPool2d(2)"),
        (Choosing(), "cannot be followed"),
    ],
)
def test_what_has_no_rule_is_named(network, part):
    with pytest.raises(GalaxyError) as fault:
        gradient_graph(Network(network.eval(), ()), PREPROCESS, "logits")
    assert part in str(fault.value)


@pytest.mark.slow
def test_command(tmp_path, capsys, checkpoint):
    out = tmp_path / "out"
    status, said, err = run(capsys, "export-web", "--checkpoint", checkpoint, "--out", out)
    assert (status, err) == (0, "")
    assert f"The network is in {out}" in said
    # An export may be replaced, somebody's other files may not.
    (out / "notes.txt").write_text("years of work")
    (tmp_path / "link").symlink_to(out)
    for place in (out, tmp_path / "link"):
        again = run(capsys, "export-web", "--checkpoint", checkpoint, "--out", place)
        assert again == (0, said.replace(str(out), str(place)), "")
    assert (out / "notes.txt").read_text() == "years of work"
    assert (tmp_path / "link").is_symlink()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for words, part in (
        (["--checkpoint", checkpoint, "--out", tmp_path / "mine"], "something else"),
        (["--checkpoint", checkpoint, "--out", checkpoint], "something else"),
        (["--checkpoint", checkpoint, "--out", out / "notes.txt"], "is a file"),
        (["--checkpoint", tmp_path / "mine", "--out", tmp_path / "new"], "checkpoint.json"),
        (["--checkpoint", checkpoint], "--out"),
    ):
        status, said, err = run(capsys, "export-web", *words)
        assert (status, said) == (1, "")
        assert part in err
        assert one_sentence(err), err
    assert (tmp_path / "mine" / "thesis.txt").is_file()
    assert not (tmp_path / "new").exists()
