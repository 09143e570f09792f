"""A Sphinx extension that counts tables as tables.

A chapter places its tables as it places its figures, by `{glue:figure}`, which makes a figure of whatever
it is given: "Fig. 69" stood below a table, and figures were counted with gaps. What is named `tab-...`
becomes a node of its own here, which Sphinx numbers, captions and refers to as "Table 1".
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

PREFIX = "tab-"


class TableFigure(nodes.figure):
    """A table with a caption, made of several outputs: drawn as a figure is, counted as a table."""


class CountTables(SphinxTransform):
    """Turn every figure whose name begins with `tab-` into a `TableFigure`."""

    default_priority = 840  # Sphinx notes what can be referred to, and as what, at 850

    def apply(self, **_: Any) -> None:
        """Change the document in place."""
        for figure in list(self.document.findall(nodes.figure)):
            if any(name.startswith(PREFIX) for name in figure["names"]):
                table = TableFigure(figure.rawsource, *figure.children, **figure.attributes)
                table.source, table.line = figure.source, figure.line
                figure.parent.replace(figure, table)
                self.document.ids |= dict.fromkeys(table["ids"], table)


def setup(app: Sphinx) -> dict[str, bool]:
    """Give Sphinx the node and the transform."""
    app.add_enumerable_node(TableFigure, "table")
    app.add_transform(CountTables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
