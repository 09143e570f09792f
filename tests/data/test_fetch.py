import gzip
import hashlib
import shutil
import threading
import time
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from galaxylib.data.fetch import SHA256, URL, fetch
from galaxylib.errors import DataError, GalaxyError

CONTENT = np.random.default_rng(0).bytes(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT and misbehaves as told: one entry of `plan` a request, then as it should."""

    daemon_threads = True

    def handle_error(self, *_):
        """Clients hang up on a stalling server: that is the test, not a fault."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan, self.ranges, self.resumable, self.size = [], [], True, len(CONTENT)
        self.retry_after = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/files/galaxies.h5?download=1"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.ranges.append(asked)
        fault = server.plan.pop(0) if server.plan else "none"
        if isinstance(fault, int):
            self.send_response(fault)
            if server.retry_after is not None:
                self.send_header("Retry-After", server.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault.startswith("packed"):
            body = gzip.compress(CONTENT, compresslevel=1)
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if fault == "packed and cut" else body)
            return
        start = int(asked[len("bytes=") : -1]) if asked and server.resumable else 0
        if start >= server.size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{server.size}")
            self.end_headers()
            return
        body = CONTENT[start:]
        if fault == "corrupt":
            body = bytes([body[0] ^ 1]) + body[1:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(server.size - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{server.size - 1}/{server.size}")
        self.end_headers()
        if fault == "cut":
            self.wfile.write(body[:1_200_000])
        elif fault == "cut early":
            self.wfile.write(body[:5_000])
        elif fault == "stall":
            self.wfile.write(body[:1_200_000])
            self.wfile.flush()
            time.sleep(3)
        elif fault == "silence":
            time.sleep(3)
        else:
            self.wfile.write(body)


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def get(server, folder, **options):
    settings = {"stall": 0.5, "attempts": 2, "pause": 0.01, "progress": False}
    return fetch(folder, server.url, DIGEST, **settings | options)


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_published_file_is_the_default():
    assert URL.endswith("/10845026/files/Galaxy10_DECals.h5")
    assert len(SHA256) == 64


def test_whole_and_then_not_again(server, tmp_path, closed):
    path = get(server, tmp_path / "new")
    assert path.read_bytes() == CONTENT
    assert left(tmp_path / "new") == ["galaxies.h5"]
    closed(tmp_path / "new")  # others may read a shared folder
    assert get(server, tmp_path / "new") == path
    assert len(server.ranges) == 1


def test_a_cut_transfer_goes_on_where_it_broke_off(server, tmp_path):
    server.plan = ["cut", "cut"]
    assert get(server, tmp_path).read_bytes() == CONTENT
    starts = [int(asked[len("bytes=") : -1]) for asked in server.ranges[1:]]
    assert len(starts) == 2
    assert 1_000_000 < starts[0] < starts[1]
    assert left(tmp_path) == ["galaxies.h5"]


def test_each_byte_that_came_before_a_break_is_kept(server, tmp_path):
    server.plan = ["cut early"] * 4
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, *(f"bytes={5_000 * cut}-" for cut in range(1, 5))]


def in_seconds(seconds):
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        (lambda: "7", 7, 7),
        (lambda: in_seconds(60), 50, 60),
        (lambda: in_seconds(-60), 0.01, 0.01),
        (lambda: "soon", 0.01, 0.01),
        (lambda: None, 0.01, 0.01),
    ],
    ids=["seconds", "date", "past", "nonsense", "nothing"],
)
def test_a_busy_server_is_given_the_time_that_it_asks_for(
    server, tmp_path, monkeypatch, status, asked, least, most
):
    waited = []
    monkeypatch.setattr("galaxylib.data.fetch.time.sleep", waited.append)
    server.plan, server.retry_after = [status], asked()
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert len(waited) == 1
    assert least <= waited[0] <= most


def test_a_server_that_asks_for_an_hour_is_not_waited_for(server, tmp_path, monkeypatch):
    monkeypatch.setattr("galaxylib.data.fetch.time.sleep", lambda _: pytest.fail("it waits"))
    server.plan, server.retry_after = [429], "3600"
    with pytest.raises(GalaxyError, match=r"answered 429 and asks to come back in 3600 s.*run again"):
        get(server, tmp_path)
    assert left(tmp_path) == []


def test_a_server_that_stays_busy_is_given_up(server, tmp_path):
    server.plan = [429] * 3
    with pytest.raises(GalaxyError, match=r"answered 429\).*run again"):
        get(server, tmp_path)
    assert len(server.ranges) == 2


def test_a_packed_answer_is_unpacked_and_never_resumed(server, tmp_path):
    server.plan = ["packed and cut", "packed"]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, None]
    assert left(tmp_path) == ["galaxies.h5"]


def test_the_file_is_called_as_the_address_ends(server, tmp_path):
    start = server.url.partition("/files")[0]
    for address, name in (("/files/galaxies.h5/", "galaxies.h5"), ("/a%20b.h5?x=/y#z", "a b.h5")):
        path = fetch(tmp_path / "new", start + address, DIGEST, pause=0.01, progress=False)
        assert path == tmp_path / "new" / name
    for address in ("", "/", "/files/..", "/?file=a.h5", "/a%00b"):
        with pytest.raises(GalaxyError, match="does not end in a file's name: give the address"):
            fetch(tmp_path / "none", start + address, DIGEST, progress=False)
    assert not (tmp_path / "none").exists()


def test_a_stalled_transfer_goes_on(server, tmp_path):
    server.plan = ["stall"]
    start = time.perf_counter()
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert time.perf_counter() - start < 2.5
    assert server.ranges[1] is not None


def test_a_later_run_resumes_what_an_earlier_one_left(server, tmp_path):
    server.plan = ["cut", 503, 503]
    with pytest.raises(GalaxyError, match=r"answered 503.*run again; the 1\.\d MB that arrived are kept"):
        get(server, tmp_path)
    assert left(tmp_path) == ["galaxies.h5.part"]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges[-1] is not None


def test_a_server_that_cannot_resume_starts_over(server, tmp_path):
    server.resumable, server.plan = False, ["cut"]
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_all_had_arrived_before_the_run_was_killed(server, tmp_path):
    (tmp_path / "galaxies.h5.part").write_bytes(CONTENT)
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_remains_of_another_file_are_dropped(server, tmp_path):
    (tmp_path / "galaxies.h5.part").write_bytes(CONTENT + b"more")
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_corrupt_transfer_leaves_nothing_and_the_next_run_is_clean(server, tmp_path):
    server.plan = ["corrupt"]
    with pytest.raises(DataError, match=r"SHA-256.*run again"):
        get(server, tmp_path)
    assert left(tmp_path) == []
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_a_file_altered_on_disk_is_fetched_anew(server, tmp_path):
    (tmp_path / "galaxies.h5").write_bytes(b"not the galaxies")
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_silence_is_not_waited_for(server, tmp_path):
    server.plan = ["silence"] * 3
    start = time.perf_counter()
    with pytest.raises(GalaxyError, match=r"nothing came for 0\.3 seconds.*simulated galaxies"):
        get(server, tmp_path, stall=0.3)
    assert time.perf_counter() - start < 2
    assert left(tmp_path) == []


def test_an_address_with_nothing_there(server, tmp_path):
    server.plan = [404]
    with pytest.raises(GalaxyError, match=r"answered 404.*check the address"):
        get(server, tmp_path)
    assert len(server.ranges) == 1


def test_no_network(tmp_path):
    with pytest.raises(GalaxyError, match=r"no connection.*check the network.*simulated galaxies"):
        fetch(tmp_path, "http://127.0.0.1:9/galaxies.h5", DIGEST, attempts=1, pause=0, progress=False)
    with pytest.raises(GalaxyError, match="not found: there seems to be no network"):
        fetch(tmp_path, "http://galaxies.invalid/x.h5", DIGEST, attempts=1, pause=0, progress=False)


def test_what_is_no_address(tmp_path):
    with pytest.raises(GalaxyError, match="not an address"):
        fetch(tmp_path, "galaxies.h5", DIGEST, progress=False)
    for end in ("/", "/..", "/?download=1"):
        with pytest.raises(GalaxyError, match="does not end in a file's name"):
            fetch(tmp_path, f"http://127.0.0.1:9{end}", DIGEST, progress=False)


def test_too_small_a_disk_is_said_before_the_transfer(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**7, 9 * 10**6, 10**6))
    with pytest.raises(GalaxyError, match=r"needs 0\.00 GB more.*0\.00 GB free: free some"):
        get(server, tmp_path)
    assert left(tmp_path) == []


def test_progress_is_shown(server, tmp_path, capsys):
    get(server, tmp_path, progress=True)
    assert "galaxies.h5" in capsys.readouterr().err
