"""The graph: a build that is cut goes on where it was cut, repeats nothing, and says why it runs a step.

A cheap book in a temporary folder stands in for the real one: the same Snakefile and runner, three chapters
that only leave a mark, and no pages.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ci.book import brief, check_files, check_link, check_space, planned, point_to
from galaxylib.errors import DataError, GalaxyError
from galaxylib.files import hold_lock, sha256

ROOT = Path(__file__).resolve().parents[2]
# More chapters would show nothing new: their lines are left out, and their names among the ledger's.
SNAKEFILE = re.sub(
    r'^ +"(?!0[138]_)\d\d_\w+"(: .*)?,\n', "", (ROOT / "Snakefile").read_text(), flags=re.MULTILINE
)
CHAPTERS = re.findall(r'^    "(\d\d_\w+)": \[', SNAKEFILE, re.MULTILINE)[:3]
# One chapter after the other, so that their order is known.
ONE_CORE = os.environ | {"OMP_NUM_THREADS": "1"}

CHAPTER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% tags=["parameters"]
outputs: str = "_build/results/default"  # folder for results

# %%
import time
from pathlib import Path

with open("marks.txt", "a") as marks:
    marks.write("NAME\\n")
while Path("hold-NAME").exists():
    time.sleep(0.05)
Path(outputs, "NAME.json").write_text('{"kind": "simulated", "answer": 42, "minutes": %r}' % time.time())
"""

PAGES = """\
import pathlib, sys
page = pathlib.Path(sys.argv[1], "html", "index.html")
page.parent.mkdir(exist_ok=True)
page.write_text("")
"""

LAB = """\
import pathlib, sys
index = pathlib.Path(sys.argv[1], "lab", "index.json")
index.parent.mkdir(exist_ok=True)
index.write_text("{}")
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "ci", tmp_path / "ci", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    for name in ("requirements.lock", "_config.yml", "_toc.yml", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "galaxylib" / "paper").mkdir(parents=True)
    for name in (
        "__init__",
        "errors",
        "files",
        "provenance",
        "paper/__init__",
        "paper/parameters",
        "paper/progress",
    ):
        shutil.copy(ROOT / "galaxylib" / f"{name}.py", tmp_path / "galaxylib" / f"{name}.py")
    (tmp_path / "book").mkdir()
    for chapter in CHAPTERS:
        (tmp_path / "book" / f"{chapter}.py").write_text(CHAPTER.replace("NAME", chapter))
    # What the chapters read beside each other is not missed either.
    for path in re.findall(
        r'"((?:book|galaxylib|benchmarks)/[\w/]+\.\w+)"', (ROOT / "Snakefile").read_text()
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "ci" / "pages.py").write_text(PAGES)
    (tmp_path / "ci" / "lab.py").write_text(LAB)
    asset = tmp_path / "_build" / "assets" / "mathjax" / "es5" / "tex-mml-chtml.js"
    asset.parent.mkdir(parents=True)
    asset.touch()
    return tmp_path


def start(book: Path, *options: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "ci.book", *options],
        cwd=book,
        env=ONE_CORE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(book: Path, *options: str) -> str:
    process = start(book, *options)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    return said


def marks(book: Path) -> list[str]:
    path = book / "marks.txt"
    return path.read_text().split() if path.exists() else []


def wait_for(book: Path, chapter: str, process: subprocess.Popen) -> None:
    for _ in range(1200):
        if chapter in marks(book):
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    pytest.fail(f"{chapter} did not start within a minute")


@pytest.mark.slow
def test_cut_build_goes_on_where_it_was_cut(book: Path) -> None:
    first, second, third = CHAPTERS

    (book / f"hold-{second}").touch()
    process = start(book)
    wait_for(book, second, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (book / f"hold-{second}").unlink()
    assert marks(book) == [first, second]

    (book / f"hold-{third}").touch()
    process = start(book)
    wait_for(book, third, process)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    (book / f"hold-{third}").unlink()
    assert process.returncode != 0
    assert "Traceback" not in said
    assert f"(3/4) {third}" in said
    assert marks(book) == [first, second, second, third]

    said = run(book)
    assert "steps in" in said
    assert marks(book) == [first, second, second, third, third]
    assert (book / "_build" / "html" / "index.html").is_file()

    began = os.times()
    assert "nothing to do" in run(book)
    assert os.times().children_user - began.children_user < 20
    assert len(marks(book)) == 5

    # The reasons: an edited source, and results that a run by hand left behind.
    source = book / "book" / f"{second}.py"
    source.write_text(source.read_text() + "# a word\n")
    numbers = book / "_build" / "results" / "default" / f"{third}.json"
    os.utime(numbers, (time.time() + 5, time.time() + 5))
    said = run(book, "--why")
    assert f"{second}: Updated input files: book/{second}.py" in said
    assert f"{third}: its results were changed by a run outside `make book`" in said
    assert first not in said
    assert "5 steps would run" in said  # both chapters, and after them the lab, the manifest and the pages
    assert len(marks(book)) == 5


@pytest.mark.slow
def test_verify_computes_again_elsewhere_and_names_what_differs(book: Path) -> None:
    # What a first run would have left, one number off.
    first = book / "_build" / "results" / "default"
    first.mkdir(parents=True)
    for chapter in CHAPTERS:
        content = {"kind": "simulated", "answer": 43 if chapter == CHAPTERS[0] else 42, "minutes": 1}
        (first / f"{chapter}.json").write_text(json.dumps(content))
    (first / "manifest.json").write_text("{}")
    before = {path: path.read_bytes() for path in first.rglob("*")}

    done = verify(book)
    assert done.returncode == 1
    assert f"{CHAPTERS[0]}/answer: 43 and 42" in done.stderr
    assert "1 differ beyond" in done.stderr
    assert "Not verified" in done.stderr
    assert marks(book / "_build" / "verify") == CHAPTERS
    assert marks(book) == [], "the first run was touched"
    assert {path: path.read_bytes() for path in first.rglob("*")} == before

    second = book / "_build" / "verify" / "_build" / "results" / "default"
    manifest = json.loads((second / "manifest.json").read_text())
    assert list(manifest["chapters"]) == CHAPTERS
    entry = manifest["chapters"][CHAPTERS[0]]
    assert entry["result"] == sha256(second / f"{CHAPTERS[0]}.json")
    assert entry["source"] == sha256(book / "book" / f"{CHAPTERS[0]}.py")
    assert entry["machine"]["cores"] >= 1
    assert manifest["locks"]["requirements.lock"] == sha256(ROOT / "requirements.lock")

    numbers = first / f"{CHAPTERS[0]}.json"
    numbers.write_text(numbers.read_text().replace("43", "42"))
    done = verify(book, "--folders", str(first), str(second))
    assert done.returncode == 0, done.stderr
    assert f"{len(CHAPTERS) * 2} values are the same to the last bit" in done.stderr
    assert f"{len(CHAPTERS)} are times and the like" in done.stderr


def verify(book: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "ci.verify", *options]
    return subprocess.run(
        command, cwd=book, env=ONE_CORE, capture_output=True, text=True, timeout=300, check=False
    )


def test_reasons_are_read_from_the_dry_run() -> None:
    text = (
        "Building DAG of jobs...\n\n[Fri Nov 20 14:11:07 2026]\nrule 03_training:\n"
        "    input: book/03_training.py\n    output: x.json\n    jobid: 2\n"
        "    reason: Updated input files: galaxylib/training/loop.py\n    threads: 2\n"
        "rule html:\n    input: a\n    reason: Input files updated by another job: r/b.json, r/a.ipynb\n"
        "rule book:\n    input: index.html\n    reason: Input files updated by another job: index.html\n"
    )
    assert planned(text) == {
        "03_training": "Updated input files: galaxylib/training/loop.py",
        "html": "follows a, b",
    }
    assert brief("Missing output files: a.json; Input files updated by another job: b") == "not made yet"
    assert brief("Params have changed since last execution: x") == (
        "Params have changed since last execution: x"
    )


def test_lock_is_held_by_one_and_free_when_its_holder_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "from galaxylib.files import hold_lock, Path; import sys; hold_lock(Path(sys.argv[1])); print('mine')"
    )
    held = hold_lock(path)
    waiting = subprocess.Popen(
        [sys.executable, "-c", code, path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert f"Process {os.getpid()} is at work" in waiting.stderr.readline()
    assert waiting.poll() is None
    held.close()
    assert waiting.communicate(timeout=30)[0] == "mine\n"
    hold_lock(path).close()


def test_full_disk_and_missing_file_are_one_sentence(tmp_path: Path) -> None:
    check_space(tmp_path, needed=1)
    with pytest.raises(
        GalaxyError, match=r"GB free and the book needs 10000000000\.0 GB: free some"
    ) as fault:
        check_space(tmp_path, needed=1e19)
    assert "\n" not in str(fault.value)
    with pytest.raises(DataError, match=r"There is no file nowhere\.h5"):
        check_files("nowhere.h5")


def test_html_points_to_the_run(tmp_path: Path) -> None:
    for run_name in ("smoke", "default"):
        (tmp_path / "results" / run_name / "html").mkdir(parents=True)
        (tmp_path / "results" / run_name / "html" / "index.html").write_text(run_name)
        point_to(tmp_path / "results" / run_name / "html", tmp_path / "html")
        check_link(tmp_path / "html")
        assert (tmp_path / "html" / "index.html").read_text() == run_name
    (tmp_path / "folder").mkdir()
    with pytest.raises(GalaxyError, match="was not made by `make book`"):
        check_link(tmp_path / "folder")
