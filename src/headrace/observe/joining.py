"""A request and its response, logged as two records with one id, made one record.

`Halves` is what waits, and part of a shard's state; `Join` says what belongs together. How long a
half waits is counted in records, not in time: no clock of a single record can end the wait of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from ..messages import InputRejected, Reason
from ..settings.join import JoinSettings
from .batches import Record
from .payloads import find
from .values import Refusal, shown, text_of

BYTES_MAX = 64 << 20
"""Of all that waits; then the oldest are given up."""

_JSON = msgspec.json.Decoder()
_OTHER = {"request": "response", "response": "request"}


class Half(msgspec.Struct, frozen=True, kw_only=True):
    """A record that waits for its other half; `number` counts the records of the log up to it.

    `given_up` is what is said of it where the other half does not come.
    """

    number: int
    role: str
    content: bytes
    given_up: InputRejected


@dataclass(slots=True)
class Halves:
    """The records of one log that wait, by their id, the oldest first."""

    seen_n: int = 0
    bytes_n: int = 0
    waiting: dict[str, Half] = field(default_factory=dict)

    def copy(self) -> Halves:
        """The same, to look ahead with."""
        return Halves(self.seen_n, self.bytes_n, dict(self.waiting))

    def take(self, name: str) -> Half:
        """The half of this id, which waits no longer."""
        half = self.waiting.pop(name)
        self.bytes_n -= len(half.content)
        return half

    def add(self, name: str, half: Half) -> None:
        """Let a half wait."""
        self.waiting[name] = half
        self.bytes_n += len(half.content)


class Join:
    """Joins records as [input.join] says.

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
        """The whole records that these lead to, what can't be joined, and what waited too long.

        `place` says where the records came from, as their rejection would.
        """
        found: list[Record | Refusal | InputRejected] = []
        for record in records:
            if isinstance(record, Refusal):
                found.append(record)
                continue
            try:
                whole = self._join_record(record, halves, place)
            except Refusal as refusal:
                found.append(refusal)
                continue
            found += [] if whole is None else [whole]
            found += self._give_up_late(halves)
        return found

    def _join_record(self, record: Record, halves: Halves, place: InputRejected) -> Record | None:
        """The whole of a record and the half that waited for it; None if now this one waits."""
        role, name = self._find_role(record), text_of(find(record, self._settings.id))
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
                Reason.DUPLICATE_ID, f"a {role} with this id waits already: {shown(name)}"
            )
        other = _JSON.decode(halves.take(name).content)
        both = {role: record, _OTHER[role]: other}
        return {name: both[name] for name in _OTHER}

    def _find_role(self, record: Record) -> str:
        """Whether a record is a request or a response."""
        path = self._settings.type
        text = text_of(find(record, path)) or ""
        role = self._roles.get(text) or self._roles.get(text.rpartition(".")[2])
        if role is None:
            wanted = " nor ".join(map(repr, self._roles))
            fault = f"{path} is {shown(text)}; neither {wanted}, as input.join has them"
            raise Refusal(Reason.LEFT_OUT, fault)
        return role

    def _give_up_late(self, halves: Halves) -> list[InputRejected]:
        """What has waited too long, or longest where there is no room."""
        found = []
        while halves.waiting:
            name = next(iter(halves.waiting))
            is_late = halves.waiting[name].number + self._settings.wait_n <= halves.seen_n
            if not is_late and halves.bytes_n <= BYTES_MAX:
                break
            rejected = halves.take(name).given_up
            if not is_late:
                detail = f"there is no room: more than {BYTES_MAX >> 20} MiB of records wait"
                rejected = msgspec.structs.replace(rejected, detail=detail)
            found.append(rejected)
        return found
