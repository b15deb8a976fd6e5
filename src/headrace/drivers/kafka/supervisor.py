"""The worker without Faust around it: drivers one after the other, and its readiness.

A driver that fails for a reason that passes (brokers away, a partition lost to another worker)
is followed by another one, which begins from snapshots and logs. A lasting error ends the process,
so that its operator sees it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ...adapters.metrics.timings import Timings
from ...adapters.sealing import load_sealer
from ...adapters.secret_files import load_privacy
from ...flow.effects import Woke
from ...flow.shards import answers_decoder_of, decoder_of
from ...flow.worker_state import FlowSetup
from ...messages import Output
from ...query.record import Differences
from ...settings import Settings
from ..refits import Refits
from .driver import FlowDriver
from .faults import find_lasting, kind_of, reasons_of
from .rules import rules_in_use
from .states import States
from .topics import ensure_topics

PAUSES_S = (0.2, 1.0, 2.0, 5.0, 10.0)
"""Pauses between a driver that failed and the next one; the last repeats from then on."""

LASTING_S = 60.0
"""After a driver that lived this long the next pause is the first again."""

LOGGER = logging.getLogger("headrace.worker")


class WorkerSupervisor:
    """Everything of a worker on Kafka; `run` it in an event loop.

    `clock` returns the time of day, seconds. `note` and `warn` are called with sentences, of what
    goes on and of what an operator should look at, `on_outputs` with what was decided and learned.
    `restarts_n` counts drivers that ended early, by the kind of error, `lost_n` records that were
    deleted unread, by log, and `recomputed` decisions that differ from the journal when they are
    made again. Raises `BadSettings` and `BadInput` for settings that can't be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        note: Callable[[str], None] = LOGGER.info,
        warn: Callable[[str], None] = LOGGER.warning,
        on_outputs: Callable[[Sequence[Output]], None] = lambda outputs: None,
    ) -> None:
        self.settings = settings
        self.driver: FlowDriver | None = None
        self.timings = Timings(settings.stream)
        self.restarts_n: Counter[str] = Counter()
        self.lost_n: dict[str, int] = {}
        self.recomputed = Differences()
        self._warn = warn
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="headrace")
        self._refits = Refits(warn)
        self._clock = clock
        # What every driver needs is made, or refused, before the first one begins.
        self._make_setup = partial(
            FlowSetup,
            settings=settings,
            decoder=decoder_of(settings),
            answers_decoder=answers_decoder_of(settings),
            lost_n=self.lost_n,
            recomputed=self.recomputed,
            timer=time.perf_counter,
            privacy=load_privacy(settings.privacy),
            seals=load_sealer(settings.sealing, settings.stream),
            rules=rules_in_use(settings),
        )
        self._make_driver = partial(
            FlowDriver,
            states=States(settings, note),
            threads=self._threads,
            attempt=self._refits.attempt,
            timings=self.timings,
            clock=clock,
            note=note,
            warn=warn,
            on_outputs=on_outputs,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; return when everything is carried out, committed and saved.

        Raises the first error that no other driver is free of.
        """
        failures_n = 0
        try:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    await self._run_driver(stop)
                except Exception as error:
                    self.driver = None
                    last = find_lasting(error)
                    if last is not None:
                        raise last from None
                    self.restarts_n[kind_of(error)] += 1
                    self._warn(f"starting again after {reasons_of(error)}")
                else:
                    return
                failures_n = 0 if time.monotonic() - began > LASTING_S else failures_n
                pause_s = PAUSES_S[min(failures_n, len(PAUSES_S) - 1)]
                failures_n += 1
                with_stop = asyncio.ensure_future(stop.wait())
                await asyncio.wait([with_stop], timeout=pause_s)
                with_stop.cancel()
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._refits.close()

    async def _run_driver(self, stop: asyncio.Event) -> None:
        states = await ensure_topics(self.settings)
        partitions_n = {
            state.topic.setting: state.found.partitions_n for state in states if state.found
        }
        woke = Woke(self._clock(), time.monotonic())
        setup = self._make_setup(writer=secrets.token_hex(8), partitions_n=partitions_n, woke=woke)
        self.driver = self._make_driver(setup)
        await self.driver.run(stop)

    # -------------------------------------------------------------------------------- health

    def why_not_ready(self) -> str:
        """Why this worker does not do its work yet; empty when it does."""
        driver = self.driver
        if driver is None or not driver.group.is_joined:
            return "not connected to the brokers"
        return driver.why_not_ready()
