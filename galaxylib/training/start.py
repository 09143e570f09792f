"""The first weights of a training taken from a checkpoint: a run that goes on where another ended."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from galaxylib.errors import CheckpointError
from galaxylib.networks.checkpoint import Loaded, load
from galaxylib.networks.registry import entry
from galaxylib.training.recipes import Recipe


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """Weights to begin with, and where they come from.

    Attributes:
        name: of the checkpoint: its folder's last part, or "pretrained" and the like.
        sha256: of the checkpoint's weights.
        weights: by name, float32.
        about: what the checkpoint tells of the images that made it: `data`, its split, `companions` if it had
            any, and the trainings whose mean it is.
    """

    name: str
    sha256: str
    weights: Mapping[str, Tensor]
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, start: Loaded | str | Path, recipe: Recipe, *, class_names: Sequence[str]) -> Self:
        """Take the weights of a checkpoint that fits a recipe.

        Args:
            start: a checkpoint already loaded, its folder, or the name of one that comes with the book.
            recipe: its network and options must be the checkpoint's.
            class_names: of the outputs, which must be the checkpoint's too.

        Raises:
            CheckpointError: there is no whole checkpoint, or it holds another network, other options or other
                classes.
        """
        loaded = start if isinstance(start, Loaded) else load(start, own_network=recipe.network)
        name = "loaded" if isinstance(start, Loaded) else Path(start).resolve().name
        fits = (
            ("network", loaded.meta["network"], recipe.network),
            ("class names", list(loaded.class_names), list(class_names)),
        )
        for what, found, wanted in fits:
            _same(name, what, found, wanted)
        whole = _defaults(recipe.network) | {"classes": len(class_names)}
        found, wanted = whole | _plain(loaded.meta["options"]), whole | _plain(recipe.network_options())
        for option in sorted(found | wanted):
            _same(name, f"option {option}", found.get(option), wanted.get(option))
        known = ("data", "split_fingerprint", "companions", "averaged_with")
        about = {key: loaded.meta[key] for key in known if key in loaded.meta}
        return cls(name=name, sha256=loaded.meta["sha256"], weights=loaded.network.state_dict(), about=about)

    def description(self) -> dict[str, Any]:
        """What the new checkpoint tells of its first weights."""
        return {"name": self.name, "sha256": self.sha256, **self.about}


def _same(name: str, what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise CheckpointError(
            f"The first weights cannot come from {name}: its {what} is {found!r}, the recipe's {wanted!r}, "
            "so give a checkpoint of the same network, or change the recipe."
        )


def _defaults(network: str) -> dict[str, Any]:
    """What a network's builder takes where nothing is said: older checkpoints do not name every option."""
    known = inspect.signature(entry(network).builder).parameters.values()
    return _plain({one.name: one.default for one in known if one.default is not one.empty})


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as JSON gives them back."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
