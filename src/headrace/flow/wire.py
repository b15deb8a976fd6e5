"""Our messages as Kafka records and back: JSON as the value, what is only for us in headers.

A record that can't be read decodes to None, in every worker alike: logs that are folded must mean
the same to all, and one bad record must not stop them.
"""

from __future__ import annotations

import math
from typing import TypeVar

import msgspec

from ..learn.caps import CapClaimed
from ..learn.rules import RulesInUse
from ..learn.training_log import Logged, Origin
from ..messages import (
    Answer,
    DriftChanged,
    LabelDisputed,
    LabelRequested,
    LabelSettled,
    ModelAdopted,
    ModelKept,
    ModelRolledBack,
    Output,
    RequestExpired,
    RequestRescored,
    RequestWithdrawn,
    RetrainRequested,
    Tick,
    Withdrawal,
)
from ..query.orders import Order
from .desks import DeskInput
from .records import Record
from .steps import Step

NOW, ORIGIN = "headrace-now", "headrace-origin"

_ENCODER = msgspec.json.Encoder()
_ENTRIES = msgspec.json.Decoder(
    LabelSettled
    | LabelDisputed
    | RequestExpired
    | RequestWithdrawn
    | RetrainRequested
    | ModelAdopted
    | ModelKept
    | ModelRolledBack
    | CapClaimed
    | Order
    | RulesInUse
)
_DESK_INPUTS = msgspec.json.Decoder(
    LabelRequested | RequestRescored | Answer | Withdrawal | Tick | Order
)
_STEPS = msgspec.json.Decoder(Step)
_DRIFTS = msgspec.json.Decoder(DriftChanged)

T = TypeVar("T")


def value_of(message: Output | DeskInput | Step | CapClaimed | RulesInUse) -> bytes:
    """Encode a message as the value of a record."""
    return _ENCODER.encode(message)


def now_headers(now: float) -> list[tuple[str, bytes]]:
    """Encode the writer's clock, exact to the bit; no header before the clock has begun."""
    return [(NOW, float(now).hex().encode())] if math.isfinite(now) else []


def origin_headers(origin: Origin) -> list[tuple[str, bytes]]:
    """Encode the origin of an end."""
    return [(ORIGIN, b"%d %d %d %d %d" % (origin.desk, *origin.place, *origin.before))]


def entry_of(record: Record) -> tuple[Logged, Origin | None] | None:
    """Decode an entry of the training log, with its origin if it has one."""
    entry = _decode_value(_ENTRIES, record)
    header = _find_header(record, ORIGIN)
    if entry is None or header is None:
        return None if entry is None else (entry, None)
    try:
        desk, *numbers = map(int, header.split())
        offset, number, offset_before, number_before = numbers
    except ValueError:
        return None
    return entry, Origin(desk, (offset, number), (offset_before, number_before))


def desk_input_of(record: Record) -> tuple[DeskInput, float] | None:
    """Decode an entry of a desk's log, and when it was written; minus infinity for no time."""
    entry = _decode_value(_DESK_INPUTS, record)
    if entry is None:
        return None
    header = _find_header(record, NOW)
    try:
        now = float.fromhex(header.decode()) if header is not None else -math.inf
    except ValueError:
        return None
    return entry, now


def step_of(record: Record) -> Step | None:
    """Decode a step of a shard's journal."""
    return _decode_value(_STEPS, record)


def drift_of(value: bytes) -> DriftChanged | None:
    """Decode a change of the drift level."""
    try:
        return _DRIFTS.decode(value)
    except msgspec.DecodeError:
        return None


def _decode_value(decoder: msgspec.json.Decoder[T], record: Record) -> T | None:
    try:
        return decoder.decode(record.value or b"")
    except msgspec.DecodeError:
        return None


def _find_header(record: Record, name: str) -> bytes | None:
    return next((value for key, value in record.headers if key == name), None)
