"""A dream's record as a stranger may have left it: each field is checked, and what cannot be is said."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from galaxylib.cli import main
from galaxylib.dream import Settings, channel, direction, dream, layer, neuron
from galaxylib.dream.controls import Controls
from galaxylib.dream.record import INPUT, MASK, RECORD, read_png
from galaxylib.dream.settings import LIMITS
from galaxylib.errors import DreamError
from galaxylib.networks.checkpoint import DESCRIPTION, load

QUICK = Settings(sizes=(32,), steps=(2,), rates=(0.05,), jitter=(3,), levels=1)


@pytest.fixture(scope="module")
def saved(tiny_checkpoint, tmp_path_factory):
    """A masked dream of two steps, as the command and the widget save one."""
    loaded = load(tiny_checkpoint)
    image = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(40, 40)
    mask[10:30] = 1
    made = dream(
        loaded.network,
        image,
        channel("dma1", 3) + 0.5 * neuron("stem", 1, place=(2, 3)),
        settings=QUICK,
        preprocess=loaded.preprocess,
        mask=mask,
    )
    path = tmp_path_factory.mktemp("saved") / "dream.png"
    return made.save(path, checkpoint=str(tiny_checkpoint))


def rewrite(path, out, *, change=None, texts=(), pixels=None):
    """The dream's PNG with another record, other inputs or other pixels, as anybody can make one."""
    with Image.open(path) as image:
        image.load()
        kept = {name: image.text[name] for name in (RECORD, INPUT, MASK) if name in image.text}
    record = json.loads(kept[RECORD])
    if change is not None:
        record = change(record) or record
    kept |= {RECORD: json.dumps(record), **dict(texts)}
    info = PngImagePlugin.PngInfo()
    for name, text in kept.items():
        if text is not None:
            info.add_text(name, text)
    (image if pixels is None else Image.fromarray(pixels)).save(out, pnginfo=info)
    return out


def put(name, value):
    """A change of one field; dots lead into others, numbers into lists."""

    def change(record):
        *way, last = (int(part) if part.isdigit() else part for part in name.split("."))
        for part in way:
            record = record[part]
        record[last] = value

    return change


def drop(name):
    def change(record):
        *way, last = name.split(".")
        for part in way:
            record = record[part]
        del record[last]

    return change


def again(path, out, capsys):
    status = main(["dream", "--quiet", "--from", str(path), "--out", str(out)])
    said = capsys.readouterr()
    assert said.err.count("\n") <= 1
    assert out.exists() == (status == 0)
    return status, said


def test_an_untouched_dream_is_verified(saved, tmp_path, capsys):
    status, said = again(saved, tmp_path / "again.png", capsys)
    assert status == 0
    assert "is verified: its record gives the same pixels" in said.out
    assert not said.err
    former = read_png(saved)
    assert former.settings == QUICK
    assert former.threads == torch.get_num_threads()
    assert np.array_equal(former.pixels, np.asarray(Image.open(tmp_path / "again.png")))


@pytest.mark.parametrize("name", ["removed", "swapped", "added", "image"])
def test_inputs_that_are_not_the_records_are_refused(saved, tmp_path, capsys, name):
    with Image.open(saved) as image:
        image.load()
        own = image.text
    if name == "added":
        saved = rewrite(saved, tmp_path / "plain.png", change=put("mask_sha256", None))
    texts = {"removed": {MASK: None}, "swapped": {MASK: own[INPUT]}, "added": {}, "image": {INPUT: own[MASK]}}
    status, said = again(
        rewrite(saved, tmp_path / "changed.png", texts=texts[name]), tmp_path / "o.png", capsys
    )
    assert status == 1
    assert (
        f"the {'image' if name == 'image' else 'mask'} in the file is not the one of its record" in said.err
    )


NUMBERS = [
    *("settings.sizes.0", "settings.steps.0", "settings.rates.0", "settings.jitter.0"),
    *("settings.levels", "settings.ratio", "settings.smoothing", "settings.sharpen"),
    *("settings.total_variation", "settings.distance", "settings.tile", "settings.overlap"),
    *("seed", "steps_done", "versions.threads", "format"),
    *("objective.terms.0.index", "objective.terms.1.place.0", "objective.terms.0.weight"),
]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value", [-1e12, -(10**30), 10**30, 1e300, float("nan"), float("inf"), "5", [5], None, True, {}]
)
def test_a_number_out_of_its_range_is_named_with_its_range(saved, tmp_path, name, value):
    path = rewrite(saved, tmp_path / "changed.png", change=put(name, value))
    field = next(part for part in reversed(name.split(".")) if not part.isdigit())
    with pytest.raises(DreamError, match=rf"was changed.*{field} is .*: choose [\w.]*{field} from [-\d]"):
        read_png(path)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("settings.sizes", [[], 64, "64", None, [32] * 17, {"0": 32}]),
        ("settings.steps", [[], [2, 2], 7]),
        ("settings.start", ["nothing", 5, None, ["image"]]),
        ("settings.precision", ["float16", {}]),
        ("settings", [None, [], "x", {}]),
        ("objective.terms", [None, [], {}, [5], [{}], "lam"]),
        ("objective.terms.0.kind", ["sum", None, []]),
        ("objective.terms.0.layer", [5, None, "a\nb"]),
        ("objective.terms.1.place", [[1], [1, 2, 3], "34", 5]),
        ("objective.terms.0.place", [5, True, [1, 2], "x"]),  # a channel has none
        ("objective.terms.0.vector", [5, [1.0], {}]),
        ("objective.text", ["lam", None]),
        ("checkpoint", [5, "a\nb", ["x"]]),
        ("versions", [None, 5, []]),
        ("network", [None, "DMAGNet", {}]),
    ],
)
def test_other_fields_of_a_wrong_kind_are_named(saved, tmp_path, name, values):
    for value in values:
        path = rewrite(saved, tmp_path / "changed.png", change=put(name, value))
        field = next(part for part in reversed(name.split(".")) if not part.isdigit())
        with pytest.raises(DreamError, match=rf"was changed.*\b({field}|versions|network|a term)\b"):
            read_png(path)


@pytest.mark.parametrize(
    "name",
    [
        *("format", "seed", "settings", "settings.rates", "versions", "versions.threads", "objective"),
        *("objective.terms", "objective.text", "steps_done", "network.sha256", "image_sha256", "mask_sha256"),
        *("preprocess", "values"),
    ],
)
def test_a_missing_field_is_named(saved, tmp_path, name):
    path = rewrite(saved, tmp_path / "changed.png", change=drop(name))
    with pytest.raises(DreamError, match=rf"was changed.*{name.split('.')[-1]}"):
        read_png(path)


@pytest.mark.parametrize("name", ["settings.speed", "objective.terms.0.speed"])
def test_an_unknown_field_is_named(saved, tmp_path, name):
    path = rewrite(saved, tmp_path / "changed.png", change=put(name, 1))
    with pytest.raises(DreamError, match=rf"has the unknown '{name.split('.')[-1]}'"):
        read_png(path)


@pytest.mark.parametrize(
    "texts",
    [
        {RECORD: "no JSON"},
        {RECORD: "[" * 100_000},
        {RECORD: None},
        {INPUT: None},
        {INPUT: 'not base 85 "'},
        {INPUT: "VPaz"},
        {MASK: "0" * 5000},
    ],
)
def test_a_damaged_chunk_is_one_sentence(saved, tmp_path, texts):
    with pytest.raises(DreamError, match="holds no record of a dream"):
        read_png(rewrite(saved, tmp_path / "changed.png", texts=texts))


def test_inputs_larger_than_pillow_expects_are_read(saved, monkeypatch):
    """Those of a FITS image of 2,300 pixels a side are."""
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_MEMORY", 1000)
    assert read_png(saved).image.shape == (3, 40, 40)
    assert PngImagePlugin.MAX_TEXT_MEMORY == 1000


def test_an_input_that_unfolds_beyond_memory_is_refused(saved, tmp_path, monkeypatch):
    monkeypatch.setattr("galaxylib.dream.record.LARGEST_INPUT", 3 * 40 * 40 * 4)  # less the array's header
    with pytest.raises(DreamError, match="holds no record of a dream"):
        read_png(saved)


@pytest.mark.parametrize("record", ["[]", "5", "null", '"text"'])
def test_a_record_of_another_kind_is_one_sentence(saved, tmp_path, record):
    with pytest.raises(DreamError, match="image_sha256 is missing"):
        read_png(rewrite(saved, tmp_path / "changed.png", texts={RECORD: record}))


@pytest.mark.slow
def test_another_network_or_preprocessing_is_refused(saved, tiny_checkpoint, tmp_path, capsys):
    other = shutil.copytree(tiny_checkpoint, tmp_path / "other")
    about = json.loads((other / DESCRIPTION).read_text())
    about["preprocess"]["mean"][0] += 0.01  # same weights, another dream
    (other / DESCRIPTION).write_text(json.dumps(about))
    for change in (
        put("checkpoint", str(other)),
        put("network.sha256", "0" * 64),
        put("network.class", "ResNet"),
        put("preprocess.std.0", 0.5),
    ):
        path = rewrite(saved, tmp_path / "changed.png", change=change)
        status, said = again(path, tmp_path / "out.png", capsys)
        assert status == 1
        assert "is not the one that made" in said.err


@pytest.mark.slow
def test_what_cannot_be_verified_is_said(saved, tmp_path, capsys):
    out = tmp_path / "out.png"
    for name, value in (
        ("torch", "1.0.0"),
        ("processor", "abacus"),
        ("threads", 1024),
        ("python", "x" * 999),
    ):
        path = rewrite(saved, tmp_path / "changed.png", change=put(f"versions.{name}", value))
        before = torch.get_num_threads()
        status, said = again(path, out, capsys)
        assert status == 0
        assert f"comes out with the same pixels, but {name} was" in said.err
        assert len(said.err) < 400
        assert torch.get_num_threads() == before
        out.unlink()
    path = rewrite(saved, tmp_path / "changed.png", change=put("values", [1.0, 2.0]))
    assert "but the values of its steps are others" in again(path, out, capsys)[1].err
    out.unlink()
    pixels = read_png(saved).pixels.copy()
    pixels[5, 5] ^= 1
    status, said = again(rewrite(saved, tmp_path / "changed.png", pixels=pixels), out, capsys)
    assert status == 0
    assert "other pixels here: the file was changed, or another build of torch made it" in said.err
    assert np.array_equal(read_png(out).pixels, read_png(saved).pixels)


def test_a_network_of_ones_own_is_not_verified_wholly(saved, tiny_checkpoint, tmp_path, monkeypatch, capsys):
    """Its weights are compared; its code cannot be."""
    loaded = load(tiny_checkpoint)
    loaded.meta["network"] = "mynets:Small"
    monkeypatch.setattr("galaxylib.networks.checkpoint.load", lambda _, **__: loaded)
    status, said = again(saved, tmp_path / "out.png", capsys)
    assert status == 0
    assert "same pixels, but no record holds the code of mynets:Small" in said.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--from", ""], "--from: it is empty"),
        (["--image", ""], "--image: it is empty"),
        (["--image", "{}", "--layer", ""], "--layer: it is empty"),
        (["--image", "{}", "--mask", " "], "--mask: it is empty"),
        (["--image", "{}", "--checkpoint", ""], "--checkpoint: it is empty"),
        (["--image", "{}", "--film", ""], "--film: it is empty"),
        (["--image", "{}", "--json", ""], "--json: it is empty"),
        (["--image", "{}", "--layer", "lam:5@1"], "place is (1,): give a row and a column"),
        (["--image", "{}", "--layer", "lam:5@1,2,3"], "give a row and a column"),
        (["--image", "{}", "--layer", "lam:-1"], "index is -1: choose index from 0"),
        (["--image", "{}", "--layer", "lam:99999999999999999999"], "choose index from 0"),
        (["--image", "{}", "--layer", "1e999*lam"], "weight is inf: choose weight from"),
        (["--image", "{}", "--layer", "1.2.3*lam"], "a factor is a number"),
        (
            ["--image", "{}", "--seed", "99999999999999999999"],
            "--seed: '99999999999999999999' is no whole number from 0 to 4,294,967,295",
        ),
        (["--image", "{}", "--seed", "-1"], "--seed: '-1' is no whole number from 0"),
        (["--image", "{}", "--size", "0"], "--size: '0' is no whole number from 32 to 8,192"),
        (["--image", "{}", "--size", "-64"], "--size: '-64' is no whole number"),
        (["--image", "{}", "--tile", "-1"], "--tile: '-1' is no whole number from 0"),
        (
            ["--image", "{}", "--tile", "99999999999999999999"],
            "--tile: '99999999999999999999' is no whole number from 0",
        ),
        (["--image", "{}", "--out", "."], "is a folder"),
        (["--image", "{}", "--out", ".."], "is a folder"),
        (["--image", "{}", "--out", "a.jpg"], "call it a.png"),
        (["--image", "{}", "--film", "."], "call it film.mp4"),
        (["--image", "{}", "--out", ""], "--out: it is empty"),
    ],
)
def test_numbers_and_names_of_the_command(saved, tiny_checkpoint, tmp_path, capsys, arguments, sentence):
    arguments = [text.format(saved) for text in arguments]
    if "--out" not in arguments:
        arguments += ["--out", str(tmp_path / "out.png")]
    if "--checkpoint" not in arguments:
        arguments += ["--checkpoint", str(tiny_checkpoint)]
    assert main(["dream", "--quiet", *arguments]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_widgets_controls_have_the_same_limits():
    controls = Controls(galaxies=["a"], networks=["b"], settings=QUICK)
    for control, name in (
        (controls.rate, "rates"),
        (controls.octaves, "levels"),
        (controls.seed, "seed"),
        (controls.channel, "index"),
    ):
        assert (control.min, control.max) == (LIMITS[name].low, LIMITS[name].high)
    assert controls.steps.max == LIMITS["steps"].high


def test_limits_hold_in_python_too(tiny_checkpoint):
    network, image = load(tiny_checkpoint).network, torch.rand(3, 40, 40)
    for seed in (-1, 2**32, 1.5, "1", None):
        with pytest.raises(DreamError, match=r"seed is .*: choose seed from 0"):
            dream(network, image, layer("stem"), settings=QUICK, seed=seed)
    for mask, sentence in (
        (torch.zeros(9, 9), "same size"),
        (torch.full((40, 40), float("nan")), "not from 0 to 1"),
        (torch.full((40, 40), -0.1), "not from 0 to 1"),
        (torch.zeros(3, 40, 40), r"one \(height, width\)"),
    ):
        with pytest.raises(DreamError, match=sentence):
            dream(network, image, layer("stem"), settings=QUICK, mask=mask)
    for vector in ([float("nan")], [1e-30, 0], [float("inf"), 1], []):
        with pytest.raises(DreamError):
            direction("stem", vector)
    with pytest.raises(DreamError, match="sizes is inf"):
        QUICK.to(float("inf"))


def test_numbers_of_numpy_are_kept_as_plain_ones(tiny_checkpoint, tmp_path):
    """A dream of an hour is not lost because its channel came from an argmax."""
    network, image = load(tiny_checkpoint).network, torch.rand(3, 40, 40)
    settings = QUICK.but(sizes=(np.int64(32),), rates=(np.float32(0.05),))
    made = dream(network, image, channel("stem", np.int64(1)), settings=settings, seed=np.int64(3))
    former = read_png(made.save(tmp_path / "dream.png"))
    assert former.seed == 3
    assert former.settings == settings
    assert former.objective == channel("stem", 1)


def test_memory_is_asked_for_the_largest_size_wherever_it_stands(tiny_checkpoint, monkeypatch):
    monkeypatch.setattr("galaxylib.dream.forward.available_bytes", lambda device: 5e7)
    network, image = load(tiny_checkpoint).network, torch.rand(3, 40, 40)
    falling = Settings(sizes=(4096, 64), steps=(1, 1), rates=(0.1, 0.1), jitter=(0, 0), levels=1)
    with pytest.raises(DreamError, match="set tile=512"):
        dream(network, image, layer("stem"), settings=falling)
