"""Execute one chapter with papermill, with parameters that are checked before anything runs.

python -m ci.execute book/03_training.ipynb --profile smoke -p epochs 3
"""

import argparse
import io
import json
import re
import reprlib
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from ci.parameters import check, declared, parse, profile_values, read_chapter, run_name
from ci.rerun import RECORD, describe_run
from galaxylib.errors import GalaxyError, status_of
from galaxylib.files import atomic, check_outputs, hold_lock, saving


def execute(chapter: Path, out: Path, values: Mapping[str, Any]) -> None:
    """Run a chapter in the present folder, the repository's root, and write the executed notebook.

    While it runs, and if it stops, the cells executed so far are in `<out's stem>.unfinished.ipynb`.

    Args:
        chapter: either half of the pair.
        out: where the executed notebook goes; it appears there only when all cells have run.
        values: parameters that differ from the chapter's own, already checked.

    Raises:
        GalaxyError: the chapter stopped; the sentence is its own where it said one.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    unfinished = _unfinished(out)
    relay = Relay(chapter.stem)
    run = describe_run()  # before the chapter: an edit during an hour's training is not what was run
    try:
        with saving(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            executed = papermill.execute_notebook(
                read_chapter(chapter),
                str(unfinished),
                parameters=dict(values),
                kernel_name="python3",
                progress_bar=False,
                stdout_file=relay,
                stderr_file=relay,
                extra_arguments=["--log-level=CRITICAL"],
            )
    except papermill.PapermillExecutionError as fault:
        raise GalaxyError(_sentence(chapter, unfinished, fault)) from fault
    except DeadKernelError as fault:
        raise GalaxyError(
            f"{chapter}: its Python process was ended from outside, most likely for lack of memory; "
            "free some, or use a smaller profile."
        ) from fault
    hide_injected(executed)
    executed.metadata["papermill"]["input_path"] = str(chapter)  # else the whole source once more
    executed.metadata[RECORD] = run
    with atomic(out) as partial:
        partial.write_text(nbformat.writes(executed), encoding="utf-8")
    unfinished.unlink()


class Relay(io.TextIOBase):
    """Hands what a chapter's cells print on to the terminal, line by line and under the chapter's name.

    Of a bar that is drawn over itself one state in ten seconds is enough: chapters run side by side.

    Args:
        name: of the chapter.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.rest = ""
        self.shown = time.monotonic()

    def write(self, text: str) -> int:
        """Take a piece of output; what does not end a line waits for its end."""
        *whole, self.rest = re.split(r"(?<=[\r\n])", self.rest + text)
        for line in whole:
            if line.strip() and (line.endswith("\n") or time.monotonic() - self.shown > 10):
                print(f"  {self.name}: {line.strip()}", file=sys.stderr, flush=True)
                self.shown = time.monotonic()
        return len(text)


def check_paths(chapter: Path, out: Path, values: Mapping[str, Any]) -> None:
    """Refuse to run a chapter whose notebook or results could not be written, or would overwrite its inputs.

    Args:
        chapter: Either half of the pair.
        out: Where the executed notebook goes.
        values: The parameters, already checked.

    Raises:
        GalaxyError: one sentence.
    """
    halves = (chapter.with_suffix(ending) for ending in (".py", ".ipynb"))
    given = (values.get(name) or None for name in ("data", "real_sample"))
    numbers = Path(values["outputs"], f"{chapter.stem}.json") if "outputs" in values else None
    check_outputs(out, _unfinished(out), numbers, inputs=[*halves, *given])


def _unfinished(out: Path) -> Path:
    return out.parent / f"{out.stem}.unfinished.ipynb"


def hide_injected(notebook: nbformat.NotebookNode) -> None:
    """Keep the cell that papermill added off the page: the parameters' own cell explains them better."""
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags and "remove-cell" not in tags:
            cell.metadata["tags"] = [*tags, "remove-cell"]


def _step(chapter: Path) -> str:
    """Say which chapter of how many this is; the last step of a book is its HTML."""
    chapters = sorted(path.stem for path in chapter.parent.glob("[0-9][0-9]_*.py"))
    rank = chapters.index(chapter.stem) + 1 if chapter.stem in chapters else 1
    return f"({rank}/{len(chapters) + 1}) {chapter.stem}"


def _sentence(chapter: Path, unfinished: Path, fault: Any) -> str:
    """Tell why a chapter stopped: its own sentence if it has one, else the cell and the traceback."""
    import galaxylib.errors

    if fault.ename in vars(galaxylib.errors):
        return f"{chapter}: {fault.evalue}"
    if "[Errno 28]" in fault.evalue:
        return f"{chapter}: no space is left on the disk; free some and run again."
    return f"{chapter} stopped in cell {fault.exec_count}, see {unfinished}.\n" + "\n".join(fault.traceback)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0, or 1 after one sentence."""
    parser = argparse.ArgumentParser(prog="python -m ci.execute", description=__doc__.splitlines()[0])
    parser.add_argument("chapter", type=Path, help="book/NN_name.ipynb, or its .py")
    parser.add_argument("--profile", default="default", help="values from ci/profiles.yml (%(default)s)")
    parser.add_argument(
        "-p",
        dest="given",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="one parameter; may be repeated, and wins over the profile",
    )
    parser.add_argument("--out", type=Path, help="the executed notebook (_build/by-hand/NN_name.ipynb)")
    parser.add_argument("--values", help="all parameters as JSON, instead of a profile's")
    options = parser.parse_args(arguments)
    return status_of(
        lambda: _run(options),
        say=lambda text: print(text, file=sys.stderr),
        interrupted=f"\nInterrupted in {options.chapter}; what was finished before is kept.",
    )


def _run(options: argparse.Namespace) -> None:
    chapter = options.chapter
    takes = declared(chapter)
    if options.values is not None:
        values = _read_values(options.values)
    else:
        values = profile_values(options.profile, chapter.stem, takes=takes)
        values |= {"profile": options.profile}
        values |= {name: parse(chapter, name, text, takes=takes) for name, text in options.given}
        run = run_name(options.profile, values.get("data", "simulated"))
        values.setdefault("outputs", f"_build/results/{run}")
    check(chapter, values, takes=takes)
    out = options.out or Path("_build/by-hand", f"{chapter.stem}.ipynb")
    check_paths(chapter, out, values)
    print(_step(chapter), file=sys.stderr, flush=True)
    began = time.monotonic()
    with hold_lock(out.with_name(f".{out.name}.lock")):
        execute(chapter, out, values)
    print(f"{_step(chapter)}: done in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _read_values(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise GalaxyError(f"--values is {reprlib.repr(text)}: give JSON such as '{{\"epochs\": 3}}'.")
    return values


if __name__ == "__main__":
    sys.exit(main())
