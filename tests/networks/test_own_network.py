"""A network that is not the library's: found, built, tried, and whatever its code does told in a sentence."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image

from galaxylib.cli import main
from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import Settings, dream, layer
from galaxylib.errors import CheckpointError, GalaxyError
from galaxylib.evaluation.predictions import predict
from galaxylib.files import sha256
from galaxylib.networks.checkpoint import DESCRIPTION, WEIGHTS, load, save
from galaxylib.networks.registry import build, build_for
from galaxylib.paper.trained import open_checkpoint
from galaxylib.votes.checkpoint import load_votes_network

NETWORKS = """
import sys
import torch
from torch import nn

class Small(nn.Sequential):
    def __init__(self, classes=10):
        super().__init__(
            nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)
        )

class Lazy(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.LazyLinear(10))

class Nine(Small):
    def __init__(self):
        super().__init__(9)

class Quits(nn.Module):
    def __init__(self):
        sys.exit(0)

class QuitsLater(Small):
    def forward(self, x):
        sys.exit(0)

class QuitsInTraining(Small):
    def forward(self, x):
        return sys.exit(0) if self.training else super().forward(x)

class Breaks(nn.Module):
    def __init__(self):
        raise RuntimeError("out of\\nideas")

class Bare(nn.Module):
    def __init__(self):
        pass

class Pair(Small):
    def forward(self, x):
        return super().forward(x), 1

class Fixed(Small):
    def forward(self, x):
        assert x.shape[-1] == 48
        return super().forward(x)

class Frozen(Small):
    def __init__(self):
        super().__init__()
        self.requires_grad_(False)

class NoModule:
    pass

def function(classes):
    return Small(classes)
"""


@pytest.fixture
def module(tmp_path, monkeypatch) -> str:
    """The name of a module in the working directory, which is not on Python's path."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", os.getcwd())])
    monkeypatch.chdir(tmp_path)
    # Another name for each test: Python imports a module once.
    name = f"nets_{tmp_path.name}"
    Path(f"{name}.py").write_text(NETWORKS)
    return name


def test_a_module_in_the_working_directory_is_found_and_the_path_left_alone(module) -> None:
    before = sys.path.copy()
    assert build(f"{module}:Small", classes=7)(torch.zeros(1, 3, 9, 9)).shape == (1, 7)
    assert sys.path == before


def training(data: Path, network: str) -> list[str]:
    """The command line of a training on small images into the folder `run`."""
    words = f"train --out run --recipe quick --quiet --size 32 --network {network} --data"
    return [*words.split(), str(data)]


CONSOLE = """
import sys
from galaxylib.cli import main
status = main()
import galaxylib.catalogue.run, galaxylib.dream.command
raise SystemExit(status or ", ".join({"lightning", "torchmetrics", "torchvision"} & set(sys.modules)) or 0)
"""


@pytest.mark.slow
def test_the_console_script_finds_it_too(module, blob_file) -> None:
    """Python's safe path leaves the working directory out, as the script's own folder does.

    And whoever judges or dreams does not wait for what training imports.
    """
    short = ["--epochs", "1", "--batch-size", "8"]
    assert main([*training(blob_file, f"{module}:Small"), *short]) == 0
    # Training would import Lightning; whoever evaluates looks for the module in the same way.
    command = [sys.executable, "-P", "-c", CONSOLE]
    command += ["evaluate", "--data", str(blob_file), "--checkpoint", "run", "--out", "scores", "--quiet"]
    command += ["--part", "all", "--own-network", f"{module}:Small"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path("scores", "evaluation.json").exists()
    with pytest.raises(CheckpointError, match=f"--own-network {module}:Small"):
        load("run")
    assert load("run", own_network=f"{module}:Small").meta["network"] == f"{module}:Small"


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("Lazy", "has a lazy layer at 1, without a shape so far"),
        ("Nine", r"result of shape \(1, 9\) in place of 10 logits"),
        ("Quits", r"cannot be built .*\(SystemExit: 0\)"),
        ("QuitsLater", r"cannot read images of 32 x 32 pixels \(SystemExit: 0\)"),
        ("Breaks", r"cannot be built .*\(RuntimeError: out of\)"),
        ("Bare", "cannot be built .*AttributeError"),
        ("Pair", "result tuple in place of 10 logits"),
        ("Fixed", r"cannot read images of 32 x 32 pixels \(AssertionError\): set another size"),
        ("Frozen", "no weights that could be trained"),
        ("NoModule", "is no torch.nn.Module"),
        ("function", "is no torch.nn.Module"),
        ("Missing", "cannot be imported .*AttributeError"),
    ],
)
def test_whatever_its_code_does_is_one_sentence_that_names_it(
    module, network, said, blob_file, capsys
) -> None:
    assert main(training(blob_file, f"{module}:{network}")) == 1
    shown = capsys.readouterr().err
    assert f"'{module}:{network}'" in shown
    assert shown.count("\n") == 1
    with pytest.raises(GalaxyError, match=said):
        build_for(f"{module}:{network}", size=32)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("class Net(:", "SyntaxError"),
        ("import no_such_module_anywhere", "ModuleNotFoundError"),
        ("class Odd(BaseException): pass\nraise Odd", "Odd"),
        ("\x00", "SyntaxError"),
    ],
)
def test_a_module_that_fails_is_one_sentence(tmp_path, monkeypatch, text, said) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"fails_{tmp_path.name}"
    Path(f"{name}.py").write_text(text)
    with pytest.raises(GalaxyError, match=rf"'{name}:Net' cannot be imported \({said}"):
        build(f"{name}:Net")


def test_leaving_python_in_the_middle_of_training_is_no_success(module, blob_file, capsys) -> None:
    train = [
        "train",
        "--data",
        str(blob_file),
        "--out",
        "run",
        "--recipe",
        "quick",
        "--quiet",
        "--size",
        "32",
    ]
    assert main([*train, "--batch-size", "8", "--network", f"{module}:QuitsInTraining"]) == 1
    assert "ended Python" in capsys.readouterr().err
    assert not Path("run", WEIGHTS).exists()


@pytest.mark.parametrize("name", ["torch.nn:Identity", "torch.nn:Linear", "torch.nn:Module", ":", "a:", ":b"])
def test_a_class_that_is_no_classifier_is_told(name) -> None:
    with pytest.raises(GalaxyError, match=f"{name!r}"):
        build_for(name, size=32)


def test_a_network_that_reads_one_size_says_which(tmp_path) -> None:
    with pytest.raises(GalaxyError, match=r"'convnet' cannot read images of 64 x 64 .* set the size to 128"):
        build_for("convnet", size=64)
    with pytest.raises(GalaxyError, match=r"'efficientformer_l1' .* set the size to 224"):
        build_for("efficientformer_l1", size=96)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "levit_128s", "crossvit_tiny_240"])
def test_timms_transformers_are_made_for_the_size_that_is_asked(name, tmp_path) -> None:
    torch.manual_seed(0)
    network = build_for(name, size=96)
    assert network.eval()(torch.zeros(1, 3, 96, 96)).shape == (1, 10)
    if name.startswith("vit"):
        assert network.pos_embed.shape[1] == 1 + (96 // 16) ** 2
    save(
        tmp_path / "run",
        network,
        name=name,
        options={},
        preprocess=Preprocess(size=96),
        class_names=CLASS_NAMES,
    )
    found = load(tmp_path / "run").network
    x = torch.rand(1, 3, 96, 96)
    assert torch.equal(found(x), network(x))
    small = Settings(sizes=(64,), steps=(1,), rates=(0.1,), jitter=(0,), levels=1)
    if name.startswith("vit"):
        with pytest.raises(GalaxyError, match="cannot read images of 64 x 64 pixels"):
            dream(found, torch.rand(3, 64, 64), layer("blocks.2"), settings=small)


def test_a_size_that_a_network_cannot_read_is_told_when_it_judges(blob_file, tmp_path) -> None:
    """Such a checkpoint may still be exported and dreamed on, at sizes that the network reads."""
    about = {"preprocess": Preprocess(size=64), "class_names": CLASS_NAMES}
    save(tmp_path / "run", build("convnet"), name="convnet", options={}, **about)
    with (
        Galaxy10(blob_file) as data,
        pytest.raises(GalaxyError, match=r"cannot read images of 64 x 64 pixels, as .* \(RuntimeError: "),
    ):
        predict(load(tmp_path / "run"), data, [0, 1])


# ---- a stranger's checkpoint


@pytest.fixture
def gift(tmp_path, monkeypatch) -> Path:
    """A checkpoint that names a module inside its own folder, as it lies in a reader's working directory."""
    torch.manual_seed(0)
    options = {"blocks": 2, "hidden": 8, "side": 32}
    save(
        tmp_path / "gift",
        build("convnet", **options),
        name="convnet",
        options=options,
        preprocess=Preprocess(size=32),
        class_names=CLASS_NAMES,
    )
    (tmp_path / "gift" / "evil.py").write_text(
        "open('ran', 'w')\nfrom torch import nn\nclass Net(nn.Module): pass"
    )
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(tmp_path / "in.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "gift"


def says(folder: Path, **changes) -> None:
    content = json.loads((folder / DESCRIPTION).read_text())
    (folder / DESCRIPTION).write_text(json.dumps(content | changes))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gift.evil:Net", "os:system", "builtins:exec", "torch.nn:Identity"])
def test_no_door_imports_what_a_checkpoint_names(gift, name, blob_file, capsys) -> None:
    dream_of = ["dream", "--quiet", "--layer", "conv2", "--size", "64", "--out", "dream.png"]
    assert main([*dream_of, "--checkpoint", "gift", "--image", "in.png"]) == 0
    says(gift, network=name, options={})
    consent = f"--own-network {name}, in Python own_network='{name}'"
    for command in (
        ["evaluate", "--data", str(blob_file), "--checkpoint", "gift", "--out", "scores"],
        ["evaluate", "--task", "zoo2", "--data", ".", "--checkpoint", "gift", "--out", "scores"],
        ["export-web", "--checkpoint", "gift", "--out", "web"],
        ["dream", "--checkpoint", "gift", "--image", "in.png", "--out", "other.png"],
        ["dream", "--from", "dream.png", "--out", "again.png"],
        # Consent to one class is none to another.
        ["evaluate", "--data", str(blob_file), "--checkpoint", "gift", "--out", "s", "--own-network", "a:B"],
    ):
        assert main(command) == 1
        assert consent in capsys.readouterr().err
    for read in (load, load_votes_network, lambda path: open_checkpoint(path, outputs=".", data=0, split=0)):
        with pytest.raises(CheckpointError, match="no network of this library"):
            read("gift")
    assert not Path("ran").exists()
    assert "gift.evil" not in sys.modules


def test_with_consent_a_strangers_class_still_has_to_fit(gift) -> None:
    says(gift, network="gift.evil:Net", options={})
    with pytest.raises(CheckpointError, match="are of another architecture"):
        load("gift", own_network="gift.evil:Net")
    assert Path("ran").exists()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("convnext_atto", {"pretrained": True}),
        (
            "convnext_atto",
            {"pretrained": True, "pretrained_cfg_overlay": {"url": "http://127.0.0.1:9/x.pth"}},
        ),
        ("convnext_atto", {"checkpoint_path": "weights.pth"}),
        ("convnext_atto.d2_in1k", {}),
        ("hf-hub:timm/resnet18.a1_in1k", {}),
        ("hf_hub/timm/resnet18", {}),
        ("local-dir:gift", {}),
        ("resnet18", {"weights": "gift/weights.safetensors"}),
    ],
)
def test_nothing_is_fetched_or_read_for_a_checkpoint(gift, monkeypatch, name, options) -> None:
    def call(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", call)
    monkeypatch.setattr(socket, "getaddrinfo", call)
    monkeypatch.setattr(torch, "load", call)
    says(gift, network=name, options=options)
    with pytest.raises(CheckpointError, match="gift"):
        load("gift")
    if ":" not in name:
        with pytest.raises(GalaxyError):
            build(name, **options | {"pretrained": True})


def test_weights_of_another_kind_or_without_values_are_told(gift) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(gift / WEIGHTS)
    names = {"class_names": json.dumps(list(CLASS_NAMES))}
    for change, said in (
        (lambda tensor: tensor.to(torch.int32), "another architecture"),
        (lambda tensor: tensor * torch.nan, "not all numbers"),
        (lambda tensor: tensor.unsqueeze(0), "another architecture"),
    ):
        spoilt = weights | {"conv1.0.weight": change(weights["conv1.0.weight"])}
        save_file(spoilt, gift / WEIGHTS, metadata=names)
        says(gift, sha256=sha256(gift / WEIGHTS))
        with pytest.raises(CheckpointError, match=f"{said}") as caught:
            load("gift")
        assert "conv1.0.weight" in str(caught.value)
