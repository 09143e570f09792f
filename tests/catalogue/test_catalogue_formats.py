"""A catalogue says the same as Parquet, CSV, ECSV and FITS, and carries its metadata in each."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from galaxylib import CLASS_NAMES, GalaxyError, cli
from galaxylib.catalogue import writing
from galaxylib.catalogue.rows import schema
from galaxylib.catalogue.writing import column_of, read_metadata, write_catalogue

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
tables = pytest.importorskip("astropy.table")

METADATA = {
    "galaxylib": "0.1.0",
    "temperature": 1.25,
    "weights_sha256": "ab" * 32,
    "classes": {column_of(name): name for name in CLASS_NAMES},
    "frame": {"centre": "middle", "as_is": False, "pixscale": None},
    "long": "It's said: " + "x" * 300,
}
FORM = schema(CLASS_NAMES, embedding=3)
TEXTS = ["id", "path", "class", "flags", "reason"]


def part(start: int, count: int) -> "pa.Table":
    """Rows of which every third could not be read."""
    rng, rows = np.random.default_rng(start), np.arange(start, start + count)
    bad = rows % 3 == 2
    columns = {}
    for field in FORM:
        if pa.types.is_fixed_size_list(field.type):
            columns[field.name] = rng.random((count, 3)).astype(np.float32).tolist()
        elif pa.types.is_floating(field.type):
            numbers = rng.random(count).astype(field.type.to_pandas_dtype())
            columns[field.name] = np.where(bad, np.nan, numbers).astype(numbers.dtype)
    columns |= {
        "id": [f"J{row}" for row in rows],
        "path": [f'a folder, with "quotes"/{row} é.png' for row in rows],
        "row": rows,
        "class": ["" if lost else CLASS_NAMES[row % 10] for row, lost in zip(rows, bad, strict=True)],
        "flags": [
            "unreadable" if lost else "cut padded" * (row % 2) for row, lost in zip(rows, bad, strict=True)
        ],
        "reason": ["It is empty: copy it again." if lost else "" for lost in bad],
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in FORM], schema=FORM)


def parts():
    for start in range(0, 40, 7):
        yield part(start, min(7, 40 - start))


WHOLE = pa.concat_tables(parts()).to_pandas()


def read(path) -> pd.DataFrame:
    """With other libraries than the writer's, where there is one; empty strings stay empty."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix == ".csv":
        return pd.read_csv(path, keep_default_na=False, na_values={name: [""] for name in numbers(flat=True)})
    found = tables.Table.read(path)
    columns = {name: found[name] for name in found.colnames if found[name].ndim == 1}
    table = pd.DataFrame(
        {name: np.ma.filled(column, "" if name in TEXTS else np.nan) for name, column in columns.items()}
    )
    for name in found.colnames:
        if found[name].ndim > 1:
            table[name] = list(np.asarray(found[name], np.float32))
    for name in TEXTS:
        table[name] = [text.decode() if isinstance(text, bytes) else str(text) for text in table[name]]
    return table


def numbers(*, flat: bool = False) -> list[str]:
    names = [field.name for field in FORM if field.name not in (*TEXTS, "row", "embedding")]
    return [*names, *(f"embedding_{number}" for number in range(3))] if flat else names


@pytest.mark.parametrize("ending", list(writing.WRITERS))
def test_every_format_says_the_same(ending, tmp_path):
    path = tmp_path / f"catalogue{ending}"
    write_catalogue(path, parts, FORM, METADATA)
    found = read(path)
    for name in TEXTS:
        expected = WHOLE[name]
        if ending == ".fits":  # which holds ASCII alone
            expected = expected.str.replace("é", r"\xe9")
        assert found[name].tolist() == expected.tolist()
    assert found["row"].tolist() == WHOLE["row"].tolist()
    for name in numbers():
        np.testing.assert_allclose(found[name].astype(float), WHOLE[name], rtol=1e-7)
    embedding = np.stack(WHOLE["embedding"])
    if "embedding" in found:
        assert np.array_equal(np.stack(found["embedding"]), embedding)
    else:
        columns = [f"embedding_{number}" for number in range(3)]
        np.testing.assert_allclose(found[columns].to_numpy(float), embedding, rtol=1e-7)
    assert read_metadata(path) == METADATA


def test_parquet_keeps_rows_in_groups_of_several_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "TOGETHER", 2)
    write_catalogue(tmp_path / "c.parquet", parts, FORM, METADATA)
    about = pq.ParquetFile(tmp_path / "c.parquet").metadata
    assert [about.row_group(group).num_rows for group in range(about.num_row_groups)] == [14, 14, 12]


@pytest.mark.parametrize("ending", list(writing.WRITERS))
def test_a_catalogue_without_rows_can_be_read(ending, tmp_path):
    path = tmp_path / f"none{ending}"
    write_catalogue(path, lambda: iter(()), schema(CLASS_NAMES), METADATA)
    assert len(read(path)) == 0
    assert read_metadata(path) == METADATA


def test_fits_is_whole_blocks_and_passes_its_own_check(tmp_path):
    from astropy.io import fits

    write_catalogue(tmp_path / "c.fits", parts, FORM, METADATA)
    assert (tmp_path / "c.fits").stat().st_size % 2880 == 0
    with fits.open(tmp_path / "c.fits") as file:
        file.verify("exception")
        assert len(file[1].data) == 40


def test_csv_has_its_metadata_beside_it(tmp_path):
    write_catalogue(tmp_path / "c.csv", parts, FORM, METADATA)
    assert json.loads((tmp_path / "c.csv.json").read_text()) == METADATA


def test_what_is_no_catalogue_is_told(tmp_path):
    (tmp_path / "x.csv").write_text("a\n1\n")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "x.parquet")
    tables.Table({"a": [1]}).write(tmp_path / "x.fits")
    tables.Table({"a": [1]}).write(tmp_path / "x.ecsv")
    for name in ("x.csv", "x.parquet", "x.fits", "x.ecsv", "away.parquet", "x.txt"):
        with pytest.raises(GalaxyError, match="is no catalogue that `galaxylib classify` wrote"):
            read_metadata(tmp_path / name)


def test_columns_of_classes_are_plain_words():
    assert [column_of(name) for name in CLASS_NAMES[2:5]] == [
        "p_round_smooth",
        "p_in_between_round_smooth",
        "p_cigar_shaped_smooth",
    ]
    assert len({column_of(name) for name in CLASS_NAMES}) == 10


@pytest.mark.parametrize(
    ("ending", "package"), [(".parquet", "pyarrow"), (".fits", "astropy"), (".ecsv", "astropy")]
)
def test_a_missing_package_says_how_to_install_it(ending, package, tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "galaxylib.catalogue.writing")
    monkeypatch.delattr("galaxylib.catalogue.writing")
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "x.png").write_bytes(b"")
    words = [
        "classify",
        tmp_path / "x.png",
        "--out",
        tmp_path / f"c{ending}",
        "--checkpoint",
        "small",
        "--quiet",
    ]
    assert cli.main([str(word) for word in words]) == 1
    said = capsys.readouterr().err
    assert f"need {package}, which is not installed here: pip install 'galaxylib[catalogue]'." in said
    assert said.count("\n") == 1
