"""Compare the numbers of two runs, chapter by chapter, within tolerances that are written down.

The tolerances are in `tolerances.yml`: a list of rules, of which the first that fits a number's path counts.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from galaxylib.errors import GalaxyError

TOLERANCES = Path(__file__).with_name("tolerances.yml")
# 12, 1,234.5, 2e-3, 45.6%; the full stop that ends a sentence is no part of it.
NUMBER = re.compile(r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?%?")


@dataclass(frozen=True)
class Rule:
    """How far two runs may differ in some of their numbers.

    Attributes:
        match: patterns of the paths that it is for, "03_training/history/*".
        because: the reason, printed with a difference.
        relative: largest difference as a share of the larger number.
        absolute: largest difference as it stands; with one, whole numbers may differ too.
        errors: largest difference in standard errors of a share of the run's test galaxies, 0.5 / sqrt(n).
        ignore: say nothing of these numbers.
        free_text: text may differ beside its numbers: it names what came first or last.
    """

    match: tuple[str, ...]
    because: str
    relative: float = 0.0
    absolute: float = 0.0
    errors: float = 0.0
    ignore: bool = False
    free_text: bool = False

    def limit(self, first: float, second: float, *, n_test: int) -> float:
        """The largest difference that the rule allows.

        Args:
            first: a number of the first run.
            second: its counterpart.
            n_test: test galaxies of the run.
        """
        if isinstance(first, int) and isinstance(second, int) and not (self.absolute or self.errors):
            return 0.0  # a count is right or wrong
        return max(
            self.relative * max(abs(first), abs(second)),
            self.absolute,
            self.errors * 0.5 / math.sqrt(max(n_test, 1)),
        )


@dataclass(frozen=True)
class Difference:
    """Where two runs differ.

    Attributes:
        path: of the number, "04_evaluation/accuracy".
        first: what the first run has.
        second: what the second run has.
        why: what was allowed, and the rule's reason.
    """

    path: str
    first: Any
    second: Any
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {' and '.join(self.brief())}; {self.why}"

    def brief(self) -> tuple[str, str]:
        """Both values as JSON, cut where they are long."""
        return _brief(self.first), _brief(self.second)


@dataclass
class Outcome:
    """What a comparison found.

    Attributes:
        same: values that are equal to the last bit.
        ignored: values that no rule holds to anything.
        within: values that differ by no more than they may.
        differences: all others.
    """

    same: int
    ignored: int
    within: list[Difference]
    differences: list[Difference]


def load_rules(path: Path = TOLERANCES) -> list[Rule]:
    """Read the tolerances.

    Raises:
        GalaxyError: an entry has an unknown word, no pattern or no reason.
    """
    rules = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
        try:
            rules.append(Rule(**entry | {"match": tuple(entry["match"])}))
        except (TypeError, KeyError) as fault:
            raise GalaxyError(f"{path}: {entry} is no rule; it needs match and because ({fault}).") from fault
    return rules


def compare(first: Path, second: Path, *, rules: list[Rule]) -> Outcome:
    """Compare the chapters' JSON files of two runs.

    Args:
        first: folder of one run's results.
        second: the other run's folder.
        rules: the tolerances; a path that none fits must be equal.

    Raises:
        GalaxyError: a folder holds no results.
    """
    runs = [values(folder) for folder in (first, second)]
    sizes = {path.split("/")[0]: size for path, size in runs[0].items() if re.fullmatch(r"\w+/n_test", path)}
    outcome = Outcome(0, 0, [], [])
    for path in dict.fromkeys([*runs[0], *runs[1]]):
        rule = next((rule for rule in rules if any(fnmatchcase(path, p) for p in rule.match)), EQUAL)
        if rule.ignore:
            outcome.ignored += 1
            continue
        pair = [run.get(path, MISSING) for run in runs]
        # True equals 1 in Python and not here.
        if pair[0] == pair[1] and type(pair[0]) is type(pair[1]):
            outcome.same += 1
            continue
        n_test = sizes.get(path.split("/")[0], sizes.get("01_data", 0))
        why = _beyond(*pair, rule=rule, n_test=n_test)
        if why:
            outcome.differences.append(Difference(path, *pair, why))
        else:
            outcome.within.append(Difference(path, *pair, "within the tolerance"))
    return outcome


def values(folder: Path) -> dict[str, Any]:
    """Spread a run's JSON files into path -> value.

    Raises:
        GalaxyError: the folder holds none, or a damaged one.
    """
    files = sorted(folder.glob("[0-9][0-9]_*.json"))
    if not files:
        raise GalaxyError(f"{folder} holds no results of chapters (01_data.json and the like).")
    found = {}
    for file in files:
        try:
            found |= _spread(json.loads(file.read_text(encoding="utf-8")), file.stem)
        except ValueError as fault:
            raise GalaxyError(f"{file} is damaged, no JSON: make that run again, or give another.") from fault
    return found


MISSING = "(nothing)"
EQUAL = Rule(("*",), "no rule is for it, so it must be equal")


def _spread(content: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(content, Mapping):
        for key, entry in content.items():
            yield from _spread(entry, f"{path}/{key}")
    elif isinstance(content, list):
        for number, entry in enumerate(content):
            yield from _spread(entry, f"{path}/{_name(entry, number)}")
    else:
        yield path, content


def _name(entry: Any, number: int) -> str:
    """Call a row by its id and source, if it has them, so that one row more does not shift all others."""
    if isinstance(entry, Mapping) and "id" in entry:
        return f"{entry['id']} from {entry['source']}" if entry.get("source") else f"{entry['id']}"
    return f"{number}"


def _beyond(first: Any, second: Any, *, rule: Rule, n_test: int) -> str:
    """Say what was allowed where two values differ by more; nothing where they do not."""
    if isinstance(first, str) and isinstance(second, str) and MISSING not in (first, second):
        if NUMBER.sub("#", first) != NUMBER.sub("#", second):
            return "" if rule.free_text else f"the words must agree: {rule.because}"
        pairs = zip(NUMBER.findall(first), NUMBER.findall(second), strict=True)
        numbers = [tuple(map(_number, pair)) for pair in pairs]
    elif _is_number(first) and _is_number(second):
        numbers = [(first, second)]
    else:
        return "" if rule.free_text else f"they must be equal: {rule.because}"
    for one, other in numbers:
        limit = rule.limit(one, other, n_test=n_test)
        if abs(one - other) > limit:
            allowed = f"{limit:.2g} apart is allowed" if limit else "they must be equal"
            return f"{allowed}: {rule.because}"
    return ""


def _number(text: str) -> float:
    plain = text.replace(",", "")
    if plain.endswith("%"):
        return float(plain[:-1]) / 100
    return int(plain) if plain.lstrip("+-").isdecimal() else float(plain)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _brief(value: Any) -> str:
    text = value if value is MISSING else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
