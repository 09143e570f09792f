"""Every figure and table of a chapter says which cell made it, and from which commit.

The captions stand in the chapters' text, the pictures come from cells further up: the executed notebook knows
which. A link to that cell, and the commit's name, go to the end of each caption; where the book has a
repository, the commit's name leads to the very lines.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat

from ci.rerun import RECORD

# A figure's directive: its fence, the name of what it places, and the lines in between.
PLACED = re.compile(r"^(?P<fence>`{3,})\{glue:figure\} (?P<name>\S+)\n(?P<body>.*?)^(?P=fence)$", re.M | re.S)
CELL = re.compile(r"^# %%", re.M)


def add_origins(notebook: nbformat.NotebookNode, source: Path, *, repository: str = "") -> None:
    """Let the captions of an executed chapter name the cell and the commit behind them.

    Args:
        notebook: the executed chapter; changed.
        source: its percent-format half, whose lines the repository shows.
        repository: address of the repository on the web, where the book has one.
    """
    commit = notebook.metadata.get(RECORD, {}).get("commit")
    makers = {name: cell for cell in notebook.cells for name in given_by(cell)}
    spans = line_spans(notebook, source)
    targets = {}

    def told(place: re.Match[str]) -> str:
        cell = makers.get(place["name"])
        if cell is None:
            return place[0]
        target = targets.setdefault(cell["id"], f"cell-{source.stem}-{len(targets) + 1}")
        lines = spans.get(cell["id"])
        words = f"Made by {{ref}}`this cell <{target}>`, {_commit(commit, source, lines, repository)}."
        head, caption, rest = _parts(place["body"])
        origin = f'{caption} <small class="origin">{words}</small>'
        return f"{place['fence']}{{glue:figure}} {place['name']}\n{head}{origin}\n{rest}{place['fence']}"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = PLACED.sub(told, cell.source)
    notebook.cells = list(_with_targets(notebook.cells, targets))


def given_by(cell: nbformat.NotebookNode) -> list[str]:
    """The names under which a cell's outputs are there for the page."""
    named = (
        output.get("metadata", {}).get("scrapbook", {}).get("name") for output in cell.get("outputs", [])
    )
    return [name for name in named if name]


def line_spans(notebook: nbformat.NotebookNode, source: Path) -> dict[str, tuple[int, int]]:
    """The first and last line of each cell in the chapter's source, by the cell's id.

    Args:
        notebook: the executed chapter, with papermill's cell of parameters, which no source has.
        source: the percent-format half.
    """
    text = source.read_text(encoding="utf-8")
    starts = [match.start() for match in CELL.finditer(text)]
    spans = [
        (text[:start].count("\n") + 1, text[:start].count("\n") + len(text[start:end].rstrip().splitlines()))
        for start, end in zip(starts, [*starts[1:], len(text)], strict=True)
    ]
    own = [
        cell["id"] for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    return dict(zip(own, spans, strict=True)) if len(own) == len(spans) else {}


def _parts(body: str) -> tuple[str, str, str]:
    """Take a directive's body apart: its options and what is blank, the caption's paragraph, the rest."""
    found = re.fullmatch(r"((?::[^\n]*\n|\s*\n)*)(.+?)\n(\s*\n.*)?", body, re.S)
    return (found[1], found[2], found[3] or "") if found else (body, "", "")


def _commit(commit: str | None, source: Path, lines: tuple[int, int] | None, repository: str) -> str:
    """Name the commit; where a repository shows it as it was run, lead there."""
    if commit is None:
        return "outside a git repository"
    head, _, changes = commit.partition("+")
    if changes:
        return f"commit {head[:7]} with changes"
    if repository and lines:
        first, last = lines
        return f"[commit {head[:7]}]({repository}/blob/{head}/book/{source.name}#L{first}-L{last})"
    return f"commit {head[:7]}"


def _with_targets(
    cells: list[nbformat.NotebookNode], targets: dict[str, str]
) -> Iterator[nbformat.NotebookNode]:
    """Each cell, and before those that captions lead to, a place to lead to."""
    for cell in cells:
        if target := targets.get(cell["id"]):
            yield nbformat.v4.new_markdown_cell(f"({target})=", id=target)
        yield cell
