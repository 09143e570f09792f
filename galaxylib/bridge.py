"""From vote fractions to the ten classes of Galaxy10 DECaLS.

Galaxy10 was made from Galaxy Zoo's votes, by cuts that its makers describe in words only. The rule here is
this project's own, one line a class, so that whoever disagrees can change a line.
"""

import numpy as np

from galaxylib.galaxy10 import CLASS_NAMES
from galaxylib.zoo2 import PLACES

MERGER, DISTURBED = 0.35, 0.25
"""Vote fractions from which a galaxy is Merging, or else Disturbed, whatever else it is."""

ANSWERS_FOR: dict[str, tuple[str, ...]] = {
    "Disturbed": ("Class8.3", "Class8.4"),
    "Merging": ("Class8.6",),
    "Round Smooth": ("Class7.1",),
    "In-between Round Smooth": ("Class7.2",),
    "Cigar Shaped Smooth": ("Class7.3",),
    "Edge-on without Bulge": ("Class9.3",),
    "Edge-on with Bulge": ("Class9.1", "Class9.2"),
}
"""The answers whose fractions, summed, speak for a class; the three spirals are in `support`."""


def support(fractions: np.ndarray) -> np.ndarray:
    """How much the votes speak for each class: (N, 37) -> (N, 10), in the order of `CLASS_NAMES`.

    For seven classes it is the sum of `ANSWERS_FOR`. A barred spiral needs a bar and a spiral: the fraction
    of "bar" times the share that saw a spiral. An unbarred one is "no bar" times that share, divided between
    tight and loose as the arms were judged, "medium" going half to each.
    """
    votes = np.asarray(fractions, dtype=float)

    def of(answer: str) -> np.ndarray:
        return votes[:, PLACES[answer]]

    columns = {name: sum(of(answer) for answer in answers) for name, answers in ANSWERS_FOR.items()}
    spiral = of("Class4.1") / np.maximum(of("Class2.2"), 1e-9)
    tight = (of("Class10.1") + of("Class10.2") / 2) / np.maximum(of("Class4.1"), 1e-9)
    columns["Barred Spiral"] = of("Class3.1") * spiral
    columns["Unbarred Tight Spiral"] = of("Class3.2") * spiral * tight
    columns["Unbarred Loose Spiral"] = of("Class3.2") * spiral * (1 - tight)
    return np.stack([columns[name] for name in CLASS_NAMES], axis=1)


def to_classes(fractions: np.ndarray) -> np.ndarray:
    """The class that the votes give each galaxy: (N, 37) -> (N,) int64.

    Merging from a fraction of `MERGER` up, else Disturbed from `DISTURBED` up, else the best supported of the
    other eight.
    """
    found = support(fractions)
    order = {name: place for place, name in enumerate(CLASS_NAMES)}
    classes = np.where(np.arange(len(CLASS_NAMES)) < 2, -1, found).argmax(axis=1)
    classes[found[:, order["Disturbed"]] >= DISTURBED] = order["Disturbed"]
    classes[found[:, order["Merging"]] >= MERGER] = order["Merging"]
    return classes.astype(np.int64)
