import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import machines

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


def test_ours_is_put_beside_each_usual_way(bench):
    rates = {
        "usual": [bench.Rate(2.0, 1.0, 0.0)],
        "ours": [bench.Rate(5.0, 4.0, 0.1)],
        "usual_compiled": [bench.Rate(4.0, 2.0, 30.0), bench.Rate(4.0, 2.0, 50.0)],
        "ours_compiled": [bench.Rate(8.0, 2.0, 60.0)],
    }
    found = bench.compared(rates)
    assert found["ratios"] == {
        "ours over usual": 2.5,
        "ours over usual_compiled": 1.25,
        "ours_compiled over usual": 4.0,
        "ours_compiled over usual_compiled": 2.0,
    }
    assert found["compiled_in_seconds"] == {"usual_compiled": 40.0, "ours_compiled": 60.0}
    assert found["ratio_of_core_seconds"] == 4.0


@pytest.mark.slow
def test_both_ways_train_and_are_written_down(bench, tmp_path, monkeypatch):
    words = "--images 8 --rounds 1 --passes 2 --batch-size 4 --width 0.05 --size 32"
    monkeypatch.setattr(sys, "argv", ["training.py", *words.split(), "--out", str(tmp_path / "found.json")])
    bench.main()
    (found,) = json.loads((tmp_path / "found.json").read_text())["runs"]
    for name in ("usual", "ours"):
        hours = 180 * 12_763 / found["images_per_second"][name] / 3600
        assert found["hours_of_the_papers_recipe"][name] == pytest.approx(hours)
        assert found["images_per_core_second"][name] > 0


def test_each_machine_has_one_entry(tmp_path, monkeypatch):
    path = tmp_path / "found.json"
    for instructions, rate in (("AVX2", 1), ("AVX512", 2), ("AVX2", 3)):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda found=instructions: found)
        machines.put(path, "a rate", {"rate": rate})
    found = json.loads(path.read_text())
    assert found["what"] == "a rate"
    assert [(run["machine"]["instructions"], run["rate"]) for run in found["runs"]] == [
        ("AVX512", 2),
        ("AVX2", 3),
    ]
    assert {"processor", "cores", "threads", "gpus", "instructions"} == set(found["runs"][0]["machine"])
    assert {"time", "commit"} < set(found["runs"][0])


def test_an_older_processor_is_a_fresh_process(monkeypatch):
    begun = []
    monkeypatch.setattr(machines.os, "execve", lambda *call: begun.append(call))
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "benchmarks.simulate", "--avx2"])
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    machines.settle(avx2=False)
    assert not begun
    machines.settle(avx2=True)
    ((program, words, variables),) = begun
    assert [program, *words[1:]] == [sys.executable, "-m", "benchmarks.simulate", "--avx2"]
    assert {**variables, **machines.AVX2} == variables
    for name, value in machines.AVX2.items():
        monkeypatch.setenv(name, value)
    machines.settle(avx2=True)
    assert len(begun) == 1


@pytest.mark.parametrize("name", ["simulate", "training"])
def test_the_committed_results_have_one_entry_a_machine(name):
    runs = json.loads((SCRIPT.parent / "results" / f"{name}.json").read_text())["runs"]
    keys = [tuple(str(run["machine"][part]) for part in machines.KEY) for run in runs]
    assert len({*keys}) == len(keys)
    assert all(run["commit"] and run["time"] for run in runs)


def test_the_readme_says_what_was_measured():
    words = " ".join((SCRIPT.parents[1] / "README.md").read_text(encoding="utf-8").split())
    runs = json.loads((SCRIPT.parent / "results" / "training.json").read_text())["runs"]
    rates = {
        run["machine"]["instructions"]: {
            name: f"{rate:.1f}" for name, rate in run["images_per_second"].items()
        }
        for run in runs
        if run["machine"]["cores"] == 2 and "Xeon" in run["machine"]["processor"]
    }
    one, other = rates["AVX512"], rates["AVX2"]
    assert f"on {one['ours']} images a second, in bfloat16; the usual loop" in words
    assert f"makes {one['usual']} there" in words
    assert f"the same two make {other['ours']} against {other['usual']} (`benchmarks/training.py`)" in words
