"""How fast are galaxies drawn? Images a second, with one process and with two, as JSON.

    python -m benchmarks.simulate --out benchmarks/results/simulate.json
    python -m benchmarks.simulate --out benchmarks/results/simulate.json --avx2

Everything is counted: three bands, neighbours, stars, seeing, noise, stretch, JPEG, the file, and starting
the processes. The file keeps an entry for each machine; `--avx2` makes this one stand for an older one.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machines import add_avx2, put, settle, this_machine
from galaxylib.simulate import VERSION, simulate


def measure(n: int, processes: int) -> dict[str, float]:
    """Draw `n` galaxies with so many processes into a file that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        simulate(Path(folder) / "galaxies.h5", n=n, processes=processes, progress=False)
        seconds = time.perf_counter() - start
    return {"processes": processes, "n": n, "seconds": seconds, "images_per_second": n / seconds}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=2000, help="galaxies to draw in each run")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    add_avx2(parser)
    given = parser.parse_args()
    settle(avx2=given.avx2)
    found: dict[str, Any] = {
        "version": VERSION,
        "runs": [measure(given.n, processes) for processes in given.processes],
        "peak_memory_mb": {
            "this_process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "largest_child": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        },
    }
    print(json.dumps(this_machine() | found, indent=2))
    if given.out:
        put(given.out, "galaxies drawn a second, the file and the start of the processes included", found)


if __name__ == "__main__":
    main()
