"""Dreams: an image changed until chosen parts of a network respond as strongly as they can.

In come a network, an image and an objective.
Out goes the image with the record of how it was made, and measures of what it changed.

>>> import galaxylib
>>> from galaxylib.dream import PAPER_DREAM, dream, layer, read_image
>>> loaded = galaxylib.load("pretrained")
>>> made = dream(loaded.network, read_image("galaxy.png"), layer("lam"), settings=PAPER_DREAM.to(256),
...              preprocess=loaded.preprocess)
>>> made.save("dream.png")
"""

from galaxylib.data.images import read_image
from galaxylib.dream.ascent import Step
from galaxylib.dream.dreaming import Dream, dream, dream_batch
from galaxylib.dream.film import save_film
from galaxylib.dream.images import Prior
from galaxylib.dream.objectives import (
    Objective,
    caricature,
    channel,
    concept,
    direction,
    diversity,
    layer,
    logit,
    near,
    neuron,
    parse,
)
from galaxylib.dream.settings import PAPER_DREAM, Settings

__all__ = [
    "PAPER_DREAM",
    "Dream",
    "Objective",
    "Prior",
    "Settings",
    "Step",
    "caricature",
    "channel",
    "concept",
    "direction",
    "diversity",
    "dream",
    "dream_batch",
    "layer",
    "logit",
    "near",
    "neuron",
    "parse",
    "read_image",
    "save_film",
]
