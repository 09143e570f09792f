"""Make what the dream lab shows before anything runs in the reader's browser: galaxies, dreams, networks.

python -m ci.lab _build/results/default _build/assets --values '{"sizes": [128, 256]}'

Leaves `<results>/lab/`: simulated galaxies, one of every class; their dreams on every stage at several sizes;
the networks' files for the browser; the galaxies that excite each of their channels most; `index.json`, which
says what there is; and the three pieces of HTML that the pages include. The scripts themselves are in `web/`;
`ci.pages` lays both together.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ci import lab_examples
from ci.lab_pages import fill
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.dream import PAPER_DREAM, Dream, Settings, dream_batch, layer
from galaxylib.dream.measures import probabilities, random_twin
from galaxylib.errors import GalaxyError
from galaxylib.evaluation.judgement import judge_batches_with
from galaxylib.files import filling
from galaxylib.networks.checkpoint import BROUGHT, Loaded, load
from galaxylib.networks.checkpoint import save as save_checkpoint
from galaxylib.paper.dream_panels import DREAMT
from galaxylib.paper.progress import steps
from galaxylib.simulate import draw

WEB = Path(__file__).resolve().parents[1] / "web"
THUMBNAIL = 96
FIRST = {"galaxy": CLASS_NAMES.index("Barred Spiral"), "stage": "dma3"}
"""What the lab and its chapter begin with."""
FRONT = {"galaxy": CLASS_NAMES.index("Unbarred Tight Spiral"), "stage": "dma2"}
"""What the book's first page shows: arms that the dream takes up."""
BATCH = 5
RUNTIMES = {"wasm": "ort-wasm-simd-threaded.wasm", "webgpu": "ort-wasm-simd-threaded.asyncify.wasm"}
"""The bulk of what each way of computing makes a reader download."""


@dataclass(frozen=True, kw_only=True)
class LabSettings:
    """What a profile asks of the lab.

    Attributes:
        sizes: of the dreams made beforehand, pixels a side.
        full_sizes: of those by the full-width network, where its weights come with the library; empty, and
            the lab goes without it.
        steps: of the ascent on each octave; the paper's where 0.
        examples: how many galaxies are drawn to find those that excite each channel most.
        seed: of the galaxies and of the dreams' shifts.
    """

    sizes: tuple[int, ...] = (128, 256)
    full_sizes: tuple[int, ...] = (256,)
    steps: int = 0
    examples: int = 200
    seed: int = 0

    def protocol(self, size: int) -> Settings:
        """The paper's first width at another size: what the lab in the browser does at once."""
        steps = self.steps or PAPER_DREAM.steps[0]
        return PAPER_DREAM.but(
            sizes=(size,), steps=(steps,), rates=PAPER_DREAM.rates[:1], jitter=PAPER_DREAM.jitter[:1]
        )


@dataclass(frozen=True)
class Network:
    """A network of the lab.

    Attributes:
        name: its folder in `networks/` and its word in addresses.
        label: its name on the page.
        checkpoint: path of its folder.
        sizes: of its dreams made beforehand.
        note: what is said of it where its checkpoint says nothing of how often it is right.
    """

    name: str
    label: str
    checkpoint: Path
    sizes: tuple[int, ...]
    note: str = ""


def networks(results: Path, settings: LabSettings) -> list[Network]:
    """The networks of the lab: the small one, or this run's own where it is not there; and the full one."""
    small, full = BROUGHT / "real-small", BROUGHT / "real"
    if small.is_dir():
        found = [Network("small", "small DMAGNet", small, settings.sizes)]
    else:
        found = [Network("small", "the DMAGNet of this run", results / "checkpoint", settings.sizes)]
    if settings.full_sizes and full.is_dir():
        found.append(Network("full", "DMAGNet at full width", full, settings.full_sizes))
    return found


def control(trained: Network, images: torch.Tensor, folder: Path) -> Network:
    """The same network with random weights, written into a folder: what a dream is to be compared with.

    Args:
        trained: the network that it is the control of.
        images: (N, 3, 256, 256) in [0, 1], on which its BatchNorm statistics are measured.
        folder: where its checkpoint is written.
    """
    loaded = load(trained.checkpoint)
    save_checkpoint(
        folder,
        random_twin(loaded.network, images, preprocess=loaded.preprocess),
        name=loaded.meta["network"],
        options=loaded.meta["options"],
        preprocess=loaded.preprocess,
        class_names=loaded.class_names,
    )
    label, note = f"{trained.label} with random weights", "it has learned nothing, and serves to compare"
    return Network("random", label, folder, trained.sizes[:1], note)


def galaxies(seed: int) -> torch.Tensor:
    """One simulated galaxy of every class, (10, 3, 256, 256) in [0, 1]."""
    drawn = [draw(label, seed=np.random.SeedSequence((seed, label)))[0] for label in range(len(CLASS_NAMES))]
    return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() / 255


def as_bytes(images: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) in [0, 1] as they are stored: (N, H, W, 3) uint8."""
    return (images * 255).round().byte().permute(0, 2, 3, 1)


def dreams(
    loaded: Loaded, images: torch.Tensor, size: int, settings: LabSettings
) -> Iterator[tuple[str, int, list[Dream]]]:
    """Every galaxy on every stage at one size, in batches: (stage, first galaxy, dreams)."""
    network = loaded.network.to("cuda" if torch.cuda.is_available() else "cpu")
    for stage in DREAMT:
        for first in range(0, len(images), BATCH):
            made = dream_batch(
                network,
                images[first : first + BATCH],
                [layer(stage)],
                settings=settings.protocol(size),
                preprocess=loaded.preprocess,
                seed=settings.seed,
            )
            yield stage, first, made


def accuracy(meta: dict[str, Any]) -> str:
    """What a checkpoint's description says about how often the network is right, in words."""
    if "results" in meta:
        parts = [
            f"{table['plain']['accuracy']:.1%} of {table['plain']['n']:,} {kind} galaxies"
            for kind, table in meta["results"].items()
            if kind in ("simulated", "real")
        ]
        return "names " + " and ".join(parts) + " correctly, none of which it was trained on"
    if "best" in meta:
        kind = "simulated" if meta.get("data", {}).get("simulated") else "real"
        right = meta["best"]["validation_accuracy"]
        return f"names {right:.1%} of its {kind} validation galaxies correctly"
    return "its accuracy was not recorded"


def save(image: np.ndarray, path: Path, *, side: int | None = None) -> None:
    """(H, W, 3) uint8 as WebP, made smaller on request."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(image)
    if side is not None:
        picture = picture.resize((side, side), Image.Resampling.LANCZOS)
    picture.save(path, quality=80)


def rounded(values: Sequence[float] | torch.Tensor) -> list[float]:
    """Four digits, to keep the index short."""
    return [float(f"{float(value):.4g}") for value in values]


def make_dreams(
    network: Network, loaded: Loaded, images: torch.Tensor, size: int, folder: Path, settings: LabSettings
) -> dict[str, dict[str, Any]]:
    """Dream all dreams of a network at one size, and say what came of each."""
    judged = {"preprocess": loaded.preprocess, "temperature": loaded.temperature}
    made: dict[str, dict[str, Any]] = {}
    pictures = folder / "dreams" / network.name
    for stage, first, batch in dreams(loaded, images, size, settings):
        after = probabilities(loaded.network, torch.stack([one.image for one in batch]), **judged)
        for galaxy, (one, share) in enumerate(zip(batch, after, strict=True), start=first):
            save(one.pixels, pictures / f"{galaxy}-{stage}-{size}.webp")
            if size == network.sizes[0]:
                save(one.pixels, pictures / f"{galaxy}-{stage}.webp", side=THUMBNAIL)
            made[f"{galaxy}-{stage}-{size}"] = {
                "probabilities": rounded(share),
                "values": rounded(one.record["values"]),
            }
    return made


def describe(
    network: Network, loaded: Loaded, images: torch.Tensor, looked: np.ndarray, folder: Path
) -> dict[str, Any]:
    """Export a network for the browser, and say what there is of it; its dreams come from `make_dreams`."""
    from galaxylib.web import export_web

    export_web(network.checkpoint, folder / "networks" / network.name)
    (before,) = judge_batches_with(loaded, [as_bytes(images)])
    exciting = f"examples/{network.name}.json"
    lab_examples.write(folder / exciting, lab_examples.listed(loaded, looked))
    about = json.loads((folder / "networks" / network.name / "network.json").read_text(encoding="utf-8"))
    return {
        "name": network.name,
        "label": network.label,
        "parameters": loaded.meta["parameters"],
        "pixels": loaded.preprocess.size,
        "sizes": list(network.sizes),
        "accuracy": network.note or accuracy(loaded.meta),
        "channels": {
            name: graph["channels"] for name, graph in about["graphs"].items() if "channels" in graph
        },
        "bytes": sum(file.stat().st_size for file in (folder / "networks" / network.name).iterdir()),
        "before": [rounded(row) for row in before.probabilities],
        "unlike": None if before.unlike is None else rounded(before.unlike),
        "examples": exciting,
        "concepts": about["concepts"],
    }


def make_networks(
    shown: Sequence[Network], images: torch.Tensor, looked: np.ndarray, folder: Path, settings: LabSettings
) -> list[dict[str, Any]]:
    """What the index says of each network, once its dreams are made and its files are written."""
    loaded = {one.name: load(one.checkpoint) for one in shown}
    made: dict[str, dict[str, Any]] = {one.name: {} for one in shown}

    def width(network: Network) -> float:
        """The time that a network takes for an image of one size grows about like the width of its layers."""
        return loaded[network.name].meta["parameters"] ** 0.5

    for network, size in steps(
        [(one, size) for one in shown for size in one.sizes],
        label=lambda turn: f"  lab: dreams of {turn[0].label} at {turn[1]} pixels",
        cost=lambda turn: width(turn[0]) * turn[1] ** 2,
    ):
        made[network.name] |= make_dreams(network, loaded[network.name], images, size, folder, settings)
    turns = steps(shown, label=lambda one: f"  lab: galaxies that excite {one.label}", cost=width)
    return [
        describe(network, loaded[network.name], images, looked, folder) | {"dreams": made[network.name]}
        for network in turns
    ]


def make(results: Path, assets: Path, settings: LabSettings) -> None:
    """Fill `<results>/lab`; what was there from an earlier run gives way.

    Args:
        results: the run's folder.
        assets: what `ci.assets` fetched; only the size of the browser's runtime is read.
        settings: what to make.

    Raises:
        GalaxyError: a checkpoint is missing or damaged, or the disk is full.
    """
    images, looked = galaxies(settings.seed), lab_examples.drawn(settings.examples, settings.seed)
    with tempfile.TemporaryDirectory() as spare, filling(results / "lab", mark="page.html") as folder:
        shown = networks(results, settings)
        shown.append(control(shown[0], images, Path(spare)))
        for label, image in enumerate(as_bytes(images).numpy()):
            save(image, folder / "galaxies" / f"{label}.webp")
            save(image, folder / "galaxies" / f"{label}-small.webp", side=THUMBNAIL)
        protocol = settings.protocol(settings.sizes[0])
        index = {
            "format": 1,
            "class_names": list(CLASS_NAMES),
            "stages": list(DREAMT),
            "sizes": list(settings.sizes),
            "settings": {
                "steps": protocol.steps[0],
                "rate": protocol.rates[0],
                "octaves": protocol.levels,
                "ratio": protocol.ratio,
                "jitter": protocol.jitter[0],
                "smoothing": protocol.smoothing,
                "seed": settings.seed,
            },
            "runtime": {
                backend: sum(
                    file.stat().st_size for file in (assets / "onnxruntime-web" / "dist").glob(files)
                )
                for backend, files in RUNTIMES.items()
            },
            "first": FIRST | {"size": settings.sizes[0]},
            "examples": lab_examples.save_sheet(looked, folder / "examples" / "galaxies.webp"),
            "networks": make_networks(shown, images, looked, folder, settings),
        }
        text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
        (folder / "index.json").write_text(text, encoding="utf-8")
        for name, first in (("page", FIRST), ("embed", FIRST), ("front", FRONT)):
            filled = index | {"first": index["first"] | first}
            html = fill((WEB / f"{name}.html").read_text(encoding="utf-8"), filled)
            (folder / f"{name}.html").write_text(html, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0, or 1 after one sentence."""
    parser = argparse.ArgumentParser(prog="python -m ci.lab", description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="the run's folder, _build/results/default")
    parser.add_argument("assets", type=Path, help="what ci.assets fetched, _build/assets")
    parser.add_argument("--values", type=json.loads, default={}, help="of LabSettings, as JSON")
    options = parser.parse_args(arguments)
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in options.values.items()}
    try:
        make(options.results, options.assets, LabSettings(**values))
    except GalaxyError as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
