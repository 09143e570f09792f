"""The atlas: cells, neighbours, fidelity beside naive loops and scikit-learn, and what is committed of it."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from galaxylib.data.galaxy10 import CLASS_NAMES
from galaxylib.errors import DataError
from galaxylib.networks.checkpoint import BROUGHT, load
from galaxylib.paper import atlas as laid
from galaxylib.paper.atlas import AtlasSettings
from galaxylib.paper.atlas_page import (
    RESULTS,
    commonest,
    dreams_said,
    fidelity_said,
    figure,
    made_said,
    read_atlas,
)
from galaxylib.paper.figures import CLASS_COLOURS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / RESULTS
SMALL = AtlasSettings(components=5, perplexity=5.0, side=4, neighbours=3, examples=4, seed=1)


@pytest.fixture(scope="module")
def groups() -> tuple[np.ndarray, np.ndarray]:
    """Three well parted groups of activations, and the number of each one's group."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    centres = generator.normal(size=(3, 8)) * 10
    return centres[labels] + generator.normal(size=(60, 8)), labels


@pytest.fixture(scope="module")
def atlas() -> dict:
    return read_atlas()


def test_plane_keeps_groups_together_and_is_the_same_for_the_same_seed(groups) -> None:
    features, labels = groups
    points = laid.lay_out(features, SMALL)
    assert points.shape == (60, 2)
    np.testing.assert_array_equal(points.min(axis=0), 0)
    np.testing.assert_array_equal(points.max(axis=0), 1)
    assert KNeighborsClassifier(3).fit(points, labels).score(points, labels) == 1
    np.testing.assert_array_equal(laid.lay_out(features, SMALL), points)


def test_too_few_galaxies_are_refused(groups) -> None:
    with pytest.raises(DataError, match="12 galaxies are too few for a perplexity of 5: give more than 15"):
        laid.lay_out(groups[0][:12], SMALL)


def test_components_are_the_covariances_eigenvectors(groups) -> None:
    features, _ = groups
    values, vectors = np.linalg.eigh(np.cov(features.T))
    expected = (features - features.mean(axis=0)) @ vectors[:, np.argsort(-values)[:2]]
    np.testing.assert_allclose(np.abs(laid.first_components(features, 2)), np.abs(expected), atol=1e-9)


def test_first_row_is_at_the_top_and_outer_edges_belong_to_the_grid() -> None:
    points = np.array([[0, 0], [0, 1], [1, 1], [1, 0], [0.5, 0.5], [0.24, 0.76]])
    assert laid.places(points, 4).tolist() == [[3, 0], [0, 0], [0, 3], [3, 3], [2, 2], [0, 0]]


def test_cells_are_those_of_a_loop_over_galaxies(groups) -> None:
    features, _ = groups
    points = np.random.default_rng(2).uniform(size=(60, 2))
    members: dict[tuple[int, int], list[int]] = {}
    for number, (x, y) in enumerate(points):
        members.setdefault((int((1 - y) * 4), int(x * 4)), []).append(number)
    found = laid.cells(features, points, SMALL)
    assert [(cell.row, cell.column) for cell in found] == sorted(members)
    for cell in found:
        own = members[cell.row, cell.column]
        assert cell.members.tolist() == own
        mean = sum(features[number] for number in own) / len(own)
        np.testing.assert_allclose(cell.vector, mean - features.mean(axis=0))
        ranked = sorted(own, key=lambda number: np.linalg.norm(features[number] - mean))
        assert cell.examples.tolist() == ranked[:4]


def test_fidelity_is_that_of_naive_loops_and_of_scikit_learn(groups) -> None:
    features, labels = groups
    points = np.random.default_rng(3).uniform(size=(60, 2))
    told = laid.fidelity(features, points, labels, SMALL)
    there, truly = pairwise_distances(points), pairwise_distances(features)
    kept, penalty = 0, 0
    for one in range(60):
        rank = {other: place for place, other in enumerate(np.argsort(truly[one]))}  # 0 is itself
        near = [other for other in np.argsort(there[one]) if other != one][:3]
        kept += sum(rank[other] <= 3 for other in near)
        penalty += sum(max(0, rank[other] - 3) for other in near)
    assert told["plane"]["kept"] == pytest.approx(kept / 180)
    expected = 1 - 2 * penalty / (60 * 3 * (2 * 60 - 3 * 3 - 1))  # Venna & Kaski 2001
    assert told["plane"]["trustworthiness"] == pytest.approx(expected)
    for name, place in {"full": features, "plane": points}.items():
        each = cross_val_score(KNeighborsClassifier(3), place, labels, cv=LeaveOneOut())
        assert told[name]["named"] == pytest.approx(each.mean())
    assert told["pca"]["kept"] > told["plane"]["kept"], "components keep less than points strewn at random"
    assert told["full"].keys() == {"named"}


def test_dreams_are_found_again_by_their_direction() -> None:
    vectors = np.array([[2.0, 0], [0, 1], [-1, 0]])
    dreamed = np.array([[9.0, 1], [3, 1], [-1, 0.1]])  # the second is more like the first cell
    told = laid.found_again(vectors, dreamed)
    assert told["first"] == pytest.approx(2 / 3)
    assert told["rank"] == 1
    assert told["cosine"] == pytest.approx(sorted([9 / 82**0.5, 1 / 10**0.5, 1 / 1.01**0.5])[1])


def test_sentences_hold_the_figures(atlas) -> None:
    told = atlas["fidelity"]
    said = fidelity_said(atlas)
    assert f"{told['plane']['kept']:.0%} are among its 10 nearest in the plane" in said
    assert f"{told['full']['named']:.1%} among the activations themselves" in said
    assert f"{told['chance']['named']:.1%} by chance" in said
    assert f"of all {len(atlas['cells'])} in {atlas['dreams']['first']:.0%} of cases" in dreams_said(atlas)
    assert "from 10,000 drawn galaxies" in made_said(atlas)
    assert atlas["provenance"]["time"][:4] in made_said(atlas)


def test_figure_has_every_galaxy(atlas) -> None:
    axis = figure(atlas).axes[0]
    assert sum(len(each.get_offsets()) for each in axis.collections) == 10_000
    assert [text.get_text() for text in axis.get_legend().get_texts()] == list(CLASS_NAMES)


def test_committed_atlas_is_of_the_network_that_dreams_in_the_lab(atlas) -> None:
    assert atlas["network"] == {
        "name": "real-small",
        "sha256": load(BROUGHT / "real-small").meta["sha256"],
    }, "the network was trained anew: make the atlas again, see benchmarks/atlas.py"


def test_committed_atlas_is_whole(atlas) -> None:
    """Each galaxy is in one cell, the one where its point lies; counts, examples and labels agree."""
    labels, points, side = np.array(atlas["labels"]), np.array(atlas["points"]), atlas["settings"]["side"]
    assert atlas["format"] == 1
    assert labels.shape == (10_000,)
    assert {*Counter(labels.tolist()).values()} == {1000}, "not equally many of each class"
    assert sorted(number for cell in atlas["cells"] for number in cell["members"]) == list(range(10_000))
    assert len({(cell["row"], cell["column"]) for cell in atlas["cells"]}) == len(atlas["cells"])
    channels = {len(cell["vector"]) for cell in atlas["cells"]}
    assert len(channels) == 1
    for cell in atlas["cells"]:
        own = labels[cell["members"]]
        assert cell["classes"] == np.bincount(own, minlength=len(CLASS_NAMES)).tolist()
        assert {*cell["examples"]} <= {*cell["members"]}
        assert len(cell["examples"]) == min(len(own), atlas["settings"]["examples"])
        # Coordinates are rounded: a point may lie on an edge of its cell.
        x, y = points[cell["members"]].T / 10_000 * side
        assert (np.abs(x - cell["column"] - 0.5) <= 0.501).all()
        assert (np.abs(side - y - cell["row"] - 0.5) <= 0.501).all()
        assert np.linalg.norm(cell["vector"]) == pytest.approx(10_000, rel=1e-3)
    for shares in atlas["fidelity"].values():
        assert all(0 <= share <= 1 for share in shares.values())


def test_sheets_have_a_picture_at_the_place_of_each_cell(atlas) -> None:
    side, sheets = atlas["settings"]["side"], atlas["sheets"]
    pitch = sheets["dreams"]["tile"] + 2 * sheets["dreams"]["frame"]
    with Image.open(FOLDER / "dreams.webp") as image:
        assert image.size == (side * pitch, side * pitch)
        dreams = np.asarray(image.convert("RGBA"))
    tile, across, down = (sheets["galaxies"][name] for name in ("tile", "across", "down"))
    galaxies = [np.asarray(Image.open(FOLDER / f"galaxies-{row}.webp").convert("RGB")) for row in range(side)]
    assert {sheet.shape for sheet in galaxies} == {(down * tile, side * across * tile, 3)}
    filled = np.zeros((side, side), bool)
    for cell in atlas["cells"]:
        row, column = cell["row"], cell["column"]
        filled[row, column] = True
        part = dreams[row * pitch : (row + 1) * pitch, column * pitch : (column + 1) * pitch]
        colour = CLASS_COLOURS[CLASS_NAMES[commonest(cell)]]
        expected = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        edge = part[1, :, :3].mean(axis=0)
        np.testing.assert_allclose(edge, expected, atol=25)
        assert part[..., :3][20:-20, 20:-20].std() > 1, "the dream is blank"
        for number in range(across * down):
            line, place = divmod(number, across)
            left = (column * across + place) * tile
            picture = galaxies[row][line * tile : (line + 1) * tile, left : left + tile]
            assert (picture.mean() > 12) == (number < len(cell["examples"]))
    opaque = dreams[..., 3].reshape(side, pitch, side, pitch).mean(axis=(1, 3)) > 127
    np.testing.assert_array_equal(opaque, filled)


def test_the_atlas_is_light() -> None:
    """All that its page serves, but for the lab's engine and network."""
    served = [*FOLDER.glob("*"), *(ROOT / "web").glob("atlas.*")]
    assert (
        sum(file.stat().st_size for file in served) < 3.7e6
    )  # and at most 0.3 MB of HTML: see the page's test
    assert json.loads((FOLDER / "atlas.json").read_text())["cells"]
