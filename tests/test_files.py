"""Files are written whole or not at all, destroy nothing, and a full disk is told in one sentence."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxylib.errors import GalaxyError
from galaxylib.files import LIST, atomic, check_outputs, filling, sha256, write_json
from galaxylib.paper.report import Report


def fill(path, name):
    with filling(path) as content:
        (content / name).parent.mkdir(exist_ok=True)
        (content / name).touch()


def tree(path):
    """All that lies in a folder, but for the lists of what was written there."""
    return sorted(str(entry.relative_to(path)) for entry in path.rglob("*") if entry.name != LIST)


def one_sentence(text):
    return text.endswith(".") and "\n" not in text and "Traceback" not in text


def test_failed_write_keeps_the_former_file(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"kept": 1})
    with pytest.raises(RuntimeError), atomic(path) as partial:
        partial.write_text("half")
        raise RuntimeError("cut")
    assert json.loads(path.read_text()) == {"kept": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_filled_anew_and_the_readers_own_files_stay(tmp_path):
    path = tmp_path / "export"
    for content in ("first/a", "second", "third/b"):
        fill(path, content)
        (path / "mine").mkdir(exist_ok=True)
        (path / "mine" / f"after {Path(content).name}").touch()
    assert tree(path) == ["mine", "mine/after a", "mine/after b", "mine/after second", "third", "third/b"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_of_empty_folders_is_filled(tmp_path):
    (tmp_path / "export" / "sub" / "sub").mkdir(parents=True)  # as Snakemake makes them
    fill(tmp_path / "export", "sub/a")
    assert tree(tmp_path / "export") == ["sub", "sub/a", "sub/sub"]


def test_a_failed_filling_changes_nothing(tmp_path):
    for path in (tmp_path / "new", tmp_path / "old"):
        if path.name == "old":
            fill(path, "kept")
        with pytest.raises(RuntimeError), filling(path) as content:
            (content / "half").touch()
            raise RuntimeError("cut")
    assert tree(tmp_path) == ["old", "old/kept"]


def test_a_folder_is_not_filled_where_something_else_is(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("years of work")
    fill(tmp_path / "export", "a")
    (tmp_path / "export" / "b").write_text("my own")
    (tmp_path / "export" / "c").mkdir()
    for place, name, sentence in (
        ("thesis", "chapter", "something else"),
        ("thesis/chapter", "a", "is a file"),
        ("export", "b", "b is in the way"),
        ("export", "b/inside", "b is in the way"),
        ("export", "c", "c is in the way"),
    ):
        with pytest.raises(GalaxyError, match=sentence):
            fill(tmp_path / place, name)
    assert tree(tmp_path) == ["export", "export/a", "export/b", "export/c", "thesis", "thesis/chapter"]
    assert (tmp_path / "export" / "b").read_text() == "my own"


def test_a_folder_of_before_there_were_lists_loses_nothing(tmp_path):
    for name in ("index.html", "old.html", "mine.txt"):
        (tmp_path / name).write_text("old")
    with filling(tmp_path, mark="old.html") as content:
        (content / "index.html").write_text("new")
    assert tree(tmp_path) == ["index.html", "mine.txt", "old.html"]
    assert (tmp_path / "index.html").read_text() == "new"


def test_a_list_from_elsewhere_does_not_lead_out_of_the_folder(tmp_path):
    fill(tmp_path / "export", "a")
    (tmp_path / "thesis").write_text("years of work")
    (tmp_path / "export" / "link").symlink_to(tmp_path)
    (tmp_path / "export" / LIST).write_text(f"a\n../thesis\n{tmp_path}/thesis\nlink/thesis\n")
    fill(tmp_path / "export", "b")
    assert tree(tmp_path) == ["export", "export/b", "export/link", "thesis"]


def test_a_file_never_replaces_a_folder(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "thesis").touch()
    (tmp_path / "link").symlink_to(tmp_path / "results")
    for name in ("results", "link", "."):
        with pytest.raises(GalaxyError, match="is a folder"), atomic(tmp_path / name):
            pytest.fail("refused too late")
    assert tree(tmp_path) == ["link", "results", "results/thesis"]


def test_two_writers_do_not_share_a_partial(tmp_path):
    path = tmp_path / "result"
    with atomic(path) as first:
        first.write_text("first, ")
        with atomic(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
        with first.open("a") as stream:
            stream.write("and whole")
    assert path.read_text() == "first, and whole"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_goes_and_a_living_ones_stays(tmp_path):
    work = "with scratch('.') as place: print(place, flush=True), input()"
    command = [sys.executable, "-c", f"from galaxylib.files import scratch\n{work}"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as killed:
        left = killed.stdout.readline().strip()
        killed.kill()
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as living:
        place = living.stdout.readline().strip()
        write_json(tmp_path / "result.json", 1)
        assert {path.name for path in tmp_path.iterdir()} == {"result.json", place}
        assert place != left
        living.communicate("\n")
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_file_is_written_through_a_link_and_with_the_usual_rights(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "result.json").touch()
    (tmp_path / "result.json").symlink_to(tmp_path / "disk" / "result.json")
    (tmp_path / "folder").symlink_to(tmp_path / "disk")
    write_json(tmp_path / "result.json", 1)
    write_json(tmp_path / "folder" / "other.json", 2)
    (tmp_path / "plain").touch()
    assert (tmp_path / "result.json").is_symlink()
    assert (tmp_path / "disk" / "result.json").read_text() == "1\n"
    assert (tmp_path / "disk" / "other.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("outputs", "inputs", "sentence"),
    [
        (["a.png", "a.png"], [], "cannot both be written"),
        (["a.png", "sub/../a.png"], [], "cannot both be written"),
        (["a.png", "link/a.png"], [], "cannot both be written"),
        (["a.png", "a.png/b.json"], [], "cannot both be written"),
        (["a.png/b.json", "a.png"], [], "cannot both be written"),
        (["data.h5"], ["data.h5"], "is read"),
        (["link/data.h5"], [None, "data.h5"], "is read"),
        (["hard.h5"], ["data.h5"], "is read"),
        (["new.h5", "data.h5/run"], [], "data.h5 is a file"),
        (["sub"], [], "is a folder"),
        ([""], [], "is a folder"),
        (["/"], [], "is a folder"),
        (["pipe"], [], "is a device or a pipe"),
        (["loop/a.png"], [], "cannot be written"),
        (["x" * 300], [], "cannot be written"),
    ],
)
def test_outputs_that_would_destroy_something(tmp_path, monkeypatch, outputs, inputs, sentence):
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    Path("data.h5").touch()
    Path("hard.h5").hardlink_to("data.h5")
    Path("link").symlink_to(".")
    Path("loop").symlink_to("loop")
    os.mkfifo("pipe")
    before = tree(tmp_path)
    with pytest.raises(GalaxyError, match=sentence) as fault:
        check_outputs(*outputs, inputs=inputs)
    assert one_sentence(str(fault.value))
    assert tree(tmp_path) == before


def test_outputs_that_may_be_written(tmp_path):
    (tmp_path / "data.h5").touch()
    outputs = [tmp_path / "new" / "folder" / name for name in ("a.png", "a.json")]
    check_outputs(*outputs, None, inputs=[tmp_path / "data.h5", None, "nowhere", outputs[0]])
    assert tree(tmp_path) == ["data.h5"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_folder_that_may_not_be_written(tmp_path, closed, code):
    closed(tmp_path, code)
    for name in ("a", "new/a"):
        with pytest.raises(GalaxyError, match=rf"a cannot be written \({os.strerror(code)}\)") as fault:
            check_outputs(tmp_path / name)
        assert one_sentence(str(fault.value))
    with pytest.raises(GalaxyError, match="cannot be written"), filling(tmp_path / "b"):
        pytest.fail("refused too late")
    assert tree(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anything")
def test_folders_and_files_of_others(tmp_path):
    (tmp_path / "mine").touch(mode=0o444)
    with pytest.raises(GalaxyError, match=r"cannot be written \(it is write-protected\)"):
        check_outputs(tmp_path / "mine")
    tmp_path.chmod(0o555)
    with pytest.raises(GalaxyError, match="cannot be written"):
        check_outputs(tmp_path / "new")


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


def test_report_is_refused_before_the_chapter_where_it_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(GalaxyError, match="file is a file"):
        Report(tmp_path / "file", "01_data")


def test_report_refuses_a_name_twice(tmp_path):
    report = Report(tmp_path, "01_data")
    report.data("n", 1)
    with pytest.raises(KeyError, match="twice"):
        report.data("n", 2)
