"""Repeats requests that are in a record but that a recomputation did not make.

A shard that recomputes its decisions from a journal makes by itself each request that it decides on
and that the record has too (`query.record`). The others are made here: about events that the shard
still remembers, with the rounds and the numbers of the record. A request whose event is gone can't
be made again; it counts as open and paid nevertheless, so that budget and answers stay right.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..messages import Output
from ..query.arrivals import Drawn
from ..query.record import AskedRecord, Decided, Differences
from ..query.requests import AUDIT
from ..query.rounds import Decision
from .shard import Shard


def recall(shard: Shard, *, is_end: bool = False) -> list[Output]:
    """Make the requests that the record has up to the latest event, with `is_end` all of them.

    Call it before the next event is observed, and at the end of the record.
    """
    asking, outputs = shard.asking, list[Output]()
    record = asking.record
    if record is None:
        return outputs
    for ones in record.find_missing(shard.events_n, is_end=is_end):
        outputs += asking.pay_waiting(shard.now)
        outputs += _ask_again(shard, record.select_left(ones))
        for request_id, one in record.select_left(ones).items():
            record.drop_request(request_id)
            asking.charge_unseen(request_id, one)
    return outputs


def settle_record(shard: Shard) -> tuple[list[Output], Differences]:
    """End the record: make its remaining requests; return the outputs and the differences."""
    outputs, record = recall(shard, is_end=True), shard.asking.record
    shard.asking.record = None
    return outputs, Differences() if record is None else record.differences


def follow_record(shard: Shard, record: AskedRecord) -> None:
    """Follow the decisions of this record until `settle_record`."""
    shard.asking.record = record


def _ask_again(shard: Shard, ones: Mapping[str, Decided]) -> list[Output]:
    """Make these requests, of one round or none, as far as their events are remembered."""
    past, asking = shard.past(), shard.asking
    row_of = dict(zip(past.keys.tolist(), range(len(past)), strict=True))
    rows = {
        row: decided
        for request_id, decided in ones.items()
        if (row := row_of.get(decided.key)) is not None
        and asking.request_id(str(past.ids[row])) == request_id
    }
    is_known = asking.are_known(past.keys)
    rows = {row: decided for row, decided in rows.items() if not is_known[row]}
    if not rows:
        return []
    round_n = next(iter(rows.values())).round_n
    if round_n >= 0:
        if asking.arrivals is not None:
            shard.fresh_from = shard.events_n
        asking.rounds.n = round_n + 1
        return shard.ask_chosen(_decision_of(round_n, rows, len(past), shard.now), past)
    return [
        output
        for row, decided in rows.items()
        for output in shard.ask_drawn(past, row, shard.now, _drawn_of(decided, shard))
    ]


def _decision_of(round_n: int, rows: Mapping[int, Decided], n: int, now: float) -> Decision:
    """Rebuild the decision of a round over n events, as far as the record has it."""
    first = next(iter(rows.values()))
    utilities, inclusion = np.zeros(n), np.zeros(n)
    for row, decided in rows.items():
        utilities[row], inclusion[row] = decided.utility, decided.propensity
    reason = "drift" if first.is_spread else "schedule"
    return Decision(
        round_n=round_n,
        reason=first.reason if first.reason in ("ordered", AUDIT) else reason,
        why=first.reason,
        strategy=first.strategy,
        now=now,
        utilities=utilities,
        inclusion=inclusion,
        chosen=np.array(list(rows), dtype=np.intp),
        pool_n=len(rows),
    )


def _drawn_of(one: Decided, shard: Shard) -> Drawn | None:
    """Rebuild the draw on arrival from the record; None where events are asked in rounds."""
    if shard.asking.arrivals is None:
        return None
    return Drawn(
        propensity=one.propensity,
        control_p=one.control_p,
        is_blind=one.reason == "control",
        utility=one.utility,
        threshold=one.threshold,
    )
