"""Files that a reader opens in the lab may come from a stranger: what is read of them, what is refused."""

import base64
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, served
from PIL import Image, PngImagePlugin

from galaxylib.files import listed
from galaxylib.web import export_web

LINK = "https://example.org/lab.html#galaxy=own&stage=lam"


@pytest.fixture(scope="module")
def exported(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_web(tiny_checkpoint, tmp_path_factory.mktemp("exported") / "network")


@pytest.fixture(scope="module")
def site(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(exported, folder / "network")
    for script in (ROOT / "web").glob("*.js"):
        shutil.copy(script, folder)
    (folder / "index.html").write_text("<!doctype html><title>Files</title><link rel=icon href=data:,>")
    with served(folder) as address:
        yield address


@pytest.fixture(scope="module")
def page(browser, site: str) -> Iterator:
    """An empty page beside the lab's scripts, which may ask for nothing but each other and the network."""
    context = browser.new_context()
    opened, asked = context.new_page(), []
    opened.goto(f"{site}/index.html")
    opened.on("request", lambda sent: asked.append(sent.url))
    yield opened
    context.close()
    own = ("data:", "blob:", f"{site}/network/")
    assert [url for url in asked if not url.startswith(own) and not url.endswith(".js")] == []


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (6, 6), (200, 30, 10)).save(stream, "PNG")
    return stream.getvalue()


def saved_dream(record: str, start: str) -> list[int]:
    info = PngImagePlugin.PngInfo()
    info.add_text("galaxylib.dream.lab", record)
    info.add_text("galaxylib.dream.lab.start", start)
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG", pnginfo=info)
    return list(stream.getvalue())


def opened(page, content: list[int]) -> dict:
    return page.evaluate(
        """async (bytes) => {
            const { openFile } = await import("./record.js");
            try {
                const { picture, hash } = await openFile(new File([Uint8Array.from(bytes)], "dream.png"));
                const pixel = [...picture.getContext("2d").getImageData(1, 1, 1, 1).data];
                return { hash, pixel, width: picture.width };
            } catch (fault) {
                return { fault: fault.message };
            }
        }""",
        content,
    )


def test_a_saved_dream_gives_its_start_picture_and_its_settings(page) -> None:
    start = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"
    content = saved_dream(json.dumps({"link": LINK, "start": "own"}), start)
    assert opened(page, content) == {
        "hash": "#galaxy=own&stage=lam",
        "pixel": [200, 30, 10, 255],
        "width": 6,
    }


@pytest.mark.parametrize(
    "start",
    [
        "https://evil.example/beacon.png",
        "//evil.example/beacon.png",
        "beacon.png",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:text/html,<script>alert(1)</script>",
        "data:image/png,<svg/>",
        "data:image/png;base64,@@@@",
        "javascript:alert(1)",
        "blob:https://evil.example/1",
    ],
)
def test_a_start_picture_that_is_no_png_is_refused(page, start: str) -> None:
    content = saved_dream(json.dumps({"link": LINK, "start": "own"}), start)
    sentence = "The start picture in dream.png is no PNG: open a picture that this page saved."
    assert opened(page, content) == {"fault": sentence}


def test_a_start_picture_that_is_another_file_is_told(page) -> None:
    start = f"data:image/png;base64,{base64.b64encode(b'<svg onload=alert(1)>').decode()}"
    content = saved_dream(json.dumps({"link": LINK, "start": "own"}), start)
    assert opened(page, content)["fault"].startswith("The start picture in dream.png is not an image")


@pytest.mark.parametrize(
    "record", ["{", "null", "[]", '{"start": "own"}', '{"link": 3}', '{"link": "no address"}']
)
def test_a_damaged_record_is_told(page, record: str) -> None:
    sentence = "The record in dream.png is damaged: open a picture that this page saved."
    assert opened(page, saved_dream(record, "")) == {"fault": sentence}


def wrong_field(page, description: object) -> str | None:
    return page.evaluate(
        """async (about) => (await import("./description.js")).wrongField(about)""", description
    )


def test_what_export_web_writes_is_taken(page, exported: Path) -> None:
    about = json.loads((exported / "network.json").read_text())
    assert wrong_field(page, about) is None
    found = page.evaluate(
        """async () => {
            const { describeNetwork } = await import("./own_network.js");
            const { openNetwork } = await import("./network.js");
            const address = new URL("network/", location.href).href;
            const { stages, bytes } = await describeNetwork(address, address);
            const { content } = await openNetwork(address, () => {});
            return { stages, bytes, read: [...content.values()].reduce((sum, one) => sum + one.length, 0) };
        }"""
    )
    files = (exported / name for name in listed(exported) if name.name != "network.json")
    size = sum(file.stat().st_size for file in files)
    stages = [stage for stage in about["graphs"] if stage != "logits"]
    assert found == {"stages": stages, "bytes": size, "read": size}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", 2),
        ("name", ["dmagnet"]),
        ("name", "a" * 201),
        ("parameters", -1),
        ("size", 1e9),
        ("size", "128"),
        ("mean", [0, 0]),
        ("mean", [0, 0, "0"]),
        ("std", [0, 1, 1]),
        ("class_names", []),
        ("class_names", {"0": "Merging"}),
        ("class_names", ["Merging", None]),
        ("weights", None),
        ("weights", {"file": "../weights.bin"}),
        ("weights", {"file": "https://evil.example/weights.bin"}),
        ("weights", {"bytes": 1e15}),
        ("forward", {"file": ["forward.onnx"]}),
        ("forward", {"sha256": "00"}),
        ("graphs", {}),
        ("graphs", {"stem": None}),
        ("graphs", {"<b>": {}}),
        ("graphs", {"stem": {"channels": 1e9}}),
    ],
)
def test_a_network_that_says_something_else_is_refused(
    page, exported: Path, field: str, value: object
) -> None:
    about = json.loads((exported / "network.json").read_text())
    if field in ("weights", "forward") and value:
        value = about[field] | value
    if field == "graphs" and value:
        value = {stage: graph and about["graphs"]["stem"] | graph for stage, graph in value.items()}
    assert wrong_field(page, about | {field: value}).startswith(f"{field} must be ")
    del about[field]
    assert wrong_field(page, about).startswith(f"{field} must be ")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "<b>"},
        {"r2": "much"},
        {"stage": "elsewhere"},
        {"stage": "constructor"},
        {"vector": [1]},
        {"vector": [None] * 8},
        {"vector": "10101010"},
    ],
)
def test_concepts_that_are_none_are_refused(page, exported: Path, wrong: dict[str, object]) -> None:
    about = json.loads((exported / "network.json").read_text())
    del about["concepts"]  # folders that were exported before say nothing of them
    assert wrong_field(page, about) is None
    right = {
        "name": "bar",
        "stage": "stem",
        "r2": 0.5,
        "vector": [0.25] * about["graphs"]["stem"]["channels"],
    }
    assert wrong_field(page, about | {"concepts": [right]}) is None
    for concepts in ([right, right | wrong], [None], None, right):
        assert wrong_field(page, about | {"concepts": concepts}).startswith("concepts must be ")


def test_both_doors_refuse_it_in_one_sentence(page) -> None:
    """The page asks before it shows a network, the worker before it loads one."""
    told = page.evaluate(
        """async () => {
            const files = [new File(['{"format": 1, "name": 5}'], "network.json")];
            const { describeNetwork } = await import("./own_network.js");
            const { openNetwork } = await import("./network.js");
            const fault = (error) => error.message;
            return [await describeNetwork("own", files).catch(fault), await openNetwork(files).catch(fault)];
        }"""
    )
    for sentence in told:
        assert sentence.startswith("network.json does not describe a network (name must be a short text): ")
        assert sentence.endswith("`galaxylib export-web`.")


@pytest.mark.parametrize(
    ("probabilities", "unlike", "sentences"),
    [
        (
            [0.03, 0.95, 0.02],
            0.714,
            "Sure: bar (95.0 %); its rival is arm (3.0 %). The picture is like those of its training "
            "(score 0.71, where 95 % of pictures like those score at most 1).",
        ),
        (
            [0.6, 0.25, 0.15],
            1.0,
            "Rather arm (60.0 %) than bar (25.0 %). The picture is like those of its training (score 1.00, ",
        ),
        (
            [0.3, 0.3, 0.4],
            1.42,
            "In doubt between disk (40.0 %) and arm (30.0 %). The picture is unlike those of its training "
            "(score 1.42, where 95 % of pictures like those score at most 1): trust the class little.",
        ),
        (
            [0.05, 0.1, 0.85],
            None,
            "Rather disk (85.0 %) than bar (10.0 %). This network came without a measure",
        ),
    ],
)
def test_verdict_in_words(page, probabilities: list[float], unlike: float | None, sentences: str) -> None:
    said = page.evaluate(
        """async (said) => {
            const { verdict } = await import("./verdict.js");
            const { name, likeness } = verdict(said, ["arm", "bar", "disk"]);
            return `${name} ${likeness}`;
        }""",
        {"probabilities": probabilities, "unlike": unlike},
    )
    assert said.startswith(sentences)


def test_fits_file_is_told_what_to_do(page) -> None:
    content = [*b"SIMPLE  =                    T".ljust(2880)]
    assert opened(page, content) == {
        "fault": "dream.png is a FITS file, which this page cannot read: let `galaxylib classify` name its "
        "class, or save it as a PNG first."
    }
