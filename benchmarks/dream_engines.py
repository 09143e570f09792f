"""What a step of a dream costs by frozen layers, and by less code.

    python -m benchmarks.dream_engines

The gradient of the image at one stage is computed by the layers that `galaxylib.dream.frozen` makes and by
what needs no code of ours: the network as it is, with each BatchNorm folded into the convolution before it by
PyTorch's `fuse_conv_bn_eval`, and either of the two under `torch.compile`. All keep no gradient of a weight,
hold their images channels last and stop at the stage.

Every measurement is a process of its own, the methods take turns, and the clock is the processor's time, by
one thread unless `--threads` says more. The network has random weights, which cost the same as others.
Results go to benchmarks/results/dream_engines.json.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks.dreaming import STAGES, elsewhere_of, network
from galaxylib.dream.forward import Tap
from galaxylib.files import write_json
from galaxylib.networks.dmagnet import DMAGNet
from galaxylib.provenance import provenance

RESULTS = Path(__file__).parent / "results" / "dream_engines.json"
ENGINES = ("frozen", "as it is", "folded", "as it is, compiled", "folded, compiled")


def frozen_weights() -> DMAGNet:
    """The paper's network with random weights, which take no gradients."""
    return network().requires_grad_(requires_grad=False)


def until(model: DMAGNet, stage: str) -> nn.Sequential:
    """The stages up to one of them, channels last."""
    names = STAGES[: STAGES.index(stage) + 1]
    return nn.Sequential(*(getattr(model, name) for name in names)).to(memory_format=torch.channels_last)


def folded(model: nn.Module) -> nn.Module:
    """The same with each BatchNorm inside the convolution before it, where an `nn.Sequential` has the two."""
    for module in list(model.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        names = [name for name, _ in module.named_children()]
        for first, second in pairwise(names):
            pair = module.get_submodule(first), module.get_submodule(second)
            if isinstance(pair[0], nn.Conv2d) and isinstance(pair[1], nn.BatchNorm2d):
                setattr(module, first, fuse_conv_bn_eval(*pair))
                setattr(module, second, nn.Identity())
    return model


def engine(name: str, stage: str, precision: torch.dtype) -> Callable[[Tensor], Tensor]:
    """From normalised images (N, 3, H, W) float32 to the stage's output in float32."""
    if name == "frozen":
        tap = Tap(frozen_weights(), [stage], precision=precision)
        return lambda images: tap(images)[stage]
    model: Any = until(frozen_weights(), stage)
    if name.startswith("folded"):
        model = folded(model)
    model = model.to(precision)
    if name.endswith("compiled"):
        model = torch.compile(model)
    return lambda images: model(images.to(precision, memory_format=torch.channels_last)).float()


def one_engine(name: str, stage: str, *, size: int, precision: torch.dtype) -> dict[str, float]:
    """Seconds of processor time of one step, and of what comes before the second."""
    image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))

    def step() -> Tensor:
        images = image.clone().requires_grad_()
        (run(images) ** 2).mean().backward()
        return images.grad

    begun = time.perf_counter()
    run = engine(name, stage, precision)
    gradient = step()
    ready = time.perf_counter() - begun
    times = []
    for _ in range(7):
        begun_step = time.process_time()
        step()
        times.append(time.process_time() - begun_step)
    return {"step": statistics.median(times), "ready": ready, "gradient": float(gradient.norm())}


def measured(*arguments: str) -> dict[str, float]:
    """A measurement of this program in a process of its own."""
    found = elsewhere_of(sys.executable, __file__, *arguments)
    print(*arguments, found, flush=True)
    return found


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind (%(default)s)")
    parser.add_argument("--size", type=int, default=256, help="pixels a side of the engines' image")
    parser.add_argument("--threads", type=int, default=1, help="of torch (%(default)s)")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--engine", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.engine:
        name, stage, precision = given.engine
        print(json.dumps(one_engine(name, stage, size=given.size, precision=getattr(torch, precision))))
        return
    same = ("--threads", str(given.threads), "--size", str(given.size))
    engines: dict[str, Any] = {}
    for precision in given.precisions:
        for stage in (STAGES[1], STAGES[-1]):
            rounds = [
                {name: measured("--engine", name, stage, precision, *same) for name in ENGINES}
                for _ in range(given.rounds)
            ]
            found = {name: medians([one[name] for one in rounds]) for name in ENGINES}
            engines.setdefault(precision, {})[stage] = {
                name: one | {"times_frozen": one["step"] / found["frozen"]["step"]}
                for name, one in found.items()
            }
    result = {
        "what": "seconds of processor time of a step of the image's gradient",
        "threads": given.threads,
        "size": given.size,
        "rounds": given.rounds,
        "engines": engines,
        "provenance": provenance(),
    }
    write_json(RESULTS, result)


if __name__ == "__main__":
    main()
