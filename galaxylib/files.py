"""Files written whole or not at all."""

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from galaxylib.errors import GalaxyError

# What a system says when a disk, or a user's share of it, is full.
FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def saving(path: str | Path) -> Iterator[None]:
    """Turn "no space left" while writing `path` into one sentence.

    Raises:
        GalaxyError: the disk that holds `path` is full.
    """
    try:
        yield
    except OSError as fault:
        if fault.errno not in FULL:
            raise
        raise GalaxyError(
            f"No space is left on the disk that holds {path}: free some and run again; "
            "what was finished before is kept."
        ) from fault


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it takes the place of `path` only if the block succeeds.

    A reader never meets half a file, and a failed write leaves the former file as it was. Works for a file
    or a folder (make the folder at the temporary path); a folder that stands at `path` is replaced whole.

    Raises:
        GalaxyError: the disk that holds `path` is full.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    discard(partial)
    try:
        with saving(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            if path.is_dir():
                former = path.with_name(f".{path.name}.former")
                discard(former)
                path.rename(former)
                partial.rename(path)
                discard(former)
            else:
                partial.replace(path)
    finally:
        discard(partial)


def discard(path: Path) -> None:
    """Remove the file or folder at `path`, if there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as readable JSON, whole or not at all.

    Raises:
        GalaxyError: the disk is full.
        TypeError: `content` holds something that JSON cannot.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
