"""Two workers become three become one, under load; how long each change holds the events up."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from kafka.auditor import Book, stalls
from kafka.broker import Address, skip_unless_kafka
from kafka.workers import Fleet, make_events, names_of, settings_of, wait_over
from kafka.world import HUMAN, Traffic, wait_until

SHARE = 0.1
# More than a worker that was killed can cost, which is the group's patience and then a recovery.
STALL_S_MAX = 60.0
STEADY_S = 4.0


@pytest.mark.long
def test_workers_come_and_go_and_nothing_is_lost(
    broker: Address, prefix: str, tmp_path: Path
) -> None:
    skip_unless_kafka(broker, "records that survive a stop")
    settings = settings_of(prefix, broker.servers, tmp_path)
    make_events(broker, settings, partitions=4)
    book = Book(broker.topics, names_of(settings))
    changes: list[tuple[str, float]] = []
    with Fleet(settings, tmp_path) as fleet:
        fleet.start("w0", "w1")
        fleet.wait_ready()
        with Traffic(broker.client, names_of(settings), people=HUMAN, rate=300.0) as traffic:

            def all_step_since(at_s: float) -> bool:
                book.read()
                return math.inf not in stalls(book, at_s, math.inf).values()

            def settle() -> None:
                time.sleep(1.0)
                fleet.wait_ready()
                time.sleep(STEADY_S)

            settle()
            changes.append(("2 workers become 3", time.time()))
            fleet.start("w2")
            settle()
            changes.append(("3 become 2, one is stopped", time.time()))
            assert fleet.workers["w1"].stop() == 0
            settle()
            changes.append(("2 become 1, one is killed", time.time()))
            fleet.workers["w0"].kill()
            killed = time.time()
            # The group does not know yet: the one that is left is ready until it is told.
            wait_until(lambda: all_step_since(killed), "nobody took over", every_s=1.0)
            settle()
            over = time.time()
            found = wait_over(fleet, traffic, book, share=SHARE)
        fleet.check()
        fleet.stop()
    spans = zip(changes, [*changes[1:], ("", over)], strict=True)
    print()
    for (change, since_s), (_, until_s) in spans:
        held_up = stalls(book, since_s, until_s)
        worst = max(held_up.values())
        print(f"{change}: events held up for {worst:.1f} s at most, by partition {held_up}")
        assert worst < STALL_S_MAX, change
    print(found.figures)
    found.require()
    assert found.figures["settled"] > 50
