"""The mean of several trainings of one network, against a mean written out."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_cli import one_sentence, run
from torch import nn

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.preprocessing import Preprocess
from galaxylib.data.splits import Split
from galaxylib.errors import CheckpointError, DataError, GalaxyError
from galaxylib.evaluation.predictions import check_unseen
from galaxylib.networks.checkpoint import load, save
from galaxylib.networks.dmagnet import DMAGNet
from galaxylib.training.averaging import average


def written(folder: Path, network: nn.Module, *, size: int = 64, **about: object) -> Path:
    return save(
        folder,
        network,
        name="dmagnet",
        options={"width": 0.05},
        preprocess=Preprocess(size=size),
        class_names=CLASS_NAMES,
        **about,
    )


@pytest.fixture
def trainings(tmp_path: Path) -> list[Path]:
    """Three trainings of a DMAGNet that began at the same weights and went apart a little."""
    first = DMAGNet(width=0.05)
    folders = []
    for number in range(3):
        network = DMAGNet(width=0.05)
        network.load_state_dict(first.state_dict())
        with torch.no_grad():
            for tensor in network.state_dict().values():
                if tensor.is_floating_point():
                    tensor += 0.05 * tensor.std(correction=0) * torch.randn_like(tensor)
                else:
                    tensor.fill_(10 + number)
        data = {"fingerprint": f"file {number}", "galaxies": 100 + number, "simulated": True}
        about = {"data": data, "split_fingerprint": f"split {number}", "best": {"validation_accuracy": 0.5}}
        about |= {"results": {"real": {}}, "temperature": 2.0, "calibrated": {"images": 1}}
        about["reference"] = {"mean": torch.zeros(3)}
        folders.append(written(tmp_path / f"run-{number}", network, **about))
    return folders


def test_every_number_is_the_mean(trainings: list[Path], tmp_path: Path) -> None:
    mean = load_file(average(trainings, tmp_path / "mean") / "weights.safetensors")
    given = [load_file(folder / "weights.safetensors") for folder in trainings]
    assert mean.keys() == given[0].keys()
    for key, found in mean.items():
        expected = sum(one[key].double().numpy() for one in given) / 3
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-7)
        assert found.dtype == given[0][key].dtype


def test_the_description_is_the_firsts_and_tells_of_each(trainings: list[Path], tmp_path: Path) -> None:
    meta = load(average(trainings, tmp_path / "mean")).meta
    assert meta["data"]["fingerprint"] == "file 0"
    assert [one["data"]["fingerprint"] for one in meta["averaged_with"]] == ["file 0", "file 1", "file 2"]
    hashes = [json.loads((folder / "checkpoint.json").read_text())["sha256"] for folder in trainings]
    assert [one["sha256"] for one in meta["averaged_with"]] == hashes
    # Scores and confidence were those of other weights.
    assert not {"best", "results", "temperature", "calibrated", "reference"} & set(meta)
    assert meta["sha256"] not in hashes


def test_trainings_that_began_apart_are_refused(trainings: list[Path], tmp_path: Path) -> None:
    stranger = written(tmp_path / "stranger", DMAGNet(width=0.05))
    with pytest.raises(CheckpointError, match=r"run-1 and .*stranger have little in common \(cosine -?0.\d"):
        average([*trainings[1:], stranger], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_the_galaxies_of_each_training_are_known(trainings: list[Path], tmp_path: Path) -> None:
    """Through a mean of means, and through a training that began with one."""
    inner = average(trainings[1:], tmp_path / "inner")
    meta = load(average([trainings[0], inner], tmp_path / "mean")).meta
    start = {"name": "mean", "sha256": "0" * 64, "averaged_with": meta["averaged_with"]}
    split = Split(*[np.zeros(0, int)] * 3, method="random", seed=0, fingerprint="file 3")
    for told in (meta, {"start": start}):
        check_unseen(split, told, checkpoint="mean")
        for number in range(3):
            seen = replace(split, fingerprint=f"file {number}")
            with pytest.raises(DataError, match="was trained with another split of this file"):
                check_unseen(seen, told, checkpoint="mean")


def of_another_size(trainings: list[Path]) -> list[Path]:
    other = trainings[1].with_name("other")
    return [trainings[0], written(other, load(trainings[1]).network, size=96)]


def of_another_task(trainings: list[Path]) -> list[Path]:
    other, task = trainings[1].with_name("other"), {"name": "votes", "rule": "tree"}
    return [trainings[0], written(other, load(trainings[1]).network, task=task)]


@pytest.mark.parametrize(
    ("choose", "said"),
    [
        (lambda runs: runs[:1], "A mean takes two checkpoints at least"),
        (lambda runs: [], "A mean takes two checkpoints at least"),
        (of_another_size, r"other has another preprocess \(.*96.*\) than .*run-0 \(.*64"),
        (of_another_task, r"other has another task \(.*tree.*\) than .*run-0 \(.*None"),
        (lambda runs: [runs[0], runs[0].with_name("nowhere")], "There is no checkpoint folder"),
    ],
    ids=["one", "none", "size", "task", "missing"],
)
def test_what_has_no_mean_is_refused(
    trainings: list[Path], tmp_path: Path, choose: Callable[[list[Path]], list[Path]], said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        average(choose(trainings), tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


@pytest.mark.parametrize("place", [1, 2], ids=["averaged", "another"])
def test_no_training_is_overwritten(trainings: list[Path], place: int) -> None:
    before = {path: path.read_bytes() for path in trainings[place].iterdir()}
    with pytest.raises(GalaxyError, match="holds a checkpoint already"):
        average(trainings[:2], trainings[place])
    assert {path: path.read_bytes() for path in trainings[place].iterdir()} == before


def test_command(trainings: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "mean"
    status, told, _ = run(capsys, "average", *trainings, "--out", out)
    assert status == 0
    assert "The mean of 3 trainings is in" in told
    shutil.rmtree(trainings[2])
    status, _, told = run(capsys, "average", *trainings, "--out", tmp_path / "other")
    assert status == 1
    assert one_sentence(told)
    assert "run-2" in told
