"""Write CONTRIBUTING's list of modules from the first lines of their docstrings: `python -m ci.layout`."""

import ast
from pathlib import Path

from ci.appendix import LIBRARY, ROOMS

ROOT = LIBRARY.parent
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- written by python -m ci.layout -->\n```\n", "```\n<!-- until here -->\n"


def modules() -> str:
    """List every module of `galaxylib` and `ci`, one a line with what its docstring says."""
    parts = [_folder(LIBRARY / room, indent=2) for room in ROOMS]
    return _folder(LIBRARY) + "".join(parts) + _folder(ROOT / "ci")


def _folder(folder: Path, *, indent: int = 0) -> str:
    """The package's own line, and those of its modules two columns further in."""
    rows = [(f"{' ' * indent}{folder.name}/", folder / "__init__.py")]
    rows += [(f"{' ' * indent}  {path.name}", path) for path in sorted(folder.glob("[a-z]*.py"))]
    return "".join(f"{name:<24}{_first_line(path)}\n" for name, path in rows)


def _first_line(path: Path) -> str:
    """What a docstring says first; a room's begins with the title of its page in the API reference."""
    line = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
    if path.parent.name in ROOMS and path.stem == "__init__":
        line = line.partition(": ")[2]
    return (line[:1].upper() + line[1:]).removesuffix(".")


def written(text: str) -> str:
    """A text of CONTRIBUTING with its map made anew."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + modules() + END + rest.split(END)[1]


if __name__ == "__main__":
    CONTRIBUTING.write_text(written(CONTRIBUTING.read_text(encoding="utf-8")), encoding="utf-8")
