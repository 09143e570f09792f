"""The verdict on every claim: what the documents print beside what this project computes.

A claim's source is a check of `claim_checks` or a result in a chapter's JSON file. Nothing is typed
here: another result gives another verdict.
"""

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import pandas as pd

from galaxylib.errors import GalaxyError
from galaxylib.paper.claim_checks import Evidence
from galaxylib.paper.claim_sources import BASES, CHECKS
from galaxylib.paper.claims import UNTESTED, Claim, Value

CHAPTERS = {
    "01_data": "The data",
    "02_architecture": "The architecture",
    "03_training": "Training",
    "04_evaluation": "Evaluation",
    "05_baselines": "Baselines",
    "06_deepdream": "DeepDream",
    "07_votes": "Galaxy Zoo votes",
}
"""The chapters whose results answer claims."""

GALAXIES = 17_736
VOTED_ON = 61_578
"""Images in the real files, of Galaxy10 and of the Galaxy Zoo challenge.

A score on fewer is no answer to a claim about all of them.
"""


class Verdict(StrEnum):
    """What is found of a claim."""

    REPRODUCED = "reproduced"
    SIMULATED = "reproduced on simulated data"
    DIFFERS_SIMULATED = "differs on simulated data"
    DIFFERS = "differs on the real file"
    CLOSE = "too close to call"
    CONSISTENT = "agrees with the seed's own numbers"
    CONTRADICTED = "contradicted by the seed's own numbers"
    OUTSIDE = "contradicted by another source"
    FOLLOWED = "followed"
    DEPARTED = "departed from"
    NEEDS_FILE = "needs the real file"
    NOT_RUN = "not run"
    OPEN = "open"
    RECORDED = "recorded, not tested"


MEANINGS = {
    Verdict.REPRODUCED: "computed anew from what is built here or from a public source, and equal",
    Verdict.SIMULATED: "an ordering or tendency that the simulated galaxies show too",
    Verdict.DIFFERS_SIMULATED: "an ordering or tendency that the simulated galaxies do not show",
    Verdict.DIFFERS: "computed anew from the real file, and different",
    Verdict.CLOSE: "the chance of which galaxies were looked at can make such a difference",
    Verdict.CONSISTENT: "follows from the other numbers that the same document prints; not a new measurement",
    Verdict.CONTRADICTED: "does not follow from the other numbers that the same document prints",
    Verdict.OUTSIDE: "does not agree with cosmology, published labels or the published code",
    Verdict.FOLLOWED: "a choice of the authors that the code here makes too",
    Verdict.DEPARTED: "a choice of the authors that the code here makes otherwise",
    Verdict.NEEDS_FILE: "a result on the real images: give the real file and run again",
    Verdict.NOT_RUN: "its chapter did not run, or left the experiment out in this profile",
    Verdict.OPEN: "could be tested, but no chapter of this book does so yet",
    Verdict.RECORDED: "others' work, or the authors' own machine and data: nothing here to test it by",
}
"""One sentence for each verdict."""


@dataclass(frozen=True)
class Finding:
    """A claim with its verdict.

    Attributes:
        claim: the claim that was looked at.
        verdict: what was found of it.
        computed: this project's value in the claim's unit; None where there is none.
        remark: what the computed value is, or why there is none.
    """

    claim: Claim
    verdict: Verdict
    computed: Value | None
    remark: str


@dataclass(frozen=True)
class ImageCount:
    """The images behind a chapter's results.

    Attributes:
        simulated: whether they were drawn here.
        count: number of images.
        whole: whether they are all the images of the real file.
    """

    simulated: bool
    count: int
    whole: bool


class Results:
    """What the checks and the chapters computed, each looked at once.

    Args:
        evidence: what the checks work on.
        outputs: the folder with the chapters' JSON files.
    """

    def __init__(self, evidence: Evidence, outputs: str | Path) -> None:
        self.evidence = evidence
        self.outputs = Path(outputs)
        self._known: dict[str, dict[str, Any] | None] = {}

    def of(self, origin: str) -> dict[str, Any] | None:
        """The results of a check or a chapter; None where the chapter did not run.

        Raises:
            GalaxyError: a chapter's file is not JSON.
        """
        if origin not in self._known:
            self._known[origin] = CHECKS[origin](self.evidence) if origin in CHECKS else self._chapter(origin)
        return self._known[origin]

    def images(self, chapter: str) -> ImageCount:
        """What a chapter ran on.

        The data chapter counted the images, unless it ran on others; a chapter that does not say what kind
        they were ran on the same. Where neither says, they count as simulated: a score then never passes for
        one on real images.
        """
        own, data = self.of(chapter) or {}, self.of("01_data") or {}
        kind = own.get("kind", data.get("kind"))
        if chapter == "07_votes":
            count, whole = own.get("n"), VOTED_ON
        else:
            count, whole = own.get("n_galaxies"), GALAXIES
            if data.get("kind") == kind:
                count = data.get("n_galaxies", count)
        return ImageCount(kind != "real", int(count or 0), kind == "real" and count == whole)

    def _chapter(self, name: str) -> dict[str, Any] | None:
        path = self.outputs / f"{name}.json"
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as fault:
            raise GalaxyError(
                f"{path} is not a chapter's results ({fault}): run that chapter again."
            ) from fault


def judge(results: Results) -> list[Finding]:
    """Find the verdict on every claim, in the order of the file.

    Raises:
        GalaxyError: a claim names a check, a chapter or a result that does not exist.
    """
    return [_find(claim, results) for claim in results.evidence.printed.claims.values()]


def _find(claim: Claim, results: Results) -> Finding:
    if claim.kind in UNTESTED:
        return Finding(claim, Verdict.OPEN if claim.kind == "open" else Verdict.RECORDED, None, "")
    terms = claim.source.split(" - ")
    values, rows = [], []
    for term in terms:
        origin, *path = term.split("/")
        _check_origin(claim, origin)
        content = results.of(origin)
        if content is None:
            return Finding(claim, Verdict.NOT_RUN, None, f"the chapter {CHAPTERS[origin]} did not run")
        value = look_up(content, path, claim)
        if value is None:
            return Finding(claim, Verdict.NOT_RUN, None, f"the chapter {CHAPTERS[origin]} left this out")
        values.append(value)
        rows.append(look_up(content, path[:-1], claim))
    computed = values[0] if len(values) == 1 else values[0] - values[1]
    if claim.unit == "%":
        computed = 100 * computed
    images = results.images(origin) if origin in CHAPTERS else None
    if images and any(isinstance(row, Mapping) and row.get("kind") == "simulated" for row in rows):
        images = replace(images, simulated=True, whole=False)  # drawn even where the chapter has real ones
    verdict = _verdict(claim, claim.agrees(computed), BASES.get(origin), images)
    if verdict is not Verdict.NEEDS_FILE and _close(claim, computed, rows, content):
        verdict = Verdict.CLOSE
    if images and verdict is Verdict.NEEDS_FILE:
        remark = "on simulated galaxies" if images.simulated else f"on {images.count:,} real images"
        remark += f"; {claim.note.format_map(content)}" if claim.note else ""
    else:
        remark = claim.note.format_map(content)
    return Finding(claim, verdict, computed, remark)


def chance(count: int) -> float:
    """By how much chance moves the difference of two shares of `count` galaxies, in 95 of 100 cases at most.

    The bound for two independent shares of one half; shares of the same galaxies differ by less.
    """
    return 1.96 * math.sqrt(0.5 / count)


def _close(
    claim: Claim, computed: Value, rows: list[Mapping[str, float]], content: Mapping[str, Any]
) -> bool:
    """Whether chance alone could bring about what a comparison finds.

    Args:
        claim: a claim that compares two values.
        computed: its value in the claim's unit.
        rows: what stands beside each value of its source; `low` and `high` where its noise is "interval"; `p`
            and `change` where it is "p", and perhaps `scatter`, what another seed alone changes.
        content: the chapter's results; `n_test` where its noise is "accuracy".
    """
    if claim.noise == "accuracy":
        return abs(computed - claim.value) < 100 * chance(int(content["n_test"]))
    if claim.noise == "p":
        return rows[0]["p"] >= 0.05 or abs(rows[0]["change"]) <= rows[0].get("scatter", 0)
    if claim.noise == "interval" and len(rows) == 1:
        return rows[0]["low"] <= claim.value <= rows[0]["high"]
    if claim.noise == "interval":
        first, second = rows
        return first["low"] <= second["high"] and second["low"] <= first["high"]
    return False


def _check_origin(claim: Claim, origin: str) -> None:
    """Refuse a source that is neither a check nor a chapter."""
    known = [*CHECKS, *CHAPTERS]
    if origin not in known:
        near = difflib.get_close_matches(origin, known, n=2)
        meant = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}."
        raise GalaxyError(
            f"The claim {claim.id} asks for {origin!r}, which is no check and no chapter: {meant}"
        )


def _verdict(claim: Claim, agrees: bool, basis: str | None, images: ImageCount | None) -> Verdict:
    """The verdict on a claim that has a computed value; a check has a basis, a chapter has images."""
    if claim.kind == "setting":
        return Verdict.FOLLOWED if agrees else Verdict.DEPARTED
    if basis == "own":
        return Verdict.CONSISTENT if agrees else Verdict.CONTRADICTED
    if images is None or claim.kind in ("design", "fact", "arithmetic"):
        return Verdict.REPRODUCED if agrees else Verdict.OUTSIDE
    if not images.whole and (claim.kind == "score" or not images.simulated):
        return Verdict.NEEDS_FILE  # a few real images answer no more than simulated ones
    if images.simulated:
        return Verdict.SIMULATED if agrees else Verdict.DIFFERS_SIMULATED
    return Verdict.REPRODUCED if agrees else Verdict.DIFFERS


def look_up(content: Any, path: list[str], claim: Claim) -> Any:
    """The entry of nested results at `path`; `column=value` picks a row of a table, a number an item.

    None where a table has no such row: a profile may leave out a network or an experiment.

    Raises:
        GalaxyError: there is no such entry; the sentence names the nearest.
    """
    for step in path:
        if isinstance(content, list):
            content = _row(content, step)
            if content is None:
                return None
        elif isinstance(content, Mapping) and step in content:
            content = content[step]
        else:
            near = difflib.get_close_matches(step, list(content) if isinstance(content, Mapping) else [], n=3)
            meant = f"did you mean {' or '.join(near)}?" if near else "correct its source."
            raise GalaxyError(
                f"The claim {claim.id} asks for {claim.source!r}, which has no result {step!r}: {meant}"
            )
    return content


def _row(rows: list[Any], step: str) -> Any:
    """The item of a list at a place (`"0"`), or the first table row with a value (`"network=convnet"`)."""
    if "=" in step:
        column, value = step.split("=", 1)
        return next((row for row in rows if str(row.get(column)) == value), None)
    return rows[int(step)] if step.isdigit() and int(step) < len(rows) else None


def as_table(findings: list[Finding]) -> pd.DataFrame:
    """The ledger as a table, one row a claim."""
    return pd.DataFrame(
        {
            "id": finding.claim.id,
            "seed": finding.claim.seed,
            "table": finding.claim.table,
            "where": finding.claim.where,
            "claim": finding.claim.says,
            "kind": finding.claim.kind,
            "printed": finding.claim.value,
            "computed": finding.computed,
            "unit": finding.claim.unit,
            "source": finding.claim.source,
            "verdict": str(finding.verdict),
            "remark": finding.remark,
        }
        for finding in findings
    )
