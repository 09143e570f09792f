"""The dream lab in real JupyterLab: the chapter opened, its live cell run, a dream begun, stopped, saved."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import ROOT
from playwright.sync_api import expect

from galaxylib.dream.record import read_png

CHAPTER = "06_deepdream.ipynb"
TOKEN = "dream"
WAIT = 120_000
"""Milliseconds that a busy machine may take for any one thing."""
UNLABELLED = """widget => [...widget.querySelectorAll('input, select, textarea, button')]
    .filter(e => e.checkVisibility() && e.type !== 'file')
    .filter(e => !(e.labels?.length && [...e.labels].some(l => l.textContent.trim()))
        && !e.textContent.trim() && !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby'))
    .map(e => e.outerHTML)"""


def live_cell(*, data: Path, checkpoint: Path) -> str:
    """The code that the chapter offers for dreaming live, on these files."""
    text = (ROOT / "book" / "06_deepdream.py").read_text()
    blocks = re.findall(r"# ```python\n(.*?)# ```", text, flags=re.DOTALL)
    (found,) = [block for block in blocks if "DreamLab(" in block]
    code = "\n".join(line.removeprefix("# ").removeprefix("#") for line in found.splitlines())
    for offered, given in (("FILE.h5", data), ("_build/results/default/checkpoint", checkpoint)):
        assert offered in code
        code = code.replace(offered, str(given))
    return code


def notebook(code: str) -> str:
    cell = {"cell_type": "code", "id": "live", "metadata": {}, "source": code, "outputs": []}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": [cell | {"execution_count": None}]}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, blob_file, tiny_checkpoint) -> Path:
    folder = tmp_path_factory.mktemp("jupyterlab")
    shutil.copy(ROOT / "book" / CHAPTER, folder)
    (folder / "live.ipynb").write_text(notebook(live_cell(data=blob_file, checkpoint=tiny_checkpoint)))
    return folder


@pytest.fixture(scope="module")
def address(browser, folder, tmp_path_factory):
    """A JupyterLab that knows nothing of the user's own settings."""
    pytest.importorskip("jupyterlab")
    home = tmp_path_factory.mktemp("home")
    config = home / "config" / "labconfig"
    config.mkdir(parents=True)
    quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (config / "page_config.json").write_text(json.dumps(quiet))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    environment = os.environ | {name: str(home / place) for name, place in places.items()}
    environment |= {"IPYTHONDIR": str(home / "ipython"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    with (home / "log").open("w") as log:
        lab = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(WAIT // 200):
            assert lab.poll() is None, (home / "log").read_text()[-2000:]
            try:
                urllib.request.urlopen(f"{url}/api", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        lab.terminate()
        try:
            lab.wait(20)
        except subprocess.TimeoutExpired:
            lab.kill()


@pytest.fixture(scope="module")
def page(browser):
    """One tab, which fetches JupyterLab once."""
    page = browser.new_page(viewport={"width": 1280, "height": 1500})
    page.set_default_timeout(WAIT)
    yield page
    page.close()


def test_the_chapter_opens(page, address):
    page.goto(f"{address}/lab/tree/{CHAPTER}?token={TOKEN}&reset")
    page.locator(".jp-Notebook h1", has_text="DeepDream").wait_for()
    page.locator(".jp-Notebook .jp-Cell").nth(3).wait_for()  # JupyterLab renders what is in view
    assert page.locator(".jp-Dialog").count() == 0


def test_a_dream_is_begun_stopped_and_saved(page, address, folder):
    """By keyboard alone, but for the choice of the cell."""
    errors = []
    page.on("pageerror", lambda fault: errors.append(str(fault)))
    page.goto(f"{address}/lab/tree/live.ipynb?token={TOKEN}&reset")
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").click()
    page.get_by_text("| Idle").wait_for()
    page.keyboard.press("Shift+Enter")
    output = page.locator(".jp-OutputArea-output .jupyter-widgets").first
    output.wait_for()
    lab = page.locator(".jp-OutputArea").first
    run, stop = (lab.get_by_role("button", name=name, exact=True) for name in ("Run", "Stop"))

    lab.get_by_label("Find a layer").fill("lam")
    lab.get_by_label("Layer", exact=True).select_option(label="lam")
    lab.get_by_label("Size (pixels)").select_option(label="128")
    lab.get_by_label("Steps").fill("200")
    lab.get_by_label("Steps").press("Tab")
    assert output.evaluate(UNLABELLED) == []
    run.press("Enter")
    lab.get_by_text(re.compile(r"Step \d+ of 400")).wait_for()
    assert run.is_disabled()
    page.screenshot(path=ROOT / "_build" / "dream_lab_running.png")
    begun = time.monotonic()
    stop.press("Enter")
    done = lab.get_by_text(re.compile(r"Done after \d+ steps"))
    done.wait_for()
    assert time.monotonic() - begun < 5
    steps = int(re.search(r"\d+", done.inner_text())[0])
    assert 0 < steps < 400
    save = lab.get_by_role("button", name="Save PNG")
    expect(save).to_be_enabled(timeout=WAIT)  # a key pressed on a disabled button goes nowhere
    save.press("Enter")
    lab.get_by_text("Saved as dreams/dream-1.png").wait_for()
    record = read_png(folder / "dreams" / "dream-1.png").record
    assert record["objective"]["text"] == "lam"
    assert record["steps_done"] == steps
    lab.get_by_text("Scores of this dream").wait_for()
    page.screenshot(path=ROOT / "_build" / "dream_lab.png")
    assert lab.get_by_text("javascript error").count() == 0
    assert (
        output.locator("img").evaluate_all(
            "all => all.filter(i => i.checkVisibility() && !i.naturalWidth).length"
        )
        == 0
    )
    assert output.locator("img").last.evaluate("i => i.naturalWidth") == 384
    assert errors == []
