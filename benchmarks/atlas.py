"""The atlas: galaxies laid out by the activations of a network's LAM, and a dream for each cell of the plane.

    galaxylib simulate --n 10000 --seed 4001 --balance uniform --out galaxies.h5
    python -m benchmarks.atlas --data galaxies.h5

The galaxies took no part in any training. Every cell's dream begins at the same picture, the mean of all
galaxies, and climbs along the mean activation of the cell's galaxies less that of all. What comes out becomes
part of the book's pages: `atlas.json`, a sheet of dreams, and a sheet of galaxies for each row of cells. What
takes long is kept in a scratch folder and not computed again.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageColor
from torch import Tensor

from benchmarks.probes import Scratch, rounded
from galaxylib.data.galaxy10 import CLASS_NAMES, SHAPE, Galaxy10
from galaxylib.data.in_memory import InMemory
from galaxylib.dream import Settings, direction, dream_batch
from galaxylib.dream.images import fit
from galaxylib.evaluation.judge import look_at_rows
from galaxylib.files import atomic
from galaxylib.networks.checkpoint import Loaded, load
from galaxylib.networks.concepts import GRAIN
from galaxylib.paper.atlas import AtlasSettings, Cell, cells, fidelity, found_again, lay_out, unit
from galaxylib.paper.figures import CLASS_COLOURS
from galaxylib.provenance import provenance

DREAMT = Settings(
    sizes=(128,),
    steps=(80,),
    rates=(0.05,),
    jitter=(8,),
    levels=1,
    sharpen=0.0,
    parametrisation="fourier",
)
BATCH = 16
FRAME = 5
"""Pixels round a dream in the colour of its cell's commonest class."""
THUMBNAIL, ACROSS = 80, 6
"""Pixels a side of a galaxy that is shown, and how many stand side by side."""
FINEST = 10_000
"""Coordinates are written in whole parts of this."""


def kept(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """An array that is computed once and then read from its file."""
    if not path.exists():
        with atomic(path) as partial, partial.open("wb") as file:
            np.save(file, make())
    return np.load(path)


def mean_image(data: Galaxy10) -> Tensor:
    """The mean of all galaxies, (1, 3, 256, 256) in [0, 1]."""
    total = np.zeros(SHAPE)
    for rows in np.array_split(np.arange(len(data)), -(-len(data) // 256)):
        total += data.read(rows).sum(axis=0, dtype=np.float64)
    return torch.from_numpy(total / len(data) / 255).permute(2, 0, 1).float()[None]


def dreams(loaded: Loaded, found: list[Cell], start: Tensor, *, stage: str, seed: int) -> np.ndarray:
    """A dream of each cell from the same picture: (M, 3, 128, 128) in [0, 1]."""
    wanted = [direction(stage, one.vector.tolist()) for one in found]
    how = {"settings": DREAMT, "preprocess": loaded.preprocess, "seed": seed}
    made = []
    for first in range(0, len(found), BATCH):
        made += dream_batch(loaded.network, start, wanted[first : first + BATCH], **how)
        print(f"{len(made)} of {len(found)} dreams", flush=True)
    return torch.stack([one.image for one in made]).numpy()


def looked_at(loaded: Loaded, images: Tensor, stage: str) -> tuple[np.ndarray, np.ndarray]:
    """What a network says of images in [0, 1], (M, classes), and what a stage gives on average, (M, C)."""
    stored = fit(images, *SHAPE[:2]).permute(0, 2, 3, 1).mul(255).round().byte().numpy()
    data = InMemory(stored, np.zeros(len(stored), np.int64), simulated=True)
    looks = look_at_rows(
        loaded.network, data, np.arange(len(data)), preprocess=loaded.preprocess, stages=[stage]
    )
    # The judge gives the mean and the deviation of each channel.
    activation = looks.stages[stage]
    return looks.answers, activation[:, : activation.shape[1] // 2]


def dream_sheet(pictures: np.ndarray, found: list[Cell], commonest: list[int], side: int) -> Image.Image:
    """Dreams (M, S, S, 3) uint8 at their places, each framed in a class's colour; empty cells are clear."""
    pitch = pictures.shape[1] + 2 * FRAME
    sheet = Image.new("RGBA", (side * pitch, side * pitch))
    for picture, cell, label in zip(pictures, found, commonest, strict=True):
        colour = ImageColor.getrgb(CLASS_COLOURS[CLASS_NAMES[label]])
        framed = np.full((pitch, pitch, 3), colour, np.uint8)
        framed[FRAME:-FRAME, FRAME:-FRAME] = picture
        sheet.paste(Image.fromarray(framed), (cell.column * pitch, cell.row * pitch))
    return sheet


def galaxy_sheet(data: Galaxy10, row: list[Cell], settings: AtlasSettings) -> Image.Image:
    """The galaxies shown of each cell in a row of cells: a block a column, `ACROSS` in a line of a block."""
    down = -(-settings.examples // ACROSS)
    sheet = Image.new("RGB", (settings.side * ACROSS * THUMBNAIL, down * THUMBNAIL))
    for cell in row:
        for number, image in enumerate(data.read(cell.examples)):
            small = Image.fromarray(image).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
            line, place = divmod(number, ACROSS)
            sheet.paste(small, ((cell.column * ACROSS + place) * THUMBNAIL, line * THUMBNAIL))
    return sheet


def described(cell: Cell, labels: np.ndarray) -> dict[str, Any]:
    """A cell as JSON has it; its direction is of length 1, in whole multiples of `GRAIN`."""
    return {
        "row": cell.row,
        "column": cell.column,
        "classes": np.bincount(labels[cell.members], minlength=len(CLASS_NAMES)).tolist(),
        "examples": cell.examples.tolist(),
        "vector": np.rint(unit(cell.vector[None])[0] / GRAIN).astype(int).tolist(),
        "members": cell.members.tolist(),
    }


def make(loaded: Loaded, name: str, scratch: Scratch, folder: Path, settings: AtlasSettings) -> None:
    """Make the whole atlas in a folder."""
    data = scratch.drawn
    features = scratch.features(loaded, data)[settings.stage]
    key = f"atlas-{loaded.meta['sha256'][:12]}-{data.fingerprint}"
    points = kept(scratch.folder / f"{key}-points.npy", lambda: lay_out(features, settings))
    labels = np.asarray(data.labels)
    found = cells(features, points, settings)
    start = kept(scratch.folder / f"{data.fingerprint}-mean.npy", lambda: mean_image(data).numpy())
    how = {"stage": settings.stage, "seed": settings.seed}
    made = kept(
        scratch.folder / f"{key}-dreams.npy",
        lambda: dreams(loaded, found, torch.from_numpy(start), **how),
    )
    pictures = torch.from_numpy(made)
    answers, dreamed = looked_at(loaded, pictures, settings.stage)
    told = [described(cell, labels) for cell in found]
    commonest = [int(np.argmax(one["classes"])) for one in told]
    vectors = np.stack([cell.vector for cell in found])
    again = found_again(vectors, dreamed - features.mean(axis=0))
    again["named"] = float((answers.argmax(axis=1) == commonest).mean())
    head = {
        "format": 1,
        "network": {"name": name, "sha256": loaded.meta["sha256"]},
        "data": {"fingerprint": data.fingerprint, "galaxies": len(data), **data.attributes},
        "settings": asdict(settings) | {"dream": DREAMT.to_dict()},
        "sheets": {
            "dreams": {"tile": pictures.shape[-1], "frame": FRAME},
            "galaxies": {"tile": THUMBNAIL, "across": ACROSS, "down": -(-settings.examples // ACROSS)},
        },
        "fidelity": rounded(fidelity(features, points, labels, settings)),
        "dreams": rounded(again),
        "provenance": provenance(),
        "labels": labels.tolist(),
        "points": np.rint(points * FINEST).astype(int).tolist(),
    }
    as_bytes = pictures.permute(0, 2, 3, 1).mul(255).round().byte().numpy()
    dream_sheet(as_bytes, found, commonest, settings.side).save(folder / "dreams.webp", quality=80)
    for row in range(settings.side):
        sheet = galaxy_sheet(data, [cell for cell in found if cell.row == row], settings)
        sheet.save(folder / f"galaxies-{row}.webp", quality=70)
    with atomic(folder / "atlas.json") as partial:
        partial.write_text(written(head, told), encoding="utf-8")
    print(json.dumps({key: head[key] for key in ("fidelity", "dreams")}, indent=1), flush=True)


def written(head: dict[str, Any], told: list[dict[str, Any]]) -> str:
    """The atlas as JSON, a line for each fact and for each cell."""
    facts = [f'"{key}": {json.dumps(value, separators=(",", ":"))}' for key, value in head.items()]
    rows = ",\n".join(json.dumps(one, separators=(",", ":")) for one in told)
    return "{" + ",\n".join(facts) + f',\n"cells": [\n{rows}\n]}}\n'


def main() -> None:
    """Make the atlas."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="drawn galaxies that nothing was trained on")
    parser.add_argument("--network", default="real-small", help="the one that dreams in the lab")
    parser.add_argument("--scratch", type=Path, default=Path("_build/probes"), help="where features are kept")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/atlas"))
    given = parser.parse_args()
    for place in (given.scratch, given.out):
        place.mkdir(parents=True, exist_ok=True)
    with Galaxy10(given.data) as data:
        scratch = Scratch(folder=given.scratch, drawn=data)
        make(load(given.network), given.network, scratch, given.out, AtlasSettings())


if __name__ == "__main__":
    main()
