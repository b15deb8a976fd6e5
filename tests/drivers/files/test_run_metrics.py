"""What a run shows: a report that is made already, its lag, its snapshots, its port."""

import time
import urllib.request

import pytest

from commands.runs import SETTINGS, Stream
from headrace import Engine, Event
from headrace.adapters.metrics import serving
from headrace.drivers.files.run_metrics import RunMetrics
from headrace.label.annotators import Annotator
from headrace.label.steadiness import Fall
from headrace.settings import parse
from reports import replace_numbers

NOW = 5_000.0


def engine_of(events_n):
    engine = Engine(settings=parse(SETTINGS))
    engine.feed([Event(id=str(i), at=float(i), features={"x": i % 3}) for i in range(events_n)])
    return engine


def shown(**http):
    return RunMetrics(parse(SETTINGS | {"http": http}), clock=lambda: NOW)


@pytest.mark.parametrize(
    ("read_bytes", "lag_bytes", "lag_n", "lag_s"),
    [(1_000, 0, 0, 0.0), (1_000, 55, 6, None), (0, 55, None, None), (0, 0, 0, 0.0)],
)
def test_the_lag_in_records_is_told_by_their_mean_length(read_bytes, lag_bytes, lag_n, lag_s):
    report = shown().make_report(
        engine_of(100), rejected_n={}, read_bytes=read_bytes, lag_bytes=lag_bytes
    )
    (partition,) = report.worker.partitions
    assert (partition.lag_n, partition.lag_s, partition.events_n) == (lag_n, lag_s, 100)


def test_the_newest_snapshot_is_told_whether_found_or_written(tmp_path):
    path = tmp_path / "snapshot"
    path.write_bytes(b"with its envelope")
    found = shown()
    found.note_restored(path, b"blob")
    found.note_refused(2)
    snapshots = found.make_report(
        engine_of(1), rejected_n={}, read_bytes=1, lag_bytes=0
    ).worker.snapshots
    told = (snapshots.written_at, snapshots.bytes_n, snapshots.refused_n)
    assert told == (path.stat().st_mtime, 4, 2)
    found.note_written(b"longer", engine_of(1))
    snapshots = found.make_report(
        engine_of(1), rejected_n={}, read_bytes=1, lag_bytes=0
    ).worker.snapshots
    assert (snapshots.written_at, snapshots.bytes_n) == (NOW, 6)


def test_without_a_port_nothing_is_served_and_nothing_timed():
    quiet = shown()
    assert quiet.serve(pytest.fail) is None
    with quiet.time_feeding(engine_of(1)), quiet.time_retraining():
        pass


def test_a_run_serves_its_report_and_times_while_it_goes_on(tmp_path, monkeypatch):
    stream, scraped = Stream(tmp_path), {}
    stream.write_events(0, 400)
    served = []
    real = RunMetrics.serve

    def serve(self, on_note):
        # Port 0 would mean none: any free one is taken in its place.
        free = serving.serve(lambda: None)
        free.close()
        http = {"http": {"port": free.port}}
        self.settings = parse(SETTINGS | http)
        served.append(real(self, on_note))
        return served[0]

    def look(runner):
        if runner.engine.shard.events_n == 400 and not scraped:
            runner.report  # noqa: B018 - makes it
            for page in ("metrics", "healthz", "readyz"):
                url = served[0].url.replace("metrics", page)
                with urllib.request.urlopen(url, timeout=30) as answer:
                    scraped[page] = answer.read().decode()

    monkeypatch.setattr(RunMetrics, "serve", serve)
    stream.run(on_turn=look)
    assert (scraped["healthz"], scraped["readyz"]) == ("alive\n", "ready\n")
    assert 'headrace_events_observed_total{stream="default"} 400.0' in scraped["metrics"]
    timed = 'headrace_event_processing_seconds_count{stream="default"} 400.0'
    assert timed in scraped["metrics"]
    lag = 'headrace_partition_lag_records{partition="0",stream="default"} 0.0'
    assert lag in scraped["metrics"]
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(served[0].url, timeout=30)


def test_a_report_is_due_again_after_a_while(monkeypatch):
    report = shown()
    assert report.is_due
    report.make_report(engine_of(1), rejected_n={}, read_bytes=1, lag_bytes=0)
    made_at = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: made_at)
    assert not report.is_due
    monkeypatch.setattr(time, "monotonic", lambda: made_at + 2.0)
    assert report.is_due


@pytest.mark.parametrize("fault", ["", "the model failed to learn the last 10 labels"])
def test_a_run_whose_model_fails_is_not_ready(monkeypatch, fault):
    asked = []
    monkeypatch.setattr(serving, "serve", lambda report, **how: asked.append(how["ready"]))
    told = shown(port=9_464)
    told.serve(pytest.fail)
    told.report = replace_numbers(engine_of(1).report, {"model.fault": fault})
    assert asked[0]() == fault


def test_a_fall_of_somebodys_agreement_is_said_once_and_not_again_after_a_start():
    notes, engine = [], engine_of(1)
    told = RunMetrics(parse(SETTINGS), clock=lambda: NOW, on_note=notes.append)
    look = {"rejected_n": {}, "read_bytes": 1, "lag_bytes": 0}
    told.make_report(engine, **look)
    watch = engine.desk.annotators.by_name.setdefault("cy", Annotator()).steadiness
    watch.falls_n, watch.fall = 1, Fall(9.0, 10, 20, 269, 299)
    for _ in range(2):
        engine.feed([])
        told.make_report(engine, **look)
    told_once = (
        "annotator 'cy' agrees less: with 10 of the latest 20 labels, with 269 of 299 before"
    )
    assert notes == [told_once]
    RunMetrics(parse(SETTINGS), clock=lambda: NOW, on_note=pytest.fail).make_report(engine, **look)
