"""One process at a time in a folder; where a file system has no locks, work goes on without."""

import errno
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import ROOT, write_galaxy10

from galaxylib import files
from galaxylib.data.galaxy10 import Galaxy10
from galaxylib.data.unpacking import unpack
from galaxylib.errors import GalaxyError
from galaxylib.files import hold_lock
from galaxylib.simulate import dataset

HOLD = """
import sys, time
from pathlib import Path
from galaxylib.files import hold_lock
held = hold_lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_a_killed_holder_leaves_no_lock(tmp_path):
    path = tmp_path / "new" / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(GalaxyError, match=rf"Process {holder.pid} is at work in .*new: wait until"):
            hold_lock(path, wait=False)
        holder.kill()
    hold_lock(path, wait=False).close()


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "lock", tmp_path / "file" / "deep" / "lock"):
        with pytest.raises(GalaxyError, match="is no folder to write in"):
            hold_lock(path)


@pytest.mark.parametrize("code", ["ENOLCK", "ENOSYS", "ENOTSUP"])
def test_without_locks_everyone_gets_one(tmp_path, monkeypatch, code):
    """Network file systems: NFS without its lock service, Lustre mounted without flock."""

    def refuse(*_, **__):
        raise OSError(getattr(errno, code), "no locks here")

    monkeypatch.setattr(files, "lock_descriptor", refuse)
    with hold_lock(tmp_path / "lock", wait=False), hold_lock(tmp_path / "lock", wait=False):
        pass
    monkeypatch.setattr(errno, code, errno.EIO)
    with pytest.raises(OSError, match="no locks here"):
        hold_lock(tmp_path / "lock")


@pytest.mark.slow
def test_a_system_without_fcntl_is_served_too(tmp_path):
    code = (
        "import sys; sys.modules['fcntl'] = None\n"
        "import ci.book, ci.execute, ci.verify, galaxylib.data.storage\n"
        "galaxylib.files.hold_lock(ci.book.Path(sys.argv[1])); print('held')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "lock"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "held\n", done.stderr


@pytest.mark.parametrize("code", ["ENOLCK", "ENOSYS", "ENOTSUP"])
def test_hdf5_files_are_read_and_written_without_locks(tmp_path, monkeypatch, code):
    source = write_galaxy10(tmp_path / "packed.h5", labels=np.arange(10), chunks=(10, 256, 256, 3))
    opened = h5py.File

    def refuse(path: Path, mode: str = "r", *, locking: bool = True) -> h5py.File:
        if locking:
            raise OSError(getattr(errno, code), f"unable to lock file, errno = {getattr(errno, code)}")
        return opened(path, mode, locking=False)

    monkeypatch.setattr(h5py, "File", refuse)
    data = Galaxy10(source)
    assert (unpack(data, tmp_path / "copy.h5", progress=False).read([3]) == data.read([3])).all()
    monkeypatch.setattr(
        dataset, "draw_rows", lambda rows, *_: (np.zeros((len(rows), 256, 256, 3)), rows[:, None])
    )
    monkeypatch.setattr(dataset, "TRUTH_COLUMNS", ("number",))
    assert len(Galaxy10(dataset.simulate(tmp_path / "sim.h5", n=3, processes=1, progress=False))) == 3
