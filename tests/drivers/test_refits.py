"""Retrainings beside the feed: the same challenger wherever they run, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river import base, naive_bayes

from headrace.chance import Chance
from headrace.drivers import refits
from headrace.drivers.refit_process import JOB, Ordered, carry_out
from headrace.drivers.refits import Refits, expect_s
from headrace.learn.committee.committee import Committee
from headrace.learn.learner import Learner
from headrace.learn.memory import Example
from headrace.learn.models import build
from headrace.learn.retrain import Challenger, RetrainJob, attempt_job
from headrace.learn.river_part import RiverPart
from headrace.observe.schema import Schema
from headrace.settings import SchemaSettings
from headrace.state.frozen import freeze

SCHEMA = SchemaSettings(features={"x": "numeric", "y": "numeric"}, classes=["no", "yes"])
START = refits._START
ROWS = np.array([[0.1, 0.7], [0.8, 0.2], [0.5, 0.5]])


class Sleeper(naive_bayes.GaussianNB):
    """A model that takes its time to learn."""

    def learn_one(self, x: Any, y: Any) -> None:
        time.sleep(0.01)
        super().learn_one(x, y)  # type: ignore[no-untyped-call]


class Unwritable(base.Classifier):
    """A model that no file can hold, and that takes CPU time."""

    def __init__(self) -> None:
        self.turn = lambda p: 1.0 - p

    @property
    def _multiclass(self) -> bool:
        return False

    def learn_one(self, x: Any, y: Any) -> None:
        sum(range(100_000))

    def predict_proba_one(self, x: Any) -> dict[bool, float]:
        return {False: self.turn(x["x"]), True: x["x"]}


class Failing(naive_bayes.GaussianNB):
    """A model that learns nothing."""

    def learn_one(self, x: Any, y: Any) -> None:
        raise ValueError("never")


def job_of(model: Any, n: int = 60) -> RetrainJob:
    schema, chance = Schema(SCHEMA), Chance(5)
    X = np.array([[chance.uniform(f"column {j}", str(i)) for j in range(2)] for i in range(n)])
    examples = tuple(
        Example(
            id=f"e{i}",
            at=float(i),
            row=row,
            code=int(row[0] > 0.5),
            is_control=i % 3 == 0,
            original={"x": float(row[0]), "y": float(row[1])},
        )
        for i, row in enumerate(X)
    )
    weights = tuple(0.5 ** ((n - i) / 30) for i in range(n))
    unlearned: Any = (
        RiverPart(Committee(), schema).make_unlearned()
        if model == "committee"
        else Learner(model, schema)
    )
    return RetrainJob(3, examples, weights, 7, unlearned, 2, 10)


def said_by(result: tuple[Challenger | None, str | None]) -> Any:
    """All that a challenger says, to the last bit."""
    challenger, error = result
    if challenger is None:
        return error
    predicted = [challenger.learner.predict_row(row).tobytes() for row in ROWS]
    return predicted, challenger.right, challenger.job_id, challenger.parked


@pytest.fixture(scope="module")
def beside() -> Iterator[Refits]:
    with closing(Refits(pytest.fail, where="process")) as found:
        yield found


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.mark.parametrize("model", ["logistic", "tree", "forest", "knn", "committee"])
def test_a_challenger_is_the_same_inline_in_a_thread_and_in_a_process(model, beside, notes):
    made = model if model == "committee" else build(model, 7, 2)
    inline = attempt_job(job_of(made))
    assert inline[0] is not None
    results: list[Any] = []
    with closing(Refits(notes.append, where="thread")) as threaded:
        thread = threading.Thread(target=lambda: results.append(threaded.attempt(job_of(made))))
        thread.start()
        thread.join()
        assert threaded.process_id is None
    results.append(beside.attempt(job_of(made)))
    assert [said_by(result) for result in results] == [said_by(inline)] * 2
    assert beside.process_id is not None
    assert notes == []


def test_one_process_serves_all_jobs(beside):
    pids = set()
    for _ in range(2):
        assert beside.attempt(job_of(build("tree", 7, 2)))[1] is None
        pids.add(beside.process_id)
    assert len(pids) == 1 and os.getpid() not in pids


def test_a_model_of_the_user_that_fails_is_told_alike(beside):
    inline = attempt_job(job_of(Failing()))
    assert inline[0] is None
    assert said_by(beside.attempt(job_of(Failing()))) == said_by(inline)


def test_a_light_retraining_starts_no_process(notes, monkeypatch):
    with closing(Refits(notes.append)) as found:
        light = job_of(naive_bayes.GaussianNB(), n=4)
        assert expect_s(light) < refits.LIGHT_S
        assert found.attempt(light)[0] is not None
        assert found.process_id is None
        assert found.attempt(job_of(build("tree", 7, 2)))[0] is not None
        assert found.process_id is None
        monkeypatch.setattr(refits, "LIGHT_S", 0.001)
        assert found.attempt(job_of(build("tree", 7, 2)))[0] is not None
        assert found.process_id is not None
    assert notes == []


def test_a_model_that_can_not_be_handed_over_is_retrained_in_a_thread(notes):
    with closing(Refits(notes.append, where="process")) as found:
        for _ in range(2):
            assert found.attempt(job_of(Unwritable()))[0] is not None
        assert found.process_id is None
    [note] = notes
    assert note.startswith("retrainings run in a thread, which slows the feed down: the state")


def test_a_model_that_the_process_can_not_import_is_told():
    job = freeze(job_of(Sleeper()), kind=JOB)
    # Nothing but what the user passed may be named: the reader knows nothing of this module.
    result = carry_out(Ordered(job, []))
    assert result.fault is not None and "not admitted" in result.fault
    assert not result.challenger


@pytest.mark.parametrize("start", ["raise SystemExit(3)", "import nothing_of_this_name"])
def test_without_a_process_a_thread_does_it(monkeypatch, notes, start):
    monkeypatch.setattr(refits, "_START", start)
    job = job_of(build("tree", 7, 2))
    with closing(Refits(notes.append, where="process")) as found:
        assert said_by(found.attempt(job)) == said_by(attempt_job(job))
        assert said_by(found.attempt(job)) == said_by(attempt_job(job))
        assert found.process_id is None
    [note] = notes
    assert note.endswith("its process ended 2 times before the result came")


def test_where_no_program_can_be_started_a_thread_does_it(monkeypatch, notes):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with closing(Refits(notes.append, where="process")) as found:
        assert found.attempt(job_of(build("tree", 7, 2)))[0] is not None
    [note] = notes
    assert "no process could be started" in note


def test_no_file_of_the_current_folder_is_imported(monkeypatch, notes, tmp_path):
    (tmp_path / "signal.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    job = job_of(build("tree", 7, 2))
    with closing(Refits(notes.append, where="process")) as found:
        assert said_by(found.attempt(job)) == said_by(attempt_job(job))
        assert found.process_id is not None
    assert notes == []


@pytest.mark.parametrize("printed", ["hi", "loaded the site's settings\n"])
def test_what_is_printed_before_the_process_begins_is_no_result(monkeypatch, notes, printed):
    monkeypatch.setattr(refits, "_START", f"import os; os.write(1, {printed!r}.encode()); {START}")
    job = job_of(build("tree", 7, 2))
    with closing(Refits(notes.append, where="process")) as found:
        attempt = Attempt(found, job)
        assert said_by(attempt.result()) == said_by(attempt_job(job))
        assert found.process_id is not None
    assert notes == []


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Attempt:
    """A retraining in a thread, as a run or a worker has it."""

    def __init__(self, found: Refits, job: RetrainJob) -> None:
        self.results: list[Any] = []
        self._thread = threading.Thread(target=lambda: self.results.append(found.attempt(job)))
        self._thread.start()

    def result(self) -> Any:
        self._thread.join(60.0)
        [result] = self.results
        return result


def test_a_killed_process_is_replaced_and_the_job_done_again(notes):
    job = job_of(Sleeper())
    with closing(Refits(notes.append, where="process")) as found:
        attempt = Attempt(found, job)
        wait_for(lambda: found.process_id is not None)
        killed = found.process_id
        assert killed is not None
        time.sleep(0.2)
        os.kill(killed, 9)
        assert said_by(attempt.result()) == said_by(attempt_job(job))
        assert found.process_id not in (None, killed)
        assert not is_there(killed)
    assert notes == []


def test_an_idle_process_that_was_killed_is_replaced(notes):
    job = job_of(build("tree", 7, 2))
    with closing(Refits(notes.append, where="process")) as found:
        assert found.attempt(job)[0] is not None
        killed = found.process_id
        assert killed is not None
        os.kill(killed, 9)
        assert found.attempt(job)[0] is not None
        assert found.process_id != killed
    assert notes == []


def test_closing_cuts_a_job_off_and_leaves_no_process(notes):
    found = Refits(notes.append, where="process")
    attempt = Attempt(found, job_of(Sleeper(), n=5_000))
    wait_for(lambda: found.process_id is not None)
    pid = found.process_id
    assert pid is not None
    began = time.monotonic()
    found.close()
    assert attempt.result() == (
        None,
        "the retraining was cut off, because this program ends",
    )
    assert time.monotonic() - began < 20.0
    assert not is_there(pid) and found.process_id is None
    found.close()
    assert found.attempt(job_of(Sleeper()))[0] is None
    assert found.process_id is None and notes == []


def test_a_process_ends_with_the_one_that_started_it():
    """Even in the middle of a job, and if nobody closes anything."""
    code = (
        "import os, threading, time; from drivers.test_refits import *; found = Refits("
        "where='process'); Attempt(found, job_of(Sleeper(), n=5_000)); "
        "wait_for(lambda: found.process_id); time.sleep(2.0); "
        "print(found.process_id, flush=True); os._exit(0)"
    )
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([tests, *filter(None, sys.path)])},
    )
    pid = int(done.stdout)
    wait_for(lambda: not is_there(pid))
