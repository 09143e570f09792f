"""The decision tree, the challenge's layout with every fault in it, the held-out part, and the measure."""

import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import shared_data
from PIL import Image
from votes_folder import drawn_fractions, write_folder

from galaxylib.errors import DataError, GalaxyError
from galaxylib.votes import zoo2
from galaxylib.votes.split import held_out, near_duplicates
from galaxylib.votes.zoo2 import ANSWERS, IMAGES, PLACES, SOLUTIONS, TREE


@pytest.fixture
def folder(tmp_path):
    """Six galaxies in the challenge's layout."""
    return write_folder(tmp_path)


def test_the_tree_is_the_challenges():
    # As printed on the challenge's page: answers per question, and which answer leads where.
    assert [len(question.answers) for question in TREE] == [3, 2, 2, 2, 4, 2, 3, 7, 3, 3, 6]
    assert len(ANSWERS) == 37
    assert {question.number: question.parent for question in TREE} == {
        1: None, 6: None, 2: "Class1.2", 3: "Class2.2", 4: "Class2.2", 5: "Class2.2", 7: "Class1.1",
        8: "Class6.1", 9: "Class2.1", 10: "Class4.1", 11: "Class4.1",
    }  # fmt: skip
    assert ANSWERS[PLACES["Class4.1"]] == "Class4.1"
    assert zoo2.NAMES["Class8.6"] == "merger"


def test_parents_come_before_their_questions():
    seen = {None}
    for question in zoo2.from_the_root():
        assert question.parent in seen
        seen |= set(question.columns)
    assert len(seen) == 38


def test_gaps_see_a_broken_tree_and_only_that():
    fractions = drawn_fractions(5)
    assert np.abs(zoo2.gaps(fractions)).max() < 1e-12
    fractions[3, PLACES["Class9.2"]] += 0.02
    missed = zoo2.gaps(fractions)
    assert np.argwhere(np.abs(missed) > 1e-6).tolist() == [[3, 8]]
    assert missed[3, 8] == pytest.approx(0.02)


def test_a_folder_in_the_challenges_layout_is_read(folder):
    votes = zoo2.read_votes(folder)
    assert votes.ids.tolist()[:2] == [100008, 100023]
    assert votes.images.shape == (6, 120, 120, 3)
    assert votes.fractions.shape == (6, 37)
    assert not votes.simulated
    chosen = votes.rows(np.array([4, 1]))
    assert chosen.ids.tolist() == [900000002, 100023]


def test_images_may_have_other_endings(folder):
    """As other programs write them; the pixels are the same, and files that are no images are passed over."""
    before = zoo2.read_votes(folder)
    images = folder / IMAGES
    (images / "100008.jpg").rename(images / "100008.JPG")
    (images / "100023.jpg").rename(images / "100023.jpeg")
    for mode, number in (("RGB", 100053), ("RGBA", 900000001)):
        with Image.open(images / f"{number}.jpg") as image:
            image.convert(mode).save(images / f"{number}.PNG")
        (images / f"{number}.jpg").unlink()
    (images / "100008.txt").write_text("notes")
    (images / "._100008.jpg").write_bytes(b"what macOS leaves")
    after = zoo2.read_votes(folder)
    assert after.ids.tolist() == before.ids.tolist()
    assert np.array_equal(after.images, before.images)


def test_the_central_80_pixels_are_the_printed_preprocessing(tmp_path):
    """424 -> central 224 -> 80 x 80, done at once with Pillow, is what the networks read."""
    y, x = np.mgrid[:424, :424]
    waves = [127 + 100 * np.sin(x / scale) * np.cos(y / (scale + 3)) for scale in (9, 14, 30)]
    image = Image.fromarray(np.stack(waves, axis=2).astype(np.uint8))
    printed = np.asarray(image.crop((100, 100, 324, 324)).resize((80, 80), Image.Resampling.BICUBIC))
    central = zoo2.reduced(image)[20:100, 20:100]
    # Only the outermost pixels differ: the direct way cannot look over the crop's border.
    assert np.abs(central[4:-4, 4:-4].astype(int) - printed[4:-4, 4:-4]).max() <= 1
    assert np.abs(central.astype(int) - printed).mean() < 0.5


def change(folder, edit):
    table = pd.read_csv(folder / SOLUTIONS)
    edit(table).to_csv(folder / SOLUTIONS, index=False)


def set_value(row, column, value):
    def edit(table):
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
        return table

    return edit


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (lambda f: (f / IMAGES / "100023.jpg").unlink(), r"lacks 1 of the 6 images .*100023\.jpg"),
        (lambda f: (f / IMAGES / "100023.jpg").write_bytes(b"no image"), r"100023\.jpg is no whole image"),
        (
            lambda f: Image.new("RGB", (256, 256)).save(f / IMAGES / "100023.jpg"),
            "has 256 x 256 pixels: the challenge's have 424 x 424",
        ),
        (
            lambda f: (f / IMAGES / "100023.PNG").write_bytes(b"again"),
            r"holds 100023\.PNG and 100023\.jpg for one galaxy: keep one",
        ),
        (
            lambda f: Image.new("I;16", (424, 424)).save(
                (f / IMAGES / "100023.jpg").rename(f / IMAGES / "100023.png")
            ),
            r"100023\.png has more than 8 bits a pixel",
        ),
        (
            lambda f: (f / IMAGES / "100023.jpg").write_bytes(b"P5 20000 20000 255\n"),
            r"100023\.jpg is no whole image .*decompression bomb",
        ),
        (lambda f: (f / IMAGES / "100023.jpg").write_bytes(b""), r"100023\.jpg is no whole image"),
        (lambda f: shutil.rmtree(f / IMAGES), "lacks 6 of the 6 images"),
        (lambda f: (f / SOLUTIONS).unlink(), "There is no .*training_solutions_rev1"),
        (lambda f: (f / SOLUTIONS).write_text(""), "is no table"),
        (lambda f: change(f, lambda t: t.drop(columns="Class3.2")), "lacks column Class3.2"),
        (lambda f: change(f, lambda t: t.assign(redshift=0.1)), "has unknown column redshift"),
        (lambda f: change(f, lambda t: t.iloc[:0]), "has no rows"),
        (lambda f: change(f, lambda t: pd.concat([t, t.iloc[:1]])), "all different"),
        (lambda f: change(f, set_value(2, "Class1.1", "many")), "no number"),
        (lambda f: change(f, set_value(2, "Class1.1", 1.4)), r"galaxy 100053 the value 1.4 in Class1\.1"),
        (lambda f: change(f, set_value(2, "Class1.1", np.nan)), r"galaxy 100053 the value nan in Class1\.1"),
        (
            lambda f: change(f, set_value(3, "Class8.4", 0.9)),
            "breaks the decision tree for 1 galaxies: the answers to question 8 of galaxy 900000001",
        ),
    ],
)
def test_every_fault_is_told_in_one_sentence(folder, fault, sentence):
    fault(folder)
    with pytest.raises(DataError, match=sentence):
        zoo2.read_votes(folder)


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(DataError, match="There is no folder"):
        zoo2.read_votes(tmp_path / "nowhere")


def test_near_duplicates_are_found_and_others_are_not():
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (6, 30, 30, 3), np.uint8).repeat(4, 1).repeat(4, 2)
    images[4] = np.clip(images[1].astype(int) + generator.integers(-6, 7, images[1].shape), 0, 255)
    assert near_duplicates(images).tolist() == [0, 1, 2, 3, 1, 5]


def test_the_held_out_part_is_fixed_and_takes_the_same_share_of_each_source():
    ids = np.concatenate([np.arange(100_000, 100_200), np.arange(900_000_000, 900_000_300)])
    groups = np.arange(len(ids))
    groups[210] = 3  # the same galaxy under both sources
    chosen = held_out(ids, groups)
    assert abs(chosen[:200].sum() - 40) <= 1
    assert abs(chosen[200:].sum() - 60) <= 1
    assert chosen[210] == chosen[3]
    shuffled = np.random.default_rng(0).permutation(len(ids))
    moved = np.empty(len(ids), int)
    moved[shuffled] = np.arange(len(ids))
    again = held_out(ids[shuffled], moved[groups[shuffled]])
    assert (again == chosen[shuffled]).all()
    with pytest.raises(GalaxyError, match="between 0 and 1"):
        held_out(ids, groups, share=1.5)


def test_groups_are_never_cut():
    ids = np.arange(100_000, 100_050)
    groups = np.arange(50) // 5 * 5
    chosen = held_out(ids, groups).reshape(10, 5)
    assert (chosen.all(axis=1) == chosen.any(axis=1)).all()
    assert chosen.any()
    assert not chosen.all()


def test_the_measure_by_hand():
    observed = np.zeros((2, 37))
    predicted = np.zeros((2, 37))
    predicted[0, 0], predicted[1, 1] = 0.3, 0.4
    assert zoo2.rmse(predicted, observed) == pytest.approx(np.sqrt((0.09 + 0.16) / 74))
    low, high = zoo2.rmse_interval(predicted, observed, draws=500)
    # Two galaxies: every draw is one of their errors, or both.
    assert low == pytest.approx(np.sqrt(0.09 / 37))
    assert high == pytest.approx(np.sqrt(0.16 / 37))


def test_predictions_go_out_in_the_challenges_columns(tmp_path):
    fractions = drawn_fractions(3)
    zoo2.write_predictions(tmp_path / SOLUTIONS, [7, 8, 9], fractions)
    ids, again = zoo2.read_solutions(tmp_path / SOLUTIONS)
    assert ids.tolist() == [7, 8, 9]
    np.testing.assert_allclose(again, fractions, atol=1e-6)


@pytest.mark.slow
def test_the_real_sample_reads_and_its_guess_is_the_known_one():
    votes = zoo2.read_votes(shared_data("gz2"))
    assert len(votes) == 1280
    guess = votes.fractions.mean(axis=0, keepdims=True)
    assert zoo2.rmse(guess, votes.fractions) == pytest.approx(0.164, abs=5e-4)
    groups = near_duplicates(votes.images)
    pairs = {tuple(votes.ids[groups == group].tolist()) for group in groups if (groups == group).sum() > 1}
    assert pairs == {(102812, 900057570), (103787, 900068682)}
    chosen = held_out(votes.ids, groups)
    of_challenge = votes.ids < zoo2.CHALLENGE_IDS
    assert chosen[of_challenge].mean() == pytest.approx(0.2, abs=0.005)
    assert chosen[~of_challenge].mean() == pytest.approx(0.2, abs=0.005)
