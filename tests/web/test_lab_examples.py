"""The galaxies beside a channel in the dream lab: which are shown, what is framed, what is said if none."""

import json
from collections.abc import Iterator

import pytest
from conftest import page_of_scripts

LIST = {
    "images": 40,
    "stages": {
        "lam": {
            "best": [[21, 0, 1, 3, 1, 1], []],
            "spans": {"0": [0, 40], "1": [30, 90]},
        },
        "logits": {"best": [[11, -1, -1]], "spans": {}},
    },
    "concepts": {"arm_pitch": [3, 1, 0], "-arm_pitch": [21, 0, 0]},
}
INDEX = {
    "class_names": ["Disturbed", "Merging", "Round Smooth", "Edge-on"],
    "examples": {"columns": 8, "rows": 5},
    "networks": [
        {
            "name": "small",
            "examples": "examples/small.json",
            "concepts": [{"name": "arm_pitch", "stage": "lam"}],
        },
        {"name": "lost", "examples": "examples/lost.json"},
        {"name": "own", "class_names": ["A"]},
    ],
}


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    folder = tmp_path_factory.mktemp("examples")
    (folder / "examples").mkdir()
    (folder / "examples" / "small.json").write_text(json.dumps(LIST))
    html = "<!doctype html><title>Examples</title><link rel=icon href=data:,><p id=said></p><ol id=list></ol>"
    with page_of_scripts(browser, folder, html) as opened:
        yield opened


def shown(page, *states: dict) -> dict:
    """What stands there once the last of these states is shown."""
    return page.evaluate(
        """async ([states, index]) => {
            const { Examples } = await import("./examples.js");
            const base = new URL(".", location.href).href;
            const [said, list] = [document.getElementById("said"), document.getElementById("list")];
            const examples = new Examples(base, said, list);
            await Promise.all(states.map((state) => examples.show(state, index)));
            const sides = ["top", "left", "height", "width"];
            const tiles = [...list.querySelectorAll("[role=img]")].map((tile) => ({
                label: tile.getAttribute("aria-label"),
                at: tile.style.backgroundPosition,
                frame: tile.firstChild && sides.map((side) => tile.firstChild.style[side]),
            }));
            return { said: said.hidden ? null : said.textContent, hidden: list.hidden, tiles };
        }""",
        [
            [
                {"network": "small", "channel": None, "concept": None, "stage": "lam", **state}
                for state in states
            ],
            INDEX,
        ],
    )


def test_the_best_galaxies_of_a_channel_with_their_frames(page) -> None:
    found = shown(page, {"channel": 0})
    assert found["said"] == (
        "Of 40 simulated galaxies, these excite channel 0 of LAM most, framed where it answers most: "
        "Merging (1), Edge-on (1)."
    )
    first, second = found["tiles"]
    # Number 21 is in row 2 and column 5 of a sheet of 8 columns and 5 rows.
    assert first == {
        "label": "Simulated galaxy of the class Merging, framed at the top",
        "at": f"{100 * 5 / 7:.4f}% 50%",
        "frame": ["0%", "30%", "40%", "60%"],
    }
    assert second["label"] == "Simulated galaxy of the class Edge-on, framed at the middle"


def test_a_class_has_no_frame(page) -> None:
    found = shown(page, {"stage": "logits", "channel": 0})
    assert found["said"] == "Of 40 simulated galaxies, these excite the class Disturbed most: Edge-on (1)."
    assert [one["frame"] for one in found["tiles"]] == [None]


def test_a_concept_has_the_frames_of_its_stage(page) -> None:
    found = shown(page, {"stage": "concept", "concept": "-arm_pitch"})
    assert found["said"] == (
        "Of 40 simulated galaxies, these excite the concept “less arm pitch” of LAM most, framed where it "
        "answers most: Merging (1)."
    )
    assert [one["frame"] for one in found["tiles"]] == [["0%", "0%", "40%", "40%"]]


def test_a_silent_channel_is_named(page) -> None:
    found = shown(page, {"channel": 1})
    assert found["said"] == "Channel 1 of LAM is silent: none of 40 simulated galaxies excites it."
    assert found["hidden"]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"channel": None}, None),
        ({"channel": 2}, None),
        ({"channel": 0, "network": "https://elsewhere.example/"}, None),
        (
            {"channel": 0, "network": "own"},
            "Which galaxies excite it most is known of the book’s own networks alone: these were shown them "
            "when the book was built.",
        ),
        ({"channel": 0, "network": "lost"}, "The galaxies that excite it most could not be fetched."),
    ],
)
def test_where_there_are_none_nothing_stays(page, state: dict, said: str | None) -> None:
    """The former list goes, and one that comes late is not shown."""
    found = shown(page, {"channel": 0}, state)
    assert found == {"said": said, "hidden": True, "tiles": []}
