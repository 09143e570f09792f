"""What the ledger found, counted by finding and not by row: contradictions of one cause are one finding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from galaxylib.errors import GalaxyError
from galaxylib.paper.ledger import WAITING, Finding, Verdict

CONTRADICTIONS = (Verdict.CONTRADICTED, Verdict.OUTSIDE)
MISLABELLED = "class-names"
"""The cause that stands apart, for it touches two whole tables."""


@dataclass(frozen=True)
class Contradiction:
    """A cause and the statements that fail for it.

    Attributes:
        cause: its name in the claims file.
        words: the same in a few words.
        findings: the statements, in the order of the file.
    """

    cause: str
    words: str
    findings: Sequence[Finding]

    @property
    def cells(self) -> int:
        """How many of the statements are cells of tables."""
        return sum(finding.claim.table != "" for finding in self.findings)


def contradictions(findings: Sequence[Finding], causes: Mapping[str, str]) -> list[Contradiction]:
    """The contradictions, one for each cause for which anything fails, in the order of `causes`.

    Args:
        findings: of all claims.
        causes: words by cause, from the claims file.

    Raises:
        GalaxyError: a claim fails and its row names no cause.
    """
    fallen: dict[str, list[Finding]] = {cause: [] for cause in causes}
    for finding in findings:
        if finding.verdict in CONTRADICTIONS:
            if finding.claim.cause not in fallen:
                raise GalaxyError(
                    f"The claim {finding.claim.id} is {finding.verdict}: name the cause in its row of the "
                    "claims file, so that it is counted as a finding."
                )
            fallen[finding.claim.cause].append(finding)
    return [Contradiction(cause, causes[cause], found) for cause, found in fallen.items() if found]


def counted(findings: Sequence[Finding], causes: Mapping[str, str]) -> dict[str, int | str]:
    """The findings in figures, as the ledger's page and the introduction quote them.

    Returns:
        `n_mislabelled` statements that the wrong class names touch, of which `n_mislabelled_cells` are cells
        and `n_mislabelled_sentences` sentences; `n_further` contradictions, named in `further`, in
        `n_further_documents` of the documents; `n_waiting` scores that wait for real images,
        `n_waiting_votes` of them for the challenge's; `n_drawn` claims tested on drawn galaxies, which show
        `n_drawn_shown`, do not show `n_drawn_not` and leave `n_drawn_close` open.
    """
    found = {one.cause: one for one in contradictions(findings, causes)}
    first = found.pop(MISLABELLED, Contradiction(MISLABELLED, "", ()))
    drawn = {
        short: sum(finding.simulated and finding.verdict is verdict for finding in findings)
        for short, verdict in (
            ("shown", Verdict.SIMULATED),
            ("not", Verdict.DIFFERS_SIMULATED),
            ("close", Verdict.CLOSE),
        )
    }
    documents = {finding.claim.seed for one in found.values() for finding in one.findings}
    waiting = [finding for finding in findings if finding.verdict in WAITING]
    return {
        "n_mislabelled": len(first.findings),
        "n_mislabelled_cells": first.cells,
        "n_mislabelled_sentences": len(first.findings) - first.cells,
        "n_further": len(found),
        "further": "; ".join(one.words for one in found.values()),
        "n_further_documents": len(documents),
        "n_waiting": len(waiting),
        "n_waiting_votes": sum(finding.verdict is Verdict.NEEDS_VOTES for finding in waiting),
        "n_drawn": sum(drawn.values()),
    } | {f"n_drawn_{short}": count for short, count in drawn.items()}
