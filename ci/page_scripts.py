"""A Sphinx extension that keeps scripts off the pages which they do not need.

Jupyter Book loads sphinx-thebe even where it is switched off: its script is declared twice, which is an error
in the browser's console, and points to another host. The theme loads its icons twice, as fonts and as a
script of 1.5 MB that draws the same icons.
"""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx


def drop_thebe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Take sphinx-thebe's scripts out of a page."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{script} {getattr(script, 'attributes', '')}".lower()
    ]


def drop_icon_script(app: Sphinx, fault: Exception | None) -> None:
    """Take the icons' script out of every page: the theme's template names it, so it is in the HTML alone."""
    if fault is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            page.write_text(
                re.sub(r'<script src="[^"]*/fontawesome/[^"]*"></script>', "", text), encoding="utf-8"
            )


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx, after all other extensions."""
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", drop_icon_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
