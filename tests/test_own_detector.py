"""A detector of drift of one's own: passed to the engine, or named in the settings."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from river import drift, naive_bayes

import headrace as hr
from headrace.errors import BadSettings
from headrace.messages import Answer, DriftChanged, Event, LabelRequested
from headrace.settings import parse


class Streak:
    """Alarms at so many wrong in a row, and is warned by half as many."""

    def __init__(self, length: float = 6) -> None:
        self.length = int(length)
        self.wrong_n = 0

    @property
    def drift_detected(self) -> bool:
        return self.wrong_n == self.length

    @property
    def warning_detected(self) -> bool:
        return self.wrong_n == self.length // 2

    def update(self, x: float) -> None:
        self.wrong_n = 0 if x < 0.5 or self.drift_detected else self.wrong_n + 1


class BothWays(Streak):
    """Alarms at so many right in a row as well: no drift, whatever it says."""

    def update(self, x: float) -> None:
        super().update(1.0 - x)


def engine(**arguments: Any) -> hr.Engine:
    raw = {
        "query": {
            "budget": {"share": 1.0, "reserve": 0},
            "control_share": 1.0,
            "rounds": {"every_n": 10},
            "cold_start": {"per_class_n": 2},
        },
        "drift": {"watch": arguments.pop("watch", []), "hold_n": 50},
    }
    return hr.Engine(naive_bayes.GaussianNB(), settings=parse(raw), **arguments)


def lived(running: hr.Engine, first: int = 0, last: int = 300, turned_at: int = 200) -> list[Any]:
    outputs: list[Any] = []
    for i in range(first, last):
        side = 1.0 if (i % 2 == 0) == (i < turned_at) else -1.0
        found = running.feed([Event(id=str(i), at=float(i), features={"x": side})])
        outputs += found
        for each in found:
            if isinstance(each, LabelRequested):
                label = "ab"[int(each.event_id) % 2]
                answer = Answer(request_id=each.request_id, label=label, at=float(i))
                outputs += running.feed([answer])
    return outputs


def changes(outputs: list[Any]) -> list[DriftChanged]:
    return [each for each in outputs if isinstance(each, DriftChanged)]


@functools.cache
def changes_of_one_passed() -> list[DriftChanged]:
    return changes(lived(engine(detectors={"error": Streak()})))


def test_one_that_is_passed_warns_alarms_and_is_named() -> None:
    found = changes_of_one_passed()
    assert [(c.level, c.signal, c.detector) for c in found[:2]] == [
        ("WARNING", "error", "Streak"),
        ("DRIFT", "error", "Streak"),
    ]
    assert 203 <= found[0].at <= 210


def test_one_that_is_named_in_the_settings_does_the_same() -> None:
    watch = [{"signal": "error", "detector": f"{__name__}:Streak", "options": {"length": 6.0}}]
    named, passed = changes(lived(engine(watch=watch))), changes_of_one_passed()
    assert [(c.at, c.level) for c in named] == [(c.at, c.level) for c in passed]
    assert named[0].detector.endswith(":Streak")


def test_a_fall_is_no_drift_whatever_the_detector_says() -> None:
    assert changes(lived(engine(detectors={"error": BothWays()}), turned_at=1_000)) == []


def test_it_goes_on_after_a_snapshot_and_the_one_passed_is_left_alone() -> None:
    mine = Streak()
    first = engine(detectors={"error": mine})
    lived(first, last=202)
    second = engine(detectors={"error": Streak()})
    second.restore(first.snapshot())
    assert lived(second, first=202) == lived(first, first=202)
    assert mine.wrong_n == 0


def test_a_detector_of_river_may_be_passed_too() -> None:
    found = changes(lived(engine(detectors={"error": drift.ADWIN(clock=1)}), last=600))
    assert "DRIFT" in [change.level for change in found]


@pytest.mark.parametrize(
    ("detectors", "fault"),
    [
        ({"errors": Streak()}, "detectors has 'errors'; .* did you mean error"),
        ({"features": Streak()}, "a detector of your own can watch error, surprise"),
        ({"error": Streak}, "is a class; pass"),
        ({"error": object()}, "has not both update"),
    ],
)
def test_what_cannot_watch_is_refused_with_a_sentence(detectors: Any, fault: str) -> None:
    with pytest.raises(BadSettings, match=fault):
        engine(detectors=detectors)


@pytest.mark.parametrize(
    ("watch", "fault"),
    [
        ({"detector": "river.drift:ADWINN"}, "drift.watch.0.: detector is .* did you mean ADWIN?"),
        ({"detector": "river.drift:ADWIN", "options": {"dleta": 1.0}}, "can't be made with"),
        ({"detector": "adwn"}, "did you mean 'adwin'"),
        ({"detector": "river.drift:binary"}, "has no such function"),
    ],
)
def test_what_cannot_be_found_is_refused_with_a_sentence(watch: Any, fault: str) -> None:
    with pytest.raises(BadSettings, match=fault):
        engine(watch=[{"signal": "error", **watch}])
