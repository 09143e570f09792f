"""The galaxies that stand for a reader's own: drawn, and written as pictures and as FITS files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from PIL import Image

from galaxylib.catalogue.writing import class_and_rival
from galaxylib.data.galaxy10 import CLASS_NAMES, PIXEL_SCALE
from galaxylib.simulate import draw
from galaxylib.simulate.artefacts import draw_other
from galaxylib.simulate.drawing import draw_light

NO_GALAXY = "saturated star"
BROKEN = "broken.jpg"


def write_examples(folder: str | Path, *, count: int, seed: int) -> dict[str, str]:
    """Write drawn galaxies, class after class, every other one as FITS, and two files that hold no galaxy.

    Args:
        folder: is made where there is none.
        count: galaxies.
        seed: the same seed draws the same ones.

    Returns:
        What each file holds, by its name: a class; `NO_GALAXY`; and "nothing" for a picture that breaks off.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    held = {}
    for number in range(count):
        label = number % len(CLASS_NAMES)
        own_seed = np.random.SeedSequence([seed, number])
        name = f"galaxy-{number + 1:02d}"
        if number % 2:
            name += ".fits"
            place = {"ra": 150 + number / 10, "dec": 2.0}
            write_fits(folder / name, draw_light(label, seed=own_seed), **place)
        else:
            name += ".jpg"
            Image.fromarray(draw(label, seed=own_seed)[0]).save(folder / name, quality=95)
        held[name] = CLASS_NAMES[label]
    Image.fromarray(draw_other(NO_GALAXY, seed=seed)).save(folder / "star.png")
    whole = (folder / "galaxy-01.jpg").read_bytes()
    (folder / BROKEN).write_bytes(whole[: len(whole) // 3])
    return held | {"star.png": NO_GALAXY, BROKEN: "nothing"}


def write_fits(path: Path, light: np.ndarray, *, ra: float, dec: float) -> None:
    """Write light as the surveys' cutouts have it: one cube in g, r, z with a WCS, rows from the bottom.

    Args:
        path: the file.
        light: (3, H, W) nanomaggies a pixel in z, r, g, rows from the top.
        ra: right ascension of the middle, degrees.
        dec: declination of the middle, degrees.
    """
    cube = light[::-1, ::-1].astype(np.float32)
    header = fits.Header()
    header["BANDS"] = "grz"
    for axis, (kind, place, sign) in enumerate((("RA---TAN", ra, -1), ("DEC--TAN", dec, 1)), start=1):
        header[f"CTYPE{axis}"] = kind
        header[f"CRVAL{axis}"] = place
        header[f"CRPIX{axis}"] = (cube.shape[3 - axis] + 1) / 2
        header[f"CDELT{axis}"] = sign * PIXEL_SCALE / 3600
    fits.writeto(path, cube, header, overwrite=True)


def shown_catalogue(catalogue: pd.DataFrame, held: dict[str, str] | None = None) -> pd.DataFrame:
    """A catalogue's rows in words: class, rival, strangeness, flags; beside what the file holds, if known."""
    rows = []
    for row in catalogue.to_dict("records"):
        line = {"image": Path(row["path"]).name}
        line |= {"holds": held.get(line["image"], "")} if held else {}
        line |= dict.fromkeys(("class", "rival", "unlike training"), "")
        if row["class"]:
            (first, name), (second, rival) = class_and_rival(row)
            line |= {"class": f"{name}, {first:.0%}", "rival": f"{rival}, {second:.0%}"}
            line |= {"unlike training": f"{row['unlike_training']:.2f}"}
        rows.append(line | {"flags": row["flags"]})
    return pd.DataFrame(rows).set_index("image")


def most_doubtful(catalogue: pd.DataFrame, held: Mapping[str, str]) -> tuple[int, str, str]:
    """The readable row of the smallest margin among those that are like the training: number, class, rival.

    Where none is like it, among all that are readable.

    Args:
        catalogue: of `classify`.
        held: what files hold, where it is known; one that holds no galaxy is passed over.
    """
    galaxy = catalogue["path"].map(lambda path: held.get(Path(path).name, CLASS_NAMES[0]) in CLASS_NAMES)
    known = catalogue[(catalogue["class"] != "") & galaxy]
    alike = known[~(known["unlike_training"] > 1)]
    row = (known if alike.empty else alike)["margin"].idxmin()
    (_, name), (_, rival) = class_and_rival(catalogue.loc[row])
    return int(row), name, rival
