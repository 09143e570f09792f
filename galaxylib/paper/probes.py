"""What each stage knows of each true parameter, as heat maps, and which concepts hold on real galaxies."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from galaxylib.paper.figures import ACCENT, CONTRAST
from galaxylib.paper.reference_page import listed

KINDS = {
    "trained": "R² on galaxies held out",
    "gain": "gain in R² over the better control",
    "within": "R² among galaxies of one class",
    "classes": "R² of the true class alone",
    "twin": "R² with random weights",
    "pixels": "R² of reduced pixels",
}
"""What a heat map can show."""


def spoken(name: str) -> str:
    """The name of a property as a sentence has it: "bar fraction" for "bar_fraction"."""
    return name.replace("_", " ")


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


def clear(report: Mapping[str, Any], network: str, *, kind: str = "trained") -> pd.DataFrame:
    """Where a parameter is read off beyond its intervals, as bools.

    Among galaxies of one class that is better than nothing; else better than nothing and than the controls.
    """
    stages = report["networks"][network]["stages"]
    return pd.DataFrame(
        {
            stage: {
                name: one["within"]["low"] > 0
                if kind == "within"
                else one["trained"]["low"] > 0 and one["gain_low"] > 0
                for name, one in of.items()
            }
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
    found, bold = table(report, network, kind=kind), clear(report, network, kind=kind)
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
    axis.set_yticks(range(len(found)), [spoken(name) for name in found.index])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_xlabel("stage")
    figure.colorbar(shown, label=KINDS[kind])
    return figure


def heat_map_alt(report: Mapping[str, Any], network: str, *, kind: str = "trained") -> str:
    """The heat map in words."""
    found = table(report, network, kind=kind)
    best = "; ".join(f"{spoken(name)} {row.max():.2f} in {row.idxmax()}" for name, row in found.iterrows())
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
    names = rows["concept"].map(spoken) + " — " + rows["question"]
    axis.set_yticks(places, names, fontsize=8)
    axis.set(xlabel="rank correlation with the volunteers, in the expected direction", xlim=(-0.3, 1))
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8)
    return figure


def real_figure_alt(report: Mapping[str, Any], network: str) -> str:
    """The figure of rank correlations in words."""
    told = "; ".join(
        f"{spoken(row.concept)} with {row.question} {row.rho:.2f} "
        f"({row.low:.2f} to {row.high:.2f}), random {row.control:.2f}"
        for row in carried_over(report, network).itertuples()
    )
    return f"Rank correlations of read-outs of {network} with Galaxy Zoo 2's volunteers: {told}."


def facts(report: Mapping[str, Any], network: str) -> dict[str, Any]:
    """What the chapter says of the probes in its sentences.

    Returns:
        `galaxies` that were drawn for them, the random `twins`, and what is `said`.
    """
    stages = report["networks"][network]["stages"]
    most = max(one["galaxies"] for of in stages.values() for one in of.values())
    return {"galaxies": f"{most:,}", "twins": report["twins"], "said": said(report, network)}


def said(report: Mapping[str, Any], network: str) -> str:
    """What the heat maps show, in sentences: what training adds, and what of it is more than the class."""
    trained, gain = table(report, network), table(report, network, kind="gain")
    within, classes = table(report, network, kind="within"), table(report, network, kind="classes")
    added = clear(report, network).any(axis=1)
    beyond = [name for name in trained.index if added[name] and _reads_within(report, network, name)]
    best = gain.max(axis=1)[added].sort_values(ascending=False).index[:3]
    leaders = "; ".join(
        f"{spoken(name)} {trained.loc[name].max():.2f} in {trained.loc[name].idxmax()}, "
        f"where training adds {gain.loc[name, trained.loc[name].idxmax()]:.2f}"
        for name in best
    )
    rest = [spoken(name) for name in trained.index if not added[name]]
    told = [
        f"Of {len(trained)} properties, {added.sum()} are read better than the controls allow, most of all "
        f"{leaders}.",
        f"No stage adds anything to what pixels or random weights tell of {listed(rest)}." if rest else "",
        "But a network that was trained on classes may know the class and little more. So we ask once more "
        "among galaxies of one class: "
        + "; ".join(
            f"of {spoken(name)}, which the class alone would tell to {classes.loc[name].iloc[0]:.2f}, "
            f"{within.loc[name].max():.2f} is left"
            for name in best
        )
        + ".",
        f"Within the classes, {len(beyond)} of the {added.sum()} are still read: "
        f"{listed([spoken(name) for name in beyond])}."
        if beyond
        else "Within the classes, none of them is read any more.",
    ]
    return " ".join(filter(None, told))


def real_said(report: Mapping[str, Any], network: str) -> str:
    """Which read-outs carry over to real galaxies and which do not, in two sentences."""
    rows = carried_over(report, network)
    held = rows[rows["carries_over"]]
    lost = rows[~rows["carries_over"]]
    ranked = held.sort_values("rho", ascending=False)[["concept", "rho"]]
    named = [f"{spoken(concept)} ({rho:.2f})" for concept, rho in ranked.itertuples(index=False)]
    told = [
        f"{len(held)} of {len(rows)} pairs of a read-out and a question carry over, which are "
        f"{held['concept'].nunique()} of the {rows['concept'].nunique()} read-outs: they correlate with the "
        f"volunteers, and more than random weights do, most of all {named[0]} and least {named[-1]}."
        if len(held)
        else f"None of {len(rows)} pairs of a read-out and a question carries over."
    ]
    if len(lost):
        told.append(
            f"Not beyond chance or random weights: {listed([spoken(one) for one in lost['concept']])}."
        )
    return " ".join(told)


def _reads_within(report: Mapping[str, Any], network: str, name: str) -> bool:
    stages = report["networks"][network]["stages"]
    return any(of[name]["within"]["low"] > 0 for of in stages.values() if name in of)
