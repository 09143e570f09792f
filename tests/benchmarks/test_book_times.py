"""What the README says of the book's times is what was measured."""

import json

import pytest
from conftest import ROOT

MACHINE = "Intel(R) Xeon(R) Processor, 2 cores"
HELD = f"{MACHINE}, held to AVX2"


@pytest.fixture(scope="module")
def readme() -> str:
    return " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def profiles() -> dict:
    runs = json.loads((ROOT / "benchmarks" / "results" / "book.json").read_text(encoding="utf-8"))["runs"]
    return {run["machine"]: run["profiles"] for run in runs}


def took(measured: dict) -> str:
    minutes, seconds = divmod(measured["seconds"], 60)
    return f"{minutes} min {seconds} s"


def test_the_times_of_both_machines(readme, profiles):
    ours, held = profiles[MACHINE], profiles[HELD]
    assert ours["default"]["steps"].keys() == held["default"]["steps"].keys()
    assert (
        f"the default took {took(ours['default'])} on two cores of an Intel Xeon that multiplies bfloat16, "
        f"and {took(held['default'])} on the same two held to AVX2; "
        f"smoke took {took(ours['smoke'])} and {took(held['smoke'])} (`benchmarks/results/book.json`"
        in readme
    )


def test_the_rounded_times_in_the_table(readme, profiles):
    minutes = round(profiles[MACHINE]["default"]["seconds"] / 60)
    assert f"about {minutes} minutes on two cores of the machine below" in readme
    assert "every chapter in miniature, under four minutes on two cores" in readme
    assert all(profiles[machine]["smoke"]["seconds"] < 240 for machine in (MACHINE, HELD))
