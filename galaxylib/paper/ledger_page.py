"""The ledger as HTML, whose rows lead to what answers them."""

import html
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from galaxylib.paper.chapter_results import CHAPTERS
from galaxylib.paper.claim_sources import CHECKS
from galaxylib.paper.findings import Contradiction
from galaxylib.paper.ledger import MEANINGS, Finding, Verdict

MARKS = {
    Verdict.REPRODUCED: "✓",
    Verdict.SIMULATED: "≈",
    Verdict.CONSISTENT: "=",
    Verdict.FOLLOWED: "→",
    Verdict.CONTRADICTED: "✗",
    Verdict.OUTSIDE: "✗",
    Verdict.DIFFERS: "≠",
    Verdict.DIFFERS_SIMULATED: "≠",
    Verdict.CLOSE: "~",
    Verdict.NOT_LEARNED: "∅",
    Verdict.OTHER_CONDITIONS: "⊘",
    Verdict.DEPARTED: "↷",
    Verdict.NEEDS_FILE: "…",
    Verdict.NEEDS_VOTES: "…",
    Verdict.NOT_RUN: "○",
    Verdict.OPEN: "?",
    Verdict.UNTESTABLE: "–",
    Verdict.RECORDED: "·",
}
"""A sign for each verdict, so that none is told by colour alone."""

RELATIONS = {"above": "&gt; ", "below": "&lt; ", "at_least": "≥ ", "at_most": "≤ ", "one_of": "one of: "}
"""How a claim that is not an equality begins."""

# The book's theme knows tables of the class "dataframe" in its dark mode too; `book/style/book.css` has the
# rest.
CLASS = 'class="dataframe ledger"'


def summary(findings: Iterable[Finding]) -> pd.DataFrame:
    """Claims by verdict (rows, the empty ones left out) and document (columns), with totals."""
    pairs = pd.DataFrame(((str(f.verdict), f.claim.seed) for f in findings), columns=["verdict", "seed"])
    counts = pd.crosstab(pairs["verdict"], pairs["seed"], margins=True, margins_name="all")
    order = [str(verdict) for verdict in Verdict if str(verdict) in counts.index]
    return counts.loc[[*order, "all"]]


def contradictions_table(found: Iterable[Contradiction], documents: Mapping[str, Mapping[str, str]]) -> str:
    """The contradictions as an HTML table, a row each, whose statements lead to their rows.

    Args:
        found: from `findings.contradictions`.
        documents: short names by the document's number.
    """
    rows = []
    for one in found:
        sentences = [finding for finding in one.findings if not finding.claim.table]
        links = [
            f'<a href="#claim-{html.escape(finding.claim.id)}">{html.escape(finding.claim.where)}</a>'
            for finding in sentences
        ]
        links += [f"{one.cells:,} cells of its tables"] if one.cells else []
        against = sorted({str(finding.verdict).removeprefix("contradicted by ") for finding in one.findings})
        document = documents[one.findings[0].claim.seed]["short"]
        what = f"{html.escape(one.words)}<br><small>{html.escape(document)}</small>"
        rows.append([what, ", ".join(links), html.escape(", ".join(against))])
    return _table(("what does not agree", "where", "with"), rows)


def meanings(findings: Iterable[Finding]) -> str:
    """The verdicts that occur, each with its sign and its sentence, as an HTML table."""
    found = {finding.verdict for finding in findings}
    return _definitions(
        (f"{MARKS[verdict]} {html.escape(verdict)}", MEANINGS[verdict])
        for verdict in Verdict
        if verdict in found
    )


def checks(findings: Iterable[Finding]) -> str:
    """The checks that the claims use, each with its own sentence, as an HTML table to which the rows link."""
    used = {finding.claim.source.split("/")[0] for finding in findings}
    return _definitions(
        (f'<code id="check-{name}">{name}</code>', (function.__doc__ or "").splitlines()[0])
        for name, function in CHECKS.items()
        if name in used
    )


def ledger(findings: Iterable[Finding], *, chapters: str | Path = "book") -> str:
    """The rows of one document as HTML: its sentences, then each of its tables, folded.

    Args:
        findings: the rows, in the order of the file.
        chapters: folder of the chapters' sources, in which the section that reports a result is looked up.
    """
    by_table: dict[str, list[Finding]] = {"": []}
    for finding in findings:
        by_table.setdefault(finding.claim.table, []).append(finding)
    parts = [_rows(by_table.pop(""), Path(chapters))]
    for cells in by_table.values():
        where = cells[0].claim.where.split(",")[0]
        verdicts = Counter(finding.verdict for finding in cells)
        told = ", ".join(f"{count} {MARKS[verdict]} {verdict}" for verdict, count in verdicts.most_common())
        name = f"{where} ({cells[0].claim.where.split(', ')[-1]}…)" if len(cells) > 1 else where
        parts.append(
            f"<details><summary><strong>{html.escape(name)}</strong>: {html.escape(told)}</summary>"
            f"{_rows(cells, Path(chapters))}</details>"
        )
    return "".join(parts)


def _rows(findings: Iterable[Finding], chapters: Path) -> str:
    """A table with one row a claim: where, claim, printed, computed, verdict, and a link to how."""
    names = ("where", "claim", "printed", "here", "verdict", "how")
    rows, ids = [], []
    for finding in findings:
        claim = finding.claim
        ids.append(f"claim-{claim.id}")
        # A claim in words alone has nothing to print.
        printed = "—" if claim.value is True and not claim.source else _quantity(claim.value, claim.unit)
        rows.append(
            [
                html.escape(claim.where),
                html.escape(claim.says),
                f"{RELATIONS.get(claim.compare, '')}{printed}",
                _quantity(finding.computed, claim.unit),
                f"{MARKS[finding.verdict]} {html.escape(finding.verdict)}{_remark(finding.remark)}",
                _how(claim.source, chapters),
            ]
        )
    return _table(names, rows, ids=ids)


def _table(names: Sequence[str], rows: Sequence[Sequence[str]], *, ids: Sequence[str] = ()) -> str:
    """A table of cells that are HTML already; each but the first tells its column, for narrow screens."""
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = []
    for place, (first, *others) in enumerate(rows):
        name = f' id="{html.escape(ids[place])}"' if ids else ""
        cells = "".join(
            f'<td data-name="{column}">{cell}</td>' for column, cell in zip(names[1:], others, strict=True)
        )
        body.append(f'<tr><th scope="row"{name}>{first}</th>{cells}</tr>')
    return f"<table {CLASS}><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _definitions(entries: Iterable[tuple[str, str]]) -> str:
    """A table of terms, which are HTML already, and what they mean."""
    rows = "".join(
        f'<tr><th scope="row">{term}</th><td>{html.escape(text)}</td></tr>' for term, text in entries
    )
    return f"<table {CLASS}><tbody>{rows}</tbody></table>"


def section_of(chapter: str, key: str, chapters: Path) -> str:
    """The anchor of the section of a chapter's page in which it reports `key`; empty where none is found."""
    path = chapters / f"{chapter}.py"
    if not path.is_file():
        return ""
    heading = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"# #{1,4} (.+)", line):
            heading = match[1]
        elif heading and _reports(line, key):
            return anchor(heading)
    return ""


def _reports(line: str, key: str) -> bool:
    """Whether a line of code names a result, as it is (`"accuracy"`) or put together (`f"{name}_rmse"`)."""
    composed = re.findall(r'report\.\w+\(f"([^"]+)"', line)
    patterns = (re.sub(r"\\{.*?\\}", ".+", re.escape(name)) for name in composed)
    return f'"{key}"' in line or any(re.fullmatch(pattern, key) for pattern in patterns)


def anchor(heading: str) -> str:
    """The anchor that Sphinx gives a heading."""
    from docutils.nodes import make_id

    return make_id(heading)


def _quantity(value: object, unit: str) -> str:
    """A printed or computed value with its unit, to four significant digits."""
    if value is None:
        return "—"
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = str(value)
    elif isinstance(value, int) or float(value).is_integer():
        text = f"{int(value):,}"
    else:
        text = f"{value:.4g}"
    return html.escape(f"{text} {unit}".strip())


def _remark(remark: str) -> str:
    return f"<br><small>{html.escape(remark)}</small>" if remark else ""


def _how(source: str, chapters: Path) -> str:
    """The link to what answers a claim: a section of a chapter, or a check described on the ledger's page."""
    if not source:
        return "—"
    origin, key, *_ = [*source.split(" - ")[0].split("/"), ""]
    if origin in CHAPTERS:
        section = section_of(origin, key, chapters)
        return (
            f'<a href="{origin}.html{"#" + section if section else ""}">{html.escape(CHAPTERS[origin])}</a>'
        )
    return f'<a href="#check-{origin}"><code>{html.escape(origin)}</code></a>'
