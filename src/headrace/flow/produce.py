"""Records that are to be written, grouped by what they follow from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class ProducerRecord(NamedTuple):
    """One record to be sent; without a partition its key chooses one."""

    topic: str
    value: bytes
    key: bytes | None = None
    partition: int | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class FencedError(Exception):
    """Somebody else wrote to the journal of a partition that this worker took for its own."""


@dataclass(slots=True)
class ProduceBatch:
    """The records that follow from one step, or from some entries of a desk's log.

    `offset` is the one that the journal's record must get. `arrived` is called when all arrived.
    """

    arrived: Callable[[], None]
    journal: ProducerRecord | None = None
    offset: int = -1
    to_desks: list[ProducerRecord] = field(default_factory=list)
    to_others: list[ProducerRecord] = field(default_factory=list)
