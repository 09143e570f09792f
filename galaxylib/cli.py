"""The command `galaxylib`: simulate, fetch, train, average, calibrate, probe, evaluate, classify, dream, ...

Exit status 0, or one sentence on standard error and status 1; with GALAXYLIB_TRACEBACK=1 in the environment,
where a fault arose is shown too. What a subcommand needs is imported when it runs, so that `--help` answers
at once.
"""

import argparse
import json
import os
import reprlib
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NoReturn

from galaxylib.catalogue import command as classifying
from galaxylib.errors import GALAXIES, PROCESSES, SEEDS, DreamError, GalaxyError, filled, status_of
from galaxylib.evaluation import command as scoring
from galaxylib.training.recipes import RECIPES, Recipe
from galaxylib.votes import command as voting

METHODS = ("sky", "paper", "published_code")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence instead of printing the usage first."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise GalaxyError(f"{message[:1].upper()}{message[1:]}: see `{self.prog} --help`.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    words = [_at_home(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    return status_of(
        lambda: _run(words),
        # A name in the sentence may hold a line break.
        say=lambda text: print("galaxylib:", " ".join(text.splitlines()), file=sys.stderr),
        interrupted="stopped; `train --resume`, `simulate` and `classify` go on from here.",
    )


def _run(arguments: list[str]) -> int | None:
    try:
        options = parser(arguments[0] if arguments else "").parse_args(arguments)
    except SystemExit:  # help was printed
        return 0
    return options.run(options)


def parser(chosen: str = "") -> Parser:
    """The command line's grammar; `average`, `probe` and `dream` get options where `chosen` names them."""
    whole = Parser(
        prog="galaxylib",
        description="Draw galaxies, fetch real ones, train networks, classify your own, let them dream.",
    )
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    for name, add, summary in (
        ("simulate", _add_simulate, "draw galaxies into a file of the Galaxy10 format"),
        ("fetch", _add_fetch, "download the real Galaxy10 DECaLS file (2.5 GB) and check it"),
        ("train", _add_train, "train a network and leave a checkpoint folder"),
        (
            "average",
            _add_average if chosen == "average" else None,
            "make one network of several trainings that have weights in common",
        ),
        ("calibrate", _add_calibrate, "measure how far a trained network's confidence can be trusted"),
        (
            "probe",
            _add_probe if chosen == "probe" else None,
            "learn what a trained network's stages know of drawn galaxies, for dreams to go along",
        ),
        ("evaluate", _add_evaluate, "score a trained network on a file"),
        ("classify", _add_classify, "classify images of your own, from one picture to a survey"),
        ("merge", classifying.add_merge, "check the shards that `classify` wrote, and make them one dataset"),
        (
            "dream",
            _add_dream if chosen == "dream" else None,
            "let a network change an image until it sees more",
        ),
        ("export-web", _add_export_web, "write a trained network as files that a page can dream on"),
    ):
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if add is not None:
            add(command)
    return whole


def _at_home(word: str) -> str:
    """`--out=~/x.h5` as the shell leaves it, with the home folder in place of `~`."""
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{option}{equals}{os.path.expanduser(value)}"


def _add_simulate(command: Parser) -> None:
    command.add_argument("--n", type=GALAXIES.read, required=True, metavar="N", help="galaxies to draw")
    command.add_argument("--out", type=filled, required=True, metavar="FILE", help="the HDF5 file to write")
    command.add_argument(
        "--seed",
        type=SEEDS.read,
        default=0,
        metavar="N",
        help="same seed, same galaxies (default: %(default)s)",
    )
    command.add_argument(
        "--balance",
        choices=("catalogue", "uniform"),
        default="catalogue",
        help="shares of the classes: as in the real set, or equal (default: %(default)s)",
    )
    command.add_argument(
        "--processes",
        type=PROCESSES.read,
        metavar="N",
        help="how many draw side by side (default: one a core)",
    )
    _add_quiet(command)
    command.set_defaults(run=_simulate)


def _simulate(options: argparse.Namespace) -> None:
    from galaxylib.simulate import simulate

    path = simulate(
        options.out,
        n=options.n,
        seed=options.seed,
        balance=options.balance,
        processes=options.processes,
        progress=not options.quiet,
    )
    print(f"{options.n} galaxies are in {path or options.out}.")


def _add_fetch(command: Parser) -> None:
    command.add_argument("--out", type=filled, required=True, metavar="FOLDER", help="where the file goes")
    command.add_argument("--url", help="another address than the published one; needs --sha256")
    command.add_argument("--sha256", help="what the file's SHA-256 must be")
    _add_quiet(command)
    command.set_defaults(run=_fetch)


def _fetch(options: argparse.Namespace) -> None:
    from galaxylib.data.fetch import fetch

    if bool(options.url) != bool(options.sha256):
        raise GalaxyError("Give --url and --sha256 together, so that the file can be checked, or neither.")
    elsewhere = {"url": options.url, "sha256": options.sha256} if options.url else {}
    print(fetch(options.out, **elsewhere, progress=not options.quiet))


def _add_train(command: Parser) -> None:
    command.add_argument(
        "--data",
        type=filled,
        required=True,
        metavar="PATH",
        help="a Galaxy10 HDF5 file; for a network of votes a folder in the Galaxy Zoo challenge's layout",
    )
    command.add_argument(
        "--out", type=filled, required=True, metavar="FOLDER", help="the checkpoint folder to write"
    )
    command.add_argument(
        "--recipe",
        choices=tuple(RECIPES),
        default="paper",
        help="the settings to start from; the options below change them one by one (default: %(default)s)",
    )
    command.add_argument(
        "--start",
        type=filled,
        metavar="PATH",
        help="a checkpoint with the first weights: a folder that `train` wrote, or a name such as `real`",
    )
    for flag, meaning in (
        ("--votes", "real galaxies with votes to learn beside, in the Galaxy Zoo challenge's layout"),
        ("--coarse", "real galaxies with classes of Galaxy Zoo 1 to learn beside: classes.csv and images/"),
        ("--unlabelled", "real galaxies without labels, for BatchNorm's statistics alone: images/"),
    ):
        command.add_argument(flag, type=filled, metavar="FOLDER", help=meaning)
    command.add_argument("--resume", action="store_true", help="go on with the run that was begun in --out")
    command.add_argument(
        "--compile", action="store_true", help="on a GPU: compile the steps; the first ones then take long"
    )
    command.add_argument(
        "--split", choices=METHODS, default="sky", help="how the file is divided (default: %(default)s)"
    )
    command.add_argument(
        "--split-seed", type=SEEDS.read, default=0, metavar="N", help="of the division (default: 0)"
    )
    _add_quiet(command)
    settings = command.add_argument_group("recipe (default: as the recipe says)")
    for setting in fields(Recipe):
        flag, meaning = f"--{setting.name.replace('_', '-')}", setting.metadata["help"].replace("%", "%%")
        if setting.type is bool:
            settings.add_argument(flag, action=argparse.BooleanOptionalAction, help=meaning)
        elif setting.type is dict:
            settings.add_argument(flag, type=_json, metavar="JSON", help=meaning)
        else:
            limits = setting.metadata["range"]
            kind = limits.read if limits else setting.type
            settings.add_argument(flag, type=kind, metavar=setting.type.__name__.upper(), help=meaning)
    command.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> None:
    given = {setting.name: getattr(options, setting.name) for setting in fields(Recipe)}
    recipe = RECIPES[options.recipe].but(
        **{name: value for name, value in given.items() if value is not None}
    )

    from galaxylib.networks.registry import NETWORKS
    from galaxylib.training.hardware import Devices
    from galaxylib.training.loop import train

    of_votes = recipe.network in NETWORKS and NETWORKS[recipe.network].task == "zoo2"
    companions = voting.companions(options, recipe, of_votes=of_votes)
    data, split, task = (voting.to_train if of_votes else _classes_to_train)(options, recipe)
    done = train(
        data,
        split,
        recipe,
        out=options.out,
        task=task,
        companions=companions,
        start=options.start,
        resume=options.resume,
        compiled=options.compile,
        progress=not options.quiet,
    )
    if Devices.announced().rank == 0:
        which = "Best" if recipe.keep == "best" else "Ended"
        figures = {"validation_accuracy": ": validation accuracy {:.1%}", "validation_rmse": ": error {:.4f}"}
        told = [words.format(done[name]) for name, words in figures.items() if name in done]
        print(f"{which} after epoch {done['best_epoch']}{''.join(told)}. The checkpoint is in {options.out}.")


def _classes_to_train(options: argparse.Namespace, recipe: Recipe) -> tuple[Any, Any, None]:
    from galaxylib.data.galaxy10 import Galaxy10
    from galaxylib.data.splits import make_split

    data = Galaxy10(options.data)
    return data, make_split(data, method=options.split, seed=options.split_seed), None


def _json(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError(f"{reprlib.repr(text)} is no JSON such as '{{\"blocks\": 5}}'")
    return content


def _add_evaluate(command: Parser) -> None:
    scoring.add_evaluate(command)
    _add_own_network(command)
    _add_quiet(command)
    command.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    if options.task == "zoo2":
        voting.evaluate(options)
    else:
        scoring.evaluate(options)


def _add_calibrate(command: Parser) -> None:
    voting.add_calibrate(command)
    _add_own_network(command)
    _add_quiet(command)
    command.set_defaults(run=voting.calibrate)


def _add_average(command: Parser) -> None:
    from galaxylib.training import averaging

    averaging.add_arguments(command)
    _add_own_network(command)
    command.set_defaults(run=averaging.run)


def _add_classify(command: Parser) -> None:
    classifying.add_arguments(command)
    _add_own_network(command)
    _add_quiet(command)
    command.set_defaults(run=classifying.run)


def _add_dream(command: Parser) -> None:
    try:
        from galaxylib.dream import command as dreaming
    except ModuleNotFoundError as fault:
        raise DreamError(f"This copy of galaxylib cannot dream: it has no {fault.name}.") from fault
    dreaming.add_arguments(command)
    _add_own_network(command)
    command.set_defaults(run=dreaming.run)


def _add_probe(command: Parser) -> None:
    from galaxylib.dream import probing

    probing.add_arguments(command)
    _add_own_network(command)
    _add_quiet(command)
    command.set_defaults(run=probing.run)


def _add_export_web(command: Parser) -> None:
    command.add_argument(
        "--checkpoint",
        type=filled,
        required=True,
        metavar="PATH",
        help="a folder that `train` wrote, or a name such as `real-small`",
    )
    _add_own_network(command)
    command.add_argument("--out", type=filled, required=True, metavar="FOLDER", help="the folder to write")
    command.set_defaults(run=_export_web)


def _export_web(options: argparse.Namespace) -> None:
    from galaxylib.files import listed

    try:
        from galaxylib.web import export_web
    except ModuleNotFoundError as fault:
        raise GalaxyError(f"Exporting needs {fault.name}: install galaxylib[web].") from fault
    from galaxylib.networks.checkpoint import load

    out = export_web(load(options.checkpoint, own_network=options.own_network), options.out)
    size = sum((out / name).stat().st_size for name in listed(out))
    print(f"The network is in {out}, {size / 1e6:.1f} MB: open the folder in the dream lab.")


def _add_own_network(command: Parser) -> None:
    command.add_argument(
        "--own-network",
        default="",
        metavar="MODULE:CLASS",
        help="the network of your own that the checkpoint holds: its module is imported, which runs its code",
    )


def _add_quiet(command: Parser) -> None:
    command.add_argument("--quiet", action="store_true", help="show no progress")
