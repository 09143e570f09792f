"""Findings: contradictions are counted by cause, and the counts are those of the rows."""

from dataclasses import replace

import pytest
from conftest import MEASURED

from galaxylib.errors import GalaxyError
from galaxylib.paper.chapter_results import Results
from galaxylib.paper.claim_checks import Evidence
from galaxylib.paper.findings import CONTRADICTIONS, MISLABELLED, contradictions, counted
from galaxylib.paper.ledger import Verdict, judge


@pytest.fixture(scope="module")
def findings(printed, tmp_path_factory):
    return judge(Results(Evidence(printed, MEASURED), tmp_path_factory.mktemp("empty")))


def test_every_contradiction_has_a_cause_and_every_cause_a_contradiction(printed, findings):
    fallen = [finding for finding in findings if finding.verdict in CONTRADICTIONS]
    found = contradictions(findings, printed.causes)
    assert [one.cause for one in found] == list(printed.causes)
    assert sorted(finding.claim.id for one in found for finding in one.findings) == sorted(
        finding.claim.id for finding in fallen
    )
    for one in found:
        assert len({finding.claim.seed for finding in one.findings}) == 1, one.cause


def test_a_contradiction_without_a_cause_is_told(printed, findings):
    fallen = next(finding for finding in findings if finding.verdict is Verdict.CONTRADICTED)
    unnamed = replace(fallen, claim=replace(fallen.claim, cause=""))
    with pytest.raises(GalaxyError, match=f"{fallen.claim.id} is contradicted .* name the cause"):
        contradictions([unnamed], printed.causes)


def test_the_mislabelling_by_hand(printed, findings):
    """Every cell of Tables 2 and 3 whose printed value is not that of its class, counted in the tables."""
    count = counted(findings, printed.causes)
    cells = {finding.claim.id: finding for finding in findings if finding.claim.table in TABLES}
    wrong = [one for one in cells.values() if abs(one.computed - one.claim.value) > one.claim.tolerance]
    assert len(cells) == 10 * 10 + 10 * 3 + 10
    assert count["n_mislabelled_cells"] == len(wrong)
    sentences = [
        finding.claim.id
        for finding in findings
        if finding.claim.cause == MISLABELLED and not finding.claim.table
    ]
    assert len(sentences) == 7  # of which In-between Round Smooth holds by chance
    assert count["n_mislabelled_sentences"] == 6
    assert count["n_mislabelled"] == count["n_mislabelled_cells"] + 6


TABLES = ("000-table-2", "000-table-3", "000-table-3-support")


def test_the_others_are_named(printed, findings):
    count = counted(findings, printed.causes)
    assert count["n_further"] == len(printed.causes) - 1 == len(count["further"].split("; "))
    assert printed.causes[MISLABELLED] not in count["further"]
    assert count["n_further_documents"] == len({"000", "002", "004"})


def test_what_waits_and_what_was_drawn(printed, findings):
    def as_if(verdict, simulated):
        return replace(findings[0], verdict=verdict, simulated=simulated)

    made = [as_if(Verdict.NEEDS_FILE, True), as_if(Verdict.NEEDS_VOTES, True), as_if(Verdict.CLOSE, False)]
    made += [as_if(Verdict.SIMULATED, True)] * 3 + [as_if(Verdict.DIFFERS_SIMULATED, True)] * 2
    made += [as_if(Verdict.CLOSE, True), as_if(Verdict.NOT_LEARNED, True)]
    count = counted(made, printed.causes)
    assert (count["n_waiting"], count["n_waiting_votes"]) == (2, 1)
    assert [count[f"n_drawn{end}"] for end in ("", "_shown", "_not", "_close")] == [6, 3, 2, 1]
    assert count["n_mislabelled"] == count["n_further"] == 0
