import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.training.recipes import SMALL_RECIPE

pytest.importorskip("galsim", reason="the benchmark draws galaxies")

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "sim_to_real.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("sim_to_real", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["sim_to_real"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["sim_to_real"]


@pytest.mark.slow
def test_adapting_moves_the_statistics_of_a_copy_only(bench, blob_file, tmp_path):
    with Galaxy10(blob_file) as data:
        recipe = SMALL_RECIPE.but(width=0.05, size=32, growth="", epochs=1, batch_size=16)
        loaded = bench.trained(data, recipe, out=tmp_path / "run")
        before = {name: tensor.clone() for name, tensor in loaded.network.state_dict().items()}
        moved = bench.adapted(loaded, data)
        images = loaded.preprocess(torch.from_numpy(data.read(range(len(data)))))
    assert all(torch.equal(before[name], tensor) for name, tensor in loaded.network.state_dict().items())
    assert not moved.network.training
    # The oracle: the mean of the first convolution's output over all images.
    name = next(name for name, part in loaded.network.named_modules() if isinstance(part, nn.BatchNorm2d))
    convolution = loaded.network.get_submodule(name.rpartition(".")[0])[0]
    with torch.no_grad():
        expected = convolution(images).mean((0, 2, 3))
    found = moved.network.get_submodule(name).running_mean
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)


def test_scores_average_over_the_seeds(bench):
    labels = np.array([0, 0, 1, 1])
    right = np.eye(10)[labels]
    wrong = np.eye(10)[[0, 3, 1, 1]]
    found = bench.judged([right, wrong], labels)
    assert found["accuracy_per_seed"] == [1.0, 0.75]
    assert found["accuracy"] == pytest.approx(0.875)
    assert found["recall"]["Disturbed"] == pytest.approx(0.75)
    assert found["confusion_over_seeds"][0][3] == 1
