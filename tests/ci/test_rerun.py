"""What a chapter's page tells about its own run, and the pages that code writes beside the chapters."""

import re
import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml
from click.testing import CliRunner

from ci.appendix import point_to_repository, reference, reference_pages
from ci.execute import execute
from ci.licences import UNKNOWN, licence, npm_packages, python_packages, wanted
from ci.manifest import page
from ci.rerun import RECORD, add_rerun, changed, command, duration, hardware_words
from galaxylib.errors import GalaxyError

ROOT = Path(__file__).resolve().parents[2]

CHAPTER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A chapter

# %% tags=["parameters"]
epochs: int = 2  # passes | rounds
rate: float = 5e-1  # step
label: str = "a"  # word
empty: str = "full"  # nothing
flip: bool = True  # mirror
widths: list = [1, 2]  # factors

# %%
print(epochs)
"""
VALUES = {"epochs": 4, "rate": 0.5, "label": "3", "empty": "", "flip": False, "widths": [3, 4]}


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    folder = tmp_path_factory.mktemp("book")
    (folder / "01_x.py").write_text(CHAPTER)
    execute(folder / "01_x.py", folder / "out.ipynb", VALUES)
    return nbformat.read(folder / "out.ipynb", as_version=4)


@pytest.fixture
def notebook(executed: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return nbformat.from_dict(executed)


def test_papermill_reads_the_command_as_the_values_that_were_given(
    notebook: nbformat.NotebookNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """papermill's own command line is the judge; nothing is run."""
    import shlex

    from papermill import cli

    given = notebook.metadata["papermill"]["parameters"]
    assert given == VALUES
    words = shlex.split(command("01_x", given).replace("\\\n", " "))
    heard = {}
    monkeypatch.setattr(cli, "execute_notebook", lambda **options: heard.update(options))
    done = CliRunner().invoke(cli.papermill, words[1:], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert words[0] == "papermill"
    assert heard["input_path"] == "book/01_x.ipynb"
    assert heard["parameters"] == VALUES
    assert {name: type(value) for name, value in heard["parameters"].items()} == {
        name: type(value) for name, value in VALUES.items()
    }


def test_long_command_is_wrapped() -> None:
    lines = command("01_x", {f"parameter_{n}": n for n in range(20)}).split("\n")
    assert len(lines) > 2
    assert all(len(line) <= 76 for line in lines)
    assert all(line.endswith(" \\") for line in lines[:-1])


def test_page_tells_values_time_and_place(notebook: nbformat.NotebookNode) -> None:
    before = [cell.source for cell in notebook.cells]
    # 5e-1 is 0.5: that one was given, and is the chapter's own all the same
    assert {*changed(notebook)} == {*VALUES} - {"rate"}
    add_rerun(notebook)
    sources = [cell.source for cell in notebook.cells]
    assert [source for source in sources if source in before] == before
    line, box = sources[2], sources[-1]
    assert "`epochs = 4`" in line
    assert '`label = "3"`' in line
    assert "rate" not in line
    assert "<run-01_x>" in line
    assert box.startswith("(run-01_x)=\n")
    assert command("01_x", VALUES) in box
    assert "| `epochs` | **`4`** | `2` | int | passes \\| rounds |" in box
    assert "| `rate` | `0.5` | `0.5` | float | step |" in box
    assert '| `empty` | **`""`** | `"full"` | str | nothing |' in box
    run = notebook.metadata[RECORD]
    assert hardware_words(run["machine"]) in box
    assert f"in {duration(notebook.metadata['papermill']['duration'])} on" in box
    assert all(f"{name} {version}" in box for name, version in run["packages"].items())
    assert "Colab" not in box
    nbformat.validate(notebook)


def test_colab_needs_the_repository_first(notebook: nbformat.NotebookNode) -> None:
    add_rerun(notebook, repository="https://github.com/who/what", branch="old")
    assert "!git clone --branch old https://github.com/who/what\n%cd what\n" in notebook.cells[-1].source


def test_words_for_machines_and_times() -> None:
    machine = {"processor": "P", "cores": 1, "threads": None, "gpus": []}
    assert hardware_words(machine) == "1 core of P, no GPU"
    machine |= {"cores": 8, "threads": 2, "gpus": ["G", "G", "H"]}
    assert hardware_words(machine) == "8 cores of P (2 threads), 2 x G, 1 x H"
    assert [duration(t) for t in (3.4, 89, 91, 7200)] == ["3 s", "89 s", "1.5 min", "2.0 h"]


def config(tmp_path: Path) -> Path:
    copy = tmp_path / "_config.yml"
    copy.write_text((ROOT / "_config.yml").read_text())
    return copy


def theme(path: Path) -> dict:
    return yaml.safe_load(path.read_text())["sphinx"]["config"]["html_theme_options"]


def test_no_repository_no_buttons(tmp_path: Path) -> None:
    path = config(tmp_path)
    assert point_to_repository(path, "") == ("main", "")
    assert "repository_url" not in theme(path)
    assert "launch_buttons" not in theme(path)


@pytest.mark.parametrize("address", ["https://github.com/who/what", "https://github.com/who/what.git/"])
def test_buttons_lead_to_the_repository(tmp_path: Path, address: str) -> None:
    path = config(tmp_path)
    assert point_to_repository(path, address) == ("main", "https://github.com/who/what")
    assert theme(path)["repository_url"] == "https://github.com/who/what"
    assert {"binderhub_url", "colab_url"} <= {*theme(path)["launch_buttons"]}
    # an address in the configuration itself does the same
    assert point_to_repository(path, "") == ("main", "https://github.com/who/what")


def test_colab_opens_no_other_host(tmp_path: Path) -> None:
    path = config(tmp_path)
    point_to_repository(path, "https://gitlab.com/who/what")
    assert {*theme(path)["launch_buttons"]} == {"notebook_interface", "binderhub_url"}


@pytest.mark.parametrize("address", ["github.com/who/what", "https://github.com/who", "https://a b/c/d"])
def test_what_is_no_repository_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(GalaxyError, match=r"give one like https://github\.com/owner/name\.$"):
        point_to_repository(config(tmp_path), address)


def test_reference_has_each_module_once_and_all_of_its_pages() -> None:
    modules = [module for room in reference().values() for module in room.modules]
    assert len(modules) == len({*modules})
    package = ROOT / "galaxylib"
    there = {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if not path.name.startswith("__")
    }
    assert there == {*modules}, "a package is not among ROOMS in ci/appendix.py"
    listed = re.findall(r"book/api/(\w+)", (ROOT / "_toc.yml").read_text())
    assert listed == ["index", *reference()] == [*reference_pages()]


def test_licences_are_read_from_the_packages() -> None:
    rows = {name: (version, terms) for name, version, terms in python_packages()}
    lock = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert rows["h5py"] == (lock["h5py"], "BSD-3-Clause")
    assert len(rows) > 150
    unknown = [name for name, (_, terms) in rows.items() if terms == UNKNOWN and name in wanted()]
    assert unknown == []
    assert ("mathjax", "3.2.2", "Apache-2.0") in npm_packages()


@pytest.mark.parametrize(
    ("metadata", "text", "found"),
    [
        ("License-Expression: MIT\nLicense: other", "", "MIT"),
        ("License: BSD", "", "BSD"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", "", "MIT License"),
        ("", "Copyright 2020 A\n\nPermission is hereby granted, free of\ncharge, to", "MIT"),
        ("", "All rights reserved", UNKNOWN),
    ],
)
def test_licence_of_one_package(tmp_path: Path, metadata: str, text: str, found: str) -> None:
    from importlib.metadata import PathDistribution

    folder = tmp_path / "a-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: a\nVersion: 1\n{metadata}".strip() + "\n\n"
    )
    (folder / "LICENSE").write_text(text)
    (folder / "RECORD").write_text("a-1.dist-info/METADATA,,\na-1.dist-info/LICENSE,,\n")
    assert licence(PathDistribution(folder)) == found


# Each picture and each table of numbers in the repository, and the program in it that made the file.
MADE_BY = {
    "benchmarks/results/atlas/dreams.webp": "benchmarks/atlas.py",
    **{f"benchmarks/results/atlas/galaxies-{row}.webp": "benchmarks/atlas.py" for row in range(12)},
    "book/images/classes.png": "ci/picture.py",
    "book/images/favicon.png": "ci/picture.py",
    "galaxylib/dream/prior.npz": "galaxylib/dream/prior.py",
    "galaxylib/weights/pretrained/weights.safetensors": "galaxylib/training/recipes.py",
    "galaxylib/weights/pretrained/reference.safetensors": "galaxylib/evaluation/unlike.py",
    "galaxylib/weights/small/weights.safetensors": "galaxylib/training/recipes.py",
    "galaxylib/weights/small/reference.safetensors": "galaxylib/evaluation/unlike.py",
    "galaxylib/weights/real/weights.safetensors": "galaxylib/training/recipes.py",
    "galaxylib/weights/real/reference.safetensors": "galaxylib/evaluation/unlike.py",
    "galaxylib/weights/real-small/weights.safetensors": "galaxylib/training/recipes.py",
    "galaxylib/weights/real-small/reference.safetensors": "galaxylib/evaluation/unlike.py",
    "galaxylib/weights/zoo2/weights.safetensors": "galaxylib/training/recipes.py",
}
KINDS = (
    *("png", "jpg", "jpeg", "gif", "webp", "svg", "ico", "bmp", "tif", "tiff", "fits", "mp4", "webm", "pdf"),
    *(
        "h5",
        "hdf5",
        "npz",
        "npy",
        "csv",
        "parquet",
        "pkl",
        "pt",
        "pth",
        "ckpt",
        "onnx",
        "safetensors",
        "zip",
        "gz",
    ),
)


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()


def test_no_image_of_others_is_in_the_repository() -> None:
    files = tracked()
    found = {name for name in files if name.lower().endswith(tuple(f".{kind}" for kind in KINDS))}
    assert found <= {*MADE_BY}, "say in MADE_BY which program made it, or take it out"
    for name in found:
        assert MADE_BY[name] in files, f"{MADE_BY[name]}, which makes {name}, is not in the repository"
    for name in {*files} - found:
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        assert b"\0" not in content, f"{name} is binary"
        assert not re.search(rb"base64,[A-Za-z0-9+/]{2000}", content), f"{name} holds a picture"


def test_manifest_page_shows_what_the_manifest_has() -> None:
    machine = {"processor": "P", "cores": 2, "threads": None, "gpus": []}
    entry = {
        "source": "a" * 64,
        "result": "b" * 64,
        "started": "2026-01-02T03:04:05+00:00",
        "seconds": 100.0,
        "commit": f"{'c' * 40}+changes",
        "machine": machine,
    }
    text = page(
        {
            "run": "smoke",
            "packages": {"torch": "2"},
            "locks": {"requirements.lock": "d" * 64},
            "data": {"kind": "simulated", "galaxies": 7, "fingerprint": "f1", "files": {"x.h5": "e" * 64}},
            "weights": {"w.safetensors": "9" * 64},
            "chapters": {"01_x": entry, "02_y": entry},
        }
    )
    assert "in 3.3 min on 2 cores of P, no GPU, on 7 simulated galaxies" in text
    row = "`aaaaaaaaaaaa` | `bbbbbbbbbbbb` | 2026-01-02 03:04 | 1.7 min | `cccccccccccc+changes` |"
    assert text.count(row) == 2
    assert all(f"`{sign * 12}`" in text for sign in "de9")


@pytest.mark.slow
def test_page_has_the_box_and_buttons_that_lead_to_the_chapter(
    notebook: nbformat.NotebookNode, tmp_path: Path
) -> None:
    """One chapter and one page of text through Jupyter Book itself, with the book's own configuration."""
    from ci.pages import build

    point_to_repository(config(tmp_path), "https://github.com/who/what")
    for folder in ("book/images", "served", "extra"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("references.bib", "images/favicon.png"):
        (tmp_path / "book" / name).write_bytes((ROOT / "book" / name).read_bytes())
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nchapters:\n- file: book/01_x\n- file: book/made\n"
    )
    (tmp_path / "book" / "intro.md").write_text("# A book\n\nOf one chapter.\n")
    (tmp_path / "book" / "made.md").write_text("# How it was made\n\nHere.\n")
    add_rerun(notebook, repository="https://github.com/who/what")
    nbformat.write(notebook, tmp_path / "book" / "01_x.ipynb")
    build(tmp_path, tmp_path / "html")
    page = (tmp_path / "html" / "book" / "01_x.html").read_text(encoding="utf-8")
    links = re.findall(r'href="([^"]*who/what[^"]*)"', page)
    assert "https://mybinder.org/v2/gh/who/what/main?urlpath=lab/tree/book/01_x.ipynb" in links
    assert "https://colab.research.google.com/github/who/what/blob/main/book/01_x.ipynb" in links
    assert 'id="run-01-x"' in page
    assert 'href="#run-01-x"' in page
    assert "mybinder" not in (tmp_path / "html" / "book" / "intro.html").read_text(encoding="utf-8")
