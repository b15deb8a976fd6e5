"""A worker's session where it begins and ends; what it does in between is tested on a broker."""

from __future__ import annotations

import asyncio
from typing import Any

from headrace import Settings
from headrace.flow.effects import Part
from headrace.query.record import Differences
from headrace.shells.kafka.session import Session


def session() -> Session:
    parts: dict[str, Any] = dict.fromkeys(
        ("states", "decoder", "answers_decoder", "threads", "timings", "note", "warn", "told")
    )
    return Session(
        Settings(),
        **parts,
        partitions_n={"events": 1, "requests": 1},
        clock=lambda: 0.0,
        lost_n={},
        recomputed=Differences(),
    )


def test_a_session_that_is_over_takes_nothing_that_is_assigned_to_it():
    """The consumer is the last to stop, and may hear meanwhile that the group shares out anew."""

    async def heard() -> Session:
        found = session()
        found.flow.held = {Part("inference", 0)}
        found._is_over = True
        await found.revoked()
        await found.assigned({("inference", 1)})
        return found

    found = asyncio.run(heard())
    assert found.flow.held == {Part("inference", 0)}
    assert found.flow.rebalances_n == 0
