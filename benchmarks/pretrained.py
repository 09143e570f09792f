r"""Train the weights that come with the book: DMAGNet on simulated galaxies alone.

    python benchmarks/pretrained.py --out galaxylib/weights/pretrained
    python benchmarks/pretrained.py --out galaxylib/weights/small --width 0.1875 --passes 6 6 6 \
        --learning-rate 2e-3
    python benchmarks/pretrained.py --out FOLDER --judge REAL.h5

The first two commands draw the galaxies and train; the third scores finished weights on simulated galaxies
that took no part and on real ones. Nothing was chosen on either: one run, its last averaged weights, every
step decided beforehand. A run that is cut goes on at the last state in its scratch folder.

The image grows while the network learns. Each stage shows the middle of the same 128 pixels, so a galaxy's
scale never changes and the early, cheap stages lose only its surroundings.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sim_to_real import Jitter, normalised, unlearned_statistics
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from galaxylib.baselines import build
from galaxylib.checkpoint import DESCRIPTION, describe, load, save
from galaxylib.depthwise import quicken
from galaxylib.evaluate import predict, scores
from galaxylib.files import atomic, sha256, write_json
from galaxylib.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.pixels import Preprocess
from galaxylib.provenance import provenance
from galaxylib.simulate import VERSION, simulate

SIZE = 128
"""Pixels that the finished network reads: the whole stored image at half its resolution."""

TOLD = ("n", "accuracy", "accuracy_interval", "macro_f1", "macro_f1_interval", "per_class", "confusion")
"""What of the scores goes into the description of the weights."""


@dataclass(frozen=True)
class Training:
    """How the weights are trained.

    Attributes:
        width: factor on DMAGNet's channels.
        sizes: of each stage, pixels of the middle of the 128 x 128 image.
        passes: of each stage, over all galaxies.
        batch_size: galaxies a step.
        learning_rate: the peak of the one-cycle schedule, which runs over all stages.
        weight_decay: of AdamW.
        label_smoothing: of the cross entropy.
        averaging: decay of the moving average of the weights, a step.
        seed: of weights, order and augmentation.
    """

    width: float = 1.0
    sizes: tuple[int, ...] = (64, 96, 128)
    passes: tuple[int, ...] = (4, 3, 2)
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    averaging: float = 0.998
    seed: int = 0

    def plan(self, images: int) -> list[int]:
        """The size of every step."""
        steps = images // self.batch_size
        return [
            size for size, passes in zip(self.sizes, self.passes, strict=True) for _ in range(passes * steps)
        ]


class Run:
    """A training that can be cut and go on: network, average, optimiser, schedule, and the step reached."""

    def __init__(self, training: Training, plan: Sequence[int], state: Path) -> None:
        self.training, self.plan, self.state = training, plan, state
        torch.manual_seed(training.seed)
        self.network = build("dmagnet", width=training.width).to(memory_format=torch.channels_last).train()
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
            self.optimiser, training.learning_rate, total_steps=len(plan), pct_start=0.2
        )
        self.done, self.seconds = 0, 0.0
        self.parts = {
            "network": self.network,
            "average": self.average,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
        }
        if state.exists():
            kept = torch.load(state, weights_only=True)
            for name, part in self.parts.items():
                part.load_state_dict(kept[name])
            self.done, self.seconds = kept["done"], kept["seconds"]

    def keep(self) -> None:
        """Write the state to go on from."""
        kept = {name: part.state_dict() for name, part in self.parts.items()}
        with atomic(self.state) as partial:
            torch.save(kept | {"done": self.done, "seconds": self.seconds}, partial)

    def step(self, images: Tensor, labels: Tensor, jitter: Jitter) -> float:
        """One step of the optimiser; what is random in it hangs on the step's number alone."""
        size, rows, generator = self._chosen(len(labels))
        batch = jitter(images[rows].float() / 255, size=size, generator=generator)
        torch.manual_seed(self.training.seed * 1_000_000 + self.done)  # for dropout
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network(normalised(batch))
        loss = F.cross_entropy(logits.float(), labels[rows], label_smoothing=self.training.label_smoothing)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.average.update_parameters(self.network)
        self.done += 1
        return loss.item()

    def _chosen(self, n: int) -> tuple[int, Tensor, torch.Generator]:
        steps, batch = n // self.training.batch_size, self.training.batch_size
        epoch, place = divmod(self.done, steps)
        order = np.random.default_rng((self.training.seed, epoch)).permutation(n)
        rows = torch.from_numpy(order[place * batch : (place + 1) * batch])
        generator = torch.Generator().manual_seed(self.training.seed * 1_000_000 + self.done)
        return self.plan[self.done], rows, generator

    def settled(self, images: Tensor, jitter: Jitter) -> nn.Module:
        """The averaged weights, with BatchNorm statistics of their own at the final size."""
        network = deepcopy(self.average.module)
        generator = torch.Generator().manual_seed(self.training.seed)
        with unlearned_statistics(network), torch.no_grad():
            for rows in torch.randperm(len(images), generator=generator)[:4096].split(128):
                batch = jitter(images[rows].float() / 255, size=self.plan[-1], generator=generator)
                with torch.autocast("cpu", torch.bfloat16):
                    network(normalised(batch))
        return network


def train(
    images: Tensor, labels: Tensor, training: Training, jitter: Jitter, *, state: Path, every: int = 200
) -> tuple[nn.Module, float]:
    """Train, or go on; returns the network in evaluation mode and the seconds spent in all.

    Args:
        images: (N, 3, 128, 128) uint8.
        labels: (N,) int64.
        training: every setting.
        jitter: the augmentation.
        state: the file that a cut run goes on from.
        every: steps between two writings of it.
    """
    run = Run(training, training.plan(len(labels)), state)
    begun, before = time.perf_counter(), run.seconds
    with tqdm(total=len(run.plan), initial=run.done, unit="step", mininterval=10) as bar:
        while run.done < len(run.plan):
            loss = run.step(images, labels, jitter)
            run.seconds = before + time.perf_counter() - begun
            bar.update()
            bar.set_postfix(loss=f"{loss:.3f}", size=run.plan[run.done - 1], refresh=False)
            if run.done % every == 0 or run.done == len(run.plan):
                run.keep()
    return run.settled(images, jitter), run.seconds


def shrunk(data: Galaxy10, *, batch: int = 256) -> Tensor:
    """All images of a file as the network will be shown them, (N, 3, 128, 128) uint8."""
    resize = Preprocess(size=SIZE, mean=(0, 0, 0), std=(1, 1, 1))
    found = torch.empty(len(data), 3, SIZE, SIZE, dtype=torch.uint8)
    for start in range(0, len(data), batch):
        rows = range(start, min(start + batch, len(data)))
        found[start : start + batch] = (resize(torch.from_numpy(data.read(rows))) * 255).round().byte()
    return found


def make(out: Path, training: Training, *, galaxies: int, scratch: Path) -> None:
    """Draw, train, and write the checkpoint in half precision."""
    made = provenance()
    with Galaxy10(simulate(scratch / "train.h5", n=galaxies, seed=3000, balance="uniform")) as data:
        images, labels = shrunk(data), torch.from_numpy(data.labels).long()
        drawn = {"galaxies": galaxies, "seed": 3000, "version": VERSION, "fingerprint": data.fingerprint}
    jitter = Jitter()
    network, seconds = train(
        images, labels, training, jitter, state=scratch / f"state-{training.width}-{training.seed}.pt"
    )
    plain = build("dmagnet", width=training.width)
    plain.load_state_dict(network.state_dict())
    save(
        out,
        plain,
        name="dmagnet",
        options={"width": training.width},
        preprocess=Preprocess(size=SIZE),
        class_names=CLASS_NAMES,
        half=True,
        recipe=asdict(training) | {"jitter": asdict(jitter)},
        data={"simulated": True, "classes": "equally many", **drawn},
        seconds=seconds,
        **made,
    )


def judge(out: Path, real_file: Path, *, held_out: int, scratch: Path) -> dict[str, Any]:
    """Score finished weights; the figures go into their description."""
    loaded = load(out)
    results: dict[str, Any] = {"real_file": {"name": real_file.name, "sha256": sha256(real_file)}}
    with Galaxy10(simulate(scratch / "test.h5", n=held_out, seed=5000, balance="uniform")) as data:
        results["simulated"] = judged(loaded, data)
    with Galaxy10(real_file) as data:
        results["real"] = judged(loaded, data)
    told = describe(out)
    write_json(out / DESCRIPTION, told | {"results": results})
    return results


def judged(loaded: Any, data: Galaxy10) -> dict[str, Any]:
    """Scores on all galaxies of a file, of one look and of the mean over the eight symmetries."""
    found: dict[str, Any] = {}
    for name, symmetries in (("plain", False), ("symmetries", True)):
        table = scores(predict(loaded, data, range(len(data)), symmetries=symmetries))
        found[name] = {key: value for key, value in table.items() if key in TOLD}
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the weights")
    parser.add_argument("--width", type=float, default=1.0, help="factor on DMAGNet's channels")
    parser.add_argument("--passes", type=int, nargs=3, default=Training.passes, help="a stage")
    parser.add_argument("--learning-rate", type=float, default=Training.learning_rate)
    parser.add_argument("--galaxies", type=int, default=32_000)
    parser.add_argument("--judge", type=Path, metavar="REAL.h5", help="score finished weights on this file")
    parser.add_argument("--held-out", type=int, default=2_000, help="simulated galaxies to score on")
    parser.add_argument("--scratch", type=Path, default=Path("_build/pretrained"))
    given = parser.parse_args()
    given.scratch.mkdir(parents=True, exist_ok=True)
    if given.judge:
        results = judge(given.out, given.judge, held_out=given.held_out, scratch=given.scratch)
        print(json.dumps({name: results[name]["plain"]["accuracy"] for name in ("simulated", "real")}))
        return
    training = replace(
        Training(), width=given.width, passes=tuple(given.passes), learning_rate=given.learning_rate
    )
    make(given.out, training, galaxies=given.galaxies, scratch=given.scratch)


if __name__ == "__main__":
    main()
