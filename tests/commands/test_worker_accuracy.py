"""A desk beside workers shows the accuracy that one of them tells, and says when it is away."""

from __future__ import annotations

import time
from contextlib import closing

import msgspec
import pytest

from headrace import Engine
from headrace.adapters.metrics.serving import serve
from headrace.bridges.desk.bridge import Estimated
from headrace.commands.desk import JoinedRun
from headrace.commands.worker_accuracy import STALE_S, WorkerAccuracy, accuracy_in
from headrace.errors import BadSettings
from headrace.learn.estimate import Estimate
from headrace.settings import Settings
from headrace.settings.http import HttpSettings
from reports import replace_numbers


@pytest.fixture
def report():
    found = Engine(seed=1).report
    known = Estimate(accuracy=0.9, low=0.8, high=0.95, labels_n=40)
    return replace_numbers(found, {"estimates.accuracy": known})


def test_the_accuracy_of_a_worker_is_shown(report) -> None:
    with (
        closing(serve(lambda: report, http=HttpSettings())) as served,
        closing(JoinedRun(Settings(), None, served.url)) as run,
    ):
        until = time.monotonic() + 30
        while run.read_estimate() is None and time.monotonic() < until:
            time.sleep(0.02)
        assert msgspec.structs.astuple(run.read_estimate()) == (0.9, 0.8, 0.95, 40)


def test_a_worker_that_knows_nothing_yet_tells_nothing() -> None:
    with closing(serve(lambda: Engine(seed=1).report, http=HttpSettings())) as served:
        notes: list[str] = []
        accuracy = WorkerAccuracy(served.url, notes.append)
        accuracy.update_estimate()
        assert (accuracy.latest, notes) == (None, [])


def test_a_worker_that_is_away_is_told_once_and_its_word_grows_old(report) -> None:
    notes: list[str] = []
    now = [0.0]
    with closing(serve(lambda: report, http=HttpSettings())) as served:
        accuracy = WorkerAccuracy(served.url, notes.append, lambda: now[0])
        accuracy.update_estimate()
    for _ in range(3):
        accuracy.update_estimate()
    assert accuracy.latest == Estimated(0.9, 0.8, 0.95, 40)
    assert len(notes) == 1
    assert "tells no accuracy" in notes[0]
    now[0] = STALE_S
    assert accuracy.latest is None


@pytest.mark.parametrize(
    "url", ["worker:9100", "file:///etc/passwd", "http://", "http://a:secret@b/"]
)
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadSettings) as caught:
        WorkerAccuracy(url, print)
    assert "secret" not in str(caught.value)


def test_a_page_of_something_else_is_no_accuracy() -> None:
    assert accuracy_in("some_metric 3\n") is None
    with pytest.raises(ValueError, match="could not convert"):
        accuracy_in("<html>{\n")
