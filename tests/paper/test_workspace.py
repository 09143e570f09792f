"""A chapter finds what earlier chapters left, or makes it and says so."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, write_galaxy10

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.splits import make_split
from galaxylib.errors import DataError
from galaxylib.paper.workspace import open_data, open_split
from galaxylib.training.recipes import OF_COMPANIONS, QUICK, Recipe


def test_data_is_drawn_once(tmp_path, monkeypatch):
    drawn = []

    def draw(path, *, n, seed, **_):
        drawn.append((n, seed))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_galaxy10(path, labels=np.arange(n) % 10, simulated=True)

    monkeypatch.setattr("galaxylib.simulate.simulate", draw)
    outputs = tmp_path / "_build" / "results" / "default"
    for _ in range(2):
        data = open_data("simulated", outputs=outputs, simulated=10, seed=4)
        assert len(data) == 10
    assert drawn == [(10, 4)]
    assert data.path.parent == tmp_path / "_build" / "data"
    open_data("simulated", outputs=outputs, simulated=10, seed=5)
    assert drawn == [(10, 4), (10, 5)]
    # A file of an older simulator goes, one of the reader's with a like name stays.
    data.path.rename(data.path.with_name("simulated-10-4-0123abcd.h5"))
    data.path.with_name("simulated-10-4-mine.h5").touch()
    open_data("simulated", outputs=outputs, simulated=10, seed=4)
    kept = {path.name for path in data.path.parent.glob("simulated-10-4-*")}
    assert kept == {data.path.name, "simulated-10-4-mine.h5"}
    with pytest.raises(DataError, match="no file"):
        open_data(tmp_path / "none.h5", outputs=outputs, simulated=10)


def test_split_is_that_of_the_data_chapter_or_made_anew(tmp_path, blob_file, capsys):
    data = Galaxy10(blob_file)
    assert (open_split(data, outputs=tmp_path).train == make_split(data).train).all()
    other = make_split(data, seed=9)
    other.save(tmp_path / "split.json")
    assert (open_split(data, outputs=tmp_path).train == other.train).all()
    assert capsys.readouterr().out == ""
    elsewhere = Galaxy10(write_galaxy10(tmp_path / "other.h5", labels=np.arange(10).repeat(3), seed=8))
    assert len(open_split(elsewhere, outputs=tmp_path).train) < 30
    assert "split anew" in capsys.readouterr().out


def parameters(chapter: str) -> dict[str, tuple[str, str, str]]:
    """Name -> (type, value, comment) of a chapter's parameters cell."""
    text = Path(ROOT, "book", f"{chapter}.py").read_text(encoding="utf-8")
    cell = text.split('# %% tags=["parameters"]\n')[1].split("\n\n# %%")[0]
    lines = [re.fullmatch(r"(\w+): (\w+) = (.+?)  # (.+)", line) for line in cell.strip().splitlines()]
    assert all(lines), cell
    return {line[1]: (line[2], line[3], line[4]) for line in lines}


def test_every_setting_of_a_recipe_is_a_parameter_of_the_training_chapter():
    """Same names, same types, same meaning; the values make a recipe. The chapter has one survey."""
    found = parameters("03_training")
    values = {}
    for setting in (setting for setting in fields(Recipe) if setting.name not in OF_COMPANIONS):
        kind, value, comment = found.pop(setting.name)
        assert kind == setting.type.__name__, setting.name
        assert comment == setting.metadata["help"], setting.name
        values[setting.name] = eval(value)
    assert found.keys() == {"data", "split", "profile", "outputs", "simulated"}
    recipe = Recipe(**values)
    # The chapter's own values are the quick recipe, its length apart.
    assert recipe.but(epochs=QUICK.epochs) == QUICK
