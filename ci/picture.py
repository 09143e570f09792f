"""Draw the README's picture and the pages' icon from simulated galaxies: `python -m ci.picture`.

The picture that other sites show beside a link to the book is drawn with every build (`ci/pages.py`).
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from galaxylib.data.galaxy10 import CLASS_NAMES
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


def draw_card(path: Path) -> None:
    """Draw the picture of a shared link: one simulated galaxy of each class, and the title.

    Args:
        path: the JPEG to write, 1200 x 630 pixels.

    Raises:
        GalaxyError: GalSim is not installed.
    """
    card = Image.new("RGB", (1200, 630), "#0B0E14")
    for label in range(len(CLASS_NAMES)):
        galaxy = Image.fromarray(draw(label, seed=100 + label)[0][40:216, 40:216])
        galaxy = galaxy.resize((224, 224), Image.Resampling.LANCZOS)
        card.paste(galaxy, (16 + 236 * (label % 5), 16 + 236 * (label // 5)))
    pen = ImageDraw.Draw(card)
    pen.text((20, 500), "The executable paper of DMAGNet", "white", ImageFont.load_default(52))
    pen.text(
        (20, 572), "Galaxies, simulated; a network, and its dreams", "#AEB9C6", ImageFont.load_default(30)
    )
    card.save(path, quality=88)


if __name__ == "__main__":
    main()
