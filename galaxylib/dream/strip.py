"""What stands below the dream lab's choices: the galaxies of its file that excite what is chosen most."""

import html
import io
from collections.abc import Iterable
from pathlib import Path

import ipywidgets as w
import numpy as np
from PIL import Image, ImageDraw

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.dream.examples import Example, Examples, each_channel, top_galaxies
from galaxylib.dream.objectives import Objective, check_layers
from galaxylib.networks.checkpoint import Loaded

LOOK, BATCH = 200, 20
"""Galaxies that are looked at, evenly spread over the file, and how many at a time."""
TILE, OUTLINE = 96, (102, 204, 238)
"""Pixels a side of a galaxy on the strip, and the colour of the frame in it."""


class Strip(w.VBox):
    """Galaxies from left to right, the best first, each with a frame round what excites the objective.

    The same stands there in words, or that the objective is silent.

    Args:
        data: the Galaxy10 file; without one the strip stays empty.
    """

    def __init__(self, data: str | Path | None) -> None:
        self.data = data
        self.picture = w.Image(format="png", layout=w.Layout(display="none"))
        self.said = w.HTML()
        self._known: dict[tuple[int, Objective], Examples] = {}
        self._rows = np.empty(0, int)
        self._labels = np.empty(0, int)
        super().__init__([self.said, self.picture])

    def clear(self) -> None:
        """Show nothing."""
        self.said.value, self.picture.layout.display = "", "none"

    def show(
        self, loaded: Loaded, objective: Objective, *, name: str, others: Iterable[Objective] = ()
    ) -> None:
        """Look through the file, once for all channels of a layer, and show what excites the objective.

        Args:
            loaded: the network.
            objective: a channel, or another.
            name: of the objective, for the words.
            others: objectives that are likely to be asked for next: one look serves them all.

        Raises:
            GalaxyError: the network has no such layer or channel, or the file cannot be read.
        """
        self.clear()
        if self.data is None:
            return
        key = id(loaded.network), objective
        if key not in self._known:
            self._say(f"Looking for the galaxies that excite {name} most.")
            self._look(loaded, [objective, *others])
        found = self._known[key]
        if found.silent:
            self._say(found.said(name))
            return
        with Galaxy10(self.data) as file:
            pixels = file.read(self._rows[[one.index for one in found.best]])
        self.picture.value = png(np.concatenate([*map(_framed, pixels, found.best)], axis=1))
        self.picture.layout.display = ""
        rows = [self._rows[one.index] for one in found.best]
        names = "; ".join(f"row {row}, {CLASS_NAMES[self._labels[row]]}" for row in rows)
        self._say(f"Of {found.images:,} galaxies these excite {name} most, from the left: {names}.")

    def _look(self, loaded: Loaded, wanted: list[Objective]) -> None:
        network, preprocess = loaded.network, loaded.preprocess
        layers = check_layers(network, wanted)
        if [term.kind for term in wanted[0].terms] == ["channel"]:
            wanted += each_channel(network, layers, preprocess=preprocess)
        with Galaxy10(self.data) as file:
            self._labels = file.labels
            self._rows = np.unique(np.linspace(0, len(file) - 1, min(LOOK, len(file))).astype(int))
            batches = (file.read(rows) for rows in np.split(self._rows, range(BATCH, len(self._rows), BATCH)))
            found = top_galaxies(network, batches, wanted, preprocess=preprocess)
        self._known |= {(id(network), one.objective): one for one in found}

    def _say(self, text: str) -> None:
        self.said.value = f'<span role="status">{html.escape(text)}</span>'


def png(pixels: np.ndarray) -> bytes:
    """(H, W) or (H, W, 3) uint8 as a PNG file, quickly."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def _framed(galaxy: np.ndarray, one: Example) -> np.ndarray:
    picture = Image.fromarray(galaxy).resize((TILE, TILE), Image.Resampling.LANCZOS)
    top, left, bottom, right = (round(edge * TILE / galaxy.shape[0]) for edge in one.box)
    ImageDraw.Draw(picture).rectangle(
        (left, top, max(right - 1, left), max(bottom - 1, top)), outline=OUTLINE
    )
    return np.asarray(picture)
