"""What programs give: every kind of value as a file would give it, or a reason; none is lost."""

import datetime as dt
import enum
import fractions
import math
import pathlib
import uuid
from collections import OrderedDict
from decimal import Decimal
from types import MappingProxyType, SimpleNamespace

import msgspec
import numpy as np
import pytest

import headrace as hr
from headrace.observe.declared import Declared
from headrace.settings import parse
from headrace.shard.feeding import join_events

UTC = dt.UTC
MAY = dt.datetime(2024, 5, 1, tzinfo=UTC)
MAY_S = 1_714_521_600.0


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not this"


class NAType:
    """As pandas' own, which refuses to be compared."""

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")


def engine(**settings: object) -> hr.Engine:
    budget = {"share": 1.0, "start": 10}
    return hr.Engine(settings=parse({"query": {"budget": budget}, "seed": 1, **settings}))


def asked(event: hr.Event, **settings: object) -> hr.LabelRequested:
    outputs = engine(**settings).feed([event])
    found = [output for output in outputs if isinstance(output, hr.LabelRequested)]
    assert found, outputs
    return found[0]


def played_and_asked() -> tuple[hr.Engine, hr.LabelRequested]:
    """An engine, and the one request that it has made."""
    played = engine()
    [request] = played.feed([hr.Event(id="e", at=0.0, features={"x": 1})])
    assert isinstance(request, hr.LabelRequested)
    return played, request


def rejected(event: hr.Event, **settings: object) -> hr.InputRejected:
    [output] = engine(**settings).feed([event])
    assert isinstance(output, hr.InputRejected)
    return output


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("12.5"), 12.5),
        (Decimal(12), 12),
        (Decimal("1e999999"), math.inf),
        (fractions.Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.int8(-3), -3),
        (np.uint64(2**63 + 1), 2**63 + 1),
        (np.bool_(True), True),
        (np.str_("red"), "red"),
        (Word("red"), "red"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (MAY, MAY_S),
        (MAY.replace(tzinfo=None), MAY_S),
        (MAY.date(), MAY_S),
        (np.datetime64("2024-05-01"), MAY_S),
        (np.datetime64("2024-05-01T00:00:00.5", "ns"), MAY_S + 0.5),
        (dt.timedelta(minutes=2), 120.0),
        (np.timedelta64(2, "m"), 120.0),
        (dt.time(1, 0, 30), 3630.0),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        (NAType(), None),
        (np.datetime64("NaT"), None),
        (Decimal("NaN"), None),
        (np.array(2.5), 2.5),
    ],
)
def test_a_value_of_another_type_is_the_value_a_file_would_have(value, expected):
    found = hr.Event(id="e", at=0.0, features={"x": value, "other": 1})
    settings = parse({"seed": 1})
    [batch] = join_events([found], settings.input, Declared(settings.columns))
    got = batch.row(0).features
    if isinstance(expected, int | float):
        expected = float(expected) if math.isfinite(expected) else None
    assert got["x"] == expected


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"a": 1, "b": {"c": 2}}, {"x.a", "x.b.c"}),
        (OrderedDict(a=1), {"x.a"}),
        (MappingProxyType({"a": 1}), {"x.a"}),
        ([1, 2], {"x.0", "x.1"}),
        ((1, 2), {"x.0", "x.1"}),
        (np.array([1.0, 2.0]), {"x.0", "x.1"}),
        ([{"a": 1}, {"a": 2}], {"x.0.a", "x.1.a"}),
        (SimpleNamespace(to_dict=lambda: {"a": 1}), {"x.a"}),
    ],
)
def test_what_is_nested_is_flattened_as_in_a_file(value, names):
    played = engine()
    played.feed([hr.Event(id="e", at=0.0, features={"x": value})])
    assert set(played.schema.names) == names


def loop() -> list[object]:
    found: list[object] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("changed", "reason", "says"),
    [
        ({"id": None}, "no_id", "nothing at id"),
        ({"id": True}, "bad_id", "id is True"),
        ({"id": ["a"]}, "bad_id", "must be a text or a number"),
        ({"id": "\ud800"}, "not_utf8", "surrogates"),
        ({"at": None}, "no_time", "nothing at at"),
        ({"at": math.nan}, "bad_time", "at is nan"),
        ({"at": "yesterday"}, "bad_time", "at is 'yesterday'"),
        ({"at": dt.datetime(2024, 5, 1)}, "bad_time", "must say its zone"),  # noqa: DTZ001
        ({"at": dt.date(2024, 5, 1)}, "bad_time", "a datetime with a zone"),
        ({"at": np.datetime64("2024-05-01")}, "bad_time", "a datetime with a zone"),
        ({"at": 1.7e12}, "bad_time", "divide milliseconds by 1000"),
        ({"features": None}, "bad_features", "the features are missing"),
        ({"features": "a=1"}, "bad_features", "the features are 'a=1'"),
        ({"features": 3}, "bad_features", "the features are 3"),
        ({"features": [1.0, 2.0]}, "bad_features", "input.feature_names"),
        ({"features": {"x": {1, 2}}}, "bad_features", "x is {1, 2}"),
        ({"features": {"x": b"abc"}}, "bad_features", "x is b'abc'"),
        ({"features": {"x": 1j}}, "bad_features", "x is 1j"),
        ({"features": {"x": object()}}, "bad_features", "x is <object"),
        ({"features": {"x": loop()}}, "bad_features", "nested deeper"),
        ({"features": {1: 2.0, "1": 3.0}}, "bad_features", "alike as text"),
        ({"features": {"x": "\udfff"}}, "not_utf8", "surrogates"),
        ({"features": {str(i): 1.0 for i in range(5_000)}}, "bad_features", "at most 4096"),
        ({"probabilities": [0.3, 0.7]}, "bad_probabilities", "input.classes"),
        ({"probabilities": {"a": 30.0}}, "bad_probabilities", "must be from 0 to 1"),
        ({"probabilities": {"a": "high"}}, "bad_probabilities", "'a' is 'high'"),
        ({"predicted": ["a", "b"]}, "bad_field", "predicted is"),
    ],
)
def test_a_fault_in_one_event_rejects_that_event_with_a_reason(changed, reason, says):
    good = {"id": "e", "at": 1.0, "features": {"a": 1}}
    found = rejected(hr.Event(**{**good, **changed}))  # type: ignore[arg-type]
    assert found.reason == reason
    assert says in found.detail


@pytest.mark.parametrize("at", [math.nan, math.inf, -math.inf, 1.7e12, -1.7e12])
def test_a_bad_time_is_told_in_the_same_words_in_a_batch(at: float) -> None:
    batch = hr.EventBatch.from_arrays([[1.0]], ["a"], ids=["e"], at=[at])
    [told] = engine().feed([batch])
    alone = rejected(hr.Event(id="e", at=at, features={"a": 1.0}))
    assert isinstance(told, hr.InputRejected)
    assert (told.reason, told.detail) == (alone.reason, alone.detail)


def test_numbers_are_ids_and_times_and_classes_have_names() -> None:
    event = hr.Event(
        id=np.int64(5),  # type: ignore[arg-type]
        at=MAY,  # type: ignore[arg-type]
        features={3: np.float64(1.0)},  # type: ignore[dict-item]
        predicted=np.bool_(True),  # type: ignore[arg-type]
        probabilities={True: np.float32(0.75), False: 0.25},  # type: ignore[dict-item]
        key=7,  # type: ignore[arg-type]
    )
    found = asked(event)
    assert (found.event_id, found.event_at, found.key) == ("5", MAY_S, "7")
    assert found.served == {"true": 0.75, "false": 0.25}
    assert found.features == {"3": 1.0}


def test_lists_are_named_by_the_settings_of_a_file() -> None:
    event = hr.Event(id="e", at=0.0, features=[1.0, 2.0], probabilities=np.array([0.3, 0.7]))  # type: ignore[arg-type]
    found = asked(event, input={"feature_names": ["a", "b"], "classes": ["ham", "spam"]})
    assert found.features == {"a": 1.0, "b": 2.0}
    assert found.served == {"ham": 0.3, "spam": 0.7}


def test_what_is_refused_is_counted_and_spoils_no_neighbour_at_any_split() -> None:
    events = [hr.Event(id=str(i), at=float(i), features={"x": i}) for i in range(40)]
    for i in (0, 7, 8, 39):
        events[i] = msgspec.structs.replace(events[i], features=None)  # type: ignore[arg-type]
    whole, single = engine(), engine()
    at_once = whole.feed(events)
    one_by_one = [output for event in events for output in single.feed([event])]
    assert at_once == one_by_one
    assert whole.report.events.observed_n == 36
    assert whole.report.events.rejected_n == {"bad_features": 4}


def test_what_is_no_input_is_a_fault_of_the_program() -> None:
    with pytest.raises(hr.BadSettings, match="dict is not an input of the engine; pass an Event"):
        engine().feed([{"id": "e"}])  # type: ignore[list-item]
    with pytest.raises(hr.BadSettings, match="the at of a Tick is"):
        engine().feed([hr.Tick(at=MAY)])  # type: ignore[arg-type]
    for alone in (hr.Tick(at=1.0), hr.Withdrawal(request_id="r", at=1.0)):
        with pytest.raises(hr.BadSettings, match=r"takes a list of inputs; pass \[\w+\(...\)\]"):
            engine().feed(alone)  # type: ignore[arg-type]
    with pytest.raises(hr.BadInput, match="x is b'a'"):
        engine().predict({"x": b"a"})


@pytest.mark.parametrize("wrong", [{"id": "e"}, hr.Tick(at=math.nan), hr.RoundOrdered(at=math.inf)])
def test_before_a_fault_of_the_program_nothing_is_processed(wrong) -> None:
    """Or the requests about the events before it would be lost with the exception."""
    played = engine()
    event = hr.Event(id="e", at=0.0, features={"x": 1})
    with pytest.raises(hr.BadSettings):
        played.feed([event, wrong])
    assert played.report.events.observed_n == 0
    assert [type(output) for output in played.feed([event])] == [hr.LabelRequested]


@pytest.mark.parametrize("name", [None, 3, ["r"], "\ud800"])
def test_a_withdrawal_that_names_no_request_is_rejected(name) -> None:
    [rejected] = engine().feed([hr.Withdrawal(request_id=name, at=1.0)])
    assert isinstance(rejected, hr.InputRejected)
    assert (rejected.reason, rejected.input_id) == ("unknown_request", "")


@pytest.mark.parametrize("at", [MAY, "2024-05-01T00:00:00Z", Decimal(int(MAY_S)), np.int64(MAY_S)])
def test_the_time_of_an_answer_may_be_what_that_of_an_event_may_be(at) -> None:
    played, request = played_and_asked()
    [settled] = played.feed([hr.Answer(request_id=request.request_id, label="a", at=at)])
    assert isinstance(settled, hr.LabelSettled)
    assert played.feed([hr.Answer(request_id=request.request_id, label="a", at=MAY_S)]) == []
    assert played.report.answers.duplicate_n == 1


@pytest.mark.parametrize("at", [MAY.replace(tzinfo=None), "2024-05-01", None, np.datetime64("NaT")])
def test_an_answer_whose_time_says_no_zone_is_rejected(at) -> None:
    played, request = played_and_asked()
    [rejected] = played.feed([hr.Answer(request_id=request.request_id, label="a", at=at)])
    assert isinstance(rejected, hr.InputRejected)
    assert rejected.reason == "bad_answer" and "a datetime with a zone" in rejected.detail


@pytest.mark.parametrize(
    ("label", "name"), [(True, "true"), (np.int64(1), "1"), (1.0, "1"), (Colour.RED, "red")]
)
def test_a_label_that_is_no_text_is_the_class_that_a_file_would_name(label, name) -> None:
    played, request = played_and_asked()
    [settled] = played.feed([hr.Answer(request_id=request.request_id, label=label, at=1.0)])
    assert isinstance(settled, hr.LabelSettled)
    assert settled.label == name
