"""Train the tailored network of votes on real galaxies, score it on the fixed held-out fifth, and keep it.

    python benchmarks/votes.py --data FOLDER --out galaxylib/weights/zoo2

FOLDER is in the Galaxy Zoo challenge's layout. With `--schedule plateau` an eighth of the training galaxies
watches the learning rate, as in the paper; with `cosine`, the default, all of them train. Nothing of the
held-out fifth is looked at before the last epoch.
"""

import argparse
from pathlib import Path

import numpy as np

from galaxylib.files import write_json
from galaxylib.votes import zoo2
from galaxylib.votes.checkpoint import figures, save_votes_network
from galaxylib.votes.split import held_out, near_duplicates
from galaxylib.votes.training import TAILORED, least_rmse_per_question, predict_votes, train_votes


def main() -> None:
    """Train, score, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder in the challenge's layout")
    parser.add_argument("--out", required=True, type=Path, help="folder for the checkpoint")
    parser.add_argument("--epochs", type=int, default=45)
    parser.add_argument("--schedule", choices=("cosine", "plateau"), default="cosine")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    votes = zoo2.read_votes(options.data)
    held = held_out(votes.ids, near_duplicates(votes.images))
    rest, test = votes.rows(~held), votes.rows(held)
    recipe = TAILORED.but(
        epochs=options.epochs, schedule=options.schedule, seed=options.seed, weight_decay=0.02
    )
    watching = np.zeros(len(rest), bool)
    if options.schedule == "plateau":
        watching = np.random.default_rng(options.seed).permutation(len(rest)) < len(rest) // 8
    network, history = train_votes(
        rest.rows(~watching), recipe, validation=rest.rows(watching) if watching.any() else None
    )
    plain = predict_votes(network, test.images, recipe.rule)
    averaged = predict_votes(network, test.images, recipe.rule, symmetries=True)
    per_question = predict_votes(network, test.images, "question")
    found = {
        "held_out": figures(plain, test.fractions),
        "held_out_symmetries": figures(averaged, test.fractions),
        "held_out_rescaled_per_question": figures(per_question, test.fractions),
        "least_possible_per_question": least_rmse_per_question(test.fractions),
        "n_train": len(rest),
        "seconds": float(history["seconds"].iloc[-1]),
    }
    # Every galaxy outside the held-out fifth counts as seen: those that watched chose the learning rate.
    save_votes_network(options.out, network, recipe, trained_on=rest.ids, half=True, results=found)
    write_json(options.out / "results.json", found)
    for name in ("held_out", "held_out_symmetries", "held_out_rescaled_per_question"):
        low, high = found[name]["rmse_interval"]
        print(f"{name}: {found[name]['rmse']:.4f} ({low:.4f} to {high:.4f})")
    print(f"guessing each answer's mean: {found['held_out']['rmse_mean_guess']:.4f}")


if __name__ == "__main__":
    main()
