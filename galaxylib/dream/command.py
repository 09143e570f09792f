"""`galaxylib dream`: make a dream from a picture, or make a former one again."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from galaxylib.dream.settings import CHOICES, LIMITS, PAPER_DREAM
from galaxylib.errors import DreamError, filled

STEP_OPTIONS = ("start", "parametrisation", "magnitude", "precision")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--image", type=filled, metavar="FILE", help="the picture to start from: PNG, JPEG, FITS, ..."
    )
    source.add_argument(
        "--from",
        dest="former",
        type=filled,
        metavar="FILE",
        help="a dream that this command saved, to be made again and compared",
    )
    parser.add_argument(
        "--out", type=filled, required=True, metavar="FILE", help="the PNG to write; it carries its record"
    )
    parser.add_argument(
        "--layer",
        type=filled,
        metavar="OBJECTIVE",
        help="what shall grow: a stage or any layer (lam), a channel (dma2:5), a neuron (dma2:5@3,4), "
        "a class (logit:Merging), a concept (concept:bar_fraction; with a minus it is pushed down), or a sum "
        "of them (lam - 0.5*stem); near:dma1 stays near the picture's own activation, caricature:dma2 "
        "exaggerates it, diversity:dma2 keeps several dreams apart; default: lam",
    )
    parser.add_argument(
        "--checkpoint",
        type=filled,
        metavar="PATH",
        help="a folder that `train` wrote, or a name such as `real-small` (default: real, or that of --from)",
    )
    parser.add_argument(
        "--size",
        type=LIMITS["sizes"].read,
        metavar="PIXELS",
        help=f"last width, {LIMITS['sizes']} (default: 1024, the paper's)",
    )
    parser.add_argument(
        "--seed",
        type=LIMITS["seed"].read,
        metavar="N",
        help=f"of shifts and noise, {LIMITS['seed']} (default: 0)",
    )
    parser.add_argument(
        "--mask", type=filled, metavar="FILE", help="a grey picture: the dream stays where it is bright"
    )
    parser.add_argument(
        "--tile", type=LIMITS["tile"].read, metavar="PIXELS", help="cut large images into such windows"
    )
    parser.add_argument(
        "--film", type=filled, metavar="FILE", help="write the dream's steps as a film too: .gif or .mp4"
    )
    parser.add_argument(
        "--count",
        type=LIMITS["count"].read,
        metavar="N",
        help="how many dreams that differ, for a diversity term; they are called OUT-1.png, OUT-2.png, ...",
    )
    parser.add_argument(
        "--transparent",
        action="store_true",
        default=None,
        help="let the PNG be transparent where the objective did not listen",
    )
    parser.add_argument("--json", type=filled, metavar="FILE", help="write the record as JSON too")
    for name in STEP_OPTIONS:
        parser.add_argument(f"--{name}", choices=CHOICES[name], help=f"default: {getattr(PAPER_DREAM, name)}")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> int:
    """Make the dream that the options ask for.

    Raises:
        GalaxyError: one sentence says what is wrong.
    """
    from galaxylib.dream.film import check_film

    out = Path(options.out)
    if out.suffix.lower() != ".png" and not out.is_dir():
        raise DreamError(
            f"A dream is saved as PNG, which keeps its record: call it {out.stem.strip('.') or 'dream'}.png."
        )
    if options.film is not None:
        check_film(options.film)
    if options.former is not None:
        return _again(options)
    from galaxylib.data.images import read_image
    from galaxylib.dream.objectives import parse
    from galaxylib.networks.checkpoint import SHIPPED, load

    given = {name: getattr(options, name) for name in (*STEP_OPTIONS, "tile")}
    settings = PAPER_DREAM.but(**{name: value for name, value in given.items() if value is not None})
    settings = settings if options.size is None else settings.to(options.size)
    seed = options.seed or 0
    image = read_image(options.image)
    mask = read_image(options.mask).mean(0) if options.mask else None
    checkpoint = options.checkpoint or SHIPPED[0]
    loaded = load(checkpoint, own_network=options.own_network)
    text = options.layer or "lam"
    objective = parse(text, class_names=loaded.class_names, concepts=loaded.concepts)
    if options.count and not objective.diverse:
        raise DreamError(
            f"--count makes dreams that differ: add a diversity term, as in {text} + diversity:lam."
        )
    asked = {"image": image, "objective": objective, "settings": settings, "seed": seed, "mask": mask}
    told = {"checkpoint": str(checkpoint), "asked": text}
    _make(options, loaded, told, count=options.count or 1, **asked)
    return 0


def _again(options: argparse.Namespace) -> int:
    """Make a saved dream again from what its file carries, and say how the two compare."""
    from galaxylib.dream.record import read_png
    from galaxylib.networks.checkpoint import load
    from galaxylib.networks.registry import NETWORKS

    changed = ("layer", "size", "seed", "mask", "tile", "count", "transparent", *STEP_OPTIONS)
    given = [f"--{name}" for name in changed if getattr(options, name) is not None]
    if given:
        raise DreamError(f"--from makes the same dream again, so leave out {', '.join(given)}.")
    former = read_png(options.former)
    checkpoint = options.checkpoint or former.checkpoint
    if not checkpoint:
        raise DreamError(f"{options.former} does not say which checkpoint made it: give --checkpoint.")
    loaded = load(checkpoint, own_network=options.own_network)
    if not former.is_of(loaded.network, loaded.preprocess):
        raise DreamError(
            f"The network in {checkpoint} is not the one that made {options.former}: "
            "give its checkpoint with --checkpoint."
        )
    before = torch.get_num_threads()
    # Sums are rounded in another order on another number of threads; more than there are processors would
    # wait for each other for hours.
    if former.threads <= (os.cpu_count() or 1):
        torch.set_num_threads(former.threads)
    try:
        names = ("image", "objective", "settings", "seed", "mask", "count")
        asked = {name: getattr(former, name) for name in names} | {"only": former.index}
        told = {"checkpoint": str(checkpoint), "asked": former.asked}
        options.transparent = former.pixels.shape[2] == 4
        made = _make(options, loaded, told, stop=former.steps_done, **asked)
    finally:
        torch.set_num_threads(before)
    found = former.changes(made.record["versions"])
    if (name := loaded.meta["network"]) not in NETWORKS:
        found.append(f"no record holds the code of {name}")
    same = np.array_equal(made.rgba if options.transparent else made.pixels, former.pixels)
    if same and made.record["values"] != former.record["values"]:
        found.append("the values of its steps are others")
    if same and not found:
        print(f"{options.former} is verified: its record gives the same pixels again.")
    else:
        outcome = "the same pixels, but" if same else "other pixels here:"
        why = ", ".join(found) or "the file was changed, or another build of torch made it"
        print(f"galaxylib: {options.former} comes out with {outcome} {why}.", file=sys.stderr)
    return 0


def _make(
    options: argparse.Namespace,
    loaded: Any,
    told: dict[str, str],
    *,
    count: int,
    only: int | None = None,
    stop: int | None = None,
    **asked: Any,
) -> Any:
    """Dream what is asked for, as `dream` takes it; write the files; return the last dream.

    It ends after step `stop`, where there is one. Of several dreams made together `only` one may be wanted.
    The record tells too the checkpoint and the text that was asked for: a direction has no name of its own.
    """
    from tqdm import tqdm

    from galaxylib.dream.ascent import Step
    from galaxylib.dream.dreaming import dream_batch
    from galaxylib.dream.film import save_film
    from galaxylib.files import check_outputs, write_json
    from galaxylib.networks.checkpoint import checkpoint_files

    read = (options.image, options.former, options.mask, *checkpoint_files(told["checkpoint"]))
    named = (options.out, options.film, options.json)
    wanted = {only or 0: named} if count == 1 or only is not None else _numbered(named, count)
    for files in wanted.values():
        check_outputs(*files, inputs=read)
    image, objective, mask = (asked.pop(name) for name in ("image", "objective", "mask"))
    total = asked["settings"].total_steps
    with tqdm(total=total, unit="step", desc=told["asked"], disable=options.quiet) as bar:

        def progress(step: Step) -> bool:
            bar.update()
            bar.set_postfix(width=step.size, value=f"{step.values[0]:.3g}")
            return step.number == stop

        dreams = dream_batch(
            loaded.network,
            image[None],
            [objective] * count,
            masks=None if mask is None else mask.expand(count, -1, -1),
            preprocess=loaded.preprocess,
            progress=progress,
            keep_frames=bool(options.film),
            **asked,
        )
    for index, (out, film, text) in wanted.items():
        made = dreams[index]
        made.save(out, transparent=bool(options.transparent), **told)
        if film:
            save_film(made.frames, film)
        if text:
            write_json(text, made.record | told)
        values = made.record["values"]
        height, width = made.image.shape[1:]
        print(f"{out}: {width} x {height} pixels; {told['asked']} {values[0]:.4g} -> {values[-1]:.4g}.")
    return made


def _numbered(files: tuple[str | None, ...], count: int) -> dict[int, tuple[str | None, ...]]:
    """The files of each of several dreams: `dream.png` becomes `dream-1.png`, `dream-2.png`, ..."""
    paths = [file and Path(file) for file in files]
    return {
        index: tuple(path and str(path.with_stem(f"{path.stem}-{index + 1}")) for path in paths)
        for index in range(count)
    }
