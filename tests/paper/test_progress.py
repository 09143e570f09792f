"""What a long cell tells the terminal."""

import itertools

import pytest

from galaxylib.paper import progress
from galaxylib.paper.progress import span, steps


def test_each_step_is_named_and_the_rest_judged_by_what_is_done(monkeypatch, capsys):
    clock = itertools.count(0, 100)  # every look at the clock is 100 s later: 100 s a step
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(steps([2, 3, 5], label=lambda number: f"prime {number}")) == [2, 3, 5]
    told = capsys.readouterr()
    assert told.out == ""  # standard output would stand on the page
    assert told.err.splitlines() == [
        "prime 2 (1 of 3)",
        "prime 3 (2 of 3), about 3 min left",
        "prime 5 (3 of 3), about 2 min left",
    ]


def test_the_rest_is_judged_by_what_each_step_costs(monkeypatch, capsys):
    clock = itertools.count(0, 100)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(steps([1, 6, 2], cost=float)) == [1, 6, 2]
    # 100 s for a cost of 1, and 8 are left; then 200 s for 7, and 2 are left.
    assert capsys.readouterr().err.splitlines() == [
        "1 (1 of 3)",
        "6 (2 of 3), about 13 min left",
        "2 (3 of 3), about 57 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(40.4, "40 s"), (89, "89 s"), (150, "2 min"), (200, "3 min"), (4800, "1 h 20 min")]
)
def test_times_are_said_as_people_say_them(seconds, words):
    assert span(seconds) == words
