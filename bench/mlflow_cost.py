"""What it costs a run to keep versions, and to be shown in MLflow (docs/MLFLOW.md).

    PYTHONPATH=src:.:tests .mlflow/bin/python bench/mlflow_cost.py

Runs over the demo's pictures with the default model, in turns: without versions, with five, and
with five while `headrace mlflow` shows it in a real server on the same machine. CPU seconds of the
run alone, as its parent is told them; the least of each is the figure, since whatever else the
machine does only adds to it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests_mlflow.demo_run import DemoRun
from tests_mlflow.server import Server

EVENTS_N, TURNS_N = 1_500, 3
SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def cpu_s(command: list[str]) -> float:
    """What one program takes, seconds."""
    with subprocess.Popen(command, **SILENT) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return used.ru_utime + used.ru_stime


def shown(run: DemoRun, state: Path, url: str) -> tuple[float, float]:
    """A run beside `headrace mlflow`: what the run took, and what showed it, from start to end."""
    begun = subprocess.Popen(run.command(state, 5), **SILENT)
    while not (state / "settings.json").exists():
        assert begun.poll() is None
    track = [sys.executable, "-m", "headrace", "mlflow", str(state), "--server", url]
    with subprocess.Popen(track, **SILENT) as beside:
        _, status, used = os.wait4(begun.pid, 0)
        begun.returncode = os.waitstatus_to_exitcode(status)
        beside.terminate()
        beside.wait()
    assert begun.returncode == 0
    return used.ru_utime + used.ru_stime, cpu_s([*track, "--once"])


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="headrace-cost-"))
    run = DemoRun(folder)
    run.write(EVENTS_N)
    taken: dict[str, list[float]] = {"no versions": [], "five versions": [], "shown": []}
    after: list[float] = []
    try:
        with Server(folder / "server") as server:
            for turn in range(TURNS_N):
                taken["no versions"].append(cpu_s(run.command(folder / f"none-{turn}", 0)))
                taken["five versions"].append(cpu_s(run.command(folder / f"five-{turn}", 5)))
                took_s, catch_up_s = shown(run, folder / f"shown-{turn}", server.url)
                taken["shown"].append(took_s)
                after.append(catch_up_s)
    finally:
        shutil.rmtree(folder)
    for name, seconds in taken.items():
        told = ", ".join(f"{one:.2f}" for one in seconds)
        print(f"{name:>14}  least {min(seconds):.2f} s of CPU, all {told}")
    print(
        f"{'catching up':>14}  least {min(after):.2f} s of CPU after the run, in `headrace mlflow`"
    )


if __name__ == "__main__":
    main()
