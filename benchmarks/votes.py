"""Score a network of votes on the fixed held-out fifth of real galaxies.

    galaxylib train --recipe zoo2 --data FOLDER --out RUN
    python benchmarks/votes.py --data FOLDER --checkpoint RUN --out RUN/results.json

FOLDER is in the Galaxy Zoo challenge's layout. Nothing of the held-out fifth is looked at in training.
"""

import argparse
from pathlib import Path

from galaxylib.files import write_json
from galaxylib.votes.checkpoint import figures, load_votes_network
from galaxylib.votes.outputs import least_rmse_per_question, predict_votes
from galaxylib.votes.split import split_votes
from galaxylib.votes.zoo2 import read_votes


def main() -> None:
    """Score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder in the challenge's layout")
    parser.add_argument("--checkpoint", default="pretrained", help="of a network of votes")
    parser.add_argument("--out", required=True, type=Path, help="the JSON file to write")
    options = parser.parse_args()
    votes, loaded = read_votes(options.data), load_votes_network(options.checkpoint)
    split = split_votes(votes, watch=False)
    test, rule = votes.rows(split.test), loaded.meta["task"]["rule"]
    plain = predict_votes(loaded.network, test.images, rule)
    averaged = predict_votes(loaded.network, test.images, rule, symmetries=True)
    per_question = predict_votes(loaded.network, test.images, "question")
    found = {
        "held_out": figures(plain, test.fractions),
        "held_out_symmetries": figures(averaged, test.fractions),
        "held_out_rescaled_per_question": figures(per_question, test.fractions),
        "least_possible_per_question": least_rmse_per_question(test.fractions),
        "n_train": len(split.train),
    }
    write_json(options.out, found)
    for name in ("held_out", "held_out_symmetries", "held_out_rescaled_per_question"):
        low, high = found[name]["rmse_interval"]
        print(f"{name}: {found[name]['rmse']:.4f} ({low:.4f} to {high:.4f})")
    print(f"guessing each answer's mean: {found['held_out']['rmse_mean_guess']:.4f}")


if __name__ == "__main__":
    main()
