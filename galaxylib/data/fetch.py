"""The real Galaxy10 DECaLS file, brought here from Zenodo.

A transfer of 2.5 GB gets cut: what has arrived is kept beside the target as `<name>.part`, and the next
attempt, in the same run or in a later one, goes on from there. Only a file with the right SHA-256 gets its
name.
"""

import re
import reprlib
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pooch
import requests
import urllib3
from tqdm import tqdm

from galaxylib.errors import DataError, GalaxyError
from galaxylib.files import check_outputs, saving

URL = "https://zenodo.org/records/10845026/files/Galaxy10_DECals.h5"
SHA256 = "19aefc477c41bb7f77ff07599a6b82a038dc042f889a111b0d4d98bb755c1571"
CHUNK = 1 << 20
PASSING = (408, 425, 429)  # refusals that pass: too slow, too early, too many requests
LONGEST = 300.0  # seconds that a server's Retry-After is waited for


def fetch(
    folder: str | Path,
    url: str = URL,
    sha256: str = SHA256,
    *,
    stall: float = 60.0,
    attempts: int = 5,
    pause: float = 2.0,
    progress: bool = True,
) -> Path:
    """Download a file, or find it already there.

    Args:
        folder: where the file goes, under the last name in the address.
        url: its address; the published set by default.
        sha256: what the content must hash to.
        stall: seconds without a byte after which the connection counts as lost.
        attempts: lost connections in a row that brought nothing, before giving up.
        pause: seconds before trying again, or longer where a busy server asks for it, up to five minutes.
        progress: whether to show a progress bar.

    Returns:
        the file's path.

    Raises:
        DataError: the content does not have the right SHA-256.
        GalaxyError: the folder cannot be written, there is no network, the server refuses or keeps breaking
            off, or the disk is too small.
    """
    name = _name(url)
    target = Path(folder) / name
    if not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise GalaxyError(f"{reprlib.repr(sha256)} is no SHA-256: give its 64 hexadecimal digits.")
    transfer = Transfer(
        part=target.with_name(name + ".part"), stall=stall, attempts=attempts, pause=pause, progress=progress
    )
    # Pooch tells of each download in the log; the progress bar says it already.
    pooch.get_logger().setLevel("WARNING")
    if target.is_file() and pooch.file_hash(str(target)) == sha256.lower():
        return target
    check_outputs(target, transfer.part)
    try:
        with saving(target):
            pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=folder, downloader=transfer)
    except ValueError as fault:
        if "hash" not in str(fault):
            raise
        raise DataError(
            f"What {url} sent does not have the expected SHA-256 and was thrown away: run again to start "
            "afresh; if it happens twice, the file there has changed."
        ) from fault
    return target


def _name(url: str) -> str:
    """The name of the file at an address.

    Raises:
        GalaxyError: it is no address of a file on the web.
    """
    try:
        address = urlsplit(url)
        reachable = address.scheme in ("http", "https") and address.hostname and address.port != 0
    except ValueError:  # brackets that do not pair, or an impossible port
        reachable = False
    if not reachable:
        raise GalaxyError(f"{url!r} is not an address that can be fetched: give one like {URL}.")
    name = PurePosixPath(unquote(address.path)).name
    if name in ("", "..") or not name.isprintable():
        raise GalaxyError(f"{url} does not end in a file's name: give the address of the file itself.")
    return name


class Interrupted(Exception):
    """The connection was lost on the way; trying again may help, after `wait` seconds."""

    def __init__(self, cause: str, *, wait: float = 0.0) -> None:
        super().__init__(cause)
        self.wait = wait


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Downloads for pooch, with resuming.

    Attributes:
        part: path of the file in which the bytes gather.
        stall: seconds without a byte after which the connection counts as lost.
        attempts: fruitless attempts in a row before giving up.
        pause: seconds to wait between two attempts.
        progress: whether to show a progress bar.
    """

    part: Path
    stall: float
    attempts: int
    pause: float
    progress: bool

    def __call__(self, url: str, output: str, _: pooch.Pooch | None, check_only: bool = False) -> None:
        """Bring the content of `url` to the path `output`; pooch then checks its hash."""
        fruitless = 0
        while True:
            before = self._size()
            try:
                self._attempt(url)
                break
            except Interrupted as fault:
                fruitless = 0 if self._size() > before else fruitless + 1
                if fruitless >= self.attempts or fault.wait > LONGEST:
                    if not self._size():
                        self.part.unlink(missing_ok=True)
                    raise GalaxyError(self._sentence(url, fault)) from fault
                time.sleep(max(self.pause, fault.wait))
        self.part.replace(output)

    def _attempt(self, url: str) -> None:
        """Go on from what is there until all has arrived."""
        have = self._size()
        headers = {"Range": f"bytes={have}-"} if have else {}
        # Ask for the bytes as they are: a packed answer could not be resumed.
        headers["Accept-Encoding"] = "identity"
        try:
            with requests.get(url, headers=headers, stream=True, timeout=self.stall) as answer:
                if answer.status_code == requests.codes.requested_range_not_satisfiable:
                    self._finished_or_stale(answer, have)
                    return
                if answer.status_code >= 500 or answer.status_code in PASSING:
                    raise _refusal(answer)
                if not answer.ok:
                    raise GalaxyError(
                        f"{url} answered {answer.status_code} ({answer.reason}): check the address, or "
                        "download the file by hand and give its path as data."
                    )
                resumed = answer.status_code == requests.codes.partial_content and _starts_at(answer, have)
                self._receive(answer, have if resumed else 0)
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as fault:
            raise Interrupted(_cause(fault, self.stall)) from fault
        except requests.RequestException as fault:
            raise GalaxyError(f"{url} is not an address that can be fetched: {fault}.") from fault

    def _receive(self, answer: requests.Response, have: int) -> None:
        # What comes packed all the same is unpacked, has no known size, and cannot be resumed.
        packed = answer.headers.get("Content-Encoding", "identity") != "identity"
        length = None if packed else answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        self._check_space(answer.url, total, have)
        with (
            self.part.open("r+b" if have else "wb") as stream,
            tqdm(
                total=total,
                initial=have,
                unit="B",
                unit_scale=True,
                desc=self.part.stem,
                disable=not self.progress,
            ) as bar,
        ):
            stream.seek(have)
            try:
                # Not `iter_content`, which loses what came of a chunk when the connection breaks.
                while chunk := answer.raw.read1(CHUNK, decode_content=True):
                    stream.write(chunk)
                    bar.update(len(chunk))
            except urllib3.exceptions.HTTPError:
                if packed:
                    stream.truncate(0)
                raise
        if total is not None and self._size() < total:
            raise Interrupted(f"the connection ended after {self._size():,} of {total:,} bytes")

    def _finished_or_stale(self, answer: requests.Response, have: int) -> None:
        """The server has nothing beyond what is here: either all is here, or it is of another file."""
        total = answer.headers.get("Content-Range", "").rpartition("/")[2]
        if total != str(have):
            self.part.unlink()
            raise Interrupted("what had arrived before belongs to another file")

    def _check_space(self, url: str, total: int | None, have: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if total is not None and total - have > free:
            raise GalaxyError(
                f"{url} needs {(total - have) / 1e9:.2f} GB more and the disk of {self.part.parent} has "
                f"{free / 1e9:.2f} GB free: free some, or choose another folder."
            )

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _sentence(self, url: str, fault: Interrupted) -> str:
        kept = f"; the {self._size() / 1e6:,.1f} MB that arrived are kept" if self._size() else ""
        return (
            f"{url} cannot be fetched ({fault}): check the network and run again{kept}, "
            "or work with simulated galaxies, which need no network."
        )


def _refusal(answer: requests.Response) -> Interrupted:
    """A server that is busy or broken, with the time that it asks for as seconds or as a date."""
    asked = answer.headers.get("Retry-After", "")
    try:
        if asked.isdecimal():
            wait = float(asked)
        else:
            wait = (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        wait = 0.0
    later = f" and asks to come back in {wait:.0f} s" if wait > 0 else ""
    return Interrupted(f"the server answered {answer.status_code}{later}", wait=max(wait, 0.0))


def _starts_at(answer: requests.Response, start: int) -> bool:
    return answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _cause(fault: Exception, stall: float) -> str:
    text = str(fault)
    if isinstance(fault, requests.exceptions.ConnectTimeout):
        return f"no answer within {stall:g} seconds"
    if isinstance(fault, requests.Timeout) or "timed out" in text.lower():
        return f"nothing came for {stall:g} seconds"
    if "resolve" in text.lower() or "name or service" in text.lower():
        return "the address is not found: there seems to be no network"
    if "refused" in text.lower() or "unreachable" in text.lower():
        return "no connection"
    return "the connection broke off"
