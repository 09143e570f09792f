"""The dream lab on the built smoke book, in Chromium: what is there at once, what runs live, what fails."""

import base64
import io
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import torch
from PIL import Image
from written_concepts import write_concepts

from ci import lab_examples
from ci.lab import LabSettings, Network, accuracy, control, galaxies, networks
from ci.lab_pages import STAGE_LABELS
from ci.parameters import profile_values
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import channel, concept, dream, layer, logit, read_image
from galaxylib.dream.examples import top_galaxies
from galaxylib.dream.measures import probabilities
from galaxylib.evaluation.judgement import judge_batches_with
from galaxylib.networks.checkpoint import BROUGHT, load, save
from galaxylib.networks.registry import build
from galaxylib.simulate import draw
from galaxylib.web import export_web

BEFOREHAND = "The dreams made beforehand are still here."
# Long enough for a busy machine; nothing waits this long unless it fails.
PATIENCE = 60_000


@pytest.fixture(scope="module")
def lab(html: Path) -> Path:
    return html / "lab"


@pytest.fixture(scope="module")
def index(lab: Path) -> dict:
    return json.loads((lab / "index.json").read_text())


@contextmanager
def a_tab(browser) -> Iterator:
    context = browser.new_context(viewport={"width": 1280, "height": 844}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    yield opened
    context.close()


@pytest.fixture(scope="module")
def tab(browser) -> Iterator:
    """One tab for many tests: what their pages share is read once."""
    with a_tab(browser) as opened:
        yield opened


@pytest.fixture
def page(tab, address: str) -> Iterator:
    """An empty page, for tests that leave the browser as it is."""
    tab.goto("about:blank")
    with kept_inside(tab, address):
        yield tab


@pytest.fixture
def first(browser, address: str) -> Iterator:
    """The page of a reader who comes for the first time, for tests that change what a browser is or gets."""
    with a_tab(browser) as opened, kept_inside(opened, address):
        yield opened


@contextmanager
def kept_inside(page, address: str) -> Iterator[None]:
    """The page asks no other server."""
    outside = []

    def ask(sent) -> None:
        if not sent.url.startswith((address, "data:", "blob:", "about:")):
            outside.append(sent.url)

    page.on("request", ask)
    yield
    page.remove_listener("request", ask)
    assert outside == []


def visit(page, address: str, fragment: str = "") -> None:
    page.goto(f"{address}/book/dream_lab.html{fragment}", wait_until="load")
    page.wait_for_selector("#lab-form:not([hidden])")


def shown(page) -> str:
    """The file of the dream on show."""
    return page.eval_on_selector("#lab-after", "image => image.hidden ? '' : image.src.split('/lab/')[1]")


def finish(page) -> str:
    """Wait for the end of a live dream, and say what its status says."""
    page.wait_for_function(
        "!document.getElementById('lab-fault').hidden"
        "|| /^(Done|Stopped)/.test(document.getElementById('lab-status').textContent)"
    )
    return page.inner_text("#lab-fault" if page.is_visible("#lab-fault") else "#lab-status")


def told(page) -> str:
    page.wait_for_selector("#lab-fault:not([hidden])")
    return page.inner_text("#lab-fault")


def usable(page) -> None:
    """The dreams made beforehand still come when they are asked for."""
    page.click("#lab-gallery [data-galaxy='2'][data-stage='stem']")
    assert re.fullmatch(r"dreams/\w+/2-stem-\d+\.webp", shown(page))
    page.wait_for_function("document.getElementById('lab-after').naturalWidth > 0")


def png(size: tuple[int, int], mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, "PNG")
    return stream.getvalue()


def test_dreams_made_beforehand_are_those_of_the_library(html: Path, lab: Path, index: dict) -> None:
    values = profile_values("smoke", "lab", takes=[])
    settings = LabSettings(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})
    network = networks(html.parent, settings)[0]
    loaded = load(network.checkpoint)
    size, images = settings.sizes[0], galaxies(settings.seed)
    made = dream(
        loaded.network,
        images[4],
        layer("dma1"),
        settings=settings.protocol(size),
        preprocess=loaded.preprocess,
        seed=settings.seed,
    )
    with Image.open(lab / "dreams" / network.name / f"4-dma1-{size}.webp") as file:
        kept = np.asarray(file.convert("RGB"), float)
    assert np.abs(kept - made.pixels).mean() < 4  # what WebP takes away
    told_of = index["networks"][0]
    after = probabilities(
        loaded.network, made.image[None], preprocess=loaded.preprocess, temperature=loaded.temperature
    )[0]
    np.testing.assert_allclose(told_of["dreams"][f"4-dma1-{size}"]["probabilities"], after, atol=1e-3)
    np.testing.assert_allclose(
        told_of["dreams"][f"4-dma1-{size}"]["values"], np.ravel(made.record["values"]), rtol=1e-2
    )
    assert told_of["parameters"] == sum(one.numel() for one in loaded.network.parameters())
    assert told_of["accuracy"] == accuracy(loaded.meta)
    assert set(told_of["dreams"]) == {
        f"{galaxy}-{stage}-{size}"
        for galaxy in range(len(CLASS_NAMES))
        for stage in index["stages"]
        for size in settings.sizes
    }


def test_galaxies_beside_a_channel_are_those_of_the_library(html: Path, lab: Path, index: dict) -> None:
    values = profile_values("smoke", "lab", takes=[])
    settings = LabSettings(examples=values["examples"])
    network = networks(html.parent, settings)[0]
    loaded = load(network.checkpoint)
    looked = lab_examples.drawn(settings.examples, settings.seed)
    kept = json.loads((lab / index["networks"][0]["examples"]).read_text())
    assert kept["images"] == settings.examples
    wanted = [channel("dma2", 7), logit(5)]
    by_channel, by_class = top_galaxies(loaded.network, [looked], wanted, preprocess=loaded.preprocess)
    stage = kept["stages"]["dma2"]
    flat = stage["best"][7]
    assert flat[::3] == [one.index for one in by_channel.best]
    assert [*zip(flat[1::3], flat[2::3], strict=True)] == [one.place for one in by_channel.best]
    for one in by_channel.best:
        (top, bottom), (left, right) = (stage["spans"][str(number)] for number in one.place)
        np.testing.assert_allclose([top, left, bottom, right], np.array(one.box) / 2.56, atol=0.5)
    (along,) = top_galaxies(
        loaded.network,
        [looked],
        [-concept("arm_pitch", concepts=loaded.concepts)],
        preprocess=loaded.preprocess,
    )
    assert kept["concepts"]["-arm_pitch"][::3] == [one.index for one in along.best]
    assert kept["stages"]["logits"]["best"][5][::3] == [one.index for one in by_class.best]
    channels = {name: len(rows["best"]) for name, rows in kept["stages"].items()}
    assert channels == index["networks"][0]["channels"]
    # A galaxy of the sheet is the one that was drawn, made smaller.
    with Image.open(lab / "examples" / "galaxies.webp") as file:
        side = file.width // index["examples"]["columns"]
        row, column = divmod(flat[0], index["examples"]["columns"])
        tile = file.convert("RGB").crop((column * side, row * side, (column + 1) * side, (row + 1) * side))
    small = Image.fromarray(looked[flat[0]]).resize((side, side), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(tile, float) - np.asarray(small, float)).mean() < 6
    assert sum(file.stat().st_size for file in (lab / "examples").iterdir()) < 1e6


def test_galaxies_stand_beside_a_channel_and_none_beside_an_own_network(
    page, address: str, index: dict, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    visit(page, address)
    assert page.is_hidden("#lab-examples")
    visit(page, address, "#stage=dma3&channel=5&galaxy=2")
    page.wait_for_selector("#lab-examples:not([hidden])")
    assert page.inner_text("#lab-examples-said").startswith(
        "Of 60 simulated galaxies, these excite channel 5 of DMA 3"
    )
    assert page.locator("#lab-examples [role=img]").count() == 9
    page.select_option("[name=stage]", "logits")
    page.wait_for_function("document.getElementById('lab-examples-said').textContent.includes('the class')")
    folder = export_web(tiny_checkpoint, tmp_path / "own")
    page.click("#lab-networks summary")
    page.set_input_files("#lab-folder", str(folder))
    page.wait_for_function(
        "document.getElementById('lab-examples-said').textContent.includes('own networks alone')"
    )
    assert page.is_hidden("#lab-examples")


def test_accuracy_is_what_the_checkpoint_says() -> None:
    judged = {"results": {"simulated": {"plain": {"accuracy": 0.5, "n": 2000}}}}
    assert accuracy(judged).startswith("names 50.0% of 2,000 simulated galaxies")
    best = {"best": {"validation_accuracy": 0.125}, "data": {"simulated": False}}
    assert accuracy(best) == "names 12.5% of its real validation galaxies correctly"


def test_control_is_the_network_with_other_weights(tmp_path: Path) -> None:
    torch.manual_seed(5)
    options = {"width": 0.125}
    save(
        tmp_path / "trained",
        build("dmagnet", **options),
        name="dmagnet",
        options=options,
        preprocess=Preprocess(size=64, crop=128),
        class_names=CLASS_NAMES,
    )
    images = torch.rand(4, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    made = control(
        Network("small", "small one", tmp_path / "trained", (64, 96)), images, tmp_path / "control"
    )
    assert (made.name, made.label, made.sizes) == ("random", "small one with random weights", (64,))
    trained, other = load(tmp_path / "trained"), load(made.checkpoint)
    assert other.preprocess == trained.preprocess
    assert other.meta["parameters"] == trained.meta["parameters"]
    weights, others = (one.network.stem[0][0].weight for one in (trained, other))
    assert weights.shape == others.shape
    assert not torch.equal(weights, others)
    assert torch.isfinite(other.network(torch.zeros(1, 3, 256, 256))).all()


def test_first_picture_comes_at_once_and_the_engine_only_when_asked(first, address: str, index: dict) -> None:
    weights, sizes = [], []
    first.on(
        "request", lambda sent: weights.append(sent.url) if re.search(r"wasm|onnx|\.bin", sent.url) else None
    )
    first.on("response", lambda got: sizes.append(int(got.headers.get("content-length", 0))))
    visit(first, address)
    first.wait_for_load_state("networkidle")
    assert first.evaluate("document.getElementById('lab-after').naturalWidth") == index["first"]["size"]
    assert weights == []
    assert sum(sizes) < 2e6
    text = first.text_content("#lab-networks")
    for network in index["networks"]:
        assert network["accuracy"] in text
        assert f"{network['parameters']:,} parameters" in text


def test_large_network_says_its_size_and_is_fetched_on_request_alone(
    first, address: str, index: dict
) -> None:
    small = index["networks"][0]
    large = small | {"name": "full", "label": "DMAGNet at full width", "bytes": 48_130_511, "sizes": [256]}
    offered = index | {
        "networks": [small, large | {"dreams": {"5-lam-256": {"values": [], "probabilities": []}}}]
    }
    first.route("**/lab/index.json", lambda route: route.fulfill(json=offered))
    asked = []
    first.on("request", lambda sent: asked.append(sent.url) if "/networks/" in sent.url else None)
    visit(first, address, "#galaxy=5&stage=lam")
    first.select_option("[name=network]", "full")
    assert first.input_value("[name=size]") == "256"
    assert shown(first) == "dreams/full/5-lam-256.webp"
    assert "the network (48.1 MB)" in first.inner_text("#lab-hint")
    first.wait_for_load_state("networkidle")
    assert asked == []


def test_table_is_readable_without_javascript(browser, address: str, html: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/book/dream_lab.html")
    assert not page.is_visible("#lab-form")
    assert page.is_visible("#lab-after")
    assert page.locator("#lab-gallery tbody th").all_inner_texts() == list(CLASS_NAMES)
    rows = page.eval_on_selector_all(
        "#lab-gallery tbody tr",
        """rows => rows.map(row => [...row.querySelectorAll("td a")].map(link => {
            const image = link.querySelector("img");
            return [link.getAttribute("href"), image.getAttribute("src"), image.alt];
        }))""",
    )
    assert len(rows) == len(CLASS_NAMES)
    for row in rows:
        assert len(row) == 6
        for large, picture, said in row:
            assert (html / "book" / large).is_file()
            assert (html / "book" / picture).is_file()
            assert "imulated galaxy" in said
    context.close()


def test_address_and_controls_follow_each_other(page, address: str, index: dict) -> None:
    small, large = index["sizes"][:2]
    visit(page, address, f"#galaxy=3&stage=lam&size={large}")
    assert shown(page).endswith(f"/3-lam-{large}.webp")
    page.select_option("[name=galaxy]", "0")
    page.select_option("[name=size]", str(small))
    assert shown(page).endswith(f"/0-lam-{small}.webp")
    assert page.url.endswith(f"#galaxy=0&stage=lam&size={small}")
    page.select_option("[name=stage]", "logits")
    page.select_option("[name=class]", "5")
    assert page.is_visible("#lab-none")
    assert "channel=5" in page.url
    page.evaluate("location.hash = '#galaxy=9&stage=stem'")
    page.wait_for_function("document.querySelector('[name=galaxy]').value === '9'")
    assert page.input_value("[name=stage]") == "stem"
    page.evaluate("location.hash = '#good-to-know'")  # a heading: the dream stays
    page.wait_for_timeout(100)
    assert page.input_value("[name=galaxy]") == "9"
    visit(page, address, "#galaxy=99&stage=nowhere&size=-3&steps=x&network=ftp://a")
    first = index["first"]
    assert shown(page).endswith(f"/{first['galaxy']}-{first['stage']}-{first['size']}.webp")


def test_every_state_has_an_address(page, address: str, index: dict) -> None:
    visit(page, address)
    wrong = page.evaluate(
        """async (index) => {
            const { beginning, readHash, writeHash } = await import("../lab/state.js");
            const wrong = [];
            const rest = { mask: true, steps: 33, size: 192, rate: 0.015, seed: 4294967295,
                           network: "https://a.b/c/" };
            for (const galaxy of [0, 9, "noise", "own"])
                for (const stage of [...index.stages, "logits"])
                    for (const channel of stage === "logits" ? [0, 9] : [null, 0, 7])
                        for (const other of [{}, rest]) {
                            const state = { ...beginning(index), galaxy, stage, channel, ...other };
                            const again = readHash(writeHash(state, index), index);
                            const names = Object.keys(state);
                            if (names.some((name) => again[name] !== state[name])) wrong.push([state, again]);
                        }
            return wrong;
        }""",
        index,
    )
    assert wrong == []


def test_table_is_walked_with_the_arrow_keys(page, address: str) -> None:
    visit(page, address)
    page.focus("#lab-gallery [data-galaxy='1'][data-stage='dma1']")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert "/2-dma3-" in shown(page)
    assert page.evaluate("document.activeElement.id") == "lab-run"


def test_every_control_has_a_label(page, address: str) -> None:
    visit(page, address)
    bare = page.evaluate(
        "[...document.querySelectorAll('#lab-root :is(input, select, progress)')]"
        ".filter(e => !e.labels.length && !e.ariaLabel).map(e => e.outerHTML)"
    )
    assert bare == []


def test_live_dream_its_record_and_its_repetition(page, address: str, index: dict, tmp_path: Path) -> None:
    size = index["sizes"][0]
    visit(page, address, f"#galaxy=5&stage=dma2&channel=3&size={size}&steps=3&jitter=4&seed=7")
    assert page.is_visible("#lab-none")
    pictures, values = [], []
    for turn in range(2):
        page.click("#lab-run")
        assert finish(page).startswith("Done: 6 steps")
        pictures.append(page.evaluate("document.getElementById('lab-canvas').toDataURL()"))
        with page.expect_download() as waiting:
            page.click("#lab-save")
        waiting.value.save_as(tmp_path / f"{turn}.png")
        with Image.open(tmp_path / f"{turn}.png") as file:
            record = json.loads(file.text["galaxylib.dream.lab"])
            assert file.size == (size, size)
        values.append(record["values"])
        page.evaluate("document.getElementById('lab-status').textContent = ''")
    assert pictures[0] == pictures[1]
    assert values[0] == values[1]
    assert values[0][-1] > values[0][0]
    assert record["objective"] == {"stage": "dma2", "channel": 3}
    assert record["settings"]["jitter"] == 4
    assert record["settings"]["steps"] == 3
    assert record["network"]["checkpoint_sha256"]
    np.testing.assert_allclose(
        record["probabilities"]["before"], index["networks"][0]["before"][5], atol=0.02
    )
    assert abs(sum(record["probabilities"]["after"]) - 1) < 1e-3
    # The saved picture brings everything back.
    visit(page, address)
    page.set_input_files("#lab-file", tmp_path / "0.png")
    page.wait_for_function("document.getElementById('lab-status').textContent.includes('saved dream')")
    assert page.evaluate("new URL(location.href).hash") == record["link"][record["link"].index("#") :]


def test_dream_along_a_concept_is_that_of_the_library(
    page, address: str, lab: Path, index: dict, tmp_path: Path
) -> None:
    """Chosen, dreamed, kept in address and record; the objective before the first step is the library's."""
    loaded = load(BROUGHT / "real-small")
    size, concepts = index["sizes"][1], loaded.concepts
    names = [one.name for one in concepts.best()]
    assert [one["name"] for one in index["networks"][0]["concepts"]] == names
    visit(page, address, f"#galaxy=5&stage=stem&size={size}&steps=3&octaves=1&jitter=0")
    assert page.is_hidden("[name=concept]")
    page.select_option("[name=stage]", "concept")
    assert page.is_hidden("[name=channel]")
    page.select_option("[name=concept]", "-bar_fraction")
    assert "stage=concept&concept=-bar_fraction" in page.url
    stage = STAGE_LABELS[concepts.find("bar_fraction").stage]
    page.wait_for_selector("#lab-examples:not([hidden])")
    assert f"these excite the concept “less bar fraction” of {stage} most" in page.inner_text(
        "#lab-examples-said"
    )
    page.click("#lab-run")
    assert finish(page).startswith("Done: 3 steps")
    assert page.is_hidden("#lab-channels")
    with page.expect_download() as waiting:
        page.click("#lab-save")
    waiting.value.save_as(tmp_path / "dream.png")
    with Image.open(tmp_path / "dream.png") as file:
        record = json.loads(file.text["galaxylib.dream.lab"])
    assert record["objective"]["concept"] == "-bar_fraction"
    settings = LabSettings(steps=3).protocol(size).but(levels=1, jitter=(0,))
    made = dream(
        loaded.network,
        read_image(lab / "galaxies" / "5.webp"),
        -concept("bar_fraction", concepts=concepts),
        settings=settings,
        preprocess=loaded.preprocess,
    )
    # The browser makes the picture smaller by a filter of its own.
    first, *_, last = made.record["values"]
    assert record["values"][0] == pytest.approx(first, abs=0.02 * (last - first))
    assert record["values"][-1] > record["values"][0]
    # A network without concepts offers none, and an address that asks for one gets a stage.
    page.select_option("[name=network]", "random")
    assert page.input_value("[name=stage]") == index["stages"][-1]
    assert "concept" not in page.url
    visit(page, address, "#galaxy=5&stage=concept&concept=nothing")
    assert page.input_value("[name=concept]") == names[0]


def saved_picture(page, path: Path) -> Image.Image:
    with page.expect_download() as waiting:
        page.click("#lab-save")
    waiting.value.save_as(path)
    with Image.open(path) as file:
        file.load()
        return file


def test_mask_is_the_librarys_shown_saved_and_kept_in_the_address(
    page, address: str, lab: Path, index: dict, tmp_path: Path
) -> None:
    loaded, size = load(BROUGHT / "real-small"), index["sizes"][1]
    asked = f"#galaxy=5&stage=dma1&size={size}"
    visit(page, address, asked)
    page.focus("#lab-mask")
    page.keyboard.press("Space")
    assert page.get_attribute("#lab-mask", "aria-pressed") == "true"
    assert page.inner_text("#lab-caption").endswith(
        "Only a dream made live has a mask: press “Dream it live”."
    )
    page.evaluate(f"location.hash = '{asked}&steps=3&octaves=1&jitter=0&mask=1'")
    page.wait_for_selector("#lab-none:not([hidden])")
    page.click("#lab-run")
    assert finish(page).startswith("Done: 3 steps")
    assert page.inner_text("#lab-caption").endswith(
        "transparent where the gradients of its steps hardly reached."
    )
    masked = saved_picture(page, tmp_path / "masked.png")
    shown = page.evaluate(
        """() => {
            const canvas = document.getElementById("lab-canvas");
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return [...data].filter((_, i) => i % 4 === 3);
        }"""
    )
    assert masked.mode == "RGBA"
    alpha = np.asarray(masked)[..., 3]
    np.testing.assert_array_equal(alpha.ravel(), shown)
    made = dream(
        loaded.network,
        read_image(lab / "galaxies" / "5.webp"),
        layer("dma1"),
        settings=LabSettings(steps=3).protocol(size).but(levels=1, jitter=(0,)),
        preprocess=loaded.preprocess,
    )
    # The browser makes the picture smaller by a filter of its own.
    assert np.corrcoef(alpha.ravel(), made.rgba[..., 3].ravel())[0, 1] > 0.9
    assert np.mean(alpha == 255) == pytest.approx(0.2, abs=0.01)
    page.click("#lab-mask")
    bare = saved_picture(page, tmp_path / "bare.png")
    assert bare.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(bare), np.asarray(masked)[..., :3])
    # Both stand side by side, and the saved picture brings the mask back.
    page.click("#lab-keep")
    page.click("#lab-mask")
    assert page.inner_text("#lab-compare-caption").endswith(", under its mask.")
    visit(page, address)
    page.set_input_files("#lab-file", tmp_path / "masked.png")
    page.wait_for_function("location.hash.endsWith('&mask=1')")
    assert page.get_attribute("#lab-mask", "aria-pressed") == "true"


def test_own_network_brings_its_concepts(page, address: str, tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "run"))
    loaded = load(folder)
    found = {"dma1": {"bar_fraction": 0.7}, "dma2": {"arm_pitch": 0.8}}
    write_concepts(folder, loaded.network, loaded.meta["sha256"], found)
    visit(page, address, "#galaxy=5&stage=stem&size=64&steps=3&octaves=1")
    page.set_input_files("#lab-folder", export_web(folder, tmp_path / "exported"))
    page.wait_for_function("document.querySelector('[name=network]').value === 'own'")
    page.select_option("[name=stage]", "concept")
    names = page.evaluate("[...document.querySelector('[name=concept]').options].map(one => one.text)")
    assert names == ["more arm pitch", "less arm pitch", "more bar fraction", "less bar fraction"]
    page.select_option("[name=concept]", "-bar_fraction")
    page.click("#lab-run")
    assert finish(page).startswith("Done: 3 steps")
    assert "the concept “less bar fraction” of DMA 1" in page.inner_text("#lab-caption")
    record = json.loads(saved_picture(page, tmp_path / "dream.png").text["galaxylib.dream.lab"])
    (along,) = (one for one in loaded.concepts.best() if one.name == "bar_fraction")
    np.testing.assert_allclose(record["objective"]["linear"], -np.array(along.read_out.vector), atol=1e-4)
    # A network without any, opened next, offers none.
    page.set_input_files("#lab-folder", export_web(tiny_checkpoint, tmp_path / "without"))
    page.wait_for_function("document.querySelector('[name=stage]').value === 'lam'")
    assert "concept" not in page.url


def test_film_of_a_dream_ends_with_it_and_carries_its_record(
    page, address: str, index: dict, tmp_path: Path
) -> None:
    visit(page, address, f"#galaxy=5&stage=dma1&size={index['sizes'][0]}&steps=3")
    assert page.is_disabled("#lab-film")
    page.click("#lab-run")
    assert finish(page).startswith("Done: 6 steps")
    with page.expect_download() as waiting:
        page.click("#lab-film")
    waiting.value.save_as(tmp_path / "film.png")
    shot = page.evaluate("document.getElementById('lab-canvas').toDataURL().split(',')[1]")
    with Image.open(io.BytesIO(base64.b64decode(shot))) as file:
        dreamed = np.asarray(file.convert("RGB"))
    with Image.open(tmp_path / "film.png") as file:
        assert json.loads(file.text["galaxylib.dream.lab"])["objective"] == {"stage": "dma1", "channel": None}
        assert file.n_frames == 1 + 6 + 1  # the still, the steps, and the finished dream
        np.testing.assert_array_equal(np.asarray(file.convert("RGB")), dreamed)
        file.seek(7)
        np.testing.assert_array_equal(np.asarray(file.convert("RGB")), dreamed)


def test_two_dreams_stand_in_one_picture(page, address: str, index: dict) -> None:
    """A live one of a stage that was kept, and the random network's, which was made beforehand."""
    visit(page, address, f"#galaxy=6&stage=dma2&size={index['sizes'][0]}&steps=1")
    assert page.is_disabled("#lab-keep")
    page.click("#lab-run")
    assert finish(page).startswith("Done")
    kept = page.evaluate("document.getElementById('lab-canvas').toDataURL()")
    page.click("#lab-keep")
    assert page.inner_text("#lab-compare-caption").startswith(
        "Kept: the dream of DMA 2 on a simulated galaxy"
    )
    assert page.is_hidden("#lab-slider")
    visit_again = f"#galaxy=6&stage=dma2&size={index['sizes'][0]}&network=random"
    page.evaluate(f"location.hash = '{visit_again}'")
    page.wait_for_selector("#lab-slider")
    assert page.get_attribute("#lab-kept", "src") == kept
    assert f"dreams/random/6-dma2-{index['sizes'][0]}.webp" in page.get_attribute("#lab-shown", "src")
    caption = page.inner_text("#lab-compare-caption")
    assert caption.startswith("Left: the dream of DMA 2 on a simulated galaxy (Unbarred Tight Spiral)")
    assert caption.endswith("by small DMAGNet with random weights.")
    # The slider goes with the keys, and the line with the slider.
    page.focus("#lab-slider")
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    wipe = "getComputedStyle(document.getElementById('lab-shown')).clipPath"
    assert page.evaluate(wipe) == "inset(0px 0px 0px 3%)"
    assert page.get_attribute("#lab-slider", "aria-valuetext").startswith("3 % of the width")
    page.click("#lab-let-go")
    assert page.is_hidden("#lab-compare")
    assert page.evaluate("document.activeElement.id") == "lab-keep"


def test_dream_is_paused_and_stopped(page, address: str, index: dict) -> None:
    visit(page, address, f"#galaxy=noise&stage=logits&channel=8&size={index['sizes'][0]}&steps=200")
    page.click("#lab-run")
    page.wait_for_function(r"/step ([3-9]|\d\d)/.test(document.getElementById('lab-counter').textContent)")
    page.click("#lab-pause")
    assert page.inner_text("#lab-status") == "Paused."
    each = 1000 / float(re.search(r"([\d.]+) a second", page.inner_text("#lab-counter"))[1])
    counted = None
    while counted != (counted := page.inner_text("#lab-counter")):
        page.wait_for_timeout(4 * each)  # a step may be under way
    page.click("#lab-pause")
    page.wait_for_function(f"document.getElementById('lab-counter').textContent !== {counted!r}")
    page.click("#lab-stop")
    assert finish(page).startswith("Stopped: ")
    assert page.is_enabled("#lab-save")
    usable(page)


def test_own_picture_keeps_its_place_in_the_saved_file(
    page, address: str, index: dict, tmp_path: Path
) -> None:
    # Left half red: a strip of 300 x 200 is cut to its middle square.
    given = np.zeros((200, 300, 3), np.uint8)
    given[:, :150, 0] = 255
    Image.fromarray(given).save(tmp_path / "own.png")
    visit(page, address, f"#size={index['sizes'][0]}&steps=1")
    page.set_input_files("#lab-file", tmp_path / "own.png")
    page.wait_for_function("location.hash.includes('galaxy=own')")
    page.click("#lab-run")
    assert finish(page).startswith("Done")
    with page.expect_download() as waiting:
        page.click("#lab-save")
    waiting.value.save_as(tmp_path / "dream.png")
    visit(page, address)
    page.set_input_files("#lab-file", tmp_path / "dream.png")
    page.wait_for_function("document.getElementById('lab-before').src.startsWith('data:image/png')")
    colours = page.evaluate(
        """async () => {
            const image = document.getElementById("lab-before");
            await image.decode();
            const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            const at = (x) => [...context.getImageData(x, 50, 1, 1).data];
            return [canvas.width, canvas.height, at(5), at(canvas.width - 5)];
        }"""
    )
    assert colours == [200, 200, [255, 0, 0, 255], [0, 0, 0, 255]]


def said(page) -> str:
    """What the network says of the picture, once it has said it."""
    page.wait_for_function(r"/score \d/.test(document.getElementById('lab-verdict').textContent)")
    return page.inner_text("#lab-verdict")


def test_network_names_the_readers_picture(
    page, address: str, lab: Path, index: dict, tmp_path: Path
) -> None:
    """A catalogue's link says what to do; then class, doubt and score are the library's."""
    loaded = load(BROUGHT / "real-small")
    given, _ = draw(5, seed=12)
    Image.fromarray(given).save(tmp_path / "own.png")
    (expected,) = judge_batches_with(loaded, [torch.tensor(given)[None]])
    order = np.argsort(-expected.probabilities[0])
    visit(page, address, "#galaxy=own&stage=logits&channel=5")
    assert page.inner_text("#lab-verdict").startswith("Open your picture: ")
    assert page.inner_text("#lab-verdict").endswith("its dream of the class Barred Spiral.")
    assert page.input_value("[name=class]") == "5"
    assert page.is_hidden("#lab-look")
    page.set_input_files("#lab-file", tmp_path / "own.png")
    words = said(page)
    first, rival = (
        f"{CLASS_NAMES[label]} ({100 * expected.probabilities[0, label]:.1f} %)" for label in order[:2]
    )
    assert words.index(first) < words.index(rival)
    assert f"score {expected.unlike[0]:.2f}," in words
    assert page.input_value("[name=class]") == "5"
    assert page.url.endswith("stage=logits&channel=5" + f"&size={index['first']['size']}")
    cells = page.locator("#lab-probabilities td:first-of-type").all_inner_texts()
    assert cells == [f"{100 * share:.1f} %" for share in expected.probabilities[0]]
    # A galaxy of the book needs no engine, another network or noise a press of the button.
    page.select_option("[name=galaxy]", "3")
    assert f"score {index['networks'][0]['unlike'][3]:.2f}," in page.inner_text("#lab-verdict")
    page.select_option("[name=galaxy]", "noise")
    assert page.inner_text("#lab-verdict") == ""
    page.click("#lab-look")
    assert "unlike those of its training" in said(page)


def test_another_picture_forgets_what_was_said_and_dreamed(
    page, address: str, index: dict, tmp_path: Path
) -> None:
    for number, given in enumerate((draw(4, seed=1)[0], np.zeros((256, 256, 3), np.uint8))):
        Image.fromarray(given).save(tmp_path / f"{number}.png")
    visit(page, address, f"#galaxy=own&stage=stem&size={index['sizes'][0]}&steps=1")
    page.set_input_files("#lab-file", tmp_path / "0.png")
    former = said(page)
    page.click("#lab-run")
    assert finish(page).startswith("Done")
    assert page.is_visible("#lab-canvas")
    page.set_input_files("#lab-file", tmp_path / "1.png")
    page.wait_for_selector("#lab-canvas", state="hidden")
    page.wait_for_selector("#lab-run:enabled")
    assert said(page) != former
    assert "unlike those of its training" in said(page)


def test_picture_is_pasted(page, address: str) -> None:
    visit(page, address)
    page.evaluate(
        """async () => {
            const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 40 });
            const blob = await new Promise((resolve) => canvas.toBlob(resolve));
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([blob], "pasted.png", { type: "image/png" }));
            document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
        }"""
    )
    page.wait_for_function("location.hash.includes('galaxy=own')")
    assert page.get_attribute("#lab-before", "alt") == "your own picture"


def test_choice_while_it_dreams_ends_the_dream(page, address: str, index: dict) -> None:
    visit(page, address, f"#galaxy=6&stage=stem&size={index['sizes'][0]}&steps=400")
    page.click("#lab-run")
    usable(page)  # while it is fetched
    page.wait_for_selector("#lab-run:enabled")
    page.evaluate("location.hash = '#galaxy=6&stage=stem&steps=400'")
    page.wait_for_selector("#lab-none:not([hidden])")
    page.click("#lab-run")
    page.wait_for_function("/step [1-9]/.test(document.getElementById('lab-counter').textContent)")
    usable(page)
    page.wait_for_selector("#lab-run:enabled")
    assert page.is_hidden("#lab-canvas")


def test_network_of_ones_own_from_a_folder_and_an_address(page, address: str, lab: Path, index: dict) -> None:
    visit(page, address, f"#galaxy=1&stage=stem&size={index['sizes'][0]}&steps=1")
    page.evaluate("document.getElementById('lab-networks').open = true")
    page.set_input_files("#lab-folder", lab / "networks" / index["networks"][0]["name"])
    page.wait_for_function("document.querySelector('[name=network]').value === 'own'")
    page.click("#lab-run")
    assert finish(page).startswith("Done: 2 steps")
    page.fill("#lab-url", f"{address}/lab/networks/{index['networks'][0]['name']}")
    page.click("#lab-open")
    page.wait_for_function("location.hash.includes('network=http')")
    page.click("#lab-run")
    assert finish(page).startswith("Done: 2 steps")
    page.fill("#lab-url", f"{address}/lab/nowhere/")
    page.click("#lab-open")
    assert "holds no network.json" in told(page)
    assert told(page).endswith(BEFOREHAND)
    # The link alone is enough on another day.
    place = quote(f"{address}/lab/networks/{index['networks'][0]['name']}", safe="")
    visit(page, address, "")
    page.evaluate(f"location.hash = '#galaxy=1&stage=stem&steps=1&network={place}'")
    page.wait_for_selector("#lab-none:not([hidden])")
    page.click("#lab-run")
    assert finish(page).startswith("Done: 2 steps")


def test_other_network_brings_its_own_stages(page, address: str, index: dict, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build("shi").eval()
    save(
        tmp_path / "checkpoint",
        network,
        name="shi",
        options={},
        preprocess=Preprocess(size=32, crop=128),
        class_names=CLASS_NAMES,
    )
    folder = export_web(tmp_path / "checkpoint", tmp_path / "exported")
    visit(page, address, "#galaxy=1&stage=lam&size=64&steps=1")
    page.set_input_files("#lab-folder", folder)
    page.wait_for_function("document.querySelector('[name=network]').value === 'own'")
    stages = page.evaluate("[...document.querySelector('[name=stage]').options].map(one => one.value)")
    assert stages == ["conv1", "conv2", "conv3", "logits"]
    page.select_option("[name=stage]", "conv2")
    page.click("#lab-run")
    assert finish(page).startswith("Done: 2 steps")
    page.select_option("[name=network]", index["networks"][0]["name"])
    assert page.input_value("[name=stage]") == index["stages"][-1]
    page.set_input_files("#lab-folder", tmp_path / "checkpoint")
    assert told(page).startswith("The folder holds no network.json")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("notes.png", b"no picture", "notes.png is not an image that this browser can open"),
        ("large.png", png((10_000, 10_000), "1"), "The picture has 10,000 × 10,000 pixels, more than fit"),
    ],
)
def test_file_that_cannot_be_taken(page, address: str, name: str, content: bytes, sentence: str) -> None:
    visit(page, address)
    page.set_input_files("#lab-file", {"name": name, "mimeType": "image/png", "buffer": content})
    assert told(page).startswith(sentence)
    assert told(page).endswith(BEFOREHAND)
    usable(page)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("delete globalThis.WebAssembly", "This browser has no WebAssembly"),
        (
            "globalThis.Worker = class { constructor() { throw new Error('no') } }",
            "does not let this page start a worker",
        ),
    ],
    ids=["no WebAssembly", "blocked worker"],
)
def test_browser_that_cannot_dream(first, address: str, script: str, sentence: str) -> None:
    first.add_init_script(script)
    visit(first, address)
    first.click("#lab-run")
    assert sentence in told(first)
    assert told(first).endswith(BEFOREHAND)
    usable(first)


@pytest.mark.parametrize("kind", ["memory", "worker"])
def test_engine_that_breaks_off(first, address: str, kind: str) -> None:
    """The page's half: whatever the engine says is passed on, and the next press starts a fresh engine."""
    engine = """
        let started = 0;
        export class Engine {
            constructor({ onEvent }) { this.onEvent = onEvent; started += 1; globalThis.started = started; }
            async load() { this.network = {}; }
            async probabilities() { return Array(10).fill(0.1); }
            async run() {
                this.onEvent({ type: "backend", backend: "wasm", message: "The card is lost." });
                globalThis.said = document.getElementById("lab-status").textContent;
                this.onEvent({ type: "error", message: "It broke off.", kind: "KIND" });
            }
            close() {}
        }
    """
    first.route(
        "**/lab/engine.js",
        lambda route: route.fulfill(body=engine.replace("KIND", kind), content_type="text/javascript"),
    )
    visit(first, address)
    first.click("#lab-run")
    assert told(first) == f"It broke off. {BEFOREHAND}"
    assert first.evaluate("said") == "The card is lost."
    usable(first)
    assert first.is_hidden("#lab-fault")
    first.click("#lab-run")
    told(first)
    assert first.evaluate("started") == 2


def test_offline_after_the_first_load(first, address: str, index: dict) -> None:
    visit(first, address)
    first.wait_for_load_state("networkidle")
    first.context.set_offline(True)
    first.select_option("[name=galaxy]", "2")
    assert "offline" in told(first)
    first.wait_for_function("document.getElementById('lab-after').naturalWidth === 96")
    first.click("#lab-run")
    first.wait_for_function("document.getElementById('lab-fault').textContent.includes('engine could not')")
    first.context.set_offline(False)
    usable(first)
    # What was fetched goes on without a connection, on another stage too.
    first.click("#lab-run")
    assert finish(first).startswith("Done")
    first.context.set_offline(True)
    first.evaluate("location.hash += '&steps=1&stage=dma1&seed=5'")
    first.wait_for_selector("#lab-none:not([hidden])")
    first.evaluate("document.getElementById('lab-status').textContent = ''")
    first.click("#lab-run")
    assert finish(first).startswith("Done: 2 steps")


def test_chapter_dreams_too(page, address: str, index: dict) -> None:
    page.goto(f"{address}/book/06_deepdream.html", wait_until="load")
    page.wait_for_selector("#embed-form:not([hidden])")
    page.select_option("#embed-form [name=stage]", "stem")
    assert page.eval_on_selector("#embed-after", "image => image.src").endswith(
        f"-stem-{index['first']['size']}.webp"
    )
    page.click("#embed-form [type=submit]")
    page.wait_for_function("document.getElementById('embed-status').textContent.startsWith('Done')")
    assert page.is_visible("#embed-canvas")


def test_first_page_dreams_at_one_click(page, address: str, index: dict) -> None:
    page.goto(f"{address}/book/intro.html", wait_until="load")
    page.wait_for_selector("#embed-form:not([hidden])")
    still = page.eval_on_selector("#embed-after", "image => image.src.split('/lab/')[1]")
    assert still == f"dreams/{index['networks'][0]['name']}/6-dma2-{index['first']['size']}.webp"
    galaxy = page.eval_on_selector("#embed-root img", "image => image.src.split('/lab/')[1]")
    assert galaxy == "galaxies/6.webp"
    page.click("#embed-form [type=submit]")
    page.wait_for_function("document.getElementById('embed-status').textContent.startsWith('Done')")
    assert page.is_visible("#embed-canvas")
    assert "Unbarred Tight Spiral" in page.inner_text("#embed-caption")
    assert "dreamed in this browser" in page.inner_text("#embed-caption")


def test_first_page_shows_its_dream_without_scripts(browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/book/intro.html")
    assert page.is_hidden("#embed-form")
    alts = [image.get_attribute("alt") for image in page.query_selector_all("#embed-root img")]
    assert alts == [
        "Simulated galaxy of the class Unbarred Tight Spiral",
        "The dream of DMA 2 on the simulated galaxy Unbarred Tight Spiral",
    ]
    for image in page.query_selector_all("#embed-root img"):
        assert image.evaluate("image => image.naturalWidth") > 0
    context.close()


@pytest.mark.slow
def test_galaxies_are_one_of_every_class_and_always_the_same() -> None:
    images = galaxies(0)
    assert images.shape == (len(CLASS_NAMES), 3, 256, 256)
    assert torch.equal(images, galaxies(0))
    assert not torch.equal(images, galaxies(1))
