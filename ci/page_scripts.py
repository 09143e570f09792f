"""A Sphinx extension that keeps scripts off the pages which they do not need.

Jupyter Book loads sphinx-thebe even where it is switched off: its script is declared twice, which is an error
in the browser's console, and points to another host.
"""

from typing import Any

from sphinx.application import Sphinx


def drop_thebe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Take sphinx-thebe's scripts out of a page."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{script} {getattr(script, 'attributes', '')}".lower()
    ]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx, after all other extensions."""
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
