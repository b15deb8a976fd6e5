"""A run in MLflow: what is told there, once, and what a moved alias orders here.

The registry is one in memory; tests_mlflow/ has a real server.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas
import pytest

from commands.runs import SETTINGS, Stream, event, lines_of
from headrace import Engine, cli
from headrace.adapters.mlflow_model import load_scorer
from headrace.adapters.mlflow_registry import Away, MetricPoint, faults_of_uri
from headrace.adapters.snapshots.store import load_keys
from headrace.commands.mlflow import Tracker, follow_run, params_of
from headrace.commands.model import read_kept_versions
from headrace.commands.tracked import TrackedRun
from headrace.errors import BadInput, BadSettings
from headrace.settings import parse

KEEPING = {**SETTINGS, "learn": {"versions_kept": 3, "version_every_n": 7}}


@dataclass
class Shelf:
    """A tracking server in memory. `on_call` is told each call before it is carried out."""

    runs: dict[str, dict[str, str]] = field(default_factory=dict)
    points: dict[tuple[str, int, float], float] = field(default_factory=dict)
    files: dict[int, bytes] = field(default_factory=dict)
    made: list[int] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    foreign: bool = False
    on_call: Callable[[str], None] = lambda call: None

    def of(self, run_tag: str) -> Shelf:
        self.tags.append(run_tag)
        return self

    def open_run(self, *, stream: str, params: dict[str, str], settings: bytes) -> None:
        self.on_call("open_run")
        self.runs[self.tags[-1]] = params

    def log_points(self, points: list[MetricPoint]) -> None:
        self.on_call("log")
        for point in points:
            for name, value in point.values.items():
                key = (name, point.step, point.at)
                assert self.points.get(key, value) == value
                self.points[key] = value
        self.on_call("logged")

    def list_versions(self) -> dict[int, str]:
        self.on_call("versions")
        return {number: f"v{i + 1}" for i, number in enumerate(self.made)}

    def register_version(self, number: int, content: bytes, tags: dict[str, str]) -> str:
        self.on_call("register")
        assert number not in self.made
        self.made.append(number)
        self.files[number] = content
        self.on_call("registered")
        return f"v{len(self.made)}"

    def resolve_alias(self, alias: str) -> int | None:
        self.on_call("alias")
        if self.foreign:
            raise BadInput("the alias champion points to version 1, which is not of this run")
        by_version = {there: number for number, there in self.list_versions().items()}
        return by_version.get(self.aliases.get(alias, ""))

    def set_alias(self, alias: str, version_n: str | None) -> None:
        self.on_call("set_alias")
        if version_n is None:
            self.aliases.pop(alias, None)
        else:
            self.aliases[alias] = version_n

    def move(self, number: int) -> None:
        """Somebody moves the champion."""
        self.aliases["champion"] = f"v{self.made.index(number) + 1}"

    @property
    def champion(self) -> int:
        return self.made[int(self.aliases["champion"][1:]) - 1]


@pytest.fixture
def stream(tmp_path: Any) -> Stream:
    found = Stream(tmp_path)
    found.write_events(0, 150)
    run(found)
    found.answer()
    run(found)
    return found


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def tracked(stream: Stream, shelf: Shelf) -> Iterator[Tracker]:
    found = tracker_of(stream.places.state, shelf)
    said.clear()
    yield found
    found.close()


said: list[str] = []


def tracker_of(state: Path, shelf: Shelf) -> Tracker:
    return Tracker(TrackedRun(state), state / "mlflow", shelf.of, said.append)


def run(stream: Stream) -> Any:
    return stream.run(settings=parse(KEEPING))


def settle(tracker: Tracker) -> None:
    while tracker.track_changes():
        pass


def test_curve_versions_and_aliases_are_those_of_the_run(
    stream: Stream, shelf: Shelf, tracked: Tracker
) -> None:
    settle(tracked)
    curve = lines_of(stream.places.state / "curve.jsonl")
    assert shelf.points == {
        (name, point["labels_n"], point["at"]): value
        for point in curve
        for name, value in point["values"].items()
    }
    assert {"labels_learned", "events", "drift_level"} <= {name for name, _, _ in shelf.points}
    versions = read_kept_versions(stream.places.state)
    assert shelf.made == [version.number for version in versions.all]
    assert shelf.champion == versions.in_use
    [params] = shelf.runs.values()
    assert params["query.budget.share"] == "0.2"
    assert "run.snapshot_every_n" not in params
    assert params == params_of(parse(KEEPING))


def test_a_version_that_was_fetched_says_what_the_run_says_and_only_with_its_key(
    stream: Stream, shelf: Shelf, tracked: Tracker, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(tracked)
    state = stream.places.state
    version = read_kept_versions(state).kept[-1]
    key = load_keys(state / "snapshots", makes_key=False).signing.decode()
    path = tmp_path / "model.hr"
    path.write_bytes(shelf.files[version.number])
    with pytest.raises(BadSettings, match="HEADRACE_SNAPSHOT_KEY"):
        load_scorer(path)
    monkeypatch.setenv("HEADRACE_SNAPSHOT_KEY", "k" * 32)
    with pytest.raises(BadInput):
        load_scorer(path)
    monkeypatch.setenv("HEADRACE_SNAPSHOT_KEY", key)
    frame = pandas.DataFrame([event(i)["features"] for i in range(5)])
    found = load_scorer(path).predict(frame)
    assert list(found.columns) == ["no", "yes"]
    engine = Engine(settings=parse(KEEPING))
    engine.schema, engine.trainer.champion.learner = version.learner.schema, version.learner
    engine.trainer.champion.calibration = version.calibration
    for (_, row), (_, features) in zip(found.iterrows(), frame.iterrows(), strict=True):
        assert row.to_dict() == engine.predict(features.to_dict())
    frame.iloc[0, 0] = None
    assert load_scorer(path).predict(frame).notna().all().all()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BadInput):
        load_scorer(path)


def test_moving_the_alias_brings_the_version_back_once(
    stream: Stream, shelf: Shelf, tracked: Tracker
) -> None:
    settle(tracked)
    first = shelf.made[0]
    shelf.move(first)
    settle(tracked)
    orders = lines_of(stream.places.state / "orders.jsonl")
    assert [(one["to"], one["by"]) for one in orders] == [(first, "mlflow")]
    assert shelf.champion == first  # It is not moved back while the run has not decided.
    assert run(stream).retraining.rolled_back_n == 1
    settle(tracked)
    assert read_kept_versions(stream.places.state).in_use == first == shelf.champion
    assert len(lines_of(stream.places.state / "orders.jsonl")) == 1
    # And forward again.
    last = shelf.made[-1]
    shelf.move(last)
    settle(tracked)
    assert run(stream).retraining.rolled_back_n == 2
    settle(tracked)
    assert shelf.champion == last


def test_the_alias_follows_what_the_run_learns(
    stream: Stream, shelf: Shelf, tracked: Tracker
) -> None:
    settle(tracked)
    before = shelf.champion
    stream.write_events(150, 400)
    run(stream)
    stream.answer()
    run(stream)
    settle(tracked)
    assert shelf.champion == read_kept_versions(stream.places.state).in_use > before
    assert not (stream.places.state / "orders.jsonl").exists()


def test_a_version_that_is_kept_no_longer_is_refused_and_the_alias_goes_back(
    stream: Stream, shelf: Shelf, tracked: Tracker
) -> None:
    settle(tracked)
    gone = shelf.made[0]
    stream.write_events(150, 400)
    run(stream)
    stream.answer()
    run(stream)
    settle(tracked)
    in_use = shelf.champion
    assert gone not in [version.number for version in read_kept_versions(stream.places.state).all]
    shelf.move(gone)
    settle(tracked)
    assert run(stream).retraining.rolled_back_n == 0
    settle(tracked)
    assert shelf.champion == in_use
    assert any("not kept" in sentence and "the alias goes back" in sentence for sentence in said)


def test_an_alias_that_points_elsewhere_is_told_once_and_orders_nothing(
    stream: Stream, shelf: Shelf, tracked: Tracker
) -> None:
    settle(tracked)
    shelf.foreign = True
    for _ in range(3):
        settle(tracked)
    assert sum("not of this run" in sentence for sentence in said) == 1
    assert not (stream.places.state / "orders.jsonl").exists()


class KilledError(Exception):
    """The process ends here."""


def test_killed_at_every_call_it_ends_up_the_same(stream: Stream) -> None:
    whole = Shelf()
    tracker = tracker_of(stream.places.state, whole)
    settle(tracker)
    tracker.close()
    (stream.places.state / "mlflow" / "state.json").unlink()

    cut, calls_n = Shelf(), 0
    while True:
        left_n = calls_n

        def on_call(call: str) -> None:
            nonlocal left_n
            left_n -= 1
            if left_n < 0:
                raise KilledError(call)

        cut.on_call = on_call
        tracker = tracker_of(stream.places.state, cut)
        try:
            settle(tracker)
            break
        except KilledError:
            calls_n += 1
        finally:
            tracker.close()
    assert calls_n > 5
    assert (cut.points, cut.made, cut.aliases) == (whole.points, whole.made, whole.aliases)
    assert set(cut.tags) == set(cut.runs) and len(cut.runs) == 1


def test_killed_while_it_orders_it_orders_once(
    stream: Stream, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = tracker_of(stream.places.state, shelf)
    settle(tracker)
    shelf.move(shelf.made[0])
    remember = tracker._save_progress

    def killed(**changes: Any) -> None:
        if "champion" in changes:
            raise KilledError
        remember(**changes)

    monkeypatch.setattr(tracker, "_save_progress", killed)
    with pytest.raises(KilledError):
        settle(tracker)
    tracker.close()
    again = tracker_of(stream.places.state, shelf)
    settle(again)
    again.close()
    assert len(lines_of(stream.places.state / "orders.jsonl")) == 1


def test_a_server_that_is_away_is_waited_for(
    shelf: Shelf, tracked: Tracker, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    away_n = 3

    def on_call(call: str) -> None:
        nonlocal away_n
        if away_n:
            away_n -= 1
            raise Away("connection refused")

    shelf.on_call = on_call
    monkeypatch.setattr("headrace.commands.mlflow.WAIT_S", 0.001)
    monkeypatch.setattr("headrace.commands.mlflow.WAIT_S_MAX", 0.002)
    stop = threading.Event()
    monkeypatch.setattr(TrackedRun, "every_s", 0.0)
    threading.Timer(2.0, stop.set).start()
    follow_run(tracked, stop)
    assert shelf.made and shelf.points
    told = capsys.readouterr().err
    assert told.count("does not answer") == 1 and told.count("MLflow is back") == 1
    shelf.on_call = lambda call: (_ for _ in ()).throw(Away("gone"))
    with pytest.raises(BadSettings, match="does not answer: gone"):
        follow_run(tracked, threading.Event(), is_once=True)


def test_two_can_t_track_one_run(stream: Stream, shelf: Shelf, tracked: Tracker) -> None:
    with pytest.raises(BadSettings, match="another `headrace mlflow` goes on from"):
        tracker_of(stream.places.state, shelf)


def test_the_run_decides_the_same_beside_it(stream: Stream, shelf: Shelf, tracked: Tracker) -> None:
    settle(tracked)
    decisions = (stream.places.state / "decisions.jsonl").read_bytes()
    stream.write_events(150, 250)
    run(stream)
    settle(tracked)
    assert (stream.places.state / "decisions.jsonl").read_bytes().startswith(decisions)
    assert cli.main(["replay", str(stream.places.state)]) == 0


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        ("http://ml.example.org", "plain HTTP on ml.example.org"),
        ("https://ann:secret@ml.example.org", "holds a name or a password"),
    ],
)
def test_an_address_that_would_give_something_away_is_refused(uri: str, fault: str) -> None:
    [said_of_it] = faults_of_uri(uri, allows_http=False)
    assert fault in said_of_it and "secret" not in said_of_it
    assert faults_of_uri("http://127.0.0.1:5000", allows_http=False) == []
    assert faults_of_uri("http://ml.example.org", allows_http=True) == []


def test_without_a_server_or_a_run_the_command_says_what_to_do(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert cli.main(["mlflow", str(tmp_path)]) == 2
    assert "give --server, or MLFLOW_TRACKING_URI" in capsys.readouterr().err
    assert cli.main(["mlflow", str(tmp_path), "--server", "sqlite:///x.db"]) == 2
    assert "holds no recorded run" in capsys.readouterr().err
