"""Orders among the answers: what is one, the parts of shards, and an order's place in the log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import RollBackOrdered, RoundOrdered
from headrace.flow.effects import Part
from headrace.flow.orders import ORDER_KEY, is_order, order_of, part_of
from headrace.learn.training_log import NOWHERE, Origin, TrainingLog
from headrace.messages import InputRejected, ModelRolledBack, RequestExpired
from learn.test_trainer import trainer_of

PART = Part("hr.answers", 3)


def record(value: Any, key: bytes | None = ORDER_KEY, offset: int = 7) -> Any:
    value = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return SimpleNamespace(key=key, value=value, offset=offset, timestamp=12_000, headers=())


def read(value: Any, **more: Any) -> Any:
    found = record(value, **more)
    return order_of(found.value, found, PART, 4)


def test_an_order_is_told_from_an_answer_by_its_key_alone() -> None:
    assert is_order(record(b"")) and is_order(record(b"", b"headrace-order/9"))
    assert not is_order(record(b"", b"r1")) and not is_order(record(b"", None))


def test_an_order_says_among_how_many_shards_it_is_divided() -> None:
    order = RoundOrdered(at=5.0, labels_n=10, key="monday", by="ann", shards_n=99)
    assert read(order) == msgspec.structs.replace(order, shards_n=4)
    back = RollBackOrdered(at=5.0, to=3, key="monday")
    assert read(back) == back


def test_an_order_without_a_key_is_known_by_its_place_and_time() -> None:
    order = RoundOrdered(at=5.0)
    assert read(order).key == "answers 3 7 12000"
    assert read(order, offset=8).key != read(order).key


@pytest.mark.parametrize(
    ("value", "key", "told"),
    [
        (RoundOrdered(at=0.0, labels_n=0), ORDER_KEY, "labels_n is 0"),
        (RoundOrdered(at=0.0, by="x" * 201), ORDER_KEY, "by must be a text"),
        (RollBackOrdered(at=0.0, to=-1), ORDER_KEY, "to is -1"),
        (b"\xff", ORDER_KEY, ""),
        (b'{"type": "Answer"}', ORDER_KEY, "Invalid value 'Answer'"),
        (RoundOrdered(at=0.0), b"headrace-order/2", "upgrade the workers"),
    ],
)
def test_what_is_no_order_is_rejected_with_its_place(value: Any, key: bytes, told: str) -> None:
    found = read(value, key=key)
    assert isinstance(found, InputRejected) and found.reason == "bad_order"
    assert told in found.detail and found.at == 12.0
    assert (found.source, found.position) == ("hr.answers, partition 3", 7)


@given(st.integers(1, 500), st.integers(1, 64), st.text(max_size=20))
def test_the_parts_of_all_shards_add_up(labels_n: int, shards_n: int, key: str) -> None:
    order = RoundOrdered(at=0.0, labels_n=labels_n, key=key, shards_n=shards_n)
    found = [part_of(order, number) for number in range(shards_n)]
    parts = [part.labels_n for part in found if part is not None and part.labels_n is not None]
    assert sum(parts) == labels_n and max(parts) - min(parts) <= 1 and len(parts) == shards_n
    assert part_of(order, shards_n) is None, "a partition that was added later"


def test_no_shard_gets_the_labels_left_over_of_all_orders() -> None:
    orders = [RoundOrdered(at=0.0, labels_n=1, key=f"k{i}", shards_n=3) for i in range(60)]
    got = [sum((part_of(order, n) or order).labels_n or 0 for order in orders) for n in range(3)]
    assert sum(got) == 60 and min(got) >= 10


# ------------------------------------------------------------------------------ the training log


def expired(name: str) -> RequestExpired:
    return RequestExpired(request_id=name, event_id=name, at=1.0, answers_n=0)


def test_an_order_that_is_given_again_leaves_its_place_to_what_follows() -> None:
    log, order = TrainingLog(trainer_of()), RoundOrdered(at=1.0, key="monday", shards_n=2)
    first, again, next_one = (Origin(0, (n, 0), (n - 1, 0)) for n in (1, 2, 3))
    assert log.fold(order, first._replace(before=NOWHERE)) == order
    assert log.fold(order, again) is None
    assert log.fold(expired("r"), next_one) is not None
    assert log.fold(RollBackOrdered(at=1.0, to=0, key="monday"), Origin(0, (4, 0), (3, 0)))
    assert log.trainer.version == 3


def test_an_order_that_a_desk_says_again_counts_once() -> None:
    log, order = TrainingLog(trainer_of()), RoundOrdered(at=1.0, key="monday")
    origin = Origin(0, (1, 0), NOWHERE)
    assert log.fold(order, origin) and not log.fold(order, origin)
    assert not log.fold(msgspec.structs.replace(order, key="tuesday"), origin)


def test_a_version_that_is_not_kept_is_refused_in_its_place() -> None:
    log = TrainingLog(trainer_of())
    found = log.fold(RollBackOrdered(at=4.0, to=3, key="monday"), Origin(0, (1, 0), NOWHERE))
    assert isinstance(found, InputRejected) and found.reason == "no_version"
    assert (found.input_id, found.at, log.trainer.version) == ("monday", 4.0, 1)
    assert not isinstance(found, ModelRolledBack)
