"""How a network is trained: every setting in one frozen dataclass, with the paper's values and quick ones.

The same fields are the papermill parameters of the training chapter and the options of `galaxylib train`, and
a checkpoint records them all.
"""

from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any, Self

from galaxylib.errors import GalaxyError

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


def _setting(default: Any, meaning: str, *, least: float | None = None, most: float | None = None) -> Any:
    return field(default=default, metadata={"help": meaning, "least": least, "most": most})


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

    network: str = _setting("dmagnet", "which network; `galaxylib.networks.registry.NETWORKS` lists them")
    width: float = _setting(1.0, "factor on DMAGNet's channels; 1 is the paper", least=0.03, most=4)
    size: int = _setting(256, "side of the image that the network sees, pixels", least=32, most=1024)
    crop: int = _setting(
        256, "side of the centre that is cut out before resizing, pixels", least=32, most=256
    )
    epochs: int = _setting(140, "passes over the training images", least=1)
    more_epochs: int = _setting(40, "passes of the second round, from the best weights; 0 for none", least=0)
    batch_size: int = _setting(64, "images a step, over all devices together", least=1)
    accumulate: int = _setting(1, "parts in which a device works through its share of a batch", least=1)
    learning_rate: float = _setting(5e-4, "highest learning rate of the one-cycle schedule", least=0)
    warm_up: float = _setting(0.3, "share of the steps in which the learning rate climbs", least=0, most=1)
    cycle_momentum: bool = _setting(True, "swing AdamW's first beta between 0.95 and 0.85")
    weight_decay: float = _setting(1e-2, "AdamW's weight decay", least=0)
    label_smoothing: float = _setting(0.1, "share of the target spread over all classes", least=0, most=1)
    gradient_norm: float = _setting(1.0, "longest gradient, clipped above; 0 for no limit", least=0)
    dropout: float = _setting(0.3, "dropout in DMAGNet's head", least=0, most=0.99)
    rotate: float = _setting(180.0, "augmentation: largest rotation either way, degrees", least=0, most=180)
    flip: float = _setting(0.5, "augmentation: probability of each flip", least=0, most=1)
    brightness: float = _setting(0.1, "augmentation: largest change of brightness, share", least=0, most=1)
    contrast: float = _setting(0.1, "augmentation: largest change of contrast, share", least=0, most=1)
    patience: int = _setting(
        0, "stop after so many epochs without a better validation loss; 0: never", least=0
    )
    precision: str = _setting("auto", "arithmetic: " + ", ".join(PRECISIONS) + "; auto asks the hardware")
    seed: int = _setting(0, "of the first weights, the order, the augmentation and dropout", least=0)

    def __post_init__(self) -> None:
        for setting in fields(self):
            _check(setting, getattr(self, setting.name))
        if self.precision not in PRECISIONS:
            raise GalaxyError(
                f"The recipe's precision is {self.precision!r}: choose one of {', '.join(PRECISIONS)}."
            )
        if self.batch_size % self.accumulate:
            raise GalaxyError(
                f"A batch of {self.batch_size} images does not divide into {self.accumulate} equal parts: "
                "choose `accumulate` so that it divides `batch_size`."
            )

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

    def options(self) -> dict[str, Any]:
        """What the network is built with besides its name: width and dropout are DMAGNet's own."""
        return {"width": self.width, "dropout": self.dropout} if self.network == "dmagnet" else {}

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
    least, most = setting.metadata["least"], setting.metadata["most"]
    # `not >=` also refuses a value that is not a number.
    if (least is not None and not value >= least) or (most is not None and not value <= most):
        limits = f"at least {least}" if most is None else f"from {least} to {most}"
        raise GalaxyError(
            f"The recipe's {setting.name} is {value}: choose a value {limits} ({setting.metadata['help']})."
        )


PAPER = Recipe()
"""The paper's: 23.8 million parameters, 256 pixels, 140 + 40 epochs. Meant for a GPU."""

QUICK = Recipe(
    width=0.25,
    size=96,
    crop=192,
    epochs=10,
    more_epochs=0,
    batch_size=32,
    learning_rate=2e-3,
)
"""For two cores and a few minutes."""

RECIPES = {"paper": PAPER, "quick": QUICK}
