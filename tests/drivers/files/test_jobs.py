"""Retrainings of a run: one after the other, each fed before the next is asked for."""

from __future__ import annotations

from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest

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


class Trainer:
    """A trainer whose challenger needs so many slices; one in it may be outdated."""

    def __init__(self, slices_n: int, *, outdated_at: int = -1) -> None:
        self.slices_n, self.outdated_at, self.calls_n = slices_n, outdated_at, 0

    def prepare(self, challenger: Any, is_enough: Any) -> bool:
        self.calls_n += 1
        assert not is_enough()
        return self.calls_n >= self.slices_n

    def is_outdated(self, challenger: Any) -> bool:
        return self.calls_n == self.outdated_at


@pytest.mark.parametrize(("trainer", "run_n"), [(Trainer(4), 1), (Trainer(4, outdated_at=2), 2)])
def test_a_challenger_is_passed_on_when_it_has_learned_what_settled_since(
    monkeypatch, trainer, run_n
):
    engine, ended, run = engine_with(4), [], []
    engine.trainer = trainer
    with closing(runner_of(is_beside=True)) as jobs:
        monkeypatch.setattr(jobs._refits, "attempt", lambda job: (run.append(job) or "made", None))
        while not ended:
            for job_id, challenger, error in jobs.pop_ended(engine):
                ended.append((job_id, challenger, error))
                fed(engine)
    assert ended == [(4, "made", None)]
    assert (trainer.calls_n, len(run)) == (4, run_n)


def test_what_is_told_in_the_thread_is_passed_on_in_this_one(monkeypatch):
    engine, notes = engine_with(4), []
    shown = RunMetrics(Settings(), lambda: 0.0)
    with closing(JobRunner(shown, is_beside=True, note=notes.append)) as jobs:
        tell = jobs._refits._note
        monkeypatch.setattr(jobs._refits, "attempt", lambda job: (None, tell("slow") or "failed"))
        while engine.open_job is not None:
            for _ in jobs.pop_ended(engine):
                fed(engine)
    assert notes == ["slow"]
