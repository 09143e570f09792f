"""The runner, the profiles, the import graph, and the files by which others install and carry the project."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
import yaml

import ci.book
import ci.execute
import ci.verify
from ci.execute import check_paths, execute, hide_injected, main
from ci.imports import used_files
from ci.lab import LabSettings
from ci.parameters import PROFILES, check, declared, parse, profile_values, run_name
from galaxylib.errors import GalaxyError

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]_*.py"))

CHAPTER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% tags=["parameters"]
epochs: int = 2  # passes
rate: float = 0.5  # step
label: str = "a"  # word
flip: bool = True  # mirror
widths: list = [1, 2]  # factors
fail: str = ""  # how to fail

# %%
print(epochs * rate, label)

# %%
from galaxylib.errors import DataError

if fail == "sentence":
    raise DataError("The file is empty: give another.")
if fail == "bug":
    1 / 0
if fail == "disk":
    open("/dev/full", "w").write("x" * 10**6)
"""


@pytest.fixture
def chapter(tmp_path: Path) -> Path:
    path = tmp_path / "book" / "01_x.py"
    path.parent.mkdir()
    path.write_text(CHAPTER)
    return path


@pytest.fixture
def takes(chapter: Path) -> dict:
    return declared(chapter)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "3", 3),
        ("rate", "1", 1.0),
        ("rate", "5e-4", 5e-4),
        ("label", "3", "3"),
        ("flip", "false", False),
        ("widths", "[3, 4]", [3, 4]),
    ],
)
def test_typed_values_are_read(chapter: Path, takes: dict, name: str, text: str, value: object) -> None:
    assert parse(chapter, name, text, takes=takes) == value
    check(chapter, {name: value}, takes=takes)


@pytest.mark.parametrize(
    ("name", "text"),
    [("epochs", "three"), ("epochs", "1.5"), ("flip", "maybe"), ("widths", "3"), ("rate", "")],
)
def test_ill_typed_values_are_refused(chapter: Path, takes: dict, name: str, text: str) -> None:
    with pytest.raises(GalaxyError, match=rf"{name} is of type \w+, and .* is not\.$"):
        parse(chapter, name, text, takes=takes)


@pytest.mark.parametrize(("name", "value"), [("epochs", "3"), ("epochs", True), ("label", 3), ("rate", None)])
def test_profiles_cannot_give_another_type(chapter: Path, takes: dict, name: str, value: object) -> None:
    with pytest.raises(GalaxyError, match=f"{name} is of type"):
        check(chapter, {name: value}, takes=takes)


def test_unknown_parameter_is_refused_before_anything_runs(
    chapter: Path, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    out = tmp_path / "out.ipynb"
    assert main([str(chapter), "-p", "epoch", "3", "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert "has no parameter 'epoch' (did you mean 'epochs'?); it takes epochs, rate" in said
    assert said.count("\n") == 1
    assert not out.exists()


def test_unknown_chapter_and_profile_are_refused(chapter: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([str(chapter.with_name("02_y.py"))]) == 1
    assert "holds 01_x" in capsys.readouterr().err
    assert main([str(chapter), "--profile", "quick"]) == 1
    assert (
        "There is no profile 'quick': ci/profiles.yml has smoke, default, reference, paper."
        in capsys.readouterr().err
    )


@pytest.mark.slow
def test_execution_keeps_the_injected_cell_off_the_page(chapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.ipynb"
    execute(chapter, out, {"epochs": 4})
    notebook = nbformat.read(out, as_version=4)
    (injected,) = [cell for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    assert "remove-cell" in injected.metadata["tags"]
    assert notebook.cells[2].outputs[0].text == "2.0 a\n"
    assert [path.name for path in tmp_path.glob("*.ipynb")] == ["out.ipynb"]
    assert notebook.metadata["papermill"]["input_path"] == str(chapter)
    before = json.dumps(notebook)
    hide_injected(notebook)
    assert json.dumps(notebook) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fail", "sentence"),
    [
        ("sentence", "01_x.py: The file is empty: give another."),
        ("disk", "01_x.py: no space is left on the disk; free some and run again."),
    ],
)
def test_chapter_that_stops_says_its_sentence(
    chapter: Path, tmp_path: Path, fail: str, sentence: str
) -> None:
    if fail == "disk" and not Path("/dev/full").exists():
        pytest.skip("no /dev/full, a disk that is always full, on this system")
    out = tmp_path / "out.ipynb"
    with pytest.raises(GalaxyError) as fault:
        execute(chapter, out, {"fail": fail})
    assert str(fault.value).endswith(sentence)
    assert "\n" not in str(fault.value)
    assert not out.exists()
    assert (tmp_path / "out.unfinished.ipynb").exists()


@pytest.mark.slow
def test_fault_of_the_code_shows_where(chapter: Path, tmp_path: Path) -> None:
    with pytest.raises(GalaxyError, match=r"stopped in cell \d(.|\n)*ZeroDivisionError"):
        execute(chapter, tmp_path / "out.ipynb", {"fail": "bug"})


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("folder.ipynb", "is a folder"),
        (".", "is a folder"),
        ("01_x.ipynb", "is read"),
        ("data.h5", "is read"),
        ("new/closed/a.ipynb", "cannot be written (Permission denied)"),
        ("results/01_x.json", "cannot both be written"),
        ("data.h5/a.ipynb", "is a file"),
        ("half.ipynb", "half.unfinished.ipynb is a folder"),
    ],
)
def test_chapter_that_would_destroy_something_is_refused(
    chapter: Path, tmp_path: Path, closed: Callable, out: str, sentence: str
) -> None:
    for name in ("folder.ipynb/thesis", "half.unfinished.ipynb/thesis", "new/closed"):
        (tmp_path / name).mkdir(parents=True)
    other_half = chapter.with_suffix(".ipynb")
    other_half.touch()
    (tmp_path / "data.h5").touch()
    closed(tmp_path / "new" / "closed")
    before = sorted(tmp_path.rglob("*"))
    values = {"data": str(tmp_path / "data.h5"), "outputs": str(tmp_path / "results")}
    with pytest.raises(GalaxyError) as fault:
        check_paths(chapter, other_half if out == other_half.name else tmp_path / out, values)
    assert sentence in str(fault.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "words",
    [
        *(["--values", text] for text in ("", "{", "[1]", "3", "null", '"x"', 10**5 * "[", 5000 * "9")),
        *(["--values", json.dumps({"epochs": value})] for value in (None, "3", 1.5, True, [], {})),
        *(["--values", json.dumps({"rate": value})] for value in (float("nan"), float("inf"), "1", None)),
        *(
            ["--values", text]
            for text in ('{"rate": 1e999}', '{"widths": [NaN]}', '{"": 1}', '{"nosuch": 1}')
        ),
        *(["-p", "rate", text] for text in ("nan", "inf", "1e999", "", "many")),
        *(["-p", "epochs", text] for text in ("1.5", "1e3", "nan", 5000 * "9", "")),
        *(
            ["-p", "widths", text]
            for text in ("[NaN]", "[1", "{}", 10**5 * "[", 10**5 * "(", "(1, 2)", "[b'x']")
        ),
        ["--profile", ""],
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_bad_values_are_one_sentence(
    chapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture, words: list[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert main([str(chapter), *words, "--out", str(tmp_path / "out.ipynb")]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith(".\n")
    assert said.err.count("\n") == 1
    assert "does not know" not in said.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("tool", [ci.execute, ci.book, ci.verify], ids=lambda tool: tool.__name__)
def test_whatever_stops_a_tool_is_one_sentence(
    tool: ModuleType, chapter: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = [str(chapter)] if tool is ci.execute else []
    for fault, status, sentence in (
        (OverflowError("int too large"), 1, "does not know (OverflowError: int too large)"),
        (PermissionError(13, "Permission denied", "x"), 1, "x cannot be used (Permission denied)"),
        (MemoryError(), 1, "memory does not suffice"),
        (SystemExit(0), 1, "ended Python"),
        (KeyboardInterrupt(), 130, "Interrupted"),
    ):

        def fail(*_: object, fault: BaseException = fault, **__: object) -> None:
            raise fault

        monkeypatch.setattr(tool, "profile_values", fail)
        assert tool.main(words) == status
        said = capsys.readouterr()
        assert said.out == ""
        assert sentence in said.err
        assert said.err.strip().count("\n") == 0


@pytest.mark.slow
def test_notebook_in_the_place_of_a_folder_is_refused_and_no_lock_overwritten(
    chapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "folder.ipynb" / "thesis").mkdir(parents=True)
    assert main([str(chapter), "--values", "{}", "--out", str(tmp_path / "folder.ipynb")]) == 1
    said = capsys.readouterr().err
    assert "folder.ipynb is a folder" in said
    assert said.count("\n") == 1
    (tmp_path / "requirements.lock").write_text("numpy==2.0\n")
    assert main([str(chapter), "--values", "{}", "--out", str(tmp_path / "requirements.ipynb")]) == 0
    assert (tmp_path / "requirements.lock").read_text() == "numpy==2.0\n"
    assert (tmp_path / "folder.ipynb" / "thesis").is_dir()


def test_profiles_name_only_what_the_chapters_take() -> None:
    profiles = yaml.safe_load(PROFILES.read_text())
    assert list(profiles) == ["smoke", "default", "reference", "paper"]
    stems = {path.stem for path in CHAPTERS}
    taken: set[str] = set()
    for path in CHAPTERS:
        takes = declared(path)
        taken |= {*takes}
        for profile in profiles:
            check(path, profile_values(profile, path.stem, takes=takes), takes=takes)
    for profile, entries in profiles.items():
        assert {*entries} <= stems | {"all", "lab"}, profile
        assert {*entries.get("lab", {})} <= {field.name for field in fields(LabSettings)}, profile
        assert {*(entries.get("all") or {})} <= taken, profile


def test_runs_have_folders_of_their_own() -> None:
    assert run_name("smoke", "simulated") == "smoke"
    first, second = (run_name("smoke", f"{folder}/Galaxy10_DECals.h5") for folder in ("data", "elsewhere"))
    assert first != second
    assert first.startswith("smoke-Galaxy10_DECals-")
    assert run_name("smoke", "elsewhere/../data/Galaxy10_DECals.h5") == first
    assert re.fullmatch(r"default-a-b-\w{8}", run_name("default", "a 'b.h5"))


PACKAGE = {
    "__init__.py": "if TYPE_CHECKING:\n    from pkg.net import Net\n    from pkg.dream import dream\n",
    "net.py": "import torch\nfrom pkg.sizes import SIZE\n",
    "sizes.py": "",
    "space.py": "def open_data():\n    from pkg.draw import draw\n",
    "train.py": "from pkg.net import Net\nfrom pkg import space\n",
    "draw/__init__.py": "from pkg.draw.light import draw\n",
    "draw/light.py": "",
    "draw/noise.py": "from pkg.draw.light import draw\n",
    "dream.py": "import pkg.registry\nimport pkg\nif TYPE_CHECKING:\n    from pkg.train import train\n",
    "registry.py": "from pkg.dream import dream\n",
}


@pytest.mark.parametrize(
    ("source", "used"),
    [
        ("from pkg.space import open_data", "__init__ draw/__init__ draw/light space"),
        ("from pkg.draw.noise import noise", "__init__ draw/__init__ draw/light draw/noise"),
        ("from pkg.train import train", "__init__ draw/__init__ draw/light net sizes space train"),
        ("from pkg import Net", "__init__ net sizes"),
        ("def f():\n    from pkg.sizes import SIZE", "__init__ sizes"),
        ("import pkg.dream", "__init__ dream registry"),
        ("import numpy", ""),
    ],
)
def test_import_graph_follows_modules(tmp_path: Path, source: str, used: str) -> None:
    for name, text in PACKAGE.items():
        path = tmp_path / "pkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    chapter = tmp_path / "book" / "01_x.py"
    chapter.parent.mkdir()
    chapter.write_text(f"# %% [markdown]\n# # X\n\n# %%\n{source}\n")
    assert used_files(chapter, package="pkg") == sorted(Path("pkg", f"{name}.py") for name in used.split())


def test_chapters_depend_on_what_they_use() -> None:
    uses = {path.stem: {file.stem for file in used_files(path)} for path in CHAPTERS}
    assert {"dmagnet", "report"} <= uses["02_architecture"]
    rooms = {path.stem: {file.parent.name for file in used_files(path)} for path in CHAPTERS}
    assert "training" in rooms["03_training"]
    assert not {"training", "networks"} & rooms["01_data"]
    assert not {"training", "dream"} & rooms["02_architecture"]
    assert not any("dream" in f"{file}" for file in used_files(ROOT / "book" / "03_training.py"))
    assert any("galaxylib/dream/" in f"{file}" for file in used_files(ROOT / "book" / "06_deepdream.py"))


def test_conda_environment_reads_the_lock() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert [re.split("[=<>]", entry)[0] for entry in conda] == ["python", "pip"]
    assert pip == {"pip": ["-r requirements.lock", "-e ."]}
    version = tuple(map(int, conda[0].partition("=")[2].split(".")))
    least = re.search(r'requires-python = ">=(\d+)\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert version >= tuple(map(int, least.groups()))


def test_locks_hold_versions_and_hashes_and_no_addresses() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+( ; .+)?$", line) for line in pins)
    lock = json.loads((ROOT / "ci" / "npm" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert all("integrity" in entry and "resolved" not in entry for entry in packages.values())
    wanted = json.loads((ROOT / "ci" / "npm" / "package.json").read_text())["dependencies"]
    assert wanted == {name: packages[f"node_modules/{name}"]["version"] for name in wanted}


def test_readme_commands_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {*re.findall(r"(?:^|`)make ([a-z-]+)", readme, re.MULTILINE)} <= targets
    for path in re.findall(r"book/\d\d_\w+\.(?:ipynb|py)", readme):
        assert (ROOT / path).is_file(), path
    for image in re.findall(r"!\[[^\]]{20,}\]\(([^)]+)\)", readme):
        assert (ROOT / image).is_file(), image
    assert "](book/images/" in readme


def test_old_python_is_told_what_to_install() -> None:
    code = "import sys, runpy; sys.version_info = (3, 9, 2); sys.argv = ['setup.py', 'nowhere']\n"
    code += f"runpy.run_path({str(ROOT / 'ci' / 'setup.py')!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "This is Python 3.9 and the book needs 3.11 or later" in done.stderr
    assert not (ROOT / "nowhere").exists()
