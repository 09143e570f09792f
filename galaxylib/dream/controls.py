"""What stands on the dream lab: its controls, each with a label, and where they stand."""

from collections.abc import Sequence

import ipywidgets as w

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.dream.settings import LIMITS, Settings

WIDE = {"description_width": "8em"}
WHOLE = {"width": "auto"}
"""As wide as the words on it."""
SHOWN = 384
"""Pixels a side of the pictures."""


class Controls(w.VBox):
    """The controls alone; `galaxylib.dream.widget.DreamLab` gives them something to do.

    Args:
        galaxies: names of the pictures to choose from.
        networks: names of the networks to choose from.
        settings: whose values the controls begin with.
    """

    def __init__(self, *, galaxies: Sequence[str], networks: Sequence[str], settings: Settings) -> None:
        self.galaxy = w.Dropdown(description="Galaxy", options=list(galaxies), style=WIDE)
        self.upload = w.FileUpload(
            description="Upload a picture",
            accept="image/*,.fits,.fit,.fts,.fz,.gz",
            multiple=False,
            layout=WHOLE,
        )
        self.network = w.Dropdown(description="Network", options=list(networks), style=WIDE)
        self.path = w.Text(
            description="Your checkpoint",
            placeholder="path of a checkpoint folder",
            continuous_update=False,
            style=WIDE,
        )
        self.search = w.Text(description="Find a layer", placeholder="part of its name", style=WIDE)
        self.layer = w.Select(description="Layer", rows=7, style=WIDE)
        self.kind = w.Dropdown(
            description="Objective",
            options=[
                ("the whole layer", "layer"),
                ("one channel", "channel"),
                ("one class", "logit"),
                ("one concept", "concept"),
            ],
            style=WIDE,
        )
        self.channel = w.BoundedIntText(description="Channel", **_ends("index"), style=WIDE)
        self.show_channels = w.Button(description="Show its busiest channels", layout=WHOLE)
        self.thumbnails = w.Image(format="png", layout=w.Layout(display="none"))
        self.class_name = w.Dropdown(description="Class", options=CLASS_NAMES, style=WIDE)
        self.concept = w.Dropdown(description="Concept", options=[], style=WIDE)
        self.less = w.Checkbox(description="Less of it", style=WIDE)
        self.size = w.Dropdown(description="Size (pixels)", options=[128, 256, 512, 1024, 2048], style=WIDE)
        self.size.value = 256
        self.steps = w.BoundedIntText(
            description="Steps", min=1, max=LIMITS["steps"].high, value=settings.steps[0], style=WIDE
        )
        self.rate = w.BoundedFloatText(
            description="Rate", **_ends("rates"), step=0.01, value=settings.rates[0], style=WIDE
        )
        self.octaves = w.BoundedIntText(
            description="Octaves", **_ends("levels"), value=settings.levels, style=WIDE
        )
        self.seed = w.BoundedIntText(description="Seed", **_ends("seed"), style=WIDE)
        self.run = w.Button(description="Run", button_style="primary")
        self.pause = w.Button(description="Pause", disabled=True)
        self.stop = w.Button(description="Stop", disabled=True)
        self.progress = w.FloatProgress(description="Progress", min=0, max=1, style=WIDE)
        self.status = w.HTML(value="Choose, then press Run.")
        self.picture = w.Image(format="png", width=SHOWN)
        self.slider = w.FloatSlider(
            description="Before or after", min=0, max=1, value=1, step=0.01, readout=False, style=WIDE
        )
        self.measures = w.HTML()
        self.save_png = w.Button(description="Save PNG", disabled=True)
        self.save_gif = w.Button(description="Save film as GIF", disabled=True)
        self.save_mp4 = w.Button(description="Save film as MP4", disabled=True)
        self.history = w.Select(description="History", options=[], rows=4, style=WIDE)
        self._only_what_counts()
        self.kind.observe(lambda _: self._only_what_counts(), "value")
        super().__init__([self._choices(), self._actions(), self._results()])

    def _only_what_counts(self) -> None:
        """A channel has no say in a class, nor a layer in a class or a concept."""
        self.channel.disabled = self.kind.value != "channel"
        self.class_name.disabled = self.kind.value != "logit"
        self.concept.disabled = self.less.disabled = self.kind.value != "concept"
        self.layer.disabled = self.search.disabled = self.kind.value in ("logit", "concept")

    def _choices(self) -> w.Widget:
        left = w.VBox([self.galaxy, self.upload, self.network, self.path, self.search, self.layer])
        right = w.VBox(
            [
                self.kind,
                self.channel,
                self.show_channels,
                self.class_name,
                self.concept,
                self.less,
                self.size,
                self.steps,
                self.rate,
                self.octaves,
                self.seed,
            ]
        )
        return w.VBox([w.HBox([left, right]), self.thumbnails])

    def _actions(self) -> w.Widget:
        return w.VBox([w.HBox([self.run, self.pause, self.stop]), self.progress, self.status])

    def _results(self) -> w.Widget:
        beside = w.VBox([self.measures, w.HBox([self.save_png, self.save_gif, self.save_mp4]), self.history])
        return w.HBox([w.VBox([self.picture, self.slider]), beside])


def _ends(name: str) -> dict[str, float]:
    """Between which a control's number stays."""
    return {"min": LIMITS[name].low, "max": LIMITS[name].high}
