"""No number is typed into a chapter's prose: results are quoted from code, the documents' own are claims.

A digit may stand in prose for one of three reasons: it is part of a name, it states a convention or a scale
(`CONVENTIONS`), or it is printed in a source document and the claims file holds it (`PRINTED`).
"""

import re
from pathlib import Path

import jupytext
import pytest

from galaxylib.networks.registry import NETWORKS

BOOK = Path(__file__).parents[2] / "book"
CHAPTERS = sorted(BOOK.glob("[0-9][0-9]_*.py"))
PAGES = [*CHAPTERS, BOOK / "intro.md", BOOK / "glossary.md"]

# What is no prose: code, formulas, roles and links' targets, labels.
NOT_PROSE = (
    r"(?s)\$\$.*?\$\$",
    r"\$[^$]+\$",
    r"\{[\w:-]+\}`[^`]*`",
    r"`[^`]*`",
    r"\]\([^)]*\)",
    r"^:(name|figclass|class|width): .*$",
)

NAMES = (
    r"\bGalaxy10\b",
    r"\bGalaxy Zoo [12]\b",
    r"\bResNet-18\b",
    r"\bF1\b",
    r"\bdma[123]\b",
    r"\bDMA [123]\b",
    r"\bPython 3\b",
    r"\bfloat(16|32|64)\b",
    r"\bbfloat16\b",
    r"\bD16\b",
    r"\bh5py\b",
)

CONVENTIONS = (
    r"\b95 % (bootstrap )?(interval|bound)s?",
    r"\b5 % level",
    r"\b(Tables?|Fig\.|Figures?|[Ss]ections?|[Qq]uestion) \d+(\.\d)?( and \d+(\.\d)?)?",
    r"\bfrom 0 to 1(00)?\b",
    r"\bscale 0 to 1\b",
    r"\b(mean|deviation|diagonal of|diagonal is|sums? to|not to) [01]\b",
    r"\b1 means no preference\b",
    r"\b256( x 256)? pixels\b",
)

# Numbers of the source documents: the words on the page, and the claim that holds the number.
PRINTED: dict[str, dict[str, str]] = {
    "04_evaluation": {"3,194 real galaxies": "000-split-test", "87 % correctly": "000-accuracy"},
    "05_baselines": {
        "How 75 %": "002-accuracy",
        "85 % precision": "002-precision",
        "accuracy 75 %": "002-accuracy",
        "precision 85 %": "002-precision",
        "recall 68 %": "002-recall",
        "F1 76 %": "002-f1",
        "a rate of 0.001": "002-learning-rate",
        "from 256 to 128 pixels": "002-crop",
        "brought 5 points": "002-crop-accuracy",
        "the 32 filters": "002-filters",
        "about 80 %": "003-accuracy",
    },
    "07_votes": {
        "37 vote fractions": "004-labels",
        "37 answers": "004-labels",
        "37 by 37 cells": "004-labels",
        "of 424 pixels": "004-stored",
        "central 224": "004-crop",
        "reduced to 80": "004-size",
        "80 pixels": "004-size",
        "flattened 2,592 values": "004-flat",
        "printed 0.11": "004-tailored",
        "about 0.33": "004-spread-width",
        "error of 0.11": "004-spread",
        "true top 24": "004-top",
        "above 0.54": "004-merger",
        "threshold of 0.54": "004-merger",
    },
}


def without_code(text):
    """`text` without fenced code; what a directive's fence holds (a caption, say) stays."""
    kept, fence = [], ""
    for line in text.splitlines():
        if line.startswith("```"):
            fence = "" if fence else line
        elif not fence or fence.startswith("```{glue"):
            kept.append(line)
    return "\n".join(kept)


def prose(path):
    """(cell, text) of each markdown cell, without what is no prose."""
    if path.suffix == ".md":
        sources = [path.read_text(encoding="utf-8")]
    else:
        sources = [cell.source if cell.cell_type == "markdown" else "" for cell in jupytext.read(path).cells]
    for number, text in enumerate(sources):
        if text:
            text = without_code(text)
            for pattern in NOT_PROSE:
                text = re.sub(pattern, " ", text, flags=re.MULTILINE)
            yield number, text


def typed_numbers(path, allowed=()):
    """Every line of a page's prose with a digit for which there is no reason."""
    found = []
    for number, text in prose(path):
        for pattern in (*(re.escape(words) for words in allowed), *NAMES, *CONVENTIONS):
            text = re.sub(pattern.replace(r"\ ", " ").replace(" ", r"\s+"), " ", text)
        found += [f"cell {number}: {line.strip()}" for line in text.splitlines() if re.search(r"\d", line)]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_no_number_is_typed(page):
    assert typed_numbers(page, PRINTED.get(page.stem, {})) == []


@pytest.mark.parametrize("page", PRINTED)
def test_the_documents_numbers_are_claims(page, printed):
    """Each permitted number stands on the page and is the value of its claim, however it is written."""
    text = " ".join(" ".join(text.split()) for _, text in prose(BOOK / f"{page}.py"))
    for words, claim in PRINTED[page].items():
        assert words in text, f"{words!r} is not on the page any more: take it off the list"
        numbers = [number.replace(",", "") for number in re.findall(r"\d[\d,]*\.?\d*", words)]
        assert f"{printed.value(claim)}" in numbers, f"{words!r} is not {claim}"


def test_a_typed_number_is_found(tmp_path):
    page = tmp_path / "01_x.py"
    page.write_text(
        "# %% [markdown]\n# # X\n#\n# Galaxy10 has $2^3$ kinds and `3` colours; {glue:text}`accuracy:.1%`.\n"
        "# It is right for\n# 86 % (95 % interval).\n#\n"
        "# ```{glue:figure} x\n# :name: fig-1\n#\n# Of 7.\n# ```\n#\n"
        "# And 8.\n#\n# ```python\n# x = 9\n# ```\n\n# %%\nx = 5\n"
    )
    assert typed_numbers(page) == ["cell 0: 86 % ( ).", "cell 0: Of 7.", "cell 0: And 8."]
    assert typed_numbers(page, ["right for 86 %", "Of 7", "And 8"]) == []


def test_the_registry_prints_what_the_documents_print(printed):
    """`galaxylib.networks.registry` and the claims file cannot drift apart."""
    for network, score, claim in (
        ("dmagnet", "accuracy", "000-accuracy"),
        ("dmagnet", "weighted_f1", "000-weighted-f1"),
        ("convnet", "accuracy", "002-accuracy"),
        ("convnet", "precision", "002-precision"),
        ("convnet", "recall", "002-recall"),
        ("convnet", "f1", "002-f1"),
        ("negm", "accuracy", "002-negm"),
        ("shi", "accuracy", "002-shi"),
        ("five_block", "accuracy", "003-accuracy"),
        ("five_block", "first_stage_accuracy", "003-stage-1-test"),
        ("five_block", "first_stage_training_accuracy", "003-stage-1-training"),
        ("gz_cnn", "rmse", "004-cnn"),
        ("gz_resnet18", "rmse", "004-resnet"),
        ("gz_resnet18", "tailored_rmse", "004-tailored"),
    ):
        scale = 100 if printed.claims[claim].unit == "%" else 1
        assert scale * NETWORKS[network].printed[score] == pytest.approx(printed.value(claim)), claim
