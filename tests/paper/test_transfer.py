"""The table of the transfer from simulated to real galaxies."""

from galaxylib.paper.transfer import JUDGED_ON, accuracy_table


def test_table_quotes_the_benchmark_and_says_what_was_not_measured() -> None:
    real = {
        "n": 40,
        "accuracy": 0.7,
        "wilson_95": [0.546, 0.819],
        "recall": {"Merging": 0.5, "Disturbed": 0.25},
    }
    table = accuracy_table({"real": real})
    assert list(table.index) == [*JUDGED_ON.values()]
    assert table.loc["real images"].to_dict() == {
        "images": "40",
        "accuracy": "70.0%",
        "95 % interval": "54.6% to 81.9%",
        "weakest class": "Disturbed, recall 25%",
    }
    assert (
        {*accuracy_table({"real": real})["accuracy"][1:]}
        == {*accuracy_table(None)["accuracy"]}
        == {"not measured"}
    )
