"""The library: what all rooms share, and the command line of the executable paper of DMAGNet.

    >>> from galaxylib import DMAGNet
    >>> network = DMAGNet()          # the paper's network, 23,820,811 parameters

Names are imported when first used, so that `import galaxylib` itself is instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from galaxylib.catalogue.run import classify
    from galaxylib.data.galaxy10 import CLASS_NAMES, Galaxy10
    from galaxylib.errors import GalaxyError
    from galaxylib.networks.checkpoint import load
    from galaxylib.networks.dmagnet import DMAGNet

__version__ = "0.1.0"

_HOMES = {
    "CLASS_NAMES": "data.galaxy10",
    "DMAGNet": "networks.dmagnet",
    "Galaxy10": "data.galaxy10",
    "GalaxyError": "errors",
    "classify": "catalogue.run",
    "load": "networks.checkpoint",
}

__all__ = ["CLASS_NAMES", "DMAGNet", "Galaxy10", "GalaxyError", "classify", "load"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"galaxylib.{_HOMES[name]}"), name)
    raise AttributeError(f"galaxylib has no {name!r}: it offers {', '.join(__all__)}.")
