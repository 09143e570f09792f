"""Check that both halves of each chapter, `.py` and `.ipynb`, hold the same cells, and no outputs."""

import sys
from pathlib import Path

import jupytext
import nbformat

from galaxylib.errors import GalaxyError


def cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str, tuple[str, ...]]]:
    """Reduce a notebook to what its halves must share: each cell's type, source and tags."""
    return [
        (cell.cell_type, cell.source.strip(), tuple(cell.metadata.get("tags", []))) for cell in notebook.cells
    ]


def check_pair(chapter: Path) -> None:
    """Compare a chapter's halves.

    Args:
        chapter: path of the chapter's `.py`.

    Raises:
        GalaxyError: one half is missing, they differ, or the notebook carries outputs.
    """
    twin = chapter.with_suffix(".ipynb")
    if not twin.is_file():
        raise GalaxyError(f"{chapter} has no {twin.name}: run `make sync`.")
    notebook = jupytext.read(twin)
    if cells(jupytext.read(chapter)) != cells(notebook):
        raise GalaxyError(
            f"{chapter} and {twin.name} differ: run `make sync`, and the one changed last wins."
        )
    if any(cell.get("outputs") for cell in notebook.cells):
        raise GalaxyError(f"{twin} carries outputs: run `jupytext --to ipynb {chapter}` to drop them.")


if __name__ == "__main__":
    try:
        for chapter in sorted(Path(sys.argv[1]).glob("[0-9][0-9]_*.py")):
            check_pair(chapter)
    except GalaxyError as fault:
        sys.exit(f"{fault}")
