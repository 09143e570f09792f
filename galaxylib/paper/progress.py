"""Where a long cell is: a line on standard error at each of its steps, which the pages leave out."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def steps(
    items: Iterable[Item], *, label: Callable[[Item], str] = str, cost: Callable[[Item], float] | None = None
) -> Iterator[Item]:
    """Go through the steps of a long piece of work, saying before each which it is and what is left.

    Args:
        items: the steps; the time left is judged by those already done.
        label: what to call one.
        cost: how long one takes, in any unit; by default, all take the same time.

    Yields:
        The steps, in their order.
    """
    whole = list(items)
    costs = [cost(item) if cost else 1.0 for item in whole]
    began = time.monotonic()
    for done, item in enumerate(whole):
        left = (time.monotonic() - began) / sum(costs[:done]) * sum(costs[done:]) if done else 0.0
        ending = f", about {span(left)} left" if left >= 1 else ""
        print(f"{label(item)} ({done + 1} of {len(whole)}){ending}", file=sys.stderr, flush=True)
        yield item


def span(seconds: float) -> str:
    """A time in words: "40 s", "3 min", "1 h 20 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
