"""Dreams along the concepts of a network, dose by dose, judged without it.

    galaxylib simulate --n 2000 --seed 2001 --balance uniform --out galaxies.h5
    python -m benchmarks.concept_dreams --data galaxies.h5

For each concept of the network that a measure of the picture can show, some drawn galaxies that have the
property are dreamed up and down it, along a random direction of the same stage, and along the same direction
in the same network with random weights. What changed is measured in the picture, and read by another network.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.dream.measures import random_twin
from galaxylib.dream.objectives import direction
from galaxylib.dream.settings import Settings
from galaxylib.errors import GalaxyError
from galaxylib.files import write_json
from galaxylib.networks.checkpoint import Loaded, load
from galaxylib.networks.concepts import Concept
from galaxylib.paper.concept_dreams import SHOWN_BY, SPIRALS, dosed, judged, random_direction, responses
from galaxylib.provenance import provenance

DOSES = (-20, -10, 0, 10, 20)


def galaxies_with(data: Galaxy10, name: str, *, count: int, seed: int) -> Tensor:
    """Drawn galaxies that have a property: (count, 3, 256, 256) in [0, 1]; spirals for a bar or arms."""
    known = data.truth[name].notna().to_numpy().copy()
    if name.startswith(("bar", "arm")):
        known &= np.isin(data.labels, SPIRALS)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(known))[:count]
    return torch.from_numpy(data.read(np.sort(rows))).permute(0, 3, 1, 2).float() / 255


def concept_dreamed(
    concept: Concept, dreamer: Loaded, twin: nn.Module, reader: Loaded, images: Tensor, settings: Settings
) -> dict[str, dict[str, np.ndarray]]:
    """What the dreams along a concept and along its controls show; see `responses`."""
    along = direction(concept.stage, concept.read_out.vector)
    asked = {
        "concept": (dreamer.network, along),
        "random direction": (dreamer.network, random_direction(along, seed=0)),
        "random weights": (twin, along),
    }
    made = {
        name: dosed(
            network, images, one, doses=DOSES, settings=settings, preprocess=dreamer.preprocess, seed=0
        )
        for name, (network, one) in asked.items()
    }
    reads = next((one for one in reader.concepts.best() if one.name == concept.name), None)
    return responses(made, concept.name, reader=reader, reads=reads)


def main() -> None:
    """Dream, measure and write the result; a concept that is done is kept in the file at once."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="drawn galaxies with their true parameters")
    parser.add_argument("--checkpoint", default="real", help="the network that dreams")
    parser.add_argument("--reader", default="small", help="the network that reads the dreams")
    parser.add_argument("--galaxies", type=int, default=24)
    parser.add_argument("--size", type=int, default=160, help="pixels a side of the dreams")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/concept_dreams.json"))
    given = parser.parse_args()
    dreamer, reader = load(given.checkpoint), load(given.reader)
    settings = Settings(
        sizes=(given.size,), steps=(max(DOSES),), rates=(0.05,), jitter=(4,), levels=1, sharpen=0.0
    )
    wanted = [one for one in dreamer.concepts.best() if one.name in SHOWN_BY]
    if not wanted:
        raise GalaxyError(f"No concept of {given.checkpoint} has a measure here: give another network.")
    result: dict[str, Any] = {
        "checkpoint": {"name": given.checkpoint, "sha256": dreamer.meta["sha256"]},
        "reader": {"name": given.reader, "sha256": reader.meta["sha256"]},
        "doses": list(DOSES),
        "galaxies": given.galaxies,
        "size": given.size,
        "concepts": {},
    }
    with Galaxy10(given.data) as data:
        some = galaxies_with(data, "magnitude", count=24, seed=1)
        twin = random_twin(dreamer.network, some, preprocess=dreamer.preprocess)
        for concept in wanted:
            began = time.monotonic()
            images = galaxies_with(data, concept.name, count=given.galaxies, seed=0)
            found = concept_dreamed(concept, dreamer, twin, reader, images, settings)
            told = judged(found, concept.name, DOSES, tests=len(wanted))
            means = {name: np.nanmean(of["measure"], axis=1).tolist() for name, of in found.items()}
            # JSON has no NaN: what could not be measured is null.
            told |= {
                key: [None if np.isnan(number) else number for number in value]
                for key, value in told.items()
                if isinstance(value, tuple)
            }
            result["concepts"][concept.name] = told | {
                "stage": concept.stage,
                "r2": concept.read_out.r2,
                "by_dose": means,
                "seconds": round(time.monotonic() - began),
            }
            write_json(given.out, result | {"provenance": provenance()})
            print(f"{concept.name}: {told['verdict']} ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
