"""Two runs beside each other: what counts as the same, and what is said where it is not."""

import json
from pathlib import Path

import pytest

from ci.compare import MISSING, Rule, compare, load_rules, values
from ci.manifest import verified
from ci.verify import circumstances, files_given, main, report
from galaxylib.errors import DataError, GalaxyError


def run(folder: Path, **chapters: dict) -> Path:
    folder.mkdir()
    for name, content in chapters.items():
        (folder / f"{name.removeprefix('c')}.json").write_text(json.dumps(content))
    return folder


def differences(tmp_path: Path, first: dict, second: dict, *rules: Rule) -> list[tuple]:
    folders = run(tmp_path / "a", c01_data=first), run(tmp_path / "b", c01_data=second)
    found = compare(*folders, rules=list(rules))
    return [(item.path, item.first, item.second) for item in found.differences]


ANY = ("*",)


@pytest.mark.parametrize(
    ("first", "second", "rule", "same"),
    [
        (3, 3, Rule(ANY, ""), True),
        (3, 4, Rule(ANY, "", relative=0.5), False),  # a count is right or wrong
        (3, 4, Rule(ANY, "", absolute=1), True),
        (3, 5, Rule(ANY, "", absolute=1), False),
        (1.0, 1.0000001, Rule(ANY, "", relative=1e-6), True),
        (1.0, 1.00001, Rule(ANY, "", relative=1e-6), False),
        (-2.0, -2.4, Rule(ANY, "", relative=0.2), True),
        (0.5, 0.9, Rule(ANY, "", errors=4), False),  # n_test 100: four standard errors are 0.2
        (0.5, 0.69, Rule(ANY, "", errors=4), True),
        ("x", "y", Rule(ANY, ""), False),
        ("x", "y", Rule(ANY, "", free_text=True), True),
        ("24.4% of 41", "25.0% of 41", Rule(ANY, "", absolute=0.01), True),
        ("24.4% of 41", "26.0% of 41", Rule(ANY, "", absolute=0.01), False),
        ("1,526,923", "1,526,924", Rule(ANY, "", relative=0.1), False),
        ("3 of Round", "3 of Cigar", Rule(ANY, "", absolute=9), False),
        (True, 1, Rule(ANY, ""), False),
        (None, 1.0, Rule(ANY, "", absolute=9), False),
        (None, 1.0, Rule(ANY, "", ignore=True), True),
    ],
)
def test_one_number(tmp_path: Path, first: object, second: object, rule: Rule, same: bool) -> None:
    n = {"n_test": 100}
    found = differences(tmp_path, {"x": first} | n, {"x": second} | n, rule)
    assert found == ([] if same else [("01_data/x", first, second)])


def test_first_rule_counts_and_no_rule_means_equal(tmp_path: Path) -> None:
    rules = [Rule(("*/x/*",), "", absolute=1), Rule(("*/x/0",), ""), Rule(("*/y",), "")]
    first = {"x": [1, 2], "y": 1, "z": 1.0}
    assert differences(tmp_path, first, {"x": [2, 3], "y": 2, "z": 1.1}, *rules) == [
        ("01_data/y", 1, 2),
        ("01_data/z", 1.0, 1.1),
    ]


def test_what_one_run_lacks_is_a_difference(tmp_path: Path) -> None:
    rule = Rule(ANY, "", absolute=9)
    assert differences(tmp_path, {"x": [1, 2]}, {"x": [1], "y": "a"}, rule) == [
        ("01_data/x/1", 2, MISSING),
        ("01_data/y", MISSING, "a"),
    ]


def test_rows_with_an_id_are_found_wherever_they_stand(tmp_path: Path) -> None:
    rows = [{"id": "a", "source": "", "n": 1}, {"id": "b", "source": "04_x/n", "n": 2}]
    more = [{"id": "c", "source": "", "n": 3}, *rows]
    found = differences(tmp_path, {"rows": rows}, {"rows": more})
    assert {path for path, *_ in found} == {f"01_data/rows/c/{key}" for key in ("id", "source", "n")}
    assert values(tmp_path / "a")["01_data/rows/b from 04_x/n/n"] == 2


def test_report_says_where_and_why(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    first = run(
        tmp_path / "a", c01_data={"n_test": 100, "kind": "simulated"}, c04_evaluation={"accuracy": 0.5}
    )
    second = run(tmp_path / "b", c01_data={"n_test": 100, "kind": "real"}, c04_evaluation={"accuracy": 0.9})
    assert not report(first, second)
    said = capsys.readouterr().err
    assert '01_data/kind: "simulated" and "real"; the words must agree' in said
    assert "04_evaluation/accuracy: 0.5 and 0.9; 0.2 apart is allowed: shares of the test galaxies" in said
    assert "1 values are the same to the last bit, 0 differ within" in said
    assert "2 differ beyond: 01_data 1, 04_evaluation 1." in said
    kept = tmp_path / "counts.json"
    assert main(["--folders", str(first), str(first), "--out", str(kept)]) == 0
    counts = json.loads(kept.read_text())
    assert {key: counts[key] for key in ("same", "within", "ignored", "beyond")} == {
        "same": 3,
        "within": 0,
        "ignored": 0,
        "beyond": 0,
    }
    assert verified(tmp_path / "none.json").startswith("Nobody has compared")
    counts["runs"][0] = {
        "run": "default",
        "made": "2026-01-02T03:04:05+00:00",
        "commit": "0123456789abcdef",
        "machine": {"processor": "a processor", "cores": 2, "threads": None, "gpus": []},
    }
    kept.write_text(json.dumps(counts))
    told = verified(kept)
    assert "the default run was last computed twice, on 2 cores of a processor, no GPU" in told
    assert "(2026-01-02, commit `0123456789ab`), 3 values were the same to the last bit, 0 differed" in told
    assert main(["--folders", str(first), str(tmp_path)]) == 1
    assert "holds no results of chapters" in capsys.readouterr().err


def test_nothing_is_computed_without_a_first_run(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["--against", str(tmp_path)]) == 1
    assert "holds no manifest.json: build the book there first" in capsys.readouterr().err
    assert main(["--profile", "quick"]) == 1
    assert "There is no profile 'quick'" in capsys.readouterr().err


def test_second_run_gets_the_files_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("real.h5").touch()
    sampled = {"chapters": {"01_data": {"parameters": {"data": "simulated", "real_sample": "real.h5"}}}}
    assert files_given({}, "simulated") == {}
    assert files_given(sampled, "simulated") == {"real_sample": str(tmp_path / "real.h5")}
    assert files_given({}, "real.h5") == {"data": str(tmp_path / "real.h5")}
    with pytest.raises(DataError, match=r"There is no file other\.h5"):
        files_given(sampled, "other.h5")


def test_circumstances_come_before_numbers() -> None:
    first = {
        "commit": "a",
        "locks": {"l": "1"},
        "machine": {"cores": 2, "gpus": []},
        "chapters": {"01_data": {"source": "x"}, "02_y": {"source": "y"}},
    }
    second = first | {"machine": {"cores": 4, "gpus": []}, "chapters": {"01_data": {"source": "z"}}}
    assert circumstances(first, second) == [
        "  not the same machine: cores: 2 and 4",
        "  chapters with another source: 01_data",
    ]
    assert circumstances(first, {}) == []


def test_rules_have_reasons(tmp_path: Path) -> None:
    assert all(rule.because for rule in load_rules())
    path = tmp_path / "tolerances.yml"
    for entry in ("[{match: ['*']}]", "[{because: x}]", "[{match: ['*'], because: x, about: 1}]"):
        path.write_text(entry)
        with pytest.raises(GalaxyError, match="is no rule; it needs match and because"):
            load_rules(path)
