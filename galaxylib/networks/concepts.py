"""Concepts of a trained network: directions in its stages along which a true property of galaxies grows.

`galaxylib probe` learns them on drawn galaxies, whose properties are known, and writes `concepts.json` beside
the weights that they belong to. A property that no stage reads off better than its controls is no concept; it
stands there with its figures and without a direction.
"""

import difflib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from galaxylib.errors import CheckpointError, GalaxyError
from galaxylib.files import atomic
from galaxylib.networks.schemas import check, read_json, real, record, several, strict, whole

CONCEPTS = "concepts.json"
GRAIN = 1e-4
"""A direction's entries are stored in whole multiples of this: its angle moves by about 0.1 degrees."""

_NAME = {"type": "string", "pattern": "^[A-Za-z0-9_.]{1,100}$"}
_FIGURE = real(-1e6)
_READ_OUT = strict(
    galaxies=whole(1), r2=_FIGURE, low=_FIGURE, high=_FIGURE, control=_FIGURE, gain=_FIGURE, gain_low=_FIGURE
) | {"additionalProperties": False}
_READ_OUT["properties"] |= {
    "vector": several(whole(-10_000, 10_000), 1, 100_000),
    "scale": real(-1e12),
    "offset": real(-1e12),
}
_NAMED = {"type": "object", "propertyNames": _NAME}
SCHEMA = strict(
    sha256={"type": "string", "format": "sha256"},
    data=record(fingerprint=_NAME, galaxies=whole(1), simulated={"type": "boolean"}),
    divisions=whole(1),
    twins=whole(1),
    stages=_NAMED | {"additionalProperties": _NAMED | {"additionalProperties": _READ_OUT}},
)


@dataclass(frozen=True, kw_only=True)
class ReadOut:
    """How well one stage reads off one property, and along which direction if it does.

    Attributes:
        galaxies: number of drawn galaxies that have the property.
        r2: share of the property's variance that the read-out explains on galaxies held out, the mean over
            the divisions of the file.
        low, high: the middle 95 % of the divisions.
        control: the same share for the better of the controls (random weights, reduced pixels, the mean).
        gain, gain_low: the advantage over that control in the same divisions: its mean, and the low end of
            the middle 95 %.
        vector: one number a channel, of length 1: a direction on the stage's activation averaged over its
            places; empty where the property is no concept of the stage.
        scale, offset: the property is `offset + scale * (vector . activation)`, in the property's own unit.
    """

    galaxies: int
    r2: float
    low: float
    high: float
    control: float
    gain: float
    gain_low: float
    vector: tuple[float, ...] = ()
    scale: float = 0.0
    offset: float = 0.0

    @property
    def reads(self) -> bool:
        """Whether it explains more than nothing and more than the controls, by both intervals' low ends."""
        return self.low > 0 and self.gain_low > 0

    def read(self, activations: np.ndarray) -> np.ndarray:
        """The property, (N,), of galaxies whose stage gives (N, C) averaged over its places."""
        return self.offset + self.scale * (activations @ np.array(self.vector))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; a direction only where there is one."""
        told = {name: _short(value) for name, value in asdict(self).items()}
        if not self.vector:
            return {name: value for name, value in told.items() if name not in ("vector", "scale", "offset")}
        return told | {"vector": [round(number / GRAIN) for number in self.vector]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """From what `to_dict` gave."""
        vector = np.array(content.get("vector", ())) * GRAIN
        return cls(**{**content, "vector": tuple(vector.tolist())})


@dataclass(frozen=True)
class Concept:
    """One direction of one stage.

    Attributes:
        name: of the property, such as "bar_fraction".
        stage: dotted name of the submodule.
        read_out: with its direction.
    """

    name: str
    stage: str
    read_out: ReadOut


class Concepts:
    """What `concepts.json` in a checkpoint folder says; the file is read when something is first asked.

    Args:
        folder: of the checkpoint; None for a network that has none.
        sha256: of the weights that the concepts must belong to.

    Each question raises:
        CheckpointError: there is no such file, it is not as it must be, or is about other weights.
    """

    def __init__(self, folder: Path | None, sha256: str) -> None:
        self.folder, self.sha256 = folder, sha256

    @property
    def there(self) -> bool:
        """Whether any were learned: whether there is a file, whatever it says."""
        return self.folder is not None and (self.folder / CONCEPTS).is_file()

    @property
    def cure(self) -> str:
        """The command that makes them."""
        return f"run `galaxylib probe {self.folder or 'CHECKPOINT'} --data FILE` on drawn galaxies"

    @cached_property
    def content(self) -> dict[str, Any]:
        """The whole file, as JSON has it."""
        if not self.there:
            raise CheckpointError(f"This network has no concepts yet: {self.cure}.")
        path = self.folder / CONCEPTS
        try:
            content = read_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as fault:
            raise CheckpointError(f"{path} cannot be read ({fault}): {self.cure} again.") from fault
        check(content, SCHEMA, where=path, cure=f"{self.cure} again")
        if content["sha256"] != self.sha256:
            raise CheckpointError(f"{path} was learned on other weights than these: {self.cure} again.")
        return content

    @cached_property
    def read_outs(self) -> dict[str, dict[str, ReadOut]]:
        """Every property that was looked for, by stage."""
        return {
            stage: {name: ReadOut.from_dict(one) for name, one in found.items()}
            for stage, found in self.content["stages"].items()
        }

    def best(self, stages: Collection[str] | None = None) -> list[Concept]:
        """Each concept once, at the stage (of these, if given) that reads it best; the best read first."""
        found: dict[str, Concept] = {}
        for stage, read_outs in self.read_outs.items():
            if stages is not None and stage not in stages:
                continue
            for name, one in read_outs.items():
                if one.vector and (name not in found or one.r2 > found[name].read_out.r2):
                    found[name] = Concept(name, stage, one)
        return sorted(found.values(), key=lambda concept: -concept.read_out.r2)

    def find(self, name: str, stage: str = "") -> Concept:
        """The concept of a name, at a stage or at the one that reads it best.

        Raises:
            GalaxyError: there is none; the sentence says why, or gives the nearest names.
        """
        best = {concept.name: concept for concept in self.best()}
        looked_for = dict.fromkeys(known for found in self.read_outs.values() for known in found)
        if name not in looked_for:
            raise GalaxyError(f"No concept is called {name!r}{_nearest(name, list(best))}.")
        if stage and stage not in self.read_outs:
            raise GalaxyError(
                f"Concepts were not looked for in {stage!r}: choose {' or '.join(self.read_outs)}."
            )
        if not stage and name in best:
            return best[name]
        places = [stage] if stage else list(self.read_outs)
        tried = {place: self.read_outs[place][name] for place in places if name in self.read_outs[place]}
        if stage in tried and tried[stage].vector:
            return Concept(name, stage, tried[stage])
        if not tried:
            raise GalaxyError(f"{name} was not looked for in {stage}: choose another stage, or leave it out.")
        place, most = max(tried.items(), key=lambda one: one[1].r2)
        cure = f"leave the stage out for {best[name].stage}" if name in best else f"choose {', '.join(best)}"
        raise GalaxyError(
            f"{name} is no concept of {place}, which explains {most.r2:.0%} of it, its controls "
            f"{most.control:.0%}: {cure if best else 'this network has none'}."
        )


def write(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write `concepts.json` into a checkpoint folder, whole or not at all, one read-out a line.

    Args:
        folder: of the checkpoint.
        content: as `SCHEMA` has it; further facts may stand beside.

    Raises:
        CheckpointError: the content is not as it must be.
        GalaxyError: the folder cannot be written, or the disk is full.
    """
    check(read_json(json.dumps(content)), SCHEMA, where=CONCEPTS, cure="probe again")
    head = json.dumps({key: value for key, value in content.items() if key != "stages"}, ensure_ascii=False)
    stages = ",\n".join(
        f' "{stage}": {{\n'
        + ",\n".join(f'  "{name}": {json.dumps(one, separators=(",", ":"))}' for name, one in found.items())
        + "\n }"
        for stage, found in content["stages"].items()
    )
    path = Path(folder) / CONCEPTS
    with atomic(path) as partial:
        partial.write_text(f'{head[:-1]},\n"stages": {{\n{stages}\n}}}}\n', encoding="utf-8")
    return path


def _short(value: Any) -> Any:
    """A figure with six digits, which is more than it is good for."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _nearest(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or list(names)
    return f": the nearest are {', '.join(close)}" if close else ": this network has none"
