"""`galaxylib evaluate` and `galaxylib calibrate`: score a trained network, and make its confidence honest.

What the commands need is imported when they run, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxylib.errors import BATCHES, DataError, GalaxyError, filled

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from galaxylib.data.galaxy10 import Galaxy10
    from galaxylib.networks.checkpoint import Loaded

PARTS = ("all", "train", "validation", "test")


def add_evaluate(command: argparse.ArgumentParser) -> None:
    """The options of `galaxylib evaluate`."""
    command.add_argument(
        "--task",
        choices=("galaxy10", "zoo2"),
        default="galaxy10",
        help="ten classes, or the 37 vote fractions of Galaxy Zoo 2 (default: %(default)s)",
    )
    command.add_argument(
        "--data",
        type=filled,
        required=True,
        metavar="PATH",
        help="a Galaxy10 HDF5 file; for zoo2 a folder in the Galaxy Zoo challenge's layout",
    )
    command.add_argument(
        "--checkpoint",
        type=filled,
        required=True,
        metavar="PATH",
        help="a folder that `train` wrote, or `real`, `real-small`, `pretrained` or `small`",
    )
    command.add_argument(
        "--out", type=filled, required=True, metavar="FOLDER", help="for evaluation.json and predictions.csv"
    )
    command.add_argument(
        "--part",
        choices=PARTS,
        default="all",
        help="which galaxies: all, or a part of the split kept with the checkpoint (default: all)",
    )
    _add_batch_size(command)
    command.add_argument(
        "--symmetries", action="store_true", help="average over the eight views of each image"
    )


def add_completed(command: argparse.ArgumentParser) -> None:
    """The checkpoint to which a command adds something, for `folder_to_complete`."""
    command.add_argument(
        "checkpoint", type=filled, metavar="CHECKPOINT", help="a folder that `train` wrote, to be completed"
    )


def folder_to_complete(checkpoint: str) -> Path:
    """The folder of such a checkpoint.

    Raises:
        GalaxyError: it is one that comes with the library.
    """
    from galaxylib.networks.checkpoint import SHIPPED

    if checkpoint in SHIPPED:
        raise GalaxyError(
            f"The checkpoint {checkpoint} comes with galaxylib and stays as it is: copy its folder, and give "
            "that of the copy."
        )
    return Path(checkpoint)


def add_calibrate(command: argparse.ArgumentParser) -> None:
    """The options of `galaxylib calibrate`."""
    add_completed(command)
    command.add_argument(
        "--data",
        type=filled,
        required=True,
        metavar="FILE",
        help="a Galaxy10 HDF5 file with galaxies that the network was not trained on",
    )
    command.add_argument(
        "--part",
        choices=("validation", "all"),
        default="validation",
        help="which galaxies: those that the checkpoint's split keeps for validation, or all of another file "
        "(default: %(default)s)",
    )
    _add_batch_size(command)


def _add_batch_size(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--batch-size", type=BATCHES.read, default=64, metavar="N", help="images at once (default: 64)"
    )


def check_evaluated(options: argparse.Namespace) -> None:
    """Refuse outputs of `galaxylib evaluate` that cannot be written, before any work goes into them.

    Raises:
        GalaxyError: as `galaxylib.files.check_outputs`.
    """
    from galaxylib.evaluation.predictions import WRITTEN
    from galaxylib.files import check_outputs
    from galaxylib.networks.checkpoint import checkpoint_files

    outputs = (Path(options.out, name) for name in WRITTEN)
    check_outputs(*outputs, inputs=[options.data, *checkpoint_files(options.checkpoint)])


def evaluate(options: argparse.Namespace) -> None:
    """Run `galaxylib evaluate` on a Galaxy10 file.

    Raises:
        GalaxyError: one sentence.
    """
    check_evaluated(options)
    from galaxylib.data.galaxy10 import Galaxy10
    from galaxylib.evaluation.predictions import predict, write_evaluation
    from galaxylib.networks.checkpoint import has_met, load

    data = Galaxy10(options.data)
    loaded = load(options.checkpoint, own_network=options.own_network)
    trained_here = has_met(loaded.meta, data.fingerprint)
    if options.part == "all" and trained_here:
        print("galaxylib: this network was trained on images of this file; see --part test.", file=sys.stderr)
    table = predict(
        loaded,
        data,
        _rows(options, loaded, data),
        batch_size=options.batch_size,
        symmetries=options.symmetries,
        progress=not options.quiet,
    )
    found = write_evaluation(
        table,
        options.out,
        data={"path": str(data.path), "fingerprint": data.fingerprint, "simulated": data.simulated},
        part=options.part,
        trained_on_this_file=trained_here,
        symmetries=options.symmetries,
        checkpoint={name: loaded.meta[name] for name in ("network", "options", "sha256")},
        temperature=loaded.temperature,
    )
    for line in told(found):
        print(line)


def told(found: dict[str, Any]) -> list[str]:
    """The lines that `galaxylib evaluate` prints of an evaluation, as `write_evaluation` returns it."""
    low, high = found["accuracy_interval"]
    lines = [
        f"{found['n']} galaxies: accuracy {found['accuracy']:.1%} ({low:.1%} to {high:.1%}), "
        f"macro F1 {found['macro_f1']:.3f}."
    ]
    low, high = found["ece_interval"]
    at = f"at temperature {found['temperature']:.2f}" if found["temperature"] != 1 else "as trained"
    lines.append(f"Calibration error {found['ece']:.3f} ({low:.3f} to {high:.3f}), {at}.")
    _, *kept = found["risk_coverage"]["table"]
    shares = ", ".join(f"{entry['accuracy']:.1%} without {1 - entry['coverage']:.0%}" for entry in kept)
    lines.append(f"Accuracy without those it is least sure of: {shares}.")
    if "unlike_training" in found:
        above = found["unlike_training"]["above"]
        lines.append(f"Unlike its training's images: {above:.1%}, of images like them 5 %.")
    return lines


def calibrate(
    options: argparse.Namespace,
    *,
    measure: Callable[[Loaded], tuple[float, str]] | None = None,
    alike: Callable[[], np.ndarray] | None = None,
) -> None:
    """Run `galaxylib calibrate`.

    Args:
        options: the command line.
        measure: measures the temperature of the network in another way than by the file's labels, and says
            in a few words how.
        alike: gives (M, 256, 256, 3) uint8, images without labels that count as like the training's.

    Raises:
        GalaxyError: one sentence; the checkpoint then says what it said before.
    """
    from galaxylib.data.galaxy10 import Galaxy10
    from galaxylib.evaluation.calibrating import calibrated
    from galaxylib.evaluation.unlike import ENOUGH, FEWEST
    from galaxylib.files import check_outputs
    from galaxylib.networks.checkpoint import DESCRIPTION, REFERENCE, has_met, load, set_confidence
    from galaxylib.provenance import provenance

    folder = folder_to_complete(options.checkpoint)
    loaded = load(folder, own_network=options.own_network)
    check_outputs(folder / DESCRIPTION, folder / REFERENCE, inputs=[options.data])
    data = Galaxy10(options.data)
    if options.part == "all" and has_met(loaded.meta, data.fingerprint):
        raise DataError(
            "The network was trained on galaxies of this file, and is surer of those than of any others: "
            "calibrate with --part validation, or with another file."
        )
    rows = _rows(options, loaded, data)
    # Only now, for other images take their time.
    temperature, by = (None, "the labels of these galaxies") if measure is None else measure(loaded)
    others = None if alike is None else alike()
    count = len(rows) + (0 if others is None else len(others))
    if FEWEST <= len(rows) < ENOUGH:
        print(
            f"galaxylib: {len(rows)} galaxies measure a confidence roughly; {ENOUGH} or more do it well.",
            file=sys.stderr,
        )
    new = calibrated(
        loaded,
        data,
        rows,
        temperature=temperature,
        alike=others,
        batch_size=options.batch_size,
        progress=not options.quiet,
    )
    set_confidence(
        folder,
        temperature=new.temperature,
        reference=new.reference,
        images=count,
        part=options.part,
        temperature_by=by,
        data={"fingerprint": data.fingerprint, "simulated": data.simulated},
        time=provenance()["time"],
    )
    print(
        f"Temperature {new.temperature:.2f}, and a reference of what the training's images are like, from "
        f"{count} galaxies: both are in {options.checkpoint}."
    )


def _rows(options: argparse.Namespace, loaded: Loaded, data: Galaxy10) -> np.ndarray:
    import numpy as np

    from galaxylib.data.splits import SPLIT, load_split
    from galaxylib.evaluation.predictions import check_unseen

    if options.part == "all":
        return np.arange(len(data))
    split = load_split(f"{options.checkpoint}/{SPLIT}", data)
    check_unseen(split, loaded.meta, checkpoint=options.checkpoint)
    return getattr(split, options.part)
