"""Ten kinds of galaxy drawn into the format of Galaxy10 DECaLS: the light, the classes, the survey's camera.

Needs GalSim (`pip install 'galaxylib[simulate]'`), which is imported only here.
"""

from galaxylib.simulate.drawing import TRUTH_COLUMNS, draw
from galaxylib.simulate.run import VERSION, class_counts, simulate

__all__ = ["TRUTH_COLUMNS", "VERSION", "class_counts", "draw", "simulate"]
