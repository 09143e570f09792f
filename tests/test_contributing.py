"""What CONTRIBUTING.md names is there; checks before a commit are those of CI; Binder starts in the root."""

import os
import re
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from ci.layout import written

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LAYOUT = TEXT[TEXT.index("## The layout") : TEXT.index("## The way of the data")]


def layout_paths() -> list[str]:
    """Paths that the pictures name: the names that begin a line, below their folder where indented."""
    named = re.compile(r"\w[\w-]*(\.\w+|/)|LICENSE[\w-]*|\w+file").fullmatch
    paths, folders = [], [""]
    for line in "".join(LAYOUT.split("```")[1::2]).splitlines():
        names = [*takewhile(named, line.split())] if not line.startswith("README") else []
        if line.startswith("README"):  # names and their remarks
            paths += filter(named, line.split())
        level = (len(line) - len(line.lstrip())) // 2
        paths += [folders[level] + name for name in names]
        if names and names[0].endswith("/"):
            folders[level + 1 :] = [folders[level] + names[0]]
    return paths


def test_layout_names_what_is_there() -> None:
    paths = layout_paths()
    assert len(paths) > 40
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_layout_is_what_the_docstrings_say() -> None:
    assert written(TEXT) == TEXT, "CONTRIBUTING.md is behind the modules' docstrings: run `make sync`"
    code = {
        path.relative_to(ROOT) for room in ("galaxylib", "ci") for path in (ROOT / room).rglob("[a-z]*.py")
    }
    assert {*map(str, code)} <= {*layout_paths()}


def test_layout_leaves_nothing_out() -> None:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in done.stdout.split() if not name.startswith(".")}
    assert [name for name in sorted(top) if name not in LAYOUT] == []


def test_steps_name_tests_and_tables_that_exist() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", TEXT):
        assert f"def {name}(" in code, name
    for name in ("COUNTS", "PRINTED_LAYERS"):
        assert re.search(rf"^{name}\b", code, re.MULTILINE), name
    for path in re.findall(r"`((?:ci|galaxylib|tests|book)/[\w/]+\.\w+)`", TEXT):
        assert (ROOT / path).is_file() or "NN_" in path, path
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {*re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)}
    assert {*re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE)} <= targets
    named = re.search(r"the reader's commands: (.+)", LAYOUT)[1].split(", ")
    assert {*named} <= targets


def test_precommit_checks_what_ci_checks() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0][
        "hooks"
    ]
    entries = {hook["entry"].removeprefix(".venv/bin/") for hook in hooks}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = dict(re.findall(r"^([\w/]+):.*\n((?:\t.+\n)+)", makefile, re.MULTILINE))
    lint = {
        line.strip().removeprefix("@$(VENV)/bin/").removesuffix(" .") for line in recipes["lint"].splitlines()
    }
    assert lint <= entries
    assert "python -m ci.pairs book" in entries
    assert "ci.pairs book" in recipes["_build/pairs"]
    steps = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8"))["jobs"][
        "test"
    ]
    commands = [step["run"] for step in steps["steps"] if "run" in step]
    assert {"make lint", ".ci/run"} <= {*commands}


def test_binder_kernels_start_in_the_root(tmp_path: Path) -> None:
    environment = os.environ | {"IPYTHONDIR": str(tmp_path)}
    assert os.access(ROOT / "postBuild", os.X_OK)
    subprocess.run([ROOT / "postBuild"], cwd=tmp_path, env=environment, check=True)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "IPython",
            "--no-banner",
            "--colors=NoColor",
            "-c",
            "import os; print(os.getcwd())",
        ],
        cwd=ROOT / "book",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().splitlines()[-1] == str(ROOT)
