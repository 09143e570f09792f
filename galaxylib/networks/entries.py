"""What the registry says of a network: its source, its recipe, how it wants its images, what it printed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn


@dataclass(frozen=True, kw_only=True)
class PrintedRecipe:
    """How a source says that it trained; `None` where it does not say.

    Attributes:
        optimizer: "adam", "adamw" or "rmsprop".
        learning_rate: the largest learning rate.
        epochs: passes over the training images, at most.
        batch_size: images in a step.
        loss: the loss, in words.
        augmentation: the random changes of training images, in words.
        split: how the images were divided, in words.
    """

    optimizer: str | None = None
    learning_rate: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    loss: str | None = None
    augmentation: str | None = None
    split: str | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One network of the registry.

    Attributes:
        title: the network's name in tables.
        builder: called with `classes=` and the network's own options.
        source: the document that describes it.
        size: pixels a side that the network reads.
        crop: pixels a side of the 256 x 256 image that are kept before resizing to `size`.
        classes: number of outputs in the source.
        rate: highest learning rate under the one-cycle schedule of the comparison; without BatchNorm, the
            deeper the lower. None takes the recipe's.
        smallest: pixels a side down to which a network with a pooling that fits any size may read smaller
            images than it prints; None where it reads one size only.
        larger_batch: so many times the recipe's batch, where weights cost more to update than images to see.
        task: what `galaxylib train` trains it for: "galaxy10", ten classes, or "zoo2", 37 vote fractions.
        stages: submodules in order, those worth dreaming on.
        recipe: how the source trained it.
        printed: figures that the source prints, by name; each a fraction unless its name says otherwise.
        printed_on: the images and the task of those figures.
    """

    title: str
    builder: Callable[..., nn.Module]
    source: str
    size: int
    crop: int
    classes: int = 10
    rate: float | None = None
    smallest: int | None = None
    larger_batch: int = 1
    task: str = "galaxy10"
    stages: tuple[str, ...] = ()
    recipe: PrintedRecipe = field(default_factory=PrintedRecipe)
    printed: Mapping[str, float] = field(default_factory=dict)
    printed_on: str = ""
