"""Every chapter keeps the contract: its pair, its parameters, its figures' alternative texts, its report."""

import ast
import re
from pathlib import Path

import jupytext
import pytest

from ci.pairs import cells, check_pair
from ci.parameters import TYPES, declared, names
from galaxylib.errors import GalaxyError

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]_*.py"))
SHARED = ("data", "profile", "checkpoint", "seed", "outputs", "simulated")
TEN = [
    "01_data",
    "02_architecture",
    "03_training",
    "04_evaluation",
    "05_baselines",
    "06_deepdream",
    "07_votes",
    "08_ledger",
    "09_your_galaxies",
    "10_concepts",
]


chapters = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


def parameter_lines(chapter: Path) -> dict[str, tuple[ast.AnnAssign, str]]:
    """Name -> the parsed line and its text."""
    notebook = jupytext.read(chapter)
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    lines = cell.source.splitlines()
    return {node.target.id: (node, lines[node.lineno - 1]) for node in ast.parse(cell.source).body}


def test_ten_chapters_and_the_table_of_contents_names_them() -> None:
    assert [path.stem for path in CHAPTERS] == TEN
    listed = re.findall(r"book/(\d\d_\w+)", (ROOT / "_toc.yml").read_text())
    assert listed == TEN


@chapters
def test_halves_agree(chapter: Path) -> None:
    check_pair(chapter)


@chapters
def test_first_cells(chapter: Path) -> None:
    notebook = jupytext.read(chapter)
    title, parameters = notebook.cells[:2]
    assert title.cell_type == "markdown"
    assert re.match(r"# \S.*\n\n\S", title.source)
    assert parameters.metadata["tags"] == ["parameters"]
    for half in (chapter, chapter.with_suffix(".ipynb")):
        metadata = jupytext.read(half).metadata
        assert metadata["kernelspec"] == {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        }
        assert metadata["jupytext"]["formats"] == "ipynb,py:percent"


@chapters
def test_parameters_have_types_and_meaning(chapter: Path) -> None:
    lines = parameter_lines(chapter)
    for name, (node, line) in lines.items():
        assert isinstance(node, ast.AnnAssign), f"{name} has no type"
        assert ast.unparse(node.annotation).split("[")[0] in TYPES, f"{name}: papermill cannot read its type"
        assert re.search(r"  # \S.{3,}$", line), f"{name} does not say what it means"
    assert {"profile", "outputs"} <= {*lines}
    # papermill's own reading, which --help-notebook prints, finds the same, each with its help
    asked = declared(chapter.with_suffix(".ipynb"))
    assert list(asked) == list(lines) == names(chapter)
    assert all(entry["help"] for entry in asked.values())


@pytest.mark.parametrize("name", SHARED)
def test_same_parameter_has_the_same_type_everywhere(name: str) -> None:
    found = {}
    for chapter in CHAPTERS:
        lines = parameter_lines(chapter)
        if name in lines:
            node, _ = lines[name]
            default = ast.unparse(node.value) if name in ("data", "outputs", "seed") else ""
            found[chapter.stem] = (ast.unparse(node.annotation), default)
    assert len(set(found.values())) == 1, found


@chapters
def test_figures_have_alternative_texts_and_captions(chapter: Path) -> None:
    notebook = jupytext.read(chapter)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    figures = set(re.findall(r'report\.figure\(\s*"(\w+)"', code))
    shown = dict(re.findall(r"```\{glue:figure\} (\w+)\n(.*?)```", text, re.DOTALL))
    assert figures <= {*shown}, "a figure is made and not shown"
    for name, block in shown.items():
        assert re.search(r"^:name: \S+$", block, re.MULTILINE), f"{name} has no :name:"
        assert re.search(r"\n\n\S", block), f"{name} has no caption"
        if name in figures:
            assert re.search(r"^:alt: .{30,}$", block, re.MULTILINE), f"{name} has no alternative text"
    assert not re.search(r"!\[\s*\]\(|<img(?![^>]*alt=)", text)


@chapters
def test_code_stays_small_and_ends_with_the_report(chapter: Path) -> None:
    notebook = jupytext.read(chapter)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for node in ast.walk(ast.parse("\n".join(cell.source for cell in code))):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 40, f"{node.name} belongs in galaxylib"
    assert all(len(cell.source.splitlines()) <= 40 for cell in code), "a cell belongs in galaxylib.paper"
    assert "report.save()" in code[-1].source
    assert not any(cell.outputs for cell in code)


def test_pair_that_differs_is_refused(tmp_path: Path) -> None:
    chapter = tmp_path / "01_x.py"
    chapter.write_text("# %% [markdown]\n# # X\n\n# %%\n1 + 1\n")
    with pytest.raises(GalaxyError, match="make sync"):
        check_pair(chapter)
    notebook = jupytext.read(chapter)
    jupytext.write(notebook, chapter.with_suffix(".ipynb"))
    check_pair(chapter)
    assert cells(notebook)[1] == ("code", "1 + 1", ())
    notebook.cells[1].source = "1 + 2"
    jupytext.write(notebook, chapter.with_suffix(".ipynb"))
    with pytest.raises(GalaxyError, match="differ"):
        check_pair(chapter)


@chapters
def test_no_name_is_given_to_two_things_on_a_page(chapter: Path) -> None:
    """A number and a figure of one name would both be quoted by it."""
    given = re.findall(r'report\.(number|figure|table)\(\s*"(\w+)"', chapter.read_text(encoding="utf-8"))
    kinds: dict[str, set[str]] = {}
    for kind, name in given:
        kinds.setdefault(name, set()).add(kind)
    assert {name: found for name, found in kinds.items() if len(found) > 1} == {}


@chapters
def test_a_table_or_figure_stands_once_on_the_page(chapter: Path) -> None:
    """Where its caption is: the cell that makes it shows no output of its own."""
    for cell in jupytext.read(chapter).cells:
        if cell.cell_type == "code" and re.search(r"report\.(table|figure)\(", cell.source):
            assert "remove-output" in cell.metadata.get("tags", []), cell.source[:200]
