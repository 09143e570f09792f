"""What the data chapter says of the real galaxies where none are given: measured once, kept as numbers.

    python benchmarks/real_statistics.py --sample SAMPLE.h5 --catalogue CATALOGUE.csv

Measures the images of a real Galaxy10 file beside simulated galaxies of the same classes, and the sky
positions of a catalogue, and writes benchmarks/results/real_statistics.json.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.sky import Catalogue
from galaxylib.data.splits import survey
from galaxylib.files import sha256, write_json
from galaxylib.provenance import provenance
from galaxylib.simulate import VERSION, draw
from galaxylib.simulate.realism import portrait, tell_apart

RESULTS = Path(__file__).parent / "results" / "real_statistics.json"


def lookalikes(labels: np.ndarray, *, seed: int) -> np.ndarray:
    """One simulated galaxy of each label, (N, 256, 256, 3) uint8."""
    return np.stack(
        [
            draw(int(label), seed=np.random.SeedSequence([seed, 3], spawn_key=(row,)))[0]
            for row, label in enumerate(labels)
        ]
    )


def sky_map(sky: Catalogue, *, step: int = 3) -> dict[str, Any]:
    """How many galaxies lie in each cell of `step` degrees: a line of numbers for each declination."""
    dec, ra = np.arange(-90, 91, step), np.arange(0, 361, step)
    counts, _, _ = np.histogram2d(sky.dec, sky.ra % 360, bins=[dec, ra])
    return {"step_degrees": step, "counts": [" ".join(map(str, row)) for row in counts.astype(int)]}


def measure(sample: Path, catalogue: Path, *, seeds: int) -> dict[str, Any]:
    """All numbers of the file."""
    real = Galaxy10(sample)
    rows = np.random.default_rng(0).permutation(len(real))[:1000]
    images, labels = real.read(rows), real.labels[rows]
    sky = Catalogue.read(catalogue)
    drawn = [lookalikes(labels, seed=seed) for seed in range(seeds)]
    return {
        "sample": portrait(images) | {"classes": np.bincount(labels, minlength=10).tolist()},
        "simulated_alike": portrait(np.concatenate(drawn)),
        "told_apart": [asdict(tell_apart(one, images, seed=seed)) for seed, one in enumerate(drawn)],
        "catalogue": survey(sky),
        "sky_map": sky_map(sky),
        "provenance": provenance()
        | {
            "simulator_version": VERSION,
            "sample_sha256": sha256(sample),
            "catalogue_sha256": sha256(catalogue),
        },
    }


def main() -> None:
    """Parse the arguments and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=Path, required=True, help="a real Galaxy10 HDF5 file")
    parser.add_argument("--catalogue", type=Path, required=True, help="a CSV file with label, ra and dec")
    parser.add_argument("--seeds", type=int, default=5, help="sets of simulated lookalikes [5]")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the numbers go")
    given = parser.parse_args()
    write_json(given.out, measure(given.sample, given.catalogue, seeds=given.seeds))
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
