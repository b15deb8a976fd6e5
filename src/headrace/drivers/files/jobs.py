"""Runs the retrainings that a run's engine orders: at once, or beside the run.

At once, the run waits, and the retraining's place among the inputs depends on nothing. Beside the
run, its place depends on how long it takes; the journal says where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from ...engine import Engine
from ...learn.retrain import Challenger, RetrainJob, attempt_job
from ..refits import Attempted, Refits, Where
from .run_metrics import RunMetrics

SLICE_S = 0.03
"""For how long a challenger learns what settled since, before events have their turn again."""


class JobRunner:
    """Runs and times one job after the other, by `Refits` with `is_beside`.

    `note` is called with sentences of `Refits`, and `where` is as there.
    """

    def __init__(
        self,
        shown: RunMetrics,
        *,
        is_beside: bool,
        note: Callable[[str], None] = lambda sentence: None,
        where: Where = "where it is best",
    ) -> None:
        self._shown = shown
        self._pool = ThreadPoolExecutor(1) if is_beside else None
        # A thread tells them, this one passes them on.
        self._note, self._notes = note, list[str]()
        self._refits = Refits(self._notes.append, where=where)
        self._job: tuple[int, Future[Attempted]] | None = None

    def pop_ended(self, engine: Engine) -> Iterator[tuple[int, Challenger | None, str | None]]:
        """Yield jobs that are done: their number, and the challenger or why there is none.

        Each has to be fed to the engine before the next is asked for. Beside the run, this also
        starts a job that is open, and lets a challenger learn for `SLICE_S` what settled since.
        """
        while self._pool is None and (job := engine.open_job) is not None:
            yield job.job_id, *self._attempt_job(job)
        if self._pool is None:
            return
        while self._notes:
            self._note(self._notes.pop(0))
        if self._job is not None and self._job[1].done():
            job_id, future = self._job
            challenger, error = future.result()
            if challenger is not None and not self._is_ready(engine, challenger):
                return
            self._job = None
            yield job_id, challenger, error
        job = engine.open_job
        if self._job is None and job is not None:
            self._job = (job.job_id, self._pool.submit(self._attempt_job, job))

    def _is_ready(self, engine: Engine, challenger: Challenger) -> bool:
        """Whether the challenger learned what settled since; if not, it learns for some time."""
        until = time.perf_counter() + SLICE_S
        is_ready = engine.trainer.prepare(challenger, lambda: time.perf_counter() >= until)
        if not is_ready and engine.trainer.is_outdated(challenger):
            # A job that is open, but not under way, is run.
            self._job = None
        return is_ready

    def _attempt_job(self, job: RetrainJob) -> Attempted:
        with self._shown.time_retraining():
            return attempt_job(job) if self._pool is None else self._refits.attempt(job)

    def close(self) -> None:
        """Cut off the job that is running in a process, wait for one in a thread; begin no other.

        The job is still open in the state, and is run again after a restart.
        """
        self._refits.close()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
