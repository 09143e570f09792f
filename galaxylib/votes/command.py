"""What networks of votes, and votes as labels, add to `train`, `calibrate` and `evaluate`.

What the commands need is imported when they run, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from galaxylib.errors import GalaxyError, filled
from galaxylib.evaluation import command as scoring

if TYPE_CHECKING:
    from galaxylib.training.recipes import Recipe


def companions(options: argparse.Namespace, recipe: Recipe, *, of_votes: bool) -> Any:
    """The images of other surveys that `galaxylib train` learns from beside --data; None if none are given.

    Raises:
        GalaxyError: the options do not go with the recipe, or a folder is not as it must be.
    """
    labelled = [folder for folder in (options.votes, options.coarse) if folder is not None]
    if not labelled and options.unlabelled is None:
        return None  # whether the recipe can do without is `train`'s to say
    if of_votes:
        raise GalaxyError(
            "--votes, --coarse and --unlabelled go with networks of the ten classes: leave them out, for a "
            "network of votes learns from --data alone."
        )
    if not recipe.needs_companions:
        raise GalaxyError(
            "The recipe does not look at --votes, --coarse or --unlabelled: leave them out, or set "
            "--companions or --statistics."
        )
    if bool(labelled) != (recipe.companions > 0):
        raise GalaxyError(
            f"The recipe draws {recipe.companions} labelled images of other surveys a step: "
            + ("leave --votes and --coarse out." if labelled else "give --votes or --coarse.")
        )
    from galaxylib.votes.other_surveys import companions_of, read_coarse, read_unlabelled, read_voted

    given = (
        (read_voted, options.votes),
        (read_coarse, options.coarse),
        (read_unlabelled, options.unlabelled),
    )
    return companions_of(*(read(folder) for read, folder in given if folder is not None))


def to_train(options: argparse.Namespace, recipe: Recipe) -> tuple[Any, Any, Any]:
    """Images, their division and the task for a network of votes.

    Raises:
        GalaxyError: the folder is not as it must be.
    """
    from galaxylib.votes.outputs import VoteFractions
    from galaxylib.votes.split import split_votes
    from galaxylib.votes.zoo2 import read_votes

    votes = read_votes(options.data)
    split = split_votes(votes, watch=recipe.needs_validation, seed=options.split_seed)
    seen = votes.ids[[*split.train, *split.validation]].tolist()
    return votes, split, VoteFractions(trained_on=tuple(seen))


def add_calibrate(command: argparse.ArgumentParser) -> None:
    """The options of `galaxylib calibrate`."""
    scoring.add_calibrate(command)
    command.add_argument(
        "--votes",
        type=filled,
        metavar="FOLDER",
        help="fit the temperature to clear votes on this folder's held-out galaxies, not to --data's labels",
    )
    command.add_argument(
        "--unlabelled",
        type=filled,
        metavar="FOLDER",
        help="images of the Legacy Surveys that shall count as like the training's",
    )
    command.add_argument(
        "--beside",
        type=filled,
        nargs="+",
        metavar="CHECKPOINT",
        help="take the temperature at which this network and these are as sure of --unlabelled as they agree",
    )


def calibrate(options: argparse.Namespace) -> None:
    """Run `galaxylib calibrate`.

    Raises:
        GalaxyError: one sentence.
    """
    if options.votes is not None and options.beside is not None:
        raise GalaxyError("--votes and --beside measure the temperature in two ways: give one of them.")
    if options.beside is not None and options.unlabelled is None:
        raise GalaxyError("--beside compares networks on images without labels: give --unlabelled too.")
    from galaxylib.networks.checkpoint import load
    from galaxylib.votes.confidence import temperature_by_agreement, temperature_by_votes
    from galaxylib.votes.other_surveys import read_unlabelled, read_voted

    unlabelled = cache(partial(read_unlabelled, options.unlabelled))

    def measure(loaded: Any) -> tuple[float, str]:
        if options.beside is None:
            return temperature_by_votes(loaded, read_voted(options.votes))
        return temperature_by_agreement(loaded, [load(other) for other in options.beside], unlabelled())

    scoring.calibrate(
        options,
        measure=measure if options.votes is not None or options.beside is not None else None,
        alike=(lambda: unlabelled().images) if options.unlabelled is not None else None,
    )


def evaluate(options: argparse.Namespace) -> None:
    """Run `galaxylib evaluate` on a folder of votes.

    Raises:
        GalaxyError: one sentence.
    """
    from galaxylib.votes.checkpoint import evaluate_votes

    scoring.check_evaluated(options)
    if options.part != "all":
        raise GalaxyError("--part is for Galaxy10 files: a folder of votes is evaluated whole.")
    found = evaluate_votes(
        options.data,
        options.checkpoint,
        options.out,
        symmetries=options.symmetries,
        batch_size=options.batch_size,
        progress=not options.quiet,
        own_network=options.own_network,
    )
    low, high = found["rmse_interval"]
    print(
        f"{found['n']} galaxies: root mean square error {found['rmse']:.4f} ({low:.4f} to {high:.4f}), "
        f"{found['rmse_mean_guess']:.4f} for guessing each answer's mean."
    )
    if found["n_trained_on"]:
        print(
            f"galaxylib: the network was trained on {found['n_trained_on']} of these galaxies; "
            "evaluation.json gives the others apart under `unseen`.",
            file=sys.stderr,
        )
