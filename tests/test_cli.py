"""The command line: exit status 0, or one sentence and status 1."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields

import pandas as pd
import pytest
import torch
from conftest import ROOT, write_galaxy10
from PIL import Image

from galaxylib import cli
from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.splits import make_split
from galaxylib.errors import TRACEBACK, DataError
from galaxylib.training.recipes import RECIPES, Recipe


def run(capsys: pytest.CaptureFixture, *words: object) -> tuple[int, str, str]:
    status = cli.main([str(word) for word in words])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def one_sentence(text: str) -> bool:
    return text.startswith("galaxylib: ") and text.count("\n") == 1 and text.rstrip()[-1] in ".`"


def test_help_answers_at_once():
    """Nothing heavy is imported to print help; a second is generous."""
    code = (
        "import sys, galaxylib.cli as c\n"
        "try: c.main(sys.argv[1:])\n"
        "finally: assert not {'torch', 'h5py', 'numpy'} & set(sys.modules)"
    )
    for words in (
        ["--help"],
        ["train", "--help"],
        ["evaluate", "--help"],
        ["calibrate", "--help"],
        ["classify", "--help"],
        ["simulate", "--help"],
        ["fetch", "--help"],
        ["export-web", "--help"],
    ):
        begun = os.times()
        done = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("usage: galaxylib")
        assert os.times().children_user - begun.children_user < 5


def test_every_setting_of_a_recipe_is_an_option():
    given = {"network": "convnet", "precision": "float32", "cycle_momentum": False, "options": {"blocks": 5}}
    words = ["train", "--data", "x", "--out", "y"]
    for setting in fields(Recipe):
        value, limits = setting.default, setting.metadata["range"]
        if limits and (half := setting.type(value / 2)) in limits:
            value = half
        value = given.setdefault(setting.name, value)
        flag = f"--{setting.name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no{flag[1:]}")
        else:
            words += [flag, json.dumps(value) if isinstance(value, dict) else str(value)]
    parsed = vars(cli.parser().parse_args(words))
    assert {name: parsed[name] for name in given} == given
    untouched = vars(cli.parser().parse_args(["train", "--data", "x", "--out", "y"]))
    assert {untouched[setting.name] for setting in fields(Recipe)} == {None}
    assert untouched["recipe"] in RECIPES


TINY = ["--recipe", "quick", "--width", 0.05, "--size", 32, "--epochs", 1, "--batch-size", 8, "--quiet"]


@pytest.mark.slow
def test_train_and_evaluate(tmp_path, blob_file, capsys):
    settings = [*TINY, "--epochs", 2]
    status, out, err = run(capsys, "train", "--data", blob_file, "--out", tmp_path / "run", *settings)
    assert (status, err) == (0, "")
    assert "Best after epoch" in out
    meta = json.loads((tmp_path / "run" / "checkpoint.json").read_text())
    assert (meta["recipe"]["width"], meta["recipe"]["epochs"]) == (0.05, 2)
    asked = ["evaluate", "--data", blob_file, "--checkpoint", tmp_path / "run", "--quiet"]
    status, out, err = run(capsys, *asked, "--out", tmp_path / "all")
    assert status == 0
    assert "was trained on images of this file" in err
    found = json.loads((tmp_path / "all" / "evaluation.json").read_text())
    assert found["n"] == 40
    assert found["trained_on_this_file"] is True
    assert {"accuracy", "macro_f1", "per_class"} <= found.keys()
    table = pd.read_csv(tmp_path / "all" / "predictions.csv")
    assert list(table) == ["row", "true", *CLASS_NAMES]
    assert table[list(CLASS_NAMES)].sum(axis=1).to_numpy() == pytest.approx(1)
    status, out, err = run(capsys, *asked, "--out", tmp_path / "test", "--part", "test", "--symmetries")
    assert (status, err) == (0, "")
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert pd.read_csv(tmp_path / "test" / "predictions.csv")["row"].tolist() == split["test"]
    # Repeating is refused, and so is resuming with another recipe.
    again = ["train", "--data", blob_file, "--out", tmp_path / "run", *settings]
    status, out, err = run(capsys, *again)
    assert status == 1
    assert one_sentence(err)
    assert "holds a run already: go on with it (`--resume`" in err
    again = ["train", "--data", blob_file, "--out", tmp_path / "run", *settings, "--resume", "--seed", 4]
    status, out, err = run(capsys, *again)
    assert status == 1
    assert "seed was 0 and is 4 now" in err


@pytest.mark.slow
def test_calibrate_completes_the_checkpoint(tmp_path, blob_file, capsys):
    run(capsys, "train", "--data", blob_file, "--out", tmp_path / "run", *TINY)
    other = write_galaxy10(tmp_path / "other.h5", labels=list(range(10)) * 3, seed=8)
    words = ["calibrate", tmp_path / "run", "--quiet", "--data"]
    before = (tmp_path / "run" / "checkpoint.json").read_text()
    for more, sentence in (
        ([blob_file, "--part", "all"], "was trained on galaxies of this file"),
        ([other], "belongs to another file"),
        ([other, "--votes", "v", "--beside", "small"], "give one of them"),
        ([other, "--beside", "small"], "give --unlabelled too"),
        ([other, "--part", "all", "--votes", tmp_path / "none"], "none"),
    ):
        status, out, err = run(capsys, *words, *more)
        assert (status, out) == (1, "")
        assert sentence in err
        assert one_sentence(err), err
    status, _, err = run(capsys, "calibrate", "small", "--data", other)
    assert status == 1
    assert "copy its folder" in err
    assert (tmp_path / "run" / "checkpoint.json").read_text() == before
    status, out, err = run(capsys, *words, other, "--part", "all")
    assert status == 0
    assert err == "galaxylib: 30 galaxies measure a confidence roughly; 200 or more do it well.\n"
    assert re.match(r"Temperature \d+\.\d\d, and a reference .* from 30 galaxies", out)
    status, out, _ = run(capsys, *words, blob_file)  # the split's validation part
    assert status == 0
    assert "from 10 galaxies" in out
    assert run(capsys, *words, other, "--part", "all")[0] == 0
    meta = json.loads((tmp_path / "run" / "checkpoint.json").read_text())
    assert meta["calibrated"]["data"]["fingerprint"] == Galaxy10(other).fingerprint
    asked = ["evaluate", "--data", blob_file, "--checkpoint", tmp_path / "run", "--quiet"]
    status, out, err = run(capsys, *asked, "--out", tmp_path / "test", "--part", "test")
    assert (status, err) == (0, "")
    first, *lines = out.splitlines()
    assert "accuracy" in first
    assert [line.split(" ")[0] for line in lines] == ["Calibration", "Accuracy", "Unlike"]
    assert f"at temperature {meta['temperature']:.2f}" in lines[0]
    found = json.loads((tmp_path / "test" / "evaluation.json").read_text())
    assert found["temperature"] == meta["temperature"]
    assert 0 <= found["unlike_training"]["above"] <= 1
    table = pd.read_csv(tmp_path / "test" / "predictions.csv")
    assert list(table) == ["row", "true", *CLASS_NAMES, "unlike_training"]


@pytest.mark.slow
def test_a_part_is_scored_only_where_it_was_kept_from_training(tmp_path, blob_file, capsys):
    run(capsys, "train", "--data", blob_file, "--out", tmp_path / "run", *TINY)
    split, about = tmp_path / "run" / "split.json", tmp_path / "run" / "checkpoint.json"
    kept, described = split.read_text(), json.loads(about.read_text())
    other = write_galaxy10(tmp_path / "other.h5", labels=list(range(10)) * 3, seed=8)

    def refused(data=blob_file, checkpoint=tmp_path / "run") -> str:
        words = ["--data", data, "--checkpoint", checkpoint, "--out", tmp_path / "scores", "--part", "test"]
        status, _, err = run(capsys, "evaluate", *words, "--quiet")
        assert status == 1
        assert one_sentence(err), err
        assert "chapter" not in err
        assert not (tmp_path / "scores").exists()
        return err

    data = Galaxy10(blob_file)
    make_split(data, seed=1).save(split)
    assert "trained with another split of this file" in refused()
    content = json.loads(kept)
    content["test"].append(content["train"].pop())
    split.write_text(json.dumps(content))
    assert "trained with another split of this file" in refused()
    for spoilt in (
        {"test": content["train"]},
        {"test": [0.5]},
        {"test": [10**30]},
        {"test": 3},
        {"method": None, "x": 1},
    ):
        split.write_text(json.dumps(content | spoilt))
        assert "is not a split" in refused()
    split.unlink()
    assert "only a whole file can be scored" in refused()
    assert "only a whole file can be scored" in refused(checkpoint="small")
    split.write_text(kept)
    assert "belongs to another file" in refused(data=other)
    about.write_text(
        json.dumps({name: value for name, value in described.items() if name != "split_fingerprint"})
    )
    assert "does not name its split" in refused()
    about.write_text(json.dumps(described))
    words = [
        "--data",
        blob_file,
        "--checkpoint",
        tmp_path / "run",
        "--out",
        tmp_path / "scores",
        "--part",
        "test",
    ]
    assert run(capsys, "evaluate", *words, "--quiet")[0] == 0


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "arguments are required"),
        (["conquer"], "invalid choice"),
        (["train", "--data", "x"], "--out"),
        (["train", "--data", "nowhere.h5", "--out", "y"], "nowhere.h5"),
        (
            ["train", "--data", "x", "--out", "y", "--epochs", "many"],
            "--epochs: 'many' is no whole number from 1",
        ),
        (["train", "--data", "x", "--out", "y", "--epochs", "0"], "--epochs: '0' is no whole number from 1"),
        (["train", "--data", "x", "--out", "y", "--precision", "float8"], "float8"),
        (["train", "--data", "x", "--out", "y", "--learning-rate", "inf"], "'inf' is no number from 0 to 10"),
        (["train", "--data", "x", "--out", "y", "--learning-rate", "nan"], "'nan' is no number from 0 to 10"),
        (["train", "--data", "x", "--out", "y", "--split", "half"], "invalid choice: 'half'"),
        (["evaluate", "--data", "nowhere.h5", "--checkpoint", "x", "--out", "y"], "nowhere.h5"),
        (["fetch", "--out", "x", "--url", "http://localhost/x"], "--sha256"),
        (["simulate", "--n", "0", "--out", "x.h5"], "0"),
    ],
)
def test_faults_are_one_sentence(tmp_path, monkeypatch, capsys, words, part):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *words)
    assert status == 1
    assert out == ""
    assert part in err
    assert one_sentence(err), err
    assert not any(tmp_path.iterdir())


def test_an_unknown_network_is_one_sentence(tmp_path, blob_file, capsys):
    status, _, err = run(
        capsys, "train", "--data", blob_file, "--out", tmp_path / "x", "--network", "dmagnett"
    )
    assert status == 1
    assert "dmagnet" in err
    assert err.startswith("galaxylib: ")
    assert err.count("\n") == 1


def test_a_missing_checkpoint_is_one_sentence(tmp_path, blob_file, capsys, monkeypatch):
    status, _, err = run(
        capsys, "evaluate", "--data", blob_file, "--checkpoint", tmp_path / "x", "--out", tmp_path
    )
    assert status == 1
    assert one_sentence(err)
    monkeypatch.setattr("galaxylib.networks.checkpoint.BROUGHT", tmp_path / "none")
    status, _, err = run(
        capsys, "evaluate", "--data", blob_file, "--checkpoint", "pretrained", "--out", tmp_path
    )
    assert status == 1
    assert "no weights named pretrained" in err
    assert one_sentence(err)


def test_an_interrupt_is_one_sentence(monkeypatch, capsys):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_fetch", stop)
    status, _, err = run(capsys, "fetch", "--out", "x")
    assert status == 130
    assert one_sentence(err)


@pytest.mark.slow
def test_simulate_writes_the_format(tmp_path):
    """As a user would call it; drawn in processes of its own."""
    words = [
        sys.executable,
        "-m",
        "galaxylib",
        "simulate",
        "--n",
        "6",
        "--seed",
        "3",
        "--out",
        str(tmp_path / "sim.h5"),
    ]
    done = subprocess.run(
        [*words, "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    data = Galaxy10(tmp_path / "sim.h5")
    assert (len(data), data.simulated) == (6, True)


@pytest.fixture
def picture(tmp_path):
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "galaxy.png")
    return tmp_path / "galaxy.png"


def writing(command, out, data, checkpoint, picture):
    """A command line that writes to `out`, and the function in which its work begins."""
    words, work = {
        "simulate": (["--n", 2], "galaxylib.simulate.dataset._fill"),
        "train": (["--data", data, "--recipe", "quick"], "galaxylib.training.loop.Plan"),
        "evaluate": (
            ["--data", data, "--checkpoint", checkpoint],
            "galaxylib.evaluation.predictions.predict",
        ),
        "dream": (["--image", picture, "--checkpoint", checkpoint], "galaxylib.dream.dreaming.dream"),
        "export-web": (["--checkpoint", checkpoint], "galaxylib.web.export.load"),
        "fetch": (["--url", "http://127.0.0.1:9/x.h5", "--sha256", "0" * 64], "pooch.retrieve"),
    }[command]
    return [command, *words, "--out", out], work


COMMANDS = ("simulate", "train", "evaluate", "dream", "export-web", "fetch")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unwritable_output_is_said_before_the_work(
    command, tmp_path, blob_file, tiny_checkpoint, picture, closed, monkeypatch, capsys
):
    (tmp_path / "closed").mkdir()
    closed(tmp_path / "closed")
    (tmp_path / "file").touch()
    for folder, sentence in (
        ("closed", r"cannot be written \(Permission denied\)"),
        ("file", "file is a file"),
    ):
        out = tmp_path / folder / "new.png"
        words, work = writing(command, out, blob_file, tiny_checkpoint, picture)
        monkeypatch.setattr(work, lambda *_, **__: pytest.fail("refused too late"))
        status, said, err = run(capsys, *words)
        assert (status, said) == (1, "")
        assert re.search(sentence, err)
        assert one_sentence(err), err
    assert list((tmp_path / "closed").iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_where_a_file_is_written_stays(
    command, tmp_path, blob_file, tiny_checkpoint, picture, monkeypatch, capsys
):
    out = tmp_path / "taken.png"
    names = {"train": "weights.safetensors", "evaluate": "evaluation.json", "fetch": "x.h5"}
    (out / names.get(command, "")).mkdir(parents=True)
    (out / names.get(command, "") / "thesis").touch()
    words, work = writing(command, out, blob_file, tiny_checkpoint, picture)
    monkeypatch.setattr(work, lambda *_, **__: pytest.fail("refused too late"))
    before = sorted(tmp_path.rglob("*"))
    status, said, err = run(capsys, *words)
    assert (status, said) == (1, "")
    assert "is a folder" in err or "holds something else" in err
    assert one_sentence(err), err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--out {d}/a.png --json {d}/a.png", "cannot both be written"),
        ("--out {d}/a.gif.png --film {d}/a.gif --json {d}/link/a.gif", "cannot both be written"),
        ("--out {d}/galaxy.png", "is read"),
        ("--out {d}/link/galaxy.png", "is read"),
        ("--out {d}/a.png --mask {d}/mask.png --json {d}/mask.png", "is read"),
        ("--out {d}/a.png --json {d}/checkpoint/checkpoint.json", "is read"),
        ("--out {d}/a.png --json {d}/checkpoint", "is a folder"),
        ("--out {d}/a.png --film {d}/clips.gif", "is a folder"),
        ("--out .", "is a folder"),
    ],
)
def test_one_output_of_a_dream_never_overwrites_another_or_an_input(
    words, sentence, tmp_path, tiny_checkpoint, picture, monkeypatch, capsys
):
    shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")
    shutil.copy(picture, tmp_path / "mask.png")
    (tmp_path / "clips.gif" / "thesis").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path)
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    monkeypatch.setattr("galaxylib.dream.dreaming.dream", lambda *_, **__: pytest.fail("refused too late"))
    given = ["dream", "--image", picture, "--checkpoint", tmp_path / "checkpoint", "--quiet"]
    status, said, err = run(capsys, *given, *words.format(d=tmp_path).split())
    assert (status, said) == (1, "")
    assert sentence in err
    assert one_sentence(err), err
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


@pytest.mark.slow
def test_a_dream_is_not_made_again_over_itself(tmp_path, tiny_checkpoint, picture, capsys):
    given = ["dream", "--checkpoint", tiny_checkpoint, "--quiet", "--out", tmp_path / "a.png"]
    assert run(capsys, *given, "--image", picture, "--size", 64)[0] == 0
    before = (tmp_path / "a.png").read_bytes()
    status, _, err = run(capsys, *given, "--from", tmp_path / "a.png")
    assert (status, "is read" in err, one_sentence(err)) == (1, True, True)
    assert (tmp_path / "a.png").read_bytes() == before


class OfAnotherKindError(BaseException):
    pass


FAULTS = [
    (PermissionError(13, "Permission denied", "x.h5"), r"x\.h5 cannot be used \(Permission denied\)"),
    (OSError(5, "Input/output error"), r"refuses a step \(Input/output error\)"),
    (MemoryError(), r"memory does not suffice \(MemoryError\)"),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "memory does not suffice"),
    (torch.OutOfMemoryError("CUDA out of memory"), "memory does not suffice"),
    (SystemExit(0), r"ended Python \(sys\.exit, 0\)"),
    (SystemExit(), r"ended Python \(sys\.exit, None\)"),
    (ModuleNotFoundError("No module named 'y'", name="y"), "needs the package y"),
    (DataError("The file\nis empty: give another."), r"^galaxylib: The file is empty: give another\.$"),
]
UNKNOWN = [
    ValueError("one line\nand another"),
    OverflowError("int too large"),
    RecursionError("maximum recursion depth exceeded"),
    OSError("HDF5 says so"),
    RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    AssertionError(),
    OfAnotherKindError("boom"),
]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [*FAULTS, *((fault, f"does not know \\({type(fault).__name__}.*{TRACEBACK}=1") for fault in UNKNOWN)],
    ids=repr,
)
def test_whatever_a_command_raises_is_one_sentence(fault, sentence, monkeypatch, capsys):
    def fail(_):
        raise fault

    monkeypatch.delenv(TRACEBACK, raising=False)
    monkeypatch.setattr(cli, "_fetch", fail)
    status, said, err = run(capsys, "fetch", "--out", "x")
    assert (status, said) == (1, "")
    assert one_sentence(err), err
    assert re.search(sentence, err)
    assert (TRACEBACK in err) == (fault in UNKNOWN)


def test_a_traceback_is_shown_where_it_is_asked_for(monkeypatch, capsys):
    monkeypatch.setenv(TRACEBACK, "1")
    monkeypatch.setattr(cli, "_fetch", lambda _: 1 / 0)
    status, said, err = run(capsys, "fetch", "--out", "x")
    assert (status, said) == (1, "")
    assert err.startswith("Traceback")
    assert "test_cli.py" in err
    assert one_sentence(err.splitlines()[-1] + "\n")


def test_a_network_that_ends_python_in_training_is_no_success(tmp_path, blob_file, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaving.py").write_text(
        "import sys\n"
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10))\n"
        "    def forward(self, x):\n"
        "        return sys.exit(0) if self.training else super().forward(x)\n"
    )
    words = ["train", "--data", blob_file, "--out", "new", *TINY, "--network", "leaving:Net"]
    status, said, err = run(capsys, *words)
    assert (status, said) == (1, "")
    assert "ended Python (sys.exit, 0)" in err
    assert one_sentence(err), err
