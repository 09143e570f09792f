"""Which files of `galaxylib` a chapter uses, read from the source without importing anything.

Snakemake re-runs a chapter when one of its inputs changed. Its inputs are the modules that the chapter
imports and those that these import, inside functions too; a room that it does not import can change without
it. Libraries that read import graphs (grimp) lack the scripts outside the package, such as a chapter, and the
names that `galaxylib` imports when they are first used.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def used_files(chapter: Path, *, package: str = "galaxylib") -> list[Path]:
    """List the files of the package that a chapter reaches by its imports.

    Args:
        chapter: the chapter's `.py`; its grandparent is the repository's root.
        package: name of the package, a folder in the repository's root.

    Returns:
        paths relative to the root, sorted; the `__init__.py` of each package on the way is among them.
    """
    root = chapter.resolve().parent.parent
    files: set[Path] = set()
    waiting = [chapter.resolve()]
    while waiting:
        for file in _imported(waiting.pop(), root, package):
            if file not in files:
                files.add(file)
                waiting.append(file)
    return sorted(file.relative_to(root) for file in files)


@cache
def _imported(source: Path, root: Path, package: str) -> set[Path]:
    """The files that one file's imports run."""
    modules = {module for node in _nodes(source) for module in _modules(node, root, package)}
    parents = {module.rsplit(".", level)[0] for module in modules for level in range(module.count(".") + 1)}
    return {file for module in modules | parents if (file := _file(root, module))}


def _nodes(source: Path) -> Iterator[ast.AST]:
    """All of a file's syntax but what stands under `if TYPE_CHECKING`, which never runs."""
    waiting: list[ast.AST] = [ast.parse(source.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            waiting += ast.iter_child_nodes(node)


def _modules(node: ast.AST, root: Path, package: str) -> Iterator[str]:
    """The package's modules that an import names; what is no import names none."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        names = [name if _file(root, name) else _home(root, name, package) for name in names]
    else:
        return
    yield from (name for name in names if name.split(".")[0] == package)


def _home(root: Path, name: str, package: str) -> str:
    """The module in which a name lives; the package's own names live where its `__init__` says."""
    module, _, attribute = name.rpartition(".")
    if module == package:
        tree = ast.parse(_file(root, package).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and attribute in {alias.name for alias in node.names}:
                return str(node.module)
    return module


def _file(root: Path, module: str) -> Path | None:
    stem = root.joinpath(*module.split("."))
    return next((path for path in (stem / "__init__.py", stem.with_suffix(".py")) if path.is_file()), None)
