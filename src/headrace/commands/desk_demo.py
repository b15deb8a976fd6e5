"""The run behind `headrace desk --demo`: the demo's pictures as a live stream, labelled by you."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from ..adapters.printing import say
from ..bridges.folder import PLACES
from ..errors import BadInput
from .demo.duel import make_stream
from .processes import headrace_command

EVENTS_N = 20_000
AT_ONCE_N = 150
EVERY_S = 0.1
READY_S = 60.0
SEED = 7

_SETTINGS = """\
stream = "desk-demo"

[schema]
classes = ["brickface", "cement", "foliage", "grass", "path", "sky", "window"]

[query.budget]
share = 0.05

[label]
deadline_s = 86_400.0
"""


def begin_demo(folder: Path | None, opened: ExitStack) -> Path:
    """Start a run in a new folder, with events that keep coming; return its `--state`.

    It ends when `opened` closes. Raises `BadInput` if the folder is not new or it does not start.
    """
    folder = folder or Path(f"headrace-desk-{time.strftime('%Y%m%d-%H%M%S')}")
    if folder.exists() and any(folder.iterdir()):
        raise BadInput(f"{folder} is not empty; give a new --state for the demo")
    folder.mkdir(parents=True, exist_ok=True)
    settings, state = folder / "headrace.toml", folder / "state"
    settings.write_text(_SETTINGS, encoding="utf-8")
    say(f"a run on the demo's pictures begins in {folder}")
    stop = threading.Event()
    writer = threading.Thread(
        target=_write_events, args=(folder / "events.jsonl", stop), daemon=True
    )
    writer.start()
    opened.callback(writer.join)
    opened.callback(stop.set)
    command = headrace_command("run", "--follow", "--settings", str(settings))
    for name in ("events", "requests", "answers"):
        command += [f"--{name}", str(folder / f"{name}.jsonl")]
    with (folder / "run.log").open("wb") as log:
        run = subprocess.Popen([*command, "--state", str(state)], stdout=log, stderr=log)
    opened.callback(_end_run, run)
    until = time.monotonic() + READY_S
    while not (state / PLACES).exists() or not (state / "settings.json").exists():
        if run.poll() is not None or time.monotonic() > until:
            raise BadInput(f"the run did not start; {folder / 'run.log'} says why")
        time.sleep(0.05)
    return state


def _end_run(run: subprocess.Popen[bytes]) -> None:
    run.terminate()
    try:
        run.wait(10)
    except subprocess.TimeoutExpired:
        run.kill()
        run.wait()


def _write_events(path: Path, stop: threading.Event) -> None:
    """Append events as a model in production logs them: some at once, one each `EVERY_S` after."""
    events = (batch.row(i) for batch, _ in make_stream(EVENTS_N, SEED) for i in range(len(batch)))
    with path.open("w", encoding="utf-8") as file:
        begun = time.time()
        for i, event in enumerate(islice(events, AT_ONCE_N)):
            at = begun - AT_ONCE_N + i
            file.write(json.dumps({"id": event.id, "at": at, "features": event.features}) + "\n")
        file.flush()
        for event in events:
            if stop.wait(EVERY_S):
                return
            line = {"id": event.id, "at": time.time(), "features": event.features}
            file.write(json.dumps(line) + "\n")
            file.flush()
