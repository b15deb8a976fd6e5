"""Several processes under one: stopped together, told apart by their ports, none left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.cli import main
from headrace.commands.processes import run_processes
from headrace.commands.worker import command_of, settings_at
from headrace.settings import parse

WAIT_S = 60.0
CHILD = """
import os, signal, sys, time
from pathlib import Path
from headrace.commands.processes import end_with_starter
path, code, life_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
def stop(*_):
    path.with_suffix(".stopped").touch()
    if code >= 0:
        os._exit(code)
signal.signal(signal.SIGTERM, stop)
end_with_starter()
path.write_text(str(os.getpid()))
until = time.monotonic() + life_s
while time.monotonic() < until:
    time.sleep(0.02)
os._exit(max(0, code))
"""


def child(path: Path, code: int, life_s: float) -> list[str]:
    """A process that says its pid, then its end; a code below 0: it does not stop when told to."""
    return [sys.executable, "-c", CHILD, str(path), str(code), str(life_s)]


def wait_for(*paths: Path) -> None:
    until = time.monotonic() + WAIT_S
    while not all(path.exists() and (path.suffix or path.read_text()) for path in paths):
        assert time.monotonic() < until, paths
        time.sleep(0.02)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_that_fails_ends_all_with_its_code(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    commands = [child(paths[0], 0, WAIT_S), child(paths[1], 3, 2.0), child(paths[2], 0, WAIT_S)]
    assert run_processes(commands, stop_s=WAIT_S) == 3
    assert (tmp_path / "a.stopped").exists() and (tmp_path / "c.stopped").exists()
    assert not any(is_there(int(path.read_text())) for path in paths)


def test_one_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    commands = [child(tmp_path / "a", -1, WAIT_S), child(tmp_path / "b", 0, 3.0)]
    assert run_processes(commands, stop_s=1.0) == 128 + signal.SIGKILL


def test_one_that_is_stopped_before_it_listens_ends_as_it_should(tmp_path: Path) -> None:
    asleep = [sys.executable, "-c", f"import time; time.sleep({WAIT_S})"]
    assert run_processes([asleep, child(tmp_path / "a", 0, 0.5)], stop_s=WAIT_S) == 0


STARTER = """
import json, sys
from headrace.commands.processes import run_processes
sys.exit(run_processes(json.loads(sys.argv[1]), stop_s=30.0))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_none_outlives_the_one_that_started_them(tmp_path: Path, number: signal.Signals) -> None:

    paths = [tmp_path / "a", tmp_path / "b"]
    commands = json.dumps([child(path, 0, WAIT_S) for path in paths])
    starter = subprocess.Popen([sys.executable, "-c", STARTER, commands])
    wait_for(*paths)
    starter.send_signal(number)
    code = starter.wait(WAIT_S)
    assert code == (-number if number == signal.SIGKILL else 0)
    wait_for(tmp_path / "a.stopped", tmp_path / "b.stopped")


def test_each_worker_has_a_port_of_its_own() -> None:
    settings = parse({"http": {"port": 9_464}})
    assert [settings_at(i, settings).http.port for i in range(3)] == [9_464, 9_465, 9_466]
    assert settings_at(2, parse({})).http.port == 0


@pytest.mark.parametrize("is_here", [False, True])
def test_a_worker_imports_from_the_current_folder_only_if_its_starter_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_here: bool
) -> None:
    """The command `headrace` does not look there, `python -m headrace` does."""
    (tmp_path / "argparse.py").write_text("raise SystemExit(42)")
    there = [path for path in sys.path if path]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(there))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *there] if is_here else there)
    command = command_of(0, tmp_path / "missing.toml")
    nothing = subprocess.DEVNULL
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=nothing)
    assert done.returncode == (42 if is_here else 2)
    assert is_here or "missing.toml" in done.stderr


@pytest.mark.parametrize(
    ("words", "port", "said"),
    [
        (["--processes", "0"], 0, "--processes is 0; must be 1 to 64"),
        (["--processes", "2", "--live"], 0, "leave one out"),
        (["--processes", "3"], 65_534, "http.port is 65534, and 3 workers want as many ports"),
    ],
)
def test_processes_that_cannot_be_started_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], port: int, said: str
) -> None:
    path = tmp_path / "headrace.toml"
    path.write_text(
        f'[schema]\nclasses = ["a", "b"]\n[kafka]\nservers = ["127.0.0.1:1"]\n'
        f'events = "e"\n[http]\nport = {port}\n'
    )
    assert main(["worker", "--settings", str(path), *words]) == 2
    assert said in capsys.readouterr().err
