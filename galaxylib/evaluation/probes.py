"""Probes: what a stage of a network knows of a true property of galaxies, asked by a linear read-out.

A ridge regression reads the property off the stage's activation, averaged over its places. How much of the
property's variance it explains on galaxies held out counts as knowledge only beyond what two controls
explain: the same network with random weights, and the pixels reduced to as many numbers (Alain & Bengio
2017, "Understanding intermediate layers using linear classifier probes", for the method; Hewitt & Liang 2019
for the need of controls).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional as F

from galaxylib.data.loader import Images
from galaxylib.data.preprocessing import Preprocess
from galaxylib.errors import DataError
from galaxylib.evaluation.intervals import percentiles_95
from galaxylib.evaluation.judge import batches_of, look_at_rows
from galaxylib.networks.concepts import ReadOut

PARAMETERS = (
    "magnitude",
    "colour",
    "half_light_radius",
    "axis_ratio",
    "inclination",
    "sersic_n",
    "bulge_fraction",
    "bar_fraction",
    "bar_length",
    "arm_pitch",
    "arm_count",
    "arm_strength",
    "asymmetry",
    "dust_depth",
    "separation",
    "tail_fraction",
)
"""Properties of drawn galaxies that a picture can show; those of the camera are left out."""

STRENGTHS = np.logspace(-1, 5, 13)
"""Strengths of the ridge to choose from, for standardised features."""
DIVISIONS = 12
"""How many times the galaxies are divided anew into those learned from and those held out."""
HELD_OUT = 0.25
FEWEST = 40
"""Galaxies with a property without which it is not asked for."""
PIXELS_SIDE = 64
"""Pixels a side to which images are brought before their principal components are taken."""

Features = Mapping[str, np.ndarray]
"""For each stage (N, C) float32: the activation of each channel averaged over its places."""


def stage_features(
    network: nn.Module,
    data: Images,
    *,
    preprocess: Preprocess,
    stages: Sequence[str],
    batch_size: int = 32,
    progress: bool = False,
) -> dict[str, np.ndarray]:
    """What each stage gives for each galaxy of `data`, averaged over its places, in one pass; see `Features`.

    Args:
        network: gives logits.
        data: the galaxies.
        preprocess: what an image goes through first.
        stages: dotted names of submodules whose output has places.
        batch_size: images at once.
        progress: show a progress bar.

    Raises:
        CheckpointError, GalaxyError: as `galaxylib.evaluation.judge.look_at_rows`.
    """
    looks = look_at_rows(
        network,
        data,
        np.arange(len(data)),
        preprocess=preprocess,
        stages=stages,
        batch_size=batch_size,
        progress=progress,
    )
    # The judge gives the mean and the deviation of each channel.
    return {name: found[:, : found.shape[1] // 2] for name, found in looks.stages.items()}


def pixel_features(data: Images, count: int, *, preprocess: Preprocess, seed: int = 0) -> np.ndarray:
    """The first `count` principal components of what the network reads, at most one a galaxy: (N, K) float32.

    They are found on all galaxies, the ones held out later included, which favours this control a little.
    """
    batches = batches_of(data, np.arange(len(data)), batch_size=64, progress=False)
    small = [F.interpolate(preprocess(images), PIXELS_SIDE, mode="area").flatten(1) for images in batches]
    pixels = np.concatenate([part.numpy() for part in small])
    kept = min(count, *pixels.shape)
    return PCA(kept, svd_solver="randomized", random_state=seed).fit_transform(pixels).astype(np.float32)


def truth_of(table: pd.DataFrame | None) -> pd.DataFrame:
    """The columns of a drawn file's truth that are asked for: `PARAMETERS` with enough different values.

    Raises:
        DataError: there is no truth, or no property of enough galaxies.
    """
    if table is None:
        raise DataError("The file holds no truth: draw one with `galaxylib simulate`.")
    known = [
        name
        for name in PARAMETERS
        if name in table and table[name].notna().sum() >= FEWEST and table[name].nunique() > 1
    ]
    if not known:
        raise DataError(
            f"No property is known of {FEWEST} galaxies in this file: draw more with `galaxylib simulate`."
        )
    return table[known].astype(np.float64)


def held_out_r2(features: np.ndarray, truth: pd.DataFrame, *, seed: int) -> np.ndarray:
    """The share of each property's variance that a read-out explains on galaxies held out.

    Args:
        features: (N, C).
        truth: (N, P), NaN where a property has no meaning; each is asked of the others.
        seed: of the division into galaxies learned from and held out, the same for any features.

    Returns:
        (P,) R², 1 for all of it, 0 for no better than the mean of those held out.
    """
    found = np.full(truth.shape[1], np.nan)
    for columns, rows in _known_together(truth):
        order = np.random.default_rng([seed, len(rows)]).permutation(rows)
        held, learned = np.split(order, [round(HELD_OUT * len(rows))])
        values = truth.to_numpy()[:, columns]
        model = _ridge().fit(features[learned], values[learned])
        told = model.predict(features[held]).reshape(len(held), -1)
        found[columns] = r2_score(values[held], told, multioutput="raw_values")
    return found


def compare(
    features: Features,
    twins: Sequence[Features],
    pixels: np.ndarray,
    truth: pd.DataFrame,
    *,
    labels: np.ndarray,
) -> dict[str, dict[str, dict[str, Any]]]:
    """How well every stage reads off every property, beside its controls.

    Each division of the galaxies is shared by the network and its controls, and has one of the random
    networks; the gain is over the better control of all divisions, or over the mean where that is better.

    Args:
        features: of the trained network.
        twins: of networks like it with random weights, at least one.
        pixels: (N, K) as `pixel_features` gives them; a stage of C channels is compared with the first C.
        truth: (N, P) as `truth_of` gives it.
        labels: (N,) the true classes, which the network was taught.

    Returns:
        for each stage and property `galaxies`, and for each of "trained", "twin" and "pixels" its R² (`r2`,
        `low`, `high`: the mean and the middle 95 % of the divisions), `control` (the better mean R² of the
        controls, 0 for the mean) and `gain`, `gain_low`, `gain_high`. Beside them the same of "classes", what
        the true class alone tells, and of "within", how much the stage explains among galaxies of one class,
        features and property taken from their class's means: what it knows beyond the class it was taught.
    """
    classes = _over_divisions([np.eye(labels.max() + 1)[labels]], truth)
    within = truth - truth.groupby(labels).transform("mean")
    told: dict[str, dict[str, dict[str, Any]]] = {}
    counts = truth.notna().sum()
    for stage, trained in features.items():
        runs = {"trained": [trained], "twin": [twin[stage] for twin in twins]}
        runs["pixels"] = [pixels[:, : trained.shape[1]]]
        r2 = {name: _over_divisions(of, truth) for name, of in runs.items()}
        inner = trained - pd.DataFrame(trained).groupby(labels).transform("mean").to_numpy()
        r2 |= {"classes": classes, "within": _over_divisions([inner], within)}
        told[stage] = {}
        for number, name in enumerate(truth.columns):
            one: dict[str, Any] = {"galaxies": int(counts[name])}
            one |= {kind: _told(found[number]) for kind, found in r2.items()}
            best = max((r2["twin"][number], r2["pixels"][number], np.zeros(DIVISIONS)), key=np.mean)
            gain = _told(r2["trained"][number] - best)
            one |= {"control": float(best.mean()), "gain": gain["r2"]}
            told[stage][name] = one | {f"gain_{end}": gain[end] for end in ("low", "high")}
    return told


def _over_divisions(several: Sequence[np.ndarray], truth: pd.DataFrame) -> np.ndarray:
    """R² (P, DIVISIONS) of features, or of several sets of them in turn."""
    found = [held_out_r2(several[seed % len(several)], truth, seed=seed) for seed in range(DIVISIONS)]
    return np.stack(found, axis=1)


def read_outs(
    features: Features, truth: pd.DataFrame, compared: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[str, dict[str, ReadOut]]:
    """The read-outs themselves, learned on all galaxies, with the figures that `compare` found.

    A direction is turned back from the standardisation, so that it acts on the activation as it is. A
    property that is not read off better than by the controls gets none.
    """
    found: dict[str, dict[str, ReadOut]] = {}
    for stage, given in features.items():
        vectors, scales, offsets = _directions(given, truth)
        found[stage] = {}
        for number, name in enumerate(truth.columns):
            one = compared[stage][name]
            figures = {key: one[key] for key in ("galaxies", "control", "gain", "gain_low")}
            read_out = ReadOut(**figures, **one["trained"])
            if read_out.reads:
                read_out = ReadOut(
                    **figures,
                    **one["trained"],
                    vector=tuple(vectors[number].tolist()),
                    scale=float(scales[number]),
                    offset=float(offsets[number]),
                )
            found[stage][name] = read_out
    return found


def fitted(features: np.ndarray, values: pd.Series) -> Any:
    """A read-out of one property, learned on (N, C) features of the galaxies that have it.

    Returns:
        scikit-learn's pipeline, whose `predict` gives the property (M,) for other features (M, C).
    """
    known = values.notna().to_numpy()
    return _ridge().fit(features[known], values.to_numpy()[known])


def _directions(features: np.ndarray, truth: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors (P, C) on the features as they are, and by property the scale (P,) and offset (P,)."""
    slopes = np.zeros((truth.shape[1], features.shape[1]))
    offsets = np.zeros(truth.shape[1])
    for columns, rows in _known_together(truth):
        model = _ridge().fit(features[rows], truth.to_numpy()[np.ix_(rows, columns)])
        scaler, ridge = model[0], model[1]
        slopes[columns] = ridge.coef_.reshape(len(columns), -1) / scaler.scale_
        offsets[columns] = ridge.intercept_ - slopes[columns] @ scaler.mean_
    scales = np.linalg.norm(slopes, axis=1)
    return slopes / np.maximum(scales, 1e-300)[:, None], scales, offsets


def _ridge() -> Any:
    """Standardised features, then a ridge whose strength leave-one-out chooses for each property."""
    return make_pipeline(StandardScaler(), RidgeCV(STRENGTHS, alpha_per_target=True))


def _known_together(truth: pd.DataFrame) -> Iterator[tuple[list[int], np.ndarray]]:
    """Columns that are known of the same galaxies, and these galaxies' rows: they share one decomposition."""
    known = truth.notna().to_numpy()
    groups: dict[bytes, list[int]] = {}
    for column in range(known.shape[1]):
        groups.setdefault(known[:, column].tobytes(), []).append(column)
    for columns in groups.values():
        yield columns, np.flatnonzero(known[:, columns[0]])


def _told(values: np.ndarray) -> dict[str, float]:
    """The mean and the middle 95 % of one figure over the divisions."""
    low, high = percentiles_95(values)
    return {"r2": float(values.mean()), "low": low, "high": high}
