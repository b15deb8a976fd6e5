"""Requests and responses logged as two records: joined in any order, at any cut, within limits."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from headrace import BadSettings, Engine, cli
from headrace.decoders import cloudevent
from headrace.observe import joining
from headrace.observe.decode import Decoded, Decoder
from headrace.observe.joining import Halves
from headrace.settings import InputSettings, JoinSettings, parse

ASKED, TOLD = "org.kubeflow.serving.inference.request", "org.kubeflow.serving.inference.response"


def settings(**join: Any) -> InputSettings:
    return InputSettings(
        id="request.id",
        at="request.time",
        batch="kserve-v1",
        batch_path="request.data",
        feature_names=["x", "y"],
        predicted="response.data.predictions",
        join=JoinSettings(**{"id": "id", **join}),
    )


def request(name: Any, *rows: list[float]) -> bytes:
    data = {"instances": list(rows) or [[1.0, 2.0]]}
    event = {"id": name, "type": ASKED, "time": "2024-05-01T12:00:00Z", "data": data}
    return json.dumps(event).encode()


def response(name: Any, *classes: int) -> bytes:
    data = {"predictions": list(classes) or [1]}
    return json.dumps({"id": name, "type": TOLD, "time": "later", "data": data}).encode()


def read(lines: list[bytes], halves: Halves | None = None, **join: Any) -> Decoded:
    return Decoder(settings(**join)).decode(lines, "log", range(len(lines)), halves=halves)


def events(decoded: Decoded) -> list[tuple[str, str | None]]:
    rows = [decoded.batch.row(i) for i in range(len(decoded.batch))]
    return [(row.id, row.predicted) for row in rows]


@pytest.mark.parametrize("is_turned", [False, True])
def test_a_request_and_its_response_are_one_record(is_turned: bool):
    lines = [request("a", [1, 2], [3, 4]), response("a", 0, 1)]
    decoded = read(lines[::-1] if is_turned else lines)
    assert events(decoded) == [("a/0", "0"), ("a/1", "1")]
    assert decoded.batch.row(1).features == {"x": 3.0, "y": 4.0}
    assert (decoded.events_n, decoded.rejected) == ([0, 2], [])


@pytest.mark.parametrize("seed", range(5))
def test_the_same_at_any_cut(seed: int):
    luck = random.Random(seed)
    lines = [line for i in range(60) for line in (request(i), response(i))]
    lines = [line for line in lines if luck.random() < 0.9]
    luck.shuffle(lines)
    whole, halves = read(lines, Halves(), wait_n=20), Halves()
    assert {str(one.reason) for one in whole.rejected} == {"not_joined"}
    found: list[Any] = []
    rejected: list[Any] = []
    start = 0
    while start < len(lines):
        stop = start + luck.randrange(1, 9)
        piece = Decoder(settings(wait_n=20)).decode(
            lines[start:stop], "log", range(start, len(lines)), halves=halves
        )
        found += events(piece)
        rejected += piece.rejected
        start = stop
    assert (found, rejected) == (events(whole), whole.rejected)


def test_what_waits_too_long_says_what_did_not_come():
    lines = [request("lost"), response("late"), *(request(i) for i in range(5))]
    halves = Halves()
    found = read(lines, halves, wait_n=3).rejected
    told = [(one.reason, one.input_id, one.position, one.detail[:12]) for one in found]
    assert told[:2] == [
        ("not_joined", "lost", 0, "no response "),
        ("not_joined", "late", 1, "no request w"),
    ]
    assert found[0].raw == request("lost").decode()
    assert len(halves.waiting) == 3


def test_a_request_that_is_logged_twice_is_told():
    decoded = read([request("a"), request("a"), response("a")])
    assert events(decoded) == [("a/0", "1")]
    assert [(one.reason, one.position) for one in decoded.rejected] == [("duplicate_id", 1)]


@pytest.mark.parametrize(
    ("record", "reason", "part"),
    [
        ({"id": "a", "type": "io.seldon.serving.feedback"}, "left_out", "neither 'request' nor"),
        ({"id": "a"}, "left_out", "type is ''"),
        ({"type": ASKED}, "no_id", "input.join.id"),
        ({"id": {}, "type": ASKED}, "no_id", "input.join.id"),
    ],
)
def test_what_can_be_no_half_is_told(record: Any, reason: str, part: str):
    (rejected,) = read([json.dumps(record).encode()]).rejected
    assert rejected.reason == reason
    assert part in rejected.detail


def test_no_more_waits_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(joining, "BYTES_MAX", 3 * len(request(10)))
    halves = Halves()
    decoded = read([request(10 + i) for i in range(5)], halves)
    assert [one.input_id for one in decoded.rejected] == ["10", "11"]
    assert "no room" in decoded.rejected[0].detail
    assert halves.bytes_n == sum(len(half.content) for half in halves.waiting.values())
    assert list(halves.waiting) == ["12", "13", "14"]


def test_types_may_be_words_of_the_log():
    lines = [b'{"id": 1, "kind": "in", "x": 3, "t": 5}', b'{"id": 1, "kind": "out", "label": "a"}']
    fields = InputSettings(
        id="request.id",
        at="request.t",
        features="request",
        predicted="response.label",
        join=JoinSettings(id="id", type="kind", request="in", response="out"),
    )
    decoded = Decoder(fields).decode(lines)
    assert events(decoded) == [("1", "a")]
    assert decoded.batch.row(0).features == {"kind": "in", "x": 3.0}


def test_settings_that_can_join_nothing_are_faults():
    fields = {"id": "request.id", "at": "time"}
    with pytest.raises(BadSettings) as raised:
        parse({"input": {**fields, "join": {"id": "id", "request": "x", "response": "x"}}})
    assert raised.value.faults == [
        "input.join.request and input.join.response are both 'x'",
        "input.at is time; with input.join it must begin with request. or response.",
    ]
    assert parse({"input": fields}).input.at == "time"


def test_cloudevents_are_the_same_in_both_modes():
    structured = json.loads(request("a"))
    attributes = {f"ce_{k}": v.encode() for k, v in structured.items() if k != "data"}
    binary = json.dumps(structured["data"]).encode()
    assert cloudevent(request("a"), {}) == structured
    assert cloudevent(binary, attributes) == structured
    assert cloudevent(b"no JSON", {"Ce-Id": b"a"}) == {"id": "a", "data": "no JSON"}


def test_halves_are_in_a_snapshot():
    engine = Engine()
    read([request("a")], engine.shard.admission.halves)
    other = Engine()
    other.restore(engine.snapshot())
    assert events(read([response("a")], other.shard.admission.halves)) == [("a/0", "1")]


def written(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


TOML = """
[input]
id = "request.id"
at = "request.time"
batch = "kserve-v1"
batch_path = "request.data"
feature_names = ["x", "y"]
predicted = "response.data.predictions"
[input.join]
id = "id"
[query.budget]
share = 1.0
start = 1
"""


def test_a_run_goes_on_waiting_and_is_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, toml = tmp_path / "log.jsonl", tmp_path / "s.toml"
    toml.write_text(TOML)
    log.write_bytes(request("a") + b"\n" + response("b") + b"\n")
    words = ["run", "--settings", str(toml), "--events", str(log), "--state", str(tmp_path / "st")]
    words += ["--requests", str(tmp_path / "requests.jsonl")]
    assert cli.main(words) == 0
    told = capsys.readouterr()
    assert "2 records wait for their request or response" in told.out + told.err
    with log.open("ab") as file:
        file.write(response("a") + b"\n" + request("b") + b"\n")
    assert cli.main(words) == 0
    asked = written(tmp_path / "requests.jsonl")
    assert [one["event_id"] for one in asked] == ["a/0", "b/0"]
    assert cli.main(["replay", str(tmp_path / "st")]) == 0


def test_answers_find_their_place_among_joined_events(tmp_path: Path) -> None:
    log, toml, answers = tmp_path / "log.jsonl", tmp_path / "s.toml", tmp_path / "answers.jsonl"
    toml.write_text(TOML)
    lines = [request(i).replace(b"12:00:00", b"12:00:%02d" % i) for i in range(40)]
    log.write_bytes(b"\n".join([*lines, response(0), b""]))
    words = ["run", "--settings", str(toml), "--events", str(log), "--answers", str(answers)]
    words += ["--state", str(tmp_path / "st"), "--requests", str(tmp_path / "requests.jsonl")]
    answers.write_text("")
    assert cli.main(words) == 0
    (first,) = written(tmp_path / "requests.jsonl")
    answer = {"request_id": first["request_id"], "label": "1", "at": "2024-05-01T12:00:20Z"}
    answers.write_text(json.dumps(answer) + "\n")
    with log.open("ab") as file:
        file.write(b"\n".join([*(response(i) for i in range(1, 40)), b""]))
    assert cli.main(words) == 0
    decided = written(tmp_path / "st" / "decisions.jsonl")
    kinds = [one["type"] for one in decided]
    at = kinds.index("LabelSettled")
    before = [one["event_at"] for one in decided[:at] if one["type"] == "LabelRequested"]
    after = [one["event_at"] for one in decided[at:] if one["type"] == "LabelRequested"]
    assert max(before) < 1714564820.0 <= min(after)
