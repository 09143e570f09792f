"""Whether a comparison shows more than chance makes, and between networks that have learned something."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from galaxylib.evaluation.intervals import wilson
from galaxylib.paper.chapter_results import Results, Run
from galaxylib.paper.claims import Claim, Value


def chance(first: float, second: float | None = None) -> float:
    """By how much chance moves the difference of two shares, in 95 of 100 cases at most.

    The bound for two independent shares of one half; shares of the same galaxies differ by less.

    Args:
        first: galaxies of the first share.
        second: of the second; by default as many. Infinite for a printed share that has no chance of its own.
    """
    return 1.96 * math.sqrt(0.25 / first + 0.25 / (first if second is None else second))


def close(claim: Claim, computed: Value, rows: list[Any], run: Run | None) -> bool:
    """Whether chance alone could bring about what a comparison finds.

    Args:
        claim: that compares two values.
        computed: its value in the claim's unit.
        rows: what stands beside each value of its source; `low` and `high` where its noise is "interval"; `p`
            and `change` where it is "p", and perhaps `scatter`, what another seed alone changes, or `clear`,
            whether an interval says so. Ends of a change have names of their own, such as `change_low`.
        run: of its chapter: `n_test` where its noise is "accuracy", and the classes where it is "class".
    """
    if not claim.noise:
        return False
    terms = claim.source.split(" - ")
    key = terms[-1].rpartition("/")[2]
    rows = [
        row | {end: row[f"{key}_{end}"] for end in ("low", "high") if f"{key}_{end}" in row} for row in rows
    ]
    if claim.noise == "accuracy" and run:
        return abs(computed - claim.value) < 100 * chance(int(run.content["n_test"]))
    if claim.noise == "class" and run:
        members, everyone = run.tested[key], sum(run.tested.values())
        if not members:
            return True
        moved = 100 * chance(members, everyone if len(terms) > 1 else math.inf)
        apart = abs(computed - claim.value)
        if claim.compare == "equal":
            return not claim.agrees(computed) and apart <= claim.tolerance + moved
        return apart < moved
    if claim.noise == "p" and "clear" in rows[0]:
        return not rows[0]["clear"]
    if claim.noise == "p":
        change = abs(rows[0].get("change", math.inf))
        return rows[0]["p"] >= 0.05 or change <= rows[0].get("scatter", 0)
    if claim.noise == "interval" and len(rows) == 1 and claim.compare == "equal":
        # A printed value stands for all that round to it.
        reached = (
            rows[0]["low"] <= claim.value + claim.tolerance
            and claim.value - claim.tolerance <= rows[0]["high"]
        )
        return not claim.agrees(computed) and reached
    if claim.noise == "interval" and len(rows) == 1:
        return rows[0]["low"] <= claim.value <= rows[0]["high"]
    if claim.noise == "interval":
        first, second = rows
        return first["low"] <= second["high"] and second["low"] <= first["high"]
    return False


def learned_nothing(claim: Claim, rows: list[Any], run: Run, results: Results) -> bool:
    """Whether a network that a comparison looks at stands at the level of guessing.

    A network of classes does where its accuracy's interval reaches down to the share of the largest class,
    one of votes where its error's interval reaches up to that of every answer's mean. A change or a
    difference between such networks says nothing.

    Args:
        claim: that compares networks of a chapter.
        rows: what stands beside each value of its source.
        run: of its chapter.
        results: of the other chapters.
    """
    content = run.content
    if run.chapter == "05_baselines":
        return any(low <= run.guess for low in _lowest_accuracies(claim, rows, content))
    if run.chapter == "06_deepdream" and content.get("network") == "the network of this run":
        return any(
            one.content.get("accuracy_low", 0.0) <= one.guess for one in results.runs("04_evaluation")[-1:]
        )
    if run.chapter == "07_votes" and "guess_rmse" in content:
        models = re.findall(r"model=([^/]+)", claim.source) or ["tailored ResNet-18"]
        highest = [row["high"] for row in content["results"] if row["model"] in models]
        return any(high >= content["guess_rmse"] for high in highest)
    return False


def _lowest_accuracies(claim: Claim, rows: list[Any], content: Mapping[str, Any]) -> Iterator[float]:
    """The lower ends of the accuracies that a comparison of the baselines rests on, where they are told."""
    n = int(content.get("n_test") or 0)
    for term, row in zip(claim.source.split(" - "), rows, strict=True):
        if not isinstance(row, Mapping) or not {"ten", "accuracy", "test"} & set(row):
            # A figure of one network of the comparison, such as a recall: `recall/convnet/Merging`.
            row = next((one for one in content.get("results", []) if one["name"] in term.split("/")), {})
        low = row.get("accuracy_low", row.get("low"))
        share = row.get("ten", row.get("test"))  # of two answers beside ten classes, or of a stage
        if share is not None:
            low = wilson(round(n * share), n)[0]
        if low is not None:
            yield min(low, low - row.get("change", 0.0))
