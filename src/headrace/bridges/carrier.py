"""Carries label requests from a log to a bridge, and replies from the bridge to the log of answers.

The order of the acts makes delivery at-least-once. Requests are remembered together with the place
in the log, marked as under way before they are sent, and as sent only when the tool has them.
Replies are remembered together with the tool's mark before they are written, and marked as handed
on only when the log has them. So an act that was cut short is done again, and the desk counts the
same answer once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from ..adapters.sealing import Sealer
from ..messages import Answer, ForAnnotators, RequestWithdrawn, Withdrawal
from .bridge import Bridge, Reply, Unreachable
from .erasing import FORGOTTEN, erase_requests
from .outbox import BridgeOutbox

PIECE_N = 100
"""How many requests are sent at once, and how many answers are written at once."""

WAIT_S, WAIT_S_MAX = 0.2, 30.0
FAULTS_SAID_MAX = 5


class End(Protocol):
    """Where requests come from and answers go: the files of a run, or topics.

    `place` is the end's own text for how far it was read, "" at first. Records that can't be read
    are skipped, and a sentence about each is appended to `faults`, which the carrier empties.
    `sealer` seals what the bridge remembers of requests and replies; None leaves it plain.
    """

    faults: list[str]

    @property
    def sealer(self) -> Sealer | None: ...

    def read(self, place: str, n: int) -> tuple[Sequence[ForAnnotators], str]:
        """Return the next records behind `place`, about n at most, and the place behind them."""

    def write(self, answers: Sequence[Answer | Withdrawal]) -> None:
        """Append answers; when this returns they survive a loss of power or a broker's death."""

    def close(self) -> None: ...


class BridgeCarrier:
    """Carries between one bridge and one end, with an outbox as the memory between them.

    - `note`: is called with sentences for a person.
    - `clock`: the time in seconds since the epoch.
    - `on_act`: is called before each act with its name; tests of crashes raise there.

    `replies_n` and `faults_n` count new replies, and faults, since this object was made.
    """

    def __init__(
        self,
        bridge: Bridge,
        end: End,
        outbox: BridgeOutbox,
        *,
        note: Callable[[str], None] = lambda sentence: None,
        clock: Callable[[], float] = time.time,
        on_act: Callable[[str], None] = lambda act: None,
    ) -> None:
        self.bridge = bridge
        self.end = end
        self.outbox = outbox
        self.replies_n = 0
        self.faults_n = 0
        self._note = note
        self._clock = clock
        self._act = on_act
        self._away_s = 0.0
        self._reorders = bool(getattr(bridge, "reorders", False))

    def step(self) -> bool:
        """Carry what there is, both ways; return whether there was anything.

        Raises `Unreachable` when the tool is away; by then everything that needs no tool is done.
        """
        # Answers go first, for they are paid for: a tool that is away must not delay them.
        moved = self._write_answers()
        moved |= self._read_requests()
        self._act("expire")
        self.outbox.expire_requests(self._clock())
        moved |= self._send_requests()
        moved |= self._receive_replies()
        return self._write_answers() or moved

    def run(self, stop: threading.Event, every_s: float) -> None:
        """Step until `stop` is set, `every_s` seconds apart while there is nothing to carry."""
        while not stop.is_set():
            try:
                moved = self.step()
            except Unreachable as error:
                self._wait_for_tool(stop, error)
                continue
            if self._away_s:
                self._note("the tool is back")
                self._away_s = 0.0
            if not moved:
                stop.wait(every_s)
        # People may have given answers since the last step.
        with suppress(Unreachable):
            self._receive_replies()
        self._write_answers()

    def _wait_for_tool(self, stop: threading.Event, error: Unreachable) -> None:
        if not self._away_s:
            self._note(f"the tool is away: {error}; trying again until it is back")
        self._away_s = min(WAIT_S_MAX, 2 * self._away_s or WAIT_S)
        wanted_s = self._away_s if error.after_s is None else error.after_s
        stop.wait(min(WAIT_S_MAX, wanted_s))

    def _read_requests(self) -> bool:
        self._act("read requests")
        place = self.outbox.find_mark("log")
        records, reached = self.end.read(place, PIECE_N)
        self._note_faults(self.end.faults)
        self.end.faults.clear()
        if reached == place:
            return False
        if erased := _list_erased(records):
            self._act("forget what is erased")
            if not self._forget_requests(erased):
                return False
        self._act("remember requests")
        self.outbox.take_in(records, reached, self._clock(), reorders=self._reorders)
        return True

    def _forget_requests(self, request_ids: set[str]) -> bool:
        """Erase requests from the memories of bridges here; return whether none was in use."""
        memory = self.outbox.path.parent
        _, busy = erase_requests(memory, request_ids, self.end.sealer)
        if busy:
            self._note(f"an erasure waits for {', '.join(busy)} in {memory}, which is in use")
        return not busy

    def _send_requests(self) -> bool:
        self._act("choose what to send")
        deliveries = self.outbox.to_send(PIECE_N)
        if not deliveries:
            return False
        self._act("send")
        try:
            self.bridge.send(deliveries)
        except BaseException:
            self.outbox.not_sent(deliveries)
            raise
        self._act("remember what was sent")
        self.outbox.note_sent(deliveries)
        return True

    def _receive_replies(self) -> bool:
        self._act("receive")
        mark = self.outbox.find_mark("tool")
        receipt = self.bridge.receive(mark)
        self._note_faults(receipt.faults)
        if not receipt.replies and receipt.mark == mark:
            return False
        self._act("remember replies")
        self.replies_n += self.outbox.take_replies(receipt)
        return bool(receipt.replies)

    def _note_faults(self, faults: Sequence[str]) -> None:
        for fault in faults[:FAULTS_SAID_MAX]:
            self._note(fault)
        if (more_n := len(faults) - FAULTS_SAID_MAX) > 0:
            self._note(f"and {more_n} more like these")
        self.faults_n += len(faults)

    def _write_answers(self) -> bool:
        self._act("choose what to write")
        waiting = self.outbox.to_hand_on(PIECE_N)
        if not waiting:
            return False
        self._act("write answers")
        self.end.write([_make_answer(reply) for _, reply in waiting])
        self._act("remember what was written")
        self.outbox.handed_on([reply_id for reply_id, _ in waiting])
        return True


def _list_erased(records: Sequence[ForAnnotators]) -> set[str]:
    """Return the ids of withdrawn requests that are to be forgotten altogether."""
    return {
        record.request_id
        for record in records
        if isinstance(record, RequestWithdrawn) and record.reason in FORGOTTEN
    }


def _make_answer(reply: Reply) -> Answer | Withdrawal:
    if reply.withdraw:
        return Withdrawal(request_id=reply.request_id, at=reply.at, reason=reply.withdraw)
    return Answer(
        request_id=reply.request_id, label=reply.label, at=reply.at, annotator=reply.annotator
    )
