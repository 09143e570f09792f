"""Galaxy Zoo 2: the volunteers' decision tree as data, and their votes read from a folder.

The labels are the 37 vote fractions of the Galaxy Zoo challenge. They are cumulative along the tree: the
fractions of a question's answers sum to the fraction of the answer that leads to the question, not to 1.
Sources: Willett et al. (2013) for the tree; the challenge's description for its numbering and weights.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from galaxylib.errors import DataError

FULL, CROP, SIZE = 424, 224, 80
"""Pixels a side of a stored image, of the centre that is kept of it, and of what the networks read."""

WIDE = 120
"""Pixels a side of the images in memory: the central 336 stored pixels on the scale of `CROP` to `SIZE`.

A rotated square of 80 needs 114 to have no empty corners.
"""

ENDINGS = (".jpg", ".jpeg", ".png")
"""Of stored images, in small letters or capitals."""
IMAGES, SOLUTIONS = "images_training_rev1", "training_solutions_rev1.csv"
CHALLENGE_IDS = 900_000_000
"""Ids below are the challenge's own; from here on, rows computed from the published weighted votes."""

TOLERANCE = 1e-4
"""Largest gap between a question's sum and its parent: rounding in the tables stays under 1e-5."""


@dataclass(frozen=True)
class Question:
    """One question of the tree.

    Attributes:
        number: 1 to 11, the challenge's numbering.
        text: what the volunteers were asked.
        answers: in the challenge's order, in a few words.
        parent: the answer that leads here, such as "Class1.2"; None for what everyone is asked.
    """

    number: int
    text: str
    answers: tuple[str, ...]
    parent: str | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its answers, such as ("Class3.1", "Class3.2")."""
        return tuple(f"Class{self.number}.{place}" for place in range(1, len(self.answers) + 1))


TREE: tuple[Question, ...] = (
    Question(1, "Smooth, or with features?", ("smooth", "features or disc", "star or artefact"), None),
    Question(2, "A disc seen edge-on?", ("edge-on", "not edge-on"), "Class1.2"),
    Question(3, "A bar through the centre?", ("bar", "no bar"), "Class2.2"),
    Question(4, "A spiral pattern?", ("spiral", "no spiral"), "Class2.2"),
    Question(
        5,
        "How prominent is the bulge?",
        ("no bulge", "bulge just noticeable", "bulge obvious", "bulge dominant"),
        "Class2.2",
    ),
    Question(6, "Anything odd?", ("odd", "nothing odd"), None),
    Question(7, "How round?", ("completely round", "in between", "cigar-shaped"), "Class1.1"),
    Question(
        8,
        "What is odd?",
        ("ring", "lens or arc", "disturbed", "irregular", "other", "merger", "dust lane"),
        "Class6.1",
    ),
    Question(9, "The bulge, seen edge-on?", ("rounded bulge", "boxy bulge", "no edge-on bulge"), "Class2.1"),
    Question(10, "How tightly wound?", ("tight arms", "medium arms", "loose arms"), "Class4.1"),
    Question(
        11,
        "How many arms?",
        ("1 arm", "2 arms", "3 arms", "4 arms", "more than 4 arms", "arms can't be told"),
        "Class4.1",
    ),
)

ANSWERS: tuple[str, ...] = tuple(column for question in TREE for column in question.columns)
"""The 37 columns, in the challenge's order."""

NAMES: dict[str, str] = dict(
    zip(ANSWERS, (answer for question in TREE for answer in question.answers), strict=True)
)
"""What each column means, in a few words."""

PLACES: dict[str, int] = {column: place for place, column in enumerate(ANSWERS)}
"""Where each column stands."""


def places(question: Question) -> slice:
    """Where a question's answers stand among the 37."""
    first = PLACES[question.columns[0]]
    return slice(first, first + len(question.answers))


def from_the_root() -> Iterator[Question]:
    """The questions in an order in which every parent's own question comes first."""
    known: set[str | None] = {None}
    waiting = list(TREE)
    while waiting:
        ready = [question for question in waiting if question.parent in known]
        yield from ready
        known |= {column for question in ready for column in question.columns}
        waiting = [question for question in waiting if question not in ready]


def gaps(fractions: np.ndarray) -> np.ndarray:
    """By how much each question misses its parent: (N, 37) -> (N, 11), 0 where the tree holds."""
    columns = []
    for question in TREE:
        parent = 1.0 if question.parent is None else fractions[:, PLACES[question.parent]]
        columns.append(fractions[:, places(question)].sum(axis=1) - parent)
    return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Votes:
    """Galaxies with their vote fractions.

    Attributes:
        ids: (N,) int64, each galaxy's GalaxyID.
        fractions: (N, 37) float32, in the order of `ANSWERS`, cumulative along the tree.
        images: (N, WIDE, WIDE, 3) uint8; the networks read the central `SIZE` x `SIZE`.
        simulated: whether the galaxies and votes are drawn.
    """

    ids: np.ndarray
    fractions: np.ndarray
    images: np.ndarray
    simulated: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labels(self) -> np.ndarray:
        """The fractions, as the trainer reads them."""
        return self.fractions

    @cached_property
    def fingerprint(self) -> str:
        """A hash of ids, fractions and images."""
        content = hashlib.sha256(self.ids.astype("<i8").tobytes())
        content.update(self.fractions.astype("<f4").tobytes())
        content.update(np.ascontiguousarray(self.images).tobytes())
        return content.hexdigest()[:16]

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """The images of the rows, (len(rows), WIDE, WIDE, 3) uint8."""
        return self.images[np.asarray(rows, dtype=np.int64)]

    def rows(self, chosen: np.ndarray) -> "Votes":
        """Only the chosen rows."""
        return Votes(self.ids[chosen], self.fractions[chosen], self.images[chosen], self.simulated)


def read_solutions(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The table of votes.

    Returns:
        (N,) int64 ids and (N, 37) float32 fractions, in the file's order.

    Raises:
        DataError: the table is missing, lacks or adds a column, holds something else than fractions, repeats
            an id, or breaks the decision tree.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path)
    except FileNotFoundError as fault:
        raise DataError(f"There is no {path}: the challenge's votes are in a table of that name.") from fault
    except (OSError, ValueError) as fault:
        raise DataError(f"{path} is no table ({fault}): copy the challenge's CSV again.") from fault
    expected = ["GalaxyID", *ANSWERS]
    for columns, what in (
        ([column for column in expected if column not in table], "lacks"),
        ([column for column in table if column not in expected], "has unknown"),
    ):
        if columns:
            raise DataError(
                f"{path} {what} column{'s' * (len(columns) > 1)} {', '.join(columns[:4])}"
                f"{' and more' * (len(columns) > 4)}: it must have GalaxyID and Class1.1 to Class11.6."
            )
    if not len(table):
        raise DataError(f"{path} has no rows: give a table with at least one galaxy.")
    ids = table["GalaxyID"].to_numpy()
    if ids.dtype.kind not in "iu" or len(np.unique(ids)) < len(ids):
        raise DataError(f"The GalaxyID in {path} are not whole numbers that are all different.")
    try:
        fractions = table[list(ANSWERS)].to_numpy(dtype=np.float64)
    except (ValueError, TypeError) as fault:
        raise DataError(f"{path} holds something that is no number ({fault}): give fractions.") from fault
    check_fractions(ids, fractions, where=str(path))
    return ids.astype(np.int64), fractions.astype(np.float32)


def check_fractions(ids: np.ndarray, fractions: np.ndarray, *, where: str) -> None:
    """Make sure that (N, 37) fractions are fractions and obey the tree.

    Raises:
        DataError: names the first galaxy and the question that do not.
    """
    wrong = np.argwhere(~((fractions >= -TOLERANCE) & (fractions <= 1 + TOLERANCE)))
    if len(wrong):
        row, column = wrong[0]
        raise DataError(
            f"{where} gives galaxy {ids[row]} the value {fractions[row, column]:g} in {ANSWERS[column]}: "
            "vote fractions are from 0 to 1."
        )
    missed = gaps(fractions)
    row, number = np.unravel_index(np.abs(missed).argmax(), missed.shape)
    if abs(missed[row, number]) > TOLERANCE:
        question = TREE[number]
        broken = int((np.abs(missed) > TOLERANCE).any(axis=1).sum())
        raise DataError(
            f"{where} breaks the decision tree for {broken:,} galaxies: the answers to question "
            f"{question.number} of galaxy {ids[row]} miss {question.parent or 1} by "
            f"{missed[row, number]:+.3g}."
        )


def read_votes(folder: str | Path) -> Votes:
    """Read a folder in the Galaxy Zoo challenge's own layout.

    It holds `images_training_rev1/<GalaxyID>.jpg` (or `.jpeg` or `.png`, in small letters or capitals),
    424 x 424, and `training_solutions_rev1.csv`. Memory: 43 kB a galaxy, 2.7 GB for the challenge's 61,578.

    Raises:
        DataError: the folder, the table or an image is missing or is not as it must be.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(
            f"There is no folder {folder}: give one in the challenge's layout, "
            f"with {SOLUTIONS} and {IMAGES}/."
        )
    ids, fractions = read_solutions(folder / SOLUTIONS)
    stored: dict[str, list[Path]] = {}
    for path in sorted((folder / IMAGES).glob("*")):
        if path.suffix.lower() in ENDINGS:
            stored.setdefault(path.stem, []).append(path)
    missing = [number for number in ids.astype(str) if number not in stored]
    if missing:
        raise DataError(
            f"{folder / IMAGES} lacks {len(missing):,} of the {len(ids):,} images that {SOLUTIONS} names, "
            f"{missing[0]}.jpg for one: copy the images again, or take their rows out of the table."
        )
    twice = [stored[number] for number in ids.astype(str) if len(stored[number]) > 1]
    if twice:
        names = " and ".join(path.name for path in twice[0])
        raise DataError(f"{folder / IMAGES} holds {names} for one galaxy: keep one of them.")
    paths = [stored[number][0] for number in ids.astype(str)]
    images = np.empty((len(paths), WIDE, WIDE, 3), np.uint8)
    for row, path in enumerate(paths):
        images[row] = reduced(stored_image(path))
    return Votes(ids, fractions, images)


def stored_image(path: str | Path) -> Image.Image:
    """A stored image as it is, 424 x 424 in colour.

    Raises:
        DataError: the file is no image, is not whole, or has another size or more than 8 bits a pixel.
    """
    try:
        with Image.open(path) as image:
            if image.size != (FULL, FULL):
                raise DataError(
                    f"{path} has {image.size[0]} x {image.size[1]} pixels: the challenge's have 424 x 424."
                )
            if image.mode[0] in "IF":
                raise DataError(f"{path} has more than 8 bits a pixel: save it as 8-bit colour.")
            return image.convert("RGB")
    except DataError:
        raise
    except Exception as fault:  # each of Pillow's formats has its own for a damaged file
        raise DataError(f"{path} is no whole image ({fault}): copy it again.") from fault


def reduced(image: Image.Image) -> np.ndarray:
    """A 424 x 424 image on the scale that takes the central 224 pixels to 80, its central 336 as 120."""
    return middle(image, WIDE * CROP // SIZE, WIDE)


def middle(image: Image.Image, side: int, size: int) -> np.ndarray:
    """The central `side` pixels of a square image, as (size, size, 3) uint8; `side` is even."""
    edge = (image.size[0] - side) // 2
    # BOX with reducing would shift by part of a pixel; bicubic with antialiasing keeps the centre.
    centre = image.crop((edge, edge, edge + side, edge + side))
    return np.asarray(centre.resize((size, size), Image.Resampling.BICUBIC))


def rmse(predicted: np.ndarray, observed: np.ndarray) -> float:
    """Root of the mean squared error over all galaxies and all 37 answers, the challenge's measure."""
    return float(np.sqrt(np.mean((np.asarray(predicted, float) - np.asarray(observed, float)) ** 2)))


def rmse_interval(
    predicted: np.ndarray, observed: np.ndarray, *, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of `rmse`, by drawing the galaxies anew with replacement (percentile bootstrap)."""
    squares = ((np.asarray(predicted, float) - np.asarray(observed, float)) ** 2).mean(axis=1)
    rows = np.random.default_rng(seed).integers(0, len(squares), (draws, len(squares)))
    low, high = np.quantile(np.sqrt(squares[rows].mean(axis=1)), (0.025, 0.975))
    return float(low), float(high)


def write_predictions(path: str | Path, ids: Sequence[int] | np.ndarray, fractions: np.ndarray) -> None:
    """Predictions as the challenge takes them: GalaxyID and the 37 columns.

    Raises:
        GalaxyError: the disk is full.
    """
    from galaxylib.files import atomic

    table = pd.DataFrame(np.asarray(fractions, np.float64), columns=list(ANSWERS))
    table.insert(0, "GalaxyID", np.asarray(ids))
    with atomic(path) as partial:
        table.to_csv(partial, index=False, float_format="%.6f")
