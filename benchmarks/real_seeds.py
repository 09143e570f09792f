"""How far the chance of a training moves what a network knows of real galaxies, and what several bring.

Judges checkpoints of one recipe that differ in their seed alone: on real Galaxy10 DECaLS images, and on the
held-out quarter of two sets of SDSS images. The labels of the Galaxy10 images choose nothing: they are read
here, once, when all trainings are done.

    python -m benchmarks.real_seeds --sample SAMPLE.h5 --votes GZ2 --coarse GZ1 \
        --checkpoints small=RUN/small-0,RUN/small-1,RUN/small-2
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.evaluation.intervals import wilson
from galaxylib.evaluation.judge import judge_rows
from galaxylib.files import write_json
from galaxylib.networks.checkpoint import Loaded, load
from galaxylib.paper.reference import Scatter
from galaxylib.provenance import provenance
from galaxylib.votes.held_out import held_out_part, is_right, judged
from galaxylib.votes.other_surveys import Survey, read_coarse, read_voted, restretched


def right_everywhere(
    networks: Sequence[Loaded], sample: Galaxy10, surveys: Mapping[str, Survey]
) -> dict[str, np.ndarray]:
    """Which galaxies are named rightly, by each training and last by the mean of their probabilities.

    Args:
        networks: trainings of one recipe.
        sample: real images with labels.
        surveys: held-out parts of other surveys by name.

    Returns:
        "sample" and each survey's name to (trainings + 1, N) bool.
    """
    rows = np.arange(len(sample))
    found = {"sample": [judge_rows(one.network, sample, rows, preprocess=one.preprocess) for one in networks]}
    found |= {name: [judged(one, survey) for one in networks] for name, survey in surveys.items()}
    right = {}
    for name, each in found.items():
        answers = [*each, np.mean(each, axis=0)]
        if name == "sample":
            right[name] = np.stack([one.argmax(axis=1) == sample.labels for one in answers])
        else:
            right[name] = np.stack([is_right(one, surveys[name]) for one in answers])
    return right


def summary(right: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, Any]]:
    """Shares by family of networks and by what they judged.

    Args:
        right: what `right_everywhere` returns, by family.

    Returns:
        of each family and each set: `n`, the share of `each` training, their `mean` with `low` and `high`
        (95 %, the chance of the galaxies and of the trainings, whose scatter is pooled over the families),
        and `together`, that of the mean of the probabilities, with Wilson's `together_low` and
        `together_high`.
    """
    told: dict[str, dict[str, Any]] = {family: {} for family in right}
    for name in next(iter(right.values())):
        shares = {family: of[name][:-1].mean(axis=1) for family, of in right.items()}
        scatter = Scatter.of(list(shares.values()))
        for family, share in shares.items():
            each = right[family][name]
            half = scatter.half_width(each[:-1].mean(axis=0), (len(share),))
            low, high = wilson(int(each[-1].sum()), each.shape[1])
            told[family][name] = {
                "n": each.shape[1],
                "each": share.tolist(),
                "mean": float(share.mean()),
                "low": max(0.0, float(share.mean() - half)),
                "high": min(1.0, float(share.mean() + half)),
                "together": float(each[-1].mean()),
                "together_low": low,
                "together_high": high,
            }
    return told


def main() -> None:
    """Judge the families and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=Path, required=True, help="real Galaxy10 images with labels")
    parser.add_argument("--votes", type=Path, required=True, help="SDSS images with votes of Galaxy Zoo 2")
    parser.add_argument("--coarse", type=Path, required=True, help="SDSS images with classes of Galaxy Zoo 1")
    parser.add_argument("--checkpoints", nargs="+", required=True, help="NAME=FOLDER,FOLDER,... of a family")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/real_seeds.json"))
    given = parser.parse_args()
    surveys = {
        "gz2": held_out_part(read_voted(given.votes, look=restretched)),
        "gz1": held_out_part(read_coarse(given.coarse, look=restretched)),
    }
    right, hashes = {}, {}
    with Galaxy10(given.sample) as sample:
        for name, _, folders in (one.partition("=") for one in given.checkpoints):
            networks = [load(folder) for folder in folders.split(",")]
            hashes[name] = [one.meta["sha256"] for one in networks]
            right[name] = right_everywhere(networks, sample, surveys)
    write_json(given.out, {"families": summary(right), "sha256": hashes, "provenance": provenance()})
    print(given.out)


if __name__ == "__main__":
    main()
