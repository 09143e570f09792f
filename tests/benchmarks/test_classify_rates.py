"""What the README says of classify's speed is what the committed measurements say, by plain arithmetic."""

import importlib.util
import json
import math
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
SURVEY = 8.7e6
EIGHT = 8


@pytest.fixture(scope="module")
def readme() -> str:
    return " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def found() -> dict:
    return json.loads((RESULTS / "classify.json").read_text())


def rate(found: dict, network: str, count: int) -> float:
    measured = found["networks"][network][str(count)]
    assert measured["images_per_second"]["galaxylib"] == pytest.approx(
        count / measured["seconds"]["galaxylib"]
    )
    return measured["images_per_second"]["galaxylib"]


def test_a_folder_takes_what_was_measured(readme, found):
    real, small = (found["networks"][network]["1000"] for network in ("real", "small"))
    assert (
        f"classify {rate(found, 'real', 1000):.0f} images a second with `real` and "
        f"{rate(found, 'small', 1000):.0f} with `small`" in readme
    )
    ratios = [one["galaxylib_over"]["ImageFolder and DataLoader"] for one in (real, small)]
    assert f"{ratios[0]:.1f} and {ratios[1]:.1f} times as many as the usual loop" in readme


def test_memory_does_not_grow(readme, found):
    assert found["memory"]["network"] == "small"
    one, some, more, many = found["memory"]["peak_megabytes"].values()
    assert list(found["memory"]["peak_megabytes"]) == ["1", "1000", "5000", "20000"]
    told = (
        f"{one:,.0f} MB for one image, {some:,.0f} MB for 1,000, {more:,.0f} MB for 5,000 and {many:,.0f} MB"
    )
    told += " for 20,000"
    assert f"memory does not grow with their number: {told} with `small`" in readme
    assert many < 1.02 * more


def test_memory_is_put_beside_the_times(tmp_path, monkeypatch):
    pytest.importorskip("galsim", reason="the benchmark draws galaxies")
    spec = importlib.util.spec_from_file_location("benchmark", ROOT / "benchmarks" / "classify.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    out = tmp_path / "found.json"
    out.write_text('{"networks": "as they were", "memory": "of once"}')
    monkeypatch.setattr(bench, "peak_megabytes", lambda folder, _: len([*folder.glob("images/*.jpg")]))
    monkeypatch.setattr(sys, "argv", ["classify.py", "--memory", "--counts", "1", "3", "--out", str(out)])
    bench.main()
    found = json.loads(out.read_text())
    assert found["networks"] == "as they were"
    assert found["memory"]["peak_megabytes"] == {"1": 1, "3": 3}
    assert found["memory"]["network"] == "small"


def test_a_survey_takes_what_follows_from_it(readme, found):
    runs = json.loads((RESULTS / "training.json").read_text())["runs"]
    (run,) = (run for run in runs if run["machine"]["gpus"] == ["NVIDIA H200"])
    gpu = run["bare_step"]["bfloat16"]["images_per_second"]
    assert f"steps of {gpu:,.0f} images a second in bfloat16" in readme
    hours, minutes = divmod(round(SURVEY / gpu / 60), 60)
    assert f"8.7 million / {gpu:,.0f} a second = {hours} h {minutes} min" in readme
    assert f"an eighth of that, {SURVEY / gpu / EIGHT / 60:.0f} min" in readme
    assert found["provenance"]["hardware"]["cores"] == 2
    fed = rate(found, "small", 1000)
    assert f"classified {fed:.0f} JPEG cutouts a second" in readme
    assert math.ceil(gpu / (fed / 2)) == EIGHT  # "eight such cores are enough"
    alone = rate(found, "real", 1000)
    assert f"classify {alone:.0f} galaxies a second with `real`: {SURVEY / alone / 3600:.0f} hours" in readme
