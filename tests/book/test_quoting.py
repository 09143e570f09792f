"""A result that changes, changes the page: every number in the text is what the code computed.

Each value that the chapters of the smoke book hand to their text is replaced in copies of the executed
notebooks. The pages made of them must differ from the true ones in every quoted value and nowhere else.
"""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECORD = "application/papermill.record/"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
CONFIGURATION = """\
extensions = ["myst_nb", "sphinxcontrib.bibtex"]
bibtex_bibfiles = ["references.bib"]
nb_execution_mode = "off"
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
html_theme = "basic"
html_copy_source = False
root_doc = "intro"
exclude_patterns = ["out"]
"""
PASTED = re.compile(r'<span class="pasted-text">(.*?)</span>', re.DOTALL)


def other(value):
    """Some value of the same type that is written differently."""
    if isinstance(value, bool) or value is None:
        return value
    return (
        f"{value} else"
        if isinstance(value, str)
        else value + 7
        if isinstance(value, int)
        else 1.37 * value + 1
    )


def copy(notebook: Path, folder: Path, *, change: bool) -> int:
    """Put a notebook with empty pictures into a folder; the number of values that were changed."""
    content, changed = json.loads(notebook.read_text(encoding="utf-8")), 0
    for cell in content["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in data:
                if kind.endswith("image/png"):
                    data[kind] = PIXEL
            text = "".join(data.get(f"{RECORD}text/plain", ""))  # nbformat writes a list of lines
            if change and "scrapbook" in output.get("metadata", {}) and len(data) == 1:
                value = ast.literal_eval(text)
                data[f"{RECORD}text/plain"] = repr(other(value))
                changed += other(value) != value
    (folder / notebook.name).write_text(json.dumps(content), encoding="utf-8")
    return changed


def pages(notebooks: list[Path], folder: Path, *, change: bool) -> dict[str, str]:
    """Page -> its body, made of these notebooks and the introduction."""
    folder.mkdir()
    (folder / "conf.py").write_text(CONFIGURATION)
    for name in ("intro.md", "references.md", "references.bib", "glossary.md"):
        shutil.copy(ROOT / "book" / name, folder)
    counts = [copy(notebook, folder, change=change) for notebook in notebooks]
    assert all(counts) == change
    subprocess.run(
        [sys.executable, "-m", "sphinx", "-b", "html", "-Q", ".", "out"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    bodies = {}
    for name in ("intro", *(notebook.stem for notebook in notebooks)):
        text = (folder / "out" / f"{name}.html").read_text(encoding="utf-8")
        text = text[text.index('<div class="body"') : text.index('<div class="sphinxsidebar')]
        bodies[name] = re.sub(r'<div class="cell_output.*?</div>\s*</div>', "", text, flags=re.DOTALL)
    return bodies


@pytest.fixture(scope="module")
def both(html: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, str]]:
    folder = tmp_path_factory.mktemp("quoting")
    notebooks = sorted((html.parent / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    assert len(notebooks) == 10
    true = pages(notebooks, folder / "true", change=False)
    return true, pages(notebooks, folder / "changed", change=True)


@pytest.mark.parametrize(
    "name", ["intro", *(path.stem for path in sorted((ROOT / "book").glob("[0-9][0-9]_*.py")))]
)
def test_every_quoted_value_follows_the_results(both, name: str) -> None:
    true, changed = (side[name] for side in both)
    before, after = PASTED.findall(true), PASTED.findall(changed)
    assert len(before) == len(after) >= 5
    assert [text for text, new in zip(before, after, strict=True) if text == new] == []
    assert PASTED.sub("", true) == PASTED.sub("", changed), "something else depends on the values"
