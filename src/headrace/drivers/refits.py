"""Runs retrainings beside a run or a worker, so that they hold up the feed as little as they can.

A retraining computes for seconds. In a thread of the feeding process it takes turns with the feed,
which waits for its turn each time numpy gives it up: after each example, the thread gives way. What
takes long runs in a process of its own (`refit_process`), which is started with the first such
retraining and lives on, as importing takes a second or two. The result is the same, bit for bit.
A thread is used where

- the retraining is expected to take less than `LIGHT_S`, for which no process is worth starting;
- no process can be started;
- the job can't be handed over: the model holds a lambda, or is of a class that the other process
  can't import, such as one defined in a notebook;
- the process was killed twice during one job.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, TypeAlias

import msgspec

from ..errors import HeadraceError
from ..learn.parked import is_right, learn
from ..learn.retrain import Challenger, RetrainJob, attempt_job
from ..state import frozen
from .refit_process import CHALLENGER, JOB, Ordered, RefitResult, read_message, write_message

Attempted: TypeAlias = tuple[Challenger | None, str | None]
"""A challenger or None, and the error or None."""

Where: TypeAlias = Literal["where it is best", "thread", "process"]

LIGHT_S = 1.0
"""A retraining that is expected to take less CPU time runs in a thread, seconds."""

GIVEN_S = 1e-4
"""How long a thread that retrains gives way after each example, seconds."""

TRIED_N = 20
"""The examples that are learned to tell how long the whole retraining takes."""

STARTS_MAX = 2
"""How many processes may be killed during one job."""

# Ctrl-C in a terminal reaches the process too; the program that started it decides.
_START = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = {path!r}; "
    "from headrace.drivers.refit_process import main; main()"
)


class ProcessLostError(Exception):
    """The process of a retraining ended before its result came."""


class Refits:
    """Runs one retraining after the other; `attempt` blocks, so it is called in a thread.

    `note` is called with a sentence when retrainings go on in a thread although a process would
    hold up the feed less. `where` keeps all of them in one kind of place.
    """

    def __init__(
        self,
        note: Callable[[str], None] = lambda sentence: None,
        *,
        where: Where = "where it is best",
    ) -> None:
        self._note = note
        self._where = where
        self._is_processless = where == "thread" or getattr(sys, "frozen", False)
        # One job at a time uses the process; `_guard` is held while it is started or ended.
        self._turn, self._guard = threading.Lock(), threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False

    @property
    def process_id(self) -> int | None:
        """The id of the process that waits for retrainings or runs one; None without one."""
        process = self._process
        return None if process is None else process.pid

    def attempt(self, job: RetrainJob) -> Attempted:
        """Run a job and return its challenger or its error, as `attempt_job` does.

        After `close` the error of a job that was cut off says so.
        """
        if self._is_processless or (self._where != "process" and expect_s(job) < LIGHT_S):
            return attempt_job(job, _give_way)
        with self._turn:
            why = self._hand_over(job)
        if not isinstance(why, str):
            return why
        if self._is_closed:
            return None, why
        if not self._is_processless:
            self._is_processless = True
            self._note(f"retrainings run in a thread, which slows the feed down: {why}")
        return attempt_job(job, _give_way)

    def close(self) -> None:
        """End the process at once, with the job that it may be running."""
        with self._guard:
            self._is_closed = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()
        with self._turn:
            self._end_process()

    def _hand_over(self, job: RetrainJob) -> Attempted | str:
        """Return the result of a job in the process, or why it has to run elsewhere."""
        try:
            allowed = frozen.allowed_by(job.unlearned)
            blob = frozen.freeze(job, kind=JOB, give_way=_give_way)
            result = self._await_result(Ordered(blob, sorted(allowed)))
            if result.fault is not None:
                return result.fault
            if not result.challenger:
                return None, result.error
            thawed: Challenger = frozen.thaw(
                result.challenger, kind=CHALLENGER, allowed=allowed, give_way=_give_way
            )
        except (HeadraceError, ProcessLostError) as error:
            return str(error)
        return thawed, None

    def _await_result(self, ordered: Ordered) -> RefitResult:
        """Return the result of a job. Raises `ProcessLostError` if there is no process for it."""
        for _ in range(STARTS_MAX):
            process = self._start_process()
            with suppress(OSError):
                pipes: Any = process.stdin, process.stdout
                write_message(pipes[0], ordered)
                content = read_message(pipes[1])
                if content is not None:
                    return msgspec.msgpack.decode(content, type=RefitResult)
            self._end_process()
        raise ProcessLostError(f"its process ended {STARTS_MAX} times before the result came")

    def _start_process(self) -> subprocess.Popen[bytes]:
        """Return the process that waits for jobs, started if need be. Raises `ProcessLostError`."""
        with self._guard:
            if self._is_closed:
                raise ProcessLostError("the retraining was cut off, because this program ends")
            if self._process is None:
                # -P: no file of the current folder is imported instead of one of Python's own.
                start = _START.format(path=[*map(str, sys.path)])
                command = [sys.executable, "-P", "-c", start]
                try:
                    self._process = subprocess.Popen(
                        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
                    )
                except (OSError, TypeError, ValueError) as error:
                    raise ProcessLostError(f"no process could be started: {error}") from error
            return self._process

    def _end_process(self) -> None:
        """End the process and forget it; the next job starts another."""
        with self._guard:
            process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            # What was not written yet can't be written any more.
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        process.wait()


def expect_s(job: RetrainJob) -> float:
    """Return about how much CPU time a retraining takes, seconds, by learning some examples.

    The median of the examples counts, because the first ones also find out what the model takes.
    """
    taken_s = [0.0]
    try:
        learner = job.unlearned.make_unlearned()
        for example in job.examples[:TRIED_N]:
            began = time.thread_time()
            is_right(learner, example)
            learn(learner, example)
            taken_s.append(time.thread_time() - began)
            _give_way()
    except Exception:  # whatever a model of the user's raises; the retraining will tell
        return 0.0
    rounds_n = job.passes * (1 + len(job.alternatives)) + len(job.parked)
    return statistics.median(taken_s) * len(job.examples) * rounds_n


def _give_way() -> None:
    """Let the feed have its turn, if it waits for one."""
    # Of no time at all, a thread that waits would not even wake up.
    time.sleep(GIVEN_S)
