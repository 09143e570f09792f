"""Bad inputs of every command, by the hundred: each is refused before the work, in one sentence."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import write_galaxy10
from PIL import Image, PngImagePlugin
from votes_folder import write_folder

from galaxylib import DMAGNet, cli
from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.preprocessing import Preprocess
from galaxylib.data.splits import make_split
from galaxylib.dream import Settings, dream, layer
from galaxylib.dream.record import RECORD
from galaxylib.dream.settings import LIMITS
from galaxylib.errors import BATCHES, GALAXIES, PROCESSES, SEEDS, Range
from galaxylib.networks.checkpoint import save
from galaxylib.training.recipes import Recipe

COMMANDS = {
    "simulate": "simulate --n 2 --out new.h5",
    "fetch": f"fetch --out new --url http://127.0.0.1:9/x.h5 --sha256 {64 * '0'}",
    "train": "train --data galaxies.h5 --out new --recipe quick --width 0.03 --size 32 --epochs 1",
    "evaluate": "evaluate --data galaxies.h5 --checkpoint checkpoint --out new",
    "calibrate": "calibrate checkpoint --data galaxies.h5 --part all",
    "probe": "probe checkpoint --data galaxies.h5",
    "dream": "dream --image galaxy.png --checkpoint checkpoint --size 64 --out new.png --quiet",
    "again": "dream --from dream.png --checkpoint checkpoint --out new.png --quiet",
    "export-web": "export-web --checkpoint checkpoint --out new",
}
"""A command line of each kind that would work; a later option wins over one given here."""

NUMBERS: list[tuple[str, str, Range]] = [
    ("simulate", "--n", GALAXIES),
    ("simulate", "--seed", SEEDS),
    ("simulate", "--processes", PROCESSES),
    ("train", "--split-seed", SEEDS),
    ("evaluate", "--batch-size", BATCHES),
    ("calibrate", "--batch-size", BATCHES),
    ("dream", "--size", LIMITS["sizes"]),
    ("dream", "--seed", LIMITS["seed"]),
    ("dream", "--tile", LIMITS["tile"]),
    *(
        ("train", f"--{setting.name.replace('_', '-')}", setting.metadata["range"])
        for setting in fields(Recipe)
        if setting.metadata["range"]
    ),
]


def no_numbers(limits: Range) -> list[str]:
    """Texts that give no number of a range."""
    above = [str(limits.high + 1), str(10**15 * (limits.high + 1))]
    return [str(limits.low - 1), *above, "nan", "-inf", "1e999", "", "many", *["1.5"] * limits.whole]


WORDS = {
    "simulate": [
        "--balance half", "--out=", "--out folder", "--out galaxies.h5", "--out file/x.h5", "--out /dev/null",
        f"--out {300 * 'a'}.h5", "extra", "--nosuch 1", "--n",
    ],
    "fetch": [
        *(f"--url {url}" for url in (
            "x.h5", "file:///etc/hosts", "ftp://127.0.0.1/x.h5", "http://", "http:///x.h5",
            "http://[::1/x.h5",
            "http://127.0.0.1:99999/x.h5", "http://127.0.0.1:many/x.h5", "http://127.0.0.1:1/",
            "http://127.0.0.1:1/..", "http://127.0.0.1:0/x.h5", "http://127.0.0.1", "javascript:x",
        )),
        *(f"--sha256 {text}" for text in ("00", 63 * "0", 65 * "0", 64 * "g", "-1")),
        "--url=", "--sha256=", "--out file", "--out file/x", "--out galaxies.h5", "extra",
    ],
    "train": [
        *(f"--{name}" for name in (
            "recipe nosuch", "split half", "optimizer sgd", "schedule none", "best-by f1", "keep first",
            "precision float8", "growth 32", "growth 16x1", "growth 64x1", "growth 32x1", "growth axb",
            f"growth 32x{5000 * '9'}", "growth 32x-1", "accumulate 3", "batch-size 1", "options [1]",
            "options x",
            "options 3", 'options {"blocks":0}', 'options {"blocks":1e9}', 'options {"blocks":NaN}',
            'options {"width":"a"}', 'options {"nosuch":1}', 'options {"classes":1e9}', "options null",
            f"options {10**5 * '['}", f"options {5000 * '9'}", "resume=yes", "quiet=1", "no-cycle-momentum=3",
            "network nosuch", "network=", "network :", "network :Net", "network boom:", "network boom:Net",
            "network exits:Net", "network deep:Net", "network hungry:Net", "network nosuch:Net",
            "network torch.nn:Identity", "network torch.nn:relu", "network json:loads", "network own:NoNet",
            "network own:Two", "network own:Exits", "network own:Raises", "network own:Lazy",
            "network convnext_atto.d2_in1k", "network ../evil:Net", "network vit_tiny_patch16_224.x",
            "network gz_resnet18", "options {\"unpooled\":-1}",
            "data nowhere.h5", "data=", "data folder", "data file", "data galaxy.png", "data short.h5",
            "out=", "data few.h5", "data votes", "out file", "out file/x", "out run", "out galaxies.h5",
        )),
        "extra", "--resume --out broken", "--resume --out folder --network nosuch",
    ],
    "evaluate": [
        *(f"--{name}" for name in (
            "part half", "task stars", "task zoo2", "data nowhere.h5", "data=", "data folder",
            "data file", "data galaxy.png", "data short.h5", "data empty", "data votes", "checkpoint nowhere",
            "checkpoint=", "checkpoint file", "checkpoint folder", "checkpoint galaxies.h5", "out file",
            "out file/x", "out galaxies.h5", "out checkpoint/checkpoint.json", "own-network", "symmetries=1",
            "checkpoint stranger", "own-network boom:Net --checkpoint stranger",
            "own-network exits:Net --checkpoint stranger",
        )),
        "--task zoo2 --data votes", "--task zoo2 --data votes --part test", "--task zoo2 --data folder",
        "extra",
    ],
    "calibrate": [
        *(f"--{name}" for name in (
            "part half", "part test", "data nowhere.h5", "data=", "data folder",
            "data file", "data galaxy.png", "data short.h5", "data empty", "data votes", "own-network",
            "out new",
        )),
        "extra",
    ],
    "probe": [
        *(f"--{name}" for name in (
            "data nowhere.h5", "data=", "data folder", "data file", "data galaxy.png", "data short.h5",
            "data empty", "data votes", "own-network", "out new", "data galaxies.h5",
        )),
        "extra",
    ],
    "dream": [
        *(f"--{name}" for name in (
            "image nowhere.png", "image=", "image folder", "image file", "image empty", "image galaxies.h5",
            "checkpoint nowhere", "checkpoint=", "checkpoint folder", "checkpoint stranger", "out=", "out .",
            "out folder", "out x.jpg", "out galaxy.png", "out file/x.png", "film x.avi", "film=",
            "film folder",
            "film galaxy.png", "json new.png", "json=", "json folder", "json galaxy.png", "mask nowhere.png",
            "mask=", "mask folder", "mask file", "start nowhere", "parametrisation none", "magnitude huge",
            "precision float8", "tile 40", "layer=", "layer nosuch", "layer lam:5@1", "layer lam:-1",
            "layer lam:999999999", "layer lam:x", "layer lam@1,2", "layer logit:Nothing", "layer logit:",
            "layer lam+", "layer *", "layer 1e999*lam", "layer nan*lam", "layer lam:5@1,2,3",
            "layer lam:0@99999,99999", f"layer {'lam+' * 3000}lam", f"layer {'(' * 5000}lam",
        )),
        "--from dream.png", "extra",
    ],
    "again": [
        "--from nowhere.png", "--from galaxy.png", "--from file", "--from folder", "--from=", "--seed 1",
        "--layer lam", "--checkpoint stranger", "--out dream.png", "--checkpoint nowhere", "--tile 200",
    ],
    "export-web": [
        "--checkpoint nowhere", "--checkpoint=", "--checkpoint file", "--checkpoint folder",
        "--checkpoint galaxies.h5", "--checkpoint stranger", "--out file", "--out file/x", "--out checkpoint",
        "--out folder", "--own-network", "extra", "--own-network boom:Net --checkpoint stranger",
    ],
}  # fmt: skip
"""What is added to a command line; each line is one case, and a blank parts its words."""

WRONG: list[Any] = [None, "", "a\nb", -1, 0.5, 10**20, [], {}, True]

DESCRIPTION = {
    "network": [*WRONG, "nosuch", "boom:Net", "../x", 3000 * "a"],
    "options": [
        None,
        "",
        3,
        [],
        {"nosuch": 1},
        {"width": "a"},
        {"width": 1e9},
        {"width": [1]},
        {"classes": 3},
    ],
    "preprocess": [*WRONG, {"size": 0, "crop": 1}, {"size": 10**9, "crop": 256}, {"size": "NaN", "crop": 1}],
    "class_names": [*WRONG, [""], ["a", "a"], ["row", "true"], [1, 2], ["a", "b"]],
    "parameters": [*WRONG, 5],
    "sha256": [*WRONG, 64 * "0", "../" * 20],
    "temperature": [None, "", "x", [], 0, -1, 1e9, "NaN"],
    "reference": [None, "x", 3, [], {}, {"sha256": 3}, {"sha256": 64 * "0"}],
    "task": [None, "x", 3, [], {}, {"name": 3}],
    "recipe": [None, "x", 3, []],
    "data": [None, 3, [], {"fingerprint": 3}, {"simulated": "no"}, {"galaxies": -1}],
    "split_fingerprint": [None, 3, [], {}],
}
"""What a checkpoint.json must not say."""

SPLIT = {
    "train": [None, "", 3, {}, [0.5], [-1], [10**30], [True], ["0"], [[0]], [0, 0], [19], [None]],
    "validation": [None, "x", [float("nan")], [10**6]],
    "test": [None, 3, [1.0], [10**9], []],
    "method": [None, 3, []],
    "seed": [None, "x", -1, 0.5, True, 10**20],
    "fingerprint": [None, 3, [], "", "0"],
    "nosuch": [1],
}
"""What a split.json must not say."""

RECORDS = {
    "format": [*WRONG, 2],
    "settings": [*WRONG],
    "settings.sizes": [*WRONG, [0], [10**9], ["32"], 100 * [32]],
    "settings.rates": [None, [-1], [float("nan")], [float("inf")]],
    "settings.levels": [None, 0, 10**9, "1", 1.5],
    "settings.ratio": [None, 0, 1e9, float("nan")],
    "settings.start": [None, 3, "nowhere"],
    "settings.tile": [-1, 3, 1e9],
    "settings.nosuch": [1],
    "seed": [None, "0", -1, 0.5, 2**32, True],
    "versions": [None, [], {}],
    "versions.threads": [None, 0, -1, 10**9, "1"],
    "steps_done": [None, 0, 10**9, "1"],
    "objective": [None, [], {}],
    "objective.terms": [None, "x", [], [{}], [1]],
    "objective.text": [None, "dma1"],
    "network": [None, {}, {"sha256": 3}],
    "image_sha256": [None, 3, 64 * "0"],
    "preprocess": [None, {}],
    "checkpoint": [3, [], "a\nb"],
}
"""What a dream's record must not say."""

FILES = {
    "split.json": (
        "",
        "{}",
        "[]",
        "null",
        "3",
        "{",
        10**5 * "[",
        '{"train": NaN}',
        '{"seed": ' + 5000 * "9" + "}",
    ),
    "checkpoint.json": (
        "",
        "{}",
        "[]",
        "null",
        "3",
        '"x"',
        "{",
        10**5 * "[",
        '{"parameters": ' + 5000 * "9" + "}",
    ),
    "weights.safetensors": ("", "x", 100 * "\0"),
}
"""Whole files of a checkpoint that are none."""


def _cases() -> Iterator[tuple[str, str, Any]]:
    """Each case: the command, what is said to it, and what is spoilt beforehand."""
    for command, flag, limits in NUMBERS:
        for text in dict.fromkeys(no_numbers(limits)):
            yield command, f"{flag}={text}", limits
    for command, lines in WORDS.items():
        for line in lines:
            yield command, line, None
    for field, values in DESCRIPTION.items():
        for value in values:
            yield "evaluate", "--checkpoint spoilt", ("checkpoint.json", field, value)
            if field != "data" and field != "recipe":
                yield "export-web", "--checkpoint spoilt", ("checkpoint.json", field, value)
    for field, values in SPLIT.items():
        for value in values:
            yield "evaluate", "--checkpoint spoilt --part test", ("split.json", field, value)
    for field, values in RECORDS.items():
        for value in values:
            yield "again", "--from spoilt.png", ("spoilt.png", field, value)
    for name, texts in FILES.items():
        for text in texts:
            yield "evaluate", "--checkpoint spoilt --part test", (name, None, text)
    for words in (
        "",
        "nosuch",
        "-1",
        "simulate",
        "train",
        "fetch",
        "evaluate",
        "calibrate",
        "calibrate nowhere --data galaxies.h5",
        "calibrate small --data galaxies.h5",
        "calibrate stranger --data galaxies.h5",
        "probe",
        "probe nowhere --data galaxies.h5",
        "probe small --data galaxies.h5",
        "probe stranger --data galaxies.h5",
        "dream",
        "export-web",
        "--nosuch",
    ):
        yield "", words, None


CASES = list(_cases())


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 400
    assert {command for command, _, _ in CASES} >= COMMANDS.keys()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the commands read, small; each case leaves it as it was."""
    folder = tmp_path_factory.mktemp("inputs")
    data = write_galaxy10(folder / "galaxies.h5", labels=[*range(10), *range(9)] * 2, compression="gzip")
    whole = data.read_bytes()
    (folder / "short.h5").write_bytes(whole[: len(whole) // 2])
    write_galaxy10(folder / "few.h5", labels=[3])
    (folder / "file").write_text("text")
    (folder / "empty").touch()
    (folder / "folder").mkdir()
    (folder / "folder" / "thesis.txt").write_text("years of work")
    (folder / "votes").mkdir()
    write_folder(folder / "votes")
    Image.new("RGB", (64, 64), "grey").save(folder / "galaxy.png")
    torch.manual_seed(0)
    options = {"width": 0.03}
    network, preprocess = DMAGNet(**options).eval(), Preprocess(size=32, crop=256)
    with Galaxy10(data) as galaxies:
        split = make_split(galaxies)
        about = {"fingerprint": galaxies.fingerprint, "galaxies": len(galaxies), "simulated": False}
    said = {"data": about, "split_fingerprint": split.rows_fingerprint, "recipe": {}, "task": {"name": "x"}}
    described = {"name": "dmagnet", "options": options, "preprocess": preprocess, "class_names": CLASS_NAMES}
    save(folder / "checkpoint", network, **described, **said)
    split.save(folder / "checkpoint" / "split.json")
    save(folder / "stranger", network, **described | {"name": "boom:Net"}, **said)
    shutil.copytree(folder / "checkpoint", folder / "run")
    shutil.copytree(folder / "checkpoint", folder / "broken")
    (folder / "broken" / "last.ckpt").write_bytes(b"PK\3\4 no state")
    settings = Settings(sizes=(32,), steps=(1,), rates=(0.05,), jitter=(3,), levels=1)
    made = dream(network, torch.rand(3, 32, 32), layer("stem"), settings=settings, preprocess=preprocess)
    made.save(folder / "dream.png", checkpoint="checkpoint")
    (folder / "boom.py").write_text("raise RuntimeError('boom')\n")
    (folder / "exits.py").write_text("import sys\nsys.exit(0)\n")
    (folder / "deep.py").write_text("def deep():\n    deep()\ndeep()\n")
    (folder / "hungry.py").write_text("b'x' * 10**18\n")
    (folder / "own.py").write_text(OWN)
    return folder


OWN = """
import sys
from torch import nn

class NoNet:
    pass

class Two(nn.Sequential):
    def __init__(self):
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))

class Exits(Two):
    def forward(self, x):
        sys.exit(0)

class Raises(Two):
    def __init__(self):
        raise OverflowError("a line\\nand another")

class Lazy(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.LazyLinear(10))
"""


def spoil(folder: Path, name: str, field: str | None, value: Any) -> None:
    """Leave a checkpoint `spoilt`, or a dream `spoilt.png`, that says something else in one field."""
    if name == "spoilt.png":
        with Image.open(folder / "dream.png") as picture:
            info = PngImagePlugin.PngInfo()
            for key, text in picture.text.items():
                record = json.loads(text) if key == RECORD else None
                info.add_text(key, text if record is None else json.dumps(put(record, field, value)))
            picture.save(folder / name, pnginfo=info)
        return
    shutil.copytree(folder / "checkpoint", folder / "spoilt")
    file = folder / "spoilt" / name
    content = value if field is None else json.dumps(put(json.loads(file.read_text()), field, value))
    file.write_text(content)


def put(content: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    """The content with one field changed; a dot leads into another."""
    first, _, rest = field.partition(".")
    return content | {first: put(content[first], rest, value) if rest else value}


def seen(folder: Path) -> dict[Path, tuple[int, int, int] | None]:
    """Every file and folder in a folder, each file with its size, its time and its place on the disk."""
    status = {path: path.lstat() for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts}
    return {
        path: None if path.is_dir() else (one.st_size, one.st_mtime_ns, one.st_ino)
        for path, one in status.items()
    }


@pytest.fixture
def work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no case get as far as the work itself."""

    def begun(*_: Any, **__: Any) -> None:
        raise AssertionError("the work has begun")

    for name in (
        "galaxylib.simulate.dataset._fill",
        "galaxylib.training.loop._trainer",
        "galaxylib.evaluation.predictions.judge_with",
        "galaxylib.evaluation.calibrating.look_at_rows",
        "galaxylib.dream.ascent.Ascent._report",
        "galaxylib.data.fetch.requests.get",
        "galaxylib.web.export.gradient_graph",
    ):
        monkeypatch.setattr(name, begun)


@pytest.mark.parametrize(
    ("command", "line", "about"), CASES, ids=[f"{command} {line}"[:60] for command, line, _ in CASES]
)
def test_a_bad_input_is_one_sentence_and_changes_nothing(
    command: str,
    line: str,
    about: Any,
    inputs: Path,
    work_is_refused: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(inputs)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    if isinstance(about, tuple):
        spoil(inputs, *about)
    before = seen(inputs)
    try:
        words = COMMANDS[command].split(" ") if command else []
        if command == "again":
            words = [
                word for word in words if not (line.startswith("--from") and word in ("--from", "dream.png"))
            ]
        status = cli.main([*words, *(line.split(" ") if line else [])])
        shown = capfd.readouterr()
        assert status == 1
        assert shown.out == ""
        assert shown.err.startswith("galaxylib: ")
        assert shown.err.endswith(".\n")
        assert shown.err.count("\n") == 1
        assert "Traceback" not in shown.err
        assert "does not know" not in shown.err
        assert "has begun" not in shown.err
        if isinstance(about, Range):
            assert line.partition("=")[0] in shown.err
            assert f"number from {about.low:,} to {about.high:,}" in shown.err
        assert seen(inputs) == before
    finally:
        shutil.rmtree(inputs / "spoilt", ignore_errors=True)
        (inputs / "spoilt.png").unlink(missing_ok=True)
