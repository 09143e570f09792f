"""What a checkpoint says of images: probabilities at its temperature, how unlike its training's they are."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from galaxylib.data.loader import Images
from galaxylib.evaluation.judge import Activation, batches_of, look_at_batches, softmax
from galaxylib.evaluation.unlike import Reference
from galaxylib.networks.checkpoint import Loaded


@dataclass(frozen=True)
class Judgement:
    """What a checkpoint says of N images.

    Attributes:
        probabilities: (N, C) float64, at the checkpoint's temperature.
        unlike: (N,) how unlike the images of its training each image is: above 1, more than 95 % of them;
            None where the checkpoint has no reference.
        embedding: (N, D) float32, the mean over the pixels of what a stage gives; None if none was asked for.
    """

    probabilities: np.ndarray
    unlike: np.ndarray | None
    embedding: np.ndarray | None = None


def judge_with(
    loaded: Loaded,
    data: Images,
    rows: Sequence[int] | np.ndarray,
    *,
    symmetries: bool = False,
    batch_size: int = 64,
    progress: bool = False,
) -> Judgement:
    """Let a checkpoint judge rows of a file, or images in memory, as it says that it is to be read.

    Args:
        loaded: the network with its preprocessing, its temperature and its reference.
        data: the images.
        rows: which of them, in which order.
        symmetries: average the probabilities over the eight turns and reflections of each image.
        batch_size: images at once.
        progress: show a progress bar.

    Raises:
        CheckpointError: the checkpoint's reference is damaged, or was measured with another network.
        DataError, GalaxyError: as `look_at_rows`.
    """
    images = batches_of(data, rows, batch_size=batch_size, progress=progress)
    found = list(judge_batches_with(loaded, images, symmetries=symmetries))
    none = np.empty((0, len(loaded.class_names)))
    return Judgement(
        np.concatenate([none, *(judged.probabilities for judged in found)]),
        None
        if loaded.reference is None
        else np.concatenate([none[:, 0], *(judged.unlike for judged in found)]),
    )


def judge_batches_with(
    loaded: Loaded,
    images: Iterable[Tensor],
    *,
    activation: Activation = softmax,
    symmetries: bool = False,
    embedding: str = "",
    precision: str = "float32",
) -> Iterator[Judgement]:
    """Let a checkpoint judge batch after batch, each when it is asked for.

    Args:
        loaded: as in `judge_with`.
        images: batches, (N, H, W, 3) uint8 with N from 1.
        activation: from logits to what is wanted; other than probabilities only at the temperature 1.
        symmetries: average the probabilities over the eight turns and reflections of each image.
        embedding: the stage whose activations' means are wanted too; none if empty.
        precision: as in `judge`.

    Raises:
        CheckpointError, GalaxyError: as `judge_with`.
    """
    reference = None if loaded.reference is None else Reference.from_arrays(loaded.reference)
    stages = dict.fromkeys([*(reference.stages if reference else ()), *([embedding] if embedding else [])])
    for looks in look_at_batches(
        loaded.network,
        images,
        preprocess=loaded.preprocess,
        activation=activation,
        temperature=loaded.temperature,
        symmetries=symmetries,
        stages=tuple(stages),
        precision=precision,
    ):
        yield Judgement(
            looks.answers,
            reference.scores(looks.stages) if reference else None,
            # `pooled` gives means, then deviations.
            np.split(looks.stages[embedding], 2, axis=1)[0] if embedding else None,
        )
