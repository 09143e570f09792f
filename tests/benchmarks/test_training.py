import importlib.util
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("galsim", reason="the benchmark draws galaxies")

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "training.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("training_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["training_benchmark"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["training_benchmark"]


def test_all_passes_but_the_first_count(bench):
    rate = bench.later([(9.0, 4.0), (2.0, 3.0), (4.0, 1.0), (2.5, 2.0)], 10)
    assert rate == bench.Rate(wall=4.0, core=5.0, first=6.5)


def test_both_ways_train_and_are_written_down(bench, tmp_path, monkeypatch):
    words = "--images 8 --rounds 1 --passes 2 --batch-size 4 --width 0.05 --size 32"
    monkeypatch.setattr(sys, "argv", ["training.py", *words.split(), "--out", str(tmp_path / "found.json")])
    bench.main()
    found = json.loads((tmp_path / "found.json").read_text())
    for name in ("usual", "ours"):
        hours = 180 * 12_763 / found["images_per_second"][name] / 3600
        assert found["hours_of_the_papers_recipe"][name] == pytest.approx(hours)
        assert found["images_per_core_second"][name] > 0
