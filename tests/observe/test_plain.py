"""The quick way through a line gives what the careful way gives, or leaves the line to it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.observe.decode import Decoder
from headrace.observe.plain import PlainLines
from headrace.settings import InputSettings

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


def test_a_usual_line_takes_the_quick_way() -> None:
    line = b'{"id": "a", "at": 5, "features": {"x": 1, "y": "red", "z": null}, "predicted": "b"}'
    values = PlainLines(InputSettings()).values(line)
    assert values == ("a", 5.0, {"x": 1, "y": "red", "z": None}, "b", None, None, None)


def test_paths_with_dots_and_records_of_many_take_the_careful_way() -> None:
    line = b'{"id": "a", "at": 5, "features": {"x": 1}, "meta": {"id": "b"}}'
    for settings in (InputSettings(id="meta.id"), InputSettings(batch="instances", batch_path="x")):
        assert PlainLines(settings).values(line) is None
    assert PlainLines(InputSettings(line_bytes_max=10)).values(line) is None
