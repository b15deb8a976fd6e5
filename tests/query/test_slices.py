"""Slices: the grammar of their predicates, what is missing, and what is a fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace.errors import BadSettings
from headrace.messages import Event
from headrace.observe.decode import batch_of
from headrace.observe.schema import Schema
from headrace.query.slices import faults_of_slices, parse_slice
from headrace.settings import SchemaSettings, parse

EVENTS: list[dict[str, Any]] = [
    {"amount": 1500.0, "country": "CH", "card.type": "gold", "is new": True},
    {"amount": 20.0, "country": "FR", "card.type": 7, "is new": False},
    {"amount": None, "country": "DE"},
    {"amount": 1000.0, "country": "it's", "card.type": "gold"},
]


def held(text: str) -> list[int]:
    schema = Schema(SchemaSettings())
    rows = schema.rows(
        batch_of([Event(id=str(i), at=float(i), features=f) for i, f in enumerate(EVENTS)])
    )
    return np.flatnonzero(parse_slice(text).holds(rows, schema)).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amount > 1000", [0]),
        ("amount >= 1e3", [0, 3]),
        ("amount<1000", [1]),
        ("amount = 20", [1]),
        ("amount != 20", [0, 3]),
        ("not amount = 20", [0, 2, 3]),
        ("amount is missing", [2]),
        ("amount is not missing", [0, 1, 3]),
        ("country = 'CH'", [0]),
        ('country == "it\'s"', [3]),
        ("country != 'CH'", [1, 2, 3]),
        ("country in ('CH', 'FR')", [0, 1]),
        ("country not in ('CH', 'FR')", [2, 3]),
        ("country = 'XX'", []),
        ("country != 'XX'", [0, 1, 2, 3]),
        ("card.type = 7", [1]),
        ("card.type > 3", []),
        ("`is new` = true", [0]),
        ("`is new` = false", [1]),
        ("amount = 'CH'", []),
        ("amount != 'CH'", [0, 1, 3]),
        ("amount > 1000 or country = 'FR' and amount > 50", [0]),
        ("(amount > 1000 or country = 'FR') and amount < 50", [1]),
        ("not (amount > 1000 or country = 'FR')", [2, 3]),
        ("nobody = 1", []),
        ("nobody is missing", [0, 1, 2, 3]),
        ("amount > -.5e3", [0, 1, 3]),
    ],
)
def test_an_expression_holds_of_these_events(text: str, expected: list[int]) -> None:
    assert held(text) == expected


def test_a_row_of_when_there_were_fewer_features_lacks_the_others() -> None:
    schema = Schema(SchemaSettings(features={"a": "numeric", "b": "numeric"}))
    assert parse_slice("b > 0").holds(np.ones((2, 1)), schema).tolist() == [False, False]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "a feature is expected and not its end"),
        ("amount", "'in' or 'is missing' is expected and not its end"),
        ("amount > 'x'", "only numbers come in order, 'x' is a text"),
        ("country = CH", r"not 'CH' \(a text stands in quotes: 'CH'\)"),
        ("country = 'CH", "nothing begins with"),
        ("amount > 3 amount < 5", "'and', 'or' or its end is expected and not 'amount'"),
        ("(amount > 3", "'\\)' is expected and not its end"),
        ("country in ()", "a value is expected and not '\\)'"),
        ("country is gone", "'missing' is expected and not 'gone'"),
        ("__import__('os')", "is expected and not '\\('"),
        ("amount > 3; 1", "nothing begins with '; 1'"),
        ("and = 3", "a feature is expected and not 'and'"),
        ("not " * 60 + "x = 1", "nested more than 50 deep"),
        ("(" * 60 + "x = 1", "nested more than 50 deep"),
    ],
)
def test_a_faulty_expression_is_told_with_its_setting(text: str, fault: str) -> None:
    with pytest.raises(BadSettings, match=fault) as found:
        parse_slice(text, "query.slices.large")
    assert str(found.value).startswith("query.slices.large is ")


def test_features_that_are_declared_are_held_to_their_kind() -> None:
    declared = {"amount": "numeric", "country": "categorical", "note": "text"}
    faults = faults_of_slices(
        {
            "a": "amout > 3",
            "b": "country > 3",
            "c": "note = 'x'",
            "d": "amount in (3, 'x')",
            "fine": "note is missing and country = 'CH' and amount > 3",
        },
        declared,
    )
    assert [fault.partition("; ")[2] for fault in faults] == [
        "'amout' is no feature of schema.features; did you mean amount?",
        "'country' is categorical and has no order",
        "'note' is free text, of which only `is missing` can be asked",
        "'amount' is numeric and 'x' is a text",
    ]


def test_settings_tell_every_fault_of_slices_and_quotas() -> None:
    with pytest.raises(BadSettings) as found:
        parse({"query": {"slices": {"large": "amount >", "small": "amount < 1"}}})
    assert found.value.faults == [
        "query.slices names 2 and query.quotas.per_slice_n is 0; set it to the labels that each is "
        "to have",
        "query.slices.large is 'amount >'; a value is expected and not its end",
    ]
    for quotas, fault in (
        ({"per_slice_n": 3}, "query.slices names none"),
        ({"per_class_n": 600}, "must be at most query.quotas.over_n, which is 500"),
        ({"per_class_n": 5, "share": 0.95}, "at most 0.9"),
    ):
        with pytest.raises(BadSettings, match=fault):
            parse({"query": {"quotas": quotas}})
    with pytest.raises(BadSettings, match="random, which prefers nothing"):
        parse({"query": {"strategy": "random", "quotas": {"per_class_n": 5}}})
