"""The audit log beside workers on a real broker: every offset once, over several starts."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from bridges.requests import request
from headrace import cli
from headrace.adapters.chain import read_entries
from headrace.bridges.bridge import Unreachable
from headrace.bridges.folder import encode_answer
from headrace.drivers.audit.topics import TopicRecords, TopicsLog
from headrace.drivers.audit.verify import verify_log
from headrace.drivers.kafka.topics_reader import TopicsReader
from headrace.messages import Answer, RequestExpired
from headrace.settings import load_for_kafka

WITHIN_S = 120.0
TOPICS = ("requests", "answers", "training", "drift")


def settings_file(folder: Path, broker, prefix: str) -> Path:
    names = "".join(f'{name} = "{prefix}.{name}"\n' for name in TOPICS)
    path = folder / "headrace.toml"
    path.write_text(f'[audit]\nis_kept = true\n[kafka]\nservers = ["{broker.servers}"]\n{names}')
    return path


def follow(path: Path, n: int) -> None:
    """Until the log has so many entries that speak of records."""
    settings, folder = load_for_kafka(path), path.parent / "audit"
    reader = TopicsReader(settings.kafka, TopicRecords(settings).topics)
    until = time.monotonic() + WITHIN_S
    with closing(reader), closing(TopicsLog(folder, settings, reader)) as log:
        while sum("record" in entry for entry in read_entries(folder, "decided")) < n:
            assert time.monotonic() < until, f"not {n} records within {WITHIN_S:g} s"
            try:
                log.follow_topics()
            except Unreachable:
                time.sleep(0.2)


def test_every_record_is_in_the_log_once_and_the_topics_agree(broker, prefix, tmp_path, capsys):
    for name, parts_n in zip(TOPICS, (3, 2, 1, 1), strict=True):
        broker.topics.create(f"{prefix}.{name}", partitions=parts_n)
    path = settings_file(tmp_path, broker, prefix)

    def fill(start: int, stop: int) -> None:
        given = [Answer(request_id=f"r{i}", label="a", at=1.0, annotator="eva") for i in range(9)]
        ended = RequestExpired(request_id="r0", event_id="e0", at=2.0, answers_n=0)
        for name, values in (
            ("requests", [msgspec.json.encode(request(f"r{i}")) for i in range(start, stop)]),
            ("answers", [encode_answer(one, "desk") for one in given]),
            ("training", [msgspec.json.encode(ended)]),
            ("drift", [b"none of ours"]),
        ):
            broker.topics.produce(f"{prefix}.{name}", values)

    fill(0, 30)
    follow(path, 41)
    fill(30, 40)
    follow(path, 62)
    found = [
        tuple(e["record"]) for e in read_entries(tmp_path / "audit", "decided") if "record" in e
    ]
    assert len(found) == len(set(found)) == 62
    assert verify_log(tmp_path / "audit").faults == []
    argv = ["audit", "verify", str(tmp_path / "audit"), "--settings", str(path)]
    assert cli.main([*argv, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["compared"] == ["the topics"]
    assert told["answered"] == {"eva, through desk": 18}
    fill(40, 41)
    assert cli.main(argv) == 0
    assert "records ahead" in capsys.readouterr().out


def test_a_missing_topic_is_told(broker, prefix, tmp_path):
    settings = load_for_kafka(settings_file(tmp_path, broker, prefix))
    reader = TopicsReader(settings.kafka, TopicRecords(settings).topics)
    with closing(reader), pytest.raises(Unreachable, match=f"no topic {prefix}.answers"):
        reader.read_bounds()
