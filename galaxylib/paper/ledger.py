"""The verdict on every claim: what the documents print beside what this project computes.

A claim's source is a check of `claim_checks` or a result in a chapter's JSON file. Nothing is typed
here: another result gives another verdict.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import pandas as pd

from galaxylib.errors import GalaxyError
from galaxylib.paper.chapter_results import CHAPTERS, ImageCount, Results, Run, look_up
from galaxylib.paper.claim_sources import BASES, CHECKS
from galaxylib.paper.claims import UNTESTED, Claim, Value
from galaxylib.paper.conditions import asked_in_words, had_in_words, unmet
from galaxylib.paper.significance import close, learned_nothing


class Verdict(StrEnum):
    """What is found of a claim."""

    REPRODUCED = "reproduced"
    SIMULATED = "reproduced on simulated data"
    DIFFERS_SIMULATED = "differs on simulated data"
    DIFFERS = "differs on the real file"
    CLOSE = "too close to call"
    NOT_LEARNED = "not tested: the networks learned nothing"
    OTHER_CONDITIONS = "not tested under its conditions"
    CONSISTENT = "agrees with the document's own numbers"
    CONTRADICTED = "contradicted by the document's own numbers"
    OUTSIDE = "contradicted by another source"
    FOLLOWED = "followed"
    DEPARTED = "departed from"
    NEEDS_FILE = "needs the real file"
    NEEDS_VOTES = "needs the challenge's images"
    NOT_RUN = "not run"
    OPEN = "open"
    UNTESTABLE = "cannot be tested here"
    RECORDED = "recorded, not tested"


MEANINGS = {
    Verdict.REPRODUCED: "computed anew from what is built here or from a public source, and equal",
    Verdict.SIMULATED: "an ordering or tendency that simulated galaxies show too, under the row's conditions",
    Verdict.DIFFERS_SIMULATED: "an ordering or tendency that they do not show, under the row's conditions",
    Verdict.DIFFERS: "computed anew from the real file, and different",
    Verdict.CLOSE: "the chance of which galaxies were looked at can make such a difference",
    Verdict.NOT_LEARNED: "a network that it compares stands at the level of guessing: too short a training",
    Verdict.OTHER_CONDITIONS: "this run was trained otherwise than the claim's network, and answers nothing",
    Verdict.CONSISTENT: "follows from the other numbers that the same document prints; not a new measurement",
    Verdict.CONTRADICTED: "does not follow from the other numbers that the same document prints",
    Verdict.OUTSIDE: "does not agree with cosmology, published labels or the published code",
    Verdict.FOLLOWED: "a choice of the authors that this run makes too",
    Verdict.DEPARTED: "a choice of the authors that this run makes otherwise",
    Verdict.NEEDS_FILE: "a result on the images of Galaxy10 DECaLS: give the real file and run again",
    Verdict.NEEDS_VOTES: "a result on the Galaxy Zoo challenge's images: give the votes chapter their folder",
    Verdict.NOT_RUN: "its chapter did not run, or left the experiment out in this profile",
    Verdict.OPEN: "could be tested, but no chapter of this book does so yet",
    Verdict.UNTESTABLE: "nothing that this book has or could make decides it, for the reason given",
    Verdict.RECORDED: "others' work, or the authors' own machine and data: nothing here to test it by",
}
"""One sentence for each verdict."""

UNTESTED_VERDICTS = {
    "open": Verdict.OPEN,
    "untestable": Verdict.UNTESTABLE,
    "quoted": Verdict.RECORDED,
    "stated": Verdict.RECORDED,
}
"""The verdict on each kind of claim that has no source."""

WAITING = (Verdict.NEEDS_FILE, Verdict.NEEDS_VOTES)
"""Those that wait for images which the run did not have."""

COMPARED = (
    Verdict.REPRODUCED,
    Verdict.OUTSIDE,
    Verdict.SIMULATED,
    Verdict.DIFFERS_SIMULATED,
    Verdict.DIFFERS,
)
"""Those behind which chance may stand."""


@dataclass(frozen=True)
class Finding:
    """A claim with its verdict.

    Attributes:
        claim: the claim that was looked at.
        verdict: what was found of it.
        computed: this project's value in the claim's unit; None where there is none.
        remark: what the computed value is, or why there is none.
        simulated: whether a chapter computed it on drawn galaxies.
    """

    claim: Claim
    verdict: Verdict
    computed: Value | None
    remark: str
    simulated: bool = False


def judge(results: Results) -> list[Finding]:
    """Find the verdict on every claim, in the order of the file.

    Raises:
        GalaxyError: a claim names a check, a chapter or a result that does not exist.
    """
    return [_find(claim, results) for claim in results.evidence.printed.claims.values()]


def _find(claim: Claim, results: Results) -> Finding:
    if claim.kind in UNTESTED:
        return Finding(claim, UNTESTED_VERDICTS[claim.kind], None, claim.reason)
    terms = [term.split("/") for term in claim.source.split(" - ")]
    for origin, *_ in terms:
        _check_origin(claim, origin)
    origin = terms[0][0]
    runs: list[Run | None] = [None] if origin in CHECKS else list(results.runs(origin))
    for run in runs:
        content = results.check(origin) if run is None else run.content
        looked = {"claim": claim.id, "optional": bool(run and run.where)}
        values = [look_up(content, path, **looked) for _, *path in terms]
        if None not in values:
            rows = [look_up(content, path[:-1], **looked) for _, *path in terms]
            return _judged(claim, values, rows, content, run, results)
    why = "left this out" if runs else "did not run"
    return Finding(claim, Verdict.NOT_RUN, None, f"the chapter {CHAPTERS[origin]} {why}")


def _judged(
    claim: Claim,
    values: list[Any],
    rows: list[Any],
    content: Mapping[str, Any],
    run: Run | None,
    results: Results,
) -> Finding:
    """The finding on a claim whose source has values.

    Args:
        claim: one with a source.
        values: of the source, one or the two whose difference it is.
        rows: what stands beside each.
        content: of the check or the chapter.
        run: that has them; None for a check.
        results: all.
    """
    computed = values[0] if len(values) == 1 else values[0] - values[1]
    if claim.unit == "%":
        computed = 100 * computed
    images = run.images if run else None
    if images and any(isinstance(row, Mapping) and row.get("kind") == "simulated" for row in rows):
        images = replace(images, simulated=True, whole=False)  # drawn even where the chapter has real ones
    verdict = _verdict(claim, claim.agrees(computed), claim.source.split("/")[0], images)
    if run and images and claim.kind in ("score", "comparison") and verdict not in WAITING:
        asked = results.evidence.printed.conditions.get(claim.under, {})
        if (claim.strictly or not images.simulated) and unmet(asked, content):
            verdict = Verdict.OTHER_CONDITIONS
        elif claim.kind == "comparison" and learned_nothing(claim, rows, run, results):
            verdict = Verdict.NOT_LEARNED
    if verdict in COMPARED and close(claim, computed, rows, run):
        verdict = Verdict.CLOSE
    note = claim.note.format_map(content)
    told = _about_run(claim, verdict, run, images, results) if run and images else ""
    remark = "; ".join(part for part in (told, note) if part)
    return Finding(claim, verdict, computed, remark, simulated=bool(images and images.simulated))


def _about_run(claim: Claim, verdict: Verdict, run: Run, images: ImageCount, results: Results) -> str:
    """What a remark says of the run: whose it was, on what, and how far it was trained."""
    asked = results.evidence.printed.conditions.get(claim.under, {})
    had = had_in_words(asked, run.content)
    parts = []
    if run.where:
        parts.append(f"in the reference run, on {run.where}")
    if verdict in WAITING:
        parts.append("on simulated galaxies" if images.simulated else f"on {images.count:,} real images")
    elif verdict is Verdict.OTHER_CONDITIONS:
        parts.append(f"the claim is about {asked_in_words(asked)}; the run had {had or 'others, untold'}")
    elif claim.kind == "comparison" and had:
        other = f"; the claim is about {asked_in_words(asked)}" if unmet(asked, run.content) else ""
        parts.append(f"{had}{other}")
    return ": ".join(parts)


def _check_origin(claim: Claim, origin: str) -> None:
    """Refuse a source that is neither a check nor a chapter."""
    known = [*CHECKS, *CHAPTERS]
    if origin not in known:
        near = difflib.get_close_matches(origin, known, n=2)
        meant = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}."
        raise GalaxyError(
            f"The claim {claim.id} asks for {origin!r}, which is no check and no chapter: {meant}"
        )


def _verdict(claim: Claim, agrees: bool, origin: str, images: ImageCount | None) -> Verdict:
    """The verdict on a claim that has a computed value; a check has a basis, a chapter has images."""
    if claim.kind == "setting":
        return Verdict.FOLLOWED if agrees else Verdict.DEPARTED
    if BASES.get(origin) == "own":
        return Verdict.CONSISTENT if agrees else Verdict.CONTRADICTED
    if images is None or claim.kind in ("design", "fact", "arithmetic"):
        return Verdict.REPRODUCED if agrees else Verdict.OUTSIDE
    if not images.whole and (claim.kind == "score" or not images.simulated):
        # A few real images answer no more than simulated ones.
        return Verdict.NEEDS_VOTES if origin == "07_votes" else Verdict.NEEDS_FILE
    if images.simulated:
        return Verdict.SIMULATED if agrees else Verdict.DIFFERS_SIMULATED
    return Verdict.REPRODUCED if agrees else Verdict.DIFFERS


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
            "cause": finding.claim.cause,
            "verdict": str(finding.verdict),
            "remark": finding.remark,
        }
        for finding in findings
    )
