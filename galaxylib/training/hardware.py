"""Which arithmetic, and which devices, the machine at hand offers."""

import os
from dataclasses import dataclass

import torch

from galaxylib.errors import GalaxyError


@dataclass(frozen=True)
class Arithmetic:
    """How to compute.

    Attributes:
        name: "float32", "bfloat16" or "float16"; the last two keep the weights in float32 and compute the
            convolutions in the short type (automatic mixed precision).
        channels_last: whether images and weights lie in memory with their channels together, which the short
            types need to be fast.
    """

    name: str
    channels_last: bool

    @property
    def lightning(self) -> str:
        """The same in Lightning's words."""
        return {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}[self.name]

    @property
    def dtype(self) -> torch.dtype:
        """The type of the convolutions."""
        return getattr(torch, self.name)

    @property
    def memory_format(self) -> torch.memory_format:
        """The same in PyTorch's words."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


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
    return Arithmetic(precision, channels_last=gpu or precision != "float32")


def cpu_has_bfloat16() -> bool:
    """Whether torch multiplies bfloat16 by instructions of the processor (AVX-512 BF16 or AMX).

    `ATEN_CPU_CAPABILITY=avx2` keeps torch from them: so one machine can stand for another.
    """
    if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2"):
        return False
    offers = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(offers.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


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
