"""What each stage knows of each true parameter, as heat maps, and which concepts hold on real galaxies."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from galaxylib.paper.figures import ACCENT, CONTRAST

KINDS = {
    "trained": "R² on galaxies held out",
    "gain": "gain in R² over the better control",
    "within": "R² among galaxies of one class",
    "classes": "R² of the true class alone",
    "twin": "R² with random weights",
    "pixels": "R² of reduced pixels",
}
"""What a heat map can show."""


def table(report: Mapping[str, Any], network: str, *, kind: str = "trained") -> pd.DataFrame:
    """One kind of figure of a network: parameters down, best read first, stages across.

    Args:
        report: what `benchmarks/probes.py` writes.
        network: one of its networks.
        kind: of `KINDS`.
    """
    stages = report["networks"][network]["stages"]

    def figure(one: Mapping[str, Any]) -> float:
        return one["gain"] if kind == "gain" else one[kind]["r2"]

    found = pd.DataFrame(
        {stage: {name: figure(one) for name, one in of.items()} for stage, of in stages.items()}
    )
    trained = {
        name: max(of[name]["trained"]["r2"] for of in stages.values()) for name in next(iter(stages.values()))
    }
    return found.loc[sorted(trained, key=lambda name: -trained[name])]


def clear(report: Mapping[str, Any], network: str) -> pd.DataFrame:
    """Where a parameter is read off better than by the controls, beyond the intervals, as bools."""
    stages = report["networks"][network]["stages"]
    return pd.DataFrame(
        {
            stage: {name: one["trained"]["low"] > 0 and one["gain_low"] > 0 for name, one in of.items()}
            for stage, of in stages.items()
        }
    ).loc[table(report, network).index]


def heat_map(report: Mapping[str, Any], network: str, *, kind: str = "trained") -> Figure:
    """Stages across, parameters down; each cell its figure, bold where `clear` says so.

    Args:
        report: as `table` takes it.
        network: as `table` takes it.
        kind: as `table` takes it.
    """
    found, bold = table(report, network, kind=kind), clear(report, network)
    figure, axis = plt.subplots(figsize=(5.4, 0.3 * len(found) + 1.0))
    shown = axis.imshow(found.clip(lower=0), vmin=0, vmax=1, aspect="auto")
    for row, name in enumerate(found.index):
        for column, stage in enumerate(found):
            value = found.loc[name, stage]
            axis.text(
                column,
                row,
                f"{value:.2f}".replace("-0.00", "0.00"),
                ha="center",
                va="center",
                fontsize=8,
                color="black" if value > 0.55 else "white",
                weight="bold" if bold.loc[name, stage] else "normal",
            )
    axis.set_xticks(range(found.shape[1]), found.columns)
    axis.set_yticks(range(len(found)), [name.replace("_", " ") for name in found.index])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_xlabel("stage")
    figure.colorbar(shown, label=KINDS[kind])
    return figure


def heat_map_alt(report: Mapping[str, Any], network: str, *, kind: str = "trained") -> str:
    """The heat map in words."""
    found = table(report, network, kind=kind)
    best = "; ".join(
        f"{name.replace('_', ' ')} {row.max():.2f} in {row.idxmax()}" for name, row in found.iterrows()
    )
    return (
        f"Heat map of {KINDS[kind]}, {len(found)} parameters by {found.shape[1]} stages. The highest: {best}."
    )


def carried_over(report: Mapping[str, Any], network: str) -> pd.DataFrame:
    """Which read-outs order real galaxies as volunteers do, one a line.

    Args:
        report: what `benchmarks/concepts_real.py` writes.
        network: one of its networks.

    Returns:
        `question, concept, stage, n, rho, low, high, control, carries_over`; `rho` and `control` are positive
        in the expected direction.
    """
    rows = pd.DataFrame(report["networks"][network]["questions"]).rename(columns={"parameter": "concept"})
    kept = ["question", "concept", "stage", "n", "rho", "low", "high", "control", "carries_over"]
    return rows[kept]


def real_figure(report: Mapping[str, Any], network: str) -> Figure:
    """Rank correlations of read-outs and volunteers with their 95 % intervals, beside random weights."""
    rows = carried_over(report, network)
    places = np.arange(len(rows))[::-1]
    figure, axis = plt.subplots(figsize=(7.2, 0.36 * len(rows) + 1.0))
    errors = np.abs(rows[["low", "high"]].to_numpy().T - rows["rho"].to_numpy())
    axis.errorbar(
        rows["rho"], places, xerr=errors, fmt="o", color=ACCENT, capsize=3, label=f"{network}, 95 %"
    )
    axis.plot(rows["control"], places, "x", color=CONTRAST, label="best of the random networks")
    axis.axvline(0, color="grey", linewidth=0.8)
    names = rows["concept"].str.replace("_", " ") + " — " + rows["question"]
    axis.set_yticks(places, names, fontsize=8)
    axis.set(xlabel="rank correlation with the volunteers, in the expected direction", xlim=(-0.3, 1))
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8)
    return figure


def real_figure_alt(report: Mapping[str, Any], network: str) -> str:
    """The figure of rank correlations in words."""
    told = "; ".join(
        f"{row.concept.replace('_', ' ')} with {row.question} {row.rho:.2f} "
        f"({row.low:.2f} to {row.high:.2f}), random {row.control:.2f}"
        for row in carried_over(report, network).itertuples()
    )
    return f"Rank correlations of read-outs of {network} with Galaxy Zoo 2's volunteers: {told}."
