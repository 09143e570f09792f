"""What a chapter needs when it is run: its galaxies, their split, a trained network.

Within the book each of them was left by an earlier chapter. A chapter that is run alone makes what is missing
and says so.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.splits import Split, load_split, make_split
from galaxylib.data.unpacking import open_quick
from galaxylib.errors import DataError

if TYPE_CHECKING:
    from galaxylib.networks.checkpoint import Loaded
    from galaxylib.training.recipes import Recipe

SIMULATED = "simulated"
SPLIT, CHECKPOINT = "split.json", "checkpoint"


def open_data(data: str | Path, *, outputs: str | Path, simulated: int, seed: int = 0) -> Galaxy10:
    """The galaxies that a chapter works on.

    Args:
        data: "simulated", or the path of a Galaxy10 HDF5 file.
        outputs: folder in which the chapters of a run meet; drawn galaxies, and the unpacked copy of a file
            that is slow to read at random, are kept near it, in `_build/data` for `_build/results/default`,
            for the next chapter and the next run.
        simulated: galaxies to draw.
        seed: of the drawing.

    Raises:
        DataError: the file is missing or not as it must be.
        GalaxyError: the disk is full.
    """
    outputs = Path(outputs)
    folder = (outputs.parents[1] if outputs.parent.name == "results" else outputs) / "data"
    if str(data) != SIMULATED:
        return open_quick(data, folder=folder)
    kind = f"simulated-{simulated}-{seed}"
    path = folder / f"{kind}-{_simulator()}.h5"
    if not path.exists():
        from galaxylib.simulate import simulate

        for outdated in folder.glob(f"{kind}-{'[0-9a-f]' * 8}.h5"):
            outdated.unlink()
        print(f"Drawing {simulated:,} galaxies into {path}.", flush=True)
        simulate(path, n=simulated, seed=seed)
    return Galaxy10(path)


def _simulator() -> str:
    """Name the simulator after its source, so that galaxies of an older one are not taken for its own."""
    sources = sorted((Path(__file__).parents[1] / "simulate").glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:8]


def open_split(data: Galaxy10, *, outputs: str | Path, method: str = "sky", seed: int = 0) -> Split:
    """The split that the data chapter wrote for this file; otherwise one made now.

    Args:
        data: the galaxies.
        outputs: folder in which the chapters of a run meet.
        method: of a split made now, see `make_split`.
        seed: of a split made now.

    Raises:
        DataError: the file has too few galaxies to be split.
    """
    path = Path(outputs) / SPLIT
    if path.exists():
        try:
            return load_split(path, data)
        except DataError:
            print(f"{path} belongs to other galaxies: these are split anew.", flush=True)
    return make_split(data, method=method, seed=seed)


def open_checkpoint(
    checkpoint: str | Path,
    *,
    outputs: str | Path,
    data: Galaxy10,
    split: Split,
    recipe: "Recipe | None" = None,
    own_network: str = "",
) -> "Loaded":
    """The network that a chapter examines.

    Args:
        checkpoint: its folder, or "pretrained"; empty for the one that the training chapter left in
            `outputs`, or, where there is none, a short training now.
        outputs: folder in which the chapters of a run meet.
        data: the galaxies that a short training works on.
        split: of these galaxies.
        recipe: of the short training; by default three quick epochs of a small network.
        own_network: a network of your own that may be imported; see `checkpoint.load`.

    Raises:
        CheckpointError: the checkpoint that was asked for is missing or damaged.
    """
    from galaxylib.networks.checkpoint import load

    folder = Path(outputs) / CHECKPOINT
    if str(checkpoint):
        return load(checkpoint, own_network=own_network)
    if not (folder / "checkpoint.json").exists():
        from galaxylib.training.loop import train
        from galaxylib.training.recipes import QUICK

        folder = Path(outputs) / "short_training"
        print(f"{outputs} holds no trained network: a small one is trained.", flush=True)
        recipe = recipe or QUICK.but(width=0.125, size=64, epochs=3)
        train(data, split, recipe, out=folder)
        own_network = recipe.network
    return load(folder, own_network=own_network)
