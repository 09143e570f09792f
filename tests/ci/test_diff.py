"""What changed between two runs: numbers, figures, the sentences for bad input, and the page's section."""

import base64
import io
import json
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from ci.book import main as book
from ci.diff import SHOWN, changes, lines, main, section
from ci.figures import PICTURE, change, print_of, prints
from galaxylib.errors import GalaxyError


def png(grey: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(grey.astype(np.uint8)).save(stream, "PNG", **options)
    return stream.getvalue()


BLACK, WHITE = np.zeros((40, 60)), np.full((40, 60), 255)


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs of two chapters, whose manifests know three figures each."""
    half = BLACK.copy()
    half[:, 30:] = 255
    drawn = (
        {"01_data/same": BLACK, "01_data/half": BLACK, "01_data/gone": BLACK},
        {"01_data/same": BLACK, "01_data/half": half, "02_y/new": WHITE},
    )
    numbers = (
        {"n_test": 100, "accuracy": 0.5, "seconds": 3.0, "kind": "simulated"},
        {"n_test": 100, "accuracy": 0.6, "seconds": 9.0, "kind": "real"},
    )
    for name, figures, values in zip(("before", "now"), drawn, numbers, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "01_data.json").write_text(json.dumps({"n_test": 100}))
        (tmp_path / name / "04_evaluation.json").write_text(json.dumps(values))
        manifest = {
            "run": "smoke",
            "made": "2026-11-20T10:00:00+00:00",
            "commit": f"{name}0123456789abc",
            "figures": {figure: print_of(png(grey)) for figure, grey in figures.items()},
        }
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path / "before", tmp_path / "now"


def test_prints_tell_whether_and_how_much() -> None:
    black, white = print_of(png(BLACK)), print_of(png(WHITE))
    assert change(black, white) == 1
    assert change(black, black) == 0
    assert black["size"] == [60, 40]
    # Another file of the same pixels is the same figure; one pixel of another grey is not.
    assert print_of(png(BLACK, compress_level=0, dpi=(10, 10)))["pixels"] == black["pixels"]
    dot = BLACK.copy()
    dot[3, 3] = 1
    assert print_of(png(dot))["pixels"] != black["pixels"]
    # The mean of the small prints is the mean of the pictures.
    grey = np.random.default_rng(0).integers(0, 256, (64, 48))
    assert change(print_of(png(grey)), print_of(png(np.zeros((64, 48))))) == pytest.approx(
        grey.mean() / 255, abs=0.003
    )


def test_what_is_clear_counts_as_white() -> None:
    stream = io.BytesIO()
    Image.new("RGBA", (60, 40), (0, 0, 0, 0)).save(stream, "PNG")
    assert print_of(stream.getvalue()) == print_of(png(WHITE))


def test_figures_are_read_from_the_executed_chapters(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    notebook = nbformat.v4.new_notebook()
    data = {PICTURE: base64.b64encode(png(BLACK)).decode()}
    figure = nbformat.v4.new_output("display_data", data, metadata={"scrapbook": {"name": "sky"}})
    loose = nbformat.v4.new_output("display_data", data)
    table = nbformat.v4.new_output("display_data", {"text/html": "t"}, metadata={"scrapbook": {"name": "t"}})
    notebook.cells = [
        nbformat.v4.new_code_cell(outputs=[loose, figure, table]),
        nbformat.v4.new_markdown_cell("x"),
    ]
    nbformat.write(notebook, tmp_path / "notebooks" / "01_data.ipynb")
    assert prints(tmp_path) == {"01_data/sky": print_of(png(BLACK))}


def test_every_change_is_told(runs) -> None:
    told = lines(changes(*runs))
    assert told == [
        "  not the same commit: before0123456789abc and now0123456789abc",
        '  04_evaluation/kind: "simulated" became "real"; the words must agree: set by the run\'s parameters '
        "and its galaxies, whatever the training made of them",
        "  04_evaluation/accuracy: 0.5 became 0.6 (+0.1); within the tolerance",
        "  01_data/half: changed by 50.00% of the range from black to white",
        "  01_data/gone: gone",
        "  02_y/new: new",
        "2 values are the same, 1 changed within the tolerances of ci/tolerances.yml, 1 changed beyond, and "
        "1 are times and the like. 1 figures are the same to the last pixel, 3 are not.",
    ]


def test_numbers_that_came_and_went_are_told(runs) -> None:
    for folder, values in zip(runs, ({"old": 1, "x": 0.1}, {"new": 2, "x": 0.1 + 1e-9}), strict=True):
        (folder / "02_architecture.json").write_text(json.dumps(values))
    told = lines(changes(*runs))
    assert "  02_architecture/old: gone, was 1" in told
    assert "  02_architecture/new: new, 2" in told
    assert "  02_architecture/x: 0.1 became 0.100000001 (+1e-09); within the tolerance" in told


def test_status_is_zero_whatever_changed(runs, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "_build" / "results").mkdir(parents=True)
    runs[1].rename(tmp_path / "_build" / "results" / "smoke")
    assert main(["--profile", "smoke", "--against", str(runs[0])]) == 0
    assert "0.5 became 0.6" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "There is no run to compare with: name its folder, `make diff AGAINST=folder`."),
        (["--against", "nowhere"], "nowhere holds no results of chapters"),
        (["--against", "before"], "_build/results/default holds no results of chapters"),
        (["--against", "before", "--profile", "quick"], "There is no profile 'quick'"),
        (["--against", "damaged"], "damaged/01_data.json is damaged, no JSON: make that run again"),
    ],
)
def test_bad_input_gets_one_sentence(runs, tmp_path, monkeypatch, capsys, arguments, sentence) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "01_data.json").write_text('{"n": 1')
    assert main(arguments) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith(sentence)
    assert "\n" not in said


def test_book_refuses_a_run_to_compare_with_before_any_chapter(tmp_path: Path, capsys) -> None:
    assert book(["--profile", "smoke", "--against", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"{tmp_path} holds no results of chapters")


def test_damaged_manifest_gets_one_sentence(runs) -> None:
    (runs[0] / "manifest.json").write_text("{")
    with pytest.raises(GalaxyError, match=r"manifest\.json is damaged, no JSON: make that run again"):
        changes(*runs)


def test_run_without_prints_compares_numbers_alone(runs) -> None:
    (runs[0] / "manifest.json").unlink()
    assert lines(changes(*runs))[-1].endswith(
        "One of the two runs kept no prints of its figures, so these were not compared."
    )


def test_page_says_what_changed_since_the_release(runs, tmp_path: Path) -> None:
    text = section(runs[1], runs[0])
    assert text.startswith(
        "Compared with the run of 2026-11-20 (commit `before012345`): 2 values are the same"
    )
    assert "| 04_evaluation | 1 | 1 |" in text
    assert '- `` 04_evaluation/kind: "simulated" became "real"; the words must agree' in text
    assert "- figure `01_data/half`: changed by 50.00%" in text
    same = section(runs[0], runs[0])
    assert "0 changed beyond" in same
    assert "|" not in same


def test_page_says_in_one_sentence_that_there_is_no_release(runs, tmp_path: Path) -> None:
    assert section(runs[1], tmp_path / "none") == (
        "No results of an earlier release are at hand, so nothing is compared here.\n"
    )
    manifest = json.loads((runs[0] / "manifest.json").read_text())
    (runs[0] / "manifest.json").write_text(json.dumps(manifest | {"run": "default"}))
    assert section(runs[1], runs[0]) == (
        "The results at hand of an earlier release are of the run `default`, not of this one.\n"
    )


def test_page_says_that_a_run_has_no_manifest(runs) -> None:
    (runs[0] / "manifest.json").unlink()
    assert section(runs[1], runs[0]) == (
        "The results at hand of an earlier run have no manifest, so nothing is compared here.\n"
    )


def test_page_lists_a_screenful(runs) -> None:
    numbers = {f"x{number}": number for number in range(SHOWN + 5)}
    for folder, shift in zip(runs, (0, 1), strict=True):
        moved = {name: value + shift for name, value in numbers.items()}
        (folder / "02_architecture.json").write_text(json.dumps(moved))
    text = section(runs[1], runs[0])
    assert text.count("`` 02_architecture/x") == SHOWN  # and one of another chapter after them
    assert "- and 6 more, which `make diff` lists" in text
