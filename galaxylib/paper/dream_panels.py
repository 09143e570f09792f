"""Many dreams beside each other: every stage, every class, and what the numbers say about them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor, nn

from galaxylib.data.preprocessing import Preprocess
from galaxylib.dream.dreaming import Dream, dream_batch
from galaxylib.dream.images import Prior
from galaxylib.dream.measures import (
    describe,
    footprint,
    measure_change,
    objective_value,
    probabilities,
)
from galaxylib.dream.objectives import Objective, layer
from galaxylib.dream.settings import Settings
from galaxylib.networks.dmagnet import STAGES
from galaxylib.paper.progress import steps

DREAMT = STAGES[:-1]
"""The stages of the paper's Figure 3: all but the head."""


def dreams(
    network: nn.Module,
    images: Tensor,
    objectives: Mapping[str, Objective],
    *,
    settings: Settings,
    preprocess: Preprocess,
    seed: int,
    batch: int = 5,
) -> dict[str, list[Dream]]:
    """Each objective on each image (N, 3, H, W), by the objective's name; all with the same shifts."""
    made: dict[str, list[Dream]] = {}
    for name, objective in steps(objectives.items(), label=lambda one: f"dreams on {one[0]}"):
        made[name] = []
        for first in range(0, len(images), batch):
            made[name] += dream_batch(
                network,
                images[first : first + batch],
                [objective],
                settings=settings,
                preprocess=preprocess,
                seed=seed,
            )
    return made


def stage_objectives(stages: Sequence[str] = DREAMT) -> dict[str, Objective]:
    """The paper's objective, the mean square, for each stage."""
    return {name: layer(name) for name in stages}


def measured(
    made: Mapping[str, Sequence[Dream]],
    references: Tensor,
    *,
    network: nn.Module,
    preprocess: Preprocess,
    measure: bool = True,
    temperature: float = 1.0,
) -> pd.DataFrame:
    """One row a dream.

    Args:
        made: dreams by the objective's name, in the order of the references.
        references: (N, 3, H, W), the images through the protocol without its steps.
        network: the network that dreamed them.
        preprocess: that network's own.
        measure: the morphology too, which takes statmorph about half a second an image.
        temperature: of the network's probabilities.

    Returns:
        columns `objective, galaxy`, those of `measure_change`, those of `describe` with `_before` and
        without, `gain` (the objective after over before), the network's probability of the class that it saw
        before (`probability_before`, `probability_after`), and the change of every class's probability:
        `change_0`, `change_1`, ... by the class's number.
    """
    prior = Prior.load()
    pictures = references.permute(0, 2, 3, 1).double().numpy()
    masks = [footprint(picture) for picture in pictures]
    before = [
        describe(picture, mask, prior=prior, measure=measure)
        for picture, mask in zip(pictures, masks, strict=True)
    ]
    seen = probabilities(network, references, preprocess=preprocess, temperature=temperature)
    rows = []
    for name, dreams_of in made.items():
        images = torch.stack([dream.image for dream in dreams_of])
        objective = Objective.from_dict(dreams_of[0].record["objective"]["terms"])
        value, value_before = (
            objective_value(network, batch, objective, preprocess=preprocess)
            for batch in (images, references)
        )
        after = probabilities(network, images, preprocess=preprocess, temperature=temperature)
        for index, image in enumerate(images.permute(0, 2, 3, 1).double().numpy()):
            top = int(seen[index].argmax())
            found = describe(image, masks[index], prior=prior, measure=measure)
            rows.append(
                {"objective": name, "galaxy": index}
                | measure_change(image, pictures[index], mask=masks[index])
                | found
                | {f"{key}_before": value for key, value in before[index].items()}
                | {
                    "gain": float(value[index] / value_before[index]),
                    "probability_before": float(seen[index, top]),
                    "probability_after": float(after[index, top]),
                }
                | {f"change_{c}": float(change) for c, change in enumerate(after[index] - seen[index])}
            )
    return pd.DataFrame(rows)


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 % interval over galaxies, and over random networks where there are several.

    Student's half-widths of the means over galaxies and over networks are added in squares, for another draw
    of either would move the mean.

    Args:
        values: (galaxies,) or (networks, galaxies); a galaxy with a value that is not finite is left out.

    Returns:
        the mean, and the lower and upper end; NaN for the ends where there are fewer than two galaxies.
    """
    values = np.atleast_2d(values)
    values = values[:, np.isfinite(values).all(axis=0)]
    if not values.size:
        return float("nan"), float("nan"), float("nan")
    mean, half = float(values.mean()), float("nan")
    if values.shape[1] >= 2:
        halves = [
            float(stats.sem(one) * stats.t.ppf(0.975, len(one) - 1))
            for one in (values.mean(axis=0), values.mean(axis=1))
            if len(one) > 1
        ]
        half = float(np.linalg.norm(halves))
    return mean, mean - half, mean + half


def trend(tables: Sequence[pd.DataFrame], column: str) -> pd.DataFrame:
    """One measure over the stages, with the intervals of `interval`.

    Args:
        tables: measures of the same dreams by each of some networks.
        column: the measure.

    Returns:
        a row a stage, in the tables' order: `mean`, `low`, `high`.
    """
    stages = tables[0]["objective"].unique()
    found = [interval(np.stack([_by_galaxy(table, stage, column) for table in tables])) for stage in stages]
    return pd.DataFrame(found, index=stages, columns=["mean", "low", "high"])


def verdicts(trained: pd.DataFrame, controls: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The paper's words about its dreams (section 5.1) as numbers.

    Args:
        trained: measures of the stages' dreams by the trained network.
        controls: of the same dreams by each network with random weights.

    Returns:
        a row a claim: `name, claim, measure, value, low, high, threshold, control, holds`. `value` is a mean
        over galaxies with its 95 % interval; where the claim compares, it is a difference, over galaxies and
        random networks. It should lie above `threshold`. `control` is the same measure of the random
        networks; `holds` is "yes", "no" or "open" (the interval holds the threshold).
    """
    blocks = [name for name in DREAMT if name.startswith("dma")]

    def deeper(table: pd.DataFrame) -> np.ndarray:
        rest = np.mean([_by_galaxy(table, name, "change_frequency") for name in (*blocks, "lam")], axis=0)
        return _by_galaxy(table, "stem", "change_frequency") - rest

    def motifs(table: pd.DataFrame) -> np.ndarray:
        return np.mean([_by_galaxy(table, name, "motif") for name in blocks], axis=0)

    def lam(column: str) -> tuple[np.ndarray, np.ndarray]:
        others = [_by_galaxy(table, "lam", column) for table in controls]
        return _by_galaxy(trained, "lam", column), np.stack(others)

    (inside, random_inside), (focus, random_focus) = lam("inside_share"), lam("focus")
    random_motifs = np.stack([motifs(table) for table in controls])
    tests = [
        (
            "stem_frequency_excess",
            "Stem: high-frequency, more than deeper stages",
            "mean frequency of the change, stem minus the others (cycles per width)",
            deeper(trained),
            np.stack([deeper(table) for table in controls]),
            0.0,
        ),
        (
            "dma_motif_excess",
            "DMA blocks: repeating motifs, more than untrained",
            "second maximum of the change's autocorrelation, trained minus random",
            motifs(trained) - random_motifs,
            random_motifs,
            0.0,
        ),
        (
            "lam_centre_excess",
            "LAM: concentrated on the galaxy, more than untrained",
            "share of the change inside the footprint over its share of the image, trained minus random",
            focus - random_focus,
            random_focus,
            0.0,
        ),
        (
            "lam_inside_share",
            "LAM: background largely suppressed",
            "share of the squared change inside the footprint",
            inside,
            random_inside,
            0.5,
        ),
    ]
    rows = []
    for name, claim, measure, values, others, threshold in tests:
        mean, low, high = interval(values)
        holds = "yes" if low > threshold else "no" if high < threshold else "open"
        rows.append(
            {
                "name": name,
                "claim": claim,
                "measure": measure,
                "value": mean,
                "low": low,
                "high": high,
                "threshold": threshold,
                "control": interval(others)[0],
                "holds": holds,
            }
        )
    return pd.DataFrame(rows)


def _by_galaxy(table: pd.DataFrame, objective: str, column: str) -> np.ndarray:
    """(N,) one measure of the dreams of one objective."""
    return table[table["objective"] == objective].sort_values("galaxy")[column].to_numpy(float)
