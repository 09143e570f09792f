"""One build at a time in one folder, with a lock that is never stale."""

import fcntl
import os
import sys
from pathlib import Path
from typing import IO

from galaxylib.files import saving


def hold_lock(path: Path) -> IO[str]:
    """Make sure that one process at a time works in this folder.

    The system gives the lock up when the build and all that it started have ended, however they ended: none
    is ever stale. A build that still runs, perhaps left behind by a killed terminal, is waited for.

    Returns:
        The open file; the lock lasts as long as it is open in this process or in one that inherited it.
    """
    with saving(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        holder = stream.read().strip()
        print(
            f"Process {holder} is at work in {path.parent}; waiting for it to end.",
            file=sys.stderr,
            flush=True,
        )
        fcntl.flock(stream, fcntl.LOCK_EX)
    stream.truncate(0)
    stream.write(f"{os.getpid()}\n")
    stream.flush()
    return stream
