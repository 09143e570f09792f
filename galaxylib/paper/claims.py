"""What the source documents claim: one data file, `book/claims.yml`, read and checked.

A claim is one sentence or one cell of a table: where it stands, what it says, and which check or which
chapter's result answers it. The checks are in `claim_checks`, the verdicts in `ledger`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from galaxylib.errors import GalaxyError

KINDS = {
    "score": "a result on the real images: only the real file can answer it",
    "comparison": "an ordering or a tendency: simulated galaxies can answer it",
    "design": "the shape or the size of a network",
    "setting": "a choice of the authors",
    "arithmetic": "follows from the document's own numbers",
    "fact": "about the sky, the catalogue or published code",
    "quoted": "taken by the authors from the work of others",
    "open": "could be tested, but no chapter of this book does",
    "untestable": "nothing that this book has or could make answers it; its reason says why",
    "stated": "about the authors' own machine, data or choice, of which nothing remains to compare with",
}
"""The kinds of claim and what each means."""

UNTESTED = ("quoted", "stated", "open", "untestable")
"""The kinds that have no source."""

NOISES = ("", "accuracy", "class", "interval", "p")

COMPARISONS = ("equal", "above", "below", "at_least", "at_most", "one_of")

Value = int | float | str | bool


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of a source document.

    Attributes:
        id: its name in the ledger, which begins with the document's.
        seed: the document, a key of `Printed.seeds`.
        where: section, table or figure, row and column.
        says: the claim in the document's words, shortened.
        value: the value that the document prints.
        kind: what the claim is about, one of `KINDS`.
        unit: of `value`; "%" compares it with 100 times the computed fraction.
        source: `check/key/...` or `NN_chapter/key/...`, or the difference of two, joined by " - "; empty
            where the claim is only recorded.
        compare: how the computed value must stand to the printed one, one of `COMPARISONS`; for "one_of" the
            printed value is a list of words, joined by commas.
        tolerance: largest difference that still counts as equal, in the claim's unit.
        noise: what chance can do to a comparison, which is then too close to call: "accuracy", to a
            difference of shares of the test galaxies; "class", to a share of one class's test galaxies, whose
            name ends the source; "interval", as `low` and `high` beside the value say; "p", as the `p` beside
            it says, at the 5 % level, and the `scatter` between trainings.
        note: what the computed value is; braces quote other entries of the same source.
        table: the printed table of which this is a cell; empty for a claim in a sentence.
        cause: why it fails if it does, a key of `Printed.causes`; claims of one cause are one finding.
        reason: why nothing here tests it, or not yet; only for a claim without a source.
        under: the training that it is about, a key of `Printed.conditions`. A run on real images that was
            trained otherwise does not answer it.
        strictly: whether a run on simulated images must have been trained so, too.
    """

    id: str
    seed: str
    where: str
    says: str
    value: Value
    kind: str
    unit: str = ""
    source: str = ""
    compare: str = "equal"
    tolerance: float = 0.0
    noise: str = ""
    note: str = ""
    table: str = ""
    cause: str = ""
    reason: str = ""
    under: str = ""
    strictly: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise GalaxyError(
                f"The claim {self.id} is of an unknown kind {self.kind!r}: choose {_any_of(KINDS)}."
            )
        if self.compare not in COMPARISONS:
            raise GalaxyError(
                f"The claim {self.id} compares by {self.compare!r}: choose {_any_of(COMPARISONS)}."
            )
        if self.noise not in NOISES:
            raise GalaxyError(
                f"The claim {self.id} has the noise {self.noise!r}: write accuracy, class, interval or p."
            )
        if (self.kind in UNTESTED) is bool(self.source):
            raise GalaxyError(
                f"The claim {self.id} is of the kind {self.kind!r} and its source is {self.source!r}: "
                f"a claim that is {' or '.join(UNTESTED)} has none, any other claim needs one."
            )
        if bool(self.reason) is not (self.kind in ("open", "untestable")) and self.kind != "quoted":
            raise GalaxyError(
                f"The claim {self.id} is of the kind {self.kind!r}: a claim that is open or untestable says "
                "the reason, and of the others only a quoted one may."
            )
        if self.strictly and not self.under:
            raise GalaxyError(f"The claim {self.id} is held strictly to conditions: name them in `under`.")
        if not self.id.startswith(f"{self.seed}-"):
            raise GalaxyError(f"The claim {self.id} must begin with the number of its document, {self.seed}.")

    def agrees(self, computed: Value) -> bool:
        """Whether a computed value, in the claim's unit, bears the claim out."""
        if self.compare == "one_of":
            return str(computed) in str(self.value).split(", ")
        if self.compare == "equal":
            if isinstance(self.value, str | bool) or isinstance(computed, str | bool):
                return self.value == computed
            # A hair of slack, so that the decimal fractions of the printed rounding do not decide.
            return abs(computed - self.value) <= self.tolerance + 1e-9
        return {
            "above": computed > self.value,
            "below": computed < self.value,
            "at_least": computed >= self.value - self.tolerance,
            "at_most": computed <= self.value + self.tolerance,
        }[self.compare]


@dataclass(frozen=True)
class Printed:
    """Everything that the documents print, as `book/claims.yml` has it.

    Attributes:
        seeds: title, authors and short name of each document.
        facts: numbers published elsewhere, which some checks compare with.
        claims: every claim by its id, the tables cell by cell.
        tables: the printed tables by their id, rows and columns named.
        causes: by name, in a few words, why claims contradict what they are compared with.
        conditions: by name, the training that claims are about, as a chapter's results name its settings; a
            value of None is told and asks for nothing.
    """

    seeds: Mapping[str, Mapping[str, str]]
    facts: Mapping[str, Any]
    claims: Mapping[str, Claim]
    tables: Mapping[str, pd.DataFrame]
    causes: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, Mapping[str, Value | None]] = field(default_factory=dict)

    def value(self, claim: str) -> Value:
        """The printed value of a claim.

        Raises:
            GalaxyError: there is no such claim.
        """
        if claim not in self.claims:
            raise GalaxyError(f"The claims file has no claim {claim!r}, which a check needs: restore it.")
        return self.claims[claim].value

    def table(self, name: str) -> pd.DataFrame:
        """A printed table.

        Raises:
            GalaxyError: there is no such table.
        """
        if name not in self.tables:
            raise GalaxyError(f"The claims file has no table {name!r}, which a check needs: restore it.")
        return self.tables[name]


def load_claims(path: str | Path) -> Printed:
    """Read the claims file.

    Raises:
        GalaxyError: the file is missing or is not as its head says; the sentence names the entry.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as fault:
        raise GalaxyError(f"{path} cannot be read as the file of claims: {fault}.") from fault
    missing = {"seeds", "facts", "tables", "texts"} - set(content or {})
    if missing:
        raise GalaxyError(f"{path} lacks the part {sorted(missing)[0]!r}.")
    rows = [cell for block in content["tables"] for cell in _cells(block)]
    rows += [{"seed": seed} | row for seed, texts in content["texts"].items() for row in texts]
    named = {part: content.get(part, {}) for part in ("causes", "conditions")}
    claims: dict[str, Claim] = {}
    for row in rows:
        claim = _claim(row)
        if claim.id in claims:
            raise GalaxyError(f"{path} has two claims called {claim.id}: give the second its own name.")
        if claim.seed not in content["seeds"]:
            raise GalaxyError(f"The claim {claim.id} is of an unknown document {claim.seed!r}.")
        for part, name in (("causes", claim.cause), ("conditions", claim.under)):
            if name and name not in named[part]:
                raise GalaxyError(f"The claim {claim.id} names {name!r}, which is not among the {part}.")
        claims[claim.id] = claim
    tables = {
        block["id"]: pd.DataFrame.from_dict(block["rows"], orient="index", columns=block["columns"])
        for block in content["tables"]
    }
    return Printed(content["seeds"], content["facts"], claims, tables, **named)


def _claim(row: Mapping[str, Any]) -> Claim:
    """A row of the file as a `Claim`; an unknown or missing field is told by its name."""
    known = {entry.name for entry in fields(Claim)}
    wrong = [f"has no use for {name!r}" for name in row if name not in known]
    wrong += [
        f"lacks {name!r}" for name in ("id", "seed", "where", "says", "value", "kind") if name not in row
    ]
    if wrong:
        raise GalaxyError(f"The claim {row.get('id', row.get('says', '?'))} {wrong[0]}.")
    return Claim(**row)


def _cells(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each filled cell of a table block; `{row}`, `{column}` and `{value}` are filled in."""
    cells = []
    shared = {name: entry for name, entry in block.items() if name not in ("rows", "columns")}
    for row, values in block["rows"].items():
        if len(values) != len(block["columns"]):
            raise GalaxyError(
                f"The table {block['id']} has {len(values)} values in its row {row!r} "
                f"for {len(block['columns'])} columns."
            )
        for column, value in zip(block["columns"], values, strict=True):
            if value is None:
                continue
            place = {"row": row, "column": column}
            name = f"{block['id']}-{slug(row)}"
            cells.append(
                shared
                | {
                    "id": name if len(block["columns"]) == 1 else f"{name}-{slug(column)}",
                    "where": f"{block['where']}, {row}, {column}",
                    "says": block["says"].format(**place, value=value),
                    "source": block.get("source", "").format(**place),
                    "value": value,
                    "table": block["id"],
                }
            )
    return cells


def slug(text: str) -> str:
    """`text` as part of an id: lower case, letters and digits joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _any_of(names: Any) -> str:
    return f"one of {', '.join(names)}"
