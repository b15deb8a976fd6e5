"""What serving logs write: times with zones and units, texts for payloads, codes for classes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.messages import Event, InputRejected, Reason
from headrace.observe.decode import Decoder
from headrace.settings import InputSettings


def read(record: object, **chosen: Any) -> list[Event | InputRejected]:
    found = Decoder(InputSettings(**chosen)).decode([json.dumps(record).encode()])
    return [*(found.batch.row(i) for i in range(len(found.batch))), *found.rejected]


def timed(at: object, **chosen: Any) -> Any:
    (one,) = read({"id": "a", "at": at, "features": {"x": 1}}, **chosen)
    return one


NOON = 1714564800.0  # 2024-05-01T12:00:00Z


@pytest.mark.parametrize(
    "at",
    [
        "2024-05-01T12:00:00Z",
        "2024-05-01 12:00:00 UTC",
        "2024-05-01 12:00:00 gmt",
        "2024-05-01T14:00:00.000+0200",
        "2024-05-01t12:00:00z",
        " 2024-05-01T12:00:00+00:00 ",
        NOON,
    ],
)
@pytest.mark.parametrize("zone", ["", "America/New_York"])
def test_a_time_that_says_its_zone_needs_no_setting(at: object, zone: str):
    assert timed(at, zone=zone).at == NOON


@pytest.mark.parametrize(
    ("zone", "at"),
    [
        ("UTC", "2024-05-01T12:00:00"),
        ("z", "2024-05-01 12:00:00.000"),
        ("+02:00", "2024-05-01 14:00:00"),
        ("-03:30", "2024-05-01T08:30:00"),
        ("Europe/Zurich", "2024-05-01T14:00:00"),
        ("America/New_York", "2024-05-01T08:00"),
    ],
)
def test_a_time_without_zone_has_that_of_the_settings(zone: str, at: str):
    assert timed(at, zone=zone).at == NOON


def test_a_zone_knows_summer_and_winter_and_the_hour_that_comes_twice():
    winter = timed("2024-01-01T13:00:00", zone="Europe/Zurich").at
    assert winter == timed("2024-01-01T12:00:00Z").at
    twice = timed("2024-10-27T02:30:00", zone="Europe/Zurich").at
    assert twice == timed("2024-10-27T00:30:00Z").at


@pytest.mark.parametrize(
    "at",
    ["2024-05-01 12:00:00.000 +0000", "2024-05-01 14:00:00 +02:00", "2024-05-01T07:00:00 -0500"],
)
def test_a_blank_before_the_offset_is_passed_over(at: str):
    assert timed(at).at == NOON


@pytest.mark.parametrize("at", ["2024-05-01T12:00:00", "2024-05-01 12:00:00.5", "2024-05-01"])
def test_a_time_without_zone_is_rejected_where_none_is_set(at: str):
    rejected = timed(at)
    assert rejected.reason == Reason.BAD_TIME
    assert "set input.zone" in rejected.detail


@pytest.mark.parametrize(
    ("unit", "at"),
    [
        ("s", NOON),
        ("ms", NOON * 1e3),
        ("ms", int(NOON) * 1000),
        ("us", 1714564800000000),
        ("ns", 1714564800000000000),
        ("ms", "2024-05-01T12:00:00Z"),
    ],
)
def test_a_number_has_the_unit_of_the_settings(unit: str, at: object):
    assert timed(at, at_unit=unit).at == NOON


@pytest.mark.parametrize("at", [int(NOON) * 1000, NOON * 1e9])
def test_another_unit_is_rejected_and_names_the_setting(at: object):
    rejected = timed(at)
    assert rejected.reason == Reason.BAD_TIME
    assert "input.at_unit" in rejected.detail


@pytest.mark.parametrize("at", [10**400, -(10**400)], ids=["future", "past"])
@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
def test_a_number_beyond_all_times_is_rejected(at: int, unit: str):
    assert timed(at, at_unit=unit).reason == Reason.BAD_TIME


@pytest.mark.parametrize("zone", ["+14:00", "-12:00", "Europe/Zurich", "Pacific/Kiritimati"])
def test_the_first_and_the_last_time_raise_nothing(zone: str):
    assert timed("0001-01-01T00:00:00", zone=zone).at < -6e10
    assert timed("9999-12-31T23:59:59", zone=zone).reason == Reason.BAD_TIME


# ----------------------------------------------------------------------------------- payloads


@pytest.mark.parametrize(
    ("features", "names"),
    [
        ('{"x": 1.5, "y": "b"}', []),
        (' {"x": 1.5, "y": "b"}\n', []),
        ('[1.5, "b"]', ["x", "y"]),
        ("1.5,b", ["x", "y"]),
        (" 1.5, b\n", ["x", "y"]),
        ('1.5,"b"', ["x", "y"]),
    ],
)
def test_features_that_are_a_text_are_read(features: str, names: list[str]):
    (event,) = read({"id": "a", "at": 5, "features": features}, feature_names=names)
    assert isinstance(event, Event), event
    assert event.features == {"x": 1.5, "y": "b"}


@pytest.mark.parametrize(
    "features",
    [
        "1.5",
        "1,2,3",
        "1\r,2",
        "1,2\n3,4",
        '"1,2',
        "x",
        "",
        "[1, 2",
        "{'x': 1}",
        "1," + "9" * 200_000,
    ],
)
def test_features_that_are_another_text_are_rejected(features: str):
    (rejected,) = read({"id": "a", "at": 5, "features": features}, feature_names=["x", "y"])
    assert isinstance(rejected, InputRejected)
    assert rejected.reason == Reason.BAD_FEATURES


def test_codes_of_a_line_stay_texts_and_empty_cells_are_missing():
    (event,) = read(
        {"id": "a", "at": 5, "features": "01234,,nan"}, feature_names=["zip", "x", "word"]
    )
    assert isinstance(event, Event)
    assert event.features == {"zip": "01234", "x": None, "word": "nan"}


def test_a_path_leads_into_a_payload_that_is_a_text():
    body = json.dumps({"request": {"ref": "a", "row": {"x": 1.5}}})
    (event,) = read({"ts": 5, "body": body}, id="body.request.ref", at="ts",
                    features="body.request.row")  # fmt: skip
    assert isinstance(event, Event), event
    assert (event.id, event.features) == ("a", {"x": 1.5})


def test_a_batch_that_is_a_text_is_read():
    body = json.dumps({"instances": [{"x": 1.0}, {"x": 2.0}]})
    found = read({"id": "a", "at": 5, "body": body}, batch="instances", batch_path="body",
                 features="")  # fmt: skip
    assert [one.features for one in found if isinstance(one, Event)] == [{"x": 1.0}, {"x": 2.0}]


# ------------------------------------------------------------------------------ probabilities


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ([{"label": "ok", "score": 0.25}, {"label": "fraud", "score": 0.75}], {}),
        ('[{"label": "ok", "score": 0.25}, {"label": "fraud", "score": 0.75}]', {}),
        ('{"ok": 0.25, "fraud": 0.75}', {}),
        ("0.25,0.75", {"classes": ["ok", "fraud"]}),
        ("[0.25, 0.75]", {"classes": ["ok", "fraud"]}),
        (0.75, {"classes": ["ok", "fraud"]}),
        ("0.75", {"classes": ["ok", "fraud"]}),
        ({"0": 0.25, "1": 0.75}, {"class_names": {"0": "ok", "1": "fraud"}}),
        ([{"label": 0, "score": 0.25}, {"label": 1.0, "score": 0.75}],
         {"class_names": {"0": "ok", "1": "fraud"}}),
    ],
)  # fmt: skip
def test_probabilities_are_read_in_each_form(found: object, chosen: dict[str, Any]):
    record = {"id": "a", "at": 5, "features": {"x": 1}, "probabilities": found}
    (event,) = read(record, **chosen)
    assert isinstance(event, Event), event
    assert event.probabilities == {"ok": 0.25, "fraud": 0.75}


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ([{"label": "ok", "score": 0.25}, {"label": "ok", "score": 0.75}], {}),
        ([{"label": "ok"}], {}),
        ([{"score": 0.3}], {}),
        ([{"label": "ok", "score": "0.3"}], {}),
        ([{"label": "ok", "score": 0.3}, 0.7], {"classes": ["ok", "fraud"]}),
        (0.75, {}),
        (0.75, {"classes": ["a", "b", "c"]}),
        (1.75, {"classes": ["ok", "fraud"]}),
        ("likely", {"classes": ["ok", "fraud"]}),
        ({"0": 0.25, "1": 0.75}, {"class_names": {"0": "ok", "1": "ok"}}),
        ({"0": 0.25, "ok": 0.75}, {"class_names": {"0": "ok"}}),
    ],
)
def test_what_is_no_probability_of_each_class_is_rejected(found: object, chosen: dict[str, Any]):
    record = {"id": "a", "at": 5, "features": {"x": 1}, "probabilities": found}
    (rejected,) = read(record, **chosen)
    assert isinstance(rejected, InputRejected)
    assert rejected.reason == Reason.BAD_PROBABILITIES


@pytest.mark.parametrize(("code", "name"), [(1, "fraud"), ("1", "fraud"), (1.0, "fraud"), (2, "2")])
def test_a_code_of_a_class_has_its_name(code: object, name: str):
    record = {"id": "a", "at": 5, "features": {"x": 1}, "predicted": code}
    (event,) = read(record, class_names={"1": "fraud"})
    assert isinstance(event, Event)
    assert event.predicted == name
