"""Networks that the library does not know: the reader's own class, and timm's."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT
from PIL import Image
from torch import nn

from galaxylib.cli import main
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import PAPER_DREAM, Settings, dream, layer
from galaxylib.dream.forward import Tap
from galaxylib.dream.record import read_png
from galaxylib.networks.checkpoint import save
from galaxylib.networks.registry import build

QUICK = Settings(sizes=(64,), steps=(2,), rates=(0.05,), jitter=(3,))
OWN = """
import torch.nn.functional as F
from torch import nn


class MyNet(nn.Module):
    def __init__(self, classes=10, wide=8):
        super().__init__()
        self.first = nn.Conv2d(3, wide, 5, stride=2, padding=2)
        self.norm = nn.BatchNorm2d(wide)
        self.parts = nn.ModuleDict({"body": nn.Conv2d(wide, 2 * wide, 3, groups=2)})
        self.relu = nn.ReLU(inplace=True)
        self.end = nn.Linear(2 * wide, classes)

    def forward(self, x):
        x = self.relu(self.norm(self.first(x)))
        x = self.relu(self.parts["body"](F.pad(x, (1, 1, 1, 1), mode="circular")))
        x = x + F.avg_pool2d(x, 3, 1, 1)
        return self.end(x.mean(dim=(2, 3)))
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The class that a reader wrote, in a module on Python's path."""
    (tmp_path / "mynetworks.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    torch.manual_seed(0)
    return build("mynetworks:MyNet", wide=16).eval()


def gradient_by_hooks(network: nn.Module, name: str, x: torch.Tensor) -> torch.Tensor:
    """Of a layer's mean square, by the network as it is."""
    kept = []
    handle = network.get_submodule(name).register_forward_hook(
        lambda m, i, output: kept.append(output.clone())
    )
    x = x.clone().requires_grad_()
    network(x)
    handle.remove()
    return torch.autograd.grad(kept[0].square().mean(), x)[0]


def check_gradients(network: nn.Module, names: list[str]) -> None:
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for name in names:
        wanted = gradient_by_hooks(network, name, x)
        seen = x.clone().requires_grad_()
        (given,) = torch.autograd.grad(Tap(network, [name])(seen)[name].square().mean(), seen)
        assert float((given - wanted).norm() / wanted.norm()) < 1e-4, name


def test_a_class_of_ones_own_gives_its_own_gradient(own):
    check_gradients(own, ["first", "norm", "parts.body", "end"])


@pytest.mark.slow
def test_a_checkpoint_of_ones_own_class_dreams_on_the_command_line(own, tmp_path, capsys):
    """As `galaxylib train --network mynetworks:MyNet` leaves it."""
    save(
        tmp_path / "mine",
        own,
        name="mynetworks:MyNet",
        options={"wide": 16},
        preprocess=Preprocess(size=64),
        class_names=CLASS_NAMES,
    )
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (70, 70, 3), np.uint8)).save(
        tmp_path / "in.png"
    )
    asked = ["dream", "--quiet", "--checkpoint", str(tmp_path / "mine"), "--size", "64"]
    asked += ["--image", str(tmp_path / "in.png"), "--out", str(tmp_path / "out.png")]
    assert main([*asked, "--layer", "parts.body"]) == 1
    assert "--own-network mynetworks:MyNet" in capsys.readouterr().err
    yours = ["--own-network", "mynetworks:MyNet"]
    assert main([*asked, *yours, "--layer", "parts.body + 0.5*logit:Barred Spiral"]) == 0
    record = read_png(tmp_path / "out.png").record
    assert record["network"]["class"] == "MyNet"
    assert record["values"][19] > record["values"][0]
    again = str(tmp_path / "again.png")
    repeat = ["dream", "--quiet", "--from", str(tmp_path / "out.png"), "--out", again]
    assert main(repeat) == 1
    assert "--own-network mynetworks:MyNet" in capsys.readouterr().err
    assert main([*repeat, *yours]) == 0
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    assert main([*asked, *yours, "--layer", "body"]) == 1
    assert "parts.body" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet10t", ["conv1", "layer1", "layer3"]),
        ("mobilenetv3_small_050", ["conv_stem", "blocks.1", "blocks.4"]),  # depthwise with strides, hardswish
        ("convnext_atto", ["stages.0", "stages.2"]),  # LayerNorm, kernels of 7
    ],
)
def test_timms_networks_give_their_own_gradient(name, layers):
    torch.manual_seed(0)
    network = build(name).eval()
    check_gradients(network, layers)
    made = dream(network, torch.rand(3, 64, 64), layer(layers[-1]), settings=QUICK)
    assert made.record["steps_done"] == 4
    assert F.mse_loss(made.image, made.start) > 0


@pytest.mark.slow
def test_what_the_chapter_shows_runs(tmp_path, monkeypatch):
    """The lines that dream with timm's network, on a small picture and with few steps."""
    text = (ROOT / "book" / "06_deepdream.py").read_text()
    (block,) = [b for b in re.findall(r"# ```python\n(.*?)# ```", text, flags=re.DOTALL) if "timm" in b]
    code = "\n".join(line.removeprefix("# ").removeprefix("#") for line in block.splitlines())
    Image.fromarray(np.full((40, 40, 3), 60, np.uint8)).save(tmp_path / "galaxy.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("galaxylib.dream.PAPER_DREAM", PAPER_DREAM.but(steps=(1, 1, 1)))
    exec(code, {})
    record = read_png(tmp_path / "dream.png").record
    assert record["network"]["class"] == "ResNet"
    assert record["settings"]["sizes"] == [256]
