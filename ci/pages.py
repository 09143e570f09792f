"""Build the HTML of one run from its executed notebooks; any warning of Sphinx is an error."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ci.appendix import add_appendix
from ci.atlas import stage_atlas
from ci.crate import write_crate
from ci.diff import RELEASE
from ci.finish import CARD, SELDOM, finish
from ci.manifest import read
from ci.picture import draw_card
from galaxylib.errors import GalaxyError
from galaxylib.files import LIST, filling, saving, scratch

ROOT = Path(__file__).resolve().parents[1]
# Not `_static`: beside such a folder, Jupyter Book loads every script of all static paths on each page.
SERVED = "served"
RUNTIME = "onnxruntime-web"
# Fetched to test the pages, and no part of them.
CHECKER = "axe-core"
# Jupyter Book, looking for garbage seldom: it makes millions of objects that live on, and to search them at
# Python's usual pace takes a quarter of its time.
JUPYTER_BOOK = f"import gc; gc.set_threshold{SELDOM}; from jupyter_book.cli.main import main; main()"


def stage(results: Path, assets: Path, folder: Path, *, repository: str = "", release: Path = RELEASE) -> str:
    """Lay out what Sphinx reads: configuration, text, executed notebooks, and the files served with them.

    Args:
        results: the run's folder; its `notebooks/` holds the executed chapters.
        assets: what `ci.assets` fetched.
        folder: the stage, an empty folder.
        repository: address of the repository on the web, for launch buttons.
        release: folder with the results of the last release; it need not be there.

    Returns:
        the address of the repository that counts: as given, or the configuration's.

    Raises:
        GalaxyError: a notebook is missing, or the disk is full.
    """
    with saving(folder):
        (folder / "book").mkdir()
        for name in ("_config.yml", "_toc.yml"):
            shutil.copy(ROOT / name, folder)
        for file in [*(ROOT / "book").glob("*.md"), *(ROOT / "book").glob("*.bib")]:
            shutil.copy(file, folder / "book")
        shutil.copytree(ROOT / "book" / "images", folder / "book" / "images")
        shutil.copytree(assets, folder / SERVED, ignore=shutil.ignore_patterns(RUNTIME, CHECKER, LIST))
        shutil.copytree(ROOT / "book" / "style", folder / SERVED, dirs_exist_ok=True)
        draw_card(folder / SERVED / CARD)
        # The widget manager looks for its icons beside the page.
        icons = folder / "extra" / "book" / "@jupyter-widgets" / "html-manager" / "dist"
        shutil.copytree(assets / "html-manager" / "dist", icons, ignore=shutil.ignore_patterns("*.js"))
        # The dreams at full size, one click from their figure.
        if (results / "dreams").is_dir():
            dreams = folder / "extra" / "dreams"
            shutil.copytree(results / "dreams", dreams, ignore=shutil.ignore_patterns(LIST))
        stage_lab(results / "lab", assets / RUNTIME, folder)
        stage_atlas(folder)
        for chapter in sorted((ROOT / "book").glob("[0-9][0-9]_*.py")):
            executed = results / "notebooks" / f"{chapter.stem}.ipynb"
            if not executed.is_file():
                raise GalaxyError(f"{chapter.stem} has not been executed; run `make book`.")
            shutil.copy(executed, folder / "book")
        return add_appendix(results, folder, repository=repository, release=release)


def stage_lab(made: Path, runtime: Path, folder: Path) -> None:
    """Lay out the dream lab: all that it loads into `extra/lab`, the HTML that pages include beside them.

    Args:
        made: what `ci.lab` left.
        runtime: the package onnxruntime-web, as `ci.assets` fetched it.
        folder: the stage.
    """
    lab = folder / "extra" / "lab"
    shutil.copytree(made, lab, ignore=shutil.ignore_patterns("*.html", LIST))
    for piece in made.glob("*.html"):
        shutil.copy(piece, folder / "book" / f"lab_{piece.name}")
    for file in [*(ROOT / "web").glob("*.js"), *(ROOT / "web").glob("*.css")]:
        shutil.copy(file, lab)
    shutil.copytree(runtime / "dist", lab / "ort")
    shutil.copy(runtime / "README.md", lab / "ort")


def build(folder: Path, html: Path, *, last: Callable[[Path], None] = lambda content: None) -> None:
    """Turn a stage into HTML.

    Args:
        folder: the stage.
        html: the folder of the pages; they appear there only when they are whole.
        last: is called with the finished pages before they take their place.

    Raises:
        GalaxyError: Sphinx warned of something, named in the message, or the disk is full.
    """
    jupyter_book = [sys.executable, "-c", JUPYTER_BOOK]
    done = subprocess.run(
        [*jupyter_book, "build", ".", "-n", "-W", "--keep-going", "--path-output", "out"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},  # for the extensions in `ci`
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    if done.returncode:
        if "No space left on device" in output:
            raise GalaxyError(f"No space is left on the disk that holds {folder}; free some and run again.")
        said = [line for line in output.splitlines() if re.search(r"WARNING|ERROR|Error", line)]
        raise GalaxyError("The pages were not built:\n" + "\n".join(said or output.splitlines()[-30:]))
    with filling(html, mark="book/intro.html") as content:
        shutil.copytree(folder / "out" / "_build" / "html", content, dirs_exist_ok=True)
        finish(content)
        last(content)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0, or 1 after one sentence."""
    parser = argparse.ArgumentParser(prog="python -m ci.pages", description=__doc__)
    parser.add_argument("results", type=Path, help="the run's folder, _build/results/default")
    parser.add_argument("--assets", type=Path, default=Path("_build/assets"))
    parser.add_argument("--repository", default="", help="its address on the web, for launch buttons")
    parser.add_argument(
        "--against", type=Path, default=RELEASE, help="results to compare with on the page (%(default)s)"
    )
    options = parser.parse_args(arguments)
    steps = len(list((ROOT / "book").glob("[0-9][0-9]_*.py"))) + 1
    print(f"({steps}/{steps}) HTML", file=sys.stderr, flush=True)
    try:
        with scratch(options.results) as folder:
            repository = stage(
                options.results,
                options.assets,
                folder,
                repository=options.repository,
                release=options.against,
            )
            crate = partial(
                write_crate,
                results=options.results,
                manifest=read(options.results),
                repository=repository,
            )
            build(folder, options.results / "html", last=crate)
    except GalaxyError as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
