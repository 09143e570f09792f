"""The results that answer claims: those of the checks, of a run's chapters and of the reference run.

The reference run trained longer, on simulated galaxies, and its records are kept with the book. It judges
what it has, unless the page itself ran on real images.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galaxylib.data.galaxy10 import CLASS_COUNTS
from galaxylib.errors import GalaxyError
from galaxylib.paper.claim_checks import Evidence
from galaxylib.paper.claim_sources import CHECKS
from galaxylib.paper.reference import ABOUT, Reference, machines_of
from galaxylib.paper.reference_claims import as_chapter
from galaxylib.paper.reference_votes import read_vote_trainings, votes_chapter

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


@dataclass(frozen=True)
class Run:
    """What one run has of a chapter.

    Attributes:
        chapter: its name.
        content: its results.
        images: behind them.
        tested: test galaxies of each class.
        where: of the reference run, machine and date in words; empty for the page's own.
    """

    chapter: str
    content: Mapping[str, Any]
    images: ImageCount
    tested: Mapping[str, int]
    where: str = ""

    @property
    def guess(self) -> float:
        """The accuracy of naming the most frequent class each time: the level of guessing."""
        counts = self.tested if sum(self.tested.values()) else CLASS_COUNTS
        return max(counts.values()) / sum(counts.values())


class Results:
    """What the checks and the chapters computed, each looked at once.

    Args:
        evidence: what the checks work on.
        outputs: the folder with the chapters' JSON files.
        reference: the folder with the records of the reference run; it need not exist.
    """

    def __init__(
        self, evidence: Evidence, outputs: str | Path, *, reference: str | Path | None = None
    ) -> None:
        self.evidence = evidence
        self.outputs = Path(outputs)
        self._checked: dict[str, dict[str, Any]] = {}
        self._read: dict[Path, dict[str, Any] | None] = {}
        self._reference = self._records(Path(reference)) if reference else {}

    def check(self, name: str) -> dict[str, Any]:
        """The results of a check."""
        if name not in self._checked:
            self._checked[name] = CHECKS[name](self.evidence)
        return self._checked[name]

    def of(self, origin: str) -> dict[str, Any] | None:
        """The results of a check, or of a chapter of this run; None where the chapter did not run.

        Raises:
            GalaxyError: a chapter's file is not JSON.
        """
        return self.check(origin) if origin in CHECKS else self._file(self.outputs / f"{origin}.json")

    def runs(self, chapter: str) -> list[Run]:
        """The runs that may answer a chapter's claims, the better first.

        The reference run comes before a page's own on simulated galaxies, and not at all beside one on real
        images.
        """
        own = self.of(chapter)
        referred = self._reference.get(chapter)
        kinds = {(self.of(name) or {}).get("kind") for name in (chapter, "01_data")}
        found = [referred] if referred and "real" not in kinds else []
        if own is not None:
            found.append(Run(chapter, own, self.images(chapter), self._tested(own)))
        return found

    def by_reference(self, chapter: str) -> str:
        """Where the reference run was made that judges a chapter's claims; empty if none does."""
        return next((run.where for run in self.runs(chapter)), "")

    def images(self, chapter: str) -> ImageCount:
        """What a chapter of this run ran on.

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

    def _tested(self, content: Mapping[str, Any]) -> dict[str, int]:
        """Test galaxies by class: as the chapter says, as the data chapter has them, or by their shares."""
        if content.get("supports"):
            return content["supports"]
        if classes := (self.of("01_data") or {}).get("classes"):
            return {row["index"]: int(row["test"]) for row in classes if row["index"] in CLASS_COUNTS}
        share = int(content.get("n_test") or 0) / sum(CLASS_COUNTS.values())
        return {name: round(share * count) for name, count in CLASS_COUNTS.items()}

    @staticmethod
    def _records(folder: Path) -> dict[str, Run]:
        """The reference run by the chapter that it answers for; nothing where it has no training yet."""
        if not (folder / ABOUT).is_file() or not (found := Reference.read(folder)).trainings:
            return {}
        content = as_chapter(found)
        images = ImageCount(simulated=True, count=content["n_galaxies"], whole=False)
        where = found.machines(found.trainings[0].group)
        runs = {"05_baselines": Run("05_baselines", content, images, content["supports"], where)}
        voted = read_vote_trainings(folder)
        if content := votes_chapter(voted):
            images = ImageCount(simulated=True, count=content["n"], whole=False)
            where = machines_of(one.made for ones in voted.values() for one in ones)
            runs["07_votes"] = Run("07_votes", content, images, {}, where)
        return runs

    def _file(self, path: Path) -> dict[str, Any] | None:
        if path not in self._read:
            try:
                text = path.read_text(encoding="utf-8") if path.is_file() else "null"
                self._read[path] = json.loads(text)
            except ValueError as fault:
                raise GalaxyError(
                    f"{path} is not a chapter's results ({fault}): run that chapter again."
                ) from fault
        return self._read[path]


def look_up(content: Any, path: list[str], *, claim: str, optional: bool = False) -> Any:
    """The entry of nested results at `path`; `column=value` picks a row of a table, a number an item.

    None where a table has no such row, or the row no such figure: a run may leave out an experiment.

    Args:
        content: results of a check or a chapter.
        path: the steps.
        claim: that asks, for the sentence of an error.
        optional: whether to return None where there is no such entry: another run may have it.

    Raises:
        GalaxyError: there is no such entry; the sentence names the nearest.
    """
    in_row = False
    for step in path:
        if isinstance(content, list):
            content, in_row = _row(content, step), True
            if content is None:
                return None
        elif isinstance(content, Mapping) and step in content:
            content = content[step]
        elif optional or in_row:
            return None
        else:
            near = difflib.get_close_matches(step, list(content) if isinstance(content, Mapping) else [], n=3)
            meant = f"did you mean {' or '.join(near)}?" if near else "correct its source."
            raise GalaxyError(
                f"The claim {claim} asks for {'/'.join(path)!r}, which has no result {step!r}: {meant}"
            )
    return content


def _row(rows: list[Any], step: str) -> Any:
    """The item of a list at a place (`"0"`), or the first table row with a value (`"network=convnet"`)."""
    if "=" in step:
        column, value = step.split("=", 1)
        return next((row for row in rows if str(row.get(column)) == value), None)
    return rows[int(step)] if step.isdigit() and int(step) < len(rows) else None
