"""A run in a real MLflow: what stands there, what can be loaded, what a moved alias does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import mlflow
import pandas
import pytest
from tests_mlflow.server import Server

from commands.runs import SETTINGS, Stream, event, lines_of
from commands.saved_workers import KEY, Saved
from commands.saved_workers import lived as lived_workers
from headrace import Engine, cli
from headrace.adapters.snapshots.store import load_keys
from headrace.commands.mlflow import params_of
from headrace.commands.model import read_kept_versions
from headrace.settings import parse

KEEPING = {**SETTINGS, "learn": {"versions_kept": 3, "version_every_n": 7}}
ROOT = Path(__file__).parents[1]


def run(stream: Stream) -> Any:
    return stream.run(settings=parse(KEEPING))


def lived(stream: Stream, start: int = 0, stop: int = 150) -> None:
    stream.write_events(start, stop)
    run(stream)
    stream.answer()
    run(stream)


def track(stream: Stream, server: Server, name: str) -> None:
    argv = ["mlflow", str(stream.places.state), "--server", server.url, "--name", name, "--once"]
    assert cli.main([*argv, "--experiment", name]) == 0


def client(server: Server) -> Any:
    return mlflow.MlflowClient(tracking_uri=server.url, registry_uri=server.url)


def runs_of(server: Server, name: str) -> list[Any]:
    there = client(server)
    found = there.get_experiment_by_name(name)
    return list(there.search_runs([found.experiment_id]))


def test_curve_parameters_versions_and_aliases(stream: Stream, server: Server) -> None:
    lived(stream)
    track(stream, server, "whole")
    [found] = runs_of(server, "whole")
    assert params_of(parse(KEEPING)).items() <= found.data.params.items()
    curve = lines_of(stream.places.state / "curve.jsonl")
    history = client(server).get_metric_history(found.info.run_id, "labels_learned")
    assert [(point.step, point.value) for point in history] == [
        (point["labels_n"], point["values"]["labels_learned"]) for point in curve
    ]
    versions = read_kept_versions(stream.places.state)
    there = client(server).search_model_versions("name='whole'")
    assert sorted(int(one.tags["headrace.version"]) for one in there) == sorted(
        version.number for version in versions.all
    )
    champion = client(server).get_model_version_by_alias("whole", "champion")
    assert int(champion.tags["headrace.version"]) == versions.in_use
    # All of it again changes nothing.
    (stream.places.state / "mlflow" / "state.json").write_text(
        f'{{"run_tag": "{found.data.tags["headrace.run"]}"}}'
    )
    track(stream, server, "whole")
    assert len(runs_of(server, "whole")) == 1
    again = client(server).get_metric_history(found.info.run_id, "labels_learned")
    assert [(point.step, point.value) for point in again] == [
        (point.step, point.value) for point in history
    ]
    assert len(client(server).search_model_versions("name='whole'")) == len(there)


def test_the_champion_is_loaded_by_mlflow_and_scores_as_the_run_does(
    stream: Stream, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(stream)
    track(stream, server, "loaded")
    state = stream.places.state
    mlflow.set_tracking_uri(server.url)
    mlflow.set_registry_uri(server.url)
    frame = pandas.DataFrame([event(i)["features"] for i in range(20)])
    with pytest.raises(Exception, match="HEADRACE_SNAPSHOT_KEY"):
        mlflow.pyfunc.load_model("models:/loaded@champion")
    key = load_keys(state / "snapshots", makes_key=False).signing.decode()
    monkeypatch.setenv("HEADRACE_SNAPSHOT_KEY", key)
    said = mlflow.pyfunc.load_model("models:/loaded@champion").predict(frame)
    versions = read_kept_versions(state)
    version = versions.find(versions.in_use)
    assert version is not None
    engine = Engine(settings=parse(KEEPING))
    engine.schema, engine.trainer.champion.learner = version.learner.schema, version.learner
    engine.trainer.champion.calibration = version.calibration
    assert said.to_dict("records") == [
        engine.predict(features) for features in frame.to_dict("records")
    ]


def test_moving_the_alias_rolls_the_run_back(stream: Stream, server: Server) -> None:
    lived(stream)
    track(stream, server, "moved")
    first = min(
        client(server).search_model_versions("name='moved'"),
        key=lambda one: int(one.tags["headrace.version"]),
    )
    client(server).set_registered_model_alias("moved", "champion", first.version)
    track(stream, server, "moved")
    assert run(stream).retraining.rolled_back_n == 1
    track(stream, server, "moved")
    in_use = read_kept_versions(stream.places.state).in_use
    assert in_use == int(first.tags["headrace.version"])
    champion = client(server).get_model_version_by_alias("moved", "champion")
    assert champion.version == first.version
    assert cli.main(["replay", str(stream.places.state)]) == 0


def test_killed_again_and_again_and_a_server_that_was_away(stream: Stream, server: Server) -> None:
    lived(stream, 0, 400)
    command = [sys.executable, "-m", "headrace", "mlflow", str(stream.places.state)]
    command += ["--server", server.url, "--name", "killed", "--experiment", "killed"]
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths}
    for wait_s in (2.0, 3.0, 4.0):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        time.sleep(wait_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
    server.stop()
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    told = read_until(process.stderr, "does not answer")
    server.start()
    told += read_until(process.stderr, "MLflow is back")
    curve = lines_of(stream.places.state / "curve.jsonl")
    expected = [point["labels_n"] for point in curve]
    until = time.monotonic() + 90.0
    while time.monotonic() < until:
        if (
            len(found := runs_of(server, "killed") if has(server, "killed") else []) == 1
            and [p.step for p in history(server, found[0])] == expected
            and has_champion(server, "killed")
        ):
            break
        time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    told += process.communicate(timeout=30)[1]
    assert process.returncode == 0, told
    [found] = runs_of(server, "killed")
    assert [point.step for point in history(server, found)] == expected
    there = client(server).search_model_versions("name='killed'")
    numbers = [int(one.tags["headrace.version"]) for one in there]
    assert sorted(numbers) == sorted({*numbers})
    assert {version.number for version in read_kept_versions(stream.places.state).all} == {*numbers}


def test_workers_on_kafka_by_what_they_saved(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_SNAPSHOT_KEY", KEY)
    saved = Saved(lived_workers(tmp_path), tmp_path)
    argv = ["mlflow", "--settings", str(saved.path), "--server", server.url, "--name", "workers"]
    for at in (0.1, 0.2, 1.0):
        saved.write(at)
        assert cli.main([*argv, "--experiment", "workers", "--once"]) == 0
    assert (tmp_path / "mlflow" / "state.json").exists()
    [found] = runs_of(server, "workers")
    steps = [point.step for point in history(server, found)]
    assert len(steps) == 3
    assert steps == sorted(steps)
    log, _ = saved.states.read_training()
    there = client(server).search_model_versions("name='workers'")
    numbers = {int(one.tags["headrace.version"]) for one in there}
    assert {version.number for version in log.trainer.versions.kept} <= numbers
    champion = client(server).get_model_version_by_alias("workers", "champion")
    assert int(champion.tags["headrace.version"]) == log.trainer.versions.in_use
    mlflow.set_tracking_uri(server.url)
    mlflow.set_registry_uri(server.url)
    model = mlflow.pyfunc.load_model("models:/workers@champion")
    said = model.predict(pandas.DataFrame([{"x": 0.9, "y": 0.8}]))
    assert list(said.columns) == ["high", "low"]


def read_until(lines: IO[str], wanted: str) -> str:
    told = ""
    while wanted not in told:
        told += (line := lines.readline())
        assert line, told
    return told


def has(server: Server, name: str) -> bool:
    return client(server).get_experiment_by_name(name) is not None


def history(server: Server, found: Any) -> list[Any]:
    return list(client(server).get_metric_history(found.info.run_id, "labels_learned"))


def has_champion(server: Server, name: str) -> bool:
    try:
        client(server).get_model_version_by_alias(name, "champion")
    except mlflow.exceptions.MlflowException:
        return False
    return True
