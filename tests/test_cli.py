"""The command line: exit status 0, or one sentence and status 1."""

import json
import os
import subprocess
import sys
import time
from dataclasses import fields

import pandas as pd
import pytest
from conftest import ROOT

from galaxylib import cli
from galaxylib.data.galaxy10 import CLASS_NAMES
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
        ["simulate", "--help"],
        ["fetch", "--help"],
        ["export-web", "--help"],
    ):
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("usage: galaxylib")
        assert time.perf_counter() - begun < 5


def test_every_setting_of_a_recipe_is_an_option():
    given = {"network": "convnet", "precision": "float32", "cycle_momentum": False}
    words = ["train", "--data", "x", "--out", "y"]
    for setting in fields(Recipe):
        value = given.get(
            setting.name, setting.type(setting.default / 2) if setting.type in (int, float) else None
        )
        given[setting.name] = value
        flag = f"--{setting.name.replace('_', '-')}"
        words += ["--no-cycle-momentum"] if value is False else [flag, str(value)]
    parsed = vars(cli.parser().parse_args(words))
    assert {name: parsed[name] for name in given} == given
    untouched = vars(cli.parser().parse_args(["train", "--data", "x", "--out", "y"]))
    assert {untouched[setting.name] for setting in fields(Recipe)} == {None}
    assert untouched["recipe"] in RECIPES


def test_train_and_evaluate(tmp_path, blob_file, capsys):
    settings = [
        "--recipe",
        "quick",
        "--width",
        0.05,
        "--size",
        32,
        "--epochs",
        2,
        "--batch-size",
        8,
        "--quiet",
    ]
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
    # Resuming with another recipe is refused.
    again = ["train", "--data", blob_file, "--out", tmp_path / "run", *settings, "--resume", "--seed", 4]
    status, out, err = run(capsys, *again)
    assert status == 1
    assert "seed was 0 and is 4 now" in err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "arguments are required"),
        (["conquer"], "invalid choice"),
        (["train", "--data", "x"], "--out"),
        (["train", "--data", "nowhere.h5", "--out", "y"], "nowhere.h5"),
        (["train", "--data", "x", "--out", "y", "--epochs", "many"], "invalid int value"),
        (["train", "--data", "x", "--out", "y", "--epochs", "0"], "at least 1"),
        (["train", "--data", "x", "--out", "y", "--precision", "float8"], "float8"),
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
    monkeypatch.setattr("galaxylib.networks.checkpoint.PRETRAINED", tmp_path / "none")
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
    from galaxylib.data.galaxy10 import Galaxy10

    data = Galaxy10(tmp_path / "sim.h5")
    assert (len(data), data.simulated) == (6, True)
