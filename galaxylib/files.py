"""Files and folders written whole or not at all, and never over what somebody else keeps there."""

import errno
import hashlib
import json
import os
import platform
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import lock_descriptor

from galaxylib.errors import GalaxyError

# What a system says when a disk, or a user's share of it, is full.
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
# How the name of everything begins that is put beside a reader's own files.
OURS = ".galaxylib-"
# In a folder that `filling` wrote: its files, one a line.
LIST = f"{OURS}files"
# What a file system without locks says, as NFS without its lock service and some parallel ones do.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


@contextmanager
def saving(path: str | Path) -> Iterator[None]:
    """Turn "no space left" while writing `path` into one sentence.

    Raises:
        GalaxyError: the disk that holds `path` is full.
    """
    try:
        yield
    except OSError as fault:
        if fault.errno not in DISK_FULL:
            raise
        raise GalaxyError(
            f"No space is left on the disk that holds {path}: free some and run again; "
            "what was finished before is kept."
        ) from fault


def check_outputs(*outputs: str | Path | None, inputs: Iterable[str | Path | None] = ()) -> None:
    """Refuse files that could not be written, or would destroy something, before any work goes into them.

    Args:
        *outputs: files that will be written, in folders that may be missing still; None for one that was not
            asked for.
        inputs: files that will be read; what does not exist, and None, is passed over.

    Raises:
        GalaxyError: an output is a folder or a device, cannot be written, or is an input or another output,
            perhaps by another path.
    """
    given = [Path(path) for path in outputs if path is not None]
    sources = [path for path in inputs if path is not None and os.path.exists(path)]
    for number, path in enumerate(given):
        _check_output(_target(path), path)
        for other in given[:number]:
            if _same(path, other) or _inside(path, other) or _inside(other, path):
                raise GalaxyError(f"{other} and {path} cannot both be written: give each a name of its own.")
        if any(_same(path, source) for source in sources):
            raise GalaxyError(f"{path} is read, so it is not overwritten: give the output another name.")


def _check_output(target: Path, path: str | Path) -> None:
    """Refuse a file that cannot be written at `target`, which the sentence calls `path`."""
    folder = next((parent for parent in target.parents if os.path.exists(parent)), target)
    if not folder.is_dir():
        raise GalaxyError(f"{path} cannot be written, for {folder} is a file: give another folder.")
    with saving(path):
        try:
            with suppress(FileNotFoundError):
                mode = target.stat().st_mode
                if stat.S_ISDIR(mode):
                    raise GalaxyError(f"{path} is a folder, and a file is to be written: give its name.")
                if not stat.S_ISREG(mode):
                    raise GalaxyError(f"{path} is a device or a pipe: give the name of a file.")
                if not os.access(target, os.W_OK):
                    raise PermissionError(errno.EACCES, "it is write-protected")
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as fault:
            if fault.errno in DISK_FULL:
                raise
            raise GalaxyError(
                f"{path} cannot be written ({fault.strerror}): choose another place for it."
            ) from fault


def _target(path: str | Path) -> Path:
    """Where `path` leads through all symbolic links; nothing need be there."""
    return Path(os.path.realpath(path))


def _same(path: str | Path, other: str | Path) -> bool:
    both = os.path.exists(path) and os.path.exists(other)
    return _target(path) == _target(other) or (both and os.path.samefile(path, other))


def _inside(path: str | Path, folder: str | Path) -> bool:
    return _target(folder) in _target(path).parents


@contextmanager
def scratch(folder: str | Path) -> Iterator[Path]:
    """Give an empty folder inside `folder`, its own for every caller; it is gone when the block ends.

    What a killed process of this machine left behind there goes first.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        if _is_abandoned(entry.name):
            shutil.rmtree(entry, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=f"{OURS}{platform.node()}-{os.getpid()}-", dir=folder))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _is_abandoned(name: str) -> bool:
    """Whether this is the name of a `scratch` folder whose process has ended, as far as one can tell."""
    maker, _, rest = name.removeprefix(f"{OURS}{platform.node()}-").partition("-")
    # On Windows, the signal 0 is no question but Ctrl-C.
    if not (rest and maker.isdecimal() and os.name == "posix"):
        return False
    try:
        os.kill(int(maker), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # somebody else's process, or no number of any
        return False
    return False


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path; the file written there takes the place of `path` only if the block succeeds.

    A reader never meets half a file, a failed write leaves the former file as it was, and of two writers at
    the same time the later one wins. The temporary path ends in the same name. Where `path` is a symbolic
    link, the file that it leads to is replaced. Folders are written by `filling`.

    Raises:
        GalaxyError: `path` is a folder or cannot be written, or the disk that holds it is full.
    """
    check_outputs(path)
    target = _target(path)
    with saving(path), scratch(target.parent) as place:
        partial = place / target.name
        yield partial
        partial.replace(target)


@contextmanager
def filling(path: str | Path, *, mark: str = LIST) -> Iterator[Path]:
    """Give an empty temporary folder; its files move into the folder `path` only if the block succeeds.

    `path` is absent, holds no file, or was filled before. What was written then is replaced or removed, and
    all else stays: a list in the folder tells the one from the other.

    Args:
        path: the folder.
        mark: a file that tells a folder filled before there were such lists; nothing is removed from it.

    Raises:
        GalaxyError: `path` is a file, holds something else, or cannot be written; something that was not
            written here has the name of a new file; or the disk is full.
    """
    folder = _target(path)
    is_new = not folder.exists()
    if not is_new and not folder.is_dir():
        raise GalaxyError(f"{path} is a file where a folder is to be written: give another name.")
    is_ours = is_new or any((folder / name).is_file() for name in (LIST, mark))
    files = (entry.relative_to(folder) for entry in folder.rglob("*") if not entry.is_dir())
    if not is_ours and any(not name.parts[0].startswith(OURS) for name in files):
        raise GalaxyError(f"{path} holds something else than what is written there: give a new folder.")
    _check_output(folder / LIST, path)
    try:
        with saving(path), scratch(folder) as place:
            content = place / "content"
            content.mkdir()
            yield content
            _move(content, folder)
    finally:
        if is_new:
            with suppress(OSError):  # it is not empty: the block succeeded
                folder.rmdir()


def listed(folder: Path) -> set[Path]:
    """The files, relative to it, that `filling` wrote into a folder."""
    try:
        lines = (folder / LIST).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return set()
    # The list may come from anywhere, and must not lead out of the folder.
    return {Path(line) for line in lines if _inside(folder / line, folder)}


def _move(content: Path, folder: Path) -> None:
    former, is_first = listed(folder), not (folder / LIST).exists()
    new = {file.relative_to(content) for file in content.rglob("*") if file.is_file()}
    for name in () if is_first else sorted(new):
        if alien := _in_the_way(folder, name, former):
            raise GalaxyError(f"{alien} is in the way and was not written here: move it elsewhere.")
    _write_list(folder, former | new)  # whatever a kill leaves, the next call knows
    for name in former - new:
        if not (folder / name).is_dir():
            (folder / name).unlink(missing_ok=True)
        for parent in name.parents[:-1]:
            with suppress(OSError):  # it holds something still
                (folder / parent).rmdir()
    for name in sorted(new):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).replace(folder / name)
    _write_list(folder, new)


def _in_the_way(folder: Path, name: Path, former: set[Path]) -> Path | None:
    """What stands where the file `name` or a folder on the way to it is to be, and may not give way."""
    for part in (name, *name.parents[:-1]):
        there = folder / part
        if os.path.lexists(there):
            fits = part != name if there.is_dir() else part in former
            return None if fits else there
    return None


def _write_list(folder: Path, names: Iterable[Path]) -> None:
    with atomic(folder / LIST) as partial:
        partial.write_text("".join(f"{name.as_posix()}\n" for name in sorted(names)), encoding="utf-8")


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as readable JSON, whole or not at all.

    Raises:
        GalaxyError: `path` is a folder or cannot be written, or the disk is full.
        TypeError: `content` holds something that JSON cannot.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hold_lock(path: Path, *, wait: bool = True) -> IO[str]:
    """Make sure that one process at a time works in the folder of `path`.

    The system gives the lock up when its holder and all that inherited the open file have ended, however they
    ended: none is ever stale. Where the file system has no locks, everyone gets one.

    Args:
        path: the lock's file; it stays, and names the process that held it last.
        wait: say who is at work and wait for its end, instead of refusing.

    Returns:
        The open file; the lock lasts as long as it is open in this process or in one that inherited it.

    Raises:
        GalaxyError: another process holds the lock and `wait` is False, or the folder cannot be written to.
    """
    try:
        with saving(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = path.open("a+")
    except OSError as fault:
        raise GalaxyError(
            f"{path.parent} is no folder to write in ({fault.strerror}): choose another."
        ) from fault
    try:
        if not lock_descriptor(stream.fileno(), blocking=False):
            busy = f"{_holder(stream)} is at work in {path.parent}"
            if not wait:
                raise GalaxyError(f"{busy}: wait until it has ended, or choose another folder.")
            print(f"{busy}; waiting for it to end.", file=sys.stderr, flush=True)
            lock_descriptor(stream.fileno())
    except OSError as fault:
        if fault.errno not in NO_LOCKS:
            raise
    except GalaxyError:
        stream.close()
        raise
    stream.truncate(0)
    stream.write(f"{os.getpid()}\n")
    stream.flush()
    return stream


def _holder(stream: IO[str]) -> str:
    with suppress(OSError):  # Windows lets nobody else read what is locked
        stream.seek(0)
        return f"Process {stream.read().strip()}"
    return "Another process"
