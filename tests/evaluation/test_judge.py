"""One judge: the arithmetic, the eight views, and what it leaves as it was."""

import numpy as np
import pytest
import torch
from torch import nn

from galaxylib.data.in_memory import InMemory
from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import GalaxyError
from galaxylib.evaluation.judge import (
    AT_ONCE,
    eight_views,
    judge,
    judge_rows,
    judging_precision,
    look_at_batches,
)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 5, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(6))


@pytest.fixture
def ready():
    made = network()
    made(torch.zeros(2, 3, 20, 20))
    return made.eval()


def test_probabilities_are_the_softmax_of_the_logits(ready):
    images = torch.randn(5, 3, 20, 20)
    with torch.no_grad():
        expected = np.exp(ready(images).double().numpy())
    expected /= expected.sum(1, keepdims=True)
    found = judge(ready, images)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_the_eight_views_are_all_symmetries_of_the_square():
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    views = {tuple(view.flatten().tolist()) for view in eight_views(image)}
    expected = {
        tuple(np.rot90(side, turns).ravel().tolist())
        for side in (image[0, 0].numpy(), image[0, 0].numpy().T)
        for turns in range(4)
    }
    assert views == expected
    assert len(views) == 8


def test_symmetries_are_averaged_and_make_the_answer_symmetric(ready):
    images = torch.randn(3, 3, 20, 20)
    expected = torch.stack([judge(ready, view) for view in eight_views(images)]).mean(0)
    torch.testing.assert_close(judge(ready, images, symmetries=True), expected)
    turned = judge(ready, images.rot90(1, (2, 3)).flip(2), symmetries=True)
    torch.testing.assert_close(turned, expected, atol=1e-6, rtol=1e-6)


def test_a_temperature_divides_the_logits_and_keeps_the_order(ready):
    images = torch.randn(5, 3, 20, 20)
    with torch.no_grad():
        expected = (ready(images).double() / 1.8).softmax(1)
    torch.testing.assert_close(judge(ready, images, temperature=1.8), expected, atol=1e-6, rtol=1e-6)
    averaged = judge(ready, images, symmetries=True)
    cooled = judge(ready, images, symmetries=True, temperature=1.8)
    assert torch.equal(cooled.argsort(1), averaged.argsort(1))
    assert torch.equal(judge(ready, images, temperature=1.0), judge(ready, images))


def test_the_network_stays_in_its_mode_with_its_statistics(ready):
    ready.train()
    before = ready[1].running_mean.clone()
    judge(ready, torch.randn(2, 3, 20, 20))
    assert ready.training
    assert torch.equal(before, ready[1].running_mean)


def test_rows_are_judged_in_their_order_whatever_the_batch(ready):
    images = np.random.default_rng(0).integers(0, 256, (7, 20, 20, 3), np.uint8)
    data = InMemory(images, np.zeros(7, np.int64))
    plain = Preprocess(size=20, crop=20)
    whole = judge_rows(ready, data, [4, 0, 6, 2], preprocess=plain)
    parts = judge_rows(ready, data, [4, 0, 6, 2], preprocess=plain, batch_size=3)
    np.testing.assert_allclose(whole, parts, atol=1e-9)
    expected = judge(ready, plain(torch.from_numpy(images[[4, 0, 6, 2]])))
    np.testing.assert_allclose(whole, expected.numpy(), atol=1e-6)


def test_batches_are_judged_one_by_one_as_they_come(ready):
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (AT_ONCE + 3, 30, 30, 3), np.uint8))
    plain, taken = Preprocess(size=20, crop=30), []

    def batches():
        for batch in (images, images[:1]):
            taken.append(len(batch))
            yield batch

    looks = look_at_batches(ready, batches(), preprocess=plain, stages=("0",))
    first = next(looks)
    assert taken == [AT_ONCE + 3]
    # Preparing a few at a time changes nothing.
    assert np.array_equal(first.answers, judge(ready, plain(images)).numpy())
    with torch.no_grad():
        maps = ready[0](plain(images))
    assert first.stages["0"] == pytest.approx(
        torch.cat([maps.mean((2, 3)), maps.std((2, 3), correction=0)], 1).numpy(), abs=1e-5
    )
    np.testing.assert_allclose(next(looks).answers, first.answers[:1], atol=1e-6)
    assert next(looks, None) is None


def test_the_short_type_is_taken_where_asked_for_and_offered(ready, monkeypatch):
    images = torch.randn(5, 3, 20, 20)
    exact, short = judge(ready, images), judge(ready, images, precision="bfloat16")
    assert short.dtype == torch.float64
    assert 0 < (exact - short).abs().max() < 0.05
    for offered in (True, False):
        monkeypatch.setattr("galaxylib.training.hardware.cpu_has_bfloat16", lambda offered=offered: offered)
        if not torch.cuda.is_available():
            assert judging_precision("auto") == ("bfloat16" if offered else "float32")
    assert judging_precision("float32") == "float32"


def test_images_that_the_network_cannot_read_and_a_full_memory_are_told(ready, monkeypatch):
    data = InMemory(np.zeros((4, 30, 30, 3), np.uint8), np.zeros(4, np.int64))
    with pytest.raises(GalaxyError, match="cannot read images of 30 x 30"):
        judge_rows(ready, data, range(4), preprocess=Preprocess(size=30, crop=30))

    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(ready, "forward", full)
    with pytest.raises(GalaxyError, match="try a batch size of 2"):
        judge_rows(ready, data, range(4), preprocess=Preprocess(size=20, crop=20))
