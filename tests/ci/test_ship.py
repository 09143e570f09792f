"""What ships is the trained network in half precision, with the scores of the files that were given."""

import json

import numpy as np
import pandas as pd
import pytest
from votes_folder import write_surveys

from ci.ship import ship
from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.evaluation.predictions import predict, predicted
from galaxylib.networks.checkpoint import load, set_confidence
from galaxylib.votes.held_out import judged
from galaxylib.votes.other_surveys import read_coarse


@pytest.fixture(scope="module")
def shipped(tmp_path_factory, tiny_checkpoint, blob_file):
    import shutil

    folder = tmp_path_factory.mktemp("ship")
    run = folder / "run"
    shutil.copytree(tiny_checkpoint, run)
    set_confidence(run, temperature=1.5)
    pd.DataFrame({"epoch": [1, 2], "seconds": [10.5, 20.0]}).to_csv(run / "history.csv", index=False)
    coarse = read_coarse(write_surveys(folder) / "coarse")
    found = ship(run, folder / "out", simulated=blob_file, real=blob_file, surveys={"gz1": coarse})
    return run, folder / "out", coarse, found


@pytest.mark.slow
def test_the_copy_is_the_network_in_half_precision_at_its_temperature(shipped):
    run, out, _, _ = shipped
    ours, theirs = load(out), load(run)
    assert ours.temperature == theirs.temperature == 1.5
    for name, weights in theirs.network.state_dict().items():
        if weights.is_floating_point():
            np.testing.assert_allclose(ours.network.state_dict()[name], weights, rtol=2e-3, atol=1e-6)
    sizes = [path.stat().st_size for folder in (out, run) for path in folder.glob("*.safetensors")]
    assert sizes[0] < 0.6 * sizes[1]


@pytest.mark.slow
def test_the_description_has_the_scores_of_the_copy(shipped, blob_file):
    _, out, coarse, found = shipped
    meta = json.loads((out / "checkpoint.json").read_text())
    assert meta["results"] == json.loads(json.dumps(found))
    assert meta["seconds"] == 30.5
    with Galaxy10(blob_file) as data:
        table = predict(load(out), data, range(len(data)))
    right = float((predicted(table) == table["true"]).mean())
    assert found["simulated"]["plain"]["accuracy"] == found["real"]["plain"]["accuracy"] == right
    held = coarse.rows(coarse.held)
    assert 0 < len(held) < len(coarse)
    assert found["held_out"]["gz1"]["n"] == len(held)
    # Round and In-between together are what "elliptical" may be.
    of_ellipticals = judged(load(out), held)[held.kinds == 0][:, [2, 3]].sum(axis=1)
    others = judged(load(out), held)[held.kinds == 0]
    sums = [others[:, group].sum(axis=1) for group in ([5, 6, 7], [4, 8, 9], [0, 1])]
    largest = (of_ellipticals[:, None] > np.stack(sums, axis=1)).all(axis=1)
    assert found["held_out"]["gz1"]["groups"]["elliptical"] == largest.mean()
