"""In the browser: a network's gradient at its image as ONNX graphs, for dreaming with no Python behind it.

In comes a checkpoint.
Out goes a folder with the graphs, the weights and a description that the dream lab opens.

>>> from galaxylib.web import export_web
>>> export_web("pretrained", "lab/full")
"""

from galaxylib.web.export import export_web

__all__ = ["export_web"]
