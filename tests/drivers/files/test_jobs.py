"""Retrainings of a run: one after the other, each fed before the next is asked for."""

from __future__ import annotations

from contextlib import closing
from types import SimpleNamespace
from typing import Any

from headrace import Settings
from headrace.drivers.files.jobs import JobRunner
from headrace.drivers.files.run_metrics import RunMetrics


def engine_with(*jobs: int) -> Any:
    """What an engine shows of its jobs: the first of these is open; none of them can be run."""
    open_jobs = [SimpleNamespace(job_id=job_id) for job_id in jobs]
    return SimpleNamespace(open_job=open_jobs[0] if open_jobs else None, waiting=open_jobs[1:])


def fed(engine: Any) -> None:
    engine.open_job = engine.waiting.pop(0) if engine.waiting else None


def runner_of(*, is_beside: bool) -> JobRunner:
    return JobRunner(RunMetrics(Settings(), lambda: 0.0), is_beside=is_beside)


def test_at_once_all_are_run_as_they_come():
    engine, ended = engine_with(4, 5), []
    with closing(runner_of(is_beside=False)) as jobs:
        for job_id, challenger, error in jobs.pop_ended(engine):
            ended.append((job_id, challenger, error is not None))
            fed(engine)
    assert ended == [(4, None, True), (5, None, True)]


def test_beside_a_run_one_is_begun_and_ends_at_a_later_look():
    engine, ended = engine_with(4), []
    with closing(runner_of(is_beside=True)) as jobs:
        assert list(jobs.pop_ended(engine)) == []
        while not ended:
            for job_id, challenger, error in jobs.pop_ended(engine):
                ended.append((job_id, challenger, error is not None))
                fed(engine)
        assert list(jobs.pop_ended(engine)) == []
    assert ended == [(4, None, True)]
