"""Captions name the cell and the commit behind their figure."""

from pathlib import Path

import nbformat
import pytest

from ci.origins import add_origins, line_spans

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SOURCE = """\
# ---
# jupyter: x
# ---

# %% [markdown]
# # A chapter

# %% tags=["parameters"]
seed: int = 0  # seed

# %%
one = 1
two = 2

# %% [markdown]
# ```{glue:figure} sky
# :alt: Dots.
# :name: fig-01-sky
#
# The sky.
# ```
"""
PLACES = """\
Look.

```{glue:figure} sky
:alt: Dots.
:name: fig-01-sky

The sky, of {glue:text}`n`
galaxies.

More words.
```

```{glue:figure} counts
:name: tab-01-counts

Counts.
```

```{glue:figure} 03_training.ipynb::curve
:name: fig-01-curve

Elsewhere.
```

```python
code
```
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "01_data.py"
    path.write_text(SOURCE)
    return path


def executed(commit: str | None = COMMIT) -> nbformat.NotebookNode:
    new = nbformat.v4
    outputs = [
        new.new_output("display_data", metadata={"scrapbook": {"name": name}}) for name in ("sky", "counts")
    ]
    cells = [
        new.new_markdown_cell("# A chapter"),
        new.new_code_cell("seed: int = 0", metadata={"tags": ["parameters"]}),
        new.new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]}),
        new.new_code_cell("one = 1\ntwo = 2", outputs=outputs, id="maker"),
        new.new_markdown_cell(PLACES),
    ]
    return new.new_notebook(cells=cells, metadata={"run": {"commit": commit}})


def captions(notebook: nbformat.NotebookNode) -> list[str]:
    return [line for line in notebook.cells[-1].source.splitlines() if "origin" in line]


def test_caption_leads_to_its_cell(source: Path) -> None:
    notebook = executed()
    add_origins(notebook, source)
    origin = '<small class="origin">Made by {ref}`this cell <cell-01_data-1>`, commit 0123456.</small>'
    assert captions(notebook) == [f"galaxies. {origin}", f"Counts. {origin}"]
    assert [cell.source for cell in notebook.cells[3:5]] == ["(cell-01_data-1)=", "one = 1\ntwo = 2"]
    text = notebook.cells[-1].source
    assert "".join(text.split(f" {origin}")) == PLACES, "something else changed"
    nbformat.validate(notebook)


def test_commit_leads_to_the_lines_in_the_repository(source: Path) -> None:
    notebook = executed()
    assert line_spans(notebook, source)["maker"] == (11, 13)
    lines = SOURCE.splitlines()
    assert (lines[10], lines[12]) == ("# %%", "two = 2")
    add_origins(notebook, source, repository="https://a.org/who/what")
    link = f"[commit 0123456](https://a.org/who/what/blob/{COMMIT}/book/01_data.py#L11-L13)."
    assert all(link in caption for caption in captions(notebook))


@pytest.mark.parametrize(
    ("commit", "words"),
    [(f"{COMMIT}+changes", "commit 0123456 with changes."), (None, "outside a git repository.")],
)
def test_what_no_repository_shows_has_no_link(source: Path, commit: str | None, words: str) -> None:
    notebook = executed(commit)
    add_origins(notebook, source, repository="https://a.org/who/what")
    for caption in captions(notebook):
        assert words in caption
        assert "a.org" not in caption


def test_source_that_has_changed_since_has_no_lines(source: Path) -> None:
    source.write_text(SOURCE + "\n# %%\nthree = 3\n")
    notebook = executed()
    assert line_spans(notebook, source) == {}
    add_origins(notebook, source, repository="https://a.org/who/what")
    assert all("a.org" not in caption for caption in captions(notebook))
