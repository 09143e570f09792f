"""The dream lab's HTML: its templates from `web/`, filled with what `ci.lab` made."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

UNSERVED = Path(__file__).resolve().parents[1] / "web" / "unserved.html"
"""What every page with a script of the lab ends with."""
OFFERED = (96, 128, 192, 256, 384, 512)
"""Sizes that a live dream can have, in pixels a side, beside those made beforehand."""
STAGE_LABELS = {"stem": "stem", "dma1": "DMA 1", "dma2": "DMA 2", "dma3": "DMA 3", "lam": "LAM"}


def fill(template: str, index: Mapping[str, Any]) -> str:
    """Put the lab's facts into a template.

    Args:
        template: HTML with `$name` for each fact.
        index: what `ci.lab` writes into `index.json`.

    Raises:
        KeyError: the template names a fact that there is not.
    """
    first, network = index["first"], index["networks"][0]
    galaxy, stage, size = first["galaxy"], first["stage"], first["size"]
    sizes = sorted({*OFFERED, *index["sizes"]})
    text = Template(template).substitute(
        galaxy=galaxy,
        stage=stage,
        size=size,
        stage_label=STAGE_LABELS[stage],
        network=network["name"],
        network_label=escape(network["label"]),
        before_alt=before_alt(index, galaxy),
        after_alt=after_alt(index, galaxy, stage),
        caption=caption(index),
        galaxy_options=options(enumerate(index["class_names"]), chosen=galaxy),
        class_options=options(enumerate(index["class_names"])),
        stage_options=options(((name, STAGE_LABELS[name]) for name in index["stages"]), chosen=stage),
        size_options=options(((side, f"{side} pixels") for side in sizes), chosen=size),
        network_options=options((one["name"], one["label"]) for one in index["networks"]),
        network_list=network_list(index["networks"]),
        table=gallery_table(index),
        lab_script=script("lab.js"),
        embed_script=script("embed.js"),
    )
    return "\n".join(line for line in text.splitlines() if line.strip()) + "\n"


def script(name: str) -> str:
    """The lab's script of this name, and what a page says where it does not run."""
    return Template(UNSERVED.read_text(encoding="utf-8")).substitute(script=name).rstrip()


def before_alt(index: Mapping[str, Any], galaxy: int) -> str:
    """The alternative text of a galaxy."""
    return escape(f"Simulated galaxy of the class {index['class_names'][galaxy]}")


def after_alt(index: Mapping[str, Any], galaxy: int, stage: str) -> str:
    """The alternative text of a dream."""
    return escape(
        f"The dream of {STAGE_LABELS[stage]} on the simulated galaxy {index['class_names'][galaxy]}"
    )


def caption(index: Mapping[str, Any]) -> str:
    """What the first picture shows."""
    first, network = index["first"], index["networks"][0]
    name = index["class_names"][first["galaxy"]]
    return escape(
        f"A simulated galaxy ({name}) and its dream of {STAGE_LABELS[first['stage']]} at {first['size']} "
        f"pixels by {network['label']}, made when this book was built."
    )


def options(choices: Iterable[tuple[object, object]], *, chosen: object = None) -> str:
    """The entries of a select."""
    parts = []
    for value, text in choices:
        mark = " selected" if value == chosen else ""
        parts.append(f'<option value="{escape(str(value))}"{mark}>{escape(str(text))}</option>')
    return "".join(parts)


def network_list(networks: Sequence[Mapping[str, Any]]) -> str:
    """Each network with its size and how often it is right."""
    items = [
        f"<li>{escape(one['label'])}: {one['parameters']:,} parameters, reads images of {one['pixels']} "
        f"pixels, {one['bytes'] / 1e6:.1f} MB to download; {escape(one['accuracy'])}.</li>"
        for one in networks
    ]
    return f"<ul>{''.join(items)}</ul>"


def gallery_table(index: Mapping[str, Any]) -> str:
    """All dreams of the first network as a table of small pictures; each leads to the large one."""
    network, size = index["networks"][0], index["sizes"][-1]
    heads = "".join(f'<th scope="col">{STAGE_LABELS[stage]}</th>' for stage in index["stages"])
    rows = []
    for galaxy, name in enumerate(index["class_names"]):
        cells = [
            _cell(
                f"../lab/galaxies/{galaxy}.webp",
                f"../lab/galaxies/{galaxy}-small.webp",
                before_alt(index, galaxy),
            )
        ]
        for stage in index["stages"]:
            path = f"../lab/dreams/{network['name']}/{galaxy}-{stage}"
            facts = f' data-galaxy="{galaxy}" data-stage="{stage}"'
            cells.append(_cell(f"{path}-{size}.webp", f"{path}.webp", after_alt(index, galaxy, stage), facts))
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    return (
        f'<table id="lab-gallery"><caption>Dreams made beforehand by {escape(network["label"])}: one '
        f"simulated galaxy of every class, and its dreams of every stage. "
        f"Each leads to the picture in full.</caption>"
        f'<thead><tr><th scope="col">Class</th><th scope="col">Galaxy</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _cell(large: str, small: str, alt: str, facts: str = "") -> str:
    return f'<td><a href="{large}"{facts}><img src="{small}" width="96" height="96" alt="{alt}"></a></td>'
