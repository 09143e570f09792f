"""Draw the README's picture and the pages' icon from simulated galaxies: `python -m ci.picture`."""

from pathlib import Path

import numpy as np
from PIL import Image

from galaxylib.galaxy10 import CLASS_NAMES
from galaxylib.simulate import draw

FOLDER = Path(__file__).resolve().parents[1] / "book" / "images"


def main() -> None:
    """Write `classes.png`, a column for each class, and `favicon.png`."""
    columns = []
    for label in range(len(CLASS_NAMES)):
        images = [draw(label, seed=100 * seed + label)[0][32:224, 32:224] for seed in (1, 2)]
        columns.append(np.concatenate(images))
    strip = Image.fromarray(np.concatenate(columns, axis=1))
    strip.resize((strip.width // 2, strip.height // 2), Image.Resampling.LANCZOS).save(FOLDER / "classes.png")
    spiral = Image.fromarray(draw(CLASS_NAMES.index("Unbarred Loose Spiral"), seed=3)[0][48:208, 48:208])
    spiral.resize((64, 64), Image.Resampling.LANCZOS).save(FOLDER / "favicon.png")


if __name__ == "__main__":
    main()
