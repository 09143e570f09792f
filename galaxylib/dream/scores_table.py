"""The scores of one dream as a table on the page."""

import torch
from torch import Tensor

from galaxylib.dream.dreaming import Dream
from galaxylib.dream.measures import footprint, measure_change, probabilities, spectrum_distance
from galaxylib.networks.checkpoint import Loaded


def scores_table(made: Dream, before: Tensor, loaded: Loaded) -> str:
    """What a dream changed, as HTML.

    Args:
        made: the dream.
        before: (3, H, W) in [0, 1], the given image at the dream's size.
        loaded: the network that dreamed, whose three probabilities that moved most stand below.
    """
    arrays = [image.permute(1, 2, 0).double().numpy() for image in (made.image, before)]
    found = measure_change(*arrays, mask=footprint(arrays[1]))
    values = made.record["values"]
    rows = {
        "objective": f"{values[0]:.4g} to {values[-1]:.4g}",
        "size of the change": f"{found['change_rms']:.3f}",
        "its share inside the galaxy": f"{found['inside_share']:.0%}",
        "spectrum's distance from galaxies'": " to ".join(
            f"{spectrum_distance(array):.2f}" for array in arrays[::-1]
        )
        + " dex",
    }
    chances = probabilities(
        loaded.network,
        torch.stack([before, made.image]),
        preprocess=loaded.preprocess,
        temperature=loaded.temperature,
    )
    for number in (chances[1] - chances[0]).abs().argsort(descending=True)[:3].tolist():
        low, high = chances[:, number].tolist()
        rows[f"probability of {loaded.class_names[number]}"] = f"{low:.1%} to {high:.1%}"
    cells = "".join(
        f"<tr><th scope='row' style='text-align:left'>{name}</th><td>{value}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table><caption>Scores of this dream</caption>{cells}</table>"
