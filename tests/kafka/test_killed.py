"""Workers killed at random instants, under load, with answers flowing.

One kill is in every run of the tests, three in `make test-long`. With `HEADRACE_KILLS=50` it is
fifty in place of three, and `-s` tells what was counted (`make torture`); `HEADRACE_SEED` makes it
other instants.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from kafka.auditor import Book
from kafka.broker import Address, skip_unless_kafka
from kafka.workers import Fleet, make_events, names_of, settings_of, wait_over
from kafka.world import HUMAN, Traffic, World, wait_until
from marks import long_ones

KILLS = int(os.environ.get("HEADRACE_KILLS", "3"))
SEED = int(os.environ.get("HEADRACE_SEED", "1"))
SHARE = 0.1
PARTITIONS = 4
# The group waits 10 s for a member that says nothing, and the others hear of it some seconds later.
TAKEN_OVER_S_MAX = 60.0


@pytest.mark.parametrize("kills_n", [1, *long_ones(KILLS)])
def test_nothing_is_lost_or_asked_twice_when_workers_are_killed(
    broker: Address, prefix: str, tmp_path: Path, kills_n: int
) -> None:
    skip_unless_kafka(broker, "records that survive a stop")
    settings = settings_of(prefix, broker.servers, tmp_path)
    make_events(broker, settings, PARTITIONS)
    luck, working_n = random.Random(SEED), 0
    with Fleet(settings, tmp_path) as fleet:
        fleet.start("w0", "w1")
        fleet.wait_ready()
        traffic = Traffic(
            broker.client, names_of(settings), World(drift_every_n=6_000), HUMAN, rate=300.0
        )
        with traffic:
            for _ in range(kills_n):
                # Half of the kills hit workers at work, the others whatever they do then.
                if luck.random() < 0.5:
                    fleet.wait_ready()
                time.sleep(luck.random() * 3.0)
                worker = luck.choice(fleet.running)
                working_n += not worker.why_not_ready()
                worker.kill()
                time.sleep(luck.random())
                fleet.start(worker.name)
            fleet.wait_ready()
            found = wait_over(fleet, traffic, Book(broker.topics, names_of(settings)), share=SHARE)
        fleet.stop()
        fleet.check()
        rebuilt = fleet.workers["w0"].headrace("rebuild")
    print(f"\n{kills_n} kills, {working_n} of them at work: {found.figures}")
    found.require()
    assert found.figures["settled"] > 50
    assert found.figures["expired"] > 0
    # What the workers hold in the end is what the logs alone make.
    parts_n = 1 + settings["kafka"]["desk_partitions"] + PARTITIONS
    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
    assert f"{parts_n} of {parts_n} parts are proven equal" in rebuilt.stdout


@pytest.mark.long
def test_worker_that_was_frozen_and_wakes_up_does_no_harm(
    broker: Address, prefix: str, tmp_path: Path
) -> None:
    skip_unless_kafka(broker, "records that survive a stop")
    settings = settings_of(prefix, broker.servers, tmp_path)
    make_events(broker, settings, PARTITIONS)
    with Fleet(settings, tmp_path) as fleet:
        frozen, _ = fleet.start("w0", "w1")
        fleet.wait_ready()
        book = Book(broker.topics, names_of(settings))

        def last_writers() -> dict[int, object]:
            book.read()
            return {part: chain[-1].get("writer") for part, chain in book.steps().items() if chain}

        with Traffic(broker.client, names_of(settings), people=HUMAN, rate=300.0) as traffic:
            wait_until(lambda: len(last_writers()) == PARTITIONS, "a partition has no step")
            time.sleep(3.0)
            frozen.signal(signal.SIGSTOP)
            before = last_writers()
            wait_until(
                lambda: last_writers() != before,
                "nobody took over from the worker that was frozen",
                TAKEN_OVER_S_MAX,
                every_s=1.0,
            )
            frozen.signal(signal.SIGCONT)
            time.sleep(3.0)
            fleet.wait_ready()
            found = wait_over(fleet, traffic, book, share=SHARE, may_repeat=True)
        fleet.check()
    print(f"\n{found.figures}")
    found.require()
    assert found.figures["settled"] > 50
