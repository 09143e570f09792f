"""How well does a network that has only seen simulated galaxies know real ones?

Draws galaxies, trains one network per seed on them alone, and judges it on real Galaxy10 DECaLS images:

    python benchmarks/sim_to_real.py REAL.h5 --out benchmarks/results/sim_to_real.json

The rule: no label of a real Galaxy10 image chooses anything. The recipes were compared with real images by
their pixels only; the network and its training were chosen on simulated galaxies, with Galaxy Zoo 2 images
(SDSS, another survey; their votes mapped to the ten classes) watched beside; the averaged weights of the last
step are judged. The labels of the real images were read once, when all networks were finished.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.preprocessing import MEAN, STD
from galaxylib.evaluation.intervals import wilson
from galaxylib.files import atomic, sha256, write_json
from galaxylib.networks.registry import build
from galaxylib.provenance import provenance
from galaxylib.simulate import VERSION, simulate


@dataclass(frozen=True)
class Training:
    """How a network is trained on simulated galaxies.

    Attributes:
        network: a name of `galaxylib.networks.registry`.
        options: of the network.
        size: pixels that the network reads, at half the stored resolution: 96 is the central 192.
        epochs: passes over the galaxies.
        batch_size: galaxies a step.
        learning_rate: the peak of the one-cycle schedule.
        weight_decay: of AdamW.
        label_smoothing: of the cross entropy.
        mixup: parameter of the beta distribution that mixes pairs of images; 0 mixes none.
        averaging: decay of the moving average of the weights, a step.
        seed: of weights, order and augmentation.
    """

    network: str = "resnet18d"
    options: Mapping[str, Any] = field(
        default_factory=lambda: {"channels": (24, 48, 96, 192), "stem_width": 16}
    )
    size: int = 96
    epochs: int = 6
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    mixup: float = 0.0
    averaging: float = 0.998
    seed: int = 0


@dataclass(frozen=True)
class Jitter:
    """Random changes to a training batch, wider than the survey's own scatter: the gap to it matters less.

    Attributes:
        scale: sigma of the logarithm of the magnification.
        shift: largest displacement, pixels.
        contrast: largest change of the galaxy's brightness above the sky, relative.
        gamma: largest exponent's logarithm.
        level: sigma of the sky's level, by channel.
        saturation: largest relative change of the colours' strength.
        tint: sigma of each channel's gain.
        blur: share of a box blur blended in, at most; a third as much sharpening.
        reach: pixels a side of the box, odd.
        noise: sigma of noise added, at most, on the scale 0 to 1.
    """

    scale: float = 0.12
    shift: float = 2.0
    contrast: float = 0.2
    gamma: float = 0.15
    level: float = 0.008
    saturation: float = 0.4
    tint: float = 0.04
    blur: float = 1.0
    reach: int = 3
    noise: float = 0.025

    def __call__(self, images: Tensor, *, size: int, generator: torch.Generator) -> Tensor:
        """Change a batch (N, 3, H, W) in [0, 1] and return its (N, 3, size, size) middle."""
        n, device = len(images), images.device

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            drawn = torch.rand(n, *(shape or (1, 1, 1)), generator=generator, device=device)
            return drawn * (high - low) + low

        def normal(*shape: int) -> Tensor:
            return torch.randn(n, *shape, generator=generator, device=device)

        images = self._turned(images, size, generator)
        sky = images[:, :, ::3, ::3].flatten(2).median(2).values[..., None, None]
        light = images - sky
        grey = light.mean(1, keepdim=True)
        light = grey + (light - grey) * uniform(1 - self.saturation, 1 + self.saturation)
        light = light * uniform(1 - self.contrast, 1 + self.contrast) * (1 + self.tint * normal(3, 1, 1))
        images = (sky + self.level * (normal(1, 1, 1) + 0.5 * normal(3, 1, 1)) + light).clamp(0, 1)
        images = images ** torch.exp(uniform(-self.gamma, self.gamma))
        soft = F.avg_pool2d(F.pad(images, [self.reach // 2] * 4, mode="replicate"), self.reach, 1)
        images = torch.lerp(images, soft, uniform(-self.blur / 3, self.blur))
        grain = torch.randn(images.shape, generator=generator, device=device)
        return images + grain * uniform(0, self.noise).clamp(min=0)

    def _turned(self, images: Tensor, size: int, generator: torch.Generator) -> Tensor:
        """Rotate by any angle, flip, magnify and shift in one bilinear look-up."""
        n, height = len(images), images.shape[-1]
        drawn = {"generator": generator, "device": images.device}
        angle = torch.rand(n, **drawn) * 2 * math.pi
        zoom = torch.exp(self.scale * torch.randn(n, **drawn))
        flip = torch.where(torch.rand(n, **drawn) < 0.5, -1.0, 1.0)
        shift = (torch.rand(n, 2, **drawn) * 2 - 1) * self.shift * 2 / height
        cos, sin = angle.cos() / zoom, angle.sin() / zoom
        matrix = torch.stack(
            [torch.stack([cos * flip, -sin, shift[:, 0]], 1), torch.stack([sin * flip, cos, shift[:, 1]], 1)],
            1,
        )
        matrix[:, :, :2] *= size / height
        grid = F.affine_grid(matrix, [n, 3, size, size], align_corners=False)
        return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def halved(images: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels of (N, H, W, 3) uint8 images, channels first: (N, 3, H/2, W/2) uint8."""
    n, height, width, _ = images.shape
    blocks = images.reshape(n, height // 2, 2, width // 2, 2, 3).mean((2, 4), dtype=np.float32)
    return np.ascontiguousarray(np.moveaxis((blocks + 0.5).astype(np.uint8), -1, 1))


def normalised(images: Tensor) -> Tensor:
    """Images in [0, 1] as the network reads them."""
    mean, std = (torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in (MEAN, STD))
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def train(
    images: np.ndarray, labels: np.ndarray, training: Training, jitter: Jitter, *, progress: bool = True
) -> nn.Module:
    """Train a network on halved images; returns its moving average, in evaluation mode."""
    torch.manual_seed(training.seed)
    generator = torch.Generator().manual_seed(training.seed)
    mixing = np.random.default_rng(training.seed)
    network = build(training.network, **training.options).to(memory_format=torch.channels_last).train()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(training.averaging), use_buffers=True)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    steps = len(images) // training.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, training.learning_rate, total_steps=training.epochs * steps, pct_start=0.2
    )
    pixels, targets = torch.from_numpy(images), torch.from_numpy(labels).long()
    with tqdm(total=training.epochs * steps, unit="step", disable=not progress) as bar:
        for _ in range(training.epochs):
            order = torch.randperm(len(images), generator=generator)
            for step in range(steps):
                rows = order[step * training.batch_size : (step + 1) * training.batch_size]
                batch = jitter(pixels[rows].float() / 255, size=training.size, generator=generator)
                wanted = F.one_hot(targets[rows], 10).float()
                if training.mixup:
                    share = float(mixing.beta(training.mixup, training.mixup))
                    batch, wanted = (share * a + (1 - share) * a.flip(0) for a in (batch, wanted))
                with torch.autocast("cpu", torch.bfloat16):
                    logits = network(normalised(batch))
                loss = F.cross_entropy(logits.float(), wanted, label_smoothing=training.label_smoothing)
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                average.update_parameters(network)
                bar.update()
                bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    # Averaged weights need statistics of their own: those gathered on the way belong to other weights.
    settled = average.module
    with unlearned_statistics(settled), torch.no_grad():
        for rows in torch.randperm(len(images), generator=generator)[:4096].split(256):
            batch = jitter(pixels[rows].float() / 255, size=training.size, generator=generator)
            with torch.autocast("cpu", torch.bfloat16):
                settled(normalised(batch))
    return settled


@contextmanager
def unlearned_statistics(network: nn.Module) -> Iterator[None]:
    """Forget BatchNorm's statistics; what the network sees in the block makes new ones."""
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
            module.train()
    yield
    network.eval()


@torch.no_grad()
def probabilities(network: nn.Module, images: np.ndarray, *, size: int) -> np.ndarray:
    """Class probabilities (N, 10) of halved images, averaged over the square's eight symmetries."""
    edge = (images.shape[-1] - size) // 2
    found = []
    for start in range(0, len(images), 64):
        middle = (
            torch.from_numpy(images[start : start + 64, :, edge : edge + size, edge : edge + size]).float()
            / 255
        )
        total = 0
        for turns in range(4):
            turned = torch.rot90(middle, turns, (2, 3))
            for view in (turned, turned.flip(3)):
                with torch.autocast("cpu", torch.bfloat16):
                    total = total + network(normalised(view)).float().softmax(1)
        found.append(total / 8)
    return torch.cat(found).numpy()


def adapted(network: nn.Module, images: np.ndarray, *, size: int) -> nn.Module:
    """A copy whose BatchNorm statistics are those of unlabelled images, all eight symmetries of them."""
    network = deepcopy(network)
    with unlearned_statistics(network):
        probabilities(network, images, size=size)  # not wanted: looking at the images is what counts
    return network


def judged(found: list[np.ndarray], labels: np.ndarray) -> dict[str, Any]:
    """Scores of several seeds' probabilities (N, 10) against `labels`."""
    guesses = [np.argmax(one, axis=1) for one in found]
    accuracies = [float((guess == labels).mean()) for guess in guesses]
    mean = float(np.mean(accuracies))
    confusion = np.zeros((10, 10), int)
    for guess in guesses:
        np.add.at(confusion, (labels, guess), 1)
    recall = np.diag(confusion) / np.maximum(confusion.sum(1), 1)
    return {
        "n": len(labels),
        "accuracy_per_seed": accuracies,
        "accuracy": mean,
        "wilson_95": wilson(round(mean * len(labels)), len(labels)),
        "recall": dict(zip(CLASS_NAMES, recall.tolist(), strict=True)),
        "lowest_recall": float(recall.min()),
        "confusion_over_seeds": confusion.tolist(),
    }


def simulated(path: Path, *, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Halved images and labels of `n` freshly drawn galaxies, all classes alike."""
    with Galaxy10(simulate(path, n=n, seed=seed, balance="uniform")) as data:
        parts = [halved(data.read(range(start, min(start + 512, n)))) for start in range(0, n, 512)]
        return np.concatenate(parts), data.labels


def trained(
    images: np.ndarray, labels: np.ndarray, training: Training, jitter: Jitter, *, scratch: Path
) -> tuple[nn.Module, dict[str, Any]]:
    """The network of one seed and how it was made, from `scratch` where a run left exactly this one."""
    made_of = (
        json.dumps([asdict(training), asdict(jitter), labels.tolist()]).encode() + images[::97].tobytes()
    )
    kept = scratch / f"seed-{training.seed}-{hashlib.sha256(made_of).hexdigest()[:12]}.pt"
    if kept.exists():
        network = build(training.network, **training.options)
        state, record = torch.load(kept, weights_only=True)
        network.load_state_dict(state)
        return network.to(memory_format=torch.channels_last).eval(), record
    record = {"seed": training.seed, "made": provenance()}
    start = time.perf_counter()
    network = train(images, labels, training, jitter)
    record["seconds"] = time.perf_counter() - start
    with atomic(kept) as partial:
        torch.save((network.state_dict(), record), partial)
    return network, record


def measure(
    real_file: Path, *, galaxies: int, held_out: int, seeds: list[int], scratch: Path
) -> dict[str, Any]:
    """Draw, train, judge: the whole benchmark as a JSON object."""
    images, labels = simulated(scratch / "train.h5", n=galaxies, seed=1000)
    inside, inside_labels = simulated(scratch / "test.h5", n=held_out, seed=2000)
    with Galaxy10(real_file) as data:
        real, real_labels = halved(data.read(range(len(data)))), data.labels
    training, jitter = Training(), Jitter()
    direct, moved, domain, records = [], [], [], []
    for seed in seeds:
        network, record = trained(images, labels, replace(training, seed=seed), jitter, scratch=scratch)
        records.append(record)
        direct.append(probabilities(network, real, size=training.size))
        moved.append(probabilities(adapted(network, real, size=training.size), real, size=training.size))
        domain.append(probabilities(network, inside, size=training.size))
    return {
        "rule": " ".join(__doc__.split("The rule: ")[1].split()),
        "real": judged(direct, real_labels),
        "real_with_batchnorm_adapted": judged(moved, real_labels),
        "real_by_the_seeds_together": judged([np.mean(direct, axis=0)], real_labels),
        "in_domain": judged(domain, inside_labels),
        "simulated": {"training": galaxies, "test": held_out, "seeds": [1000, 2000], "version": VERSION},
        "network_parameters": sum(weight.numel() for weight in network.parameters()),
        "training": {name: value for name, value in asdict(training).items() if name != "seed"},
        "jitter": asdict(jitter),
        "runs": records,
        "real_file": {"name": real_file.name, "sha256": sha256(real_file)},
        "provenance": provenance(),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", type=Path, help="real galaxies in the Galaxy10 format")
    parser.add_argument("--galaxies", type=int, default=20_000, help="simulated galaxies to train on")
    parser.add_argument("--held-out", type=int, default=1_000, help="simulated galaxies to test on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--scratch",
        type=Path,
        default=Path("_build/sim_to_real"),
        help="where galaxies and networks are kept",
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sim_to_real.json"))
    given = parser.parse_args()
    found = measure(
        given.real, galaxies=given.galaxies, held_out=given.held_out, seeds=given.seeds, scratch=given.scratch
    )
    write_json(given.out, found)
    print(f"{found['real']['accuracy']:.1%} of {found['real']['n']} real galaxies; {given.out}")


if __name__ == "__main__":
    main()
