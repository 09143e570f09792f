"""Three sentences on what a network knows: in its stages, on real galaxies, and in its dreams."""

import json
from collections.abc import Mapping
from typing import Any

from galaxylib.paper.parameters import repository
from galaxylib.paper.probes import carried_over, spoken, table

RESULTS = ("probes", "concepts_real", "concept_dreams")
"""The benchmarks whose committed results the sentences, and the chapter on concepts, rest on."""
NAMED = ("axis_ratio", "bar_fraction")
"""Properties that the first sentence names: what is known best, and what the classes are called by."""


def read_results() -> dict[str, Any]:
    """The content of each of `RESULTS`, by name."""
    folder = repository("benchmarks/results")
    return {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in RESULTS}


def stages_in_words(probed: Mapping[str, Any], network: str) -> str:
    """What a linear reader finds in the stages, in one sentence.

    Args:
        probed: the content of `benchmarks/results/probes.json`.
        network: one of its networks.
    """
    stages = probed["networks"][network]["stages"]
    parts = []
    for name in NAMED:
        stage = table(probed, network).loc[name].idxmax()
        one = stages[stage][name]
        trained, within = one["trained"], one["within"]
        parts.append(
            f"the {spoken(name)} to {_share(trained)}, where random weights and pixels allow "
            f"{one['control']:.0%}, and to {_share(within)} among galaxies of one class"
        )
    return (
        "On drawn galaxies held out, a linear reader of one stage (its share of the variance, with 95 % "
        f"intervals) finds in “{network}” {'; '.join(parts)}."
    )


def real_in_words(on_real: Mapping[str, Any], network: str) -> str:
    """Which read-outs order real galaxies as volunteers do, each by its best question, in one sentence.

    Args:
        on_real: the content of `benchmarks/results/concepts_real.json`.
        network: one of its networks.
    """
    rows = carried_over(on_real, network)
    held = rows[rows["carries_over"]].sort_values("rho", ascending=False).drop_duplicates("concept")
    named = ", ".join(
        f"{spoken(row.concept)} {row.rho:.2f} [{row.low:.2f}, {row.high:.2f}]" for row in held.itertuples()
    )
    return (
        f"Learned on drawn galaxies alone, {len(held)} of {rows['concept'].nunique()} read-outs of "
        f"“{network}” put {on_real['galaxies']['real']:,} real galaxies into the volunteers' order better "
        f"than chance and random weights do (rank correlation for the question that fits best: "
        f"{named or 'none'})."
    )


def dreams_in_words(dreamed: Mapping[str, Any]) -> str:
    """What dreams along concepts move, in one sentence.

    Args:
        dreamed: the content of `benchmarks/results/concept_dreams.json`.
    """
    concepts = dreamed["concepts"]
    moved = [spoken(name) for name, one in concepts.items() if one["verdict"] == "moves it"]
    read = [one for one in concepts.values() if one["reader"][1] is not None]
    agreed = sum(one["reader"][1] > 0 for one in read)
    names = f" ({', '.join(moved)})" if moved else ""
    verb = "changes the shape that it names" if len(moved) == 1 else "change the shape that they name"
    return (
        f"Of {len(concepts)} concepts along which “{dreamed['checkpoint']['name']}” dreamed, "
        f"{len(moved) or 'none'}{names} {verb}, measured in the picture and beyond random directions and "
        f"random weights; a second network, “{dreamed['reader']['name']}”, reads more of the concept in "
        f"{agreed} of {len(read)}."
    )


def _share(one: Mapping[str, float]) -> str:
    return f"{one['r2']:.0%} [{100 * one['low']:.0f}, {100 * one['high']:.0f}]"
