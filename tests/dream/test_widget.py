"""The dream lab, driven from Python."""

import gzip
import io
import shutil
import time
from datetime import UTC, datetime

import ipywidgets as w
import numpy as np
import pytest
import torch
from PIL import Image

from galaxylib import DMAGNet
from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream import Settings, channel, dream, layer, logit
from galaxylib.dream.examples import top_galaxies
from galaxylib.dream.record import read_png
from galaxylib.dream.session import seconds_left
from galaxylib.dream.widget import UPLOAD, DreamLab
from galaxylib.errors import DreamError
from galaxylib.networks.checkpoint import Loaded

QUICK = Settings(sizes=(64,), steps=(2,), rates=(0.05,), jitter=(3,))


@pytest.fixture
def loaded():
    torch.manual_seed(0)
    return Loaded(
        network=DMAGNet(width=0.05).eval(), preprocess=Preprocess(size=64), class_names=CLASS_NAMES, meta={}
    )


@pytest.fixture
def lab(loaded, blob_file, tmp_path):
    lab = DreamLab(data=blob_file, networks={"tiny": loaded}, folder=tmp_path, settings=QUICK)
    lab.size.options = [64, *lab.size.options]
    lab.size.value = 64
    return lab


def until(done, seconds=20):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


@pytest.mark.slow
def test_a_dream_from_start_to_file(lab, tmp_path):
    assert list(lab.galaxies) == list(CLASS_NAMES)
    lab.galaxy.value = "Merging"
    lab.search.value = "dma"
    assert all("dma" in name for _, name in lab.layer.options)
    lab.layer.value = "dma2"
    lab.run.click()
    assert lab.session.wait(20)
    assert lab.progress.value == 1
    assert "Done after 4 steps" in lab.status.value
    assert lab.history.options == ("1: dma2, 64 pixels",)
    made = lab.current
    alone = dream(
        lab.loaded.network,
        lab.galaxies["Merging"],
        layer("dma2"),
        settings=QUICK,
        preprocess=lab.loaded.preprocess,
    )
    assert torch.equal(made.image, alone.image)
    assert "probability of" in lab.measures.value
    assert not lab.save_png.disabled
    lab.save_png.click()
    lab.save_gif.click()
    lab.save_mp4.click()
    assert f"Saved as {tmp_path / 'dream-1.mp4'}" in lab.status.value
    record = read_png(tmp_path / "dream-1.png").record
    assert record["objective"]["text"] == "dma2"
    with Image.open(tmp_path / "dream-1.gif") as film:
        assert film.n_frames == 4
    # Tomorrow's dreams do not take the place of today's.
    again = DreamLab(networks={"tiny": lab.loaded}, folder=tmp_path, settings=QUICK)
    again.dreams, again.history.options, again.history.index = [made], ["1"], 0
    again.save_png.disabled = False
    again.save_png.click()
    assert (tmp_path / "dream-2.png").exists()
    after = lab.picture.value
    lab.slider.value = 0
    before = lab.picture.value
    assert before != after
    lab.slider.value = 1
    assert lab.picture.value == after


def test_objectives_and_settings_follow_the_controls(lab):
    lab.layer.value = "lam"
    assert lab.objective() == layer("lam")
    lab.kind.value, lab.channel.value = "channel", 3
    assert lab.objective() == channel("lam", 3)
    lab.kind.value, lab.class_name.value = "logit", "Barred Spiral"
    assert lab.objective() == logit("Barred Spiral")
    lab.steps.value, lab.rate.value, lab.octaves.value, lab.size.value = 6, 0.1, 1, 256
    chosen = lab.chosen_settings()
    assert chosen.steps[0] == 6
    assert chosen.rates[0] == pytest.approx(0.1)
    assert chosen.levels == 1
    assert chosen.sizes[-1] == 256


def test_stop_and_pause_answer_at_once(lab):
    lab.steps.value = 200
    lab.layer.value = "stem"
    lab.run.click()
    assert lab.run.disabled
    assert not lab.stop.disabled
    until(lambda: lab.progress.value > 0)
    lab.run.disabled = False
    lab.run.click()
    assert "under way" in lab.status.value
    start = time.monotonic()
    lab.pause.click()
    assert time.monotonic() - start < 0.5
    assert lab.pause.description == "Resume"
    time.sleep(0.2)
    held = lab.progress.value
    time.sleep(0.3)
    assert lab.progress.value == held < 1
    lab.pause.click()
    until(lambda: lab.progress.value > held)
    start = time.monotonic()
    lab.stop.click()
    assert time.monotonic() - start < 0.5
    done = round(lab.progress.value * 400)
    assert lab.session.wait(20)
    until(lambda: lab.history.options)
    assert lab.current.record["steps_done"] <= done + 2  # the step under way, and one that was ending
    assert lab.stop.disabled
    assert not lab.run.disabled


def test_history_goes_back(lab):
    for name in ("stem", "dma1"):
        lab.layer.value = name
        lab.run.click()
        assert lab.session.wait(20)
    assert lab.history.index == 1
    second = lab.picture.value
    lab.history.index = 0
    assert lab.current.record["objective"]["text"] == "stem"
    assert lab.picture.value != second


def test_a_failing_dream_shows_its_sentence(lab):
    lab.layer.value = "stem"
    lab.kind.value, lab.channel.value = "channel", 999
    lab.run.click()
    assert lab.session.wait(20)
    until(lambda: 'role="alert"' in lab.status.value)
    assert "no number 999" in lab.status.value
    assert not lab.run.disabled
    lab.save_png.click()
    assert "press Run" in lab.status.value
    lab.search.value = "nothing like it"
    lab.kind.value = "layer"
    lab.run.click()
    assert "No layer is chosen" in lab.status.value


def test_channels_are_shown(lab):
    lab.layer.value = "dma1"
    lab.show_channels.click()
    assert bytes(lab.thumbnails.value).startswith(b"\x89PNG")
    assert lab.kind.value == "channel"
    assert "busiest channels of dma1" in lab.status.value
    lab.layer.value = "head.classify.0"
    lab.show_channels.click()
    assert "no maps" in lab.status.value


def test_the_galaxies_that_excite_a_channel_stand_below_the_choices(lab, blob_file, monkeypatch):
    assert lab.strip.picture.layout.display == "none"
    lab.layer.value = "dma2"
    assert lab.strip.said.value == ""
    lab.kind.value, lab.channel.value = "channel", 3
    with Galaxy10(blob_file) as file:
        labels = file.labels
        (found,) = top_galaxies(
            lab.loaded.network, [file.read(range(40))], [channel("dma2", 3)], preprocess=lab.loaded.preprocess
        )
    rows = [one.index for one in found.best]
    names = "; ".join(f"row {row}, {CLASS_NAMES[labels[row]]}" for row in rows)
    assert names in lab.strip.said.value
    assert lab.strip.said.value.startswith('<span role="status">Of 40 galaxies these excite dma2:3 most')
    with Image.open(io.BytesIO(lab.strip.picture.value)) as picture:
        assert picture.size == (9 * 96, 96)
    # Another channel of the layer needs no other look at the file.
    with monkeypatch.context() as patch:
        patch.setattr("galaxylib.dream.strip.top_galaxies", None)
        lab.channel.value = 1
        assert "excite dma2:1 most" in lab.strip.said.value
    lab.channel.value = 9999
    assert "no number 9999" in lab.status.value
    assert lab.strip.picture.layout.display == "none"
    lab.kind.value = "layer"
    assert lab.strip.said.value == ""


def test_a_silent_channel_is_named_before_any_step(lab):
    with torch.no_grad():  # a BatchNorm that gives less than zero, and a ReLU behind it
        lab.loaded.network.lam.expand[1].weight[2] = 0
        lab.loaded.network.lam.expand[1].bias[2] = -1
    lab.layer.value = "lam"
    lab.channel.value, lab.kind.value = 2, "channel"
    assert "lam:2 is silent: none of 40 galaxies excites it." in lab.strip.said.value
    assert lab.strip.picture.layout.display == "none"
    assert lab.session is None


def test_an_uploaded_picture_and_a_checkpoint_of_ones_own(loaded, tiny_checkpoint, tmp_path):
    lab = DreamLab(networks={"tiny": loaded}, folder=tmp_path, settings=QUICK)
    lab.run.click()
    assert "upload one" in lab.status.value
    Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(tmp_path / "upload.png")
    content = (tmp_path / "upload.png").read_bytes()
    about = {
        "name": "upload.png",
        "type": "image/png",
        "size": len(content),
        "last_modified": datetime.now(UTC),
    }
    lab.upload.value = ({**about, "content": b"no picture"},)
    assert "no whole image" in lab.status.value
    lab.upload.value = ({**about, "content": content},)
    assert lab.galaxy.value == UPLOAD
    assert lab.image().shape == (3, 40, 50)
    assert [file.name for file in tmp_path.iterdir()] == ["upload.png"]
    assert (tmp_path / "upload.png").read_bytes() == content

    lab.path.value = str(tmp_path / "none")
    assert 'role="alert"' in lab.status.value
    lab.path.value = str(tiny_checkpoint)
    assert lab.network.value == str(tiny_checkpoint)
    lab.network.value = "tiny"
    assert lab.loaded is loaded


def test_an_uploaded_fits_cube_keeps_its_colours_and_the_folder_its_files(loaded, tmp_path):
    """Compressed, under any name; a file of the reader's that is called upload.gz stays."""
    fits = pytest.importorskip("astropy.io.fits")
    own = tmp_path / "upload.gz"
    own.write_text("mine")
    light = np.zeros((40, 50))
    light[10:20, 20:30] = 1
    cube = fits.PrimaryHDU(np.stack([4 * light, 2 * light, light]))
    cube.header["BANDS"] = "grz"
    content = io.BytesIO()
    cube.writeto(content)
    lab = DreamLab(networks={"tiny": loaded}, folder=tmp_path, settings=QUICK)
    about = {"type": "", "size": 9, "last_modified": datetime.now(UTC)}
    for name, sent in {
        "cutout.fits": content.getvalue(),
        "cutout.fits.gz": gzip.compress(content.getvalue()),
        "cutout(1)": gzip.compress(content.getvalue()),
    }.items():
        lab.upload.value = ({**about, "name": name, "content": sent},)
        assert lab.status.value == f"{name} is ready."
        red, green, blue = lab.image()[:, 40 - 15, 25].tolist()
        assert red < green < blue == 1
    lab.upload.value = ({**about, "name": "half.fits.gz", "content": gzip.compress(content.getvalue())[:60]},)
    assert "half.fits.gz is no whole FITS file" in lab.status.value
    assert [file.name for file in tmp_path.iterdir()] == ["upload.gz"]
    assert own.read_text() == "mine"
    accepted = lab.upload.accept.split(",")
    assert {".fits", ".fz", ".gz", "image/*"} <= set(accepted)


def test_choices_beyond_the_limits_are_one_sentence(lab):
    lab.layer.value = "stem"
    lab.octaves.value = 16
    lab.run.click()
    assert "choose larger sizes or fewer levels" in lab.status.value
    lab.octaves.value, lab.seed.value = 1, -5
    assert lab.seed.value == 0  # the control itself stays inside


def test_networks_that_come_along_are_offered(loaded, tiny_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("galaxylib.dream.widget.BROUGHT", tmp_path / "none")
    with pytest.raises(DreamError, match="no network"):
        DreamLab(folder=tmp_path)
    shipped = shutil.copytree(tiny_checkpoint, tmp_path / "small")
    for module in ("dream.widget", "networks.checkpoint"):
        monkeypatch.setattr(f"galaxylib.{module}.BROUGHT", shipped.parent)
    lab = DreamLab(networks={"mine": loaded}, folder=tmp_path)
    assert lab.network.options == ("mine", "small")
    assert lab.loaded is loaded
    lab.network.value = "small"
    assert lab.loaded is not loaded
    assert lab.loaded.meta["options"] == {"width": 0.125}


def test_only_what_counts_can_be_chosen(lab):
    for kind, off in {
        "layer": {"channel", "class_name"},
        "channel": {"class_name"},
        "logit": {"channel", "layer", "search"},
    }.items():
        lab.kind.value = kind
        names = ("channel", "class_name", "layer", "search")
        assert {name for name in names if getattr(lab, name).disabled} == off


def test_every_control_has_a_label(lab):
    controls = [
        value
        for value in vars(lab).values()
        if isinstance(value, w.Widget) and not isinstance(value, w.Image | w.HTML | w.Box)
    ]
    controls += [getattr(lab, name) for name in ("run", "pause", "stop", "layer", "galaxy")]
    assert len(controls) >= 5
    assert all(control.description for control in controls)


def test_the_time_left_goes_with_the_pixels():
    settings = Settings(sizes=(100, 200), steps=(2, 2), rates=(0.1, 0.1), jitter=(1, 1), levels=1)
    # Two steps of 100 x 100 took 2 s; two of four times the pixels are to come.
    assert seconds_left(settings, 2, 2.0) == pytest.approx(8)
    assert seconds_left(settings, 4, 10.0) == 0
    assert np.isnan(seconds_left(settings, 0, 0.0))
