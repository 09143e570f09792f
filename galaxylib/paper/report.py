"""What a chapter leaves behind: its numbers in one JSON file, and the same numbers for its text.

A chapter never types a result. It hands each one to a `Report`; the page quotes it with MyST's glue roles and
the later chapters read it from the file.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from galaxylib.files import check_outputs, write_json

Scalar = int | float | str | bool | None


def plain(value: Any) -> Any:
    """`value` with NumPy's types turned into JSON's; a number that is not finite becomes null."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


class Report:
    """The results of one chapter.

    Args:
        outputs: the folder in which the chapters of one run meet.
        chapter: the chapter's name, such as "03_training"; its file is `<outputs>/<chapter>.json`.

    Raises:
        GalaxyError: the file cannot be written there.
    """

    def __init__(self, outputs: str | Path, chapter: str) -> None:
        self.path = Path(outputs) / f"{chapter}.json"
        check_outputs(self.path)
        self.content: dict[str, Any] = {}

    def number(self, name: str, value: Scalar) -> None:
        """Keep a number (or a short text) and let the page quote it by its name, with glue."""
        value = plain(value)
        self.data(name, value)
        _glue(name, value, display=False)

    def data(self, name: str, value: Any) -> None:
        """Keep lists, dictionaries and arrays in the JSON file only.

        Raises:
            KeyError: the chapter already has a result of that name.
        """
        if name in self.content:
            raise KeyError(f"{self.path.stem} reports {name!r} twice: give the second result its own name.")
        self.content[name] = plain(value)

    def figure(self, name: str, figure: Figure) -> None:
        """Let the page place a figure with a caption and an alternative text (`glue:figure`)."""
        _glue(name, figure, display=True)
        plt.close(figure)

    def table(self, name: str, table: pd.DataFrame) -> None:
        """Let the page place a table, no cell cut short, and keep its rows."""
        self.data(name, table.reset_index().to_dict(orient="records"))
        with pd.option_context("display.max_colwidth", None, "display.max_rows", None):
            _glue(name, table, display=True)

    def save(self) -> None:
        """Write the chapter's JSON, whole or not at all.

        Raises:
            GalaxyError: the disk is full.
        """
        write_json(self.path, self.content)


def _glue(name: str, value: Any, *, display: bool) -> None:
    """Leave what a value looks like in the cell's output, where the page finds it by its name.

    As `myst_nb.glue` does; but that imports nbformat, which takes longer than Matplotlib and pandas do.
    """
    from IPython.core.formatters import format_display_data
    from IPython.display import display as show

    prefix = "" if display else "application/papermill.record/"  # of no kind that a page shows in place
    kinds, metadata = format_display_data(value)
    metadata["scrapbook"] = {"name": name, "mime_prefix": prefix}
    show({prefix + kind: content for kind, content in kinds.items()}, raw=True, metadata=metadata)
