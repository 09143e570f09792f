"""Several trainings of one recipe on real galaxies: the arithmetic of their shares."""

import numpy as np
import pytest
from conftest import write_galaxy10
from votes_folder import write_surveys

from benchmarks.real_seeds import right_everywhere, summary
from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.evaluation.intervals import wilson
from galaxylib.evaluation.judge import judge_rows
from galaxylib.networks.checkpoint import load
from galaxylib.paper.blind_test import seeds_in_words, seeds_table
from galaxylib.votes.other_surveys import read_coarse


@pytest.fixture(scope="module")
def right():
    """Three trainings of one family and two of another on fifty galaxies, and what each has right."""
    generator = np.random.default_rng(0)
    return {
        name: {"sample": generator.random((trainings + 1, 50)) < share}
        for name, trainings, share in (("small", 3, 0.7), ("real", 2, 0.8))
    }


def test_means_and_intervals(right):
    told = summary(right)["small"]["sample"]
    shares = [sum(line) / 50 for line in right["small"]["sample"][:3].tolist()]
    assert told["each"] == pytest.approx(shares)
    assert told["mean"] == pytest.approx(np.mean(shares))
    together = int(right["small"]["sample"][3].sum())
    assert told["together"] == together / 50
    assert (told["together_low"], told["together_high"]) == wilson(together, 50)
    others = [sum(line) / 50 for line in right["real"]["sample"][:2].tolist()]
    squares = sum(np.var(one) * len(one) for one in (shares, others))
    galaxies = right["small"]["sample"][:3].mean(axis=0).std(ddof=1) / np.sqrt(50)
    half = np.hypot(1.959964 * galaxies, 3.182446 * np.sqrt(squares / 3) / np.sqrt(3))  # t of three degrees
    assert told["high"] - told["mean"] == pytest.approx(half, rel=1e-5)


def test_each_training_and_their_mean_are_judged(tmp_path, tiny_checkpoint):
    """A family of the same network twice: each is right where the network is, and so is the mean."""
    write_galaxy10(tmp_path / "sample.h5", labels=np.arange(10), seed=0)
    surveys = {"gz1": read_coarse(write_surveys(tmp_path) / "coarse")}
    loaded = load(tiny_checkpoint)
    with Galaxy10(tmp_path / "sample.h5") as sample:
        found = right_everywhere([loaded, loaded], sample, surveys)
        alone = judge_rows(loaded.network, sample, np.arange(10), preprocess=loaded.preprocess)
        np.testing.assert_array_equal(found["sample"], [alone.argmax(axis=1) == sample.labels] * 3)
    assert found["gz1"].shape == (3, len(surveys["gz1"]))
    assert (found["gz1"][0] == found["gz1"][2]).all()


def test_a_row_for_each_network(right):
    told = {
        name: dict.fromkeys(("sample", "gz2", "gz1"), sets["sample"]) for name, sets in summary(right).items()
    }
    table = seeds_table({"families": told, "sha256": {"small": ["a", "b", "c"], "real": ["d", "e"]}})
    assert table.index.tolist() == ["small", "real"]
    assert table.loc["real", "trainings"] == "2"
    one = told["real"]["sample"]
    mean = f"{one['mean']:.1%} ({one['low']:.1%} to {one['high']:.1%})"
    assert table.loc["real", "votes"] == f"{mean}; {one['together']:.1%}"
    low, high = min(told["small"]["sample"]["each"]), max(told["small"]["sample"]["each"])
    words = seeds_in_words({"families": told})
    assert f"3 trainings of “small” name {low:.1%} to {high:.1%} correctly" in words
