"""The page of a catalogue shows what a plain sort of the rows shows, and asks nobody for anything."""

import base64
import io
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from galaxylib.catalogue.frame import FLAGS, Frame
from galaxylib.catalogue.page import LISTED, SHOWN, SIDE, choose, shown, write_page
from galaxylib.catalogue.rows import schema
from galaxylib.catalogue.writing import column_of
from galaxylib.cli import main
from galaxylib.data.galaxy10 import CLASS_NAMES

METADATA = {"network": "dmagnet", "weights_sha256": "ab" * 32, "temperature": 0.63, "has_reference": True}
METADATA |= {"probabilities": "at the network's temperature"}


def catalogue(count, *, lost=0, seed=0):
    """Rows as `classify` writes them, the lost ones at the end."""
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet(np.full(10, 0.3), count).astype(np.float32)
    top = np.sort(shares, axis=1)
    frame = pd.DataFrame({column_of(name): shares[:, label] for label, name in enumerate(CLASS_NAMES)})
    frame = frame.assign(
        id=[f"g{number}" for number in range(count)],
        path=[f"folder/g{number}.png" for number in range(count)],
        row=0,
        ra=np.nan,
        dec=np.nan,
        pixscale=np.nan,
        margin=top[:, -1] - top[:, -2],
        unlike_training=generator.exponential(0.5, count).astype(np.float32),
        flags="",
        reason="",
    )
    frame["class"] = [CLASS_NAMES[label] for label in shares.argmax(axis=1)]
    gone = frame.index >= count - lost
    frame.loc[gone, ["class", "reason", "flags"]] = ["", "It is <no> image.", "unreadable"]
    return frame


def tables(frame, size=700):
    whole = pa.Table.from_pandas(frame, schema=schema(CLASS_NAMES), preserve_index=False)
    return (whole.slice(start, size) for start in range(0, len(frame), size))


def grey(row):
    return np.full((256, 256, 3), int(row["id"].removeprefix("g")) % 256, np.uint8)


def read(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.mark.parametrize("count", [10, 3000])
def test_the_page_shows_the_surest_and_the_most_doubtful_of_each_class(tmp_path, count):
    frame = catalogue(count, lost=2)
    known = frame[frame["class"] != ""]
    page = read(write_page(tmp_path / "look", choose(tables(frame)), grey, metadata=METADATA))
    counts = Counter(known["class"])
    told = {row.th.text: int(row.td.text.replace(",", "")) for row in page.table.find_all("tr")}
    assert told == {name: counts[name] for name in CLASS_NAMES}
    for name, number in counts.items():
        section = page.find(id=column_of(name).removeprefix("p_"))
        ids = [[one.text for one in sheet.find_all("b")] for sheet in section.find_all("ul")]
        ranked = (
            known[known["class"] == name].sort_values("margin", ascending=False, kind="stable")["id"].tolist()
        )
        if number <= SHOWN:
            assert ids == [ranked]
        elif number >= 2 * SHOWN:
            assert ids == [ranked[:SHOWN], ranked[::-1][:SHOWN]]
        else:
            assert ids == [ranked[:SHOWN], ranked[::-1][: number - SHOWN]]
    strange = known[known["unlike_training"] > 1].sort_values("unlike_training", ascending=False)["id"]
    assert [one.text for one in page.find(id="unlike").find_all("b")] == strange.tolist()[:SHOWN]


def test_the_page_carries_its_pictures_and_asks_no_host(tmp_path):
    frame = catalogue(40)
    path = write_page(tmp_path, choose(tables(frame)), grey, metadata=METADATA)
    page = read(path)
    images = page.find_all("img")
    assert images
    for image in images:
        kind, data = image["src"].split(",", 1)
        assert kind == "data:image/jpeg;base64"
        decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        number = int(image["alt"].split(":")[0].removeprefix("g"))
        assert decoded.shape == (SIDE, SIDE, 3)
        assert abs(decoded.astype(int) - number).max() <= 2  # JPEG
        best = frame.loc[number, [column_of(name) for name in CLASS_NAMES]].astype(float)
        assert f"{frame.loc[number, 'class']} {best.max():.0%}" in image["alt"]
    assert not page.find_all(["script", "link", "iframe"])
    assert "url(" not in path.read_text(encoding="utf-8")


def test_pictures_lead_to_the_lab_with_their_class_chosen(tmp_path):
    choice = choose(tables(catalogue(30)))
    lab = "https://book.example/book/dream_lab.html"
    page = read(write_page(tmp_path, choice, grey, metadata=METADATA, lab=lab))
    for name in CLASS_NAMES:
        section = page.find(id=column_of(name).removeprefix("p_"))
        for link in section.select("figure a") if section else []:
            assert link["href"] == f"{lab}#galaxy=own&stage=logits&channel={CLASS_NAMES.index(name)}"
    assert not read(write_page(tmp_path, choice, grey, metadata=METADATA)).select("figure a")


def test_flags_are_counted_and_explained(tmp_path):
    frame = catalogue(9, lost=1)
    frame.loc[:2, "flags"], frame.loc[3, "flags"] = "cut touches_frame", "touches_frame"
    page = read(write_page(tmp_path, choose(tables(frame)), grey, metadata=METADATA))
    assert [one.text for one in page.find_all("dt")] == ["cut 3", "touches_frame 4"]
    assert [one.text for one in page.find_all("dd")] == [FLAGS["cut"], FLAGS["touches_frame"]]


def test_a_class_of_votes_that_is_not_the_best_supported_keeps_its_name(tmp_path):
    """Merging wins from 35 % of the votes up: the caption and the lab's channel are the row's class."""
    frame = catalogue(1)
    frame[[column_of(name) for name in CLASS_NAMES]] = np.float32(0.0)
    frame["p_merging"], frame["p_round_smooth"], frame["class"] = np.float32(0.4), np.float32(0.6), "Merging"
    page = read(write_page(tmp_path, choose(tables(frame)), grey, metadata=METADATA, lab="lab.html"))
    one = page.find(id="merging").figure
    assert one.figcaption.span.text == "Merging 40%, Round Smooth 60%"
    assert one.a["href"].endswith("channel=1")


def test_what_cannot_be_read_is_named_and_counted(tmp_path):
    choice = choose(tables(catalogue(300, lost=LISTED + 20)))
    page = read(write_page(tmp_path, choice, lambda row: None, metadata=METADATA | {"has_reference": False}))
    lost = page.find(id="unreadable")
    assert len(lost.find_all("li")) == LISTED
    assert lost.li.text == "folder/g180.png: It is <no> image."
    assert lost.p.text == "And 20 more."
    assert not page.find_all("dl")  # no other flag
    assert not page.find_all("img")  # every picture has gone meanwhile
    assert "no longer readable" in page.text
    assert "no measure" in page.find(id="unlike").text


def test_the_command_writes_the_page_beside_the_catalogue(tmp_path, capsys):
    cutouts = tmp_path / "mine"
    cutouts.mkdir()
    for number in range(3):
        Image.fromarray(np.full((256, 256, 3), 40 * number, np.uint8)).save(cutouts / f"{number}.png")
    (cutouts / "broken.jpg").write_bytes(b"no picture")
    words = ["classify", str(cutouts), "--out", str(tmp_path / "out.csv"), "--page", str(tmp_path / "look")]
    assert main([*words, "--checkpoint", "small", "--lab", "lab.html", "--quiet"]) == 0
    page = read(tmp_path / "look" / "index.html")
    assert page.h1.text == "Classes of 4 images"
    assert page.find(id="unreadable").li.text.startswith(f"{cutouts / 'broken.jpg'} is no whole image")
    names = pd.read_csv(tmp_path / "out.csv")["class"].dropna()
    for name, count in Counter(names).items():
        sheet = page.find(id=column_of(name).removeprefix("p_"))
        assert len(sheet.select(f"figure a[href*='channel={CLASS_NAMES.index(name)}'] img")) == count
    capsys.readouterr()
    assert main([*words[:3], str(tmp_path / "b.csv"), "--page", str(tmp_path / "out.csv")]) == 1
    assert "out.csv" in capsys.readouterr().err
    assert not (tmp_path / "b.csv").exists()


def test_a_row_leads_back_to_what_the_network_saw(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    row = {"path": str(tmp_path / "x.png"), "row": -1, "pixscale": np.nan}
    assert np.array_equal(shown(row, frame=Frame()), pixels[22:278, 22:278])
    (tmp_path / "x.png").unlink()
    assert shown(row, frame=Frame()) is None
