"""What teaches a network real galaxies, part by part, as a benchmark measured it beforehand."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from galaxylib.evaluation.intervals import wilson

NOT_MEASURED = "not measured"

JUDGED_ON = {
    "simulated galaxies": ("simulated", None),
    "clear votes": ("gz2", "clear"),
    "votes, mean over classes": ("gz2", "macro"),
    "coarse classes": ("gz1", None),
    "coarse classes, mean over groups": ("gz1", "macro"),
}
"""What the table's columns are called, and where the benchmark's result keeps each."""

OWN_LOOK = "_as_sdss"
"""The ending of what was judged on the SDSS's images in their own colours."""

MEASURED_ON = {
    "training": "simulated images",
    "both": "simulated and real images",
    "companions": "real images",
}
"""What BatchNorm's statistics were measured on, in words."""

SURVEYS = {"gz2": "votes", "gz1": "coarse classes"}
"""The sets of real galaxies on which runs are compared, in words."""

LEVEL = 0.05
"""From which probability a difference is put down to chance."""


def score_table(result: Mapping[str, Any] | None) -> pd.DataFrame:
    """How well each run does, with BatchNorm's statistics of simulated and real images, as text.

    Args:
        result: the content of `benchmarks/results/real_galaxies.json`; `None` where it was not measured.

    Returns:
        a row for each run, and one more for the one that learned from the SDSS's own colours, judged in them
        too; the columns of `JUDGED_ON`.
    """
    lines = {}
    for name, run in _runs(result).items():
        seeds = run["statistics"]["both"]["per_seed"]
        lines[run["title"],] = _scores(seeds)
        if name == "as_sdss":
            lines[f"{run['title']}, and judged in them",] = _scores(seeds, ending=OWN_LOOK)
    return _table(lines, ["learned from"])


def statistics_table(result: Mapping[str, Any] | None) -> pd.DataFrame:
    """The same weights with each kind of BatchNorm's statistics, as text.

    Returns:
        a row for each kind, of the run on simulated galaxies alone and of the one with both surveys.
    """
    runs = _runs(result)
    lines = {
        (runs[name]["title"], words): _scores(runs[name]["statistics"][kind]["per_seed"])
        for name in ("simulated", "both")
        if name in runs
        for kind, words in MEASURED_ON.items()
    }
    return _table(lines, ["learned from", "statistics of"])


def pair_table(result: Mapping[str, Any] | None) -> pd.DataFrame:
    """Runs in pairs on the same galaxies, as text.

    Returns:
        a row for each run that has another to be compared with, and for each survey a column with the
        galaxies that it alone has right, those that the other alone has right, and McNemar's p.
    """
    lines = {
        (run, other): {
            f"{SURVEYS[name]}: gained, lost, p": (
                f"{pair['only_first']}, {pair['only_second']}, {_chance(pair['p'])}"
            )
            for name, pair in pairs.items()
        }
        for run, other, pairs in _pairs(result)
    }
    return _table(lines, ["learned from", "beside"])


def findings(result: Mapping[str, Any] | None) -> str:
    """Which differences between the runs of `pair_table` chance hardly explains, in words.

    Each p is multiplied by the number of comparisons (Bonferroni).
    """
    pairs = [(run, other, name, pair) for run, other, both in _pairs(result) for name, pair in both.items()]
    if not pairs:
        return "The pairs were not measured yet."
    beyond = [
        f"{run} beside {other} ({SURVEYS[name]}, "
        f"{'better' if pair['only_first'] > pair['only_second'] else 'worse'})"
        for run, other, name, pair in pairs
        if pair["p"] * len(pairs) < LEVEL
    ]
    if not beyond:
        return f"Chance can explain each of the {len(pairs)} differences."
    rest = ". Chance can explain the others" if len(beyond) < len(pairs) else ""
    found = f"{len(beyond)} of the {len(pairs)} differences are larger than chance explains"
    return f"{found}: {'; '.join(beyond)}{rest}."


def seeds_in_words(result: Mapping[str, Any] | None) -> str:
    """How far the seeds of the run with both surveys agree, and what their mean brings."""
    if not result or len(result["seeds"]) < 2 or "both" not in result["runs"]:
        return "How far another training run would move these figures was not measured."
    told = result["runs"]["both"]["statistics"]["both"]
    apart = told["disagreement"]["gz2"]
    clear = _share([one["gz2"]["clear"] for one in told["per_seed"]])
    return (
        f"We trained the network with both surveys {len(result['seeds'])} times, each with other random "
        f"numbers. Two such runs name {apart:.0%} of the galaxies with votes differently. Of those with "
        f"clear votes, one run names {clear} correctly, and the mean of the probabilities "
        f"{_share([told['together']['gz2']['clear']])}."
    )


def facts(result: Mapping[str, Any] | None) -> dict[str, str]:
    """What the page quotes of the benchmark: galaxies, passes, seeds, the start, and when and where."""
    if not result:
        names = ("galaxies", "epochs", "seeds", "start", "learned_gz2", "learned_gz1", "held_gz2", "held_gz1")
        return dict.fromkeys((*names, "sure", "made"), "(not measured yet)")
    made = result["provenance"]
    hardware = made["hardware"]
    return {
        "galaxies": f"{result['files']['new']['galaxies']:,}",
        "epochs": str(result["recipe"]["epochs"]),
        "seeds": f"means of {seeds} training runs each"
        if (seeds := len(result["seeds"])) > 1
        else "one training run each",
        "start": result["start"]["name"],
        "sure": f"{result['sure']:.0%}",
        **{f"learned_{name}": f"{result['learned'][name]:,}" for name in SURVEYS},
        **{f"held_{name}": f"{result['held_out'][name]:,}" for name in SURVEYS},
        "made": f"{made['time'][:10]} on {', '.join(hardware['gpus']) or hardware['processor']}",
    }


def _runs(result: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return result["runs"] if result else {}


def _pairs(result: Mapping[str, Any] | None) -> list[tuple[str, str, Mapping[str, Any]]]:
    runs = _runs(result)
    return [
        (run["title"], runs[run["against"]]["title"], run["statistics"]["both"]["paired"])
        for run in runs.values()
        if run["against"]
    ]


def _scores(seeds: list[dict[str, Any]], *, ending: str = "") -> dict[str, str]:
    """The columns of `JUDGED_ON`: shares with Wilson's interval, means over classes or groups without."""
    line = {}
    for column, (name, part) in JUDGED_ON.items():
        found = [seed[name if name == "simulated" else name + ending] for seed in seeds]
        if part == "macro":
            line[column] = f"{np.mean([one[part] for one in found]):.1%}"
        else:
            line[column] = _share([one[part] if part else one for one in found])
    return line


def _share(seeds: list[dict[str, Any]]) -> str:
    mean, n = float(np.mean([one["share"] for one in seeds])), seeds[0]["n"]
    low, high = wilson(round(mean * n), n)
    return f"{mean:.1%} ({low:.1%} to {high:.1%})"


def _chance(p: float) -> str:
    return f"{p:.3f}" if p >= 0.0005 else "under 0.0005"


def _table(lines: Mapping[tuple[str, ...], dict[str, str]], index: list[str]) -> pd.DataFrame:
    if not lines:
        lines = {(NOT_MEASURED, *"-" * (len(index) - 1)): {}}
    rows = [dict(zip(index, key, strict=True)) | line for key, line in lines.items()]
    return pd.DataFrame(rows).set_index(index)
