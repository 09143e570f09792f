"""Train the weights that come with the book: DMAGNet on simulated galaxies alone.

    python benchmarks/pretrained.py --out galaxylib/weights/pretrained --judge REAL.h5
    python benchmarks/pretrained.py --out galaxylib/weights/small --plan small --judge REAL.h5

Each draws its galaxies, trains, writes the checkpoint in half precision, and scores it on simulated galaxies
that took no part and on real ones (now, or later by the same command: a finished checkpoint is only scored).
Nothing is chosen on either: one run, its last averaged weights, every step decided beforehand. A run that is
cut goes on at the last state in its scratch folder.

The image grows while the network learns. Each stage shows the middle of the same image, so a galaxy's scale
never changes and the early, cheap stages lose only its surroundings.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sim_to_real import Jitter, normalised, unlearned_statistics
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.preprocessing import Preprocess
from galaxylib.evaluation.predictions import predict, scores
from galaxylib.files import atomic, sha256, write_json
from galaxylib.networks.checkpoint import DESCRIPTION, describe, load, save
from galaxylib.networks.registry import build
from galaxylib.provenance import provenance
from galaxylib.simulate import VERSION, simulate
from galaxylib.training.depthwise import quicken

TOLD = ("n", "accuracy", "accuracy_interval", "macro_f1", "macro_f1_interval", "per_class", "confusion")
"""What of the scores goes into the description of the weights."""


@dataclass(frozen=True)
class Training:
    """How the weights are trained.

    Attributes:
        width: factor on DMAGNet's channels.
        sizes: of each stage, pixels of the middle of the image; the last is the whole image's side.
        passes: of each stage, over all galaxies.
        galaxies: simulated, all classes alike.
        batch_size: galaxies a step.
        learning_rate: the peak of the one-cycle schedule, which runs over all stages.
        weight_decay: of AdamW.
        label_smoothing: of the cross entropy.
        averaging: decay of the moving average of the weights, a step.
        jitter: the augmentation.
        seed: of weights, order and augmentation.
    """

    width: float = 1.0
    sizes: tuple[int, ...] = (128, 192, 256)
    passes: tuple[int, ...] = (6, 5, 3)
    galaxies: int = 48_000
    batch_size: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    averaging: float = 0.998
    jitter: Jitter = field(default_factory=lambda: Jitter(shift=4.0, reach=5, noise=0.04))
    seed: int = 0

    def steps(self) -> list[int]:
        """The size of every step."""
        each = self.galaxies // self.batch_size
        stages = zip(self.sizes, self.passes, strict=True)
        return [size for size, passes in stages for _ in range(passes * each)]


PLANS = {
    # The stored resolution, as in the paper.
    "full": Training(),
    # Half of it, for pages and slow machines.
    "small": Training(
        width=0.1875,
        sizes=(64, 96, 128),
        passes=(6, 6, 6),
        galaxies=32_000,
        batch_size=64,
        learning_rate=2e-3,
        jitter=Jitter(),
    ),
}


class Run:
    """A training that can be cut and go on: network, average, optimiser, schedule, and the step reached."""

    def __init__(self, training: Training, state: Path, device: torch.device) -> None:
        self.training, self.state, self.device = training, state, device
        self.plan = training.steps()
        torch.manual_seed(training.seed)
        network = build("dmagnet", width=training.width).train()
        self.network = network.to(device, memory_format=torch.channels_last)
        if device.type == "cpu":
            quicken(self.network)
        self.average = AveragedModel(
            self.network, multi_avg_fn=get_ema_multi_avg_fn(training.averaging), use_buffers=True
        )
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=training.learning_rate,
            weight_decay=training.weight_decay,
            fused=True,
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, training.learning_rate, total_steps=len(self.plan), pct_start=0.2
        )
        self.done, self.seconds = 0, 0.0
        self.parts = {
            "network": self.network,
            "average": self.average,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
        }
        if state.exists():
            kept = torch.load(state, weights_only=True, map_location=device)
            for name, part in self.parts.items():
                part.load_state_dict(kept[name])
            self.done, self.seconds = kept["done"], kept["seconds"]

    def keep(self) -> None:
        """Write the state to go on from."""
        kept = {name: part.state_dict() for name, part in self.parts.items()}
        with atomic(self.state) as partial:
            torch.save(kept | {"done": self.done, "seconds": self.seconds}, partial)

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """One step of the optimiser, its loss; what is random in it hangs on the step's number alone."""
        epoch, place = divmod(self.done, len(labels) // self.training.batch_size)
        order = np.random.default_rng((self.training.seed, epoch)).permutation(len(labels))
        rows = torch.from_numpy(order[place * self.training.batch_size :][: self.training.batch_size])
        torch.manual_seed(self.training.seed * 1_000_000 + self.done)  # for dropout
        with torch.autocast(self.device.type, torch.bfloat16):
            logits = self.network(self._seen(images, rows, self.plan[self.done], self.done))
        loss = F.cross_entropy(
            logits.float(), labels[rows].to(self.device), label_smoothing=self.training.label_smoothing
        )
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.average.update_parameters(self.network)
        self.done += 1
        return loss.detach()

    def settled(self, images: Tensor) -> nn.Module:
        """The averaged weights, with BatchNorm statistics of their own at the final size."""
        network = deepcopy(self.average.module)
        order = np.random.default_rng(self.training.seed).permutation(len(images))[:4096]
        with unlearned_statistics(network), torch.no_grad():
            for number, rows in enumerate(torch.from_numpy(order).split(128)):
                with torch.autocast(self.device.type, torch.bfloat16):
                    network(self._seen(images, rows, self.plan[-1], len(self.plan) + number))
        return network.cpu()

    def _seen(self, images: Tensor, rows: Tensor, size: int, number: int) -> Tensor:
        generator = torch.Generator(self.device).manual_seed(self.training.seed * 1_000_000 + number)
        batch = images[rows.to(images.device)].to(self.device).float() / 255
        return normalised(self.training.jitter(batch, size=size, generator=generator))


def train(images: Tensor, labels: Tensor, run: Run, *, every: int = 400) -> nn.Module:
    """Train, or go on, to the last step; returns the network in evaluation mode, on the CPU.

    Args:
        images: (N, 3, H, W) uint8, on any device.
        labels: (N,) int64.
        run: where to go on from.
        every: steps between two writings of its state.
    """
    begun, before = time.perf_counter(), run.seconds
    with tqdm(total=len(run.plan), initial=run.done, unit="step", mininterval=10) as bar:
        while run.done < len(run.plan):
            loss = run.step(images, labels)
            bar.update()
            if run.done % 50 == 0:
                bar.set_postfix(loss=f"{loss.item():.3f}", size=run.plan[run.done - 1], refresh=False)
            if run.done % every == 0 or run.done == len(run.plan):
                run.seconds = before + time.perf_counter() - begun
                run.keep()
    return run.settled(images)


def shrunk(data: Galaxy10, size: int, device: torch.device, *, batch: int = 256) -> Tensor:
    """All images of a file at the size of the last stage, (N, 3, size, size) uint8 on the device."""
    resize = Preprocess(size=size, mean=(0, 0, 0), std=(1, 1, 1))
    found = torch.empty(len(data), 3, size, size, dtype=torch.uint8, device=device)
    for start in range(0, len(data), batch):
        stored = torch.from_numpy(data.read(range(start, min(start + batch, len(data)))))
        found[start : start + batch] = (resize(stored.to(device)) * 255).round().byte()
    return found


def make(out: Path, training: Training, *, scratch: Path) -> None:
    """Draw, train, and write the checkpoint in half precision."""
    made = provenance()
    size = training.sizes[-1]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    file = simulate(scratch / "train.h5", n=training.galaxies, seed=3000, balance="uniform")
    with Galaxy10(file) as data:
        images, labels = shrunk(data, size, device), torch.from_numpy(data.labels).long()
        drawn = {"galaxies": training.galaxies, "seed": 3000, "simulator": VERSION}
        drawn["fingerprint"] = data.fingerprint
    run = Run(training, scratch / f"state-{training.width}-{training.seed}.pt", device)
    network = train(images, labels, run)
    plain = build("dmagnet", width=training.width)
    plain.load_state_dict(network.state_dict())
    save(
        out,
        plain,
        name="dmagnet",
        options={"width": training.width},
        preprocess=Preprocess(size=size),
        class_names=CLASS_NAMES,
        half=True,
        recipe=asdict(training),
        data={"simulated": True, "classes": "equally many", **drawn},
        seconds=run.seconds,
        **made,
    )


def judge(out: Path, real_file: Path, *, held_out: int, scratch: Path) -> dict[str, Any]:
    """Score finished weights; the figures go into their description."""
    loaded = load(out)
    results: dict[str, Any] = {"real_file": {"name": real_file.name, "sha256": sha256(real_file)}}
    with Galaxy10(simulate(scratch / "test.h5", n=held_out, seed=5000, balance="uniform")) as data:
        results["simulated"] = {"plain": judged(loaded, data)}
    with Galaxy10(real_file) as data:
        results["real"] = {
            "plain": judged(loaded, data),
            "symmetries": judged(loaded, data, symmetries=True),
        }
    write_json(out / DESCRIPTION, describe(out) | {"results": results})
    return results


def judged(loaded: Any, data: Galaxy10, *, symmetries: bool = False) -> dict[str, Any]:
    """Scores on all galaxies of a file, of one look or of the mean over the eight symmetries."""
    table = scores(predict(loaded, data, range(len(data)), symmetries=symmetries))
    return {key: value for key, value in table.items() if key in TOLD}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the weights")
    parser.add_argument("--plan", choices=PLANS, default="full", help="which of the two networks")
    parser.add_argument("--passes", type=int, nargs=3, help="over the galaxies, a stage")
    parser.add_argument(
        "--judge", type=Path, metavar="REAL.h5", help="score finished weights on this file too"
    )
    parser.add_argument("--held-out", type=int, default=2_000, help="simulated galaxies to score on")
    parser.add_argument("--scratch", type=Path, default=Path("_build/pretrained"))
    given = parser.parse_args(arguments)
    given.scratch.mkdir(parents=True, exist_ok=True)
    training = PLANS[given.plan]
    if given.passes:
        training = replace(training, passes=tuple(given.passes))
    if not (given.out / DESCRIPTION).exists():
        make(given.out, training, scratch=given.scratch)
    if given.judge:
        results = judge(given.out, given.judge, held_out=given.held_out, scratch=given.scratch)
        for name in ("simulated", "real"):
            print(
                f"{results[name]['plain']['accuracy']:.1%} of {results[name]['plain']['n']} {name} galaxies"
            )


if __name__ == "__main__":
    main()
