"""The retraining under way: what is settled while it runs, and how its challenger catches up.

Nothing is ordered or judged here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import BrokenInvariant
from .memory import Example
from .retrain import Challenger, RetrainJob, retrain
from .schema_view import SchemaView


@dataclass
class OpenJob:
    """A retraining under way, and the examples learned since it was ordered."""

    job: RetrainJob
    since: list[Example] = field(default_factory=list)


class Retrainings:
    """The retraining under way, and counts of the retrainings and their ends.

    `ordered_n` were ordered, the latest at `ordered_at`; `adopted_n` ended with the challenger
    adopted, the latest at `adopted_at`, both in seconds; `kept_n` ended with the champion kept.
    `rolled_back_n` counts roll backs. The next job gets the number `jobs_n`. `outrun` is the number
    of a job that was dropped, because more labels came during it than a challenger catches up with;
    it is reset when the log says so.
    """

    # The challenger that catches up: as it was passed, and as it is now. No part of the state.
    _caught: tuple[Challenger, Challenger] | None = None

    def __init__(self) -> None:
        self.ordered_n = 0
        self.adopted_n = 0
        self.kept_n = 0
        self.rolled_back_n = 0
        self.ordered_at: float | None = None
        self.adopted_at: float | None = None
        self.jobs_n = 0
        self.outrun: int | None = None
        self._open: OpenJob | None = None

    @property
    def open_job(self) -> RetrainJob | None:
        """The job that waits for its `RetrainFinished`."""
        return self._open.job if self._open else None

    def job(self, job_id: int) -> RetrainJob | None:
        """The open job, if it has this number; else None."""
        return self._open.job if self._open and self._open.job.job_id == job_id else None

    def awaits(self, job_id: int) -> bool:
        """Whether this job is open, or was outrun and the log does not have its end yet."""
        return job_id == self.outrun or self.job(job_id) is not None

    def begin_job(self, job: RetrainJob, at: float) -> None:
        """Note a job that was ordered at the time `at`, seconds; an open job is dropped."""
        self._open, self.outrun, self._caught = OpenJob(job), None, None
        self.jobs_n = job.job_id + 1
        self.ordered_n += 1
        self.ordered_at = at

    def note_example(self, example: Example, since_max: int) -> None:
        """Note an example that the champion learned; after `since_max` the job is outrun."""
        if self._open is not None:
            self._open.since.append(example)
            if len(self._open.since) > since_max:
                self.outrun, self._open, self._caught = self._open.job.job_id, None, None

    def catch_up(
        self,
        challenger: Challenger,
        schema: SchemaView,
        is_enough: Callable[[], bool] = lambda: False,
        *,
        is_taken_over: bool = False,
    ) -> Challenger | None:
        """Return the challenger once it learned the labels that settled during its training.

        None if `is_enough` returned true before that; the next call goes on. The challenger of a
        job is copied, unless it `is_taken_over`: then nobody else may use it. One that learned by
        another schema than the present is made again.
        """
        if self._open is None:
            raise BrokenInvariant("a challenger catches up with a job that is not open")
        if self._caught is None or self._caught[0] is not challenger:
            self._caught = challenger, challenger if is_taken_over else challenger.copy()
        if self._caught[1].is_outdated(self._open.since, schema):
            self._caught = challenger, retrain(self._open.job)
        caught = self._caught[1]
        return caught if caught.learn_since(self._open.since, schema, is_enough) else None

    @property
    def caught(self) -> Challenger | None:
        """The challenger of the open job as far as it has caught up; None before it began to."""
        return None if self._caught is None else self._caught[1]

    def is_outdated(self, challenger: Challenger, schema: SchemaView) -> bool:
        """Whether this challenger of the open job would have to be made again to catch up."""
        return self._open is not None and challenger.is_outdated(self._open.since, schema)

    def note_adoption(self, at: float) -> None:
        """Note that the challenger of the open job is the champion since the time `at`, seconds."""
        self._open = self._caught = None
        self.adopted_n += 1
        self.adopted_at = at

    def note_kept(self, job_id: int) -> None:
        """Note that this job ended with the champion kept."""
        self.kept_n += 1
        self.outrun = None
        if self.job(job_id) is not None:
            self._open = self._caught = None

    def note_roll_back(self) -> None:
        """Note a roll back, and drop the open job: its challenger was for the previous champion."""
        self.drop()
        self.rolled_back_n += 1

    def drop(self) -> None:
        """Drop the open job; its challenger will not be adopted."""
        self._open = self.outrun = self._caught = None
