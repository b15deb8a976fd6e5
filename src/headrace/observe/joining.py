"""Joins a request and its response, logged as two records with one id, to one record.

`Halves` are the records that wait, part of a shard's state; `Join` matches them. How long a half
waits is counted in records, not in time, so that no record with a wrong clock can end all waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from ..messages import InputRejected, Reason
from ..settings.join import JoinSettings
from .batches import Record
from .payloads import find_value
from .values import Refusal, format_value, text_of

BYTES_MAX = 64 << 20
"""Size limit of all waiting records; beyond it the oldest are given up."""

_JSON = msgspec.json.Decoder()
_OTHER = {"request": "response", "response": "request"}


class Half(msgspec.Struct, frozen=True, kw_only=True):
    """A record that waits for its other half; it is record number `number` of the log.

    `role` is "request" or "response", `content` the record as JSON, and `given_up` the rejection
    that is returned if the other half does not come.
    """

    number: int
    role: str
    content: bytes
    given_up: InputRejected


@dataclass(slots=True)
class Halves:
    """The records of one log that wait to be joined, by id, the oldest first."""

    seen_n: int = 0
    bytes_n: int = 0
    waiting: dict[str, Half] = field(default_factory=dict)

    def copy(self) -> Halves:
        """Return a copy, to look ahead with."""
        return Halves(self.seen_n, self.bytes_n, dict(self.waiting))

    def pop_half(self, name: str) -> Half:
        """Remove and return the half with this id."""
        half = self.waiting.pop(name)
        self.bytes_n -= len(half.content)
        return half

    def add(self, name: str, half: Half) -> None:
        """Add a half that waits, by its id."""
        self.waiting[name] = half
        self.bytes_n += len(half.content)


class Join:
    """Joins requests and responses as the settings [input.join] say.

    >>> join, halves = Join(JoinSettings(id="id")), Halves()
    >>> nobody = InputRejected(reason="", detail="", at=0.0)
    >>> join.join_records([{"id": 7, "type": "a.response"}], halves, nobody)
    []
    >>> join.join_records([{"id": 7, "type": "request"}], halves, nobody)
    [{'request': {'id': 7, 'type': 'request'}, 'response': {'id': 7, 'type': 'a.response'}}]
    """

    def __init__(self, settings: JoinSettings) -> None:
        self._settings = settings
        self._roles = {settings.request: "request", settings.response: "response"}

    def join_records(
        self, records: Sequence[Record | Refusal], halves: Halves, place: InputRejected
    ) -> list[Record | Refusal | InputRejected]:
        """Add these records; return those joined, those refused, and halves given up, in order.

        `halves` are changed. `place` is a rejection that says where the records came from.
        """
        outcomes: list[Record | Refusal | InputRejected] = []
        for record in records:
            if isinstance(record, Refusal):
                outcomes.append(record)
                continue
            try:
                whole = self._join_record(record, halves, place)
            except Refusal as refusal:
                outcomes.append(refusal)
                continue
            outcomes += [] if whole is None else [whole]
            outcomes += self._give_up_late(halves)
        return outcomes

    def _join_record(self, record: Record, halves: Halves, place: InputRejected) -> Record | None:
        """Return the record joined with its waiting half; None if the record itself now waits."""
        role, name = self._find_role(record), text_of(find_value(record, self._settings.id))
        if not name:
            raise Refusal(Reason.NO_ID, f"there is nothing at {self._settings.id} (input.join.id)")
        halves.seen_n += 1
        half = halves.waiting.get(name)
        if half is None:
            detail = (
                f"no {_OTHER[role]} with this id came among the next {self._settings.wait_n} "
                "records; input.join.wait_n says how long one waits"
            )
            given_up = msgspec.structs.replace(
                place, reason=str(Reason.NOT_JOINED), detail=detail, input_id=name[:500]
            )
            content = msgspec.json.encode(record)
            half = Half(number=halves.seen_n, role=role, content=content, given_up=given_up)
            halves.add(name, half)
            return None
        if half.role == role:
            raise Refusal(
                Reason.DUPLICATE_ID, f"a {role} with this id waits already: {format_value(name)}"
            )
        other = _JSON.decode(halves.pop_half(name).content)
        both = {role: record, _OTHER[role]: other}
        return {name: both[name] for name in _OTHER}

    def _find_role(self, record: Record) -> str:
        """Return "request" or "response", which the record is. Raises `Refusal` if neither."""
        path = self._settings.type
        text = text_of(find_value(record, path)) or ""
        role = self._roles.get(text) or self._roles.get(text.rpartition(".")[2])
        if role is None:
            wanted = " nor ".join(map(repr, self._roles))
            fault = f"{path} is {format_value(text)}; neither {wanted}, as input.join has them"
            raise Refusal(Reason.LEFT_OUT, fault)
        return role

    def _give_up_late(self, halves: Halves) -> list[InputRejected]:
        """Remove halves that waited too long or have no room; return their rejections."""
        rejections = []
        while halves.waiting:
            name = next(iter(halves.waiting))
            is_late = halves.waiting[name].number + self._settings.wait_n <= halves.seen_n
            if not is_late and halves.bytes_n <= BYTES_MAX:
                break
            rejected = halves.pop_half(name).given_up
            if not is_late:
                detail = f"there is no room: more than {BYTES_MAX >> 20} MiB of records wait"
                rejected = msgspec.structs.replace(rejected, detail=detail)
            rejections.append(rejected)
        return rejections
