"""How well networks trained on simulated galaxies know real ones, as a benchmark measured it beforehand."""

from typing import Any

import pandas as pd

JUDGED_ON = {
    "real": "real images",
    "real_by_the_seeds_together": "real images, the networks' mean",
    "real_with_batchnorm_adapted": "real images, BatchNorm adapted to them without labels",
    "in_domain": "simulated images, held out",
}
"""The parts of the benchmark's result, and what the table calls them."""


def accuracy_table(result: dict[str, Any] | None) -> pd.DataFrame:
    """Accuracy of the networks on each kind of image, as text.

    Args:
        result: the content of `benchmarks/results/sim_to_real.json`; `None` where it was not measured.

    Returns:
        a row for each part of `JUDGED_ON`, with the columns `images`, `accuracy`, `95 % interval` and
        `weakest class` (the one with the lowest recall); dashes where the result has no such part.
    """
    lines = {}
    for part, words in JUDGED_ON.items():
        if result and part in result:
            scores = result[part]
            low, high = scores["wilson_95"]
            weakest = min(scores["recall"], key=scores["recall"].get)
            lines[words] = {
                "images": str(scores["n"]),
                "accuracy": f"{scores['accuracy']:.1%}",
                "95 % interval": f"{low:.1%} to {high:.1%}",
                "weakest class": f"{weakest}, recall {scores['recall'][weakest]:.0%}",
            }
        else:
            lines[words] = {
                "images": "-",
                "accuracy": "not measured",
                "95 % interval": "-",
                "weakest class": "-",
            }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("judged on")
