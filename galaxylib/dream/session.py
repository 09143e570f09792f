"""A dream in the background: it can be paused, resumed and stopped, and says how long it will take."""

import threading
import time
from collections.abc import Callable
from typing import Any

from galaxylib.dream.ascent import Step
from galaxylib.dream.dreaming import Dream, dream
from galaxylib.dream.settings import Settings
from galaxylib.errors import GalaxyError


class Session:
    """One dream in a thread of its own.

    Pause and stop act after the step under way, and the calls return at once.

    Args:
        on_step: called in that thread after each step, with the step and the seconds left.
        on_end: called with the dream, or with a sentence where it failed.
        arguments: for `dream`, without `progress`.
    """

    def __init__(
        self,
        *,
        on_step: Callable[[Step, float], None],
        on_end: Callable[[Dream | None, str], None],
        settings: Settings,
        **arguments: Any,
    ) -> None:
        self._on_step, self._on_end, self._settings = on_step, on_end, settings
        self._arguments = arguments
        self._go, self._stop = threading.Event(), threading.Event()
        self._go.set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._worked, self._since = 0.0, 0.0

    def start(self) -> None:
        """Begin."""
        self._since = time.perf_counter()
        self._thread.start()

    def pause(self) -> None:
        """Wait after the step under way."""
        self._go.clear()

    def resume(self) -> None:
        """Go on."""
        self._go.set()

    def stop(self) -> None:
        """End after the step under way; the dream so far is kept."""
        self._stop.set()
        self._go.set()

    @property
    def paused(self) -> bool:
        """Whether it waits, or will after the step under way."""
        return not self._go.is_set()

    @property
    def running(self) -> bool:
        """Whether it has begun and not ended."""
        return self._thread.is_alive()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end; whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            made, fault = dream(settings=self._settings, progress=self._progress, **self._arguments), ""
        except GalaxyError as sentence:
            made, fault = None, str(sentence)
        except Exception as error:
            made, fault = None, f"The dream failed: {type(error).__name__}: {error}"
        self._on_end(made, fault)

    def _progress(self, step: Step) -> bool:
        self._worked += time.perf_counter() - self._since
        self._on_step(step, seconds_left(self._settings, step.number, self._worked))
        self._go.wait()
        self._since = time.perf_counter()
        return self._stop.is_set()


def seconds_left(settings: Settings, done: int, worked: float) -> float:
    """What the steps still to come will take, if the time of a step goes with its pixels.

    Args:
        settings: the dream's settings.
        done: number of finished steps.
        worked: seconds that the finished steps took.
    """
    costs = [
        float(settings.level_side(size, level)) ** 2
        for size, steps in zip(settings.sizes, settings.steps, strict=True)
        for level in range(settings.levels)
        for _ in range(steps)
    ]
    return worked * sum(costs[done:]) / sum(costs[:done]) if done else float("nan")
