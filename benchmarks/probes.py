"""What each stage of the shipped networks knows of each true parameter of drawn galaxies.

A linear read-out of every stage, the same of networks with random weights, and of the pixels reduced to as
many numbers, on galaxies held out (`galaxylib.evaluation.probes`):

    galaxylib simulate --n 2000 --seed 2001 --balance uniform --out FRESH.h5
    python -m benchmarks.probes --data FRESH.h5

The galaxies took no part in any training. Features are kept in a scratch folder and not computed again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.loader import Images
from galaxylib.dream.probing import TWINS, twins_of
from galaxylib.evaluation.probes import (
    DIVISIONS,
    Features,
    compare,
    pixel_features,
    stage_features,
    truth_of,
)
from galaxylib.evaluation.unlike import placed_stages
from galaxylib.files import atomic, write_json
from galaxylib.networks.checkpoint import Loaded, load
from galaxylib.provenance import provenance


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """Features that are computed once.

    Attributes:
        folder: where they are kept.
        drawn: the galaxies on which random networks measure their BatchNorm statistics.
    """

    folder: Path
    drawn: Galaxy10

    def features(self, loaded: Loaded, data: Images) -> dict[str, np.ndarray]:
        """What the stages of a network give for the galaxies of `data`."""
        return self._kept(f"{loaded.meta['sha256'][:12]}-{data.fingerprint}", loaded, data, twin=None)

    def twin(self, loaded: Loaded, data: Images, number: int) -> dict[str, np.ndarray]:
        """The same of a network like it with random weights, shared by all of its architecture."""
        kind = f"{loaded.meta['network']}-{loaded.meta['options'].get('width', 1)}-{loaded.preprocess.size}"
        return self._kept(f"{kind}-random{number}-{data.fingerprint}", loaded, data, twin=number)

    def _kept(self, name: str, loaded: Loaded, data: Images, *, twin: int | None) -> dict[str, np.ndarray]:
        path = self.folder / f"{name}.npz"
        if not path.exists():
            network = loaded.network if twin is None else twins_of(loaded, self.drawn)[twin]
            size = loaded.preprocess.size
            stages = placed_stages(loaded.network, loaded.meta["network"], size=size)
            found = stage_features(network, data, preprocess=loaded.preprocess, stages=stages, progress=True)
            with atomic(path) as partial, partial.open("wb") as file:
                np.savez(file, **found)
        with np.load(path) as arrays:
            return dict(arrays)


def measure(names: list[str], scratch: Scratch) -> dict[str, Any]:
    """The whole benchmark as a JSON object; networks as `galaxylib.evaluation.probes.compare` tells them."""
    data = scratch.drawn
    truth = truth_of(data.truth)
    told = {}
    for name in names:
        loaded = load(name)
        features: Features = scratch.features(loaded, data)
        twins = [scratch.twin(loaded, data, number) for number in range(TWINS)]
        most = max(of.shape[1] for of in features.values())
        pixels = pixel_features(data, most, preprocess=loaded.preprocess)
        compared = compare(features, twins, pixels, truth, labels=data.labels)
        told[name] = {
            "sha256": loaded.meta["sha256"],
            "galaxies": len(data),
            "channels": {stage: of.shape[1] for stage, of in features.items()},
            "stages": compared,
        }
        print(f"{name}: {_best(compared)}", flush=True)
    return {
        "networks": rounded(told),
        "divisions": DIVISIONS,
        "twins": TWINS,
        "data": {"fingerprint": data.fingerprint, **data.attributes},
        "provenance": provenance(),
    }


def rounded(content: Any) -> Any:
    """Figures with four digits after the point."""
    if isinstance(content, Mapping):
        return {key: rounded(value) for key, value in content.items()}
    return round(content, 4) if isinstance(content, float) else content


def _best(compared: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    names = next(iter(compared.values()))
    best = {name: max(compared, key=lambda stage: compared[stage][name]["trained"]["r2"]) for name in names}
    return ", ".join(f"{name} {compared[at][name]['trained']['r2']:.2f} ({at})" for name, at in best.items())


def parser(description: str, *, networks: Sequence[str], out: str) -> argparse.ArgumentParser:
    """The options of a benchmark that asks what networks know; their defaults are given."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--data", type=Path, required=True, help="drawn galaxies that nothing was trained on")
    made.add_argument("--networks", nargs="+", default=[*networks])
    made.add_argument("--scratch", type=Path, default=Path("_build/probes"), help="where features are kept")
    made.add_argument("--out", type=Path, default=Path("benchmarks/results", out))
    return made


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__.splitlines()[0], networks=("real", "real-small", "small"), out="probes.json")
    given = options.parse_args()
    given.scratch.mkdir(parents=True, exist_ok=True)
    with Galaxy10(given.data) as data:
        write_json(given.out, measure(given.networks, Scratch(folder=given.scratch, drawn=data)))


if __name__ == "__main__":
    main()
