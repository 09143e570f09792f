"""A small folder in the Galaxy Zoo challenge's layout, for the tests of votes."""

import numpy as np
import pandas as pd
from PIL import Image

from galaxylib.votes.zoo2 import ANSWERS, IMAGES, SOLUTIONS


def drawn_fractions(count, seed=0):
    """Fractions that obey the tree, built question by question with plain loops."""
    generator = np.random.default_rng(seed)
    fractions = np.zeros((count, 37))
    for row in range(count):
        values = {}
        for number, answers, parent in (
            (1, 3, None), (6, 2, None), (7, 3, "1.1"), (2, 2, "1.2"), (9, 3, "2.1"), (3, 2, "2.2"),
            (4, 2, "2.2"), (5, 4, "2.2"), (10, 3, "4.1"), (11, 6, "4.1"), (8, 7, "6.1"),
        ):  # fmt: skip
            whole = 1.0 if parent is None else values[parent]
            for place, share in enumerate(generator.dirichlet(np.ones(answers)), start=1):
                values[f"{number}.{place}"] = whole * share
        fractions[row] = [values[column.removeprefix("Class")] for column in ANSWERS]
    return fractions


def write_folder(path):
    """Six galaxies, three of each source."""
    (path / IMAGES).mkdir()
    ids = [100008, 100023, 100053, 900000001, 900000002, 900000003]
    generator = np.random.default_rng(0)
    for number in ids:
        pixels = generator.integers(0, 256, (53, 53, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(pixels).save(path / IMAGES / f"{number}.jpg", quality=95)
    table = pd.DataFrame(drawn_fractions(len(ids)), columns=list(ANSWERS))
    table.insert(0, "GalaxyID", ids)
    table.to_csv(path / SOLUTIONS, index=False)
    return path
