"""Results of several machines in one file: an entry for each processor, vector instruction set and GPU."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from galaxylib.files import write_json
from galaxylib.provenance import hardware, provenance

AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4,AVX512_ICL,AVX512_SPR",
}
"""What keeps torch, oneDNN and NumPy to the instructions of an ordinary laptop: no AVX-512, no bfloat16."""
KEY = ("processor", "cores", "instructions", "gpus")


def add_avx2(parser: argparse.ArgumentParser) -> None:
    """The option `--avx2`, which `settle` obeys."""
    parser.add_argument("--avx2", action="store_true", help="as a processor without AVX-512 and bfloat16")


def settle(*, avx2: bool) -> None:
    """Begin again in a fresh process that is held to AVX2, where that is wanted and not so yet.

    The libraries read the variables once, when they are loaded.
    """
    if avx2 and any(os.environ.get(name) != value for name, value in AVX2.items()):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | AVX2)


def this_machine() -> dict[str, Any]:
    """Processor, cores and threads in use, GPUs, and the vector instructions that torch takes."""
    return hardware() | {"instructions": torch.backends.cpu.get_cpu_capability()}


def put(path: Path, what: str, result: dict[str, Any]) -> None:
    """Write a result into a file, in place of an earlier one of the same machine.

    Args:
        path: of `{"what": ..., "runs": [one entry a machine]}`; made where it is missing.
        what: the file holds, in words.
        result: of this machine; where it comes from is added.
    """
    here = this_machine()
    entry = {"machine": here} | result | provenance()
    entry.pop("hardware")  # `machine` says it
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []
    others = [run for run in runs if any(run["machine"][name] != here[name] for name in KEY)]
    write_json(path, {"what": what, "runs": [*others, entry]})
