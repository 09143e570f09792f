"""Which files of `galaxylib` a chapter uses, read from the source without importing anything.

Snakemake re-runs a chapter when one of its inputs changed, so the list has to hold every module that the
chapter's results can depend on, those imported inside functions too, and no other: a change in the dreaming
code must not train a network again. The search therefore follows *names*: of a module from which a chapter
imports one function, only the imports that this function can reach count.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

EVERYTHING = "*"
"""Stands for "any name of the module", as in `import galaxylib.training.loop`."""


@dataclass(frozen=True)
class Use:
    """One module of the package and the name that somebody uses of it."""

    module: str
    name: str


@dataclass
class _Module:
    """What one file defines: top-level definitions by name, imports by the name they bind, the rest."""

    path: Path
    definitions: dict[str, list[ast.AST]] = field(default_factory=dict)
    bound: dict[str, list[Use]] = field(default_factory=dict)
    always: list[ast.AST] = field(default_factory=list)
    side_effects: list[Use] = field(default_factory=list)


def used_files(chapter: Path, *, package: str = "galaxylib") -> list[Path]:
    """List the files of the package that a chapter can reach, relative to the repository's root.

    Args:
        chapter: The chapter's `.py`; its grandparent is the repository's root.
        package: Name of the package, a folder in the repository's root.

    Returns:
        Paths relative to the root, sorted; the `__init__.py` of each package on the way is among them.
    """
    root = chapter.resolve().parent.parent
    tree = ast.parse(chapter.read_text(encoding="utf-8"))
    waiting = [use for node in ast.walk(tree) for use in _uses(node, "book", False, root, package)]
    seen: set[Use] = set()
    files: set[Path] = set()
    while waiting:
        use = waiting.pop()
        if use in seen:
            continue
        seen.add(use)
        module = _read(root, package, use.module)
        if module is None:
            continue
        files.add(module.path)
        # Importing a.b.c runs a/__init__.py and a/b/__init__.py; their re-exports alone do not count.
        parents = use.module.split(".")[:-1]
        waiting += [Use(".".join(parents[: i + 1]), "") for i in range(len(parents))]
        waiting += _reached(module, use, root, package)
    return sorted(path.relative_to(root) for path in files)


def _reached(module: _Module, use: Use, root: Path, package: str) -> Iterator[Use]:
    """Yield what the named part of a module needs from others, itself included."""
    yield from module.side_effects
    names = [*module.definitions, *module.bound] if use.name == EVERYTHING else [use.name]
    bodies: list[ast.AST] = list(module.always)
    done: set[str] = set()
    while names or bodies:
        while bodies:
            body = bodies.pop()
            for node in ast.walk(body):
                if isinstance(node, ast.Name):
                    names.append(node.id)
                yield from _uses(node, use.module, module.path.name == "__init__.py", root, package)
        if names:
            name = names.pop()
            if name not in done:
                done.add(name)
                bodies += module.definitions.get(name, [])
                yield from module.bound.get(name, [])


@cache
def _read(root: Path, package: str, name: str) -> _Module | None:
    path = _file(root, name)
    if path is None:
        return None
    module = _Module(path)
    is_package = path.name == "__init__.py"
    body = ast.parse(path.read_text(encoding="utf-8")).body
    mentioned = {node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name)}
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                uses = list(_uses_of(node, alias, name, is_package, root, package))
                bound = alias.asname or alias.name.split(".")[0]
                module.bound.setdefault(bound, []).extend(uses)
                if bound not in mentioned and not is_package:
                    module.side_effects += uses  # imported for what the import does (a registry, say)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            module.definitions.setdefault(node.name, []).append(node)
            if any(not _harmless(decorator) for decorator in node.decorator_list):
                module.always.append(node)  # a decorator may put it into a registry
        elif isinstance(node, ast.Assign | ast.AnnAssign) and _assigned(node):
            for target in _assigned(node):
                module.definitions.setdefault(target, []).append(node)
            for key, use in _lazy_exports(node, root, package):
                module.bound.setdefault(key, []).append(use)
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            module.always.append(node)
    return module


def _uses(node: ast.AST, here: str, is_package: bool, root: Path, package: str) -> Iterator[Use]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield from _uses_of(node, alias, here, is_package, root, package)


def _uses_of(
    node: ast.Import | ast.ImportFrom, alias: ast.alias, here: str, is_package: bool, root: Path, package: str
) -> Iterator[Use]:
    if isinstance(node, ast.Import):
        target, name = alias.name, EVERYTHING
    else:
        origin = node.module or ""
        if node.level:
            above = here.split(".") if is_package else here.split(".")[:-1]
            above = above[: len(above) - (node.level - 1)]
            origin = ".".join([*above, *([origin] if origin else [])])
        if _file(root, f"{origin}.{alias.name}"):
            target, name = f"{origin}.{alias.name}", EVERYTHING
        else:
            target, name = origin, alias.name
    if target.split(".")[0] == package:
        yield Use(target, name)


def _lazy_exports(node: ast.Assign | ast.AnnAssign, root: Path, package: str) -> Iterator[tuple[str, Use]]:
    """Read `{"DMAGNet": "galaxylib.networks.dmagnet"}`, the table behind a module's `__getattr__`."""
    if isinstance(node.value, ast.Dict):
        for key, value in zip(node.value.keys, node.value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(value, ast.Constant):
                target = f"{value.value}"
                if not target.startswith(f"{package}."):
                    target = f"{package}.{target.lstrip('.')}"
                if target.replace(".", "").replace("_", "").isalnum() and _file(root, target):
                    yield f"{key.value}", Use(target, f"{key.value}")


def _assigned(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def _harmless(decorator: ast.expr) -> bool:
    call = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(call).split(".")[-1] in {
        "dataclass",
        "cache",
        "lru_cache",
        "contextmanager",
        "no_grad",
    }


def _file(root: Path, name: str) -> Path | None:
    stem = root.joinpath(*name.split("."))
    for path in (stem / "__init__.py", stem.with_suffix(".py")):
        if path.is_file():
            return path
    return None
