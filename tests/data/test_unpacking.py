import h5py
import numpy as np
import pytest
from conftest import write_galaxy10

from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.unpacking import open_quick, unpack
from galaxylib.errors import DataError


@pytest.mark.parametrize("layout", [{}, {"chunks": (7, 16, 16, 1), "compression": "gzip"}])
def test_unpack_keeps_the_content_and_reads_at_random(tmp_path, layout):
    path = write_galaxy10(tmp_path / "packed.h5", labels=np.arange(20) % 10, simulated=True, **layout)
    data = Galaxy10(path)
    copy = unpack(data, tmp_path / "copy.h5", progress=False)
    assert copy.rows_per_chunk == 1
    assert copy.fingerprint == data.fingerprint
    np.testing.assert_array_equal(copy.read(range(20)), data.read(range(20)))
    assert copy.truth.equals(data.truth)
    assert copy.simulated
    made = copy.path.stat().st_mtime_ns
    assert unpack(data, tmp_path / "copy.h5", progress=False).path.stat().st_mtime_ns == made


def test_open_quick_unpacks_once_what_is_packed_in_blocks(tmp_path, capsys):
    packed = write_galaxy10(
        tmp_path / "packed.h5", labels=np.arange(20) % 10, chunks=(10, 32, 32, 1), compression="gzip"
    )
    first = open_quick(packed, folder=tmp_path / "data")
    assert "blocks of 10 images" in capsys.readouterr().out
    assert first.path.parent == tmp_path / "data"
    assert first.fingerprint == Galaxy10(packed).fingerprint
    assert open_quick(packed, folder=tmp_path / "data").path == first.path
    assert capsys.readouterr().out == ""
    assert open_quick(first.path, folder=tmp_path / "data").path == first.path


def test_a_damaged_block_leaves_no_copy(tmp_path):
    path = write_galaxy10(
        tmp_path / "packed.h5", labels=np.arange(20) % 10, chunks=(10, 32, 32, 1), compression="gzip"
    )
    data = Galaxy10(path)
    with h5py.File(path) as file:
        chunk = file["images"].id.get_chunk_info(5)
    with path.open("r+b") as stream:
        stream.seek(chunk.byte_offset)
        stream.write(b"\xff" * 64)
    with pytest.raises(DataError, match=r"images 0 to 19.*damaged"):
        unpack(data, tmp_path / "copy.h5", progress=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["packed.h5"]
