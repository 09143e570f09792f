import json

import numpy as np
import pytest

from galaxylib.data.galaxy10 import CLASS_COUNTS, Galaxy10
from galaxylib.data.sky import Catalogue, sky_groups, sky_pairs
from galaxylib.data.splits import Leak, _quota, load_split, make_split, survey
from galaxylib.errors import DataError, GalaxyError

ARCSEC = 1 / 3600


def catalogue(count=2000, seed=0, repeated=40):
    """A sky in the real proportions; some galaxies come twice, a few arcsec apart, with any label."""
    generator = np.random.default_rng(seed)
    shares = np.array(list(CLASS_COUNTS.values())) / 17_736
    labels = generator.choice(10, count, p=shares)
    ra, dec = generator.uniform(0, 360, count), generator.uniform(-80, 80, count)
    ra[-repeated:] = ra[:repeated]
    dec[-repeated:] = dec[:repeated] + generator.uniform(0, 8, repeated) * ARCSEC
    return Catalogue(labels, ra, dec, fingerprint=f"sky {seed}")


def separation(ra1, dec1, ra2, dec2):
    """Arcsec between two directions, by the haversine formula: good at small angles, and no tree."""
    ra1, dec1, ra2, dec2 = map(np.radians, (ra1, dec1, ra2, dec2))
    half = np.sin((dec2 - dec1) / 2) ** 2 + np.cos(dec1) * np.cos(dec2) * np.sin((ra2 - ra1) / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(half))) / ARCSEC


def test_pairs_agree_with_measuring_every_pair():
    generator = np.random.default_rng(1)
    # Around the pole and across ra 0, where flat arithmetic goes wrong.
    ra = np.concatenate([generator.uniform(0, 360, 150), generator.normal(0, 20 * ARCSEC, 150) % 360])
    dec = np.concatenate([90 - generator.uniform(0, 60, 150) * ARCSEC, generator.normal(0, 20 * ARCSEC, 150)])
    apart = separation(ra[:, None], dec[:, None], ra[None], dec[None])
    expected = np.argwhere(np.triu(apart <= 10, k=1))
    assert len(expected) > 100
    np.testing.assert_array_equal(sky_pairs(ra, dec, 10.0), expected)


def test_friends_of_friends_share_a_group_and_unknown_positions_do_not():
    ra = np.array([10, 10, 10, 50, np.nan, np.nan, 359.999, 0.001])
    dec = np.array([0, 8 * ARCSEC, 16 * ARCSEC, 0, np.nan, np.nan, 5, 5])
    # The first and third are 16 arcsec apart, and joined by the second.
    assert sky_groups(ra, dec).tolist() == [0, 0, 0, 1, 2, 3, 4, 4]
    assert sky_groups(ra, dec, 7.1).tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert sky_groups(np.full(3, np.nan), np.full(3, np.nan)).tolist() == [0, 1, 2]


def test_the_real_catalogue_repeats_galaxies(real_catalogue):
    sky = Catalogue.read(real_catalogue)
    assert len(sky) == 17_736
    assert np.bincount(sky.labels).tolist() == list(CLASS_COUNTS.values())
    assert len(sky_pairs(sky.ra, sky.dec, 1.0)) == 59
    assert len(sky_pairs(sky.ra, sky.dec, 10.0)) == 126
    groups = sky_groups(sky.ra, sky.dec)
    assert Leak.of(make_split(sky), groups) == Leak(groups=0, test_rows=0, unused=0)
    for method, sizes in {"paper": (11_487, 1_276, 3_194), "published_code": (13_088, 1_454, 3_194)}.items():
        split = make_split(sky, method=method)
        assert (len(split.train), len(split.validation), len(split.test)) == sizes
        leak = Leak.of(split, groups)
        assert leak.unused == 17_736 - sum(sizes)
        assert leak.test_rows > 20
        # The test set's support, class by class, as the paper's Table 3 prints it.
        support = np.bincount(sky.labels[split.test]).tolist()
        assert support == [195, 334, 476, 365, 60, 368, 330, 473, 256, 337]


@pytest.mark.parametrize("method", ["sky", "paper", "published_code"])
def test_parts_do_not_overlap_and_the_seed_decides(method):
    sky = catalogue()
    split = make_split(sky, method=method, seed=3)
    rows = np.concatenate([split.train, split.validation, split.test])
    assert len(np.unique(rows)) == len(rows)
    assert rows.max() < len(sky)
    again = make_split(sky, method=method, seed=3)
    other = make_split(sky, method=method, seed=4)
    np.testing.assert_array_equal(split.test, again.test)
    assert np.array_equal(split.test, other.test) == (method == "published_code")


def test_sky_split_has_every_class_at_its_share_and_no_leak():
    sky = catalogue()
    split = make_split(sky, fractions=(0.6, 0.15, 0.25), seed=1)
    totals = np.bincount(sky.labels, minlength=10)
    for rows, share in zip((split.train, split.validation, split.test), (0.6, 0.15, 0.25), strict=True):
        np.testing.assert_allclose(np.bincount(sky.labels[rows], minlength=10), totals * share, atol=4)
    groups = sky_groups(sky.ra, sky.dec)
    assert Leak.of(split, groups) == Leak(groups=0, test_rows=0, unused=0)
    assert Leak.of(make_split(sky, method="published_code"), groups).test_rows > 0


def test_leaks_are_counted():
    sky = catalogue(count=100, repeated=2)
    split = make_split(sky)
    groups = np.arange(100)
    groups[split.test[0]] = groups[split.train[0]]
    groups[split.test[1]] = groups[split.train[0]]
    groups[split.validation[0]] = groups[split.train[1]]
    assert Leak.of(split, groups) == Leak(groups=2, test_rows=2, unused=0)


def test_survey_counts_repeats_and_leaks():
    found = survey(catalogue(count=2000, repeated=40))
    assert (found["galaxies"], found["positioned"], found["pairs_10_arcsec"]) == (2000, 2000, 40)
    assert 0 < found["pairs_1_arcsec"] < 15
    assert 20 < found["pairs_10_arcsec_two_labels"] <= 40
    assert found["methods"]["sky"] | {"train": 0, "validation": 0, "test": 0} == {
        "train": 0, "validation": 0, "test": 0, "groups": 0, "test_rows": 0, "unused": 0
    }  # fmt: skip
    assert found["methods"]["paper"]["unused"] == pytest.approx(2000 * 1779 / 17_736, abs=2)
    assert survey(catalogue(count=60, repeated=1))["methods"]["paper"]["refused"].startswith("60 galaxies")


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, [0, 0, 0]), (1, [1, 0, 0]), (2, [1, 0, 1]), (5, [3, 1, 1]), (100, [72, 10, 18])],
)
def test_quota_leaves_no_part_empty_where_it_can(count, expected):
    assert _quota(count, np.array([0.72, 0.10, 0.18])).tolist() == expected


def test_the_real_sample_is_split_though_it_has_no_positions(real_sample):
    data = Galaxy10(real_sample)
    split = make_split(data)
    assert all(
        set(data.labels[rows]) == set(range(10)) for rows in (split.train, split.validation, split.test)
    )
    with pytest.raises(DataError, match=r"60 galaxies are too few.*'sky'"):
        make_split(data, method="paper")


def test_published_code_draws_its_validation_from_the_folder_order():
    sky = catalogue(count=17_736, repeated=1)
    split = make_split(sky, method="published_code")
    rest = np.setdiff1d(np.arange(17_736), split.test)
    names = np.array(list(CLASS_COUNTS))
    listed = sorted(rest, key=lambda row: (names[sky.labels[row]], row))
    indices = list(range(len(rest)))
    np.random.seed(42)  # noqa: NPY002
    np.random.shuffle(indices)  # noqa: NPY002
    expected = sorted(int(listed[index]) for index in indices[: int(0.10 * len(rest))])
    assert split.validation.tolist() == expected


def test_saved_and_loaded(tmp_path):
    sky = catalogue(count=300)
    split = make_split(sky, seed=5)
    loaded = load_split(split.save(tmp_path / "deep" / "split.json"), sky)
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(loaded, part), getattr(split, part))
    assert (loaded.method, loaded.seed, loaded.fingerprint) == ("sky", 5, "sky 0")
    with pytest.raises(DataError, match=r"belongs to another file.*sky 0.*sky 1"):
        load_split(tmp_path / "deep" / "split.json", catalogue(count=300, seed=1))


@pytest.mark.parametrize(
    "content", ["{", "[]", "3", json.dumps({"train": [1]}), json.dumps({"train": ["a"]})]
)
def test_a_file_that_is_no_split(tmp_path, content):
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(DataError, match="is not a split"):
        load_split(tmp_path / "split.json")


def test_no_split_there(tmp_path):
    with pytest.raises(DataError, match="no split"):
        load_split(tmp_path / "split.json")


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.5, 0.4, 0.2), (1.2, -0.1, -0.1), (0, 0.5, 0.5)])
def test_fractions_that_are_none(fractions):
    with pytest.raises(GalaxyError, match="add up to 1"):
        make_split(catalogue(100), fractions=fractions)


def test_unknown_method():
    with pytest.raises(GalaxyError, match=r"'random'.*sky, paper, published_code"):
        make_split(catalogue(100), method="random")


@pytest.mark.parametrize("text", ["label,ra\n1,2\n", "label,ra,dec\n1,2,x\n", "label,ra,dec\n11,2,3\n", "\0"])
def test_a_file_that_is_no_catalogue(tmp_path, text):
    (tmp_path / "sky.csv").write_text(text)
    with pytest.raises(DataError):
        Catalogue.read(tmp_path / "sky.csv")


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, True, float("nan")])
@pytest.mark.parametrize("method", ["sky", "paper", "published_code"])
def test_a_seed_out_of_range_is_told(method, seed):
    with pytest.raises(GalaxyError, match=r"^seed is .*: choose seed from 0 to 4,294,967,295"):
        make_split(catalogue(), method=method, seed=seed)


def test_rows_beyond_the_file_are_told(tmp_path):
    data = catalogue(200)
    path = make_split(data).save(tmp_path / "split.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"test": [*content["test"], 200]}))
    with pytest.raises(DataError, match="rows that its file of 200 galaxies has not"):
        load_split(path, data)
    load_split(path)
