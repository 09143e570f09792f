"""How fast and how right the dream lab's engine is in Chromium, for the networks that come with the book.

    python benchmarks/web_engine.py --runtime _build/assets/onnxruntime-web/dist

Serves the engine, the runtime and freshly exported networks from a plain folder, opens them in headless
Chromium on one WebAssembly thread, and measures for each network: the time of the export and its size; the
wait from an empty page to the first step of a dream; the time of a step on each stage at each size; and how
far the page's gradient is from PyTorch's, in single and in double precision.

Results go to benchmarks/results/web_engine.json.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import torch
from playwright.sync_api import Browser, Page, sync_playwright
from torch import Tensor

from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import Objective, layer, logit
from galaxylib.dream.forward import Tap
from galaxylib.files import write_json
from galaxylib.networks.checkpoint import load
from galaxylib.web import export_web

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "web_engine.json"
NETWORKS = ("small", "pretrained")
STAGES = ("stem", "dma1", "dma2", "dma3", "lam", "logits")
LOGIT = 5

START = """async (url) => {
    const { Engine } = await import("./engine.js");
    window.events = [];
    window.begun = performance.now();
    const onEvent = (event) => events.push({ ...event, at: performance.now() - begun });
    window.engine = new Engine({ backend: "wasm", onEvent });
    await engine.load(url);
}"""
DREAM = """async ([image, stage, channel, size, steps]) => {
    window.events.length = 0;
    window.image = { ...image, data: Float32Array.from(image.data) };
    const settings = { size, steps, octaves: 1, watch: 0 };
    const last = await engine.run(window.image, { stage, channel }, settings);
    if (last.type !== "done") throw new Error(last.message);
    const seconds = events.filter((event) => event.type === "step").map((event) => event.seconds);
    return seconds.slice(1).map((time, step) => time - seconds[step]);
}"""
GRADIENT = """async ([stage, channel]) => {
    const count = engine.network.graphs[stage].channels;
    const linear = Array.from({ length: count }, (_, index) => Number(index === channel));
    const square = new Array(count).fill(channel === null ? 1 / count : 0);
    const { gradient } = await engine.gradient(window.image, { stage, square, linear });
    return [...gradient.data];
}"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and prints nothing."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def galaxy(size: int) -> Tensor:
    """A stand-in image (3, size, size) in [0, 1]: a blob on a noisy sky."""
    place = (torch.arange(size) - (size - 1) / 2) / size
    light = torch.exp(-((place[:, None] / 0.1) ** 2) - (place[None, :] / 0.2) ** 2)
    noise = 0.02 * torch.randn(3, size, size, generator=torch.Generator().manual_seed(0))
    return (0.14 + 0.6 * light + noise).clamp(0, 1)


def by_torch(
    network: torch.nn.Module,
    preprocess: Preprocess,
    objective: Objective,
    image: Tensor,
    precision: torch.dtype,
) -> np.ndarray:
    """PyTorch's gradient, (3, H, W)."""
    image = image.clone().requires_grad_()
    tap = Tap(network, objective.layers, precision=precision)
    value = objective.value(tap(preprocess.normalise(image[None]))).squeeze()
    return torch.autograd.grad(value, image)[0].numpy()


def difference(found: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """How far a gradient is from another.

    `pixel` divides each value's error by the value itself; `deviation` does so where the value is larger than
    the gradient's deviation over the image, and by that deviation elsewhere. Both at the 99.9th percentile.
    """
    error = np.abs(found - expected)
    return {
        "pixel": float(np.quantile(error / np.maximum(np.abs(expected), 1e-30), 0.999)),
        "deviation": float(np.quantile(error / np.maximum(np.abs(expected), expected.std()), 0.999)),
        "correlation": float(np.corrcoef(found.ravel(), expected.ravel())[0, 1]),
    }


def opened(browser: Browser, address: str) -> Page:
    """An empty page with nothing in its cache."""
    page = browser.new_context().new_page()
    page.goto(f"{address}/index.html")
    return page


def measure(browser: Browser, address: str, site: Path, name: str, sizes: list[int]) -> dict[str, Any]:
    """All of one network."""
    begun = time.perf_counter()
    folder = export_web(name, site / name)
    found: dict[str, Any] = {"export_seconds": time.perf_counter() - begun}
    found["bytes"] = sum(file.stat().st_size for file in folder.iterdir())
    loaded = load(name)
    image = galaxy(128)
    given = {"width": 128, "height": 128, "data": image.flatten().tolist()}
    waits = []
    for _ in range(3):
        page = opened(browser, address)
        page.evaluate(START, f"{name}/")
        page.evaluate(DREAM, [given, "lam", None, 128, 1])
        waits.append(page.evaluate("events[0].at") / 1000)
        page.context.close()
    found["first_step_seconds"] = {"median": statistics.median(waits), "best": min(waits)}
    page = opened(browser, address)
    page.evaluate(START, f"{name}/")
    found["step_seconds"], found["gradient"] = {}, {}
    for stage in STAGES:
        number = LOGIT if stage == "logits" else None
        steps = {}
        for size in sizes:
            times = page.evaluate(DREAM, [given, stage, number, size, 12 if size < 200 else 6])
            steps[size] = {"median": statistics.median(times), "best": min(times)}
        found["step_seconds"][stage] = steps
        ours = np.array(page.evaluate(GRADIENT, [stage, number]), np.float32).reshape(3, 128, 128)
        objective = layer(stage) if number is None else logit(number)
        found["gradient"][stage] = {
            kind: difference(ours, by_torch(loaded.network, loaded.preprocess, objective, image, precision))
            for kind, precision in (("float32", torch.float32), ("float64", torch.float64))
        }
        print(name, stage, steps, found["gradient"][stage], flush=True)
    page.context.close()
    return found


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runtime", type=Path, default=ROOT / "_build/assets/onnxruntime-web/dist")
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Path(folder)
        for script in (ROOT / "web").glob("*.js"):
            shutil.copy(script, site)
        (site / "ort").symlink_to(options.runtime.resolve())
        (site / "index.html").write_text("<!doctype html><link rel=icon href=data:,>")
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(
            executable_path=options.chromium, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        address = f"http://127.0.0.1:{server.server_port}"
        found = {name: measure(browser, address, site, name, options.sizes) for name in NETWORKS}
        about = {"chromium": browser.version, "threads": 1, "load_average": os.getloadavg()[0]}
        browser.close()
        server.shutdown()
    write_json(RESULTS, about | {"networks": found})
    print(json.dumps(about))


if __name__ == "__main__":
    main()
