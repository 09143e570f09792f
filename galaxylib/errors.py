"""Faults that a user can cure, each told in one sentence: the cause, then the cure."""

import argparse
import math
import os
import reprlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

TRACEBACK = "GALAXYLIB_TRACEBACK"
"""The environment variable that makes a command show where a fault arose."""


class GalaxyError(Exception):
    """A fault whose message is one clear sentence; the command line prints it and exits with status 1."""


class DataError(GalaxyError):
    """The galaxy file, or what was asked of it, is not as it must be."""


class CheckpointError(GalaxyError):
    """A checkpoint folder is missing, incomplete, altered, or of another network."""


class DreamError(GalaxyError):
    """A dream cannot be made: the image, the objective or the memory does not allow it."""


@dataclass(frozen=True)
class Range:
    """The numbers that a setting may be: from `low` to `high`, both included; only whole ones if `whole`."""

    low: float
    high: float
    whole: bool = True
    fault: ClassVar[type[GalaxyError]] = GalaxyError

    def __str__(self) -> str:
        return f"from {self.low:,} to {self.high:,}{', in whole numbers' * self.whole}"

    def __contains__(self, value: object) -> bool:
        is_number = isinstance(value, Integral if self.whole else Real) and not isinstance(value, bool)
        return is_number and self.low <= value <= self.high

    def check(self, name: str, value: Any) -> None:
        """Refuse a value that is no such number.

        Raises:
            GalaxyError: names the setting and the range.
        """
        if value not in self:
            raise self.fault(f"{name} is {reprlib.repr(value)}: choose {name} {self}.")

    def read(self, text: str) -> Any:
        """The number that a text on the command line gives, as argparse asks for it.

        Raises:
            argparse.ArgumentTypeError: it gives none of these; argparse adds the option's name.
        """
        try:
            value = int(text) if self.whole else float(text)
        except ValueError:  # no number, or one of thousands of digits
            value = math.nan
        if value not in self:
            kind = f"{'whole ' * self.whole}number from {self.low:,} to {self.high:,}"
            raise argparse.ArgumentTypeError(f"{reprlib.repr(text)} is no {kind}")
        return value


# What every generator of random numbers takes as its start.
SEEDS = Range(0, 2**32 - 1)
GALAXIES = Range(1, 10_000_000)
PROCESSES = Range(1, 1024)
BATCHES = Range(1, 65_536)
PARTS = Range(1, 1_000_000)
PIXSCALES = Range(0.001, 100, whole=False)


def filled(text: str) -> str:
    """A text on the command line that is not blank, as argparse asks for it: a blank path is this folder.

    Raises:
        argparse.ArgumentTypeError: it is blank.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text


def cause(fault: BaseException) -> str:
    """The kind of a fault and the first line of what it says."""
    said = str(fault).strip().partition("\n")[0][:200]
    return f"{type(fault).__name__}: {said}" if said else type(fault).__name__


def is_lack_of_memory(fault: BaseException) -> bool:
    """Whether Python, NumPy or torch has found no room in memory, be it the processor's or a GPU's."""
    said = str(fault).lower() if isinstance(fault, RuntimeError) else ""
    return (
        isinstance(fault, MemoryError)
        or type(fault).__name__ == "OutOfMemoryError"
        or any(part in said for part in ("not enough memory", "can't allocate memory", "out of memory"))
    )


def sentence(fault: BaseException) -> str:
    """What a command tells of a fault; only one that has no name here asks for a report."""
    if isinstance(fault, GalaxyError):
        return str(fault)
    if isinstance(fault, SystemExit):
        return f"Code of a network, or of a package, ended Python (sys.exit, {fault.code!r}): mend it there."
    if is_lack_of_memory(fault):
        return f"The memory does not suffice ({cause(fault)}): ask for less at once, or free some."
    if isinstance(fault, ModuleNotFoundError):
        return f"This needs the package {fault.name}, which is not installed here: install it."
    if isinstance(fault, OSError) and fault.strerror:
        where = f"{fault.filename} cannot be used" if fault.filename else "The system refuses a step"
        return f"{where} ({fault.strerror}): see to that, or choose another place."
    return (
        f"The command stopped at a fault that it does not know ({cause(fault)}): run it again with "
        f"{TRACEBACK}=1 in front, and report what it prints."
    )


def status_of(command: Callable[[], int | None], *, say: Callable[[str], None], interrupted: str) -> int:
    """Run a command; whatever it raises, `sys.exit` included, is told in one sentence.

    Args:
        command: gives the exit status; None is 0.
        say: prints a sentence.
        interrupted: what to say after Ctrl-C.

    Returns:
        the exit status: the command's own, 1 after a fault, 130 after Ctrl-C.
    """
    try:
        return command() or 0
    except KeyboardInterrupt:
        say(interrupted)
        return 130
    except BaseException as fault:
        if os.environ.get(TRACEBACK):
            traceback.print_exc()
        say(sentence(fault))
        return 1
