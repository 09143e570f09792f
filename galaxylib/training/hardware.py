"""Which arithmetic, and which devices, the machine at hand offers."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from galaxylib.errors import GalaxyError


@dataclass(frozen=True)
class Arithmetic:
    """How to compute.

    Attributes:
        name: "float32", "bfloat16" or "float16"; the last two keep the weights in float32 and compute the
            convolutions in the short type (automatic mixed precision).
    """

    name: str

    @property
    def lightning(self) -> str:
        """The same in Lightning's words."""
        return {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}[self.name]

    @property
    def dtype(self) -> torch.dtype:
        """The type of the convolutions."""
        return getattr(torch, self.name)


def default_device() -> torch.device:
    """The GPU where torch finds one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def arithmetic(precision: str = "auto") -> Arithmetic:
    """What `precision` means on this machine.

    "auto" takes bfloat16 where the GPU or the processor multiplies it natively, float16 on an older GPU, and
    float32 elsewhere.

    Raises:
        GalaxyError: float16 was asked for without a GPU.
    """
    gpu = torch.cuda.is_available()
    if precision == "auto":
        if gpu:
            precision = "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
        else:
            precision = "bfloat16" if cpu_has_bfloat16() else "float32"
    if precision == "float16" and not gpu:
        raise GalaxyError("Training in float16 needs a GPU: choose the precision auto, bfloat16 or float32.")
    return Arithmetic(precision)


def cpu_has_bfloat16() -> bool:
    """Whether torch multiplies bfloat16 by instructions of the processor (AVX-512 BF16 or AMX).

    `ATEN_CPU_CAPABILITY=avx2` keeps torch from using them, so that one machine can stand for another.
    """
    if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2"):
        return False
    offers = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(offers.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


@contextmanager
def keeping_memory() -> Iterator[None]:
    """Let what is freed in the block stay with the process for the next allocation.

    glibc gives a large array back to the system as soon as it is freed and asks for it again at the next one:
    each of its pages is then cleared and mapped anew, a quarter of the processor time of a training step
    without a GPU. In the block it keeps them, at the cost of about a tenth more memory; what is free at its
    end goes back. Other C libraries are left as they are.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt"):
        yield
        return
    most_mapped, trim_threshold = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h
    libc.mallopt(most_mapped, 0)
    libc.mallopt(trim_threshold, -1)
    try:
        yield
    finally:
        libc.mallopt(most_mapped, 65_536)  # glibc's own values
        libc.mallopt(trim_threshold, 128 * 1024)
        libc.malloc_trim(0)


@dataclass(frozen=True)
class Devices:
    """The devices of a run, as `torchrun` announces them; one process and one device without it.

    Attributes:
        local: processes on this machine.
        hosts: machines.
        rank: number of this process among all.
    """

    local: int = 1
    hosts: int = 1
    rank: int = 0

    @property
    def world(self) -> int:
        """Processes in all."""
        return self.local * self.hosts

    @property
    def launched(self) -> bool:
        """Whether torchrun started this process."""
        return "TORCHELASTIC_RUN_ID" in os.environ

    @classmethod
    def announced(cls) -> "Devices":
        """Read torchrun's environment variables."""
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return cls()
        world, local = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
        return cls(local=local, hosts=world // local, rank=int(os.environ["RANK"]))

    def own_device(self) -> torch.device:
        """This process's own GPU, one a process in the order of their numbers; the processor without any."""
        if not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", self.rank % self.local % torch.cuda.device_count())

    def take_own(self) -> None:
        """Compute on this process's own GPU from now on."""
        if torch.cuda.is_available():
            torch.cuda.set_device(self.own_device())
