"""Which faults a worker outlives, and what it says of the others."""

from __future__ import annotations

import pytest
from aiokafka import errors

from headrace.drivers.kafka.client import NoBroker
from headrace.drivers.kafka.faults import ADVICE, GrownError, find_lasting, kind_of, reasons_of
from headrace.errors import BadInput, BadSettings
from headrace.flow.effects import Bounds, Part
from headrace.flow.places import Places, check_place
from headrace.flow.produce import FencedError
from headrace.settings.kafka import KafkaSettings


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.KafkaConnectionError(), "network"),
        (errors.NotLeaderForPartitionError(), "brokers"),
        (errors.CommitFailedError(), "brokers"),
        (NoBroker("away"), "network"),
        (ConnectionResetError(), "network"),
        (FencedError("taken"), "fenced"),
        (GrownError("more"), "partitions"),
        (ExceptionGroup("x", [FencedError("taken")]), "fenced"),
    ],
)
def test_what_passes_is_counted_by_its_kind(error: Exception, kind: str) -> None:
    assert find_lasting(error) is None
    assert kind_of(error) == kind


@pytest.mark.parametrize(
    "error",
    [
        errors.UnsupportedCodecError("zstd"),
        errors.CorruptRecordException("offset 7"),
        errors.TopicAuthorizationFailedError("events"),
        errors.MessageSizeTooLargeError("1 MB"),
        ExceptionGroup("x", [ExceptionGroup("y", [errors.RecordTooLargeError("events")])]),
    ],
)
def test_what_does_not_pass_ends_the_worker_with_advice(error: Exception) -> None:
    found = find_lasting(error)
    assert isinstance(found, BadInput)
    assert any(advice in str(found) for advice in ADVICE.values())


def test_settings_and_bugs_are_told_as_they_are() -> None:
    wrong, bug = BadSettings("kafka.x is y"), KeyError("bug")
    assert find_lasting(wrong) is wrong
    assert find_lasting(ExceptionGroup("x", [bug, errors.KafkaConnectionError()])) is bug


def test_every_fault_that_has_advice_is_one_of_the_clients() -> None:
    assert [name for name in ADVICE if not hasattr(errors, name)] == []


def test_reasons_of_a_group_are_told_once() -> None:
    group = ExceptionGroup("x", [OSError("a"), OSError("a"), KeyError("b")])
    assert reasons_of(group) == "OSError: a; KeyError: 'b'"


@pytest.mark.parametrize(
    ("committed", "start", "told"),
    [
        (None, 100, ""),
        (150, 150, ""),
        (200, 200, ""),
        (40, 100, "60 records from 40 on were deleted"),
        (900, 100, "made anew"),
    ],
)
def test_a_group_goes_on_where_its_log_allows(committed: int | None, start: int, told: str) -> None:
    warnings: list[str] = []
    lost_n: dict[str, int] = {}
    places = Places(KafkaSettings(), warnings.append, lost_n)
    part = Part("headrace.answers", 0)
    assert places.of_group(part, Bounds(100, 200, committed)) == start
    assert told in " ".join(warnings) and bool(told) == bool(warnings)
    assert lost_n == ({"answers": 60} if committed == 40 else {})


def test_a_place_beyond_the_end_is_of_another_log() -> None:
    tp = Part("inference", 3)
    check_place(tp, 200, 200)
    with pytest.raises(BadInput, match="inference, partition 3, ends at 200, and our state"):
        check_place(tp, 201, 200)
