"""A world around real workers: events that drift, and people who answer badly. All of it is known.

What an event holds and what is true of it follow from its number, so nothing has to be remembered
to answer a request or to judge a label. `Traffic` sends the events and answers the requests from a
thread of its own, and keeps what the broker acknowledged. Nothing here knows Headrace's code.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

CLASSES = ("high", "low")
WRONG_CLASS = {"high": "low", "low": "high"}
# Longer than any outage here: what is to be sent waits.
SEND_MS_MAX = 300_000
PIECE_S = 0.05
WAIT_S_MAX = 120.0


@dataclass(frozen=True)
class World:
    """Events of three numbers; whether two of them add up to much is the class.

    Every `drift_every_n` events high becomes low and low high, and the numbers small or large.
    """

    seed: int = 1
    drift_every_n: int = 10_000

    def event(self, i: int, at: float) -> bytes:
        x, y, z = self._numbers(i)
        features = {"x": x, "y": y, "z": z}
        return json.dumps({"id": f"e{i}", "at": at, "features": features}).encode()

    def label(self, event_id: str) -> str:
        i = int(event_id.removeprefix("e"))
        x, y, _ = self._numbers(i)
        return "high" if (x + y > 1.0) != self._is_turned(i) else "low"

    def _is_turned(self, i: int) -> bool:
        return i // self.drift_every_n % 2 == 1

    def _numbers(self, i: int) -> tuple[float, float, float]:
        luck = random.Random(self.seed << 40 | i)
        x, y, z = luck.random(), luck.random(), luck.random()
        return (x * x, y * y, z * z) if self._is_turned(i) else (x, y, z)


@dataclass(frozen=True)
class People:
    """How annotators answer: `delay_s` at most, and how often each bad habit shows, 0 to 1."""

    delay_s: float = 0.5
    silent: float = 0.0
    late: float = 0.0
    wrong: float = 0.0
    repeated: float = 0.0
    corrected: float = 0.0
    unknown: float = 0.0
    malformed: float = 0.0


HONEST = People()
HUMAN = People(
    delay_s=1.5,
    silent=0.1,
    late=0.05,
    wrong=0.05,
    repeated=0.1,
    corrected=0.05,
    unknown=0.02,
    malformed=0.02,
)
MALFORMED = (
    b"\x00\xff not JSON",
    b'{"label": "high"}',
    b'{"request_id": 3}',
    b'["an", "array"]',
    b'{"request_id": "r", "label": ["high", "low"], "annotator": "eva"}',
    b'{"request_id": "r", "label": "high", "at": "yesterday"}',
    b'{"request_id": "' + b"r" * 600 + b'", "label": "high"}',
)


@dataclass(frozen=True)
class Given:
    """An answer that the broker acknowledged; `kind` is the habit behind it."""

    kind: str
    request_id: str
    label: str
    value: bytes


@dataclass
class Traffic:
    """Sends events and answers while the `with` block runs.

    `client` are aiokafka's arguments, `topics` the names by setting ("events", "requests",
    "answers"). `rate` may be changed at any time; 0 is silence. Without `people` nobody answers.
    """

    client: Mapping[str, Any]
    topics: Mapping[str, str]
    world: World = field(default_factory=World)
    people: People | None = HONEST
    rate: float = 500.0
    seed: int = 0
    first: int = 0

    def __post_init__(self) -> None:
        self.sent: dict[str, int] = {}
        self.given: list[Given] = []
        self.heard: dict[str, str] = {}
        self.next_i = self.first
        self._luck = random.Random(self.seed)
        self._due: list[tuple[float, int, Given]] = []
        self._tie = itertools.count()
        self._open_n = 0
        self._end = threading.Event()
        self._faults: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(WAIT_S_MAX)
        assert not self._thread.is_alive(), "the traffic does not end"

    @property
    def waiting_n(self) -> int:
        """Answers that somebody will still give, or that the broker has not acknowledged."""
        return len(self._due) + self._open_n

    def check(self) -> None:
        """Raise what went wrong in the thread."""
        for fault in self._faults:
            raise fault

    # ------------------------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as fault:
            self._faults.append(fault)

    async def _live(self) -> None:
        options = {"request_timeout_ms": SEND_MS_MAX, "linger_ms": 2, "acks": "all"}
        self._producer = AIOKafkaProducer(**self.client, **options)
        await self._producer.start()
        tasks = [asyncio.create_task(self._events())]
        if self.people is not None:
            tasks += [asyncio.create_task(part()) for part in (self._listen, self._answer)]
        try:
            while not self._end.is_set():
                await asyncio.sleep(PIECE_S)
                for task in tasks:
                    if task.done():
                        task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._producer.stop()

    async def _events(self) -> None:
        partitions = sorted(await self._producer.partitions_for(self.topics["events"]))
        owed, last = 0.0, time.monotonic()
        while True:
            await asyncio.sleep(PIECE_S)
            now = time.monotonic()
            # After an outage it goes on as before: what did not happen is not made up for.
            owed, last = min(owed + self.rate * (now - last), self.rate), now
            futures = []
            while owed >= 1.0:
                owed, i = owed - 1.0, self.next_i
                self.next_i += 1
                partition = partitions[i % len(partitions)]
                value = self.world.event(i, time.time())
                future = await self._producer.send(
                    self.topics["events"], value, partition=partition
                )
                futures.append((f"e{i}", partition, future))
            for event_id, partition, future in futures:
                await future
                self.sent[event_id] = partition

    async def _listen(self) -> None:
        """Hear every request, each once; the topic may come into being later."""
        topic = self.topics["requests"]
        consumer = AIOKafkaConsumer(**self.client, group_id=None, auto_offset_reset="earliest")
        await consumer.start()
        try:
            partitions = await self._producer.partitions_for(topic)
            consumer.assign([TopicPartition(topic, number) for number in sorted(partitions)])
            while True:
                with suppress(KafkaError):
                    for records in (await consumer.getmany(timeout_ms=100)).values():
                        for record in records:
                            self._hear(json.loads(record.value))
        finally:
            await consumer.stop()

    def _hear(self, request: dict[str, Any]) -> None:
        if request["type"] != "LabelRequested" or request["request_id"] in self.heard:
            return
        self.heard[request["request_id"]] = request["event_id"]
        for delay_s, given in answers_to(request, self.world, self._people, self._luck):
            heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._tie), given))

    @property
    def _people(self) -> People:
        assert self.people is not None
        return self.people

    async def _answer(self) -> None:
        """Give the answers that are due, with any key, to any partition."""
        partitions = sorted(await self._producer.partitions_for(self.topics["answers"]))
        while True:
            await asyncio.sleep(PIECE_S)
            now, futures = time.monotonic(), []
            while self._due and self._due[0][0] <= now:
                self._open_n += 1
                given = heapq.heappop(self._due)[2]
                key = self._luck.choice([None, b"k", given.request_id.encode(), b"\xff\x00"])
                future = await self._producer.send(
                    self.topics["answers"],
                    given.value,
                    key=key,
                    partition=self._luck.choice(partitions),
                )
                futures.append((given, future))
            for given, future in futures:
                await future
                self.given.append(given)
                self._open_n -= 1


def answers_to(
    request: Mapping[str, Any], world: World, people: People, luck: random.Random
) -> list[tuple[float, Given]]:
    """What people say to a request, and after how many seconds each."""
    request_id, event_id = request["request_id"], request["event_id"]
    truth = world.label(event_id)
    said: list[tuple[float, Given]] = []

    def say(kind: str, delay_s: float, label: str, **more: Any) -> None:
        answer = {"request_id": request_id, "label": label, "annotator": "eva", **more}
        value = json.dumps(answer).encode()
        said.append((delay_s, Given(kind, answer["request_id"], label, value)))

    delay_s = luck.random() * people.delay_s
    left_s = max(0.0, request["deadline"] - time.time())
    if luck.random() < people.unknown:
        say("unknown", delay_s, truth, request_id=f"nobody-{request_id}")
    if luck.random() < people.malformed:
        value = luck.choice(MALFORMED)
        said.append((delay_s, Given("malformed", "", "", value)))
    if luck.random() < people.silent:
        return said
    if luck.random() < people.late:
        say("late", left_s + 1.0 + delay_s, truth, at=time.time())
        return said
    label = WRONG_CLASS[truth] if luck.random() < people.wrong else truth
    say("valid", delay_s, label, at=time.time())
    if luck.random() < people.repeated:
        # The same again, perhaps before the first: the broker decides.
        said.append((luck.random() * people.delay_s, said[-1][1]))
    if luck.random() < people.corrected:
        again_s = delay_s + luck.random() * people.delay_s
        say("valid", again_s, WRONG_CLASS[label], at=time.time() + 1.0)
    return said


def wait_until(
    is_so: Callable[[], object], what: str, within_s: float = WAIT_S_MAX, every_s: float = 0.1
) -> None:
    """Wait for a condition; fails with `what` when it takes too long."""
    until = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < until, f"after {within_s:.0f} s: {what}"
        time.sleep(every_s)
