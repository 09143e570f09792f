"""How a network is trained: every setting in one frozen dataclass, and the recipes that this project uses.

The same fields are the papermill parameters of the training chapter and the options of `galaxylib train`, and
a checkpoint records them all.
"""

import re
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any, Self

from galaxylib.errors import GalaxyError, Range

CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": ("adamw", "adam", "rmsprop"),
    "schedule": ("one_cycle", "plateau", "constant"),
    "best_by": ("loss", "accuracy"),
    "keep": ("best", "last"),
    "statistics": ("training", "both", "companions"),
    "precision": ("auto", "float32", "bfloat16", "float16"),
}
"""What a setting in words may be."""

OF_COMPANIONS = ("companions", "companion_weight", "statistics")
"""Settings that mean something only where images of other surveys are given."""


def _setting(default: Any, meaning: str, *, least: float | None = None, most: float | None = None) -> Any:
    limits = None if least is None else Range(least, most, whole=isinstance(default, int))
    return field(default=default, metadata={"help": meaning, "range": limits})


def _choice(name: str, default: str, meaning: str) -> Any:
    return _setting(default, f"{meaning}: {', '.join(CHOICES[name])}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of a training run; the defaults are the paper's.

    Source: the published code of DMAGNet (the paper prints only the split and the augmentation). It builds
    AdamW with betas (0.9, 0.999), but its one-cycle schedule swings the first one between 0.95 and 0.85
    (`cycle_momentum`, PyTorch's default). The learning rate climbs from `learning_rate` / 25 to
    `learning_rate` over the first 30 % of the steps and falls to `learning_rate` / 25,000, step by step.
    After `epochs` comes a second round of `more_epochs` with a fresh optimiser and the same schedule, from
    the weights with the lowest validation loss.

    Raises:
        GalaxyError: a value has the wrong type or is out of range; the sentence names the field.
    """

    network: str = _setting("dmagnet", "which network; galaxylib.networks.registry.NETWORKS lists them")
    options: dict = field(
        default_factory=dict,
        metadata={"help": "the network's own options by name", "range": None},
    )
    width: float = _setting(1.0, "factor on DMAGNet's channels; 1 is the paper", least=0.03, most=4)
    dropout: float = _setting(0.3, "dropout in DMAGNet's head", least=0, most=0.99)
    size: int = _setting(256, "side of the image that the network sees, pixels", least=32, most=1024)
    crop: int = _setting(
        256, "side of the centre that is cut out before resizing, pixels", least=32, most=256
    )
    growth: str = _setting("", "smaller centres first, as 'pixels x epochs', such as '128x6, 192x5'")
    epochs: int = _setting(140, "passes over the training images", least=1, most=100_000)
    more_epochs: int = _setting(
        40, "passes of the second round, from the weights kept; 0 for none", least=0, most=100_000
    )
    batch_size: int = _setting(64, "images a step, over all devices together", least=1, most=65_536)
    accumulate: int = _setting(
        1, "parts in which a device works through its share of a batch", least=1, most=65_536
    )
    optimizer: str = _choice("optimizer", "adamw", "what follows the gradient")
    schedule: str = _choice("schedule", "one_cycle", "how the learning rate goes")
    learning_rate: float = _setting(5e-4, "highest learning rate", least=0, most=10)
    more_learning_rate: float = _setting(
        0.0, "highest learning rate of the second round; 0: that of the first", least=0, most=10
    )
    warm_up: float = _setting(
        0.3, "one cycle: share of the steps in which the learning rate climbs", least=0, most=0.99
    )
    cycle_momentum: bool = _setting(True, "one cycle: swing the first beta between 0.95 and 0.85")
    plateau: int = _setting(
        4, "plateau: epochs without a lower loss before the rate is divided by 10", least=1, most=100_000
    )
    weight_decay: float = _setting(1e-2, "AdamW's weight decay", least=0, most=10)
    averaging: float = _setting(
        0.0,
        "decay a step of the moving average of the weights, which is then kept; 0: none",
        least=0,
        most=0.99999,
    )
    label_smoothing: float = _setting(0.1, "share of the target spread over all classes", least=0, most=1)
    gradient_norm: float = _setting(1.0, "longest gradient, clipped above; 0 for no limit", least=0, most=1e6)
    rotate: float = _setting(180.0, "augmentation: largest rotation either way, degrees", least=0, most=180)
    quarter_turns: bool = _setting(False, "augmentation: rotate by multiples of 90 degrees only")
    flip: float = _setting(0.5, "augmentation: probability of each flip", least=0, most=1)
    brightness: float = _setting(0.1, "augmentation: largest change of brightness, share", least=0, most=1)
    contrast: float = _setting(0.1, "augmentation: largest change of contrast, share", least=0, most=1)
    jitter: float = _setting(
        0.0,
        "augmentation: strength of zoom, colour, blur and noise; 1 as for the shipped networks",
        least=0,
        most=2,
    )
    companions: int = _setting(
        0, "images of other surveys a step beside the batch, over all devices", least=0, most=65_536
    )
    companion_weight: float = _setting(1.0, "factor on the companions' loss", least=0, most=1000)
    statistics: str = _choice(
        "statistics", "training", "images that BatchNorm's kept statistics are measured on"
    )
    best_by: str = _choice("best_by", "loss", "which validation figure tells the best epoch")
    patience: int = _setting(
        0, "stop after so many epochs without a better one; 0: never", least=0, most=100_000
    )
    keep: str = _choice("keep", "best", "which epoch's weights stay")
    precision: str = _choice("precision", "auto", "arithmetic; auto asks the hardware")
    seed: int = _setting(
        0, "of the first weights, the order, the augmentation and dropout", least=0, most=2**63 - 1
    )

    def __post_init__(self) -> None:
        for setting in fields(self):
            _check(setting, getattr(self, setting.name))
        if self.batch_size % self.accumulate:
            raise GalaxyError(
                f"A batch of {self.batch_size} images does not divide into {self.accumulate} equal parts: "
                "choose `accumulate` so that it divides `batch_size`."
            )
        self.stages()

    def but(self, **changes: Any) -> Self:
        """The same recipe with some settings changed.

        Raises:
            GalaxyError: there is no such setting, or a value is out of range.
        """
        unknown = sorted(set(changes) - {setting.name for setting in fields(self)})
        if unknown:
            raise GalaxyError(
                f"A recipe has no setting {unknown[0]!r}: its settings are "
                f"{', '.join(setting.name for setting in fields(self))}."
            )
        return replace(self, **changes)

    @property
    def needs_validation(self) -> bool:
        """Whether anything in the training looks at the validation figures."""
        return self.keep == "best" or self.patience > 0 or self.schedule == "plateau"

    @property
    def needs_companions(self) -> bool:
        """Whether the training looks at images of other surveys: in its steps, or for statistics alone."""
        return self.companions > 0 or self.statistics != "training"

    def network_options(self) -> dict[str, Any]:
        """What the network is built with besides its name: `options`, and DMAGNet's width and dropout."""
        own = {"width": self.width, "dropout": self.dropout} if self.network == "dmagnet" else {}
        return own | self.options

    def stages(self) -> list[tuple[int, int]]:
        """The sizes of the images that the first round trains on, each with its epochs; `size` comes last.

        Raises:
            GalaxyError: `growth` is of another form, or its epochs leave none for the full size.
        """
        found = []
        for part in filter(None, (part.strip() for part in self.growth.split(","))):
            numbers = re.fullmatch(r"(\d{1,4}) *x *(\d{1,6})", part)
            if not (numbers and 32 <= int(numbers[1]) <= self.size):
                raise GalaxyError(
                    f"The recipe's growth {self.growth!r} is not of the form '128x6, 192x5' with sizes from "
                    f"32 to {self.size} pixels: mend {part!r}."
                )
            found.append((int(numbers[1]), int(numbers[2])))
        left = self.epochs - sum(epochs for _, epochs in found)
        if left < 1:
            raise GalaxyError(
                f"The recipe's growth {self.growth!r} leaves none of its {self.epochs} epochs for images of "
                f"{self.size} pixels: give more epochs."
            )
        return [*found, (self.size, left)]

    def view(self, epoch: int) -> tuple[int, int]:
        """Size and crop of the training images of an epoch, counted from 0 over both rounds.

        A smaller image is the centre of the full one, so that a galaxy keeps its scale.
        """
        done = 0
        for size, epochs in self.stages():
            done += epochs
            if epoch < done:
                return size, round(self.crop * size / self.size)
        return self.size, self.crop

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON has them."""
        return asdict(self)


def _check(setting: "Field[Any]", value: Any) -> None:
    """Refuse a value of another type or out of range; a whole number may stand for a float."""
    kinds = (int, float) if setting.type is float else (setting.type,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and setting.type is not bool):
        raise GalaxyError(
            f"The recipe's {setting.name} is {value!r}: give a value of type {setting.type.__name__} "
            f"({setting.metadata['help']})."
        )
    if setting.name in CHOICES and value not in CHOICES[setting.name]:
        raise GalaxyError(
            f"The recipe's {setting.name} is {value!r}: choose one of {', '.join(CHOICES[setting.name])}."
        )
    limits = setting.metadata["range"]
    if limits is not None and value not in limits:
        raise GalaxyError(
            f"The recipe's {setting.name} is {value}: choose a value {limits} ({setting.metadata['help']})."
        )


PAPER_RECIPE = Recipe()
"""The paper's: 23.8 million parameters, 256 pixels, 140 + 40 epochs. Meant for a GPU."""

QUICK = Recipe(
    width=0.25,
    size=64,
    crop=192,
    epochs=10,
    more_epochs=0,
    batch_size=32,
    learning_rate=2e-3,
)
"""For two cores and a few minutes."""

PRETRAINED_RECIPE = Recipe(
    growth="128x6, 192x5",
    epochs=14,
    more_epochs=0,
    batch_size=128,
    learning_rate=1.5e-3,
    warm_up=0.2,
    weight_decay=0.05,
    averaging=0.998,
    brightness=0.0,
    contrast=0.0,
    jitter=1.0,
    keep="last",
)
"""The full network from nothing: 48,000 simulated galaxies take seven minutes on an H200.

The networks that come with the book went on from such runs, on two cores: each card gives the changes.
"""

SMALL_RECIPE = PRETRAINED_RECIPE.but(
    width=0.1875, size=128, growth="64x6, 96x6", epochs=18, batch_size=64, learning_rate=2e-3
)
"""The small one from nothing, for pages and slow machines: 32,000 galaxies take 45 minutes on one core."""

REAL_RECIPE = PRETRAINED_RECIPE.but(companions=64, statistics="both")
"""The full network taught by real galaxies too: labels of other surveys beside the simulated images."""

REAL_SMALL_RECIPE = SMALL_RECIPE.but(companions=64, statistics="both")
"""The small network taught by real galaxies too."""

TAILORED_RECIPE = Recipe(
    network="gz_resnet18",
    size=80,
    crop=80,
    epochs=25,
    more_epochs=0,
    schedule="plateau",
    learning_rate=1e-3,
    weight_decay=0.0,
    label_smoothing=0.0,
    gradient_norm=0.0,
    brightness=0.0,
    contrast=0.0,
    keep="last",
)
"""The tailored ResNet-18 of Galaxy Zoo 2's votes (seed 004, section 5): rotation, flips, a plateau schedule.

The seed prints a learning rate for its CNN only.
"""

RESNET_RECIPE = TAILORED_RECIPE.but(schedule="constant", epochs=15, rotate=0.0, flip=0.0)
"""The ResNet-18 of seed 004, section 4, as it is."""

CNN_RECIPE = RESNET_RECIPE.but(network="gz_cnn", batch_size=256)
"""The three-layer CNN of seed 004, section 3."""

ZOO2_RECIPE = TAILORED_RECIPE.but(epochs=45, schedule="one_cycle", warm_up=0.1, weight_decay=0.02)
"""The network of votes that comes with the book: real galaxies, without the fixed held-out fifth."""

RECIPES = {
    "paper": PAPER_RECIPE,
    "quick": QUICK,
    "pretrained": PRETRAINED_RECIPE,
    "small": SMALL_RECIPE,
    "real": REAL_RECIPE,
    "real-small": REAL_SMALL_RECIPE,
    "zoo2": ZOO2_RECIPE,
}
