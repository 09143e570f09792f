import threading
import time

import numpy as np
import pytest

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.loader import batches
from galaxylib.errors import DataError, GalaxyError


@pytest.fixture(scope="module")
def data(blob_file):
    return Galaxy10(blob_file)


def test_rows_in_order_with_their_pixels_and_labels(data):
    order = np.random.default_rng(0).permutation(40)[:30]
    found = list(batches(data, order, batch_size=8))
    assert [len(rows) for _, _, rows in found] == [8, 8, 8, 6]
    assert np.concatenate([rows for _, _, rows in found]).tolist() == order.tolist()
    for images, labels, rows in found:
        np.testing.assert_array_equal(images, data.read(rows))
        np.testing.assert_array_equal(labels, data.labels[rows])


def test_shuffled_by_seed_and_epoch(data):
    def order(seed):
        return [
            int(row) for *_, rows in batches(data, range(40), batch_size=7, shuffle_seed=seed) for row in rows
        ]

    assert order((0, 1)) == order((0, 1)) != order((0, 2))
    assert sorted(order((0, 1))) == list(range(40))


def test_drop_last(data):
    assert len(list(batches(data, range(30), batch_size=8, drop_last=True))) == 3
    assert list(batches(data, [], batch_size=8)) == []


class Watched:
    """A file that counts what has been read of it."""

    def __init__(self, data):
        self.data, self.labels, self.images = data, data.labels, 0
        self.lock = threading.Lock()

    def read(self, rows):
        with self.lock:
            self.images += len(rows)
        return self.data.read(rows)


def test_memory_is_bounded(data):
    watched = Watched(data)
    stream = batches(watched, np.tile(np.arange(40), 10), batch_size=4, ahead=3)
    for taken in range(1, 6):
        next(stream)
        time.sleep(0.05)
        assert watched.images <= 4 * (taken + 3)
    stream.close()
    time.sleep(0.1)
    seen = watched.images
    time.sleep(0.1)
    assert watched.images == seen


def test_reads_while_the_trainer_works(data):
    watched = Watched(data)
    for taken, _ in enumerate(batches(watched, range(40), batch_size=4, ahead=2, threads=1), start=1):
        # The trainer holds this batch and asks for none, and still the two after it come.
        patience = time.monotonic() + 20
        while watched.images < min(4 * (taken + 2), 40):
            assert time.monotonic() < patience
            time.sleep(0.001)


def test_a_fault_reaches_the_reader(data):
    with pytest.raises(DataError, match="rows 0 to 39"):
        list(batches(data, [3, 99], batch_size=1))
    # The label of a missing row is not there either.
    with pytest.raises(GalaxyError):
        next(batches(data, [1], batch_size=0))
