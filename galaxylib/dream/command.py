"""`galaxylib dream`: make a dream from a picture, or make a former one again."""

import argparse
from pathlib import Path
from typing import Any

import torch

from galaxylib.dream.settings import CHOICES, PAPER, Settings
from galaxylib.errors import DreamError

STEP_OPTIONS = ("start", "parametrisation", "magnitude", "precision")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--image", metavar="FILE", help="the picture to start from: PNG, JPEG, FITS, ...")
    source.add_argument(
        "--from", dest="former", metavar="FILE", help="a dream that this command saved, to be made again"
    )
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="the PNG to write; it carries its record"
    )
    parser.add_argument(
        "--layer",
        metavar="OBJECTIVE",
        help="what shall grow: a stage or any layer (lam), a channel (dma2:5), a neuron (dma2:5@3,4), "
        "a class (logit:Merging), or a sum of them (lam - 0.5*stem); default: lam",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="PATH",
        help="a folder that `train` wrote, or `pretrained` (default: pretrained, or that of --from)",
    )
    parser.add_argument("--size", type=int, metavar="PIXELS", help="last width (default: 1024, the paper's)")
    parser.add_argument("--seed", type=int, metavar="N", help="of shifts and noise (default: 0)")
    parser.add_argument("--mask", metavar="FILE", help="a grey picture: the dream stays where it is bright")
    parser.add_argument("--tile", type=int, metavar="PIXELS", help="cut large images into such windows")
    parser.add_argument("--film", metavar="FILE", help="write the dream's steps as a film too: .gif or .mp4")
    parser.add_argument("--json", metavar="FILE", help="write the record as JSON too")
    for name in STEP_OPTIONS:
        parser.add_argument(f"--{name}", choices=CHOICES[name], help=f"default: {getattr(PAPER, name)}")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> int:
    """Make the dream that the options ask for.

    Raises:
        GalaxyError: one sentence says what is wrong.
    """
    if options.former:
        return _again(options)
    from galaxylib.data.images import read_image
    from galaxylib.dream.objectives import parse
    from galaxylib.networks.checkpoint import load

    given = {name: getattr(options, name) for name in (*STEP_OPTIONS, "tile")}
    settings = PAPER.but(**{name: value for name, value in given.items() if value is not None})
    settings = settings if options.size is None else settings.to(options.size)
    image = read_image(options.image)
    mask = read_image(options.mask).mean(0) if options.mask else None
    if mask is not None and mask.shape != image.shape[1:]:
        raise DreamError(
            f"The mask has {mask.shape[0]} x {mask.shape[1]} pixels and the image {image.shape[1]} x "
            f"{image.shape[2]}: make them the same size."
        )
    checkpoint = options.checkpoint or "pretrained"
    loaded = load(checkpoint)
    objective = parse(options.layer or "lam", class_names=loaded.class_names)
    seed = options.seed or 0
    _make(options, loaded, checkpoint, image, objective, settings=settings, seed=seed, mask=mask)
    return 0


def _again(options: argparse.Namespace) -> int:
    """Make a saved dream again from what its file carries."""
    from galaxylib.dream.objectives import Objective
    from galaxylib.dream.record import network_hash, read_png
    from galaxylib.networks.checkpoint import load

    changed = ("layer", "size", "seed", "mask", "tile", *STEP_OPTIONS)
    given = [f"--{name}" for name in changed if getattr(options, name) is not None]
    if given:
        raise DreamError(f"--from makes the same dream again, so leave out {', '.join(given)}.")
    record, image, mask = read_png(options.former)
    checkpoint = options.checkpoint or record.get("checkpoint")
    if not checkpoint:
        raise DreamError(f"{options.former} does not say which checkpoint made it: give --checkpoint.")
    loaded = load(checkpoint)
    try:
        wanted, threads = record["network"]["sha256"], int(record["versions"]["threads"])
        settings, seed = Settings.from_dict(record["settings"]), int(record["seed"])
        objective = Objective.from_dict(record["objective"]["terms"])
        steps = int(record["steps_done"])
    except (KeyError, TypeError, ValueError) as fault:
        raise DreamError(f"The record in {options.former} lacks {fault}: it was changed.") from fault
    if network_hash(loaded.network) != wanted:
        raise DreamError(
            f"The network in {checkpoint} is not the one that made {options.former}: "
            "give its checkpoint with --checkpoint."
        )
    # Sums are rounded in another order on another number of threads.
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        _make(
            options, loaded, checkpoint, image, objective, settings=settings, seed=seed, mask=mask, stop=steps
        )
    finally:
        torch.set_num_threads(before)
    return 0


def _make(
    options: argparse.Namespace,
    loaded: Any,
    checkpoint: str,
    image: torch.Tensor,
    objective: Any,
    *,
    settings: Settings,
    seed: int,
    mask: torch.Tensor | None,
    stop: int | None = None,
) -> None:
    from tqdm import tqdm

    from galaxylib.dream.ascent import Step
    from galaxylib.dream.dreaming import dream
    from galaxylib.dream.film import check_film, save_film
    from galaxylib.files import write_json

    out = Path(options.out)
    if out.suffix.lower() != ".png":
        raise DreamError(
            f"A dream is saved as PNG, which keeps its record: call it {out.with_suffix('.png')}."
        )
    if options.film:
        check_film(options.film)
    with tqdm(total=settings.total_steps, unit="step", desc=str(objective), disable=options.quiet) as bar:

        def progress(step: Step) -> bool:
            bar.update()
            bar.set_postfix(width=step.size, value=f"{step.values[0]:.3g}")
            return step.number == stop

        made = dream(
            loaded.network,
            image,
            objective,
            settings=settings,
            preprocess=loaded.preprocess,
            seed=seed,
            mask=mask,
            progress=progress,
            keep_frames=bool(options.film),
        )
    made.save(out, checkpoint=str(checkpoint))
    if options.film:
        save_film(made.frames, options.film)
    if options.json:
        write_json(options.json, made.record | {"checkpoint": str(checkpoint)})
    values = made.record["values"]
    height, width = made.image.shape[1:]
    print(f"{out}: {width} x {height} pixels; {objective} {values[0]:.4g} -> {values[-1]:.4g}.")
