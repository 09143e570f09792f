"""Set a network of the ten classes beside the volunteers' votes on real galaxies; kept as numbers.

    python benchmarks/bridge.py --votes FOLDER --checkpoint pretrained

FOLDER is in the Galaxy Zoo challenge's layout. Its images are framed and normalised as
`galaxylib.votes.classes` says, by the size of simulated galaxies and the images' own light: no label is
looked at before. Writes benchmarks/results/bridge.json, which the chapter on votes quotes.
"""

import argparse
from pathlib import Path

import numpy as np

from galaxylib.files import sha256, write_json
from galaxylib.networks.checkpoint import load
from galaxylib.paper.workspace import open_data
from galaxylib.provenance import provenance
from galaxylib.votes.classes import in_their_own_light, like_galaxy10, set_beside, side_for
from galaxylib.votes.zoo2 import SOLUTIONS, read_solutions

RESULTS = Path(__file__).parent / "results" / "bridge.json"


def main() -> None:
    """Compare and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--votes", type=Path, required=True, help="folder in the challenge's layout")
    parser.add_argument("--checkpoint", default="pretrained", help="network of the ten classes")
    parser.add_argument("--simulated", type=int, default=5000, help="galaxies whose size is taken")
    parser.add_argument("--outputs", default="_build/results/default", help="where these are kept")
    options = parser.parse_args()

    drawn = open_data("simulated", outputs=options.outputs, simulated=options.simulated)
    side = side_for(float(np.nanmedian(drawn.truth["half_light_radius"]) / np.nanmedian(drawn.pxscale)))
    ids, fractions = read_solutions(options.votes / SOLUTIONS)
    images = like_galaxy10(options.votes, ids, side=side)
    loaded = load(options.checkpoint)
    own_light = in_their_own_light(loaded.preprocess, images)
    found = set_beside(loaded, own_light, images, fractions)
    as_they_are = set_beside(loaded, loaded.preprocess, images, fractions)
    content = {
        "own_light": found,
        "as_they_are": {name: as_they_are[name] for name in ("n", "share", "low", "high", "chance", "kappa")},
        "side": side,
        "mean": own_light.mean,
        "deviation": own_light.std,
        "network": {name: loaded.meta[name] for name in ("network", "options", "parameters", "sha256")}
        | {"size": loaded.preprocess.size},
        "provenance": provenance() | {"votes_sha256": sha256(options.votes / SOLUTIONS)},
    }
    write_json(RESULTS, content)
    for name in ("own_light", "as_they_are"):
        score = content[name]
        interval = f"{score['low']:.1%} to {score['high']:.1%}"
        print(f"{name}: {score['share']:.1%} ({interval}), kappa {score['kappa']:.2f}")


if __name__ == "__main__":
    main()
