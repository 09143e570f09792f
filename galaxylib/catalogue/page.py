"""A look at a catalogue: one HTML page with the counts and a contact sheet, by class and by doubt.

Everything is in the page itself, pictures and styles, so that it can be mailed, and it asks no other host for
anything. However many images there are, the page keeps a few of each class: the surest and the most doubtful.
"""

import base64
import heapq
import html
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image

from galaxylib.catalogue.frame import FLAGS, UNREADABLE, Frame
from galaxylib.catalogue.inputs import Columns, picture_at
from galaxylib.catalogue.writing import class_and_rival, column_of
from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import is_lack_of_memory
from galaxylib.files import atomic

PAGE_FILE = "index.html"
SHOWN = 24
"""Pictures of each kind: the surest of a class, its most doubtful, those unlike the training images."""
LISTED = 100
"""Images that could not be read and are named; the rest is counted."""
SIDE = 128
"""Pixels a side of a picture on the page."""


@dataclass
class _Few:
    """The rows with the largest rank so far, at most `SHOWN`; of equal ranks the earlier row stays."""

    kept: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)

    def offer(self, rank: float, number: int, row: dict[str, Any]) -> None:
        """Keep a row if it is among the first."""
        entry = (rank, -number, row)
        if len(self.kept) < SHOWN:
            heapq.heappush(self.kept, entry)
        elif entry[:2] > self.kept[0][:2]:
            heapq.heapreplace(self.kept, entry)

    def rows(self) -> list[tuple[int, dict[str, Any]]]:
        """Number and row, the largest rank first."""
        return [(-place, row) for _, place, row in sorted(self.kept, key=lambda one: one[:2], reverse=True)]


@dataclass
class Choice:
    """What the page shows of a catalogue.

    Attributes:
        rows: images in all.
        counts: of each class.
        flags: how many rows have each.
        surest, doubtful: by class, the rows of the largest and of the smallest margin.
        unlike: rows whose score for being unlike the training images is above 1, the largest first.
        unreadable: path and reason of the first images that could not be read.
        lost: how many could not be read.
    """

    rows: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLASS_NAMES, 0))
    flags: Counter[str] = field(default_factory=Counter)
    surest: dict[str, _Few] = field(default_factory=lambda: {name: _Few() for name in CLASS_NAMES})
    doubtful: dict[str, _Few] = field(default_factory=lambda: {name: _Few() for name in CLASS_NAMES})
    unlike: _Few = field(default_factory=_Few)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    lost: int = 0


def choose(tables: Iterator[Any]) -> Choice:
    """Go once through a catalogue's tables, in their order, and keep what the page shows."""
    choice = Choice()
    for table in tables:
        few = table.drop_columns([name for name in table.column_names if name == "embedding"])
        for row in few.to_pylist():
            number, choice.rows = choice.rows, choice.rows + 1
            choice.flags.update(row["flags"].split())
            if not row["class"]:
                choice.lost += 1
                if len(choice.unreadable) < LISTED:
                    choice.unreadable.append((row["path"], row["reason"]))
                continue
            choice.counts[row["class"]] += 1
            choice.surest[row["class"]].offer(row["margin"], number, row)
            choice.doubtful[row["class"]].offer(-row["margin"], number, row)
            if row["unlike_training"] > 1:
                choice.unlike.offer(row["unlike_training"], number, row)
    return choice


def write_page(
    folder: str | Path,
    choice: Choice,
    picture: Callable[[Mapping[str, Any]], np.ndarray | None],
    *,
    metadata: Mapping[str, Any],
    lab: str = "",
) -> Path:
    """Write `index.html` into a folder.

    Args:
        folder: is made where there is none.
        choice: what to show.
        picture: gives the image of a row, (H, W, 3) uint8 as the network read it, or None where it has become
            unreadable meanwhile; `shown` does.
        metadata: of the catalogue.
        lab: address of a dream lab; each picture links to it with its class chosen. "" for no links.

    Returns:
        the page.

    Raises:
        GalaxyError: it cannot be written.
    """
    sheets = _Sheets(picture, lab)
    page = Path(folder) / PAGE_FILE
    page.parent.mkdir(parents=True, exist_ok=True)
    text = PAGE.substitute(
        rows=f"{choice.rows:,} image{'s' * (choice.rows != 1)}",
        counts="".join(_count(name, choice) for name in CLASS_NAMES),
        lost=_lost(choice),
        how=_how(metadata, lab),
        flags=_flags(choice),
        classes="".join(sheets.of_class(name, choice) for name in CLASS_NAMES if choice.counts[name]),
        unlike=sheets.unlike(choice, has_reference=bool(metadata.get("has_reference"))),
    )
    with atomic(page) as partial:
        partial.write_text(text, encoding="utf-8")
    return page


@dataclass
class _Sheets:
    """The contact sheets, in HTML."""

    picture: Callable[[Mapping[str, Any]], np.ndarray | None]
    lab: str

    def of_class(self, name: str, choice: Choice) -> str:
        """A class: all its pictures where they are few, else the surest and the most doubtful."""
        count, surest = choice.counts[name], choice.surest[name].rows()
        words = f"{count:,} image{'s' * (count != 1)}"
        if count <= SHOWN:
            parts = self.sheet(surest, "")
        else:
            doubtful = choice.doubtful[name].rows()
            if count < 2 * SHOWN:  # the middle of the class would be shown twice
                seen = {number for number, _ in surest}
                doubtful = [one for one in doubtful if one[0] not in seen]
            parts = self.sheet(surest, "The surest") + self.sheet(doubtful, "The most doubtful")
        return f'<section id="{_anchor(name)}"><h2>{name} <small>{words}</small></h2>{parts}</section>'

    def unlike(self, choice: Choice, *, has_reference: bool) -> str:
        """The pictures that are like nothing in the training, or why none is shown."""
        if not has_reference:
            return "<p>This network has no measure of what is unlike its training images.</p>"
        rows = choice.unlike.rows()
        if not rows:
            return "<p>None.</p>"
        return self.sheet(rows, "")

    def sheet(self, rows: Sequence[tuple[int, dict[str, Any]]], title: str) -> str:
        """Pictures side by side under a heading."""
        head = f"<h3>{title}</h3>" if title else ""
        return f'{head}<ul class="sheet">{"".join(self.one(row) for _, row in rows)}</ul>'

    def one(self, row: Mapping[str, Any]) -> str:
        """A picture with what the catalogue says of it."""
        (first, name), (second, rival) = class_and_rival(row)
        verdict = f"{name} {first:.0%}, {rival} {second:.0%}"
        image = self.picture(row)
        shown = "<span>no longer readable</span>"
        if image is not None:
            alt = html.escape(f"{row['id']}: {verdict}")
            shown = f'<img src="{_data(image)}" width="{SIDE}" height="{SIDE}" alt="{alt}">'
        if self.lab:
            address = f"{self.lab}#galaxy=own&stage=logits&channel={CLASS_NAMES.index(name)}"
            shown = f'<a href="{html.escape(address)}">{shown}</a>'
        marks = [row["flags"]] if row["flags"] else []
        marks += [f"unlike training, {row['unlike_training']:.1f}"] if row["unlike_training"] > 1 else []
        extra = f"<em>{html.escape('; '.join(marks))}</em>" if marks else ""
        title = html.escape(row["path"] or row["id"])
        caption = f'<b title="{title}">{html.escape(row["id"])}</b><span>{verdict}</span>{extra}'
        return f"<li><figure>{shown}<figcaption>{caption}</figcaption></figure></li>"


def shown(row: Mapping[str, Any], *, frame: Frame, columns: Columns | None = None) -> np.ndarray | None:
    """The image of a catalogue's row as the network read it, (256, 256, 3) uint8; None if it cannot be read.

    Args:
        row: with the catalogue's columns as keys.
        frame: of the run that made the catalogue.
        columns: of that run.
    """
    try:
        picture = picture_at(row["path"], row["row"], columns=columns)
        return frame(replace(picture, pixscale=row["pixscale"]))[0]
    except Exception as fault:
        if is_lack_of_memory(fault):
            raise
        return None


def _data(image: np.ndarray) -> str:
    """An image as the address of its own bytes."""
    small = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _anchor(name: str) -> str:
    return column_of(name).removeprefix("p_")


def _count(name: str, choice: Choice) -> str:
    count = choice.counts[name]
    share = count / max(1, choice.rows - choice.lost)
    label = f'<a href="#{_anchor(name)}">{name}</a>' if count else name
    return (
        f'<tr><th scope="row">{label}</th><td>{count:,}</td><td>{share:.1%}</td>'
        f'<td class="bar"><i style="width:{100 * share:.1f}%"></i></td></tr>'
    )


def _flags(choice: Choice) -> str:
    """What the words under the pictures mean, and of how many images each is said."""
    lines = [
        f"<dt>{name} <small>{choice.flags[name]:,}</small></dt><dd>{meaning}</dd>"
        for name, meaning in FLAGS.items()
        if choice.flags[name] and name != UNREADABLE
    ]
    return f"<dl>{''.join(lines)}</dl>" if lines else ""


def _lost(choice: Choice) -> str:
    if not choice.lost:
        return ""
    rows = "".join(
        f"<li><b>{html.escape(path)}</b>{html.escape(reason)}</li>"
        for path, reason in (
            (path, reason.removeprefix(path) if reason.startswith(path) else f": {reason}")
            for path, reason in choice.unreadable
        )
    )
    rest = choice.lost - len(choice.unreadable)
    more = f"<p>And {rest:,} more.</p>" if rest else ""
    head = f"<h2>Not readable <small>{choice.lost:,}</small></h2>"
    return f'<section id="unreadable">{head}<ul>{rows}</ul>{more}</section>'


def _how(metadata: Mapping[str, Any], lab: str) -> str:
    said = [
        f"Network {metadata.get('network')}, weights {str(metadata.get('weights_sha256'))[:12]}, "
        f"temperature {metadata.get('temperature') or 1:.2f}, galaxylib {metadata.get('galaxylib')}"
        + (f", commit {metadata['commit'][:12]}" if metadata.get("commit") else "")
        + ".",
        f"Probabilities: {metadata['probabilities']}; the network's card says how far to trust them.",
    ]
    if lab:
        said.append(
            "A picture leads to the dream lab, where its class is chosen already: open the picture there."
        )
    return "".join(f"<p>{html.escape(text)}</p>" for text in said)


PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Classes of $rows</title>
<style>
:root { color-scheme: light dark; --line: light-dark(#ccd, #445); --bar: light-dark(#4477aa, #77aadd); }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 75rem; padding: 1rem; }
table { border-collapse: collapse; width: 100%; max-width: 44rem; }
th { text-align: left; font-weight: normal; white-space: nowrap; }
td { text-align: right; padding: 0 .6rem; font-variant-numeric: tabular-nums; }
td.bar { width: 45%; padding: 0; }
td.bar i { display: block; height: .8rem; background: var(--bar); min-width: 1px; }
h2 { border-top: 1px solid var(--line); padding-top: .8rem; }
h2 small, h3 { font-weight: normal; font-size: 1rem; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.2rem, 1fr)); gap: .8rem; }
.sheet { padding: 0; }
.sheet li { list-style: none; }
figure { margin: 0; }
img { width: 100%; height: auto; max-width: 10rem; background: #000; }
figcaption b, figcaption span, figcaption em { display: block; font-size: .8rem; overflow-wrap: anywhere; }
dt { font-style: italic; }
dd { margin: 0 0 .3rem 1.5rem; }
a { color: inherit; }
a:focus-visible { outline: 3px solid var(--bar); }
</style>
</head>
<body>
<main>
<h1>Classes of $rows</h1>
<table aria-label="Images of each class"><tbody>$counts</tbody></table>
$how
$flags
$lost
$classes
<section id="unlike"><h2>Unlike the training images</h2>$unlike</section>
</main>
</body>
</html>
""")
