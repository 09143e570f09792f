"""What a chapter needs when it is run: its galaxies and their split.

Within the book both were left by an earlier chapter. A chapter that is run alone makes what is missing and
says so. The trained network has a module of its own, `galaxylib.paper.trained`: a chapter that needs none
does not depend on the code that trains.
"""

import hashlib
from pathlib import Path

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.splits import SPLIT, Split, load_split, make_split
from galaxylib.data.unpacking import open_quick
from galaxylib.errors import DataError

SIMULATED = "simulated"


def open_data(data: str | Path, *, outputs: str | Path, simulated: int, seed: int = 0) -> Galaxy10:
    """The galaxies that a chapter works on.

    Args:
        data: "simulated", or the path of a Galaxy10 HDF5 file.
        outputs: folder in which the chapters of a run meet; drawn galaxies, and the unpacked copy of a file
            that is slow to read at random, are kept near it, in `_build/data` for `_build/results/default`,
            for the next chapter and the next run.
        simulated: number of galaxies to draw.
        seed: start of the drawing's random numbers.

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
        data: the galaxies that are divided.
        outputs: folder in which the chapters of a run meet.
        method: of a split made now, see `make_split`.
        seed: start of the random numbers of a split made now.

    Raises:
        DataError: the file has too few galaxies to be split.
    """
    path = Path(outputs) / SPLIT
    if path.exists():
        try:
            return load_split(path, data)
        except DataError:
            print(f"{path} is no split of these galaxies: they are split anew.", flush=True)
    return make_split(data, method=method, seed=seed)
