"""Runs the retrainings that a run's engine orders: at once, or in a thread beside the run."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from ...engine import Engine
from ...learn.retrain import Challenger, RetrainJob, attempt_job
from .run_metrics import RunMetrics


class JobRunner:
    """Runs and times one job after the other, in a thread of its own with `is_beside`."""

    def __init__(self, shown: RunMetrics, *, is_beside: bool) -> None:
        self._shown = shown
        self._pool = ThreadPoolExecutor(1) if is_beside else None
        self._job: tuple[int, Future[tuple[Challenger | None, str | None]]] | None = None

    def pop_ended(self, engine: Engine) -> Iterator[tuple[int, Challenger | None, str | None]]:
        """Yield jobs that are done: their number, and the challenger or why there is none.

        Each has to be fed to the engine before the next is asked for. With a thread, this also
        starts a job that is open.
        """
        while self._pool is None and (job := engine.open_job) is not None:
            yield job.job_id, *self._attempt_job(job)
        if self._pool is None:
            return
        if self._job is not None and self._job[1].done():
            job_id, future = self._job
            self._job = None
            yield job_id, *future.result()
        job = engine.open_job
        if self._job is None and job is not None:
            self._job = (job.job_id, self._pool.submit(self._attempt_job, job))

    def _attempt_job(self, job: RetrainJob) -> tuple[Challenger | None, str | None]:
        with self._shown.time_retraining():
            return attempt_job(job)

    def close(self) -> None:
        """Wait for the job that is running, and begin no other."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
