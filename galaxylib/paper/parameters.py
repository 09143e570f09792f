"""A chapter's parameters as they were meant, and the repository's files, wherever the chapter is run.

papermill's `-p` gives a list as text and takes "3" for a number, and VS Code runs a chapter in the folder of
its notebook. One line after the parameters cell, `globals().update(as_declared(globals()))`, mends both.
"""

import ast
import json
import os
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galaxylib.errors import DataError, GalaxyError

ROOT = Path(__file__).resolve().parents[2]
TYPES = {"bool": bool, "dict": dict, "float": float, "int": int, "list": list, "str": str}
"""What a parameter may be declared as."""


def repository(name: str) -> Path:
    """A file that comes with the repository.

    Args:
        name: its path from the repository's root, such as "book/claims.yml".

    Raises:
        DataError: it is not there.
    """
    path = Path(name) if Path.cwd() == ROOT else ROOT / name
    if not path.exists():
        raise DataError(f"There is no {path}: run the chapter in a checkout of the book's repository.")
    return path


def as_declared(names: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a running chapter, each of the type that its cell declares.

    A text that begins with `~/` leads to the home folder. A path that is the chapter's own, such as
    "_build/results/default", leads to the repository; one that was given counts from the working directory.

    Args:
        names: the notebook's globals, among them IPython's `In`, the source of each cell.

    Raises:
        GalaxyError: a value is not of its type.
    """
    found = {}
    for name, (kind, own) in _declared(names.get("In", [])).items():
        try:
            value = as_type(names[name], kind)
        except (ValueError, OverflowError) as fault:
            raise GalaxyError(f"{name} is of type {kind}, and {reprlib.repr(names[name])} is not.") from fault
        if kind == "str":
            inside = value == own and "/" in value and Path.cwd() != ROOT
            value = str(ROOT / value) if inside else os.path.expanduser(value)
        found[name] = value
    return found


def as_type(value: Any, kind: str) -> Any:
    """A value, or the text of one, in a declared type.

    Args:
        value: anything.
        kind: a key of `TYPES`.

    Raises:
        ValueError: it is no value of this type.
    """
    if kind == "str":
        return f"{value}"
    if isinstance(value, str):
        value = _read(value.lower() if kind == "bool" else value)
    if type(value) in (int, float) and (kind == "float" or (kind == "int" and value % 1 == 0)):
        return TYPES[kind](value)
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise ValueError(f"{value!r} is no {kind}")
    return value


def _read(text: str) -> Any:
    """A value from its text, as JSON or as Python writes it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError, RecursionError, MemoryError) as fault:
        raise ValueError(f"{text!r} is no value") from fault


def _declared(cells: list[str]) -> dict[str, tuple[str, Any]]:
    """Type and own value of each parameter, from the first cell that declares any."""
    for source in cells:
        try:
            lines = [node for node in ast.parse(source).body if isinstance(node, ast.AnnAssign)]
        except SyntaxError:
            continue
        if lines:
            return {
                ast.unparse(line.target): (ast.unparse(line.annotation), ast.literal_eval(line.value))
                for line in lines
            }
    return {}
