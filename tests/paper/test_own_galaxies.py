"""The galaxies that stand for a reader's own are what their files are said to hold."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import uniform_filter

pytest.importorskip("galsim")

from galaxylib.catalogue.frame import Frame
from galaxylib.catalogue.inputs import picture_at
from galaxylib.catalogue.writing import column_of
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import GalaxyError
from galaxylib.paper.own_galaxies import BROKEN, most_doubtful, shown_catalogue, write_examples
from galaxylib.simulate import draw


def test_pictures_and_fits_hold_the_same_drawn_galaxies(tmp_path):
    held = write_examples(tmp_path, count=2, seed=3)
    assert sorted(held) == sorted(path.name for path in tmp_path.iterdir())
    assert [held["galaxy-01.jpg"], held["galaxy-02.fits"]] == [*CLASS_NAMES[:2]]
    for number, name in enumerate(("galaxy-01.jpg", "galaxy-02.fits")):
        drawn, _ = draw(number, seed=np.random.SeedSequence([3, number]))
        framed, flags = Frame()(picture_at(str(tmp_path / name)))
        # A JPEG's grain apart: in means over 8 x 8 pixels, where another galaxy differs by 6 and more.
        smooth = [uniform_filter(image.astype(float), (8, 8, 0)) for image in (framed, drawn)]
        assert np.abs(smooth[0] - smooth[1]).mean() < 1.5
        assert ("scale_assumed" in flags) == name.endswith("jpg")  # the WCS tells the scale
    with pytest.raises(OSError, match="truncated"):
        Image.open(tmp_path / BROKEN).load()
    with pytest.raises(GalaxyError, match=BROKEN):
        picture_at(str(tmp_path / BROKEN))


def rows(*shares, unlike=(), classes=None):
    frame = pd.DataFrame(np.array(shares), columns=[column_of(name) for name in CLASS_NAMES])
    top = np.sort(np.array(shares), axis=1)
    frame["class"] = classes or [CLASS_NAMES[label] for label in np.argmax(shares, axis=1)]
    frame["path"] = [f"x/{place}.png" for place in range(len(shares))]
    return frame.assign(margin=top[:, -1] - top[:, -2], unlike_training=unlike or 0.5, flags="")


def shares(**given):
    return [given.get(f"c{label}", 0.0) for label in range(10)]


def test_the_most_doubtful_is_a_galaxy_like_the_training():
    table = rows(
        shares(c1=0.9, c2=0.1), shares(c3=0.5, c4=0.49), shares(c5=0.6, c6=0.4), shares(c7=0.55, c8=0.45),
        unlike=[0.2, 3.0, 0.9, 0.5],
    )  # fmt: skip
    assert most_doubtful(table, {}) == (3, CLASS_NAMES[7], CLASS_NAMES[8])
    assert most_doubtful(table, {"3.png": "star"}) == (2, CLASS_NAMES[5], CLASS_NAMES[6])
    strange = table.assign(unlike_training=2.0)
    assert most_doubtful(strange, {})[0] == 1
    lost = table.assign(**{"class": ["", "", "", CLASS_NAMES[7]]})
    assert most_doubtful(lost, {})[0] == 3


def test_a_catalogue_in_words():
    table = rows(shares(c1=0.9, c2=0.1), shares(c3=1.0), classes=[CLASS_NAMES[1], ""])
    told = shown_catalogue(table, {"0.png": "Merging"})
    assert told.loc["0.png"].to_dict() == {
        "holds": "Merging",
        "class": "Merging, 90%",
        "rival": "Round Smooth, 10%",
        "unlike training": "0.50",
        "flags": "",
    }
    assert (told.loc["1.png", "class"], told.loc["1.png", "holds"]) == ("", "")
