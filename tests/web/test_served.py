"""The lab's files from servers of many kinds, and from none."""

import shutil
import threading
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from string import Template

import pytest
from conftest import ROOT, Quiet, served
from test_web_engine import START, checkpoint, runtime, site  # noqa: F401

from ci.lab_pages import script

UNSERVED = "This page’s scripts do not run: serve the folder of the pages"
PROBABILITIES = """async () => {
    const data = new Float32Array(3 * 64 * 64).fill(0.5);
    return engine.probabilities({ width: 64, height: 64, data });
}"""


@contextmanager
def mistyped(folder: Path, types: dict[str, str]):
    """A server that sends some kinds of file as another type."""

    class Mistyping(Quiet):
        extensions_map = Quiet.extensions_map | types

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Mistyping, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@pytest.fixture
def page(browser):
    context = browser.new_context()
    yield context.new_page()
    context.close()


def starts(page, address: str) -> None:
    """The engine that is served there loads its network, and computes with it."""
    page.goto(f"{address}/index.html")
    found = page.evaluate(START, {"source": "network", "options": {}})
    assert found == {"backend": "wasm"}
    assert sum(page.evaluate(PROBABILITIES)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream"])
def test_a_server_that_does_not_know_the_runtimes_files(page, site, kind):  # noqa: F811
    with mistyped(site, {".mjs": kind, ".wasm": kind}) as address:
        starts(page, address)


def test_below_another_path(page, site):  # noqa: F811
    deep = site.parent / "deep" / "my galaxies é (1)"
    shutil.copytree(site, deep, symlinks=True)
    with served(deep.parent) as address:
        starts(page, f"{address}/my%20galaxies%20%C3%A9%20(1)")


def test_a_runtime_that_is_not_there_is_named(page, site, tmp_path):  # noqa: F811
    shutil.copytree(site, tmp_path / "site", ignore=shutil.ignore_patterns("ort"))
    with served(tmp_path / "site") as address:
        page.goto(f"{address}/index.html")
        found = page.evaluate(START, {"source": "network", "options": {}})
    assert found["message"] == f"There is no {address}/ort/ort.wasm.min.mjs (status 404)."


def test_an_engine_at_work_needs_no_connection(page, site):  # noqa: F811
    with served(site) as address:
        starts(page, address)
    page.context.set_offline(True)
    assert sum(page.evaluate(PROBABILITIES)) == pytest.approx(1, abs=1e-5)


@pytest.fixture
def book(tmp_path) -> Path:
    """The pages with the lab's scripts, and nothing that these fetch."""
    (tmp_path / "book").mkdir()
    shutil.copytree(ROOT / "web", tmp_path / "lab")
    for name in ("page", "embed", "front", "atlas"):
        text = (ROOT / "web" / f"{name}.html").read_text(encoding="utf-8")
        scripts = {"lab_script": script("lab.js"), "embed_script": script("embed.js")}
        scripts |= {"atlas_script": script("atlas.js")}
        html = Template(text).safe_substitute(scripts)
        (tmp_path / "book" / f"{name}.html").write_text(f"<meta charset=utf-8>{html}", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["page", "embed", "front", "atlas"])
def test_opened_as_a_file_the_page_says_how_to_serve_it(page, book, name):
    page.goto((book / "book" / f"{name}.html").as_uri())
    page.wait_for_selector("#lab-unserved:not([hidden])")
    assert page.inner_text("#lab-unserved").startswith(UNSERVED)


@pytest.mark.parametrize("name", ["page", "embed", "front", "atlas"])
def test_scripts_of_another_type_are_told(page, book, name):
    with mistyped(book, {".js": "text/plain"}) as address:
        page.goto(f"{address}/book/{name}.html")
        page.wait_for_selector("#lab-unserved:not([hidden])")
    with served(book) as address:
        page.goto(f"{address}/book/{name}.html", wait_until="load")  # its scripts included
        assert page.is_hidden("#lab-unserved")
