"""How much faster ConvNet trains on the centre of the images than on all of their pixels.

    python -m benchmarks.crop

The ConvNet report (seed 002, section IV.B) expects of its crop, which leaves a quarter of the pixels, "a
proportional improvement in training time". Here the chapter's two experiments are trained in turn, round by
round, so that a machine that slows down slows both; of each training the passes after the first count. The
images hold noise, for the time of a step does not depend on what they show.

Results go to benchmarks/results/crop.json, an entry for each machine; the chapter shows the last.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from benchmarks.machines import put
from galaxylib.data.in_memory import InMemory
from galaxylib.paper.experiments import WHOLE_IMAGE, planned
from galaxylib.paper.reference import BASES
from galaxylib.paper.trials import Trial, run_trial

RESULTS = Path(__file__).parent / "results" / "crop.json"
TITLES = {"centre": BASES["convnet"], "whole": WHOLE_IMAGE}
"""The experiments by the part of the image that they read."""


def seconds(trial: Trial, *, images: int) -> float:
    """Of a pass, the mean over all but the first.

    Args:
        trial: of two passes or more.
        images: to train on.
    """
    size = trial.recipe.size
    noise = np.random.default_rng(0).integers(0, 256, (images, size, size, 3), dtype=np.uint8)
    result = run_trial(trial, InMemory(noise, np.arange(images) % 10, simulated=True))
    return float(result.history["seconds"].iloc[1:].mean())


def ratio_of(pairs: list[dict[str, float]]) -> dict[str, float]:
    """How many times as long the whole image takes, with the 95 % interval of a mean over rounds.

    Args:
        pairs: the seconds of both, a round each; two rounds or more.

    Returns:
        `ratio`, the geometric mean over the rounds, with `ratio_low` and `ratio_high` by Student's t.
    """
    logs = np.log([pair["whole"] / pair["centre"] for pair in pairs])
    half = student.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
    ends = {"ratio": 0.0, "ratio_low": -half, "ratio_high": half}
    return {name: round(float(np.exp(logs.mean() + end)), 3) for name, end in ends.items()}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=512, help="to train on")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    plans = planned(epochs=3, batch_size=32, five_size=64, seed=0)
    pairs = []
    for number in range(options.rounds):
        pairs.append({part: seconds(plans[title], images=options.images) for part, title in TITLES.items()})
        print(f"round {number + 1}: {pairs[-1]['centre']:.2f} s and {pairs[-1]['whole']:.2f} s", flush=True)
    pixels = {part: plans[title].recipe.size for part, title in TITLES.items()}
    found = ratio_of(pairs)
    what = "seconds of a pass of ConvNet over the centre of the images and over all of their pixels"
    put(options.out, what, {"images": options.images, "pixels": pixels, "rounds": pairs} | found)
    print(f"{found['ratio']} times as long, {found['ratio_low']} to {found['ratio_high']}")


if __name__ == "__main__":
    main()
