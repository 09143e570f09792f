"""How long a book takes: what the chapters say on the way, and what is measured and foretold."""

import json

import ci.book
from ci.book import estimate, measured_before, seconds_by_step, table_of_times
from ci.execute import Relay

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


def test_times_are_read_shown_and_added_up(tmp_path):
    (tmp_path / "times").mkdir()
    for name, took in (("05_baselines", 300), ("01_data", 40), ("03_training", 100), ("html", 60)):
        (tmp_path / "times" / f"{name}.tsv").write_text(TABLE.format(took), encoding="utf-8")
    seconds = seconds_by_step(tmp_path)
    assert list(seconds.items())[:2] == [("01_data", 40.0), ("03_training", 100.0)]
    assert set(seconds_by_step(tmp_path, column="cpu_time").values()) == {60.0}
    assert table_of_times(seconds).splitlines()[0].split() == ["01_data", "40", "s"]
    # The data and the pages stand alone; the longest chapter bounds what runs beside others.
    assert estimate(["01_data", "03_training", "05_baselines", "html"], seconds) == 40 + 300 + 60
    assert estimate(["03_training", "manifest"], seconds) == 100
    assert estimate(["manifest"], seconds) == 0
    assert measured_before(tmp_path, "default") == (seconds, "as the last time")


def test_where_nothing_ran_another_machine_tells(tmp_path, monkeypatch):
    table = {"runs": [{"machine": "old"}, {"machine": "new", "profiles": {"smoke": {"steps": {"html": 9}}}}]}
    (tmp_path / "book.json").write_text(json.dumps(table), encoding="utf-8")
    monkeypatch.setattr(ci.book, "MEASURED", tmp_path / "book.json")
    assert measured_before(tmp_path, "smoke") == ({"html": 9}, "as on new")
    assert measured_before(tmp_path, "paper") == ({}, "as on new")
    monkeypatch.setattr(ci.book, "MEASURED", tmp_path / "missing.json")
    assert measured_before(tmp_path, "smoke") == ({}, "")
