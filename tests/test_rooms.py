"""The order of the library's rooms: each imports only those before it, and none knows the book."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "galaxylib"
BASE = {"", "errors", "files", "provenance"}
JUDGED = BASE | {"data", "networks", "training", "evaluation"}
MAY_IMPORT = {
    "__init__": {
        "errors",
        "data",
        "networks",
        "catalogue",
    },  # for type checkers only: it imports on first use
    "__main__": {"cli"},
    "errors": set(),
    "files": {"errors"},
    "provenance": {"", "errors", "files"},
    "data": BASE,
    "networks": BASE | {"data"},
    "training": BASE | {"data", "networks"},
    "evaluation": BASE | {"data", "networks", "training"},
    "simulate": BASE | {"data"},
    "votes": JUDGED,
    "catalogue": JUDGED | {"votes"},
    "dream": JUDGED,
    "web": JUDGED,
    "paper": JUDGED | {"simulate", "votes", "catalogue", "dream", "web"},
    "cli": JUDGED | {"simulate", "votes", "catalogue", "dream", "web"},
}
"""What a room may import beside itself; "" is the package, for its version."""


def imports(source: Path) -> set[str]:
    """The rooms of `galaxylib` that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {f"{name}.".split(".")[1] for name in names if name.split(".")[0] == "galaxylib"}
    return found


def room(source: Path) -> str:
    return source.relative_to(LIBRARY).parts[0].removesuffix(".py")


MODULES = sorted(LIBRARY.rglob("*.py"))


def test_every_room_is_in_the_order_and_few_modules_lie_beside_the_rooms() -> None:
    assert {room(module) for module in MODULES} == {*MAY_IMPORT}
    assert len([*LIBRARY.glob("*.py")]) <= 6


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_imports_keep_the_order(module: Path) -> None:
    own = room(module)
    assert imports(module) <= MAY_IMPORT[own] | {own}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_only_paper_knows_the_book(module: Path) -> None:
    if room(module) != "paper":
        assert not re.search(r"\b\d\d_[a-z]\w+|_build\b|\bbook/", module.read_text(encoding="utf-8"))
