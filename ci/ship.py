"""Take a trained network among the weights that come with the book, with the figures that its card quotes.

    python -m ci.ship RUN NAME --simulated FRESH.h5 --real SAMPLE.h5 --votes FOLDER --coarse FOLDER

RUN is a checkpoint folder of `galaxylib train` or `galaxylib average`, completed by `galaxylib calibrate`.
Its weights are halved in precision; then they are scored. Until here, nothing has read a label of a real
Galaxy10 image. The scores go into `checkpoint.json` under `results`: those of simulated galaxies that took
no part, of the real sample, and of the galaxies of other surveys that are held out from every training. The
card's text is written by hand.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.evaluation.predictions import predict, scores
from galaxylib.files import sha256, write_json
from galaxylib.networks.checkpoint import BROUGHT, DESCRIPTION, Loaded, halve, load
from galaxylib.training.state import HISTORY
from galaxylib.votes.held_out import held_out_part, judged, score
from galaxylib.votes.other_surveys import Survey, read_coarse, read_voted


def ship(
    run: Path, folder: Path, *, simulated: Path, real: Path, surveys: dict[str, Survey]
) -> dict[str, Any]:
    """Halve a checkpoint into a folder, score what is there, and add the scores to its description.

    Args:
        run: the checkpoint folder.
        folder: where the halved one is written.
        simulated: a file of galaxies that the network was not trained on.
        real: the real sample.
        surveys: galaxies of other surveys by a short name, of which the held-out part is scored.

    Returns:
        the scores, as the description has them.
    """
    halve(run, folder)
    loaded = load(folder)
    found: dict[str, Any] = {"real_file": {"name": real.name, "sha256": sha256(real)}}
    for kind, path in (("simulated", simulated), ("real", real)):
        with Galaxy10(path) as data:
            found[kind] = {"plain": scores(predict(loaded, data, range(len(data))))}
    found["held_out"] = {name: held_out_score(loaded, survey) for name, survey in surveys.items()}
    about = loaded.meta | {"results": found}
    if "averaged_with" not in about:  # those of a mean are its first training's
        about["seconds"] = float(pd.read_csv(run / HISTORY)["seconds"].sum())
    write_json(folder / DESCRIPTION, about)
    return found


def held_out_score(loaded: Loaded, survey: Survey) -> dict[str, Any]:
    """What `galaxylib.votes.held_out.score` says of a network and a survey's held-out part."""
    part = held_out_part(survey)
    return score(judged(loaded, part), part)


def main() -> None:
    """Ship one network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a trained and calibrated checkpoint")
    parser.add_argument("name", help="by which `galaxylib.load` will know it")
    parser.add_argument("--simulated", type=Path, required=True, help="simulated galaxies that took no part")
    parser.add_argument("--real", type=Path, required=True, help="the real sample")
    parser.add_argument("--votes", type=Path, required=True, help="folder in the challenge's layout")
    parser.add_argument("--coarse", type=Path, required=True, help="folder with coarse classes")
    given = parser.parse_args()
    surveys = {"gz2": read_voted(given.votes), "gz1": read_coarse(given.coarse)}
    folder = BROUGHT / given.name
    found = ship(given.run, folder, simulated=given.simulated, real=given.real, surveys=surveys)
    for kind in ("simulated", "real"):
        told = found[kind]["plain"]
        low, high = told["accuracy_interval"]
        line = f"- {told['n']:,} {kind} galaxies: {told['accuracy']:.1%} ({low:.1%} to {high:.1%})"
        print(line.replace("%", " %"), f"calibration error {told['ece']:.3f}")
    print(f"{given.name} is in {folder}.")


if __name__ == "__main__":
    main()
