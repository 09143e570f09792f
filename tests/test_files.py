"""Files are written whole or not at all, and a full disk is told in one sentence."""

import errno
import json

import numpy as np
import pandas as pd
import pytest

from galaxylib.errors import GalaxyError
from galaxylib.files import atomic, sha256, write_json
from galaxylib.paper.report import Report


def test_failed_write_keeps_the_former_file(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"kept": 1})
    with pytest.raises(RuntimeError), atomic(path) as partial:
        partial.write_text("half")
        raise RuntimeError("cut")
    assert json.loads(path.read_text()) == {"kept": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "checkpoint"
    for content in ("first", "second"):
        with atomic(path) as partial:
            partial.mkdir()
            (partial / content).touch()
    assert [entry.name for entry in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_one_sentence(tmp_path, code):
    with pytest.raises(GalaxyError, match="No space is left on the disk"), atomic(tmp_path / "x") as partial:
        partial.write_text("half")
        raise OSError(code, "full")
    assert list(tmp_path.iterdir()) == []


def test_other_faults_pass_through(tmp_path):
    with pytest.raises(PermissionError), atomic(tmp_path / "x"):
        raise PermissionError(errno.EACCES, "not yours")


def test_sha256_of_a_known_text(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_report_writes_plain_json(tmp_path):
    report = Report(tmp_path, "01_data")
    report.number("n", np.int64(3))
    report.number("nothing", float("nan"))
    report.data("shares", {1: np.array([0.5, 0.25], dtype=np.float32)})
    report.save()
    assert json.loads((tmp_path / "01_data.json").read_text()) == {
        "n": 3,
        "nothing": None,
        "shares": {"1": [0.5, 0.25]},
    }


def test_report_shows_long_cells_whole(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "galaxylib.paper.report._glue", lambda name, table, display: shown.append(table._repr_html_())
    )
    words = "word " * 40
    Report(tmp_path, "01_data").table("long", pd.DataFrame({"text": [words] * 80}))
    assert shown[0].count(words.strip()) == 80


def test_report_refuses_a_name_twice(tmp_path):
    report = Report(tmp_path, "01_data")
    report.data("n", 1)
    with pytest.raises(KeyError, match="twice"):
        report.data("n", 2)
