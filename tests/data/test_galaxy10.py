import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from conftest import write_galaxy10

from galaxylib.data.galaxy10 import CLASS_COUNTS, CLASS_NAMES, Galaxy10, distinct
from galaxylib.data.storage import ByteStore, HDF5Store
from galaxylib.errors import DataError

LAYOUTS = {
    "contiguous": {},
    "a gzip chunk an image": {"chunks": (1, 256, 256, 3), "compression": "gzip"},
    "a plain chunk an image": {"chunks": (1, 256, 256, 3)},
    "shuffled bytes": {"chunks": (1, 256, 256, 3), "compression": "gzip", "shuffle": True},
    # h5py's own choice for the published file's shape is of this kind.
    "blocks of images": {"chunks": (7, 16, 16, 1), "compression": "gzip"},
}


@pytest.fixture(scope="module", params=LAYOUTS)
def laid_out(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("layout") / "galaxies.h5"
    return request.param, write_galaxy10(path, labels=np.arange(20) % 10, **LAYOUTS[request.param])


def test_class_names_and_counts_are_the_papers():
    assert CLASS_NAMES[3] == "In-between Round Smooth"
    assert len(CLASS_NAMES) == 10
    assert sum(CLASS_COUNTS.values()) == 17_736


def test_rows_come_in_the_order_asked_for_whatever_the_layout(laid_out):
    _, path = laid_out
    with h5py.File(path) as file:
        everything = file["images"][:]
    data = Galaxy10(path)
    rows = np.random.default_rng(3).integers(0, len(data), 33)
    np.testing.assert_array_equal(data.read(rows), everything[rows])
    assert data.read([]).shape == (0, 256, 256, 3)
    np.testing.assert_array_equal(data.read(range(19, 15, -1)), everything[19:15:-1])


def test_the_layout_decides_how_pixels_are_read(laid_out):
    name, path = laid_out
    data = Galaxy10(path)
    assert data.rows_per_chunk == (7 if name == "blocks of images" else 1)
    bytewise = name in ("contiguous", "a gzip chunk an image", "a plain chunk an image")
    assert isinstance(data._store, ByteStore if bytewise else HDF5Store)


def test_fingerprint_tells_contents_apart_and_not_layouts(tmp_path, laid_out):
    _, path = laid_out
    plain = write_galaxy10(tmp_path / "plain.h5", labels=np.arange(20) % 10)
    other = write_galaxy10(tmp_path / "other.h5", labels=np.arange(20) % 10, seed=1)
    assert Galaxy10(path).fingerprint == Galaxy10(plain).fingerprint != Galaxy10(other).fingerprint
    with h5py.File(plain, "r+") as file:
        file["ans"][7] = 0
    assert Galaxy10(path).fingerprint != Galaxy10(plain).fingerprint


def test_truth_and_simulated(blob_file, tmp_path):
    data = Galaxy10(blob_file)
    assert data.simulated
    assert data.truth.columns.tolist() == ["axis_ratio", "r_magnitude"]
    assert len(data.truth) == len(data) == 40
    assert data.notes == ()
    real = Galaxy10(write_galaxy10(tmp_path / "real.h5", labels=np.arange(10)))
    assert real.truth is None
    assert not real.simulated


@pytest.mark.slow
def test_worker_processes_read_the_same_pixels(laid_out):
    _, path = laid_out
    data = Galaxy10(path)
    expected = data.read(range(20))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data)).read(range(20)), expected)

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, row):
            return data.read([row])[0]

    loader = torch.utils.data.DataLoader(Rows(), batch_size=5, num_workers=2, multiprocessing_context="fork")
    np.testing.assert_array_equal(torch.cat(list(loader)).numpy(), expected)


def test_closing_lets_go_and_reading_opens_again(laid_out):
    _, path = laid_out
    with Galaxy10(path) as data:
        first = data.read([4])
    assert "_store" not in data.__dict__
    np.testing.assert_array_equal(data.read([4]), first)


@pytest.mark.parametrize("rows", [[-1], [20], [0.5]])
def test_rows_that_are_not_there(laid_out, rows):
    with pytest.raises(DataError, match="rows 0 to 19"):
        Galaxy10(laid_out[1]).read(rows)


# Each way to spoil a file, and what the one sentence must name.


def missing(path):
    path.unlink()


def not_hdf5(path):
    path.write_text("ra,dec\n1,2\n")


def zero_bytes(path):
    path.write_bytes(b"")


def truncated(path):
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size - 100_000)


def folder(path):
    path.unlink()
    path.mkdir()


def spoil(path, name, values, **attributes):
    with h5py.File(path, "r+") as file:
        if name in file:
            del file[name]
        if values is not None:
            file.create_dataset(name, data=values, **attributes)


SPOILT = {
    missing: "no file .*galaxylib simulate",
    not_hdf5: "not an HDF5 file",
    zero_bytes: "empty file",
    truncated: "cut short.*again",
    folder: "is a folder",
    lambda path: spoil(path, "images", None): "no dataset `images`",
    lambda path: spoil(path, "ans", None): "no dataset `ans`",
    lambda path: spoil(path, "ans", np.arange(20, dtype=np.uint8)): r"class 10 \(10 such rows\).*0 to 9",
    lambda path: spoil(path, "ans", np.full(20, -1)): "class -1",
    lambda path: spoil(path, "ans", np.zeros(20)): "float64.*whole numbers",
    lambda path: spoil(path, "ans", np.zeros(19, np.uint8)): r"20 images but `ans` has the shape \(19,\)",
    lambda path: spoil(path, "ans", np.zeros((20, 10), np.uint8)): r"shape \(20, 10\)",
    lambda path: spoil(path, "ra", np.zeros(3)): r"20 images but `ra` has the shape \(3,\)",
    lambda path: spoil(path, "dec", np.full(20, 91.0)): "dec 91.*degrees",
    lambda path: spoil(path, "dec", np.array([b"x"] * 20)): "`dec`.*float64",
    lambda path: spoil(
        path, "images", np.zeros((20, 69, 69, 3), np.uint8)
    ): r"\(20, 69, 69, 3\).*\(N, 256, 256, 3\)",
    lambda path: spoil(path, "images", np.zeros((2, 256, 256, 3), np.float32)): "float32.*uint8",
    lambda path: spoil(path, "images", np.zeros((0, 256, 256, 3), np.uint8)): "holds no galaxy",
}


@pytest.mark.parametrize(("damage", "sentence"), SPOILT.items(), ids=SPOILT.values())
def test_bad_input_is_one_sentence(tmp_path, damage, sentence):
    path = write_galaxy10(tmp_path / "galaxies.h5", labels=np.arange(20) % 10)
    damage(path)
    with pytest.raises(DataError, match=sentence) as fault:
        Galaxy10(path)
    message = str(fault.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert message.count(". ") == 0


@pytest.mark.parametrize("layout", [LAYOUTS["a gzip chunk an image"], LAYOUTS["blocks of images"]])
def test_damaged_pixels_are_named(tmp_path, layout):
    path = write_galaxy10(tmp_path / "galaxies.h5", labels=np.arange(20) % 10, **layout)
    with h5py.File(path) as file:
        chunk = file["images"].id.get_chunk_info(5)
    with path.open("r+b") as stream:
        stream.seek(chunk.byte_offset)
        stream.write(b"\xff" * 64)
    data = Galaxy10(path)
    with pytest.raises(DataError, match=r"[Ii]mages? \d.*damaged"):
        data.read(range(20))


def test_unknown_positions_are_allowed_and_said(tmp_path):
    path = write_galaxy10(tmp_path / "galaxies.h5", labels=np.arange(20) % 10)
    with h5py.File(path, "r+") as file:
        file["ra"][:5] = np.nan
        file["redshift"][:] = np.nan
        del file["pxscale"]
    data = Galaxy10(path)
    assert data.notes == (
        "`ra` is unknown (NaN) for 5 of 20 galaxies.",
        "`redshift` is unknown (NaN) for all galaxies.",
        "It has no `pxscale`.",
    )
    assert all(note in repr(data) for note in data.notes)


def test_a_redshift_that_is_the_declination_is_said(tmp_path):
    path = write_galaxy10(tmp_path / "galaxies.h5", labels=np.arange(10))
    with h5py.File(path, "r+") as file:
        file["redshift"][:] = file["dec"][:]
    assert Galaxy10(path).notes == ("`redshift` repeats the declination: do not use it.",)


HOLD = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print('held', flush=True); sys.stdin.read()"


def test_a_file_that_another_process_writes(tmp_path):
    path = write_galaxy10(tmp_path / "galaxies.h5", labels=np.arange(10))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout.readline() == b"held\n"
        with pytest.raises(DataError, match="being written by another process"):
            Galaxy10(path)
        writer.stdin.close()
    assert len(Galaxy10(path)) == 10


def test_the_real_sample(real_sample):
    data = Galaxy10(real_sample)
    assert len(data) == 60
    assert sorted(set(data.labels)) == list(range(10))
    assert np.isnan(data.ra).all()
    assert any("`ra` is unknown (NaN) for all" in note for note in data.notes)
    assert 0.1 < data.read(range(60)).mean() / 255 < 0.25


MEASURE = """
import sys, time
import h5py, numpy
start = time.process_time()  # other work on the machine does not count
from galaxylib.data.galaxy10 import Galaxy10
data = Galaxy10(sys.argv[1])
data.read([len(data) - 1]), data.fingerprint
seconds = time.process_time() - start
# The peak of this process alone: getrusage would start from its parent's.
peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))
print(seconds, int(peak.split()[1]) / 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured as Linux tells it")
@pytest.mark.parametrize("chunks", [None, (1, 256, 256, 3)])
def test_opening_the_full_size_file_costs_little(tmp_path, chunks):
    path = tmp_path / "full.h5"
    with h5py.File(path, "w") as file:
        # Space is set aside and never written: the file has the full size and costs the disk nothing.
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        if chunks:
            plist.set_chunk(chunks)
        space = h5py.h5s.create_simple((17_736, 256, 256, 3))
        h5py.h5d.create(file.id, b"images", h5py.h5t.NATIVE_UINT8, space, plist)
        file["ans"] = np.arange(17_736, dtype=np.uint8) % 10
        for name in ("ra", "dec", "redshift", "pxscale"):
            file[name] = np.zeros(17_736)
    assert path.stat().st_size > 3.4e9
    run = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, run.stdout.split())
    assert seconds < 1
    assert megabytes < 200


def test_random_batches_are_read_in_a_blink(tmp_path, blob_file):
    data = Galaxy10(shutil.copy(blob_file, tmp_path / "copy.h5"))
    rows = np.random.default_rng(0).integers(0, len(data), 64)
    data.read(rows)
    start = time.process_time()
    data.read(rows)
    # The quickest training here takes 300 ms a batch of 64.
    assert time.process_time() - start < 0.15


@pytest.mark.parametrize("packed", ["images", "ans", "ra"])
def test_a_filter_that_is_not_here_is_named_before_anything_is_read(tmp_path, packed):
    path = write_galaxy10(tmp_path / "x.h5", labels=[0, 1])
    with h5py.File(path, "r+") as file:
        shape, kind = file[packed].shape, file[packed].dtype
        del file[packed]
        one = file.create_dataset(
            packed, shape, kind, chunks=shape, compression=32001, allow_unknown_filter=True
        )
        one.id.write_direct_chunk((0,) * len(shape), bytes(64))
    with pytest.raises(
        DataError, match=rf"`{packed}` in .* is packed with the filter number 32001, which"
    ) as told:
        Galaxy10(path)
    assert "damaged" not in str(told.value)


def test_images_that_repeat_are_counted_once(tmp_path):
    """Two rows with the same pixels are one image; a pixel off, they are two."""
    path = write_galaxy10(tmp_path / "some.h5", labels=np.arange(70) % 10)
    with h5py.File(path, "r+") as file:
        images = file["images"]
        images[69] = images[3]
        images[68] = images[4]
        images[68, 255, 255, 2] ^= 1
    assert distinct(Galaxy10(path)) == 69
