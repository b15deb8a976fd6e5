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
OWN_BYTES = 4_096
"""More than what a dead letter holds of its own."""


class Record(Protocol):
    """What aiokafka gives of a record, as far as it is read here."""

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
    """What a decoder wants of the headers of records; nothing for most."""
    if not decoder.has_headers:
        return []
    return [{key: value or b"" for key, value in record.headers} for record in records]


def place_headers(record: Record, topic: str, partition: int) -> list[tuple[str, bytes]]:
    """Where a record is, and nothing of what it holds."""
    return [
        (TOPIC, topic.encode()),
        (PARTITION, b"%d" % partition),
        (OFFSET, b"%d" % record.offset),
    ]


def letter_headers(
    record: Record, topic: str, partition: int, bytes_max: int
) -> list[tuple[str, bytes]]:
    """The headers of the dead letter of a record: its own, its place, its value.

    What does not fit into `bytes_max` is left out, the value first: its place says where it is.
    """
    place = place_headers(record, topic, partition)
    left = bytes_max - OWN_BYTES - len(record.key or b"")
    own = [(name, value or b"") for name, value in record.headers]
    own_bytes = sum(len(name.encode()) + len(value) + 16 for name, value in own)
    if own_bytes > left:
        own, own_bytes = [], 0
    has_room = record.value is not None and own_bytes + len(record.value) <= left
    value = [(VALUE, record.value)] if record.value is not None and has_room else []
    return [*own, *place, *value]
