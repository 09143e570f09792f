"""Networks for the dream lab: what a page needs to dream with no Python behind it.

>>> from galaxylib.web import export_web
>>> export_web("pretrained", "lab/full")
"""

from galaxylib.web.export import export_web

__all__ = ["export_web"]
