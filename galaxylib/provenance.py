"""Where a result comes from: the commit, the package versions, the hardware and the time."""

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "galaxylib",
    "torch",
    "torchvision",
    "lightning",
    "torchmetrics",
    "timm",
    "numpy",
    "h5py",
    "safetensors",
)


def provenance() -> dict[str, Any]:
    """What a checkpoint records besides its recipe and data, as JSON has it."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "python": platform.python_version(),
        "packages": packages(),
        "hardware": hardware(),
    }


def packages() -> dict[str, str]:
    """The versions of the packages on which results depend most, those that are installed."""
    return {name: version for name in PACKAGES if (version := _version(name))}


def commit(folder: Path = Path(__file__).parent) -> str | None:
    """The commit of the checkout that holds a folder, this package by default.

    "+changes" is added where files in the folder differ from it; None outside a checkout.
    """
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return head + ("+changes" if _git(folder, "status", "--porcelain", "--", str(folder)) else "")
    except (OSError, subprocess.SubprocessError):
        return None


def hardware() -> dict[str, Any]:
    """Processor, cores in use, and the GPUs by name."""
    import torch

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return {"processor": processor(), "cores": cores(), "threads": torch.get_num_threads(), "gpus": gpus}


def machine() -> dict[str, Any]:
    """The same as `hardware`, asked of the system: for a process that would import torch for nothing else.

    `threads` is what OMP_NUM_THREADS sets, and None where nothing does.
    """
    return {
        "processor": processor(),
        "cores": cores(),
        "threads": threads(),
        "gpus": _gpus(),
        "system": platform.system(),
    }


def threads() -> int | None:
    """The threads that OMP_NUM_THREADS grants, the first of a list such as "4,2"; None without one."""
    outermost = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(outermost) if outermost.isdecimal() and int(outermost) else None


def cores() -> int:
    """How many processors this process may use; macOS only says how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> list[str]:
    """The GPUs that NVIDIA's driver lists; an empty CUDA_VISIBLE_DEVICES hides them from torch, and here."""
    program = shutil.which("nvidia-smi")
    if program is None or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return []
    try:
        done = subprocess.run(
            [program, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.strip().splitlines()


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()


def processor() -> str:
    """The processor's name."""
    # platform.processor() is empty on most Linux systems, and psutil counts processors without naming them.
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
