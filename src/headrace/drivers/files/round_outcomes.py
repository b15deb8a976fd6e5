"""What became of orders: read off the decisions of a run as they grow."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec

from ...adapters.jsonl import Tail
from ...bridges.folder import LINE_BYTES_MAX
from ...messages import InputRejected, ModelRolledBack, Reason, RoundClosed, RoundOpened

KEPT_N = 10_000
READ_N = 5_000

_DECODER = msgspec.json.Decoder(RoundOpened | RoundClosed | ModelRolledBack | InputRejected)
_REFUSED = (Reason.NO_ROUND, Reason.NO_VERSION, Reason.BAD_ORDER)


class RoundOutcomes:
    """What became of orders, by their keys: a `state`, and what is known beside.

    `state` is "ordered" while a round is open, "asked" once it was decided, "refused" with `why`
    where there was nothing to decide, "rolled back" for the model. The latest 10,000 are kept.

    >>> RoundOutcomes(Path("no/such/decisions.jsonl")).find_round("k1") is None
    True
    """

    def __init__(self, decisions: Path) -> None:
        self._tail = Tail(decisions, length_max=LINE_BYTES_MAX)
        self._rounds: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._opened: dict[int, str] = {}

    def find_round(self, key: str) -> dict[str, Any] | None:
        """Return what is known of the order with this key; None if nothing came of it yet."""
        while lines := self._tail.peek(READ_N, is_final=False):
            for line in lines:
                # Few lines are about orders: only those are decoded.
                head = line[:40]
                if b'"Round' in head or b'"ModelRolled' in head or b'"InputRejected"' in head:
                    self._read_line(line)
            self._tail.advance(len(lines))
        return self._rounds.get(key)

    def close(self) -> None:
        self._tail.close()

    def _read_line(self, line: bytes) -> None:
        match _DECODER.decode(line):
            case RoundOpened(order_key=key, round_n=round_n) if key:
                self._opened[round_n] = key
                self._keep_round(key, {"state": "ordered", "round_n": round_n})
            case RoundClosed(round_n=round_n, asked_n=asked_n) if round_n in self._opened:
                key = self._opened.pop(round_n)
                self._keep_round(key, {"state": "asked", "round_n": round_n, "asked_n": asked_n})
            case ModelRolledBack(order_key=key) as back if key:
                self._keep_round(
                    key,
                    {"state": "rolled back", "to": back.to, "model_version": back.model_version},
                )
            case InputRejected(reason=reason, input_id=key) as no if key and reason in _REFUSED:
                self._keep_round(key, {"state": "refused", "asked_n": 0, "why": no.detail})

    def _keep_round(self, key: str, found: dict[str, Any]) -> None:
        self._rounds[key] = found
        self._rounds.move_to_end(key)
        while len(self._rounds) > KEPT_N:
            self._rounds.popitem(last=False)
