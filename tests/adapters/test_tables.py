from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from headrace.adapters.tables import read_table
from headrace.errors import BadInput, BadSettings


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_columns_of_numbers_become_arrays_and_others_stay_text(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "x,colour,label\n1,red,yes\n?,,no\n2.5,blue,yes\n")
    table = read_table(path)
    assert table.rows_n == 3
    assert np.array_equal(table.columns["x"], [1.0, np.nan, 2.5], equal_nan=True)
    assert table.columns["colour"] == ["red", None, "blue"]
    assert table.columns["label"] == ["yes", "no", "yes"]


@pytest.mark.parametrize("name, mark", [("a.csv", ";"), ("a.tsv", "\t")])
def test_other_delimiters_are_read(tmp_path: Path, name: str, mark: str) -> None:
    table = read_table(written(tmp_path, name, f"x{mark}y\n1{mark}2\n"))
    assert {n: list(c) for n, c in table.columns.items()} == {"x": [1.0], "y": [2.0]}


def test_rows_are_cut_the_same_way_in_every_format(tmp_path: Path) -> None:
    numbers = list(range(10))
    paths = [
        written(tmp_path, "a.csv", "x\n" + "".join(f"{i}\n" for i in numbers)),
        written(tmp_path, "a.jsonl", "".join(f'{{"x": {i}}}\n\n' for i in numbers)),
    ]
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    paths.append(tmp_path / "a.parquet")
    parquet.write_table(pa.table({"x": numbers}), paths[-1])
    for path in paths:
        assert list(read_table(path, (3, 6)).columns["x"]) == [3, 4, 5]
        assert list(read_table(path, (8, None)).columns["x"]) == [8, 9]
        assert read_table(path, (20, None)).rows_n == 0


def test_json_objects_and_arrays_are_flattened(tmp_path: Path) -> None:
    text = '{"features": {"a": 1, "b": {"c": "x"}}, "v": [5, 6], "ok": true}\n{"late": 2}\n'
    table = read_table(written(tmp_path, "a.jsonl", text))
    assert list(table.columns) == ["features.a", "features.b.c", "v.0", "v.1", "ok", "late"]
    assert table.columns["features.b.c"] == ["x", None]
    assert np.array_equal(table.columns["late"], [np.nan, 2.0], equal_nan=True)
    assert table.columns["ok"] == [True, None]


def test_parquet_kinds_are_kept(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "small": pa.array([1, 2], pa.int8()),
        "gap": pa.array([1.5, None]),
        "flag": pa.array([True, False]),
        "when": pa.array([1_000_000, None], pa.timestamp("us", tz="UTC")),
        "name": pa.array(["a", "b"]).dictionary_encode(),
    }
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    found = read_table(tmp_path / "a.parquet").columns
    assert np.asarray(found["small"]).dtype == np.int8
    assert np.asarray(found["flag"]).dtype == np.bool_
    assert np.array_equal(found["gap"], [1.5, np.nan], equal_nan=True)
    assert np.array_equal(found["when"], [1.0, np.nan], equal_nan=True)
    assert found["name"] == ["a", "b"]


def test_a_missing_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadSettings, match=r"install headrace\[parquet\]"):
        read_table(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "name, text, fault",
    [
        ("a.csv", "x,y\n1\n", "line 2 of .* has 1 values; its header names 2"),
        ("a.csv", "x,x\n1,2\n", "names a column twice"),
        ("a.jsonl", '{"x": 1}\n{', "line 2 of .* is not JSON"),
        ("a.jsonl", "[1]\n", "line 1 of .* is not an object"),
        ("a.parquet", "not at all", "can't be read as Parquet"),
    ],
)
def test_broken_files_say_where(tmp_path: Path, name: str, text: str, fault: str) -> None:
    with pytest.raises(BadInput, match=fault):
        read_table(written(tmp_path, name, text))


def test_an_unknown_suffix_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"known are \.csv"):
        read_table(tmp_path / "a.xlsx")


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can't be read"):
        read_table(tmp_path / "a.csv")


def test_what_cannot_be_read_is_told_once_and_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"a\.csv can't be read: No such file or directory$"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes("x,y\n1,\u00e9\n".encode("latin-1"))
    with pytest.raises(BadInput, match=r"b\.csv is not UTF-8: .*; save it as UTF-8"):
        read_table(tmp_path / "b.csv")
