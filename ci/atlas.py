"""The atlas as a page, from committed results: its image map, and a section for each cell."""

import json
import shutil
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from ci.lab_pages import script
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.paper.atlas_page import RESULTS, commonest, dreams_said, fidelity_said, made_said
from galaxylib.paper.figures import CLASS_COLOURS

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "web" / "atlas.html"
CELL = 56
"""Pixels a side of a cell where no script fits the map: twelve fill a page at its usual width."""
INSET = 2
"""Pixels at a dream's edge into which the colour of its frame has run, and which are not shown alone."""


def stage_atlas(folder: Path) -> None:
    """Lay out the atlas: its files into `extra/atlas`, and the HTML that its page includes.

    Args:
        folder: the stage (see `ci.pages`).
    """
    made = ROOT / RESULTS
    served = folder / "extra" / "atlas"
    served.mkdir(parents=True)
    for file in [made / "atlas.json", *made.glob("*.webp")]:
        shutil.copy(file, served)
    atlas = json.loads((made / "atlas.json").read_text(encoding="utf-8"))
    html = fill(TEMPLATE.read_text(encoding="utf-8"), atlas)
    (folder / "book" / "atlas_page.html").write_text(html, encoding="utf-8")


def fill(template: str, atlas: Mapping[str, Any]) -> str:
    """Put an atlas into a template.

    Args:
        template: HTML with `$name` for each fact.
        atlas: the content of `atlas.json`.

    Raises:
        KeyError: the template names a fact that there is not.
    """
    side, cells = atlas["settings"]["side"], atlas["cells"]
    dreams, galaxies = atlas["sheets"]["dreams"], atlas["sheets"]["galaxies"]
    text = Template(template).substitute(
        side=side,
        size=dreams["tile"],
        tile=dreams["tile"] - 2 * INSET,
        frame=dreams["frame"] + INSET,
        galaxies=f"{galaxies['across']} {galaxies['down']}",
        classes=escape(json.dumps(CLASS_NAMES)),
        count=len(cells),
        width=side * CELL,
        alt=escape(
            f"A map of {side} by {side} cells. Each shows the dream of its galaxies’ mean activation, "
            f"framed in the colour of their commonest class; {side**2 - len(cells)} cells are empty."
        ),
        areas="\n".join(area(cell) for cell in cells),
        legend="\n".join(
            f'<li style="--colour: {CLASS_COLOURS[name]}">{escape(name)}</li>' for name in CLASS_NAMES
        ),
        cells="\n".join(section(cell, atlas) for cell in cells),
        fidelity=escape(fidelity_said(atlas)),
        dreams=escape(dreams_said(atlas)),
        made=escape(made_said(atlas)),
        atlas_script=script("atlas.js"),
    )
    return "\n".join(line for line in text.splitlines() if line.strip()) + "\n"


def name_of(cell: Mapping[str, Any]) -> str:
    """The end of a cell's address: its row and column from 1, as the page counts them."""
    return f"atlas-{cell['row'] + 1}-{cell['column'] + 1}"


def in_words(cell: Mapping[str, Any]) -> str:
    """A cell in words: where it is, how many galaxies it holds, and of which class most are."""
    total, label = sum(cell["classes"]), commonest(cell)
    galaxies = "1 galaxy" if total == 1 else f"{total} galaxies"
    most = "" if total == 1 else f" ({cell['classes'][label]})"
    mostly = "" if total == 1 else "mostly "
    return (
        f"cell row {cell['row'] + 1}, column {cell['column'] + 1}: {galaxies}, "
        f"{mostly}{CLASS_NAMES[label]}{most}"
    )


def area(cell: Mapping[str, Any]) -> str:
    """A cell's part of the image map."""
    left, top = cell["column"] * CELL, cell["row"] * CELL
    return (
        f'<area shape="rect" coords="{left},{top},{left + CELL},{top + CELL}" href="#{name_of(cell)}" '
        f'data-row="{cell["row"]}" data-column="{cell["column"]}" alt="{escape(in_words(cell))}">'
    )


def section(cell: Mapping[str, Any], atlas: Mapping[str, Any]) -> str:
    """What is shown of a cell: its dream, its galaxies, its classes."""
    side, sheets = atlas["settings"]["side"], atlas["sheets"]
    row, column, total = cell["row"], cell["column"], sum(cell["classes"])
    labels = [atlas["labels"][number] for number in cell["examples"]]
    ranked = sorted(range(len(CLASS_NAMES)), key=lambda label: -cell["classes"][label])
    bars = "".join(
        f'<li style="--share: {cell["classes"][label] / total:.3f}; '
        f'--colour: {CLASS_COLOURS[CLASS_NAMES[label]]}">{escape(CLASS_NAMES[label])}: '
        f"{cell['classes'][label]} of {total}</li>"
        for label in ranked
        if cell["classes"][label]
    )
    shown = ", ".join(
        f"{labels.count(label)} {CLASS_NAMES[label]}" for label in ranked if labels.count(label)
    )
    title = in_words(cell)
    dream = _part(sheets["dreams"]["tile"] - 2 * INSET, sheets["dreams"]["frame"] + INSET, side, row, column)
    down, across = sheets["galaxies"]["down"], sheets["galaxies"]["across"]
    lines = -(-len(labels) // across)
    galaxies = (
        f"--across: {across}; aspect-ratio: {across} / {lines}; "
        f"background-image: url(../atlas/galaxies-{row}.webp); "
        f"background-size: {100 * side}% {100 * down / lines:.4g}%; "
        f"background-position: {100 * column / (side - 1):.4f}% 0%"
    )
    return (
        f'<section class="atlas-cell" id="{name_of(cell)}" data-row="{row}" data-column="{column}" '
        f'data-labels="{" ".join(map(str, labels))}" aria-label="{escape(title)}" tabindex="-1">'
        f"<p><strong>{escape(title[0].upper() + title[1:])}.</strong> "
        f'<a href="#atlas-box">Back to the map</a></p><div class="atlas-pictures">'
        f'<figure><span role="img" style="{dream}" aria-label="The dream of this cell"></span>'
        f"<figcaption>Its dream</figcaption></figure>"
        f'<figure><span role="img" style="{galaxies}" aria-label="{escape(shown)}"></span>'
        f"<figcaption>{len(labels)} of its {total} galaxies, those nearest to its mean</figcaption></figure>"
        f"</div><ul>{bars}</ul></section>"
    )


def _part(tile: int, frame: int, side: int, row: int, column: int) -> str:
    """The style that shows one dream of the sheet without its frame."""
    pitch = tile + 2 * frame
    whole = side * pitch
    places = (100 * (number * pitch + frame) / (whole - tile) for number in (column, row))
    across, down = (f"{place:.4f}%" for place in places)
    return (
        "background-image: url(../atlas/dreams.webp); aspect-ratio: 1; "
        f"background-size: {100 * whole / tile:.4f}%; background-position: {across} {down}"
    )
