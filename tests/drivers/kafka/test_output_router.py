"""What was decided becomes records: each message is encoded once, whatever topics it goes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest

from headrace.flow import wire
from headrace.flow.desks import PartitionDesk
from headrace.flow.effects import Part
from headrace.flow.output_router import OutputRouter
from headrace.flow.owned import OwnedDesk, OwnedShard
from headrace.flow.produce import ProduceBatch
from headrace.flow.sealed import REQUESTS_TOPIC
from headrace.flow.shards import PartitionShard, answers_decoder_of
from headrace.flow.steps import DecidedStep, Step
from headrace.flow.training import new_log
from headrace.messages import (
    DriftChanged,
    LabelRequested,
    Output,
    RequestRescored,
    RoundClosed,
    Withdrawal,
)
from headrace.privacy import Privacy
from headrace.settings import parse
from headrace.settings.privacy import PrivacySettings
from simulation.cluster import Kept

SETTINGS = parse({"query": {"budget": {"share": 0.4}}, "model": {"name": "logistic"}})
KAFKA = SETTINGS.kafka
REQUEST = LabelRequested(
    request_id="r1",
    event_id="e1",
    at=2.0,
    event_at=1.0,
    deadline=9.0,
    features={"x": 0.1, "who": "Ada"},
    reason="control",
    strategy="random",
    utility=1.0,
    threshold=0.0,
    propensity=0.4,
    model_version=0,
    prediction={},
    round_n=-1,
    seq=0,
)
RESCORED = RequestRescored(request_id="r1", at=3.0, priority=0.5)
DRIFT = DriftChanged(
    at=3.0, level="DRIFT", previous="STABLE", signal="error", detector="adwin", statistic=1.2
)
CLOSED = RoundClosed(round_n=0, at=3.0, asked_n=1, threshold=0.0)


class MarkingSeals:
    """Seals that only mark a value, and count how often."""

    def __init__(self) -> None:
        self.sealed_n = 0

    def seal(self, text: bytes, log: str, place: int | str) -> bytes:
        self.sealed_n += 1
        return f"{log}, {place}: ".encode() + text

    def unseal(self, record: bytes, log: str, place: int | str) -> bytes:
        raise NotImplementedError


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How many messages of each type were encoded."""
    counts, encode = Counter[str](), wire.value_of

    def value_of(message: Output) -> bytes:
        counts[type(message).__name__] += 1
        return encode(message)

    monkeypatch.setattr(wire, "value_of", value_of)
    yield counts


def pack(
    router: OutputRouter, *outputs: Output, sent: frozenset[bytes] = frozenset()
) -> ProduceBatch:
    shard = PartitionShard(SETTINGS, 0, 1, new_log(SETTINGS).trainer)
    step = DecidedStep(Step(previous=-1, training=0, start=0, stop=1), list(outputs))
    return router.pack_outputs(OwnedShard(shard, 0, -1), step, 0, sent)


def test_each_message_is_encoded_once_for_all_its_topics(encoded: Counter[str]) -> None:
    batch = pack(OutputRouter(KAFKA), REQUEST, RESCORED, DRIFT, CLOSED)
    assert encoded == {"LabelRequested": 1, "RequestRescored": 1, "DriftChanged": 1}
    in_full = [msgspec.json.encode(one) for one in (REQUEST, RESCORED)]
    assert [record.value for record in batch.to_desks] == in_full
    assert [record.value for record in batch.to_others] == [*in_full, msgspec.json.encode(DRIFT)]


def test_a_hidden_request_is_encoded_for_each_of_its_two_forms(encoded: Counter[str]) -> None:
    privacy = Privacy(PrivacySettings(features={"x": "keep"}))
    batch = pack(OutputRouter(KAFKA, privacy=privacy), REQUEST)
    assert encoded == {"LabelRequested": 2}
    shown = msgspec.structs.replace(REQUEST, features={"x": 0.1})
    assert [record.value for record in batch.to_desks] == [msgspec.json.encode(REQUEST)]
    assert [record.value for record in batch.to_others] == [msgspec.json.encode(shown)]


def test_a_request_is_sealed_once_and_only_for_the_annotators(encoded: Counter[str]) -> None:
    seals = MarkingSeals()
    batch = pack(OutputRouter(KAFKA, seals=seals), REQUEST)
    in_full = msgspec.json.encode(REQUEST)
    assert [record.value for record in batch.to_desks] == [in_full]
    sealed = f"{REQUESTS_TOPIC}, r1: ".encode() + in_full
    assert [record.value for record in batch.to_others] == [sealed]
    assert (encoded["LabelRequested"], seals.sealed_n) == (1, 1)


def test_what_was_sent_before_is_not_sent_again() -> None:
    sent = frozenset({b"r1", msgspec.json.encode(DRIFT)})
    batch = pack(OutputRouter(KAFKA), REQUEST, DRIFT, sent=sent)
    assert batch.to_desks == batch.to_others == []


def test_a_request_above_the_limit_is_not_counted_as_shown() -> None:
    """`Privacy` warns of features that no request had; a refused one was no request."""
    privacy = Privacy(PrivacySettings(features={"x": "keep"}))
    large = msgspec.structs.replace(REQUEST, features={"x": "y" * KAFKA.request_bytes_max})
    batch = pack(OutputRouter(KAFKA, privacy=privacy), large)
    slim, withdrawal = (record.value for record in batch.to_desks)
    assert b'"features":{}' in slim and b'"type":"Withdrawal"' in withdrawal
    assert b'"oversize"' in batch.to_others[0].value
    assert privacy.describe_unseen(requests_min=1) == []


def test_a_withdrawal_is_encoded_once_for_log_and_annotators(encoded: Counter[str]) -> None:
    desk, router = OwnedDesk(PartitionDesk(SETTINGS, 0), 0), OutputRouter(KAFKA)
    entries = [REQUEST, Withdrawal(request_id="r1", at=3.0, reason="moot")]
    records = [
        Kept(KAFKA.desk, 0, i, None, msgspec.json.encode(entry), (), 0)
        for i, entry in enumerate(entries)
    ]
    batch = router.fold_desk_records(desk, records)
    assert encoded == {"RequestWithdrawn": 1}
    logged, sent = batch.to_others
    assert (logged.topic, sent.topic) == (KAFKA.training, KAFKA.requests)
    assert logged.value is sent.value


def test_an_answer_is_encoded_once(encoded: Counter[str]) -> None:
    value = b'{"request_id": "r1", "label": "a", "annotator": "eva"}'
    answer = Kept(KAFKA.answers, 0, 0, None, value, (), 0)
    [record] = OutputRouter(KAFKA).route_answer(
        answers_decoder_of(SETTINGS), Part(KAFKA.answers, 0), answer, 3.0
    )
    assert encoded == {"Answer": 1}
    assert record.value == (
        b'{"type":"Answer","request_id":"r1","label":"a","at":0.0,"annotator":"eva"}'
    )
