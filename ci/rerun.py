"""What a chapter's page tells about its own run: the command that repeats it, its parameters, time and place.

Everything comes from the executed notebook: papermill's record, the parameters cell, and what `ci.execute`
noted of commit, versions and machine.
"""

import json
import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat

from ci.parameters import declared_in
from galaxylib.provenance import commit, machine, packages

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 74  # characters of a line of the command
RECORD = "run"
"""Key of the notebook's metadata under which a run is described."""


def describe_run() -> dict[str, Any]:
    """Note what papermill does not: commit, versions and machine, as JSON has it."""
    return {"commit": commit(ROOT), "packages": packages(), "machine": machine()}


def command(chapter: str, values: Mapping[str, Any]) -> str:
    r"""Write the papermill command that gives a chapter these values, wrapped with `\`.

    Text goes by `-r`, which takes it as it stands; `-p` would read "3" as a number.

    Args:
        chapter: the chapter's stem, "03_training".
        values: the parameters that the run was given.
    """
    lines = [f"papermill book/{chapter}.ipynb out.ipynb"]
    for name, value in values.items():
        if isinstance(value, str):
            words = ["-r", name, value]
        elif isinstance(value, list | dict):
            words = ["-y", json.dumps({name: value})]
        else:
            words = ["-p", name, repr(value)]
        option = shlex.join(words)
        if len(lines[-1]) + 1 + len(option) > WIDTH:
            lines.append(f"    {option}")
        else:
            lines[-1] += f" {option}"
    return " \\\n".join(lines)


def changed(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """List the parameters to which the run gave another value than the chapter's own."""
    takes = declared_in(notebook)
    return {
        name: value
        for name, value in _given(notebook).items()
        if _python(value) != _plain(takes[name]["default"])
    }


def add_rerun(notebook: nbformat.NotebookNode, *, repository: str = "", branch: str = "main") -> None:
    """Tell the page's reader which values this run used, and how to repeat it.

    A line goes below the parameters cell, which shows the chapter's own values, and a folded box to the end.

    Args:
        notebook: an executed chapter; changed.
        repository: address of the repository on the web, where the book has one.
        branch: the repository's branch that the buttons open.
    """
    chapter = Path(notebook.metadata["papermill"]["input_path"]).stem
    (place,) = [
        number for number, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])
    ]
    told = [f"`{name} = {_python(value)}`" for name, value in changed(notebook).items()]
    line = f"In this run: {', '.join(told)}." if told else "This run took the values above."
    notebook.cells.insert(
        place + 1, _cell(f"{line} {{ref}}`How to run it again <run-{chapter}>`.", "this-run")
    )
    notebook.cells.append(_cell(_box(notebook, chapter, repository, branch), "run-again"))


def _box(notebook: nbformat.NotebookNode, chapter: str, repository: str, branch: str) -> str:
    parts = [
        f"(run-{chapter})=\n::::{{dropdown}} Run this chapter again",
        _facts(notebook),
        "The command that made it, in the repository's root, after the chapters whose results it reads:",
        f"```bash\n{command(chapter, _given(notebook))}\n```",
    ]
    if repository:
        folder = repository.rstrip("/").removesuffix(".git").rsplit("/", 1)[-1]
        parts += [
            "On Colab, whose machines know nothing of this book, a first cell with",
            f"```text\n!git clone --branch {branch} {repository}\n%cd {folder}\n"
            '%pip install --quiet -e ".[simulate,morphology]"\n```',
        ]
    parts += ["Its parameters; where the run was given another value, it is bold.", _table(notebook), "::::"]
    return "\n\n".join(parts)


def _facts(notebook: nbformat.NotebookNode) -> str:
    """Say in sentences when, how long, on what, and from what the page was computed."""
    record, run = notebook.metadata["papermill"], notebook.metadata.get(RECORD, {})
    began = datetime.fromisoformat(record["start_time"])
    parts = [f"Computed on {began.day} {began:%B %Y} in {duration(record['duration'])}"]
    if run:
        parts.append(f" on {hardware_words(run['machine'])}")
        state = run["commit"] or "no git repository"
        head, _, changes = state.partition("+")
        parts.append(f", from commit `{head[:12]}`" if run["commit"] else ", outside a git repository")
        parts.append(" with changes that are not committed" if changes else "")
    parts.append(f", with Python {notebook.metadata['language_info']['version']}")
    parts += [f", {name} {version}" for name, version in run.get("packages", {}).items()]
    return f"{''.join(parts)}. The [record of this build](made.md) has the hashes."


def hardware_words(machine: Mapping[str, Any]) -> str:
    """Name a machine as a sentence does: cores, processor, GPUs."""
    cores = f"{machine['cores']} core{'s' if machine['cores'] != 1 else ''} of {machine['processor']}"
    threads = (
        f" ({machine['threads']} thread{'s' if machine['threads'] != 1 else ''})"
        if machine["threads"]
        else ""
    )
    gpus = machine["gpus"]
    kinds = ", ".join(f"{gpus.count(name)} x {name}" for name in dict.fromkeys(gpus))
    return f"{cores}{threads}, {kinds or 'no GPU'}"


def duration(seconds: float) -> str:
    """Write a time as a reader says it: "48 s", "12.3 min", "2.1 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _table(notebook: nbformat.NotebookNode) -> str:
    given, differs = _given(notebook), changed(notebook)
    rows = ["| name | this run | the chapter's own | type | meaning |", "|---|---|---|---|---|"]
    for name, entry in declared_in(notebook).items():
        own = _plain(entry["default"])
        value = _code(_python(given[name]) if name in given else own)
        shown = f"**{value}**" if name in differs else value
        cells = [f"`{name}`", shown, _code(own), entry["type"], entry["help"]]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _given(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """The parameters that the run was given, in the order of the chapter's cell."""
    given = notebook.metadata["papermill"]["parameters"]
    return {name: given[name] for name in declared_in(notebook) if name in given}


def _python(value: Any) -> str:
    """Write a value as the parameters cell would."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _plain(default: str) -> str:
    """Bring a default's source text to the same form, so that `2e-3` equals 0.002."""
    import ast

    try:
        return _python(ast.literal_eval(default))
    except (ValueError, SyntaxError):
        return default


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _cell(source: str, name: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(source, id=name)
