"""How fast dreaming is, beside the usual loop and two other libraries: same network, layer, size and steps.

    python benchmarks/dreaming.py --others /path/to/python

"The usual loop" is what one would write first, and what most published code does: the whole forward pass, a
hook on the layer, `backward()` with gradients for the weights too, then the paper's blur, scaling and clamp.
`--others` is a Python that has `torch-lucent` and `torch-dreams` beside torch (they pin an old kornia, so
keep them in an environment of their own); without it they are left out. Both get no random transforms, so
that all methods pass images of the same size through the network; their image parametrisation is their own.
Every measurement is a process of its own, and the methods take turns.

It also times the paper's whole figure for one galaxy (five stages, to 1024 pixels), compares tiled with
untiled dreams at 512 pixels, measures the memory of a tiled dream at 2048, and says what bfloat16 changes.

Results go to benchmarks/results/dreaming.json. The network has random weights, which cost the same as others.
"""

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "dreaming.json"
STAGES = ("stem", "dma1", "dma2", "dma3", "lam")
METHODS = ("galaxylib", "galaxylib bfloat16", "usual loop", "torch-lucent", "torch-dreams")


def network() -> nn.Module:
    """The paper's network, random weights, in evaluation mode."""
    from galaxylib.networks.dmagnet import DMAGNet

    torch.manual_seed(0)
    return DMAGNet().eval()


def galaxy(size: int) -> Tensor:
    """A stand-in image (3, size, size) in [0, 1]: a blob on a noisy sky."""
    place = (torch.arange(size) - (size - 1) / 2) / size
    light = torch.exp(-((place[:, None] / 0.1) ** 2) - (place[None, :] / 0.2) ** 2)
    noise = 0.02 * torch.randn(3, size, size, generator=torch.Generator().manual_seed(0))
    return (0.14 + 0.6 * light + noise).clamp(0, 1)


def ours(model: nn.Module, stage: str, size: int, steps: int, precision: str = "float32") -> Tensor:
    """One size, one level."""
    from galaxylib.dream import Settings, dream, layer

    settings = Settings(
        sizes=(size,), steps=(steps,), rates=(0.05,), jitter=(10,), levels=1, precision=precision
    )
    return dream(model, galaxy(size), layer(stage), settings=settings).image


def ours_bfloat16(model: nn.Module, stage: str, size: int, steps: int) -> Tensor:
    """The same in bfloat16."""
    return ours(model, stage, size, steps, "bfloat16")


def usual(model: nn.Module, stage: str, size: int, steps: int) -> Tensor:
    """The loop that one would write first."""
    from galaxylib.data.preprocessing import MEAN, STD

    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    kept: dict[str, Tensor] = {}
    getattr(model, stage).register_forward_hook(lambda _m, _i, output: kept.update(output=output))
    x = (galaxy(size)[None] - mean) / std
    generator = torch.Generator().manual_seed(0)
    away = torch.arange(9) - 4.0
    for step in range(steps):
        shift = torch.randint(-10, 11, (2,), generator=generator).tolist()
        x = torch.roll(x, shift, (2, 3)).detach().requires_grad_()
        model.zero_grad()
        model(x)
        (kept["output"] ** 2).mean().backward()
        gradient, sigma = F.pad(x.grad, (4, 4, 4, 4), mode="reflect"), 2 * (step + 1) / steps + 0.5
        smooth = torch.zeros_like(x.grad)
        for factor in (0.5, 1.0, 2.0):
            row = torch.exp(-((away / (factor * sigma)) ** 2) / 2)
            kernel = (row[:, None] * row[None, :] / row.sum() ** 2).expand(3, 1, 9, 9)
            smooth += F.conv2d(gradient, kernel, groups=3) / 3
        smooth = (smooth - smooth.mean()) / smooth.std()
        x = torch.minimum(torch.maximum(x.detach() + 0.05 * smooth, -mean / std), (1 - mean) / std)
        x = torch.roll(x, [-s for s in shift], (2, 3))
    return (x * std + mean)[0].detach()


def lucent(model: nn.Module, stage: str, size: int, steps: int) -> Tensor:
    """torch-lucent's `render_vis` with the same objective and no transforms."""
    from lucent.optvis import objectives, param, render

    @objectives.wrap_objective()
    def energy(name: str) -> Callable[[Callable[[str], Tensor]], Tensor]:
        return lambda activation: -(activation(name) ** 2).mean()

    images = render.render_vis(
        model,
        energy(stage),
        param_f=lambda: param.image(size),
        transforms=[],
        preprocess=False,
        thresholds=(steps,),
        progress=False,
        show_image=False,
    )
    return torch.from_numpy(images[0])


def torch_dreams(model: nn.Module, stage: str, size: int, steps: int) -> Tensor:
    """torch-dreams' `render` with the same objective and no transforms."""
    from torch_dreams import Dreamer

    dreamer = Dreamer(model, quiet=True, device="cpu")
    dreamer.set_custom_transforms(nn.Identity())
    made = dreamer.render(
        layers=[getattr(model, stage)],
        width=size,
        height=size,
        iters=steps,
        custom_func=lambda outputs: -(outputs[0] ** 2).mean(),
    )
    return made.to_chw_tensor()


FUNCTIONS = dict(zip(METHODS, (ours, ours_bfloat16, usual, lucent, torch_dreams), strict=True))
# Imported before anything is measured.
MODULES = {
    "galaxylib": "galaxylib.dream",
    "galaxylib bfloat16": "galaxylib.dream",
    "usual loop": "galaxylib.data.preprocessing",
    "torch-lucent": "lucent.optvis.render",
    "torch-dreams": "torch_dreams",
}


def one(method: str, stage: str, size: int, steps: int, threads: int) -> dict[str, float]:
    """One measurement, in this process; the memory is what dreaming adds to a loaded network."""
    torch.set_num_threads(threads)
    importlib.import_module(MODULES[method])
    model = network()
    rss = float(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    FUNCTIONS[method](model, stage, size, 1)  # once for what is built at first use
    start, worked = time.perf_counter(), time.process_time()
    FUNCTIONS[method](model, stage, size, steps)
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "cpu_seconds": worked, "added_mib": (peak - rss) / 2**20}


def elsewhere(python: str, *arguments: str) -> dict[str, Any]:
    """A measurement of this program in a process of its own."""
    return elsewhere_of(python, __file__, *arguments)


def elsewhere_of(python: str, program: str, *arguments: str) -> dict[str, Any]:
    """What a program prints last, as JSON, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [python, program, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Median seconds and memory of every method and stage, and the ratios to ours."""
    methods = METHODS if options.others else METHODS[:3]
    found: dict[str, dict[str, list[dict[str, float]]]] = {m: {s: [] for s in STAGES} for m in methods}
    for round_number in range(options.rounds):
        for stage in STAGES:
            for method in methods:
                python = options.others if method in METHODS[3:] else sys.executable
                arguments = [method, stage, str(options.size), str(options.steps), str(options.threads)]
                found[method][stage].append(elsewhere(python, "--one", *arguments))
                last = found[method][stage][-1]
                print(
                    f"round {round_number + 1}: {stage:5} {method:18} {last['seconds']:7.2f} s, "
                    f"{last['cpu_seconds']:7.2f} s of CPU, {last['added_mib']:7.0f} MiB",
                    flush=True,
                )
    table = {
        method: {
            stage: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            for stage, runs in stages.items()
        }
        for method, stages in found.items()
    }
    clock = "cpu_seconds" if options.cpu_time else "seconds"

    def against(mine: str, key: str) -> dict[str, dict[str, float]]:
        return {m: {s: table[m][s][key] / table[mine][s][key] for s in STAGES} for m in methods[2:]}

    ratios = {mine: against(mine, clock) for mine in methods[:2]}
    return {
        "clock": clock,
        "threads": options.threads,
        "size": options.size,
        "steps": options.steps,
        "rounds": options.rounds,
        "table": table,
        "ratios": ratios,
        "memory_ratios": {mine: against(mine, "added_mib") for mine in methods[:2]},
        "mean_ratio": {
            mine: {method: statistics.mean(by.values()) for method, by in others.items()}
            for mine, others in ratios.items()
        },
    }


def figure(threads: int) -> dict[str, Any]:
    """The paper's whole figure for one galaxy, five stages through `PAPER_DREAM`, in each arithmetic."""
    from galaxylib.dream import PAPER_DREAM, dream, layer
    from galaxylib.provenance import processor

    torch.set_num_threads(threads)
    found: dict[str, Any] = {"threads": threads, "processor": processor()}
    for precision in ("float32", "bfloat16"):
        model, image, seconds = network(), galaxy(256), {}
        started = time.process_time()
        for stage in STAGES:
            start = time.perf_counter()
            dream(model, image, layer(stage), settings=PAPER_DREAM.but(precision=precision))
            seconds[stage] = time.perf_counter() - start
        found[precision] = {
            "seconds": seconds,
            "total_seconds": sum(seconds.values()),
            "cpu_seconds": time.process_time() - started,
        }
    return found


def tiling(threads: int) -> dict[str, Any]:
    """How far a tiled dream at 512 pixels is from the untiled one."""
    from galaxylib.dream import PAPER_DREAM, dream, layer

    torch.set_num_threads(threads)
    settings = PAPER_DREAM.but(sizes=(512,), steps=(10,), rates=(0.03,), jitter=(5,))
    model, image, found = network(), galaxy(512), {}
    for stage in STAGES:
        made = [
            dream(model, image, layer(stage), settings=settings.but(tile=tile)).image for tile in (0, 256)
        ]
        change = [(one - image).flatten() for one in made]
        found[stage] = {
            "rms_difference": float((made[0] - made[1]).square().mean().sqrt()),
            "rms_change": float(change[0].square().mean().sqrt()),
            "correlation_of_changes": float(torch.corrcoef(torch.stack(change))[0, 1]),
        }
    return {"size": 512, "tile": 256, "stages": found}


def large(threads: int) -> dict[str, Any]:
    """Peak memory of a tiled dream at 2048 pixels on the deepest stage, one step on each level."""
    from galaxylib.dream import PAPER_DREAM, dream, layer

    torch.set_num_threads(threads)
    settings = PAPER_DREAM.but(sizes=(2048,), steps=(1,), rates=(0.01,), jitter=(5,), tile=512)
    start = time.perf_counter()
    dream(network(), galaxy(2048), layer("lam"), settings=settings)
    return {
        "size": 2048,
        "tile": 512,
        "seconds": time.perf_counter() - start,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def bfloat16(threads: int) -> dict[str, Any]:
    """What bfloat16 changes: seconds of CPU, and the dream."""
    torch.set_num_threads(threads)
    model, found = network(), {}
    for stage in STAGES:
        made, seconds = {}, {}
        for precision in ("float32", "bfloat16"):
            ours(model, stage, 256, 1, precision)
            start = time.process_time()
            made[precision] = ours(model, stage, 256, 10, precision)
            seconds[precision] = time.process_time() - start
        change = torch.stack([(made[p] - galaxy(256)).flatten() for p in made])
        found[stage] = {"cpu_seconds": seconds, "correlation_of_changes": float(torch.corrcoef(change)[0, 1])}
    return found


PARTS = {"figure": figure, "tiling": tiling, "large": large, "bfloat16": bfloat16}


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--others", metavar="PYTHON", help="a Python with torch-lucent and torch-dreams")
    parser.add_argument("--size", type=int, default=256, help="pixels a side (%(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="of each dream (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind (%(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of torch (%(default)s)")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="compare seconds of CPU, not of the clock: with --threads 1, on a machine that others use too",
    )
    parser.add_argument("--parts", nargs="*", choices=("compare", *PARTS), default=("compare", *PARTS))
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=tuple(PARTS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        method, stage, *numbers = options.one
        print(json.dumps(one(method, stage, *map(int, numbers))))
        return
    if options.part:
        print(json.dumps(PARTS[options.part](options.threads)))
        return
    from galaxylib.files import write_json

    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for part in options.parts:
        if part == "compare":
            results[part] = compare(options)
        else:
            arguments = ["--part", part, "--threads", str(options.threads)]
            results[part] = elsewhere(sys.executable, *arguments)
        print(part, json.dumps(results[part], indent=1), flush=True)
        results["machine"] = {"threads": options.threads, "torch": torch.__version__}
        write_json(RESULTS, results)


if __name__ == "__main__":
    main()
