"""Simulation: ten kinds of galaxy, their neighbours and the survey's camera, by a recipe for each class.

In come a number of galaxies and a seed.
Out goes a file of the Galaxy10 format with the true parameters of every galaxy.

Needs GalSim (`pip install 'galaxylib[simulate]'`), which is imported only here.
"""

from galaxylib.errors import GalaxyError

try:
    import galsim as _  # noqa: F401
except ModuleNotFoundError as fault:
    raise GalaxyError(
        "Galaxies are drawn with GalSim, which is not installed: run `pip install galsim`, which compiles it "
        "with a C++ compiler and FFTW where there is no wheel, as for Linux on ARM."
    ) from fault

from galaxylib.simulate.dataset import VERSION, class_counts, simulate
from galaxylib.simulate.drawing import TRUTH_COLUMNS, draw

__all__ = ["TRUTH_COLUMNS", "VERSION", "class_counts", "draw", "simulate"]
