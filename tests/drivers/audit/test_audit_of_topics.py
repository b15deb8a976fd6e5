"""The audit log beside workers: each record of the topics once, whatever kills who writes it."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.requests import request
from headrace import cli
from headrace.adapters.chain import HashChain, check_links, files_of, read_entries
from headrace.adapters.sealing import load_sealer
from headrace.bridges.bridge import Unreachable
from headrace.bridges.folder import encode_answer
from headrace.drivers.audit.topics import TopicRecords, TopicsLog, compare_topics
from headrace.drivers.audit.verify import verify_log
from headrace.errors import BadInput, BadSettings
from headrace.flow.effects import Part
from headrace.flow.orders import ORDER_KEY
from headrace.flow.sealed import ANSWERS_TOPIC, REQUESTS_TOPIC
from headrace.flow.shards import answers_decoder_of
from headrace.flow.wire import origin_headers
from headrace.learn.training_log import Origin
from headrace.messages import Answer, DriftChanged, LabelSettled, ModelAdopted, RoundOrdered
from headrace.settings import parse

SETTINGS = parse(
    {"audit": {"is_kept": True, "file_bytes_max": 4_096}, "answers": {"batch_path": ""}}
)
KAFKA = SETTINGS.kafka


class Brokers:
    """Topics in memory, each partition from some offset on; gives what is asked for in pieces."""

    def __init__(self) -> None:
        self.logs: dict[Part, dict[int, Any]] = {
            Part(topic, number): {}
            for topic, parts_n in (
                (KAFKA.requests, 2), (KAFKA.answers, 2), (KAFKA.training, 1), (KAFKA.drift, 1)
            )
            for number in range(parts_n)
        }  # fmt: skip
        self.ends = dict.fromkeys(self.logs, 0)
        self.firsts = dict.fromkeys(self.logs, 0)
        self.is_away = False

    def write(
        self, topic: str, number: int, value: bytes, headers: Any = (), key: bytes | None = None
    ) -> None:
        part = Part(topic, number)
        offset = self.ends[part]
        self.logs[part][offset] = SimpleNamespace(
            offset=offset, key=key, value=value, headers=headers
        )
        self.ends[part] += 1

    def delete_before(self, part: Part, offset: int) -> None:
        self.firsts[part] = offset
        for gone in [one for one in self.logs[part] if one < offset]:
            del self.logs[part][gone]

    def read_bounds(self) -> dict[Part, tuple[int, int]]:
        if self.is_away:
            raise Unreachable("away")
        return {part: (self.firsts[part], self.ends[part]) for part in self.logs}

    def read(self, places: Mapping[Part, int], n: int) -> dict[Part, list[Any]]:
        self.read_bounds()
        found = {}
        for part, log in self.logs.items():
            wanted = [log[o] for o in sorted(log) if o >= places.get(part, 0)][: min(n, 7)]
            if wanted:
                found[part] = wanted
        return found

    def close(self) -> None: ...


def settled(i: int, label: str = "ham") -> LabelSettled:
    return LabelSettled(
        request_id=f"r{i}", event_id=f"secret{i}", at=10.0 + i, event_at=1.0, label=label,
        features={"income": 4711.5}, prediction={}, reason="round", seq=i, answers_n=1,
        agreement=1.0,
    )  # fmt: skip


def fill(brokers: Brokers, start: int, stop: int) -> None:
    for i in range(start, stop):
        asked = msgspec.json.encode(request(f"r{i}"))
        brokers.write(KAFKA.requests, i % 2, asked)
        answer = Answer(request_id=f"r{i}", label="ham", at=5.0 + i, annotator="eva")
        brokers.write(KAFKA.answers, i % 2, encode_answer(answer, "desk"))
        headers = origin_headers(Origin(i % 2, (i, 0), (i - 1, 0)))
        brokers.write(KAFKA.training, 0, msgspec.json.encode(settled(i)), headers)
    brokers.write(KAFKA.answers, 0, b"no JSON at all")
    brokers.write(KAFKA.requests, 1, b"?")
    change = DriftChanged(
        at=9.0, level="DRIFT", previous="STABLE", signal="error", detector="adwin", statistic=1.5
    )
    brokers.write(KAFKA.drift, 0, msgspec.json.encode(change))
    adopted = ModelAdopted(
        job_id=1, at=9.0, model_version=4, champion_right=0.5, challenger_right=0.75, labels_n=30
    )
    brokers.write(KAFKA.training, 0, msgspec.json.encode(adopted))


@pytest.fixture
def brokers() -> Brokers:
    found = Brokers()
    fill(found, 0, 20)
    return found


def follow(folder: Path, brokers: Any, times: int = 1_000, stream=SETTINGS) -> None:
    with closing(TopicsLog(folder, stream, brokers)) as log:
        for _ in range(times):
            if not log.follow_topics():
                break


def places_of(folder: Path) -> list[tuple[str, int, int]]:
    return [tuple(e["record"]) for e in read_entries(folder, "decided") if "record" in e]


def test_every_record_has_its_entry_and_no_feature_is_in_it(brokers, tmp_path) -> None:
    follow(tmp_path, brokers)
    wanted = {(p.topic, p.partition, o) for p, log in brokers.logs.items() for o in log}
    found = places_of(tmp_path)
    assert len(found) == len(set(found))
    assert set(found) == wanted
    content = b"".join(path.read_bytes() for path in tmp_path.glob("*.jsonl"))
    for secret in (b"income", b"4711.5", b"secret1", b"no JSON"):
        assert secret not in content
    told = verify_log(tmp_path)
    assert (told.faults, told.notes) == ([], [])
    parts = told.summary.counts_by_part()
    assert parts["answered"]["eva, through desk"] == 20
    assert parts["ended"] == {"settled, by majority": 20}
    assert parts["moved the model"]["challengers adopted"] == 1
    entry = next(e for e in read_entries(tmp_path, "decided") if e["what"] == "settled")
    assert (entry["consensus"], entry["origin"]) == ("majority", [0, 0, 0])
    assert compare_topics(tmp_path, SETTINGS, brokers) == ([], [])


@pytest.fixture
def sealed(tmp_path: Path) -> Any:
    """Settings under which the topics of requests and answers are sealed."""
    keys = tmp_path / "keys"
    keys.write_text("k" * 40 + "\n")
    keys.chmod(0o600)
    return parse({"audit": {"is_kept": True}, "sealing": {"keys_file": str(keys)}})


def seal(
    plain: Brokers, stream: Any, *, key_of: Callable[[str], str] = lambda name: name
) -> Brokers:
    """The same topics, sealed; `key_of` gives the key of a record by the id of its request."""
    sealer = load_sealer(stream.sealing, stream.stream)
    assert sealer is not None
    made = Brokers()
    logs = {KAFKA.requests: REQUESTS_TOPIC, KAFKA.answers: ANSWERS_TOPIC}
    for part, log in plain.logs.items():
        for record in log.values():
            value, key = record.value, None
            if part.topic in logs:
                name = msgspec.json.decode(value)["request_id"] if value[:1] == b"{" else "?"
                value = sealer.seal(value, logs[part.topic], name)
                key = key_of(name).encode()
            made.write(*part, value, record.headers, key)
    return made


def entries_of(folder: Path) -> list[dict[str, Any]]:
    """What the log says of records, without its place in the chain."""
    return [
        {name: value for name, value in entry.items() if name not in ("n", "prev")}
        for entry in read_entries(folder, "decided")
        if "record" in entry
    ]


def test_sealed_topics_give_the_same_entries_and_no_plain_text(brokers, sealed, tmp_path) -> None:
    plain, locked = tmp_path / "plain", tmp_path / "locked"
    follow(plain, brokers)
    closed = seal(brokers, sealed)
    assert b"eva" not in b"".join(
        record.value for record in closed.logs[Part(KAFKA.answers, 0)].values()
    )
    follow(locked, closed, stream=sealed)
    assert entries_of(locked) == entries_of(plain)
    assert {"asked", "answered", "settled"} <= {entry["what"] for entry in entries_of(locked)}
    assert compare_topics(locked, sealed, closed) == ([], [])
    assert verify_log(locked).faults == []


def test_what_is_not_sealed_or_sealed_for_another_is_said_and_not_believed(
    brokers, sealed, tmp_path
) -> None:
    # Each answer and request under the key of another request; and all of it in plain.
    swapped = seal(brokers, sealed, key_of=lambda name: "r0")
    for number, topics in enumerate((swapped, brokers)):
        folder = tmp_path / str(number)
        follow(folder, topics, stream=sealed)
        told = Counter((entry["what"], entry.get("reason")) for entry in entries_of(folder))
        mine = 0 if number else 1
        assert told["answered", None] == mine
        assert told["refused", "not_sealed"] == 21 - mine
        assert sum(n for (what, _), n in told.items() if what == "asked") == mine
        assert told["unread", None] == 21 - mine
        assert compare_topics(folder, sealed, topics) == ([], [])


def test_an_answer_that_is_too_long_for_workers_is_refused_in_the_log_too(tmp_path) -> None:
    """Workers read answers of a quarter of a record at most, whatever a line may have."""
    stream = parse({"audit": {"is_kept": True}, "kafka": {"request_bytes_max": 8_000}})
    brokers = Brokers()
    for length in (100, 3_000):
        answer = {"request_id": f"r{length}", "label": "ham", "note": "x" * length}
        brokers.write(KAFKA.answers, 0, msgspec.json.encode(answer))
    assert stream.input.line_bytes_max > 3_000
    follow(tmp_path, brokers, stream=stream)
    assert [entry["what"] for entry in entries_of(tmp_path)] == ["answered", "refused"]
    decoder = answers_decoder_of(stream)
    values = [record.value for record in brokers.logs[Part(KAFKA.answers, 0)].values()]
    assert [isinstance(one, Answer) for one in decoder.decode(values)] == [True, False]


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_killed_anywhere_it_leaves_out_nothing_and_repeats_nothing(tmp_path_factory, data) -> None:
    folder, brokers = tmp_path_factory.mktemp("log"), Brokers()
    fill(brokers, 0, 12)
    for _ in range(3):
        follow(folder, brokers, times=data.draw(st.integers(1, 3)))
        path = files_of(folder, "decided")[-1]
        cut_n = data.draw(st.integers(0, 900))
        os.truncate(path, max(0, path.stat().st_size - cut_n))
    follow(folder, brokers)
    assert verify_log(folder).faults == []
    found = places_of(folder)
    assert len(found) == len(set(found)) == sum(len(log) for log in brokers.logs.values())
    assert compare_topics(folder, SETTINGS, brokers) == ([], [])


def test_several_answers_of_one_record_are_several_entries(tmp_path) -> None:
    stream = msgspec.structs.replace(
        SETTINGS, answers=parse({"answers": {"batch_path": "all"}}).answers
    )
    brokers = Brokers()
    given_all = [{"label": "ham", "annotator": name} for name in ("eva", "bo", "cy")]
    for i in range(5):
        content = json.dumps({"request_id": f"r{i}", "all": given_all}).encode()
        brokers.write(KAFKA.answers, 0, content)
    for cut_n in (0, 100, 300, 500, 1_000):
        follow(tmp_path, brokers, stream=stream)
        path = files_of(tmp_path, "decided")[-1]
        os.truncate(path, max(0, path.stat().st_size - cut_n))
    follow(tmp_path, brokers, stream=stream)
    found = [e for e in read_entries(tmp_path, "decided") if e["what"] == "answered"]
    assert [(e["record"][2], e["annotator"]) for e in found] == [
        (i, name) for i in range(5) for name in ("eva", "bo", "cy")
    ]
    assert verify_log(tmp_path).faults == []
    assert compare_topics(tmp_path, stream, brokers) == ([], [])


def test_old_files_are_removed_and_places_are_kept(brokers, tmp_path) -> None:
    few = msgspec.structs.replace(
        SETTINGS,
        audit=parse({"audit": {"is_kept": True, "file_bytes_max": 4_096, "files_max": 2}}).audit,
    )
    for start in range(20, 200, 20):
        follow(tmp_path, brokers, stream=few)
        fill(brokers, start, start + 20)
    follow(tmp_path, brokers, stream=few)
    assert len(files_of(tmp_path, "decided")) == 2
    found = verify_log(tmp_path)
    assert found.faults == []
    assert "older files were removed" in found.notes[0]
    places = places_of(tmp_path)
    assert len(places) == len(set(places)) < sum(len(log) for log in brokers.logs.values())
    assert compare_topics(tmp_path, few, brokers).faults == []


def test_what_was_deleted_unread_is_told(brokers, tmp_path) -> None:
    part = Part(KAFKA.requests, 0)
    brokers.delete_before(part, 4)
    follow(tmp_path, brokers)
    [lost] = [e for e in read_entries(tmp_path, "decided") if e["what"] == "offsets_lost"]
    assert (lost["record"], lost["until"]) == ([*part, 0], 3)
    assert verify_log(tmp_path).faults == []
    assert compare_topics(tmp_path, SETTINGS, brokers) == ([], [])
    # What is deleted after it was read is no fault either.
    brokers.delete_before(part, 8)
    assert compare_topics(tmp_path, SETTINGS, brokers) == ([], [])


def test_a_topic_that_was_made_anew_is_not_gone_on_with(brokers, tmp_path) -> None:
    follow(tmp_path, brokers)
    brokers.ends[Part(KAFKA.drift, 0)] = 0
    with pytest.raises(BadInput, match="it was made anew"):
        follow(tmp_path, brokers)


def rewritten(folder: Path, change) -> None:
    kept = [
        {k: v for k, v in e.items() if k not in ("n", "prev")}
        for e in read_entries(folder, "decided")
    ]
    for path in files_of(folder, "decided"):
        path.unlink()
    first, *others = [e for e in kept if e["what"] != "places"]
    with closing(HashChain(folder, "decided", first=first)) as chain:
        chain.append(change(others))
    assert not any(link.fault for link in check_links(files_of(folder, "decided")))


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_chain_written_anew_is_found(tmp_path_factory, data) -> None:
    folder, brokers = tmp_path_factory.mktemp("log"), Brokers()
    fill(brokers, 0, 12)
    follow(folder, brokers)

    def change(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        # But for the last of a partition: to leave that out is to cut the end, which a head tells.
        last = {tuple(e["record"][:2]): i for i, e in enumerate(found)}
        inner = [i for i in range(len(found)) if i not in last.values()]
        i = data.draw(st.sampled_from(inner))
        match data.draw(st.sampled_from(["leave out", "edit", "put in", "say it was lost"])):
            case "leave out":
                del found[i]
            case "edit":
                found[i] = found[i] | {"what": "expired"}
            case "put in":
                found.insert(i, found[i])
            case "say it was lost":
                record = found[i]["record"]
                found[i] = {"what": "offsets_lost", "record": record, "until": record[2]}
        return found

    rewritten(folder, change)
    assert verify_log(folder).faults or compare_topics(folder, SETTINGS, brokers).faults


def test_records_that_came_since_are_told(brokers, tmp_path) -> None:
    follow(tmp_path, brokers)
    fill(brokers, 20, 22)
    faults, notes = compare_topics(tmp_path, SETTINGS, brokers)
    assert faults == []
    assert f"{KAFKA.drift}, partition 0 is 1 records ahead" in notes


def test_it_waits_for_brokers_that_are_away(brokers, tmp_path) -> None:
    stop, notes = threading.Event(), []
    brokers.is_away = True

    def note(sentence: str) -> None:
        notes.append(sentence)
        brokers.is_away = False
        stop.set()

    with closing(TopicsLog(tmp_path, SETTINGS, brokers)) as log:
        log.follow_until_stopped(stop, note)
    assert notes == ["away; trying again until it is back"]


def test_the_command_wants_the_setting(tmp_path, capsys) -> None:
    path = tmp_path / "headrace.toml"
    path.write_text("")
    assert cli.main(["audit", "follow", "--settings", str(path)]) == 2
    assert "audit.is_kept is false" in capsys.readouterr().err
    follow_twice = {"folder": tmp_path / "log", "brokers": Brokers()}
    with (
        closing(TopicsLog(tmp_path / "log", SETTINGS, Brokers())),
        pytest.raises(BadSettings, match="written by another process"),
    ):
        follow(**follow_twice)


def test_who_ordered_is_told_where_it_was_read_and_where_it_was_passed_on() -> None:
    records, order = TopicRecords(SETTINGS), RoundOrdered(at=9.0, labels_n=5, key="k", by="ann")
    value, origin = msgspec.json.encode(order), Origin(0, (4, 0), (3, 0))
    told = {
        "what": "round_ordered",
        "at": 9.0,
        "labels_n": 5,
        "key": "k",
        "reason": "",
        "by": "ann",
    }
    place: dict[str, Any] = {"topic": KAFKA.answers, "partition": 1, "offset": 0, "timestamp": 1}
    given = SimpleNamespace(key=ORDER_KEY, value=value, headers=(), **place)
    [entry] = records.make_entries(Part(KAFKA.answers, 1), given)
    assert entry == told | {"record": [KAFKA.answers, 1, 0]}
    passed = SimpleNamespace(key=None, value=value, offset=6, headers=origin_headers(origin))
    [entry] = records.make_entries(Part(KAFKA.training, 0), passed)
    assert entry == told | {"origin": [0, 4, 0], "record": [KAFKA.training, 0, 6]}
    given.value = b"{}"
    [entry] = records.make_entries(Part(KAFKA.answers, 1), given)
    assert entry["what"] == "refused" and entry["reason"] == "bad_order"
