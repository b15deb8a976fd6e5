"""Messages of a stream or queue as the events of a run: copied into its folder, each of them once.

A batch is appended to the copy, then a mark records how far the copy goes and what it holds, then
the batch is acknowledged. No message is fed before its mark is safe. So a killed process leaves one
of two things: a copy that is longer than its mark, whose end is cut off and delivered again, or a
batch that was not acknowledged, which is delivered again and recognized by the mark.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from ...errors import BadInput, BadSettings
from ..jsonl import name_file_in_errors, sync_folder, write_all
from .address import Address, BrokerAway

COPY, MARK = "queue.jsonl", "queue.json"
"""Files in the folder of a run: the messages, and how far they were copied."""

AWAY_S, AWAY_S_MAX = 0.5, 30.0

RETRIES = 2
"""How often a run that is to end, one without `follow`, tries a broker again that is away."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source read: the bodies of messages, and `mark`, its own text for its progress.

    `notes` are sentences for a person. `is_end`: there were no more messages just now.
    """

    bodies: tuple[bytes, ...] = ()
    mark: str = ""
    notes: tuple[str, ...] = ()
    is_end: bool = False


class CopySource(Protocol):
    """A stream or queue, read from a mark on."""

    def read(self, mark: str, timeout_s: float) -> Batch:
        """Return the messages since `mark`, which is that of the previous batch, "" at first.

        Waits at most `timeout_s` where there are none. Raises `BrokerAway`.
        """

    def acknowledge(self) -> None:
        """Confirm to the broker that everything read is safe. Raises `BrokerAway`."""

    def close(self) -> None: ...


class CopyMark(msgspec.Struct, frozen=True, kw_only=True):
    """How far the copy goes: `stop` in bytes, `mark` in the words of its source.

    `kind` and `name` are those of the broker's address.
    """

    kind: str
    name: str
    stop: int = 0
    mark: str = ""


def as_line(body: bytes) -> bytes:
    """Return a message as a line: line breaks become spaces, which mean the same in JSON.

    An empty message becomes `null`, which is rejected like any other message that is no event.

    >>> as_line(b'{"id": 1,\\r\\n "at": 2}\\n')
    b'{"id": 1,   "at": 2}\\n'
    """
    return (body.strip() or b"null").replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"


class QueueCopy:
    """Copies messages to a file in the folder of a run, which a `Tail` reads.

    - `source`, `address`: the stream or queue, and where it is.
    - `follow`: go on when there are no more messages; without it `has_ended` becomes true.
    - `note`: is called with sentences for a person, as about a broker that is away.
    - `clock`, `sleep`: the time in seconds, and how to wait.

    Raises `BadSettings` where the folder holds the copy of another stream or queue, `BadInput` for
    a copy that was cut or has lost its mark, and from `pump`, without `follow`, for a broker away.
    """

    def __init__(
        self,
        source: CopySource,
        address: Address,
        folder: Path,
        *,
        follow: bool,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.path = folder / COPY
        self.has_ended = False
        self._source = source
        self._address = address
        self._follow = follow
        self._note = note
        self._clock, self._sleep = clock, sleep
        self._away_s, self._retry_at, self._failed_n = 0.0, 0.0, 0
        self._mark_path = folder / MARK
        self._mark = self._open_copy()
        self._file = self.path.open("a+b", buffering=0)
        if os.fstat(self._file.fileno()).st_size > self._mark.stop:
            # The rest is of an unfinished batch: none of it was fed, all of it is delivered again.
            self._file.truncate(self._mark.stop)

    def _open_copy(self) -> CopyMark:
        size = self.path.stat().st_size if self.path.exists() else 0
        address = self._address
        if not self._mark_path.exists():
            if size:
                raise BadInput(
                    f"{self.path} has {size} bytes, and {self._mark_path}, which says what they "
                    "are, is gone; put it back, or start with another --state"
                )
            mark = CopyMark(kind=address.kind, name=address.name)
            self._save_mark(mark)
            return mark
        try:
            mark = msgspec.json.decode(self._mark_path.read_bytes(), type=CopyMark)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise BadInput(f"{self._mark_path} can't be read: {error}; put it back") from error
        if (mark.kind, mark.name) != (address.kind, address.name):
            raise BadSettings(
                f"--events is {address.name!r} of {address.kind}, and this run was begun with "
                f"{mark.name!r} of {mark.kind}; give that one, or another --state"
            )
        if size < mark.stop:
            raise BadInput(
                f"{self.path} has {size} bytes, and {mark.stop} were copied to it; put it back, or "
                "start with another --state"
            )
        return mark

    def pump(self, timeout_s: float) -> bool:
        """Wait at most `timeout_s` for messages, and copy them; return whether there were any."""
        if self.has_ended:
            return False
        if (wait_s := self._retry_at - self._clock()) > 0:
            self._sleep(min(wait_s, timeout_s))
            return False
        try:
            batch = self._source.read(self._mark.mark, timeout_s)
            self._copy_batch(batch)
            self._source.acknowledge()
        except BrokerAway as error:
            self._wait_for_broker(error)
            return False
        if self._away_s:
            self._note(f"{self._address} is back")
            self._away_s, self._failed_n = 0.0, 0
        self.has_ended = batch.is_end and not self._follow
        return bool(batch.bodies)

    def _copy_batch(self, batch: Batch) -> None:
        for sentence in batch.notes:
            self._note(sentence)
        content = b"".join(as_line(body) for body in batch.bodies)
        if content:
            write_all(self._file, content, self.path)
            self.sync()
        if content or batch.mark != self._mark.mark:
            stop = self._mark.stop + len(content)
            self._save_mark(msgspec.structs.replace(self._mark, stop=stop, mark=batch.mark))

    def _save_mark(self, mark: CopyMark) -> None:
        new = self._mark_path.with_name(f"{MARK}.new")
        with name_file_in_errors(new), new.open("wb") as file:
            file.write(msgspec.json.encode(mark) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._mark_path)
        sync_folder(self._mark_path.parent)
        self._mark = mark

    def _wait_for_broker(self, error: BrokerAway) -> None:
        self._failed_n += 1
        if not self._follow and self._failed_n > RETRIES:
            # Without `follow` somebody waits for the run to end, so it does not wait for long.
            raise BadInput(
                f"{self._address} is away: {error}; start again when it is back, and the run goes "
                "on from there"
            ) from error
        if not self._away_s:
            self._note(f"{self._address} is away: {error}; trying again until it is back")
        self._away_s = min(AWAY_S_MAX, 2 * self._away_s or AWAY_S)
        self._retry_at = self._clock() + self._away_s

    def sync(self) -> None:
        with name_file_in_errors(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
        self._source.close()
