"""Whatever stands in a file of a table: it is read, or refused in a sentence."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.profile import fuzzed
from headrace.adapters.tables import read_table
from headrace.adapters.tables.kinds import Kinds
from headrace.adapters.tables.records import lines_of
from headrace.commands.pilot.history import history_of
from headrace.errors import BadInput, BadSettings
from headrace.observe.decode import Decoder
from headrace.settings import ColumnsSettings, InputSettings, Settings

CELLS = st.one_of(
    st.sampled_from(["", "n/a", "None", "0101", "1,5", "1.234,5", "9007199254740993", "1e999",
                     "inf", "nan", "-", '"', "'", "1_000", "\x00", "a;b", "﻿", "1e-400"]),
    st.text(max_size=6),
    st.floats().map(str),
    st.integers().map(str),
)  # fmt: skip
MARKS = st.sampled_from([",", ";", "\t", "|", " "])
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def read(path: Path) -> None:
    """Everything that a pilot and a run make of the file."""
    table = read_table(path)
    kinds = Kinds(table, ColumnsSettings())
    for name, raw in table.columns.items():
        column = kinds.make_column(name, raw)
        assert column is None or len(column) == table.rows_n
        assert (name in kinds.kinds) == (column is not None)
        if isinstance(column, list):
            assert all(value is None or isinstance(value, str) for value in column)
        elif column is not None:
            assert np.asarray(column).dtype.kind in "fiub"
    kinds.describe_doubts()
    history, _ = history_of(table, "past")
    for batch, truths in history.iterate_batches(7):
        assert len(batch) == len(truths)


def try_all(path: Path) -> None:
    for settings in (Settings(), Settings(input=InputSettings(id="a", at="b", features=""))):
        for action in (lambda: read(path), lambda s=settings: decode(path, s)):
            try:
                action()
            except (BadInput, BadSettings) as error:
                assert str(error)


def decode(path: Path, settings: Settings) -> None:
    content = b"".join(lines_of(path, settings))
    Decoder(settings.input, settings.columns).decode(content.split(b"\n"))


@fuzzed
@given(st.lists(st.lists(CELLS, max_size=5), max_size=8), MARKS)
def test_cells_of_any_kind(tmp_path: Path, rows: list[list[str]], mark: str) -> None:
    path = tmp_path / "a.csv"
    text = "\n".join(["a" + mark + "b" + mark + "label", *(mark.join(row) for row in rows)])
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    try_all(path)


@fuzzed
@given(st.binary(max_size=200), st.sampled_from(["a.csv", "a.jsonl", "a.csv.gz", "a.jsonl.gz"]))
def test_bytes_of_any_kind(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    try_all(path)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(content))
        try_all(path)


@fuzzed
@given(
    st.lists(st.dictionaries(st.sampled_from(["a", "b", "a.b", "label", ""]), VALUES), max_size=6)
)
def test_objects_of_any_kind(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    import json  # noqa: PLC0415 - as Python programs write logs, NaN included

    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8", errors="replace")
    try_all(path)


@fuzzed
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "label"]), VALUES), max_size=5))
def test_columns_of_parquet_of_any_kind(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    try:
        parquet.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    except (pa.ArrowException, OverflowError, UnicodeError):
        return  # it can't be written at all
    try_all(tmp_path / "a.parquet")
