"""Which parameters a chapter takes, which values a profile gives, and a refusal of everything else."""

import ast
import difflib
import hashlib
import json
import os
import re
import reprlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from galaxylib.errors import GalaxyError
from galaxylib.paper.parameters import TYPES, as_type

if TYPE_CHECKING:
    import nbformat

PROFILES = Path(__file__).with_name("profiles.yml")


def read_chapter(path: Path) -> "nbformat.NotebookNode":
    """Read a chapter from either half of its pair, `.py` or `.ipynb`.

    Raises:
        GalaxyError: there is no such chapter.
    """
    if not path.is_file():
        chapters = ", ".join(sorted(p.stem for p in path.parent.glob("[0-9][0-9]_*.py"))) or "none"
        raise GalaxyError(f"There is no chapter {path}: {path.parent} holds {chapters}.")
    import jupytext  # takes a second, and the graph needs none of it

    return jupytext.read(path)


def declared(path: Path) -> dict[str, dict[str, str]]:
    """Ask papermill which parameters a chapter declares: name -> type, default and help, as text."""
    return declared_in(read_chapter(path))


def declared_in(notebook: "nbformat.NotebookNode") -> dict[str, dict[str, str]]:
    """Do the same for a notebook that is read already; nothing but its parameters cell counts."""
    import nbformat
    from papermill import inspect_notebook

    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "parameters.ipynb")
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata), copy)
        return {
            name: {"type": entry["inferred_type_name"], "default": entry["default"], "help": entry["help"]}
            for name, entry in inspect_notebook(str(copy)).items()
        }


def names(path: Path) -> list[str]:
    """List the parameters of a chapter's `.py` by its text alone, where asking papermill would be slow."""
    source = path.read_text(encoding="utf-8")
    _, _, rest = source.partition('# %% tags=["parameters"]\n')
    cell, _, _ = rest.partition("\n# %%")
    return [node.target.id for node in ast.parse(cell).body if isinstance(node, ast.AnnAssign)]


def profile_values(profile: str, chapter: str, *, takes: Mapping[str, Any]) -> dict[str, Any]:
    """Collect what a profile says about one chapter.

    Args:
        profile: a name in `profiles.yml`.
        chapter: the chapter's stem, "03_training".
        takes: the chapter's parameters; of the profile's entries for all chapters only these are given.

    Raises:
        GalaxyError: there is no such profile.
    """
    profiles = yaml.safe_load(PROFILES.read_text(encoding="utf-8"))
    if profile not in profiles:
        raise GalaxyError(f"There is no profile {profile!r}: ci/profiles.yml has {', '.join(profiles)}.")
    entries = profiles[profile] or {}
    everywhere = {name: value for name, value in (entries.get("all") or {}).items() if name in takes}
    return everywhere | (entries.get(chapter) or {})


def run_name(profile: str, data: str) -> str:
    """Name the folder of a run's results, so that those of other data or profiles are left alone.

    Files of one name in different folders are told apart by a hash of the whole path.
    """
    if data == "simulated":
        return profile
    path = Path(data).resolve()
    readable = re.sub(r"[^\w.-]+", "-", path.stem)
    return f"{profile}-{readable}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def typed(words: Sequence[str]) -> dict[str, str]:
    """Read the paths in `snakemake --config data=FILE real_sample=FILE out=FOLDER` as they were typed.

    Snakemake reads a value as YAML, where " #" begins a comment, "007" is 7 and "null" is nothing.

    Args:
        words: The command line.

    Returns:
        Those that it gives; `~` is the home folder.
    """
    found = (re.fullmatch(r"(data|real_sample|votes|inputs|out)=('?)(.*)\2", word) for word in words)
    return {match[1]: os.path.expanduser(match[3]) for match in found if match and match[3]}


def check(path: Path, values: Mapping[str, Any], *, takes: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse a parameter that the chapter does not know, or whose value has another type.

    Raises:
        GalaxyError: one sentence that names the parameter and what would do.
    """
    for name, value in values.items():
        kind = _kind(path, name, takes)
        exact = (int, float) if kind == "float" else TYPES[kind]
        if not isinstance(value, exact) or (isinstance(value, bool) and kind != "bool"):
            raise GalaxyError(f"{path}: {name} is of type {kind}, and {reprlib.repr(value)} is not.")
        try:
            json.dumps(value, allow_nan=False)
        except (ValueError, TypeError, RecursionError) as fault:
            raise GalaxyError(
                f"{path}: {name} is {reprlib.repr(value)}: give finite numbers, texts, lists."
            ) from fault


def parse(path: Path, name: str, text: str, *, takes: Mapping[str, Mapping[str, str]]) -> Any:
    """Read a value typed on the command line as the type that the chapter declares.

    Raises:
        GalaxyError: the chapter has no such parameter, or the text is no value of its type.
    """
    kind = _kind(path, name, takes)
    try:
        value = as_type(text, kind)
    except (ValueError, OverflowError) as fault:
        raise GalaxyError(f"{path}: {name} is of type {kind}, and {reprlib.repr(text)} is not.") from fault
    check(path, {name: value}, takes=takes)
    return value


def _kind(path: Path, name: str, takes: Mapping[str, Mapping[str, str]]) -> str:
    if name not in takes:
        near = difflib.get_close_matches(name, takes, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise GalaxyError(f"{path} has no parameter {name!r}{hint}; it takes {', '.join(takes)}.")
    return takes[name]["type"]
