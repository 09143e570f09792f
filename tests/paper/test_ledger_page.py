"""The ledger's HTML: every claim has its row, every link a target."""

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import jupytext
import pytest
from conftest import MEASURED
from reference_records import records

from galaxylib.paper.chapter_results import CHAPTERS, GALAXIES, Results
from galaxylib.paper.claim_checks import Evidence
from galaxylib.paper.conditions import conditions_of
from galaxylib.paper.findings import contradictions
from galaxylib.paper.ledger import Verdict, judge
from galaxylib.paper.ledger_page import (
    MARKS,
    MEANINGS,
    anchor,
    checks,
    contradictions_table,
    ledger,
    meanings,
    section_of,
    summary,
)
from galaxylib.training.recipes import PAPER_RECIPE

BOOK = Path(__file__).parents[2] / "book"
VOID = {"br"}


class Page(HTMLParser):
    """Collects ids and links, and holds that every element is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.rows, self.open = [], [], 0, []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if "href" in attributes else []
        self.rows += tag == "tr"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def findings(printed, tmp_path_factory):
    return judge(Results(Evidence(printed, MEASURED), tmp_path_factory.mktemp("empty")))


def test_every_claim_has_a_row_and_every_link_a_target(findings):
    page = Page(ledger(findings, chapters=BOOK))
    page.ids += Page(checks(findings)).ids
    rows = [name for name in page.ids if name.startswith("claim-")]
    assert sorted(rows) == sorted(f"claim-{finding.claim.id}" for finding in findings)
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert link.split(".html")[0] in CHAPTERS
    heads = page.rows - len(rows)
    assert heads == 1 + len({finding.claim.table for finding in findings} - {""})


def test_the_contradictions_lead_to_their_rows(printed, findings):
    """A row a cause; what it links to is a sentence's row, which stands open, never a folded cell."""
    found = contradictions(findings, printed.causes)
    page = Page(contradictions_table(found, printed.seeds))
    assert page.rows == 1 + len(printed.causes)
    sentences = [finding for one in found for finding in one.findings if not finding.claim.table]
    assert sorted(page.links) == sorted(f"#claim-{finding.claim.id}" for finding in sentences)


def test_cells_are_folded(findings):
    """What stands outside the folded tables are sentences alone; `summary` opens at a key."""
    text = ledger(findings)
    open_part = re.sub(r"(?s)<details><summary>.*?</details>", "", text)
    shown = {name.removeprefix("claim-") for name in Page(open_part).ids}
    assert shown == {finding.claim.id for finding in findings if not finding.claim.table}


def test_a_reason_stands_in_the_row(findings):
    reasoned = [finding for finding in findings if finding.claim.reason]
    assert reasoned
    text = html.unescape(ledger(findings))
    assert all(finding.claim.reason in text for finding in reasoned)


def test_each_verdict_has_its_own_sentence_and_a_sign(findings):
    assert set(MARKS) == set(MEANINGS) == set(Verdict)
    assert len(set(MEANINGS.values())) == len(Verdict)
    text = meanings(findings)
    Page(text)
    for verdict in Verdict:
        assert (f"{MARKS[verdict]} {verdict}</th>" in text.replace("&#x27;", "'")) == any(
            finding.verdict is verdict for finding in findings
        )


def test_summary_counts_each_claim_once(findings):
    counts = summary(findings)
    assert counts.loc["all", "all"] == len(findings)
    assert counts.drop(index="all", columns="all").to_numpy().sum() == len(findings)


def test_text_is_escaped(findings):
    from dataclasses import replace

    nasty = replace(findings[0], claim=replace(findings[0].claim, says="a < b & <script>"))
    assert "<script>" not in ledger([nasty])
    assert "a &lt; b &amp; &lt;script&gt;" in ledger([nasty])


def test_a_result_is_found_in_its_section(tmp_path):
    (tmp_path / "04_evaluation.py").write_text(
        "# %% [markdown]\n# # Evaluation\n#\n# ## How far off: a look\n\n# %%\n"
        'report.number("accuracy", 0.5)\n\n# %% [markdown]\n# ## Later\n#\n# %%\n'
        'report.number(f"{name}_rmse", 1)\n'
    )
    assert section_of("04_evaluation", "accuracy", tmp_path) == "how-far-off-a-look"
    assert section_of("04_evaluation", "cnn_rmse", tmp_path) == "later"
    assert section_of("04_evaluation", "recall", tmp_path) == ""
    assert section_of("05_baselines", "accuracy", tmp_path) == ""


def page_of(outputs, monkeypatch, *, reference=""):
    """What the ledger puts on its page: each quoted result by its name, and the HTML of its tables."""
    quoted, shown = {}, []
    monkeypatch.setattr(
        "galaxylib.paper.report._glue", lambda name, value, display: quoted.update({name: value})
    )
    monkeypatch.setattr("IPython.display.HTML", shown.append)
    monkeypatch.chdir(BOOK.parent)
    names = {}
    for cell in jupytext.read(BOOK / "08_ledger.py").cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
            if "parameters" in cell.metadata.get("tags", []):
                names |= {"outputs": str(outputs), "reference": str(reference)}
    return quoted, "".join(shown)


@pytest.mark.slow
def test_another_result_changes_the_page(tmp_path, monkeypatch):
    """The same chapter after two evaluations of the whole real file: other numbers, other verdicts."""
    pages = {}
    for accuracy in (0.861, 0.702):
        results = {"kind": "real", "n_galaxies": GALAXIES, "accuracy": accuracy}
        results |= {"macro_f1": 0.85, "weighted_f1": 0.86}
        trained = {"train_images": 12_770, "simulated": False}
        results |= {"conditions": conditions_of(PAPER_RECIPE.to_dict(), **trained)}
        (tmp_path / "04_evaluation.json").write_text(json.dumps(results))
        pages[accuracy] = page_of(tmp_path, monkeypatch)
    (good, good_html), (bad, bad_html) = pages.values()
    assert (good["n_differs"], bad["n_differs"]) == (0, 1)
    assert good["n_reproduced"] - bad["n_reproduced"] == 1
    assert good["n_claims"] == bad["n_claims"]
    assert "86.1 %" in good_html
    assert "86.1 %" not in bad_html
    assert "70.2 %" in bad_html


@pytest.mark.slow
def test_the_page_says_by_which_run_it_judges(tmp_path, monkeypatch):
    """Without a reference run, with one that has a chapter, and with the folder not there."""
    alone, _ = page_of(tmp_path, monkeypatch, reference=tmp_path / "none")
    assert alone["judged_by"] == "This run judges all claims"
    records(tmp_path / "reference", {"ConvNet as printed": 0.8, "RMSprop": 0.6})
    judged, page = page_of(tmp_path, monkeypatch, reference=tmp_path / "reference")
    assert judged["judged_by"] == (
        "The reference run, a longer one on simulated galaxies, judges the claims on other networks and on "
        "votes, as far as it has the trainings (Baselines: AMD EPYC, 2026-11-26). This run judges all other "
        "claims"
    )
    assert "in the reference run, on AMD EPYC, 2026-11-26" in page
    assert judged["n_drawn_shown"] == alone["n_drawn_shown"] + 1


def test_anchor_as_in_sphinx():
    assert anchor("What changes in the paper's conclusions") == "what-changes-in-the-paper-s-conclusions"
    assert anchor("1. What's *new*?") == "what-s-new"
