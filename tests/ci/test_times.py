"""How long a book takes: what the chapters say on the way, and what is measured and foretold."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import ci.book
import ci.lab
from ci.book import estimate, measured_before, seconds_by_step, table_of_times
from ci.execute import Relay
from ci.lab import LabSettings, Network

# As Snakemake 9 writes it, some columns left out.
TABLE = "s\th:m:s\tmax_rss\tmean_load\tcpu_time\n{}\t0:01:02\t1\t90\t60\n"


def test_lines_reach_the_terminal_whole_and_a_bar_now_and_then(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("ci.execute.time.monotonic", lambda: now[0])
    relay = Relay("05_baselines")
    relay.write("training con")
    relay.write("vnet (2 of 7)\n\n10 %\r20 %\r")
    now[0] = 11.0
    relay.write("80 %\r90 %\rdone\n")
    assert capsys.readouterr().err.splitlines() == [
        "  05_baselines: training convnet (2 of 7)",
        "  05_baselines: 80 %",
        "  05_baselines: done",
    ]


def test_the_lab_says_where_it_is(tmp_path, monkeypatch, capsys):
    """As the chapters do through `Relay`: under its name, on standard error, which Snakemake leaves alone."""
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr("galaxylib.paper.progress.time.monotonic", lambda: next(clock))
    monkeypatch.setattr(
        ci.lab, "load", lambda parameters: SimpleNamespace(meta={"parameters": int(f"{parameters}")})
    )
    monkeypatch.setattr(ci.lab, "make_dreams", lambda network, *rest: {f"{network.name}-{rest[2]}": {}})
    monkeypatch.setattr(ci.lab, "describe", lambda network, *_: {"name": network.name})
    shown = [Network("small", "the small one", Path("100"), (64, 128))]
    shown.append(Network("full", "the full one", Path("400"), (64,)))
    made = ci.lab.make_networks(shown, None, None, tmp_path, LabSettings())
    assert made == [
        {"name": "small", "dreams": {"small-64": {}, "small-128": {}}},
        {"name": "full", "dreams": {"full-64": {}}},
    ]
    assert capsys.readouterr().err.splitlines() == [
        "  lab: dreams of the small one at 64 pixels (1 of 3)",
        "  lab: dreams of the small one at 128 pixels (2 of 3), about 60 s left",
        "  lab: dreams of the full one at 64 pixels (3 of 3), about 8 s left",
        "  lab: galaxies that excite the small one (1 of 2)",
        "  lab: galaxies that excite the full one (2 of 2), about 20 s left",
    ]


def test_times_are_read_shown_and_added_up(tmp_path):
    (tmp_path / "times").mkdir()
    for name, took in (("05_baselines", 300), ("01_data", 40), ("03_training", 100), ("html", 60)):
        (tmp_path / "times" / f"{name}.tsv").write_text(TABLE.format(took), encoding="utf-8")
    seconds = seconds_by_step(tmp_path)
    assert list(seconds.items())[:2] == [("01_data", 40.0), ("03_training", 100.0)]
    assert table_of_times(seconds).splitlines()[0].split() == ["01_data", "40", "s"]
    # The data and the pages stand alone; the longest chapter bounds what runs beside others.
    assert estimate(["01_data", "03_training", "05_baselines", "html"], seconds) == 40 + 300 + 60
    assert estimate(["03_training", "manifest"], seconds) == 100
    assert estimate(["manifest"], seconds) == 0
    assert measured_before(tmp_path, "none") == (seconds, "as the last time")


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Writes what was measured elsewhere: for each machine, the seconds of the default's steps."""

    def write(**machines):
        runs = [{"machine": "of before", "profiles": {}}]
        runs += [{"machine": name, "profiles": {"default": {"steps": it}}} for name, it in machines.items()]
        (tmp_path / "book.json").write_text(json.dumps({"runs": runs}), encoding="utf-8")

    monkeypatch.setattr(ci.book, "MEASURED", tmp_path / "book.json")
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    monkeypatch.setattr(ci.book, "processor", lambda: "Ours")
    monkeypatch.setattr(ci.book, "machine", lambda: {"processor": "Ours", "cores": 2})
    return write


def test_steps_that_an_interrupted_run_left_out_are_foretold_too(tmp_path, table):
    table(other={"01_data": 100, "05_baselines": 300, "html": 60})
    (tmp_path / "times").mkdir()
    (tmp_path / "times" / "01_data.tsv").write_text(TABLE.format(40), encoding="utf-8")
    before, where = measured_before(tmp_path, "default")
    assert before == {"01_data": 40, "05_baselines": 300, "html": 60}
    assert where == "as the last time, and for the rest as on other"
    assert estimate(["05_baselines", "html"], before) == 360


def test_where_nothing_ran_the_most_similar_machine_tells(tmp_path, table, monkeypatch):
    one, two = {"html": 9}, {"html": 8, "lab": 7}
    told = []
    for rows in (
        {"short": one, "long": two, "last": one},
        {"long": two, "Ours, 4 cores": one},
        {"long": two, "Ours, 4 cores": two, "Ours, 2 cores": one, "Ours, 2 cores, held to AVX2": two},
    ):
        table(**rows)
        told.append(measured_before(tmp_path, "default"))
    assert told == [(two, "as on long"), (one, "as on Ours, 4 cores"), (one, "as on Ours, 2 cores")]
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    assert measured_before(tmp_path, "default") == (two, "as on Ours, 2 cores, held to AVX2")
    assert measured_before(tmp_path, "paper") == ({}, "")
    monkeypatch.setattr(ci.book, "MEASURED", tmp_path / "missing.json")
    assert measured_before(tmp_path, "default") == ({}, "")
