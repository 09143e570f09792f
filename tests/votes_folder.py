"""Small folders of other surveys, that of the Galaxy Zoo challenge among them, for the tests of votes."""

import numpy as np
import pandas as pd
from PIL import Image

from galaxylib.votes.other_surveys import GROUPS
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


KINDS = [*GROUPS, "elliptical", "elliptical", "elliptical", "edge_on", "edge_on", "elliptical", "merger"]
"""The coarse classes of `write_surveys`."""


def write_surveys(path):
    """Votes on six galaxies, coarse classes of twelve, and three galaxies without labels."""
    (path / "votes").mkdir()
    write_folder(path / "votes")
    ids = [5877229527674 * 10**5 + number for number in range(len(KINDS))]
    _write_images(path / "coarse", [f"{number}.jpeg" for number in ids], side=423)
    pd.DataFrame({"objid": ids, "class": KINDS}).to_csv(path / "coarse" / "classes.csv", index=False)
    _write_images(path / "unlabelled", ["a.jpg", "b.png", "c.JPG"], side=424)
    (path / "unlabelled" / "votes.csv").write_text("not to be read")
    return path


def _write_images(folder, names, *, side):
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name in names:
        coarse = Image.fromarray(generator.integers(0, 200, (16, 16, 3), np.uint8))
        coarse.resize((side, side)).save(folder / "images" / name, quality=95)
