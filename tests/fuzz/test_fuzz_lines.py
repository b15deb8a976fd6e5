"""Lines of events and answers that nobody meant: read or rejected with a reason, no exception."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzz.mutated import mutated
from fuzz.profile import fuzzed
from headrace import Answer, Engine, InputRejected, Withdrawal
from headrace.messages import Reason
from headrace.observe.answers import AnswersDecoder
from headrace.observe.decode import Decoder
from headrace.observe.joining import Halves
from headrace.settings import AnswersSettings, parse

REASONS = frozenset(Reason)
LINE_BYTES_MAX = 4_096

EVENTS = {
    "plain": {"id": "e1", "at": 1_700_000_000.5, "features": {"x": 1.5, "y": "red", "z": None}},
    "nested": {"id": 7, "at": "2024-02-29T12:00:00Z", "features": {"a": {"b": [1, 2.0, "c"]}}},
    "served": {
        "id": "e2",
        "at": 1_700_000_001,
        "features": {"x": True},
        "probabilities": {"no": 0.25, "yes": 0.75},
    },
    "texts": {
        "id": "e3",
        "at": "2024-02-29 12:00",
        "features": '{"x": 1.5, "y": [1, 2]}',
        "probabilities": [{"label": "no", "score": 0.25}, {"label": "yes", "score": 0.75}],
    },
    "request": {"id": "e4", "type": "request", "at": 1_700_000_002, "features": {"x": 1}},
    "response": {"id": "e4", "type": "response", "outputs": [0.5]},
}
MAPPINGS = (
    {},
    {"probabilities": "probabilities"},
    {"features": "inputs", "batch": "instances"},
    {
        "join": {"id": "id", "wait_n": 2},
        "id": "request.id",
        "at": "request.at",
        "features": "request.features",
    },
    {"zone": "Europe/Zurich", "at_unit": "ns", "class_names": {"0": "no", "1": "yes"}},
    {"features": "rows", "batch": "columns"},
    {"batch": "kserve-v1"},
    {"batch": "kserve-v2"},
)
BATCHES = (
    {"id": "b", "at": 1.0, "inputs": [{"x": 1.0}, {"x": 2.0}]},
    {"id": "b", "at": 1.0, "instances": [{"x": 1.0}, {"x": 2.0}]},
    {"id": "b", "at": 1.0, "rows": {"x": [1.0, 2.0], "y": ["a", "b"]}},
    {
        "id": "b",
        "at": 1.0,
        "inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP32", "data": [1.0, 2.0]}],
    },
)
GOOD_EVENTS = [json.dumps(event).encode() for event in (*EVENTS.values(), *BATCHES)]
GOOD_ANSWERS = [
    json.dumps(answer).encode()
    for answer in (
        {"request_id": "r1", "label": "yes", "annotator": "al", "at": 1_700_000_000.0},
        {"request_id": "r1", "label": None},
        {"request_id": "r1", "label": 3, "at": "2024-02-29T12:00:00+02:00"},
        {"request_id": "r1", "withdraw": True, "reason": "moot"},
        {"meta": {"id": "r1"}, "accept": ["yes"], "answer": "ignore", "at": "2024-02-29 12:00"},
        {"meta": {"id": "r1"}, "results": [{"value": {"choices": ["yes"]}}], "was_cancelled": True},
    )
]
ANSWERS = (
    AnswersSettings(),
    AnswersSettings(request_id="meta.id", label="accept", zone="Europe/Zurich"),
    AnswersSettings(request_id="meta.id", label="results.0.value.choices", at_unit="ms"),
    AnswersSettings(
        batch_path="results", request_id="meta.id", label="value.choices", class_names={"yes": "no"}
    ),
    AnswersSettings(status="answer", status_ok=["accept"]),
)


def known(rejected: InputRejected) -> bool:
    return rejected.reason in REASONS and bool(rejected.detail)


@fuzzed
@given(
    lines=st.lists(mutated(GOOD_EVENTS) | st.binary(max_size=60), min_size=1, max_size=5),
    mapping=st.sampled_from(MAPPINGS),
)
def test_lines_of_events(lines: list[bytes], mapping: dict[str, Any]) -> None:
    settings = parse(
        {
            "input": {**mapping, "line_bytes_max": LINE_BYTES_MAX},
            "model": {"name": "naive-bayes"},
            "drift": {"watch": []},
        }
    )
    decoder = Decoder(settings.input)
    whole = decoder.decode(lines)
    halves = Halves()
    apart = [Decoder(settings.input).decode([line], halves=halves) for line in lines]
    assert whole.events_n == [n for found in apart for n in found.events_n]
    assert list(whole.batch.ids) == [i for found in apart for i in found.batch.ids]
    assert all(known(rejected) for rejected in whole.rejected)
    outputs = Engine(settings=settings).feed([whole.batch])
    assert all(known(output) for output in outputs if isinstance(output, InputRejected))


@fuzzed
@given(
    lines=st.lists(mutated(GOOD_ANSWERS) | st.binary(max_size=60), min_size=1, max_size=5),
    fields=st.sampled_from(ANSWERS),
)
def test_lines_of_answers(lines: list[bytes], fields: AnswersSettings) -> None:
    found = AnswersDecoder(fields, LINE_BYTES_MAX).decode(lines)
    engine = Engine(settings=parse({"model": {"name": "naive-bayes"}, "drift": {"watch": []}}))
    for message in found:
        assert isinstance(message, Answer | Withdrawal | InputRejected)
        if isinstance(message, InputRejected):
            assert known(message)
            continue
        # Nobody asked for it: it is turned away with a reason, and is no exception.
        [rejected] = engine.feed([message])
        assert isinstance(rejected, InputRejected)
        assert known(rejected)
