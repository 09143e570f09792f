"""Dreaming live in Jupyter: `DreamLab` is one widget with everything on it.

    from galaxylib.dream.widget import DreamLab
    DreamLab(data="galaxies.h5", networks={"mine": "runs/mine"})

Needs ipywidgets, which Jupyter brings.
"""

import html
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from galaxylib.data.images import decode_image
from galaxylib.dream import (
    PAPER_DREAM,
    Dream,
    Objective,
    Settings,
    Step,
    channel,
    concept,
    layer,
    logit,
    save_film,
)
from galaxylib.dream import images as pictures
from galaxylib.dream.controls import Controls
from galaxylib.dream.scores_table import scores_table
from galaxylib.dream.session import Session
from galaxylib.dream.shown import beside, channel_maps, first_of_each_class, small
from galaxylib.dream.strip import Strip, png
from galaxylib.errors import DreamError, GalaxyError
from galaxylib.networks.checkpoint import BROUGHT, SHIPPED, Loaded, load

REFRESH = 0.2
"""Seconds between two live pictures, at least."""
UPLOAD = "uploaded picture"


class DreamLab(Controls):
    """Choose a galaxy, a network and a part of it; watch the dream; keep it.

    Args:
        data: a Galaxy10 file whose first galaxies of each class are offered, and in which those are looked
            for that excite a chosen channel or concept most; none for uploads only.
        networks: checkpoint folders or loaded networks by name; those that come with the library are added.
            One of a class of your own must be loaded: `load(folder, own_network="module:Class")`.
        folder: folder into which `Save` writes.
        settings: values that the controls begin with.

    Raises:
        GalaxyError: the file or a checkpoint is not as it must be.
    """

    def __init__(
        self,
        *,
        data: str | Path | None = None,
        networks: Mapping[str, str | Path | Loaded] | None = None,
        folder: str | Path = "dreams",
        settings: Settings = PAPER_DREAM,
    ) -> None:
        self.folder, self.settings = Path(folder), settings
        numbers = (file.stem.removeprefix("dream-") for file in self.folder.glob("dream-*"))
        self.saved_before = max((int(number) for number in numbers if number.isdecimal()), default=0)
        self.networks: dict[str, Any] = dict(networks or {})
        for name in SHIPPED:
            if (BROUGHT / name).is_dir():
                self.networks.setdefault(name, name)
        if not self.networks:
            raise DreamError("The dream lab has no network: pass networks={'mine': 'path/of/a/checkpoint'}.")
        self.galaxies: dict[str, Tensor] = first_of_each_class(data) if data is not None else {}
        self.dreams: list[Dream] = []
        self.session: Session | None = None
        self._shown: tuple[Tensor, Tensor] | None = None
        self._last_picture, self._asked = 0.0, ""
        super().__init__(
            galaxies=list(self.galaxies) or [UPLOAD], networks=list(self.networks), settings=settings
        )
        self.strip = Strip(data)
        choices, *rest = self.children
        self.children = [choices, self.strip, *rest]
        self._choose_network()
        self._listen()

    def _listen(self) -> None:
        self.upload.observe(lambda _: self._guard(self._take_upload), "value")
        self.network.observe(lambda _: self._guard(self._choose_network), "value")
        self.path.observe(lambda _: self._guard(self._take_path), "value")
        self.search.observe(lambda _: self._list_layers(), "value")
        for control in (self.network, self.layer, self.kind, self.channel, self.concept, self.less):
            control.observe(lambda _: self._guard(self._show_examples), "value")
        self.show_channels.on_click(lambda _: self._guard(self._show_channels))
        self.run.on_click(lambda _: self._guard(self.start))
        self.pause.on_click(lambda _: self._pause())
        self.stop.on_click(lambda _: self.session and self.session.stop())
        self.slider.observe(lambda _: self._show(), "value")
        self.save_png.on_click(lambda _: self._guard(self._save_png))
        self.save_gif.on_click(lambda _: self._guard(lambda: self._save_film(".gif")))
        self.save_mp4.on_click(lambda _: self._guard(lambda: self._save_film(".mp4")))
        self.history.observe(lambda _: self._look_back(), "index")

    def _guard(self, action: Any) -> None:
        """Do it, and show the sentence where it fails."""
        try:
            action()
        except GalaxyError as fault:
            self._say(str(fault), wrong=True)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        plain = html.escape(text)
        self.status.value = f'<span role="alert" style="color:#b00020">{plain}</span>' if wrong else plain

    def _take_upload(self) -> None:
        if not self.upload.value:
            return
        file = self.upload.value[0]
        self.galaxies[UPLOAD] = decode_image(io.BytesIO(file["content"]), name=file["name"])
        self.galaxy.options = list(self.galaxies)
        self.galaxy.value = UPLOAD
        self._say(f"{file['name']} is ready.")

    def _take_path(self) -> None:
        name = self.path.value.strip()
        self.networks[name] = load(name)
        self.network.options = list(self.networks)
        self.network.value = name

    def _choose_network(self) -> None:
        chosen = self.networks[self.network.value]
        self.loaded: Loaded = chosen if isinstance(chosen, Loaded) else load(chosen)
        self.networks[self.network.value] = self.loaded
        self.class_name.options = self.loaded.class_names
        self.concept.options = _concepts(self.loaded)
        self.concept.index = 0 if self.concept.options else None
        self._list_layers()

    def _list_layers(self) -> None:
        """The tree, indented by depth; a search keeps what holds its text."""
        names = [name for name, _ in self.loaded.network.named_modules() if name]
        found = [name for name in names if self.search.value.strip().lower() in name.lower()]
        before = self.layer.value
        self.layer.options = [
            (name if self.search.value else "\u2003" * name.count(".") + name.split(".")[-1], name)
            for name in found
        ]
        wanted = [name for name in (before, "lam") if name in found]
        self.layer.value = (wanted or found or [None])[0]

    def image(self) -> Tensor:
        """The chosen picture, (3, H, W) in [0, 1].

        Raises:
            DreamError: none was chosen.
        """
        if self.galaxy.value not in self.galaxies:
            raise DreamError("There is no picture yet: upload one.")
        return self.galaxies[self.galaxy.value]

    def objective(self) -> Objective:
        """What the choices ask for.

        Raises:
            DreamError: no layer is chosen.
            GalaxyError: the network has no concepts; the sentence names the command that makes them.
        """
        if self.kind.value == "logit":
            return logit(self.class_name.value, class_names=self.loaded.class_names)
        if self.kind.value == "concept":
            along = concept(self.concept.value or "", concepts=self.loaded.concepts)
            return -along if self.less.value else along
        if not self.layer.value:
            raise DreamError("No layer is chosen: clear the search and choose one.")
        chosen = self.layer.value
        return channel(chosen, self.channel.value) if self.kind.value == "channel" else layer(chosen)

    def chosen_settings(self) -> Settings:
        """The protocol up to the chosen size, its steps and rates scaled to the chosen ones."""
        base = self.settings.to(self.size.value).but(levels=self.octaves.value)
        more, faster = (
            self.steps.value / max(self.settings.steps[0], 1),
            self.rate.value / self.settings.rates[0],
        )
        return base.but(
            steps=tuple(max(1, round(steps * more)) for steps in base.steps),
            rates=tuple(rate * faster for rate in base.rates),
            tile=512 if self.size.value > 1024 else 0,
        )

    def _show_channels(self) -> None:
        """The activation maps of the channels that respond most to this picture."""
        name = self.layer.value
        busiest, maps = channel_maps(self.loaded, self.image(), name)
        self.thumbnails.value = png(maps)
        self.thumbnails.layout.display = ""
        self.kind.value, self.channel.value = "channel", busiest[0]
        self._say(f"The busiest channels of {name}, from the left: {', '.join(map(str, busiest))}.")

    def _show_examples(self) -> None:
        """The galaxies beside the choice, where it is a channel or a concept."""
        if self.kind.value == "channel" and self.layer.value:
            objective = self.objective()
            self.strip.show(self.loaded, objective, name=str(objective))
        elif self.kind.value == "concept" and self.concept.value:
            known = [concept(name, concepts=self.loaded.concepts) for _, name in self.concept.options]
            others = [sign * one for one in known for sign in (1, -1)]
            self.strip.show(self.loaded, self.objective(), name=self._concept_asked(), others=others)
        else:
            self.strip.clear()

    def _concept_asked(self) -> str:
        return f"{'-' * self.less.value}concept:{self.concept.value}"

    def start(self) -> None:
        """Begin the dream that is chosen.

        Raises:
            GalaxyError: a choice is impossible, or a dream is under way.
        """
        if self.session is not None and self.session.running:
            raise DreamError("A dream is under way: stop it first.")
        self._say("Dreaming.")
        self.progress.value = 0
        objective = self.objective()
        # A direction has no name of its own.
        self._asked = self._concept_asked() if self.kind.value == "concept" else str(objective)
        self.session = Session(
            on_step=self._step,
            on_end=self._end,
            network=self.loaded.network,
            image=self.image(),
            objective=objective,
            settings=self.chosen_settings(),
            preprocess=self.loaded.preprocess,
            seed=self.seed.value,
            keep_frames=True,
        )
        self._buttons(running=True)
        self.session.start()

    def _buttons(self, *, running: bool) -> None:
        self.run.disabled, self.pause.disabled, self.stop.disabled = running, not running, not running
        self.pause.description = "Pause"
        for button in (self.save_png, self.save_gif, self.save_mp4):
            button.disabled = running or not self.dreams

    def _pause(self) -> None:
        if self.session is None or not self.session.running:
            return
        if self.session.paused:
            self.session.resume()
            self.pause.description = "Pause"
        else:
            self.session.pause()
            self.pause.description = "Resume"
            self._say("Paused.")

    def _step(self, step: Step, left: float) -> None:
        self.progress.value = step.number / step.total
        if not (self.session and self.session.paused):
            self._say(f"Step {step.number} of {step.total} at {step.size} pixels, {left:.0f} s left.")
        now = time.perf_counter()
        if now - self._last_picture >= REFRESH or step.number == step.total:
            self._last_picture = now
            self.picture.value = png(small(step.images[0]))

    def _end(self, made: Dream | None, fault: str) -> None:
        if made is not None:
            made.record["asked"] = self._asked
            self.dreams.append(made)
            label = f"{len(self.dreams)}: {self._asked}, {made.image.shape[2]} pixels"
            self.history.options = [*self.history.options, label]
            self.history.index = len(self.dreams) - 1
        self._buttons(running=False)  # before the word "Done", which invites to press them
        if made is not None:
            self._say(f"Done after {made.record['steps_done']} steps.")
        if fault:
            self._say(fault, wrong=True)

    @property
    def current(self) -> Dream:
        """The dream that is shown.

        Raises:
            DreamError: there is none yet.
        """
        if self.history.index is None or not self.dreams:
            raise DreamError("There is no dream yet: press Run.")
        return self.dreams[self.history.index]

    def _look_back(self) -> None:
        if self.history.index is None:
            return
        made = self.current
        height, width = made.image.shape[1:]
        before = pictures.fit(made.given[None], height, width)[0]
        self._shown = before, made.image
        self._show()
        self.measures.value = scores_table(made, before, self.loaded)

    def _show(self) -> None:
        """After to the left of the slider's handle, before to its right."""
        if self._shown is None:
            return
        self.picture.value = png(beside(*self._shown, share=self.slider.value))

    def _save_png(self) -> None:
        made = self.current
        self._say(f"Saved as {made.save(self._file('.png'), checkpoint=self.network.value)}.")

    def _save_film(self, ending: str) -> None:
        self._say(f"Saved as {save_film(self.current.frames, self._file(ending))}.")

    def _file(self, ending: str) -> Path:
        return self.folder / f"dream-{self.saved_before + self.history.index + 1}{ending}"


def _concepts(loaded: Loaded) -> list[tuple[str, str]]:
    """What stands in the list of a network's concepts, and the name of each; none where it has none."""
    try:
        best = loaded.concepts.best()
    except GalaxyError:
        return []
    return [(f"{one.name} ({one.stage}, R² {one.read_out.r2:.2f})", one.name) for one in best]
