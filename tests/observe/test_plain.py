"""The quick way through a line gives what the careful way gives, or leaves the line to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.engine import Engine
from headrace.observe.decode import Decoder
from headrace.observe.originals import LineFeatures, unpack_features
from headrace.observe.plain import TEMPLATE_LINES_MIN, PlainLines
from headrace.observe.schema import Schema
from headrace.settings import InputSettings, SchemaSettings, parse

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), st.text(max_size=5)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=4,
)
USUAL = st.fixed_dictionaries(
    {
        "id": st.text(max_size=6) | st.integers(),
        "at": st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
        "features": st.dictionaries(st.text(max_size=3), SCALARS, max_size=4),
    },
    optional={
        "predicted": SCALARS,
        "probabilities": st.dictionaries(st.text(max_size=3), st.floats(-0.5, 1.5), max_size=3),
        "key": SCALARS,
        "model_version": SCALARS,
        "more": ANYTHING,
    },
)
UNUSUAL = st.dictionaries(
    st.sampled_from(["id", "at", "features", "predicted", "probabilities", "key"]), ANYTHING
)


class Careful(PlainLines):
    """Takes no line."""

    def values(self, line: bytes) -> Any:
        return None

    def batch(self, lines: Sequence[bytes]) -> Any:
        return None


ALIKE = st.fixed_dictionaries(
    {
        "id": st.text(max_size=6),
        "at": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70),
        "features": st.fixed_dictionaries(
            {},
            optional={
                "x": st.floats(allow_nan=False) | st.integers(-(2**70), 2**70) | st.none(),
                "y": st.floats(allow_nan=False) | st.booleans(),
                "colour": st.text(max_size=3) | st.none(),
            },
        ),
    },
    optional={
        "predicted": st.text(max_size=3) | st.none(),
        "probabilities": st.dictionaries(st.text(max_size=3), st.floats(0.0, 1.0), max_size=3),
        "key": st.text(max_size=3),
        "more": ANYTHING,
    },
)
FIRST = {"id": "a", "at": 1.0, "features": {"x": 1.0, "y": 0.5, "colour": "red"}}


@given(st.lists(USUAL | UNUSUAL, max_size=4))
def test_both_ways_give_the_same(records: list[dict[str, Any]]) -> None:
    lines = [json.dumps(record).encode() for record in records]
    quick, careful = Decoder(InputSettings()), Decoder(InputSettings())
    careful._plain = Careful(InputSettings())
    mine, theirs = quick.decode(lines), careful.decode(lines)
    assert mine.events_n == theirs.events_n
    assert msgspec.json.encode(mine.rejected) == msgspec.json.encode(theirs.rejected)
    for name in ("ids", "names", "number_names", "predicted", "served_classes", "keys"):
        assert getattr(mine.batch, name) == getattr(theirs.batch, name)
    np.testing.assert_array_equal(mine.batch.at, theirs.batch.at)
    np.testing.assert_array_equal(mine.batch.numbers, theirs.batch.numbers)
    assert mine.batch.model_versions == theirs.batch.model_versions
    assert repr(mine.batch.texts) == repr(theirs.batch.texts)


@given(st.lists(ALIKE | USUAL, max_size=4), st.lists(ALIKE, max_size=4))
def test_lines_that_are_read_together_mean_what_each_means_alone(
    some: list[dict[str, Any]], others: list[dict[str, Any]]
) -> None:
    quick, careful = Decoder(InputSettings()), Decoder(InputSettings())
    careful._plain = Careful(InputSettings())
    schemas = [Schema(SchemaSettings()), Schema(SchemaSettings())]
    first = [FIRST] * TEMPLATE_LINES_MIN
    for records in (first, some, others):
        lines = [json.dumps(record).encode() for record in records]
        mine, theirs = quick.decode(lines), careful.decode(lines)
        assert mine.events_n == theirs.events_n
        assert msgspec.json.encode(mine.rejected) == msgspec.json.encode(theirs.rejected)
        for name in ("ids", "predicted", "served_classes", "keys", "model_versions"):
            assert getattr(mine.batch, name) == getattr(theirs.batch, name)
        np.testing.assert_array_equal(mine.batch.at, theirs.batch.at)
        np.testing.assert_array_equal(mine.batch.probabilities, theirs.batch.probabilities)
        n = len(mine.batch)
        assert repr([mine.batch.original(i) for i in range(n)]) == repr(
            [theirs.batch.original(i) for i in range(n)]
        )
        rows = [schema.rows(one.batch) for schema, one in zip(schemas, (mine, theirs), strict=True)]
        np.testing.assert_array_equal(*rows)
        assert schemas[0].names == schemas[1].names
        assert schemas[0].categories == schemas[1].categories


def test_many_lines_that_are_alike_make_no_dict_of_any() -> None:
    line = b'{"id": "a", "at": 5, "features": {"x": 1, "y": "red", "z": null}}'
    batch = PlainLines(InputSettings()).batch([line] * TEMPLATE_LINES_MIN)
    assert batch is not None and isinstance(batch.originals, LineFeatures)
    assert batch.original(3) == {"x": 1, "y": "red", "z": None}
    assert (batch.number_names, batch.numbers[0, 0]) == (("x", "z"), 1.0)


def test_a_batch_that_does_not_fit_is_left_alone_for_a_while() -> None:
    line = b'{"id": "a", "at": 5, "features": {"x": 1}}'
    more = b'{"id": "a", "at": 5, "features": {"x": 1, "y": 2}}'
    plain, usual = PlainLines(InputSettings()), [line] * TEMPLATE_LINES_MIN
    assert plain.batch(usual) is not None
    assert plain.batch([line, more]) is None
    assert [plain.batch(usual) is None for _ in range(4)] == [True, True, False, False]


def test_a_line_is_held_in_memory_and_its_features_alone_in_a_state() -> None:
    lines = [
        b'{"id": "e%d", "at": %d, "features": {"x": %d}, "iban": "DE02"}' % (i, i, i)
        for i in range(TEMPLATE_LINES_MIN)
    ]
    settings = parse({"query": {"ask": "arrival", "budget": {"share": 1.0}}})
    engine = Engine(settings=settings)
    engine.feed([Decoder(settings.input).decode(lines).batch])
    assert b"iban" in engine.shard.window.since(0).originals[3]
    engine.snapshot()
    for kept in (engine.shard.window.since(0), engine.shard.reservoir.columns()):
        assert not any(b"iban" in original for original in kept.originals)
        assert sorted(unpack_features(original)["x"] for original in kept.originals) == list(
            range(16)
        )


def test_a_usual_line_takes_the_quick_way() -> None:
    line = b'{"id": "a", "at": 5, "features": {"x": 1, "y": "red", "z": null}, "predicted": "b"}'
    values = PlainLines(InputSettings()).values(line)
    assert values == ("a", 5.0, {"x": 1, "y": "red", "z": None}, "b", None, None, None)


def test_paths_with_dots_and_records_of_many_take_the_careful_way() -> None:
    line = b'{"id": "a", "at": 5, "features": {"x": 1}, "meta": {"id": "b"}}'
    for settings in (InputSettings(id="meta.id"), InputSettings(batch="instances", batch_path="x")):
        assert PlainLines(settings).values(line) is None
    assert PlainLines(InputSettings(line_bytes_max=10)).values(line) is None
