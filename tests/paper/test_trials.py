"""The small experiments: what is changed is what is said, and the hierarchy's arithmetic."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.errors import GalaxyError
from galaxylib.paper import hierarchy, trials
from galaxylib.paper.hierarchy import HIERARCHY, Fork
from galaxylib.paper.trials import Images, Trial, run_stages, run_trial

SMALL = Trial(network="negm", crop=256, size=69, batch_size=8, epochs=3)


def bright_or_dark(count, seed=0):
    """Two classes told apart by the place of a bar of light."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count)
    pixels = generator.integers(30, 50, (count, 69, 69, 3), np.uint8)
    for row, label in enumerate(labels):
        pixels[row, 30:39, :, 0] = 40 if label else 200
        pixels[row, 30:39, :, 2] = 200 if label else 40
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))


@pytest.mark.parametrize("change", [{}, {"optimizer": "rmsprop"}, {"turns": "any angle", "weighted": True}])
def test_a_trial_learns_and_can_be_repeated(change):
    trial = SMALL.but(**change)
    train, unseen = bright_or_dark(96), bright_or_dark(40, seed=1)
    result = run_trial(trial, train, classes=2, watch={"unseen": unseen})
    assert result.history["unseen"].iloc[-1] > 0.9
    assert result.history["epoch"].tolist() == [1, 2, 3]
    again = run_trial(trial, train, classes=2)
    found = [trials.probabilities(one.network, unseen) for one in (result, again)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)  # watching changes nothing


def test_class_weights_by_hand():
    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    weights = trials.class_weights(labels, 4)
    assert weights.tolist() == pytest.approx([6 / 12, 6 / 4, 6 / 8, 0])


def test_emphasis_multiplies_the_loss_of_its_class_alone():
    """With one class's factor at nothing, its galaxies teach nothing: the network never names it."""
    train = bright_or_dark(64)
    deaf = run_trial(SMALL.but(epochs=2, emphasis={1: 0.0}), train, classes=2)
    assert trials.probabilities(deaf.network, train).argmax(axis=1).max() == 0
    plain, one = (run_trial(SMALL.but(epochs=1, emphasis=e), train, classes=2) for e in ({}, {0: 1.0}))
    assert plain.history.equals(one.history)


def test_patience_counts_epochs_since_the_first_best():
    curve = [{"test": value} for value in (0.2, 0.5, 0.4, 0.5, 0.3)]
    assert [trials._waited(curve[:count], "test") for count in range(1, 6)] == [0, 0, 1, 2, 3]


def test_stages_stop_by_patience_and_go_on_from_the_last_weights():
    train, unseen = bright_or_dark(48), bright_or_dark(24, seed=1)
    trial = SMALL.but(epochs=12, patience=2)
    first, second = run_stages(
        trial, train, rates=(1e-3, 0.0), watch={"unseen": unseen}, decides="unseen", classes=2
    )
    curve = first.history["unseen"].to_list()
    assert len(curve) == curve.index(max(curve)) + 3 <= 12
    # A rate of nothing leaves the weights, so the second stage shows where the first ended, and then stops.
    assert second.history["unseen"].to_list() == [curve[-1]] * 3
    assert first.network is not second.network
    with pytest.raises(GalaxyError, match="needs a watched set that decides"):
        run_trial(trial, train, classes=2)


def test_smoothing_is_scipys():
    images = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = gaussian_filter(images.numpy(), (0, 0, 1.5, 1.5), mode="mirror", radius=(0, 0, 4, 4))
    np.testing.assert_allclose(trials.smoothed(images, 1.5).numpy(), expected, atol=1e-6)


def test_images_are_cropped_and_resized(blob_file):
    with Galaxy10(blob_file) as data:
        images = Images.read(data, [3, 1], SMALL.but(crop=128, size=64))
        plain = data.read([3, 1])[:, 64:192, 64:192]
        assert images.labels.tolist() == data.labels[[3, 1]].tolist()
        same = Images.read(data, [3, 1], SMALL.but(crop=128, size=128))
    assert images.pixels.shape == (2, 64, 64, 3)
    assert (same.pixels.numpy() == plain).all()


def test_right_angles_are_the_four_rotations():
    pixels = torch.randint(0, 256, (40, 8, 8, 3), dtype=torch.uint8)
    trial = Trial(size=8, crop=8)
    plain = trials.turned(pixels, torch.arange(40), trial.but(turns="none"), 0, torch.Generator())
    generator = torch.Generator().manual_seed(0)
    moved = trials.turned(pixels, torch.arange(40), trial, 0, generator)
    seen = set()
    for before, after in zip(plain, moved, strict=True):
        (quarter,) = [k for k in range(4) if torch.equal(before.rot90(k, (1, 2)), after)]
        seen.add(quarter)
    assert seen == {0, 1, 2, 3}


def test_the_hierarchy_reaches_every_class_once():
    assert sorted(hierarchy.classes_of(HIERARCHY)) == list(range(10))
    assert len(hierarchy.forks(HIERARCHY)) == 9
    smooth = {CLASS_NAMES[place] for place in hierarchy.classes_of(HIERARCHY.yes)}
    assert smooth == {"Round Smooth", "In-between Round Smooth", "Cigar Shaped Smooth"}


def test_relabelling_keeps_the_pixels_with_their_labels():
    pixels = torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(10, 4, 4, 3)
    images = Images(pixels, torch.arange(10)).relabelled([[9], [8, 0]])
    assert images.pixels[:, 0, 0, 0].tolist() == [0, 8, 9]
    assert images.labels.tolist() == [1, 1, 0]


def test_the_hierarchys_probabilities_are_products(monkeypatch):
    answers = {"first?": [0.8, 0.2], "second?": [0.3, 0.7]}
    root = Fork("first?", 0, Fork("second?", 1, 2))
    results = {name: trials.Result(torch.nn.Identity(), None, 0.0) for name in answers}
    order = {id(result.network): name for name, result in results.items()}
    monkeypatch.setattr(
        hierarchy,
        "probabilities",
        lambda network, images: np.repeat([answers[order[id(network)]]], len(images.labels), axis=0),
    )
    images = Images(torch.zeros(5, 4, 4, 3, dtype=torch.uint8), torch.zeros(5, dtype=torch.long))
    found = hierarchy.hierarchy_probabilities(results, images, root=root)
    np.testing.assert_allclose(found[0, :3], [0.8, 0.2 * 0.3, 0.2 * 0.7])
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_hierarchy_is_trained_fork_by_fork():
    train = bright_or_dark(40)
    root = Fork("dark?", 1, 0)
    results = hierarchy.run_hierarchy(SMALL.but(epochs=2), train, root=root)
    found = hierarchy.hierarchy_probabilities(results, train, root=root)
    assert trials.accuracy(found, train.labels) > 0.9


def test_wrong_settings_are_told():
    with pytest.raises(GalaxyError, match="choose one of adam, rmsprop"):
        Trial(optimizer="sgd")
    with pytest.raises(GalaxyError, match="choose one of none, right angles"):
        Trial(turns="often")
    with pytest.raises(GalaxyError, match="at least 2 training images"):
        run_trial(SMALL, bright_or_dark(1))
