"""Fixtures that all tests share."""

import errno
import gc
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

# Before torch is imported anywhere: `make test` starts a process for each core, and a second thread gains the
# tests' small networks nothing.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import h5py
import numpy as np
import pytest
import torch

from ci.book import BUILD, changed_outside, snakemake
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.files import hold_lock
from galaxylib.paper.claims import Printed, load_claims
from galaxylib.provenance import machine

ROOT = Path(__file__).resolve().parents[1]
CLAIMS = ROOT / "book" / "claims.yml"
MEASURED = json.loads((ROOT / "benchmarks" / "results" / "published_labels.json").read_text())
"""What the ledger's checks look at beside the claims."""
LISTED = re.findall(r"(?:root|file): (book/\S+)", (ROOT / "_toc.yml").read_text())
"""The pages of the book, as its table of contents lists them: book/intro, book/01_data..."""
BUILDER = "test_trust_pages.py"
"""The tests that make the smoke book's pages, before others read them."""
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # WebAssembly compiled once and simply: a short dream ends before optimised code would gain anything.
    "--js-flags=--liftoff-only",
]

WORKERS = 4
"""The most processes of `make test`: each holds a torch of its own, and no more find work for long."""
PAGES = ("test_lab.py", "test_pages.py", "test_page_reading.py")
"""Tests of the smoke book that are handed out function by function; other files go to one process whole."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """As many processes as cores that this one may use."""
    return min(machine()["cores"] or 1, WORKERS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out whole files, in the order of `pytest_collection_modifyitems`: their fixtures are made once."""
    from xdist.scheduler import LoadScopeScheduling

    class Parts(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            return test.partition("[")[0] if file.endswith(PAGES) else file

    config.option.loadscopereorder = False
    return Parts(config, log)


def pytest_make_parametrize_id(val: Any) -> str | None:
    """Call bytes by their number: some hold the time of packing, and the processes compare names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin each test, and the fixtures that are made for it, from one seed."""
    torch.manual_seed(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as slow what waits for the smoke book or a browser; let one process build the book meanwhile.

    The build takes longest. So the tests that begin with it come first, and what else needs it comes last.
    """
    for item in items:
        if {"html", "browser"} & {*item.fixturenames}:
            item.add_marker("slow")
    if hasattr(config, "workerinput"):
        waiting = {"html", "runtime"}
        items.sort(
            key=lambda item: 0 if item.path.name == BUILDER else 1 + bool(waiting & {*item.fixturenames})
        )


def pytest_collection_finish() -> None:
    """Keep what the libraries hold out of later searches for garbage: an eighth of the time went there."""
    gc.collect()
    gc.freeze()


def shared_data(name: str) -> Path:
    """A file of the real images kept beside the repository; skips the test where it is absent."""
    given = os.environ.get("GALAXY10_SAMPLE")
    folder = Path(given).parent if given else ROOT.parent / "shared" / "data"
    path = Path(given) if given and name.endswith("_sample.h5") else folder / name
    if not path.exists():
        pytest.skip(f"no {name}: put it in ../shared/data, or set GALAXY10_SAMPLE to the sample's path")
    return path


@pytest.fixture(scope="session", autouse=True)
def _threads() -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture(scope="session")
def real_sample() -> Path:
    """Sixty real Galaxy10 DECaLS images in the full file's format, where present."""
    return shared_data("galaxy10_decals_sample.h5")


@pytest.fixture(scope="session")
def real_catalogue() -> Path:
    """Positions and labels of all 17,736 galaxies of the published set, where present."""
    return shared_data("galaxy10_decals_catalogue.csv")


def write_galaxy10(
    path: Path, *, labels: np.ndarray, seed: int = 0, simulated: bool = False, **layout
) -> Path:
    """A file in the Galaxy10 format; each image is a blob of light, the longer the higher its label.

    Cheap enough to write anywhere; `layout` goes to h5py (`chunks`, `compression`).
    """
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:256, :256] - 127.5
    images = np.empty((len(labels), 256, 256, 3), np.uint8)
    for row, label in enumerate(labels):
        width, ratio = generator.uniform(8, 14), 1 - 0.08 * label
        angle = generator.uniform(0, np.pi)
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        light = 180 * np.exp(-((u / width) ** 2 + (v / (width * ratio)) ** 2) / 2)[..., None] * [1, 0.9, 0.7]
        images[row] = np.clip(light + generator.normal(38, 6, (256, 256, 3)), 0, 255)
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, **layout)
        file["ans"] = np.asarray(labels, np.uint8)
        file["ra"] = generator.uniform(0, 360, len(labels))
        file["dec"] = generator.uniform(-20, 30, len(labels))
        file["redshift"] = generator.uniform(0.02, 0.2, len(labels))
        file["pxscale"] = np.full(len(labels), 0.262)
        if simulated:
            file.attrs.update(simulated=True, seed=seed, version="0")
            file["truth/r_magnitude"] = generator.uniform(15, 18, len(labels))
            file["truth/axis_ratio"] = 1 - 0.08 * np.asarray(labels)
    return path


@pytest.fixture(scope="session")
def blob_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty stand-in galaxies, four of each class, for tests that need a file but no real galaxy shapes."""
    labels = np.repeat(np.arange(len(CLASS_NAMES)), 4)
    return write_galaxy10(tmp_path_factory.mktemp("blobs") / "blobs.h5", labels=labels, simulated=True)


@pytest.fixture(scope="session")
def sim_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty simulated galaxies, six of each class."""
    pytest.importorskip("galsim")
    from galaxylib.simulate import simulate

    path = tmp_path_factory.mktemp("simulated") / "sim.h5"
    return simulate(path, n=60, seed=1, balance="uniform", processes=1, progress=False)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small DMAGNet with random weights; not to be changed."""
    import torch

    from galaxylib import DMAGNet
    from galaxylib.data.preprocessing import Preprocess
    from galaxylib.networks.checkpoint import save

    torch.manual_seed(0)
    options = {"width": 0.125}
    return save(
        tmp_path_factory.mktemp("tiny") / "checkpoint",
        DMAGNet(**options),
        name="dmagnet",
        options=options,
        preprocess=Preprocess(),
        class_names=CLASS_NAMES,
    )


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets a folder refuse new files, as one of somebody else's does, even to root."""
    make = tempfile.TemporaryFile

    def close(folder: Path, code: int = errno.EACCES) -> None:
        def refuse(dir: Path) -> IO[bytes]:
            if Path(dir).is_relative_to(folder):
                raise OSError(code, os.strerror(code))
            return make(dir=dir)

        monkeypatch.setattr(tempfile, "TemporaryFile", refuse)

    return close


@pytest.fixture(scope="session")
def printed() -> Printed:
    """The claims of the book."""
    return load_claims(CLAIMS)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Chromium, started once for all tests that need one."""
    programs = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next(filter(None, map(shutil.which, programs)), None)
    if found is None:
        pytest.skip("no Chromium found: install Debian's chromium to test what a browser shows")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def html() -> Path:
    """The smoke book's pages; built, chapter after chapter, only where something changed since last time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        settings = {"profile": "smoke"}
        again = changed_outside(BUILD / "results" / "smoke")
        with hold_lock(BUILD / "lock") as lock:
            snakemake(settings, "--quiet", "all", *(["--forcerun", *again] if again else []), lock=lock)
    return ROOT / BUILD / "results" / "smoke" / "html"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and prints nothing."""

    def log_message(self, *_) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@contextmanager
def page_of_scripts(browser, folder: Path, html: str) -> Iterator:
    """A page in Chromium with the lab's scripts beside it, served from a folder that may hold more files."""
    for script in (ROOT / "web").glob("*.js"):
        shutil.copy(script, folder)
    (folder / "index.html").write_text(html)
    context = browser.new_context()
    opened = context.new_page()
    with served(folder) as address:
        opened.goto(f"{address}/index.html")
        yield opened
    context.close()


@pytest.fixture(scope="session")
def address(html: Path) -> Iterator[str]:
    with served(html) as url:
        yield url
