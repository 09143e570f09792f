"""Dreams along concepts, dose by dose, and whether the picture then shows more of what the concept names.

What changed is measured by shapes in the picture and by another network's read-out, never by the network that
dreamed. A direction counts only beside two controls: a random direction of the same length in the same stage,
and the same direction in a network with random weights.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor, nn

from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream.dreaming import dream_batch
from galaxylib.dream.measures import as_seen, footprint, fourier_modes, morphology, objective_value
from galaxylib.dream.objectives import Objective, direction
from galaxylib.dream.settings import Settings
from galaxylib.dream.shapes import moments, spiral
from galaxylib.networks.checkpoint import Loaded
from galaxylib.networks.concepts import Concept, Concepts
from galaxylib.paper.figures import ACCENT, CONTRAST
from galaxylib.paper.probes import spoken

SHOWN_BY = {
    "bar_fraction": ("bar", 1),
    "bar_length": ("bar", 1),
    "arm_pitch": ("pitch", 1),
    "axis_ratio": ("axis_ratio", 1),
    "inclination": ("axis_ratio", -1),
    "bulge_fraction": ("concentration", 1),
    "sersic_n": ("concentration", 1),
    "asymmetry": ("asymmetry", 1),
    "half_light_radius": ("radius", 1),
}
"""The measure of a picture that a concept should move, and which way."""
WORDS = {
    "bar": "second harmonic of the inner light",
    "pitch": "pitch of the best two-armed spiral (degrees)",
    "axis_ratio": "axis ratio by moments",
    "concentration": "concentration",
    "asymmetry": "asymmetry",
    "radius": "root mean square radius (pixels)",
}
"""What the measures are, in words."""
BY_STATMORPH = {"concentration", "asymmetry"}
SPIRALS = (5, 6, 7)
"""Classes whose galaxies bars and arms are asked of."""
GROWN = 4
"""Pixels by which the footprint is widened, so that light dreamed just outside of it counts."""
CONDITIONS = ("concept", "random direction", "random weights")


def measured(picture: np.ndarray, mask: np.ndarray, measure: str) -> float:
    """One measure of `WORDS` of a picture (H, W, 3) in [0, 1] within a footprint (H, W)."""
    if measure in BY_STATMORPH:
        return morphology(picture, mask)[measure]
    if measure == "bar":
        return fourier_modes(picture, mask)["bar"]
    return (moments(picture, mask) | spiral(picture, mask))[measure]


def random_direction(objective: Objective, *, seed: int) -> Objective:
    """Another unit direction of the same stage, drawn evenly over all directions."""
    (term,) = objective.terms
    drawn = np.random.default_rng(seed).normal(size=len(term.vector))
    return direction(term.layer, (drawn / np.linalg.norm(drawn)).tolist())


def dosed(
    network: nn.Module,
    images: Tensor,
    objective: Objective,
    *,
    doses: Sequence[int],
    settings: Settings,
    preprocess: Preprocess,
    seed: int,
) -> Tensor:
    """Images on their way up and down an objective.

    Args:
        network: that dreams.
        images: (N, 3, H, W) in [0, 1].
        objective: a direction; negative doses climb down.
        doses: numbers of steps, in rising order with 0 among them; none beyond the settings' steps.
        settings: of one size and one level.
        preprocess: of the network.
        seed: of the shifts.

    Returns:
        (doses, N, 3, h, w) in [0, 1].
    """
    found: dict[int, Tensor] = {}
    for sign in (-1, 1):
        frames = dream_batch(
            network,
            images,
            [sign * objective],
            settings=settings,
            preprocess=preprocess,
            seed=seed,
            keep_frames=True,
        )
        for dose in (dose for dose in doses if dose * sign > 0):
            stack = np.stack([one.frames[abs(dose) - 1] for one in frames])
            found[dose] = torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 255
        if 0 in doses and 0 not in found:
            found[0] = torch.stack([one.start for one in frames])
    return torch.stack([found[dose] for dose in doses])


def read_by(reader: Loaded, concept: Concept, images: Tensor) -> np.ndarray:
    """What another network's read-out says of images (N, 3, H, W) in [0, 1]: (N,) in the property's unit."""
    seen = as_seen(images, reader.preprocess)
    tap = direction(concept.stage, concept.read_out.vector)
    # The images are normalised already.
    plain = Preprocess(size=seen.shape[-1], crop=seen.shape[-1], mean=(0.0,) * 3, std=(1.0,) * 3)
    values = objective_value(reader.network, seen, tap, preprocess=plain).double().numpy()
    return concept.read_out.offset + concept.read_out.scale * values


def responses(
    dreams: Mapping[str, Tensor], concept: str, *, reader: Loaded, reads: Concept | None
) -> dict[str, dict[str, np.ndarray]]:
    """What each condition's dreams show.

    Args:
        dreams: by condition, what `dosed` returns; the middle dose is 0.
        concept: whose measure is taken.
        reader: the network that did not dream.
        reads: its own concept of the same name; None where it has none.

    Returns:
        by condition, `measure` and `reader`, each (doses, N); NaN where nothing could be measured.
    """
    measure, _ = SHOWN_BY[concept]
    found = {}
    for condition, stack in dreams.items():
        pictures = stack.permute(0, 1, 3, 4, 2).double().numpy()
        masks = [widened(footprint(still)) for still in pictures[len(pictures) // 2]]
        shown = [
            [measured(one, mask, measure) for one, mask in zip(line, masks, strict=True)] for line in pictures
        ]
        nothing = np.full(pictures.shape[:2], np.nan)
        told = nothing if reads is None else np.stack([read_by(reader, reads, line) for line in stack])
        found[condition] = {"measure": np.array(shown), "reader": told}
    return found


def widened(mask: np.ndarray) -> np.ndarray:
    """A footprint with `GROWN` pixels more all round."""
    from scipy.ndimage import binary_dilation

    return binary_dilation(mask, iterations=GROWN)


def slopes(found: np.ndarray, doses: Sequence[int]) -> np.ndarray:
    """The change of a figure from the lowest to the highest dose by a straight line, galaxy by galaxy.

    Args:
        found: (doses, N); a galaxy with a NaN has no slope.
        doses: in rising order.
    """
    span = doses[-1] - doses[0]
    return np.array([stats.linregress(doses, one).slope * span for one in found.T if np.isfinite(one).all()])


def mean_interval(values: np.ndarray, *, tests: int = 1) -> tuple[float, float, float]:
    """The mean with Student's 95 % interval, wide enough for several tests to hold at once (Bonferroni)."""
    if len(values) < 3:
        return float("nan"), float("nan"), float("nan")
    half = stats.t.ppf(1 - 0.025 / tests, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def judged(
    found: Mapping[str, Mapping[str, np.ndarray]], concept: str, doses: Sequence[int], *, tests: int
) -> dict[str, Any]:
    """Whether a concept moves what it names, beyond its controls.

    Args:
        found: what `responses` returns.
        concept: its name.
        doses: in rising order.
        tests: how many concepts are judged together.

    Returns:
        `measure` and its `sign`; for each condition and for the reader (`concept`, `random_direction`,
        `random_weights`, `reader`) the mean change from the lowest to the highest dose with its interval;
        `beyond_direction` and `beyond_weights`, the same of the paired differences; and the `verdict`.
    """
    measure, sign = SHOWN_BY[concept]
    changes = {name: slopes(of["measure"], doses) for name, of in found.items()}
    told: dict[str, Any] = {"measure": measure, "sign": sign, "galaxies": len(changes["concept"])}
    for name, change in changes.items():
        told[name.replace(" ", "_")] = mean_interval(change, tests=tests)
    told["reader"] = mean_interval(slopes(found["concept"]["reader"], doses), tests=tests)
    for name, key in (("random direction", "beyond_direction"), ("random weights", "beyond_weights")):
        both = found["concept"]["measure"], found[name]["measure"]
        whole = np.isfinite(both[0]).all(axis=0) & np.isfinite(both[1]).all(axis=0)
        apart = slopes(both[0][:, whole], doses) - slopes(both[1][:, whole], doses)
        told[key] = mean_interval(apart, tests=tests)
    return told | {"verdict": verdict(told)}


def verdict(told: Mapping[str, Any]) -> str:
    """In words: whether the interval lies on the named side of 0, alone and beyond both controls."""
    named = {
        key: sign_of(told[key]) * told["sign"] for key in ("concept", "beyond_direction", "beyond_weights")
    }
    if named["concept"] < 0:
        return "moves it the other way"
    if named["concept"] == 0:
        return "not shown to move it"
    if named["beyond_direction"] > 0 and named["beyond_weights"] > 0:
        return "moves it"
    return "moves it, no more than a control"


def sign_of(interval: Sequence[float]) -> int:
    """1 or -1 for an interval above or below 0, 0 for one that holds it or is unknown."""
    _, low, high = interval
    return int(low > 0) - int(high < 0)


def verdict_table(result: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each concept, as text.

    Args:
        result: the content of `benchmarks/results/concept_dreams.json`.
    """
    rows = [
        {
            "concept": f"{spoken(name)}, {one['stage']}",
            "verdict": one["verdict"],
            "change": in_words(one["concept"]),
            "random direction": in_words(one["random_direction"]),
            "random weights": in_words(one["random_weights"]),
            "other network": in_words(one["reader"]),
        }
        for name, one in result["concepts"].items()
    ]
    return pd.DataFrame(rows).set_index("concept")


def to_show(result: Mapping[str, Any], concepts: Concepts, *, count: int = 2) -> list[str]:
    """The concepts that a page dreams, those that move what they name first; the network must have them."""
    known = [one.name for one in concepts.best()]
    ranked = sorted(result["concepts"].items(), key=lambda one: one[1]["verdict"] != "moves it")
    found = [name for name, _ in ranked if name in known]
    return (found or known)[:count]


def response_figure(result: Mapping[str, Any]) -> Figure:
    """One plot a concept: the mean measure over the dose, for the concept and its controls."""
    told = result["concepts"]
    rows = -(-len(told) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(9.2, 2.5 * rows), squeeze=False)
    styles = dict(zip(CONDITIONS, ((ACCENT, "o-"), (CONTRAST, "s--"), ("grey", "^:")), strict=True))
    for axis, (name, one) in zip(axes.flat, told.items(), strict=False):
        for condition, (colour, style) in styles.items():
            axis.plot(
                result["doses"], one["by_dose"][condition], style, color=colour, label=condition, markersize=4
            )
        axis.set_title(spoken(name), fontsize=9)
        axis.set_xlabel("steps", fontsize=8)
        axis.set_ylabel(WORDS[one["measure"]].partition(" (")[0], fontsize=7)
        axis.tick_params(labelsize=7)
    for axis in axes.flat[len(told) :]:
        axis.set_axis_off()
    axes.flat[0].legend(fontsize=7)
    return figure


def said(result: Mapping[str, Any]) -> str:
    """Which concepts move the thing that they name, as a sentence or two."""
    by_verdict: dict[str, list[str]] = {}
    for name, one in result["concepts"].items():
        by_verdict.setdefault(one["verdict"], []).append(spoken(name))
    moved = by_verdict.pop("moves it", [])
    told = [
        f"Of {len(result['concepts'])} concepts, {len(moved) or 'none'} "
        f"{'moves' if len(moved) == 1 else 'move'} what {'it names' if len(moved) == 1 else 'they name'}"
        f"{': ' + ', '.join(moved) if moved else ''}."
    ]
    told += [f'Verdict "{verdict}": {", ".join(names)}.' for verdict, names in by_verdict.items()]
    return " ".join(told)


def in_words(interval: Sequence[float | None]) -> str:
    """A mean with its interval, such as "+0.12 [0.04, 0.2]"."""
    mean, low, high = interval
    if mean is None or not np.isfinite(mean):
        return "not measured"
    return f"{mean:+.2g} [{low:.2g}, {high:.2g}]"
