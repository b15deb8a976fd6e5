"""What is not a kill: logs cut or made anew, codecs, transactions, offsets that somebody moved."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from kafka.broker import Address, skip_unless_kafka
from kafka.topics import Topics
from kafka.workers import Fleet, Worker, make_events, names_of, settings_of
from kafka.world import World, wait_until
from marks import long_ones

EVENTS_N = 300
OVER_S = 60.0


class Stream:
    """One partition, one worker; everything that is asked is answered when a test says so."""

    def __init__(self, broker: Address, prefix: str, folder: Path, **sections: Any) -> None:
        skip_unless_kafka(broker, "records that survive a stop")
        self.settings = settings_of(
            prefix,
            broker.servers,
            folder,
            kafka={"desk_partitions": 1},
            label={"deadline_s": 3_600.0},
            **sections,
        )
        make_events(broker, self.settings, partitions=1)
        self.names, self.group = names_of(self.settings), self.settings["kafka"]["group"]
        self.topics: Topics = broker.topics
        self.fleet = Fleet(self.settings, folder)
        self.world, self.sent_n, self.answered = World(), 0, set[str]()

    def start(self) -> Worker:
        (worker,) = self.fleet.start("w0")
        return worker

    def send(self, n: int = EVENTS_N, codec: str | None = None) -> None:
        """So many more events; the last is of now."""
        now = time.time()
        values = [
            self.world.event(i, now - 0.01 * (self.sent_n + n - i))
            for i in range(self.sent_n, self.sent_n + n)
        ]
        self.sent_n += n
        self.topics.produce(self.names["events"], values, partition=0, codec=codec)

    def asked(self) -> list[dict[str, Any]]:
        found = [json.loads(v or b"{}") for v in self.topics.values(self.names["requests"])]
        return [one for one in found if one["type"] == "LabelRequested"]

    def answers_to(self, requests: list[dict[str, Any]]) -> list[bytes]:
        """A right answer to each."""
        return [
            json.dumps(
                {
                    "request_id": one["request_id"],
                    "label": self.world.label(one["event_id"]),
                    "annotator": "eva",
                    "at": one["at"],
                }
            ).encode()
            for one in requests
        ]

    def answer(self, codec: str | None = None) -> int:
        """Answer what was not answered yet; how many that was."""
        new = [one for one in self.asked() if one["request_id"] not in self.answered]
        values = self.answers_to(new)
        self.answered |= {one["request_id"] for one in new}
        self.topics.produce(self.names["answers"], values, partition=0, codec=codec)
        return len(values)

    def settled(self) -> list[str]:
        """The ids of requests with a label, each time that the training log says so."""
        found = [json.loads(v or b"{}") for v in self.topics.values(self.names["training"])]
        return [one["request_id"] for one in found if one["type"] == "LabelSettled"]

    def place(self, setting: str) -> int:
        return self.topics.committed(self.group).get((self.names[setting], 0), 0)

    def wait_committed(self, setting: str) -> None:
        (end,) = self.topics.end_offsets(self.names[setting]).values()
        wait_until(lambda: self.place(setting) >= end, f"{setting} are not read", OVER_S)

    def wait_settled(self, n: int) -> None:
        wait_until(lambda: len(set(self.settled())) >= n, f"there are not {n} labels", OVER_S)


@pytest.fixture
def stream(broker: Address, prefix: str, tmp_path: Path) -> Any:
    made = Stream(broker, prefix, tmp_path)
    with made.fleet:
        yield made


@pytest.mark.parametrize("codec", [*long_ones("gzip", "snappy", "lz4"), "zstd"])
def test_events_and_answers_are_read_in_every_codec(stream: Stream, codec: str) -> None:
    worker = stream.start().wait_ready()
    stream.send(codec=codec)
    stream.wait_committed("events")
    n = stream.answer(codec)
    assert n > 5
    stream.wait_settled(n)
    worker.check()


def test_events_deleted_before_they_were_read_are_told_and_counted(stream: Stream) -> None:
    worker = stream.start().wait_ready()
    stream.send()
    stream.wait_committed("events")
    assert worker.stop() == 0
    stream.send()
    stream.topics.delete_before(stream.names["events"], EVENTS_N + 100)
    worker.start().wait_ready()
    stream.wait_committed("events")
    lost = re.compile(r'^headrace_records_lost_total{.*log="events".*} 100.0$', re.MULTILINE)
    wait_until(lambda: lost.search(worker.metrics()), "the metrics count no loss", OVER_S)
    assert f"100 records from {EVENTS_N} on were deleted" in worker.text()
    assert "WARNING" in worker.tail()
    asked = [int(one["event_id"][1:]) for one in stream.asked()]
    assert not [i for i in asked if EVENTS_N <= i < EVENTS_N + 100]
    assert [i for i in asked if i >= EVENTS_N + 100]


@pytest.mark.parametrize("setting", ["events", *long_ones("desk", "training")])
def test_a_log_made_anew_ends_the_worker_with_a_sentence(stream: Stream, setting: str) -> None:
    worker = stream.start().wait_ready()
    stream.send()
    stream.wait_committed("events")
    stream.answer()
    # A worker that has not read the log yet can't know that it was another one.
    learned = re.compile(r'^headrace_model_updates_total{.*kind="learned".*} [1-9]', re.MULTILINE)
    wait_until(lambda: learned.search(worker.metrics()), "nothing is learned", OVER_S)
    assert worker.stop() == 0
    name = stream.names[setting]
    stream.topics.delete(name)
    wait_until(lambda: name not in stream.topics.names(), f"{name} is still there", OVER_S)
    stream.topics.create(name)
    worker.start()
    assert worker.wait() == 2
    lines = worker.tail().splitlines()
    said = [line for line in lines if "ERROR" in line and "aiokafka" not in line]
    assert len(said) == 1
    # A snapshot may be behind the end of the one or the other log: what is seen first is said.
    assert re.search(
        f"{re.escape(name)}(, partition 0, ends at 0| was deleted and made anew)", said[0]
    )
    assert "headrace reset" in said[0]
    assert "Traceback" not in worker.tail()
    assert "CRITICAL" not in worker.tail()


def made_anew(stream: Stream, setting: str, n: int) -> str:
    """Delete a topic, make it anew, and fill it with so many records; its name."""
    name = stream.names[setting]
    stream.topics.delete(name)
    wait_until(lambda: name not in stream.topics.names(), f"{name} is still there", OVER_S)
    stream.topics.create(name)
    stream.topics.produce(name, [b"{}"] * n, partition=0)
    return name


@pytest.mark.parametrize("setting", ["training", *long_ones("events", "journal", "desk")])
def test_a_log_made_anew_with_more_records_is_noticed_at_a_start(
    stream: Stream, setting: str
) -> None:
    worker = stream.start().wait_ready()
    stream.send()
    stream.wait_committed("events")
    stream.wait_settled(stream.answer())
    assert worker.stop() == 0
    name = made_anew(stream, setting, 3 * EVENTS_N)
    worker.start()
    assert worker.wait() == 2
    assert f"{name} was deleted and made anew since" in worker.tail()
    assert "headrace reset" in worker.tail()


@pytest.mark.long
def test_a_log_made_anew_with_more_records_is_noticed_while_a_worker_runs(stream: Stream) -> None:
    worker = stream.start().wait_ready()
    stream.send()
    stream.wait_committed("events")
    name = made_anew(stream, "desk", 3 * EVENTS_N)
    assert worker.wait() == 2
    assert name in worker.tail()
    assert "made anew" in worker.tail()


@pytest.mark.long
def test_restored_topics_are_taken_for_the_old_ones_when_an_operator_says_so(
    stream: Stream,
) -> None:
    worker = stream.start().wait_ready()
    stream.send()
    stream.wait_committed("events")
    n = stream.answer()
    stream.wait_settled(n)
    assert worker.stop() == 0
    name = stream.names["events"]
    values = stream.topics.values(name)
    stream.topics.delete(name)
    wait_until(lambda: name not in stream.topics.names(), f"{name} is still there", OVER_S)
    stream.topics.create(name)
    stream.topics.produce(name, values, partition=0)
    stream.settings["kafka"]["check_topic_ids"] = False
    (worker,) = stream.fleet.start("w1")
    worker.wait_ready()
    stream.send()
    stream.wait_settled(n + stream.answer())
    worker.check()


@pytest.mark.long
def test_answers_made_anew_are_read_from_their_beginning(stream: Stream) -> None:
    worker = stream.start().wait_ready()
    stream.send()
    stream.wait_committed("events")
    first_n = stream.answer()
    stream.wait_settled(first_n)
    stream.wait_committed("answers")
    stream.send()
    stream.wait_committed("events")
    assert worker.stop() == 0
    name = stream.names["answers"]
    stream.topics.delete(name)
    wait_until(lambda: name not in stream.topics.names(), f"{name} is still there", OVER_S)
    stream.topics.create(name)
    more_n = stream.answer()
    assert more_n > 0
    worker.start().wait_ready()
    stream.wait_settled(first_n + more_n)


@pytest.mark.long
def test_paid_labels_are_learned_though_somebody_moved_the_groups_offsets(stream: Stream) -> None:
    worker = stream.start().wait_ready()
    stream.send()
    stream.wait_committed("events")
    worker.kill()
    # Answers reach the desk's log, and nobody folds them: as a kill in between leaves it.
    n = stream.answer()
    worker.start().wait_ready()
    stream.wait_settled(n)
    worker.kill()
    (end,) = stream.topics.end_offsets(stream.names["desk"]).values()
    wait_until(lambda: _is_moved(stream, end), "the group is not empty", OVER_S)
    stream.send()
    worker.start().wait_ready()
    stream.wait_committed("events")
    more_n = stream.answer()
    stream.wait_settled(n + more_n)
    assert len(stream.settled()) == len(set(stream.settled())) == n + more_n


def _is_moved(stream: Stream, end: int) -> bool:
    try:
        stream.topics.commit(stream.group, stream.names["desk"], end + 1_000)
    except Exception:
        return False
    return True


def test_what_was_aborted_is_never_asked_about_and_its_marks_hold_up_no_deadline(
    broker: Address, prefix: str, tmp_path: Path
) -> None:
    stream = Stream(broker, prefix, tmp_path, worker={"quiet_tick_s": 1.0})
    stream.settings["label"]["deadline_s"] = 5.0
    with stream.fleet:
        worker = stream.start().wait_ready()
        stream.send(100)
        poison = [stream.world.event(i, time.time()) for i in range(10_000, 10_003)]
        stream.topics.abort(stream.names["events"], *poison)
        stream.wait_committed("events")
        asked = stream.asked()
        assert asked
        assert not [one for one in asked if int(one["event_id"][1:]) >= 10_000]

        def expired_n() -> int:
            values = stream.topics.values(stream.names["training"])
            return sum(b'"RequestExpired"' in (value or b"") for value in values)

        # Nobody answers and no event comes: only the clock of the day ends the requests.
        wait_until(lambda: expired_n() == len(asked), "deadlines do not pass", OVER_S)
        worker.check()
