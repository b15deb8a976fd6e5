from __future__ import annotations

import gzip
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from headrace.adapters.tables import read_table
from headrace.adapters.tables.kinds import Kinds
from headrace.errors import BadInput, BadSettings
from headrace.settings import ColumnsSettings


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, **columns: object) -> dict[str, object]:
    """Every column of a file as a pilot reads it, arrays as lists."""
    table = read_table(path)
    kinds = Kinds(table, ColumnsSettings(**columns))
    found = {name: kinds.make_column(name, raw) for name, raw in table.columns.items()}
    return {n: c.tolist() if isinstance(c, np.ndarray) else c for n, c in found.items()}


def notes(path: Path, **columns: object) -> str:
    """What is told about the columns of a file."""
    table = read_table(path)
    kinds = Kinds(table, ColumnsSettings(**columns))
    for name, raw in table.columns.items():
        kinds.make_column(name, raw)
    return " ".join([*table.notes, *kinds.describe_doubts()])


def test_csv_columns_of_numbers_become_arrays_and_others_stay_text(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "x,colour,label\n1,red,yes\n?,,no\n2.5,blue,yes\n")
    table = read_table(path)
    assert table.rows_n == 3
    assert table.columns["label"] == ["yes", "no", "yes"]
    found = read(path)
    assert np.array_equal(found["x"], [1.0, np.nan, 2.5], equal_nan=True)
    assert found["colour"] == ["red", None, "blue"]


@pytest.mark.parametrize(
    "name, mark",
    [("a.csv", ";"), ("a.csv", "\t"), ("a.csv", "|"), ("a.csv", ", "), ("a.tsv", "\t")],
)
def test_other_delimiters_are_read(tmp_path: Path, name: str, mark: str) -> None:
    path = written(tmp_path, name, f"x{mark}y\n1{mark}2\n")
    assert read(path) == {"x": [1.0], "y": [2.0]}


def test_excel_may_say_its_separator(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "sep=;\nx;y\n1,5;2\n")
    assert read(path) == {"x": [1.5], "y": [2.0]}


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
        assert [int(x) for x in read_table(path, (3, 6)).columns["x"]] == [3, 4, 5]
        assert [int(x) for x in read_table(path, (8, None)).columns["x"]] == [8, 9]
        assert read_table(path, (20, None)).rows_n == 0


def test_json_objects_and_arrays_are_flattened(tmp_path: Path) -> None:
    text = '{"features": {"a": 1, "b": {"c": "x"}}, "v": [5, 6], "ok": true}\n{"late": 2}\n'
    table = read_table(written(tmp_path, "a.jsonl", text))
    assert list(table.columns) == ["features.a", "features.b.c", "v.0", "v.1", "ok", "late"]
    assert table.columns["features.b.c"] == ["x", None]
    assert table.columns["late"] == [None, 2]
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
    monkeypatch.delitem(sys.modules, "headrace.adapters.tables.arrow", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadSettings, match=r"install headrace\[parquet\]"):
        read_table(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "name, text, fault",
    [
        ("a.csv", "x,y\n1\n", "line 2 of .* has 1 values; its header names 2"),
        ("a.csv", "", "has no header"),
        ("a.csv", ",,\n1,2,3\n", "has no header"),
        ("a.csv.gz", "x\n1\n", "can't be unpacked"),
        ("a.jsonl", '{"x": 1}\n{', "line 2 of .* is not JSON"),
        ("a.jsonl", "[1]\n", r"line 1 of .* is \[1\]; must be an object"),
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


# ------------------------------------------------------------------------------------- kinds


NUMBERS = [f"{i / 7:.3f}" for i in range(40)]


@pytest.mark.parametrize(
    "odd",
    ["n/a", "-", "#N/A", "<NA>", "NaT", "\\N", ".", "missing", "see note", "1_000", "12 %", "x"],
)
def test_one_odd_cell_among_numbers_is_missing_and_told(odd: str, tmp_path: Path) -> None:
    path = written(
        tmp_path, "a.csv", "\n".join(["amount,y", *(f"{n},1" for n in NUMBERS), f"{odd},1"])
    )
    found = read(path)["amount"]
    assert isinstance(found, list)
    assert np.array_equal(found, [*map(float, NUMBERS), np.nan], equal_nan=True)
    told = notes(path)
    assert "amount (1 of 41 values" in told
    assert repr(odd) in told
    assert read(path, categorical=["amount"])["amount"] == [*NUMBERS, odd]


def test_where_many_values_are_no_numbers_the_column_is_categories_and_it_is_told(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, "a.csv", "x\n" + "1\n2\n3\nseven\n" * 3)
    assert read(path)["x"] == ["1", "2", "3", "seven"] * 3
    assert "Categories, though many values are numbers: x (such as 'seven')" in notes(path)
    assert np.isnan(read(path, numeric=["x"])["x"]).sum() == 3


@pytest.mark.parametrize(
    "cells",
    [
        ["0101", "101", "7"],
        ["00", "05", "23"],
        ["9007199254740993", "9007199254740992", "1"],
        ["4111111111111111", "5500005555555559"],
        ["-007", "12"],
    ],
)
def test_codes_stay_what_they_are_and_it_is_told(cells: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "code,x\n" + "".join(f"{cell},1\n" for cell in cells))
    assert read(path)["code"] == cells
    assert "Codes, not numbers" in notes(path)
    assert read(path, numeric=["code"])["code"] == [float(cell) for cell in cells]


@pytest.mark.parametrize("cells", [["0.5", "007"], ["0", "7", "10"], ["1e3", "-0.25", "+4"]])
def test_numbers_with_decimals_are_no_codes(cells: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "x\n" + "".join(f"{cell}\n" for cell in cells))
    assert read(path)["x"] == [float(cell) for cell in cells]
    assert notes(path) == ""


@pytest.mark.parametrize(
    "text, columns, wanted",
    [
        ("x;y\n0,5;1\n1.234,5;2\n", {}, [0.5, 1234.5]),
        ("x;y\n1,234;1\n2,345;2\n", {}, [1.234, 2.345]),
        ('x,y\n"1,234",1\n"2,345",2\n', {}, [1234.0, 2345.0]),
        ('x,y\n"1,234.5",1\n7,2\n', {}, [1234.5, 7.0]),
        ('x,y\n"0,5",1\n"12,75",2\n', {}, [0.5, 12.75]),
        ('x,y\n"1,234",1\n"2,345",2\n', {"decimal": ","}, [1.234, 2.345]),
        ("x;y\n1,5;1\n2,5;2\n", {"decimal": "."}, ["1,5", "2,5"]),
    ],
)
def test_commas_in_numbers_are_found_or_declared(
    text: str, columns: dict[str, object], wanted: list[object], tmp_path: Path
) -> None:
    path = written(tmp_path, "a.csv", text)
    assert read(path, **columns)["x"] == wanted
    if not columns:
        assert "x (such as" in notes(path)


def test_words_for_missing_are_kept_among_categories_and_it_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "region,x\nEU,1\nNA,2\n,3\n")
    assert read(path)["region"] == ["EU", "NA", None]
    assert "Kept as values of their own: region (such as 'NA')" in notes(path)
    assert read(path, missing=["NA"])["region"] == ["EU", None, None]


def test_numbers_that_stand_for_missing_are_declared(tmp_path: Path) -> None:
    csv = written(tmp_path, "a.csv", "x\n1\n-999\n")
    lines = written(tmp_path, "a.jsonl", '{"x": 1}\n{"x": -999}\n')
    for path in (csv, lines):
        assert np.array_equal(read(path, missing=["-999"])["x"], [1.0, np.nan], equal_nan=True)


def test_texts_in_json_that_spell_numbers_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"x": "1"}\n{"x": "2.5"}\n')
    assert read(path)["x"] == ["1", "2.5"]
    assert "columns.numeric reads them as numbers" in notes(path)
    assert read(path, numeric=["x"])["x"] == [1.0, 2.5]


def test_one_text_among_the_numbers_of_json_is_missing(tmp_path: Path) -> None:
    lines = [f'{{"x": {n}}}' for n in NUMBERS]
    path = written(tmp_path, "a.jsonl", "\n".join(['{"x": "n/a"}', *lines]))
    assert np.array_equal(read(path)["x"], [np.nan, *map(float, NUMBERS)], equal_nan=True)


def test_whole_numbers_that_no_float_holds_stay_apart(tmp_path: Path) -> None:
    big = [9007199254740993, 9007199254740992]
    lines = written(tmp_path, "a.jsonl", "".join(f'{{"x": {n}}}\n' for n in big))
    assert read(lines)["x"] == [str(n) for n in big]
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"x": big}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")["x"] == [str(n) for n in big]


# ------------------------------------------------------------------------------------ headers


@pytest.mark.parametrize(
    "text, names, told",
    [
        ("a;b;;\n1;2;;\n;;;\n", ["a", "b"], ""),
        ("a,,b\n1,x,2\n", ["a", "column 2", "b"], "Column 2 has no name"),
        (",a\n0,5\n1,6\n", ["a"], "numbers the rows"),
        ("a,length,length\n1,2,3\n", ["a", "length", "length.2"], "names 'length' twice"),
        ("a, a ,a.2\n1,2,3\n", ["a", "a.3", "a.2"], "names 'a' twice"),
        ("a,b,\n1,2,\n", ["a", "b"], ""),
        ("a,b\n1,2,,\n", ["a", "b"], ""),
        ("0.12,5.3,yes\n1,2,no\n", ["0.12", "5.3", "yes"], "put a header before it"),
        ("\ufeffa,b\n1,2\n", ["a", "b"], ""),
        ('"a,x",b\n1,2\n', ["a,x", "b"], ""),
    ],
)
def test_headers_as_they_are(text: str, names: list[str], told: str, tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "a.csv", text))
    assert list(table.columns) == names
    assert told in " ".join(table.notes)
    assert bool(told) == bool(table.notes)


# -------------------------------------------------------------------------------------- lines


def test_a_log_is_read_as_a_run_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [b"\xef\xbb\xbf" + b'{"x": NaN}', b'{"x": Infinity}', *[b'{"x": 1}'] * 40, b'{"x": 1']
    path.write_bytes(b"\n".join([*lines, b'{"a": 1, "a.b": 2}', b'{"a.b": 1, "a": {"b": 2}}']))
    table = read_table(path)
    assert table.rows_n == 43
    assert table.columns["x"][:3] == [None, float("inf"), 1]
    assert "2 lines were left out; the first: line 43" in " ".join(table.notes)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_few_faulty_lines_are_left_out_and_many_are_refused(name: str, tmp_path: Path) -> None:
    good = "x,y\n" + "1,2\n" * 40 if name == "a.csv" else '{"x": 1}\n' * 40
    table = read_table(written(tmp_path, name, f"{good}{{\n"))
    assert table.rows_n == 40
    assert "1 line was left out; the first: line 4" in " ".join(table.notes)
    with pytest.raises(BadInput, match="lines are at fault"):
        read_table(written(tmp_path, name, good + "{\n" * 9))


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.ndjson"])
def test_packed_files_are_read(name: str, tmp_path: Path) -> None:
    text = '{"x": 1}\n' if "json" in name else "x\n1\n"
    with gzip.open(tmp_path / f"{name}.gz", "wt") as file:
        file.write(text)
    assert read(tmp_path / f"{name}.gz") == read(written(tmp_path, name, text))


# ------------------------------------------------------------------------------------ parquet


def test_every_type_of_parquet_is_a_feature_or_named(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    inner = pa.struct([("a", pa.float64()), ("b", pa.struct([("c", pa.string())]))])
    columns = {
        "s": pa.array([{"a": 1.0, "b": {"c": "x"}}, None], inner),
        "v": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2)),
        "r": pa.array([[1, 2], [3]], pa.list_(pa.int64())),
        "m": pa.array([[("k", 1)], [("l", 2)]], pa.map_(pa.string(), pa.int64())),
        "d": pa.array(["x", None]).dictionary_encode(),
        "took": pa.array([1500, None], pa.duration("ms")),
        "clock": pa.array([60, None], pa.time32("s")),
        "day": pa.array([1, None], pa.date32()),
        "money": pa.array([Decimal("1.25"), None]),
        "half": pa.array(np.array([1.5, 2.5], np.float16)),
        "flag": pa.array([True, None]),
        "bytes": pa.array([b"text", None]),
        "raw": pa.array([b"\xff\xfe", None]),
        "none": pa.nulls(2),
        "big": pa.array(["x", "y"], pa.large_string()),
        "u64": pa.array([2**63, 1], pa.uint64()),
    }
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    found = {
        name: None if column is None else [None if x != x else x for x in column]  # type: ignore[attr-defined]
        for name, column in read(tmp_path / "a.parquet").items()
    }
    assert found == {
        "s.a": [1.0, None], "s.b.c": ["x", None],
        "v.0": [1.0, 3.0], "v.1": [2.0, 4.0],
        "r.0": [1, 3], "r.1": [2, None],
        "m.k": [1, None], "m.l": [None, 2],
        "d": ["x", None], "took": [1.5, None], "clock": [60.0, None], "day": [86_400.0, None],
        "money": [1.25, None], "half": [1.5, 2.5], "flag": [1.0, None], "bytes": ["text", None],
        "none": None, "big": ["x", "y"], "u64": [float(2**63), 1.0],
    }  # fmt: skip
    told = notes(tmp_path / "a.parquet")
    assert "Column 'raw' is of type binary and can't be used: its bytes are no text." in told
    assert "Without any value, so not used: none." in told
