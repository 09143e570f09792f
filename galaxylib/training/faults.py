"""What stands around a training run: its faults and interruptions, each told in one sentence."""

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch.utilities.exceptions import SIGTERMException

from galaxylib.errors import GalaxyError, is_lack_of_memory
from galaxylib.training.recipes import Recipe


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's remarks on devices and workers off the screen; its warnings of real faults stay."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
            warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def memory_advice(recipe: Recipe) -> Iterator[None]:
    """Turn "out of memory" into one sentence that says what to try.

    Raises:
        GalaxyError: the memory of the GPU or the machine did not suffice.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as fault:
        if not is_lack_of_memory(fault):
            raise
        part = recipe.batch_size // recipe.accumulate
        cure = (
            f"try a batch size of {max(2, part // 2)}, or keep {recipe.batch_size} and set accumulate to "
            f"{recipe.accumulate * 2}"
            if part > 2
            else "try a smaller image size or width"
        )
        raise GalaxyError(
            f"The memory does not suffice for {part} images of {recipe.size} x {recipe.size} pixels at once: "
            f"{cure}."
        ) from fault


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C reach the caller as `KeyboardInterrupt`; Lightning makes it an exit and blocks the next.

    Raises:
        GalaxyError: the process was asked to end (SIGTERM), as batch systems do when a job's time is over.
    """
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SIGTERMException as stop:
        raise GalaxyError(
            "The run was asked to end (SIGTERM); resuming goes on after the last finished epoch."
        ) from stop
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from stop
        raise
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
