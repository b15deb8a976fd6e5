"""Features as [columns] declares them, in every kind of log."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from headrace.errors import BadSettings
from headrace.observe.declared import (
    number_with_comma,
    number_with_groups,
    number_with_point,
)
from headrace.observe.decode import Decoder
from headrace.settings import ColumnsSettings, InputSettings, parse


def decoded(columns: dict[str, Any], features: dict[str, Any], **chosen: Any) -> dict[str, Any]:
    """The one event's features, as the decoder gives them with these declarations."""
    line = json.dumps({"id": "1", "at": 1, "features": features}).encode()
    found = Decoder(InputSettings(**chosen), ColumnsSettings(**columns)).decode([line])
    return found.batch.row(0).features


@pytest.mark.parametrize("is_plain", [True, False])
@pytest.mark.parametrize(
    "columns, given, wanted",
    [
        ({"numeric": ["x"]}, "1.5", 1.5),
        ({"numeric": ["x"]}, " 1e3 ", 1000.0),
        ({"numeric": ["x"]}, "n/a", None),
        ({"numeric": ["x"]}, 7, 7.0),
        ({"numeric": ["x"], "decimal": ","}, "1.234,5", 1234.5),
        ({"numeric": ["x"], "missing": ["-999"]}, "-999", None),
        ({"missing": ["-999"]}, -999.0, None),
        ({"missing": ["1"]}, True, 1.0),
        ({"categorical": ["x"]}, 101, "101"),
        ({"categorical": ["x"]}, "0101", "0101"),
        ({"categorical": ["x"]}, True, "true"),
        ({"categorical": ["x"]}, 9007199254740993, "9007199254740993"),
        ({"text": ["x"]}, 5, "5"),
        ({"categorical": ["x"], "missing": ["?"]}, "?", None),
        ({"numeric": ["other"]}, "0101", "0101"),
    ],
)
def test_a_value_is_what_is_declared(
    columns: dict[str, Any], given: object, wanted: object, is_plain: bool
) -> None:
    # A name with a dot takes the careful way through a line.
    names = {} if is_plain else {"key": "a.b"}
    assert decoded(columns, {"x": given}, **names) == {"x": wanted}


def test_what_is_ignored_is_in_no_event() -> None:
    assert decoded({"ignored": ["y", "a.b"]}, {"x": 1, "y": 2, "a": {"b": 3}}) == {"x": 1.0}


@pytest.mark.parametrize(
    "text, point, comma, groups",
    [
        ("1", 1.0, 1.0, 1.0),
        ("+1.5", 1.5, None, 1.5),
        ("1,5", None, 1.5, None),
        ("1,234", None, 1.234, 1234.0),
        ("1,234.5", None, None, 1234.5),
        ("1.234,5", None, 1234.5, None),
        ("1_000", None, None, None),
        ("٣", None, None, None),
        ("1e5", 1e5, 1e5, 1e5),
        ("0x10", None, None, None),
        ("nan", None, None, None),
        ("-inf", -math.inf, None, -math.inf),
        ("1 000", None, None, None),
        ("12%", None, None, None),
        ("", None, None, None),
    ],
)
def test_which_texts_are_numbers(
    text: str, point: float | None, comma: float | None, groups: float | None
) -> None:
    found = (number_with_point(text), number_with_comma(text), number_with_groups(text))
    assert found == (point, comma, groups)


def test_a_feature_declared_twice_is_a_fault() -> None:
    with pytest.raises(BadSettings) as caught:
        parse({"columns": {"numeric": ["x", "y", "y"], "categorical": ["x"]}})
    assert caught.value.faults == [
        "columns.numeric and columns.categorical name 'x'; declare it once",
        "columns.numeric name 'y' twice; declare it once",
    ]
    with pytest.raises(BadSettings, match=r"columns\.decimal"):
        parse({"columns": {"decimal": ";"}})
