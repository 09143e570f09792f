"""The galaxies that excite each channel most, for the dream lab: a sheet of pictures, a list a network."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from galaxylib.data.galaxy10 import CLASS_NAMES, SHAPE
from galaxylib.dream import concept, logit
from galaxylib.dream.examples import each_channel, top_galaxies
from galaxylib.networks.checkpoint import Loaded
from galaxylib.networks.concepts import Concept
from galaxylib.paper.dream_panels import DREAMT
from galaxylib.simulate import draw

SIDE, COLUMNS = 96, 16
"""Pixels a side of a galaxy on the sheet, and galaxies in a row of it."""
LOGITS = "logits"
"""What the lab calls the output, whose channels are the classes."""


def drawn(count: int, seed: int) -> np.ndarray:
    """As many galaxies (count, 256, 256, 3) uint8: one of every class, and so on from the first class.

    None of them is among the galaxies that the lab offers to dream on.
    """
    turns = (divmod(number, len(CLASS_NAMES)) for number in range(count))
    return np.stack(
        [draw(label, seed=np.random.SeedSequence((seed, label, turn + 1)))[0] for turn, label in turns]
    )


def save_sheet(images: np.ndarray, path: Path) -> dict[str, int]:
    """All galaxies in one picture, in rows from left to right; what the page must know of it."""
    rows = -(-len(images) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIDE, rows * SIDE))
    for number, image in enumerate(images):
        small = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        sheet.paste(small, (number % COLUMNS * SIDE, number // COLUMNS * SIDE))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=80)
    return {"columns": COLUMNS, "rows": rows}


def listed(loaded: Loaded, images: np.ndarray, *, batch: int = 20) -> dict[str, Any]:
    """What the page shows of a network, for each of its stages, and for its classes as the stage `LOGITS`.

    Returns:
        `images`, their number, and `stages`: by name a dictionary with `best`, for each channel the number of
        a galaxy and the row and column of its strongest response, of the nine best one after the other
        (nothing for a silent channel, and -1 for the places of a class), and `spans`, by the number of a row
        or column from where to where a unit there sees, in hundredths of the image. `concepts` has the same
        nine for each of the network's concepts, and for less of it, under its name with a minus.
    """
    network, preprocess = loaded.network, loaded.preprocess
    wanted = each_channel(network, DREAMT, preprocess=preprocess)
    wanted += [logit(number) for number in range(len(loaded.class_names))]
    along = {one.name: concept(one.name, concepts=loaded.concepts) for one in concepts_of(loaded)}
    along |= {f"-{name}": -objective for name, objective in along.items()}
    names = {objective: name for name, objective in along.items()}
    batches = (images[first : first + batch] for first in range(0, len(images), batch))
    stages: dict[str, Any] = {name: {"best": [], "spans": {}} for name in (*DREAMT, LOGITS)}
    concepts: dict[str, list[int]] = {}
    for one in top_galaxies(network, batches, [*wanted, *along.values()], preprocess=preprocess):
        stage = stages[one.objective.layers[0] or LOGITS]
        best: list[int] = []
        if one.objective in names:
            concepts[names[one.objective]] = best
        else:
            stage["best"].append(best)
        for example in one.best:
            best += [example.index, *(example.place or (-1, -1))]
            if example.place:
                edges = [round(100 * edge / SHAPE[0]) for edge in example.box]
                stage["spans"] |= dict(
                    zip(example.place, zip(edges[:2], edges[2:], strict=True), strict=True)
                )
    return {"images": len(images), "stages": stages, "concepts": concepts}


def concepts_of(loaded: Loaded) -> list[Concept]:
    """The concepts of a network, each at the stage that reads it best; none where it has none."""
    return loaded.concepts.best() if loaded.concepts.there else []


def write(path: Path, content: dict[str, Any]) -> None:
    """As JSON without spaces."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
