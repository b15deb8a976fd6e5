"""A record as Kafka has it, and as a dead letter: what can't be read goes to rejects whole.

The value of a dead letter is the `InputRejected`. Beside it stand the key and the headers of the
record, where it was, and its value, so that it can be mended and sent again from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeAlias

from ..observe.answers import AnswersDecoder
from ..observe.decode import Decoder

Headers: TypeAlias = Sequence[tuple[str, bytes]]

TOPIC, PARTITION, OFFSET = "headrace-topic", "headrace-partition", "headrace-offset"
VALUE = "headrace-value"
OVERHEAD_BYTES = 4_096
"""More bytes than a record needs beside its key, value and headers, or a label adds to a request.

A request may have so many less than `kafka.request_bytes_max`; a record on our topics so many more.
"""
OWN_BYTES = 4_096
"""More bytes than a dead letter adds to what it quotes."""


class Record(Protocol):
    """The attributes of aiokafka's records that are read here."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


def headers_for(
    decoder: Decoder | AnswersDecoder, records: Iterable[Record]
) -> list[dict[str, bytes]]:
    """Return the headers of each record, if the decoder reads any; else an empty list."""
    if not decoder.has_headers:
        return []
    return [{key: value or b"" for key, value in record.headers} for record in records]


def place_headers(offset: int, topic: str, partition: int) -> list[tuple[str, bytes]]:
    """Return headers that say where a record is, and nothing of what it holds."""
    return [
        (TOPIC, topic.encode()),
        (PARTITION, b"%d" % partition),
        (OFFSET, b"%d" % offset),
    ]


def letter_headers(
    record: Record, topic: str, partition: int, bytes_max: int
) -> list[tuple[str, bytes]]:
    """Return the headers of a record's dead letter: the record's own, its place, its value.

    Own headers or a value that don't fit into `bytes_max` are left out: the place says where they
    are.
    """
    place = place_headers(record.offset, topic, partition)
    room_bytes = bytes_max - OWN_BYTES - len(record.key or b"")
    own = [(name, value or b"") for name, value in record.headers]
    own_bytes = sum(len(name.encode()) + len(value) + 16 for name, value in own)
    if own_bytes > room_bytes:
        own, own_bytes = [], 0
    has_room = record.value is not None and own_bytes + len(record.value) <= room_bytes
    value = [(VALUE, record.value)] if record.value is not None and has_room else []
    return [*own, *place, *value]
