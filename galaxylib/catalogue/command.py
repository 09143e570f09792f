"""`galaxylib classify`: images of one's own into a catalogue.

What the command needs is imported when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from galaxylib.errors import BATCHES, PARTS, PIXSCALES, filled

if TYPE_CHECKING:
    from galaxylib.catalogue.run import Summary

FEW = 10
"""Images whose classes are printed, where there are no more."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `galaxylib classify`."""
    command.add_argument(
        "inputs",
        type=filled,
        nargs="+",
        metavar="INPUT",
        help="images (JPEG, PNG, TIFF, WebP, FITS, gzip'd or not), folders of them, patterns such as "
        "'cutouts/*-{band}.fits' for g, r and z in three files, HDF5 files of the Galaxy10 layout, Parquet "
        "files with images, and CSV or Parquet tables of paths",
    )
    command.add_argument(
        "--out",
        type=filled,
        required=True,
        metavar="CATALOGUE",
        help="the table to write: .parquet, .csv, .ecsv or .fits (or the folder for shards); a run that was "
        "stopped goes on",
    )
    command.add_argument(
        "--shard",
        type=filled,
        metavar="K/N",
        help="make the K-th of N shards of the catalogue, which `galaxylib merge` makes one dataset; several "
        "processes started by torchrun make one each",
    )
    command.add_argument(
        "--checkpoint",
        type=filled,
        default="real",
        metavar="PATH",
        help="a folder that `train` wrote, or `real`, `real-small`, `pretrained` or `small` "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--pixscale",
        type=PIXSCALES.read,
        metavar="ARCSEC",
        help="arcsec a pixel of images whose WCS or table does not tell "
        "(default: 0.262 is assumed, and flagged)",
    )
    command.add_argument(
        "--centre",
        choices=("middle", "light"),
        default="middle",
        help="where the frame of 256 pixels is cut: around the middle of the image, or its brightest place "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--as-is", action="store_true", help="show every image whole, at 256 pixels, whatever its scale"
    )
    for flag, meaning in (("id", "the images' names"), ("image", "the images, or their paths")):
        command.add_argument(
            f"--{flag}-column",
            type=filled,
            metavar="NAME",
            help=f"the column of tables that holds {meaning} (default: the first of the usual names)",
        )
    command.add_argument(
        "--symmetries", action="store_true", help="average over the eight views of each image"
    )
    command.add_argument(
        "--votes",
        action="store_true",
        help="add the 37 vote fractions of a network of votes (the checkpoint `pretrained` is one here); "
        "needs --as-is",
    )
    command.add_argument(
        "--embedding",
        action="store_true",
        help="add what the network's last stage gives, averaged over pixels",
    )
    command.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="float32 computes as `evaluate` does; auto takes bfloat16 where the machine has it, which is "
        "faster and moves a probability by up to 0.02 (default: %(default)s)",
    )
    command.add_argument(
        "--batch-size", type=BATCHES.read, metavar="N", help="images at once (default: what suits the device)"
    )
    command.add_argument(
        "--save-every",
        type=PARTS.read,
        default=2048,
        metavar="N",
        help="images after which a run that is stopped can go on (default: %(default)s)",
    )
    _add_page(command)
    command.add_argument(
        "--strict", action="store_true", help="exit with status 1 if an image cannot be read"
    )


def run(options: argparse.Namespace) -> int:
    """Run `galaxylib classify`.

    Raises:
        GalaxyError: one sentence.
    """
    from galaxylib.catalogue.frame import UNREADABLE, Frame
    from galaxylib.catalogue.inputs import Columns
    from galaxylib.catalogue.run import Settings, classify
    from galaxylib.catalogue.shards import Shard
    from galaxylib.training.hardware import Devices

    devices = Devices.announced()
    devices.take_own()
    shard = Shard.read(options.shard) if options.shard else Shard.announced()
    summary = classify(
        *options.inputs,
        out=options.out,
        checkpoint=options.checkpoint,
        settings=Settings(
            frame=Frame(pixscale=options.pixscale, centre=options.centre, as_is=options.as_is),
            columns=Columns(id=options.id_column or "", image=options.image_column or ""),
            symmetries=options.symmetries,
            embedding=options.embedding,
            votes=options.votes,
            precision=options.precision,
            batch_size=options.batch_size,
            save_every=options.save_every,
        ),
        shard=shard,
        own_network=options.own_network,
        page=options.page,
        lab=options.lab or "",
        progress=not options.quiet and devices.rank == 0,
    )
    for line in told(summary)[-1 if shard else 0 :]:
        print(line)
    lost = summary.counts.get(UNREADABLE, 0)
    if lost:
        reason = summary.unreadable[0][1]
        print(
            f"galaxylib: {lost} of {summary.rows} images could not be read; the first: {reason}",
            file=sys.stderr,
        )
    return 1 if lost and options.strict else 0


def add_merge(command: argparse.ArgumentParser) -> None:
    """The options of `galaxylib merge`."""
    command.add_argument(
        "folder", type=filled, metavar="FOLDER", help="where `classify --shard`, or under torchrun, wrote"
    )
    _add_page(command)
    command.set_defaults(run=merge)


def _add_page(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--page",
        type=filled,
        metavar="FOLDER",
        help="write a page there: the counts, and the surest and the most doubtful images of each class",
    )
    command.add_argument(
        "--lab",
        type=filled,
        metavar="ADDRESS",
        help="where a dream lab is served: the page's images link to it with their class chosen",
    )


def merge(options: argparse.Namespace) -> None:
    """Run `galaxylib merge`.

    Raises:
        GalaxyError: one sentence.
    """
    from galaxylib.catalogue.shards import MANIFEST, merge

    manifest = merge(options.folder, page=options.page, lab=options.lab or "")
    print(
        f"{manifest['rows']} images, {manifest['unreadable']} of them unreadable, are in the "
        f"{len(manifest['shards'])} shards of {options.folder}; {MANIFEST} tells of them."
    )


def told(summary: Summary) -> list[str]:
    """The lines that `galaxylib classify` prints of a run."""
    lines = []
    if summary.rows <= FEW:
        lines += [_row(row) for row in summary.first if row["class"]]
    else:
        from galaxylib.data.galaxy10 import CLASS_NAMES

        lines += [f"{name}: {summary.counts[name]}" for name in CLASS_NAMES if name in summary.counts]
    lines.append(f"{summary.rows} image{'s' * (summary.rows != 1)} in {summary.path}.")
    return lines


def _row(row: dict) -> str:
    from galaxylib.catalogue.writing import class_and_rival

    (first, name), (second, rival) = class_and_rival(row)
    text = f"{row['id']}: {name} ({first:.0%}; next {rival}, {second:.0%})"
    if row["unlike_training"] > 1:
        text += f", unlike the images of training ({row['unlike_training']:.1f})"
    return text + (f" [{row['flags']}]" if row["flags"] else "")
