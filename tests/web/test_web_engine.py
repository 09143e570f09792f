"""The lab's engine in Chromium: its gradients against PyTorch's, its dreams against `galaxylib.dream`'s."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, served
from test_web_export import STAGES, a_checkpoint, by_torch, error_of, objective_of
from torch import Tensor

from ci.book import BUILD, snakemake
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import Settings, dream
from galaxylib.dream import images as pictures
from galaxylib.dream.measures import probabilities
from galaxylib.evaluation.judgement import judge_batches_with
from galaxylib.files import hold_lock
from galaxylib.networks.checkpoint import BROUGHT, load
from galaxylib.networks.dmagnet import DMAGNet
from galaxylib.simulate import draw
from galaxylib.web import export_web

RUNTIME = BUILD / "assets" / "onnxruntime-web" / "dist"
WIDTH = 0.1875
"""Of the small network that the lab begins with."""


@pytest.fixture(scope="module")
def runtime() -> Path:
    """onnxruntime-web, as the book serves it; fetched where it is not there yet."""
    if not (ROOT / RUNTIME / "ort.wasm.min.mjs").is_file():
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(ROOT)
            with hold_lock(BUILD / "lock") as lock:
                target = "_build/assets/mathjax/es5/tex-mml-chtml.js"
                snakemake({"profile": "smoke"}, "--quiet", "all", "--", target, lock=lock)
    return ROOT / RUNTIME


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """The small network; one of its size with random weights where none is shipped."""
    if any((BROUGHT / "real-small").glob("*.safetensors")):
        return BROUGHT / "real-small"
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("small") / "checkpoint"
    return a_checkpoint(folder, DMAGNet(width=WIDTH), "dmagnet", width=WIDTH)


@pytest.fixture(scope="module")
def site(runtime, checkpoint, tmp_path_factory) -> Path:
    """A plain folder with the engine, the runtime and a network, and an empty page."""
    folder = tmp_path_factory.mktemp("site") / "site"
    folder.mkdir()
    for script in (ROOT / "web").glob("*.js"):
        shutil.copy(script, folder)
    (folder / "ort").symlink_to(runtime)
    export_web(checkpoint, folder / "network")
    (folder / "index.html").write_text(
        "<!doctype html><html lang=en><link rel=icon href=data:,><title>Engine</title>"
    )
    return folder


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    with served(site) as url:
        yield url


@pytest.fixture
def page(browser, address) -> Iterator:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}/index.html")
    yield page
    context.close()


@pytest.fixture(scope="module")
def loaded_page(browser, address) -> Iterator:
    """A page whose engine has the network, for tests that leave it as it is."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}/index.html")
    start(page)
    yield page
    context.close()


START = """async ({ source, options }) => {
    const { Engine } = await import("./engine.js");
    window.events = [];
    window.engine = new Engine({ onEvent: (event) => events.push(event), ...options });
    try {
        await engine.load(source);
        return { backend: engine.backend };
    } catch (fault) {
        return { message: fault.message, kind: fault.kind };
    }
}"""
AS_IMAGE = "const as = ({ data, ...sides }) => ({ ...sides, data: Float32Array.from(data) });"


def call(page, function: str, *arguments: object) -> Any:
    """What a JavaScript function gives; it may turn an image that it is given into the engine's with `as`."""
    return page.evaluate(f"{AS_IMAGE} ({function})(...{json.dumps(arguments)})")


def start(page, source: str = "network/", **options: object) -> dict[str, str]:
    return page.evaluate(START, {"source": source, "options": options})


def as_image(image: Tensor) -> dict[str, Any]:
    """(1, 3, H, W) as the engine's scripts have it."""
    height, width = image.shape[2:]
    return {"width": width, "height": height, "data": image.flatten().tolist()}


def as_tensor(image: dict[str, Any]) -> Tensor:
    values = image["data"]
    if isinstance(values, dict):  # a typed array, by index
        values = [values[str(number)] for number in range(len(values))]
    return torch.tensor(values, dtype=torch.float32).view(1, 3, image["height"], image["width"])


def an_image(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    light = 0.6 * torch.exp(-12 * (x + y) ** 2 - 40 * (x - y) ** 2)
    return (0.15 + light + 0.03 * torch.randn(1, 3, height, width, generator=generator)).clamp(0, 1)


@pytest.mark.parametrize("number", [None, 4])
@pytest.mark.parametrize("stage", STAGES)
def test_gradient_is_pytorchs(loaded_page, checkpoint, stage, number):
    image = an_image(88, 72)
    found = call(
        loaded_page,
        """async ({ image, stage, number }) => {
            const count = engine.network.graphs[stage].channels;
            const linear = Array.from({ length: count }, (_, index) => Number(index === number));
            const square = new Array(count).fill(number === null ? 1 / count : 0);
            const { value, gradient } = await engine.gradient(as(image), { stage, square, linear });
            return { value, gradient: { ...gradient, data: [...gradient.data] } };
        }""",
        {"image": as_image(image), "stage": stage, "number": number},
    )
    value, gradient = by_torch(checkpoint, objective_of(stage, number), image)
    assert found["value"] == pytest.approx(value, rel=1e-4)
    assert error_of(as_tensor(found["gradient"]).numpy(), gradient) < 1e-4


def test_probabilities_are_pytorchs(loaded_page, checkpoint):
    loaded = load(checkpoint)
    image = an_image(200, 180)
    found = call(loaded_page, "(image) => engine.probabilities(as(image))", as_image(image))
    judged = {"preprocess": loaded.preprocess, "temperature": loaded.temperature}
    expected = probabilities(loaded.network, image, **judged)[0].tolist()
    assert found == pytest.approx(expected, abs=1e-4)


def test_look_is_the_librarys(loaded_page, checkpoint):
    """Class, doubt and "unlike training" of a stored picture, an ordinary one and a strange one."""
    loaded = load(checkpoint)
    images = torch.from_numpy(np.stack([draw(5, seed=3)[0], np.full((256, 256, 3), 200, np.uint8)]))
    (expected,) = judge_batches_with(loaded, [images])
    for number, image in enumerate(images):
        given = as_image(image.permute(2, 0, 1)[None].float() / 255)
        found = call(loaded_page, "(image) => engine.look(as(image))", given)
        assert found["probabilities"] == pytest.approx(expected.probabilities[number], abs=1e-4)
        if expected.unlike is None:
            assert found["unlike"] is None
        else:
            assert found["unlike"] == pytest.approx(expected.unlike[number], rel=1e-3)


DREAM = """async (image, objective, settings) => {
    window.events.length = 0;
    const last = await engine.run(as(image), objective, settings);
    const steps = events.filter((event) => event.type === "step");
    return {
        ...last, image: { ...last.image, data: [...last.image.data] }, alpha: [...last.alpha],
        steps: steps.map(({ step, total, size, image }) => [step, total, size, image.width]),
        watched: steps.filter((event) => event.probabilities).map((event) => event.step),
        channels: steps[0].activation.length,
    };
}"""
ASKED = {"sizes": [64, 96], "steps": [4, 3], "rate": [0.05, 0.03], "jitter": 0}
SETTINGS = Settings(sizes=(64, 96), steps=(4, 3), rates=(0.05, 0.03), jitter=(0, 0))


def test_dream_is_pythons(loaded_page, checkpoint):
    """Two sizes, two octaves, unsharp mask, opacity: all but the shifts, whose random numbers differ."""
    loaded, image = load(checkpoint), an_image(110, 90)
    objective = objective_of("stem", None)
    expected = dream(loaded.network, image[0], objective, settings=SETTINGS, preprocess=loaded.preprocess)
    found = call(loaded_page, DREAM, as_image(image), {"stage": "stem"}, ASKED)
    assert found["type"] == "done"
    assert found["values"] == pytest.approx(expected.record["values"], rel=1e-4)
    height, width = expected.image.shape[1:]
    assert (found["image"]["height"], found["image"]["width"]) == (height, width)
    pixels = np.array(found["image"]["data"]).reshape(height, width, 4)[..., :3]
    assert np.abs(pixels - expected.pixels.astype(int)).max() <= 1
    assert np.abs(expected.pixels - pictures.to_uint8(pictures.fit(image, height, width)[0])).mean() > 5
    alpha = np.array(found["alpha"]).reshape(height, width)
    np.testing.assert_allclose(alpha, 255 * expected.alpha, atol=1.5)
    assert np.unique(alpha).size > 100
    sides = [SETTINGS.level_side(side, level) for side in (64, 96) for level in (0, 1)]
    assert [side for *_, side in found["steps"]] == np.repeat(sides, [4, 4, 3, 3]).tolist()
    assert found["steps"][-1][:3] == [14, 14, 96]
    assert found["watched"] == [1, 4, 8, 12]
    assert len(found["probabilities"]) == len(loaded.class_names)


@pytest.mark.parametrize("stage", ["dma2", "logits"])
def test_deep_dream_begins_as_pythons(loaded_page, checkpoint, stage):
    """Behind many ReLUs a dream is chaotic: PyTorch's own drift apart after a change of 1e-6 in the image."""
    loaded, image = load(checkpoint), an_image(110, 90)
    number = 3 if stage == "logits" else None
    expected = dream(
        loaded.network,
        image[0],
        objective_of(stage, number),
        settings=SETTINGS,
        preprocess=loaded.preprocess,
    )
    found = call(loaded_page, DREAM, as_image(image), {"stage": stage, "channel": number}, ASKED)
    assert found["values"][:5] == pytest.approx(expected.record["values"][:5], rel=1e-3)


def test_ascent_functions_are_pythons(loaded_page):
    """Resizing, blur, sharpening and shifts, each against `galaxylib.dream.images` or PyTorch."""
    image = an_image(45, 38)
    expected = {
        "enlarge": pictures.enlarge(image, 71, 60),
        "resize": pictures.resize(image, 71, 31),
        "fit, smaller": pictures.fit(image, 20, 17),
        "fit, larger": pictures.fit(image, 64, 50),
        "convolve": pictures.convolve(image, pictures.gaussian_cascade(1.7)),
        "unsharp": pictures.unsharp(image, amount=0.5),
        "standardise": pictures.standardise(image),
        "roll": torch.roll(image, (-3, 50), dims=(2, 3)),
        "as seen": Preprocess(size=64, crop=192).fit(pictures.fit(image, 256, 256)),
        "bytes": (image * 255).round() / 255,
    }
    found = call(
        loaded_page,
        """async (given) => {
            const a = { ...(await import("./ascent.js")), ...(await import("./pixels.js")) };
            const image = as(given);
            return Object.entries({
                "enlarge": a.enlarge(image, 60, 71),
                "resize": a.resize(image, 31, 71),
                "fit, smaller": a.fit(image, 17, 20),
                "fit, larger": a.fit(image, 50, 64),
                "convolve": a.convolve(image, a.gaussianCascade(1.7)),
                "unsharp": a.unsharp(image, 0.5),
                "standardise": a.standardise(image),
                "roll": a.roll(image, -3, 50),
                "as seen": a.asSeen(image, { size: 64, crop: 192 }),
                "bytes": a.fromRGBA(a.toRGBA(image), image.width, image.height),
            }).map(([name, { data, ...sides }]) => [name, { ...sides, data: [...data] }]);
        }""",
        as_image(image),
    )
    for name, result in found:
        # A byte exactly between two values may go either way.
        tolerance = 0.0021 if name == "bytes" else 2e-5 if name == "standardise" else 3e-6
        assert (as_tensor(result) - expected[name]).abs().max() < tolerance, name
    sides = loaded_page.evaluate(
        """import("./ascent.js").then(({ levelSide }) => {
            const sides = Array.from({ length: 200 }, (_, side) => side + 32);
            return sides.map((side) => [0, 1, 2].map((level) =>
                levelSide(side, level, { octaves: 3, ratio: 2 })));
        })"""
    )
    settings = Settings(sizes=(256,), steps=(1,), rates=(1.0,), jitter=(0,), levels=3, ratio=2.0)
    assert sides == [[settings.level_side(side, level) for level in range(3)] for side in range(32, 232)]


def test_random_numbers_are_even_and_repeatable(loaded_page):
    found = loaded_page.evaluate(
        """import("./ascent.js").then(({ generator }) => [1, 1, 2].map((seed) => {
            const random = generator(seed);
            return Array.from({ length: 20000 }, random);
        }))"""
    )
    one, again, other = np.array(found)
    assert np.array_equal(one, again)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03
    assert 0 <= one.min() < one.max() < 1
    counts = np.histogram(one, bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8  # chi squared of 19 freedoms, one in a thousand
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.03


def test_pause_resume_and_stop(loaded_page):
    found = loaded_page.evaluate(
        """(async () => {
            const { noise } = await import("./engine.js");
            const until = async (test) => { while (!test()) await new Promise((go) => setTimeout(go, 10)); };
            const image = noise(64, 64, 1);
            events.length = 0;
            const begun = engine.run(image, { stage: "stem", channel: 1 }, { size: 64, steps: 1000 });
            await until(() => events.length >= 3);
            await engine.pause();
            const paused = events.length;
            await new Promise((go) => setTimeout(go, 500));
            const still = events.length;
            engine.resume();
            await until(() => events.length > still + 2);
            await engine.pause();
            await engine.stop();
            const last = await begun;
            const after = await engine.run(image, { stage: "stem" }, { size: 64, steps: 1 });
            return { paused, still, type: last.type, steps: last.steps, after: after.type,
                     pixels: last.image.data.length, values: last.values.length };
        })()"""
    )
    assert found["paused"] == found["still"]
    assert found["type"] == "stopped"
    assert found["values"] == found["steps"] < 2000
    assert found["pixels"] % 4 == 0
    assert found["after"] == "done"


def test_own_network_from_files(page, site):
    page.set_content("<input type=file multiple>")
    page.set_input_files("input", sorted((site / "network").iterdir()))
    found = page.evaluate(
        """async (address) => {
            const { Engine, noise } = await import(address);
            const engine = new Engine();
            let told = [];
            const onProgress = (...now) => { told = now; };
            await engine.load(document.querySelector("input").files, { onProgress });
            const objective = { stage: "logits", channel: 0 };
            const last = await engine.run(noise(64, 64, 1), objective, { size: 64, steps: 1 });
            return { name: engine.network.name, told, type: last.type };
        }""",
        page.url.replace("index.html", "engine.js"),
    )
    about = json.loads((site / "network" / "network.json").read_text())
    size = sum(file["bytes"] for file in [about["weights"], about["forward"], *about["graphs"].values()])
    assert found == {"name": "dmagnet", "told": [size, size], "type": "done"}


def test_second_visit_downloads_no_weights_and_works_offline(page):
    start(page)
    requests = []
    page.on("request", lambda sent: requests.append(sent.url))
    page.evaluate("engine.load('network/')")
    assert [url for url in requests if "/network/" in url] == [
        page.url.replace("index.html", "network/network.json")
    ]
    page.context.set_offline(True)
    assert page.evaluate("engine.load('network/').then((about) => about.name)") == "dmagnet"
    fault = page.evaluate("engine.load('elsewhere/').catch(({ message, kind }) => [message, kind])")
    assert fault[1] == "offline"
    assert "check the connection" in fault[0]


FAKE = """
import * as real from "./ort.wasm.min.mjs?real";
export const { env, Tensor } = real;
export const InferenceSession = {
    create: async (graph, options) => {
        const [provider] = options.executionProviders;
        const executionProviders = ["wasm"];
        const session = await real.InferenceSession.create(graph, { ...options, executionProviders });
        let runs = 0;
        return {
            release: () => session.release(),
            run: (feeds) => {
                runs += 1;
                if (FAILS) throw new Error("SAYING");
                return session.run(feeds);
            },
        };
    },
};
"""


def fake(fails: str, saying: str) -> str:
    """A runtime that fails in certain runs."""
    return FAKE.replace("FAILS", fails).replace("SAYING", saying)


def replace(page, script: str, text: str) -> None:
    page.context.route(f"**/{script}", lambda route: route.fulfill(body=text, content_type="text/javascript"))


def prepend(page, script: str, text: str) -> None:
    def answer(route) -> None:
        route.fulfill(body=text + route.fetch().text(), content_type="text/javascript")

    page.context.route(f"**/{script}", answer)


RUN = """async ([size, steps]) => {
    const { noise } = await import("./engine.js");
    events.length = 0;
    const settings = { size, steps, octaves: 1, watch: 0 };
    const last = await engine.run(noise(size, size, 1), { stage: "stem" }, settings);
    return { type: last.type, kind: last.kind, message: last.message, backend: engine.backend,
             steps: last.steps, told: events.filter((event) => event.type === "backend").length };
}"""


def test_out_of_memory_is_told_and_survived(page):
    replace(page, "ort.wasm.min.mjs", fake("feeds.image.dims[2] > 150", "std::bad_alloc"))
    start(page)
    assert page.evaluate(RUN, [64, 2])["type"] == "done"
    fault = page.evaluate(RUN, [160, 2])
    assert (fault["type"], fault["kind"]) == ("error", "memory")
    assert "smaller size" in fault["message"]
    # A fresh worker, with the network again.
    assert page.evaluate(RUN, [64, 2])["type"] == "done"


def test_lost_graphics_card_goes_on_without(page):
    prepend(page, "worker.js", "navigator.gpu.requestAdapter = async () => ({});")
    replace(page, "ort.webgpu.min.mjs", fake("provider === 'webgpu' && runs > 2", "device lost"))
    assert start(page, backend="webgpu") == {"backend": "webgpu"}
    assert page.evaluate(RUN, [64, 5]) == {
        "type": "done",
        "kind": None,
        "message": None,
        "backend": "wasm",
        "steps": 5,
        "told": 1,
    }


def test_no_graphics_card_means_wasm(page):
    assert start(page, backend="webgpu") == {"backend": "wasm"}


def test_no_webassembly(page):
    prepend(page, "worker.js", "Object.defineProperty(self, 'WebAssembly', { value: undefined });")
    fault = start(page)
    assert fault["kind"] == "wasm"
    assert "no WebAssembly" in fault["message"]


def test_blocked_worker(page):
    page.context.route("**/worker.js", lambda route: route.abort())
    fault = start(page)
    assert fault["kind"] == "worker"
    assert "web server" in fault["message"]


def test_missing_runtime(page):
    page.context.route("**/ort.wasm.min.mjs", lambda route: route.abort())
    fault = start(page)
    assert fault["kind"] == "offline"


@pytest.mark.parametrize(
    ("file", "content", "part"),
    [
        ("network.json", None, "status 404"),
        ("network.json", b"<html>", "no description of a network"),
        ("network.json", b'{"format": 99}', "galaxylib export-web"),
        ("weights.bin", b"short", "altered or cut short"),
        ("stem.onnx", "same length", "altered or cut short"),
    ],
)
def test_faulty_network_folder(page, site, file, content, part):
    if content == "same length":
        content = bytes((site / "network" / file).stat().st_size)
    answer = {"status": 404} if content is None else {"body": content}
    page.context.route(f"**/network/{file}", lambda route: route.fulfill(**answer))
    fault = start(page)
    assert fault["kind"] == "network"
    assert part in fault["message"]


@pytest.mark.parametrize(
    ("objective", "settings", "part"),
    [
        ({"stage": "dma9"}, {}, "no stage dma9"),
        ({"stage": "stem", "channel": 999}, {}, "channels: choose 0 to"),
        ({"stage": "stem"}, {"size": 10}, "from 32 to"),
        ({"stage": "stem"}, {"steps": 1.5}, "whole numbers"),
        ({"stage": "stem"}, {"stepps": 1}, "stepps"),
        ({"stage": "stem"}, {"rate": "fast"}, "not a number"),
        ({"stage": "stem"}, {"size": 40, "octaves": 2}, "fewer octaves"),
        ({"stage": "stem"}, {"size": [64, 96], "steps": [1, 2, 3]}, "same number"),
    ],
)
def test_impossible_wishes_are_told(loaded_page, objective, settings, part):
    last = loaded_page.evaluate(
        """async ([objective, settings]) => {
            const { noise } = await import("./engine.js");
            return engine.run(noise(64, 64, 1), objective, settings);
        }""",
        [objective, settings],
    )
    assert (last["type"], last["kind"]) == ("error", "settings")
    assert part in last["message"]
    assert last["message"].endswith(".")


def test_silent_channel_is_told(loaded_page):
    """A flat image has the same gradient everywhere but at its border: without any light, none at all."""
    last = loaded_page.evaluate(
        """import("./ascent.js").then(({ standardise }) => {
            try { standardise({ width: 2, height: 2, data: new Float32Array(12) }); }
            catch (fault) { return fault.message; }
        })"""
    )
    assert "no gradient at this image" in last
