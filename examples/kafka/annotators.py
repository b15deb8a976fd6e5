"""Simulated annotators: read the label requests of a worker and answer them as people would.

    python examples/kafka/annotators.py --settings headrace.toml --delay 20

Five people; three are asked each time. They answer late, some after the deadline; some answers are
wrong, some come twice, some never. The truth they know is that of pictures.py, so the events must
be producer.py's. A real annotation tool would read and write the same two topics.

Nothing is kept: after a restart the requests are read again from the start, those that are still
open are answered again, and word for word the same, which changes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import signal
import sys
import time
from pathlib import Path

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from pictures import Pictures, number_of

from headrace import Answer, BadInput, BadSettings, Chance, LabelRequested
from headrace.drivers.kafka.client import check_brokers, make_consumer, make_producer
from headrace.settings import Settings, load_for_kafka
from headrace.testing.oracles import Crowd

TWICE = 0.1
"""The share of answers that somebody sends a second time."""

TOO_LATE = 0.02
"""The share that comes after the deadline of its request."""

PIECE_MS = 200
TOPIC_S_MAX = 60.0
STOP_S_MAX = 10.0


class People:
    """The annotators: `hear` a request, then take the answers that are `due`."""

    def __init__(self, pictures: Pictures, seed: int, delay_s: float) -> None:
        self._pictures = pictures
        self._crowd = Crowd(
            annotators_n=5, answers_n=3, delay_s=delay_s, wrong=0.08, silent=0.05, seed=seed
        )
        self._chance = Chance(seed)
        self._classes = pictures.classes
        self._waiting: list[tuple[float, int, Answer]] = []
        self._heard_n = 0

    def hear(self, value: bytes, now: float) -> None:
        """Take a record of the topic of requests; what is no open request of ours is passed by."""
        try:
            request = msgspec.json.decode(value, type=LabelRequested)
        except msgspec.MsgspecError:
            return  # A withdrawal, or none of ours.
        n = number_of(request.event_id)
        if n is None or request.deadline <= now:
            return
        for answer in self._crowd.answers(request, self._pictures.label(n), self._classes):
            luck = f"{answer.request_id}/{answer.annotator}"
            is_late = self._chance.uniform("too late", luck) < TOO_LATE
            at = request.deadline + 1.0 if is_late else answer.at
            given = msgspec.structs.replace(answer, at=at)
            self._keep(at, given)
            if self._chance.uniform("twice", luck) < TWICE:
                self._keep(at + 1.0, given)

    def _keep(self, at: float, answer: Answer) -> None:
        self._heard_n += 1
        heapq.heappush(self._waiting, (at, self._heard_n, answer))

    def due(self, now: float) -> list[Answer]:
        """The answers whose time has come, each given once."""
        answers = []
        while self._waiting and self._waiting[0][0] <= now:
            answers.append(heapq.heappop(self._waiting)[2])
        return answers


async def answer_all(settings: Settings, people: People, stop: asyncio.Event) -> int:
    """Read and answer until stopped; how many answers were written."""
    kafka, given_n = settings.kafka, 0
    # Without a place of its own it begins with the oldest request that is there.
    reader, writer = make_consumer(kafka, auto_offset_reset="earliest"), make_producer(kafka)
    await writer.start()
    try:
        await reader.start()
        partitions = await _partitions(writer, kafka.requests, stop)
        reader.assign([TopicPartition(kafka.requests, number) for number in partitions])
        while not stop.is_set():
            for records in (await reader.getmany(timeout_ms=PIECE_MS)).values():
                for record in records:
                    people.hear(record.value or b"", time.time())
            for answer in people.due(time.time()):
                await writer.send(kafka.answers, msgspec.json.encode(answer))
                given_n += 1
    finally:
        await reader.stop()
        await asyncio.wait({asyncio.ensure_future(writer.stop())}, timeout=STOP_S_MAX)
    return given_n


async def _partitions(writer: object, topic: str, stop: asyncio.Event) -> list[int]:
    """The partitions of a topic, once it is there: a worker makes it when it starts."""
    until = time.monotonic() + TOPIC_S_MAX
    while not stop.is_set():
        try:
            return sorted(await writer.partitions_for(topic))  # type: ignore[attr-defined]  # untyped
        except KafkaError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(1.0)
    return []


async def run(options: argparse.Namespace) -> None:
    settings = load_for_kafka(options.settings)
    await check_brokers(settings.kafka)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    # A shift of the columns changes what is seen, not what is true.
    people = People(Pictures(settings.seed, drift_every_n=1), settings.seed, options.delay)
    print(f"answering {settings.kafka.requests}", flush=True)
    given_n = await answer_all(settings, people, stop)
    print(f"{given_n} answers given", flush=True)


def main() -> int:
    """The command line; 0: stopped, 2: the settings are wrong or no broker answers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--settings", type=Path, required=True, help="those of the worker, TOML")
    parser.add_argument(
        "--delay",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="half of the answers take longer (default %(default)g)",
    )
    options = parser.parse_args()
    try:
        asyncio.run(run(options))
    except (BadSettings, BadInput, KafkaError, OSError) as error:
        print(f"annotators: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
