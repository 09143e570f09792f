"""The figures of a run: which there are, which cell drew each, and a small print by which two runs compare.

A chapter hands a figure to its page by a name (`Report.figure`), which the executed notebook keeps beside
the picture. Of each picture a run's manifest keeps the SHA-256 of its pixels, which tells whether anything
changed, and its grey values at 16 x 16, which tell how much.
"""

import base64
import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from PIL import Image

SIDE = 16
PICTURE = "image/png"
"""The kind of output that a figure is; without a name it is no figure of the page's."""


def pictures(notebook: nbformat.NotebookNode) -> Iterator[tuple[str, bytes]]:
    """The figures of an executed chapter by the names that it gave them, as PNG."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            named = output.get("metadata", {}).get("scrapbook", {}).get("name")
            picture = output.get("data", {}).get(PICTURE)
            if named and picture:
                yield named, base64.b64decode(picture)


def print_of(picture: bytes) -> dict[str, Any]:
    """The print of a picture, as JSON has it.

    Args:
        picture: a file of an image.

    Returns:
        "pixels", their SHA-256; "size", width and height; "small", 16 x 16 grey values in base64.
    """
    with Image.open(io.BytesIO(picture)) as image:
        drawn = image.convert("RGBA")
    flat = Image.new("RGB", drawn.size, "white")
    flat.paste(drawn, mask=drawn.getchannel("A"))
    small = flat.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return {
        "pixels": hashlib.sha256(flat.tobytes()).hexdigest(),
        "size": list(flat.size),
        "small": base64.b64encode(small.tobytes()).decode(),
    }


def prints(results: Path) -> dict[str, dict[str, Any]]:
    """The print of every figure of a run, "01_data/examples" -> what `print_of` returns.

    Args:
        results: the run's folder, with the executed chapters in `notebooks/`.
    """
    return {
        f"{path.stem}/{name}": print_of(picture)
        for path in sorted(results.glob("notebooks/[0-9][0-9]_*.ipynb"))
        for name, picture in pictures(nbformat.read(path, as_version=4))
    }


def change(first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    """How far two figures lie apart: the mean difference of grey of their prints, from 0 to 1.

    Args:
        first: the print of one figure.
        second: that of the other; their sizes in pixels may differ.
    """
    grey = [np.frombuffer(base64.b64decode(one["small"]), np.uint8).astype(float) for one in (first, second)]
    return float(np.abs(grey[0] - grey[1]).mean() / 255)
