"""What the ledger says of published labels where none are given: measured once, kept as numbers.

    python benchmarks/published_labels.py --catalogue CATALOGUE.csv --votes FOLDER

Counts the classes of the published Galaxy10 catalogue, and what guesses score on vote fractions in the
layout of the Galaxy Zoo challenge; writes benchmarks/results/published_labels.json.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.sky import Catalogue
from galaxylib.files import sha256, write_json
from galaxylib.provenance import provenance
from galaxylib.votes.outputs import least_rmse_per_question
from galaxylib.votes.zoo2 import CHALLENGE_IDS, SOLUTIONS, read_solutions, rmse, rmse_interval

RESULTS = Path(__file__).parent / "results" / "published_labels.json"


def classes(catalogue: Path) -> dict[str, Any]:
    """Galaxies of each class."""
    labels = Catalogue.read(catalogue).labels
    counts = np.bincount(labels, minlength=len(CLASS_NAMES)).tolist()
    return {"counts": dict(zip(CLASS_NAMES, counts, strict=True)), "total": len(labels)}


def guesses(fractions: np.ndarray) -> dict[str, float | int]:
    """Errors that need no network: two ways to guess the mean, and the least under a rule.

    Args:
        fractions: (N, 37) vote fractions.
    """
    by_answer = np.broadcast_to(fractions.mean(axis=0), fractions.shape)
    one_number = np.full_like(fractions, fractions.mean())
    return {
        "galaxies": len(fractions),
        "guess_each_mean": rmse(by_answer, fractions),
        "guess_one_mean": rmse(one_number, fractions),
        "one_mean_interval": dict(zip(("low", "high"), rmse_interval(one_number, fractions), strict=True)),
        "least_if_questions_sum_to_1": least_rmse_per_question(fractions),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogue", type=Path, required=True, help="CSV with label, ra and dec")
    parser.add_argument("--votes", type=Path, required=True, help="folder in the challenge's layout")
    options = parser.parse_args()
    table = options.votes / SOLUTIONS
    ids, fractions = read_solutions(table)
    content = {
        "classes": classes(options.catalogue),
        "votes": guesses(fractions),
        "votes_of_the_challenge_alone": guesses(fractions[ids < CHALLENGE_IDS]),
        "provenance": provenance()
        | {"catalogue_sha256": sha256(options.catalogue), "votes_sha256": sha256(table)},
    }
    write_json(RESULTS, content)


if __name__ == "__main__":
    main()
