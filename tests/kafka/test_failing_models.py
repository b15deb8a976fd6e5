"""A model that fails from the start ends a worker; one that begins to fail makes it not ready."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kafka.workers import Worker, make_events, names_of, settings_of
from kafka.world import Traffic, wait_until

OWN = """
from river import linear_model, preprocessing

class Tired(linear_model.LogisticRegression):
    labels_n = 0

    def learn_one(self, x, y):
        self.labels_n += 1
        if self.labels_n > 40:
            raise OverflowError("had enough")
        super().learn_one(x, y)

def tired():
    return preprocessing.StandardScaler() | Tired()
"""


def settings_with(model: str, broker: Any, prefix: str, folder: Path, **kinds: str) -> Any:
    declared = dict.fromkeys(("x", "y", "z"), "numeric") | kinds
    return settings_of(
        prefix,
        broker.servers,
        folder,
        model={"name": model},
        schema={"features": declared},
        learn={"retrain_every_n": 100_000},
    )


def test_a_worker_whose_model_can_learn_nothing_ends_with_the_reason(
    broker: Any, prefix: str, tmp_path: Path
) -> None:
    settings = settings_with(
        "river.naive_bayes:GaussianNB", broker, prefix, tmp_path, z="categorical"
    )
    make_events(broker, settings, partitions=2)
    worker = Worker(settings, tmp_path)
    assert worker.headrace("topics", "--create").returncode == 0
    with worker, Traffic(broker.client, names_of(settings), rate=300.0):
        wait_until(lambda: not worker.is_running, "it goes on")
        assert worker.wait() == 2
    (told,) = (line for line in worker.text().splitlines() if "could not learn" in line)
    assert " ERROR " in told and "TypeError" in told and "headrace reset" in told
    assert "Traceback" not in worker.text()


@pytest.mark.long
def test_a_worker_whose_model_begins_to_fail_is_not_ready(
    broker: Any, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    settings = settings_with("mine:tired", broker, prefix, tmp_path)
    make_events(broker, settings, partitions=2)
    worker = Worker(settings, tmp_path)
    assert worker.headrace("topics", "--create").returncode == 0
    with worker, Traffic(broker.client, names_of(settings), rate=300.0):
        worker.wait_ready()

        def is_told() -> bool:
            worker.check()
            return "failed to learn the last" in worker.why_not_ready()

        wait_until(is_told, "nobody says so")
        assert "OverflowError: had enough" in worker.why_not_ready()
        assert 'headrace_model_is_failing{act="learn"' in worker.metrics()
        assert worker.stop() == 0
