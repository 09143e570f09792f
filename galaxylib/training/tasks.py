"""What a network is trained for: its outputs, the loss of a batch, and the figures of an epoch."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from galaxylib.data.augmentation import sent
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.data.preprocessing import MEAN, STD


class Task(Protocol):
    """What the trainer needs to know of a task.

    Attributes:
        name: as the checkpoint's description has it.
        class_names: of the network's outputs, in their order.
        mean, std: of each channel on the scale 0 to 1, which the images are normalised with.
    """

    name: str
    class_names: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch: (N, C) logits in float32 and the data's labels -> ()."""

    def metrics(self) -> dict[str, Metric]:
        """New metrics by name, each updated with (logits, targets)."""

    def description(self) -> dict[str, Any]:
        """What the checkpoint tells besides, as JSON has it."""


@dataclass(frozen=True, eq=False)
class Classification:
    """One class a galaxy: cross-entropy, accuracy and macro F1.

    Attributes:
        class_names: of the labels 0, 1, 2, ...
        label_smoothing: share of the target that is spread over all classes.
        weights: (C,) factors on the classes' losses; none for equal ones.
    """

    class_names: tuple[str, ...] = CLASS_NAMES
    label_smoothing: float = 0.0
    weights: Tensor | None = None

    name = "galaxy10"
    mean, std = MEAN, STD

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy with smoothed labels, each galaxy weighted by its class."""
        weights = None if self.weights is None else sent(self.weights, logits)
        return F.cross_entropy(logits, targets, weight=weights, label_smoothing=self.label_smoothing)

    def metrics(self) -> dict[str, Metric]:
        """Accuracy, and F1 averaged over the classes."""
        # Labels were checked when they were read; doing so at every step would make a GPU wait.
        kinds = {"num_classes": len(self.class_names), "validate_args": False}
        return {
            "accuracy": MulticlassAccuracy(average="micro", **kinds),
            "macro_f1": MulticlassF1Score(average="macro", **kinds),
        }

    def description(self) -> dict[str, Any]:
        """Nothing that the recipe does not tell."""
        return {}


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """N / (C N_c) for each class (seed 003, equation 2), as scikit-learn has it; 0 for one that is absent.

    Args:
        labels: (N,) class numbers.
        classes: how many there are, C.

    Returns:
        (C,) float64.
    """
    weights = np.zeros(classes)
    present = np.unique(labels)
    weights[present] = compute_class_weight("balanced", classes=present, y=labels)
    return weights * len(present) / classes
