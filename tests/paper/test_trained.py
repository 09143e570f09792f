"""A chapter's network is the one asked for, this run's, or a small one trained on the spot."""

import pytest

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.splits import make_split
from galaxylib.errors import CheckpointError, DataError
from galaxylib.paper.trained import open_checkpoint
from galaxylib.training.recipes import QUICK


@pytest.mark.slow
def test_checkpoint_is_the_upstream_one_or_a_short_training(tmp_path, blob_file, capsys):
    data = Galaxy10(blob_file)
    split = make_split(data)
    tiny = QUICK.but(width=0.05, size=32, epochs=1, batch_size=8)
    short = open_checkpoint("", outputs=tmp_path, data=data, split=split, recipe=tiny)
    assert short.meta["recipe"]["epochs"] == 1
    assert "no trained network" in capsys.readouterr().out
    (tmp_path / "short_training").rename(tmp_path / "checkpoint")
    found = open_checkpoint("", outputs=tmp_path, data=data, split=split)
    assert found.meta["sha256"] == short.meta["sha256"]
    assert capsys.readouterr().out == ""
    for checkpoint in ("", tmp_path / "checkpoint"):
        with pytest.raises(DataError, match="trained with another split of this file"):
            open_checkpoint(checkpoint, outputs=tmp_path, data=data, split=make_split(data, seed=9))
    with pytest.raises(CheckpointError):
        open_checkpoint(tmp_path / "none", outputs=tmp_path, data=data, split=split)
