"""Which galaxies train, validate and test; written down once and read by every chapter.

The published set holds some galaxies twice, under two labels: 59 pairs lie within one arcsecond, 126 within
ten. A random split puts one half of such a pair in training and the other in the test. The default here
divides the sky into groups first and never parts a group.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.sky import Positioned, sky_groups, sky_pairs
from galaxylib.errors import SEEDS, DataError, GalaxyError
from galaxylib.files import write_json

PUBLISHED_SIZE = 17_736
PUBLISHED_TEST = 3_194
PAPER_TRAIN, PAPER_VALIDATION = 11_487, 1_276
CODE_VALIDATION = 1_454
"""Sizes as printed: the paper's (section 4.1) leave 1,779 images unused, the published code's leave none."""

SPLIT = "split.json"
"""Name of the file that holds a split, in a run's folder and beside a checkpoint."""

METHODS = ("sky", "paper", "published_code")
PARTS = ("train", "validation", "test")
FRACTIONS = (0.72, 0.10, 0.18)
"""Shares of the parts in the `sky` split; the test set is as large as the published ones."""


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a file for training, validation and test.

    Attributes:
        train, validation, test: sorted row numbers, int64; no row is in two of them.
        method: how the rows were divided, one of `METHODS`.
        seed: what the draw started from.
        fingerprint: of the file that was split.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    method: str
    seed: int
    fingerprint: str

    @property
    def rows_fingerprint(self) -> str:
        """A hash of the rows of all three parts: 16 hexadecimal digits."""
        rows = np.concatenate([part for name in PARTS for part in ([-1], getattr(self, name))])
        return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:16]

    def save(self, path: str | Path) -> Path:
        """Write the split as JSON.

        Raises:
            GalaxyError: the disk is full.
        """
        content = asdict(self) | {part: getattr(self, part).tolist() for part in PARTS}
        write_json(path, content)
        return Path(path)


def all_to_train(data: Any) -> Split:
    """Every galaxy of a file, or of what is in memory, to train on; none to validate or to test."""
    parts = {
        "train": np.arange(len(data)),
        "validation": np.empty(0, np.int64),
        "test": np.empty(0, np.int64),
    }
    return Split(**parts, method="all", seed=0, fingerprint=data.fingerprint)


def load_split(path: str | Path, data: Positioned | None = None) -> Split:
    """Read a split; with `data`, make sure that it was made for that file.

    Raises:
        DataError: the split is missing, is not a split, or was made for another file.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        rows = [row for part in PARTS for row in content[part]]
        if not all(type(row) is int and 0 <= row < 2**31 for row in rows) or len(set(rows)) < len(rows):
            raise ValueError("the parts are no lists of row numbers without repeats")
        if not all(isinstance(content[key], str) for key in ("method", "fingerprint")):
            raise ValueError("the method or the fingerprint is no text")
        SEEDS.check("seed", content["seed"])
        split = Split(**content | {part: np.asarray(content[part], np.int64) for part in PARTS})
    except FileNotFoundError as fault:
        raise DataError(
            f"There is no split {path}: training leaves one beside its weights, and without it only a whole "
            "file can be scored."
        ) from fault
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, GalaxyError) as fault:
        raise DataError(
            f"{path} is not a split: put back the one that was written there, or train again."
        ) from fault
    if data is not None:
        check_file(split, data, name=f"The split {path}")
    return split


def check_file(split: Split, data: Positioned, *, name: str = "The split") -> None:
    """Make sure that `split` was made for the file `data`.

    Raises:
        DataError: it was made for another one; the sentence calls the split `name`.
    """
    if split.fingerprint != data.fingerprint:
        raise DataError(
            f"{name} belongs to another file (fingerprint {split.fingerprint}, this file's is "
            f"{data.fingerprint}): give the file that was split, or use a split of this one."
        )
    if any(len(rows) and rows.max() >= len(data) for rows in (split.train, split.validation, split.test)):
        raise DataError(f"{name} has rows that its file of {len(data)} galaxies has not: split it again.")


def make_split(
    data: Positioned,
    *,
    method: str = "sky",
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> Split:
    """Divide the rows of a file.

    Args:
        data: the file or catalogue whose rows are divided.
        method: `"sky"` keeps galaxies within 10 arcsec together and every class at its share: no leak.
            `"paper"` has the sizes printed in the paper, drawn at random within each class; the paper does
            not say which 1,779 images it left out, nor how it drew. `"published_code"` follows the published
            code: a test set drawn by scikit-learn within each class, then a plain shuffle for validation,
            both with seed 42. These two part repeated galaxies. On a file of another size than the published
            one their sizes are scaled in proportion.
        fractions: shares of training, validation and test; only `"sky"` uses them.
        seed: of the draw; `"published_code"` keeps its own.

    Raises:
        DataError: the file has too few galaxies of a class for this method.
        GalaxyError: the method is unknown, the seed is out of range, or the fractions are not three shares
            that add up to 1.
    """
    SEEDS.check("seed", seed)
    if method == "sky":
        parts = _sky(data, _checked(fractions), seed)
    elif method == "paper":
        parts = _paper(data, seed)
    elif method == "published_code":
        seed = 42
        parts = _published_code(data, seed)
    else:
        raise GalaxyError(f"There is no split method {method!r}: choose one of {', '.join(METHODS)}.")
    empty = [part for part, rows in zip(PARTS, parts, strict=True) if len(rows) == 0]
    if empty and method != "sky":
        raise DataError(
            f"{len(data)} galaxies are too few for the split {method!r} (no {empty[0]}): use 'sky'."
        )
    return Split(*(np.sort(rows).astype(np.int64) for rows in parts), method, seed, data.fingerprint)


@dataclass(frozen=True)
class Leak:
    """What a split lets through.

    Attributes:
        groups: sky groups with rows in more than one part.
        test_rows: test rows with a neighbour of their group in training or validation.
        unused: rows that are in no part.
    """

    groups: int
    test_rows: int
    unused: int

    @classmethod
    def of(cls, split: Split, groups: np.ndarray) -> Self:
        """Count the leaks of `split`, given the (N,) group of each row."""
        inside = [set(groups[rows].tolist()) for rows in (split.train, split.validation, split.test)]
        train, validation, test = inside
        seen = train | validation
        parted = (train & validation) | (seen & test)
        leaked = sum(group in seen for group in groups[split.test].tolist())
        used = len(split.train) + len(split.validation) + len(split.test)
        return cls(groups=len(parted), test_rows=leaked, unused=len(groups) - used)


def survey(data: Positioned, *, fractions: Sequence[float] = FRACTIONS, seed: int = 0) -> dict[str, Any]:
    """How a set repeats itself on the sky, and what each split method lets through.

    Returns:
        `galaxies`, `positioned` (rows with a position), `pairs_1_arcsec` and `pairs_10_arcsec`, both also
        with `_two_labels` (those whose labels differ), and `methods`: for each method its sizes and `Leak`,
        or the sentence that says why it cannot be drawn.
    """
    repeats = {}
    for radius in (1, 10):
        first, second = sky_pairs(data.ra, data.dec, radius).T
        repeats[f"pairs_{radius}_arcsec"] = len(first)
        repeats[f"pairs_{radius}_arcsec_two_labels"] = int((data.labels[first] != data.labels[second]).sum())
    groups = sky_groups(data.ra, data.dec)
    methods: dict[str, dict[str, Any]] = {}
    for method in METHODS:
        try:
            split = make_split(data, method=method, fractions=fractions, seed=seed)
        except DataError as fault:
            methods[method] = {"refused": str(fault)}
            continue
        methods[method] = {part: len(getattr(split, part)) for part in PARTS} | asdict(Leak.of(split, groups))
    return {
        "galaxies": len(data),
        "positioned": int((np.isfinite(data.ra) & np.isfinite(data.dec)).sum()),
        **repeats,
        "methods": methods,
    }


def _checked(fractions: Sequence[float]) -> np.ndarray:
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-6 or shares[0] == 0:
        raise GalaxyError(
            f"The fractions {tuple(fractions)} are not shares for training, validation and test: "
            "give three numbers from 0 to 1 that add up to 1, the first above 0."
        )
    return shares


def _quota(count: int, shares: np.ndarray) -> np.ndarray:
    """Whole numbers that add up to `count`, nearest to the shares; 0 only where it must be."""
    exact = count * shares
    quota = np.floor(exact).astype(int)
    for part in np.argsort(quota - exact, kind="stable")[: count - quota.sum()]:
        quota[part] += 1
    for part in np.flatnonzero((quota == 0) & (shares > 0))[::-1]:
        if quota.max() > 1:
            quota[quota.argmax()] -= 1
            quota[part] += 1
    return quota


def _sky(data: Positioned, shares: np.ndarray, seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    groups = sky_groups(data.ra, data.dec)
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    # A group of mixed labels counts for the class of its first row.
    kinds = data.labels[[rows[0] for rows in members]]
    parts: list[list[np.ndarray]] = [[], [], []]
    for kind in range(len(CLASS_NAMES)):
        own = [members[number] for number in generator.permutation(np.flatnonzero(kinds == kind))]
        bounds = np.cumsum(_quota(sum(map(len, own)), shares))
        filled = 0
        for rows in own:
            parts[int(np.searchsorted(bounds, filled, side="right"))].append(rows)
            filled += len(rows)
    return [np.concatenate(part) if part else np.empty(0, np.int64) for part in parts]


def _scaled(size: int, count: int) -> int:
    return round(size * count / PUBLISHED_SIZE)


def _draw(rows: np.ndarray, labels: np.ndarray, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Part `rows` in (the rest, `size` rows), each class at its share."""
    from sklearn.model_selection import train_test_split

    try:
        rest, drawn = train_test_split(rows, test_size=size, stratify=labels[rows], random_state=seed)
    except ValueError as fault:
        raise DataError(
            f"{len(labels)} galaxies are too few to draw {size} of them with every class at its share: "
            "use the split method 'sky', or more galaxies."
        ) from fault
    return rest, drawn


def _paper(data: Positioned, seed: int) -> list[np.ndarray]:
    count = len(data)
    rest, test = _draw(np.arange(count), data.labels, _scaled(PUBLISHED_TEST, count), seed)
    rest, validation = _draw(rest, data.labels, _scaled(PAPER_VALIDATION, count), seed)
    unused = len(rest) - _scaled(PAPER_TRAIN, count)
    train, _ = _draw(rest, data.labels, unused, seed)
    return [train, validation, test]


def _published_code(data: Positioned, seed: int) -> list[np.ndarray]:
    """The published code's rows: images lie in folders by class name, validation is a plain shuffle."""
    count = len(data)
    rest, test = _draw(np.arange(count), data.labels, _scaled(PUBLISHED_TEST, count), seed)
    names = np.array(CLASS_NAMES)[data.labels[rest]]
    listed = rest[np.lexsort((rest, names))].tolist()
    np.random.RandomState(seed).shuffle(listed)
    size = _scaled(CODE_VALIDATION, count)
    return [np.array(part, dtype=np.int64) for part in (listed[size:], listed[:size], test)]
