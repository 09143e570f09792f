"""What a chapter hands to its page, against myst-nb, which reads it there."""

import myst_nb
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib import pyplot as plt

from galaxylib.paper.report import Report

TABLE = pd.DataFrame({"share": [0.25, 0.5]}, index=pd.Index(["Merging", "Disturbed"], name="class"))


@pytest.mark.parametrize(
    ("kind", "value", "display"), [("number", 0.5, False), ("number", "real", False), ("table", TABLE, True)]
)
def test_pages_get_what_myst_nb_would_leave_them(tmp_path, kind, value, display):
    InteractiveShell.instance()
    with capture_output() as expected:
        myst_nb.glue("found", value, display=display)
    report = Report(tmp_path, "01_data")
    with capture_output() as left:
        getattr(report, kind)("found", value)
    told = [(output.data, output.metadata) for output in left.outputs]
    assert told == [(output.data, output.metadata) for output in expected.outputs]
    assert told[0][1]["scrapbook"]["name"] == "found"


def test_figures_are_closed_once_they_are_left(tmp_path):
    InteractiveShell.instance()
    figure = plt.figure(figsize=(1, 1))
    with capture_output() as left:
        Report(tmp_path, "01_data").figure("found", figure)
    (output,) = left.outputs
    assert output.metadata["scrapbook"] == {"name": "found", "mime_prefix": ""}
    assert not plt.fignum_exists(figure.number)
