"""How well does a network that has only seen simulated galaxies know real ones?

Draws galaxies, trains one network per seed on them alone, and judges it on real Galaxy10 DECaLS images:

    python benchmarks/sim_to_real.py REAL.h5 --out benchmarks/results/sim_to_real.json

The rule: no label of a real Galaxy10 image chooses anything in this script. The recipe is `small` of
`galaxylib train`, one run a seed, its last averaged weights; the labels of the real images are read once,
when all networks are finished. The committed result comes from an earlier loop, which its `provenance` names.
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.loader import batches
from galaxylib.data.splits import all_to_train
from galaxylib.evaluation.intervals import wilson
from galaxylib.evaluation.judge import judge_rows
from galaxylib.files import sha256, write_json
from galaxylib.networks.batch_norm import fresh_statistics
from galaxylib.networks.checkpoint import Loaded, load
from galaxylib.provenance import provenance
from galaxylib.simulate import VERSION, simulate
from galaxylib.training.loop import train
from galaxylib.training.recipes import SMALL_RECIPE, Recipe


def probabilities(loaded: Loaded, data: Galaxy10) -> np.ndarray:
    """Class probabilities (N, 10) of all galaxies of a file, averaged over the square's eight symmetries."""
    return judge_rows(
        loaded.network, data, np.arange(len(data)), preprocess=loaded.preprocess, symmetries=True
    )


def adapted(loaded: Loaded, data: Galaxy10) -> Loaded:
    """A copy whose BatchNorm statistics are those of a file's images, seen once and without their labels."""
    network = deepcopy(loaded.network)
    with torch.no_grad(), fresh_statistics(network):
        for images, _, _ in batches(data, range(len(data)), batch_size=64):
            network(loaded.preprocess(images))
    return replace(loaded, network=network)


def judged(found: list[np.ndarray], labels: np.ndarray) -> dict[str, Any]:
    """Scores of several seeds' probabilities (N, 10) against `labels`."""
    guesses = [np.argmax(one, axis=1) for one in found]
    accuracies = [float((guess == labels).mean()) for guess in guesses]
    mean = float(np.mean(accuracies))
    confusion = np.zeros((10, 10), int)
    for guess in guesses:
        np.add.at(confusion, (labels, guess), 1)
    recall = np.diag(confusion) / np.maximum(confusion.sum(1), 1)
    return {
        "n": len(labels),
        "accuracy_per_seed": accuracies,
        "accuracy": mean,
        "wilson_95": wilson(round(mean * len(labels)), len(labels)),
        "recall": dict(zip(CLASS_NAMES, recall.tolist(), strict=True)),
        "lowest_recall": float(recall.min()),
        "confusion_over_seeds": confusion.tolist(),
    }


def trained(data: Galaxy10, recipe: Recipe, *, out: Path) -> Loaded:
    """The network of one seed, trained on all galaxies of a file, or gone on with where a run was cut."""
    train(data, all_to_train(data), recipe, out=out, resume=True)
    return load(out)


def measure(
    real_file: Path, recipe: Recipe, *, galaxies: int, held_out: int, seeds: list[int], scratch: Path
) -> dict[str, Any]:
    """Draw, train, judge: the whole benchmark as a JSON object."""
    test = Galaxy10(simulate(scratch / "test.h5", n=held_out, seed=2000, balance="uniform"))
    data = Galaxy10(simulate(scratch / "train.h5", n=galaxies, seed=1000, balance="uniform"))
    networks = [trained(data, recipe.but(seed=seed), out=scratch / f"seed-{seed}") for seed in seeds]
    with Galaxy10(real_file) as real:
        direct = [probabilities(network, real) for network in networks]
        moved = [probabilities(adapted(network, real), real) for network in networks]
        labels = real.labels
    return {
        "rule": " ".join(__doc__.split("The rule: ")[1].split()),
        "real": judged(direct, labels),
        "real_with_batchnorm_adapted": judged(moved, labels),
        "real_by_the_seeds_together": judged([np.mean(direct, axis=0)], labels),
        "in_domain": judged([probabilities(network, test) for network in networks], test.labels),
        "simulated": {"training": galaxies, "test": held_out, "seeds": [1000, 2000], "version": VERSION},
        "network_parameters": networks[0].meta["parameters"],
        "training": recipe.to_dict(),
        "runs": [{name: network.meta[name] for name in ("sha256", "time", "commit")} for network in networks],
        "real_file": {"name": real_file.name, "sha256": sha256(real_file)},
        "provenance": provenance(),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path, help="real galaxies in the Galaxy10 format")
    parser.add_argument("--galaxies", type=int, default=32_000, help="simulated galaxies to train on")
    parser.add_argument("--held-out", type=int, default=1_000, help="simulated galaxies to test on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--scratch",
        type=Path,
        default=Path("_build/sim_to_real"),
        help="where galaxies and networks are kept; a run that is cut goes on there",
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sim_to_real.json"))
    given = parser.parse_args()
    given.scratch.mkdir(parents=True, exist_ok=True)
    found = measure(
        given.real,
        SMALL_RECIPE,
        galaxies=given.galaxies,
        held_out=given.held_out,
        seeds=given.seeds,
        scratch=given.scratch,
    )
    write_json(given.out, found)
    print(f"{found['real']['accuracy']:.1%} of {found['real']['n']} real galaxies; {given.out}")


if __name__ == "__main__":
    main()
