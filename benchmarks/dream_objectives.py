"""What a dream costs under each kind of objective, beside the plain one and beside two other libraries.

    python -m benchmarks.dream_objectives --others /path/to/python

All dreams are of 256 pixels on one stage, from noise, without random transforms, with as many steps.
`--others` is a Python that has `torch-lucent` and `torch-dreams`, as for `benchmarks/dreaming.py`; both
have some of the objectives. Diversity is among two images, and so is the plain dream that it is compared
with. Every measurement is a process of its own, the methods take turns, and the clock is the processor's
time of one thread. Results go to benchmarks/results/dream_objectives.json.
"""

import argparse
import importlib
import json
import statistics
import sys
import time
from typing import Any

import torch
from torch import nn

from benchmarks.dreaming import ROOT, elsewhere_of, galaxy, network

RESULTS = ROOT / "benchmarks" / "results" / "dream_objectives.json"
STAGE, SIZE, STEPS = "dma3", 256, 20
OBJECTIVES = ("energy", "energy, two images", "channel", "direction", "near", "caricature", "diversity")
PLAIN = {"energy, two images": "energy, two images", "diversity": "energy, two images"}
"""What an objective is compared with, where that is not the stage's energy."""
OTHERS = {
    "torch-lucent": ("channel", "direction", "diversity"),
    "torch-dreams": ("caricature",),
}
"""Libraries, and what they have of the objectives."""
MODULES = {
    "torch-lucent": "lucent.optvis.render",
    "torch-dreams": "torch_dreams",
    "galaxylib": "galaxylib.dream",
}


def ours(model: nn.Module, name: str, steps: int) -> None:
    """The project's dreams."""
    from galaxylib.dream import Settings, caricature, channel, direction, diversity, dream_batch, layer, near

    objective = {
        "channel": channel(STAGE, 3),
        "direction": direction(STAGE, [1.0] * 512),
        "near": layer(STAGE) + near(STAGE),
        "caricature": caricature(STAGE),
        "diversity": layer(STAGE) + diversity(STAGE),
    }.get(name, layer(STAGE))
    count = 2 if name in PLAIN else 1
    settings = Settings(sizes=(SIZE,), steps=(steps,), rates=(0.05,), jitter=(10,), levels=1, start="noise")
    dream_batch(model, galaxy(SIZE)[None], [objective] * count, settings=settings)


def lucent(model: nn.Module, name: str, steps: int) -> None:
    """Those of torch-lucent."""
    from lucent.optvis import objectives, param, render

    objective = {
        "channel": lambda: objectives.channel(STAGE, 3),
        "direction": lambda: objectives.direction(STAGE, torch.ones(512)),
        "diversity": lambda: objectives.channel(STAGE, 3) - objectives.diversity(STAGE),
    }[name]()
    render.render_vis(
        model,
        objective,
        param_f=lambda: param.image(SIZE, batch=2 if name in PLAIN else 1),
        transforms=[],
        preprocess=False,
        thresholds=(steps,),
        progress=False,
        show_image=False,
    )


def torch_dreams(model: nn.Module, name: str, steps: int) -> None:
    """Those of torch-dreams; it has a caricature alone."""
    from torch_dreams import Dreamer

    dreamer = Dreamer(model, quiet=True, device="cpu")
    dreamer.caricature(
        input_tensor=galaxy(SIZE)[None],
        layers=[getattr(model, STAGE)],
        power=2,
        iters=steps,
        # Its transforms stay, and change nothing; it sends the picture through the network at every step.
        rotate_degrees=0,
        scale_max=1,
        scale_min=1,
        translate_x=0,
        translate_y=0,
    )


FUNCTIONS = {"galaxylib": ours, "torch-lucent": lucent, "torch-dreams": torch_dreams}


def one(method: str, name: str) -> float:
    """Processor seconds of one dream, in this process."""
    torch.set_num_threads(1)
    importlib.import_module(MODULES[method])
    model = network()
    for steps in (1, STEPS):  # once for what is built at first use
        begun = time.process_time()
        FUNCTIONS[method](model, name, steps)
    return time.process_time() - begun


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--others", metavar="PYTHON", help="a Python with torch-lucent and torch-dreams")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind (%(default)s)")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps({"seconds": one(*given.one)}))
        return
    from galaxylib.files import write_json
    from galaxylib.provenance import provenance

    wanted = [("galaxylib", name) for name in OBJECTIVES]
    if given.others:
        wanted += [(method, name) for method, names in OTHERS.items() for name in names]
    times: dict[tuple[str, str], list[float]] = {pair: [] for pair in wanted}
    for _ in range(given.rounds):
        for method, name in wanted:
            python = sys.executable if method == "galaxylib" else given.others
            times[method, name].append(elsewhere_of(python, __file__, "--one", method, name)["seconds"])
            print(method, name, f"{times[method, name][-1]:.2f} s", flush=True)
    median = {pair: statistics.median(found) for pair, found in times.items()}
    own = {name: median["galaxylib", name] for name in OBJECTIVES}
    result: dict[str, Any] = {
        "what": "seconds of processor time of a dream, one thread",
        "stage": STAGE,
        "size": SIZE,
        "steps": STEPS,
        "rounds": given.rounds,
        "seconds": own,
        "times_plain": {name: own[name] / own[PLAIN.get(name, "energy")] for name in OBJECTIVES},
        "others": {
            method: {
                name: {"seconds": median[method, name], "times_ours": median[method, name] / own[name]}
                for name in names
            }
            for method, names in OTHERS.items()
            if given.others
        },
        "provenance": provenance(),
    }
    write_json(RESULTS, result)


if __name__ == "__main__":
    main()
