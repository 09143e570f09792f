"""The executable paper of DMAGNet: galaxies sorted into ten classes, and dreamed.

    >>> from galaxylib import DMAGNet
    >>> network = DMAGNet()          # the paper's network, 23,820,811 parameters

Names are imported when first used, so that `import galaxylib` itself is instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from galaxylib.checkpoint import load
    from galaxylib.dmagnet import DMAGNet
    from galaxylib.errors import GalaxyError
    from galaxylib.galaxy10 import CLASS_NAMES, Galaxy10

__version__ = "0.1.0"

_HOMES = {
    "CLASS_NAMES": "galaxy10",
    "DMAGNet": "dmagnet",
    "Galaxy10": "galaxy10",
    "GalaxyError": "errors",
    "load": "checkpoint",
}

__all__ = ["CLASS_NAMES", "DMAGNet", "Galaxy10", "GalaxyError", "load"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"galaxylib.{_HOMES[name]}"), name)
    raise AttributeError(f"galaxylib has no {name!r}: it offers {', '.join(__all__)}.")
