"""The broker goes away for a while and comes back; nobody touches the workers.

`HEADRACE_OUTAGE_S=60` (`make torture`) makes it a minute.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kafka.auditor import Book
from kafka.broker import Broker
from kafka.workers import Fleet, make_events, names_of, settings_of, wait_over
from kafka.world import HUMAN, Traffic, wait_until

OUTAGE_S = float(os.environ.get("HEADRACE_OUTAGE_S", "12"))
SHARE = 0.1
STOP_WITHIN_S = 3.0
# For a process to end on a machine that does much else.
GRACE_S = 25.0


@pytest.mark.long
@pytest.mark.parametrize("is_graceful", [True, False], ids=["stopped", "killed"])
def test_workers_recover_by_themselves_when_the_broker_comes_back(
    own_broker: Broker, prefix: str, tmp_path: Path, is_graceful: bool
) -> None:
    settings = settings_of(prefix, own_broker.servers, tmp_path)
    make_events(own_broker, settings, partitions=4)
    with Fleet(settings, tmp_path) as fleet:
        fleet.start("w0", "w1")
        fleet.wait_ready()
        with Traffic(own_broker.client, names_of(settings), people=HUMAN, rate=300.0) as traffic:
            time.sleep(4.0)
            own_broker.stop(is_graceful)
            time.sleep(OUTAGE_S)
            for worker in fleet.workers.values():
                worker.check()
            own_broker.start()
            began, sent_n, heard_n = time.monotonic(), len(traffic.sent), len(traffic.heard)
            wait_until(lambda: len(traffic.sent) > sent_n + 500, "no events are sent")
            wait_until(lambda: len(traffic.heard) > heard_n + 20, "nothing is asked")
            took_s = time.monotonic() - began
            book = Book(own_broker.topics, names_of(settings))
            found = wait_over(fleet, traffic, book, share=SHARE)
        fleet.stop()
    print(f"\n{OUTAGE_S:.0f} s without a broker; {took_s:.1f} s until it asks: {found.figures}")
    found.require()
    assert found.figures["settled"] > 50


@pytest.mark.long
def test_worker_stops_within_its_deadline_while_the_broker_is_away(
    own_broker: Broker, prefix: str, tmp_path: Path
) -> None:
    settings = settings_of(
        prefix,
        own_broker.servers,
        tmp_path,
        worker={"snapshots": str(tmp_path / "snapshots"), "stop_within_s": STOP_WITHIN_S},
    )
    make_events(own_broker, settings, partitions=2)
    with Fleet(settings, tmp_path) as fleet:
        (worker,) = fleet.start("w0")
        fleet.wait_ready()
        with Traffic(own_broker.client, names_of(settings), rate=300.0) as traffic:
            wait_until(lambda: len(traffic.heard) > 20, "nothing is asked")
            own_broker.stop()
            time.sleep(1.0)
            began = time.monotonic()
            worker.stop()
            took_s = time.monotonic() - began
            own_broker.start()
            # What was under way is repeated by the next one.
            fleet.start("w0")
            fleet.wait_ready()
            book = Book(own_broker.topics, names_of(settings))
            found = wait_over(fleet, traffic, book, share=SHARE)
        fleet.stop()
    assert took_s < STOP_WITHIN_S + GRACE_S
    found.require()
