"""A chapter's parameters as they were meant, from whatever folder it is run."""

import json
from pathlib import Path

import nbformat
import papermill
import pytest
from conftest import ROOT

from galaxylib.errors import DataError, GalaxyError
from galaxylib.paper.parameters import as_declared, as_type, repository

CELL = """\
data: str = "simulated"  # words
outputs: str = "_build/results/default"  # a folder
fractions: list = [0.7, 0.1, 0.2]  # shares
epochs: int = 3  # passes
rate: float = 0.5  # step
flip: bool = True  # mirror
"""
OWN = {"data": "simulated", "outputs": "_build/results/default", "fractions": [0.7, 0.1, 0.2]}
OWN |= {"epochs": 3, "rate": 0.5, "flip": True}


def declared(**given):
    return as_declared({"In": ["", "!not python", CELL, "late: int = 9"]} | OWN | given)


@pytest.mark.parametrize(
    ("value", "kind", "meant"),
    [
        ("[0.8, 0.1, 0.1]", "list", [0.8, 0.1, 0.1]),
        ("['a', None]", "list", ["a", None]),
        ("[true, null]", "list", [True, None]),
        ('{"a": 1}', "dict", {"a": 1}),
        (3.0, "int", 3),
        ("1e3", "int", 1000),
        (2, "float", 2.0),
        ("5e-4", "float", 5e-4),
        ("false", "bool", False),
        ("True", "bool", True),
        (2024, "str", "2024"),
        (None, "str", "None"),
        (True, "str", "True"),
    ],
)
def test_values_become_what_is_declared(value, kind, meant):
    found = as_type(value, kind)
    assert found == meant
    assert type(found) is type(meant)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("[1", "list"),
        ("3", "list"),
        ((1, 2), "list"),
        ("[" * 5000, "list"),
        ("1.5", "int"),
        (float("nan"), "int"),
        (float("inf"), "int"),
        (True, "int"),
        ("", "float"),
        (None, "float"),
        (1, "bool"),
        ("yes", "bool"),
        ("__import__('os')", "list"),
    ],
)
def test_other_values_are_refused(value, kind):
    with pytest.raises(ValueError):  # noqa: PT011
        as_type(value, kind)


def test_the_sentence_names_the_parameter():
    with pytest.raises(GalaxyError, match=r"^epochs is of type int, and 'many' is not\.$"):
        declared(epochs="many")
    with pytest.raises(GalaxyError, match=r"^rate is of type float, and 1000"):
        declared(rate=10**400)


def test_a_chapters_own_paths_are_the_repositorys(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert declared() == OWN
    monkeypatch.chdir(tmp_path)
    assert declared() == OWN | {"outputs": str(ROOT / "_build/results/default")}
    assert declared(outputs="mine/here", data="../x.h5")["outputs"] == "mine/here"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert declared(data="~/x.h5")["data"] == f"{tmp_path}/x.h5"
    assert as_declared({}) == {}


def test_files_of_the_repository_are_found_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert repository("book/claims.yml") == ROOT / "book" / "claims.yml"
    with pytest.raises(DataError, match="run the chapter in a checkout"):
        repository("book/none.yml")


@pytest.mark.slow
def test_papermill_in_the_chapters_own_folder(tmp_path, monkeypatch):
    """The same as VS Code does, with values as papermill's `-p` reads them and a backend without pictures."""
    setup = (
        "from matplotlib import pyplot as plt\n"
        "from galaxylib.paper.figures import style\n"
        "from galaxylib.paper.parameters import as_declared, repository\n"
        "style()\n"
        "globals().update(as_declared(globals()))\n"
        "import json\n"
        "found = [data, outputs, fractions, epochs, flip, str(repository('book/claims.yml'))]\n"
        "print(json.dumps(found))"
    )
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(CELL, metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(setup),
            nbformat.v4.new_code_cell("plt.plot([1, 2]);"),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    book = tmp_path / "my book (1)"
    book.mkdir()
    nbformat.write(notebook, book / "01_x.ipynb")
    monkeypatch.chdir(book)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MPLBACKEND", "agg")
    given = {"fractions": "[0.8, 0.1, 0.1]", "data": 2024, "flip": "false"}
    done = papermill.execute_notebook("01_x.ipynb", "out.ipynb", parameters=given, progress_bar=False)
    *_, said, drawn = [cell for cell in done.cells if cell.cell_type == "code"]
    outputs, claims = str(ROOT / "_build/results/default"), str(ROOT / "book" / "claims.yml")
    assert json.loads(said.outputs[0].text) == ["2024", outputs, [0.8, 0.1, 0.1], 3, False, claims]
    assert "image/png" in drawn.outputs[-1].data


@pytest.mark.parametrize("chapter", sorted(Path(ROOT, "book").glob("[0-9][0-9]_*.py")), ids=lambda p: p.stem)
def test_every_chapter_takes_them_so(chapter):
    text = chapter.read_text(encoding="utf-8")
    assert text.count("\nglobals().update(as_declared(globals()))\nreport = Report(outputs, ") == 1
    assert 'Path("benchmarks' not in text
    assert 'Path("book' not in text
    assert 'load_claims("' not in text
