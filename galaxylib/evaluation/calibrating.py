"""A trained network's confidence, made honest: its temperature, and what its training's images are like."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
from galaxylib.data.in_memory import InMemory
from galaxylib.errors import DataError
from galaxylib.evaluation.calibration import fit_temperature
from galaxylib.evaluation.judge import look_at_rows
from galaxylib.evaluation.unlike import Reference, first_and_last
from galaxylib.networks.checkpoint import Loaded


def calibrated(
    loaded: Loaded,
    data: Galaxy10,
    rows: Sequence[int] | np.ndarray,
    *,
    temperature: float | None = None,
    alike: np.ndarray | None = None,
    symmetries: bool = False,
    batch_size: int = 64,
    progress: bool = False,
) -> Loaded:
    """The same network with a temperature and a reference measured on galaxies that it was not trained on.

    The temperature is fitted to the file's labels, unless one is given; the reference takes the images only.
    A former temperature or reference is ignored.

    Args:
        loaded: the network; it is left as it is.
        data: the file.
        rows: which galaxies, none of them trained on; a few hundred make a good reference.
        temperature: one measured elsewhere, taken as it is.
        alike: (M, 256, 256, 3) uint8, more images without labels that shall count as like the training's.
        symmetries: fit the temperature to probabilities averaged over the eight views of each image.
        batch_size: images at once.
        progress: show a progress bar.

    Raises:
        DataError: there are too few galaxies, a row is not in the file, or a galaxy is of a class that the
            network does not know.
        CheckpointError: the network has no stage that a reference could be measured at.
        GalaxyError: the memory does not suffice, or the network cannot read images of that size.
    """
    name = loaded.meta.get("network", "")
    stages = first_and_last(loaded.network, name, size=loaded.preprocess.size)
    labels = data.labels[np.asarray(rows, dtype=np.int64)]
    columns = {name: number for number, name in enumerate(loaded.class_names)}
    unknown = next((CLASS_NAMES[label] for label in labels if CLASS_NAMES[label] not in columns), None)
    if unknown is not None:
        raise DataError(
            f"The network knows the classes {', '.join(loaded.class_names)}, but a galaxy is {unknown!r}: "
            "calibrate with galaxies of the classes that it was trained on."
        )
    look = partial(
        look_at_rows,
        loaded.network,
        preprocess=loaded.preprocess,
        stages=stages,
        batch_size=batch_size,
        progress=progress,
    )
    looks = look(data, rows, symmetries=symmetries)
    numbers = looks.stages
    if alike is not None:
        others = look(InMemory(alike, np.zeros(len(alike), np.int64)), np.arange(len(alike))).stages
        numbers = {stage: np.concatenate([one, others[stage]]) for stage, one in numbers.items()}
    reference = Reference.fit(numbers)
    if temperature is None:
        truth = np.array([columns[CLASS_NAMES[label]] for label in labels])
        temperature = fit_temperature(looks.answers, truth)
    return replace(loaded, temperature=temperature, reference=reference.to_arrays())
