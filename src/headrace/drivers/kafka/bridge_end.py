"""The end of a bridge on Kafka: the topic of requests, and the topic of answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from ...adapters.sealing import Sealer
from ...bridges.bridge import Unreachable
from ...bridges.folder import encode_answer
from ...errors import NotSealed
from ...flow.sealed import ANSWERS_TOPIC, REQUESTS_TOPIC, key_of
from ...messages import Answer, ForAnnotators, Withdrawal
from ...settings.kafka import KafkaSettings
from .client import make_consumer, make_producer
from .connection import Connection
from .reading import partition_of, start_client

READ_S = 0.2
"""How long a read waits for requests where there are none."""

WRITE_S_MAX = 10.0
"""How long brokers may take to accept answers; then it is tried again, with a new connection."""

_RECORDS = msgspec.json.Decoder(ForAnnotators)


class KafkaEnd(Connection):
    """Reads all partitions of the requests without a group, and writes answers keyed by request.

    A place is the offsets of all partitions, in JSON. An offset before the first record, or beyond
    the end, is not believed: that partition is read from its beginning, and `faults` says so.
    `places` are the offsets reached. With a `sealer` both topics are sealed; `via` is written into
    answers. Raises `Unreachable` while the brokers are away.
    """

    def __init__(
        self, settings: KafkaSettings, sealer: Sealer | None = None, *, via: str = ""
    ) -> None:
        super().__init__(settings)
        self.sealer = sealer
        self._via = via
        self._consumer: Any = None
        self._producer: Any = None
        self.places: dict[int, int] = {}
        self.faults: list[str] = []

    def read(self, place: str, n: int) -> tuple[Sequence[ForAnnotators], str]:
        return self._run_coroutine(self._read_requests(place, n))

    def write(self, answers: Sequence[Answer | Withdrawal]) -> None:
        self._run_coroutine(self._write_answers(answers))

    async def _start_clients(self, stack: AsyncExitStack) -> None:
        # Without a group it reads all partitions, also later ones; `_seek_places` sets offsets.
        reader = make_consumer(self._settings, auto_offset_reset="earliest")
        self._consumer = await start_client(stack, reader)
        self._consumer.subscribe([self._settings.requests])
        self._producer = await start_client(stack, make_producer(self._settings))
        self.places = {}

    async def _read_requests(self, place: str, n: int) -> tuple[Sequence[ForAnnotators], str]:
        places = {int(part): offset for part, offset in msgspec.json.decode(place or "{}").items()}
        if (
            not self.places
            or places != self.places
            or self.places.keys() != self._list_partitions()
        ):
            await self._seek_places(places)
        records: list[ForAnnotators] = []
        by_partition = await self._consumer.getmany(timeout_ms=int(READ_S * 1000), max_records=n)
        for tp, held in by_partition.items():
            for record in held:
                self.places[tp.partition] = record.offset + 1
                try:
                    records.append(_RECORDS.decode(self._text_of(record)))
                except (NotSealed, msgspec.MsgspecError) as error:
                    self.faults.append(
                        f"{tp.topic}, partition {tp.partition}, offset {record.offset} is no "
                        f"request: {error}"
                    )
        return records, msgspec.json.encode(self.places).decode()

    def _text_of(self, record: Any) -> bytes:
        value: bytes = record.value or b""
        if self.sealer is None:
            return value
        return self.sealer.unseal(value, REQUESTS_TOPIC, key_of(record))

    def _encode_answer(self, answer: Answer | Withdrawal) -> bytes:
        value = encode_answer(answer, self._via)
        if self.sealer is None:
            return value
        return self.sealer.seal(value, ANSWERS_TOPIC, answer.request_id)

    async def _seek_places(self, places: dict[int, int]) -> None:
        topic = self._settings.requests
        numbers = self._list_partitions()
        if not numbers:
            raise Unreachable(f"Kafka has no topic {topic}; headrace topics --create makes it")
        tps = [partition_of(topic, number) for number in sorted(numbers)]
        firsts = await self._consumer.beginning_offsets(tps)
        ends = await self._consumer.end_offsets(tps)
        for tp in tps:
            wanted = places.get(tp.partition, firsts[tp])
            if not firsts[tp] <= wanted <= ends[tp]:
                self.faults.append(
                    f"{topic}, partition {tp.partition} holds offsets {firsts[tp]} to {ends[tp]}, "
                    f"and {wanted} was to be read next: it was cut or made anew, and is read from "
                    "its beginning"
                )
                wanted = firsts[tp]
            self._consumer.seek(tp, wanted)
            self.places[tp.partition] = wanted

    def _list_partitions(self) -> set[int]:
        """Return the partitions of the requests that the consumer knows; it looks now and then."""
        return {tp.partition for tp in self._consumer.assignment()}

    async def _write_answers(self, answers: Sequence[Answer | Withdrawal]) -> None:
        topic = self._settings.answers
        async with asyncio.timeout(WRITE_S_MAX):
            waiting = [
                await self._producer.send(
                    topic, self._encode_answer(answer), key=answer.request_id.encode()
                )
                for answer in answers
            ]
        # A send that is cancelled would cancel the producer's stop as well.
        done, late = await asyncio.wait(waiting, timeout=WRITE_S_MAX)
        for answer in done:
            answer.result()
        if late:
            raise TimeoutError(f"{len(late)} answers were not taken within {WRITE_S_MAX:g} s")
