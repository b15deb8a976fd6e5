"""Several processes that are started and stopped together, and never outlive their starter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from .stopping import catch_stop_signals

POLLED_EVERY_S = 0.1
STANDARD_INPUT = 0


def headrace_command(*words: str) -> list[str]:
    """Return the command that runs `headrace` in another process; it imports from where we do."""
    # By itself -m puts the current folder first, where `headrace` itself does not look.
    is_here = any(not path or Path(path) == Path.cwd() for path in sys.path)
    return [sys.executable, *([] if is_here else ["-P"]), "-m", "headrace", *words]


def run_processes(commands: Sequence[Sequence[str]], *, stop_s: float) -> int:
    """Run the commands beside each other until all have ended; return an exit code.

    SIGTERM and Ctrl-C are passed on as SIGTERM. If a process ends by itself, the others are told to
    stop too: whoever watches this one starts all of them anew. What has not ended `stop_s` seconds
    after it was told to is killed. The code is the first other than 0, that of a process that a
    signal ended being 128 and its number; else 0. A process that was told to stop before it could
    catch the signal ended as it should. A command has to call `end_with_starter`.
    """
    with catch_stop_signals() as stop:
        # Groups of their own: a terminal sends Ctrl-C to this process alone.
        running = [
            subprocess.Popen(words, stdin=subprocess.PIPE, process_group=0) for words in commands
        ]
        codes, until = list[int](), float("inf")
        while running:
            ended = [process for process in running if process.poll() is not None]
            running = [process for process in running if process not in ended]
            codes += [_close(process, is_told=until < float("inf")) for process in ended]
            if (ended or stop.is_set()) and until == float("inf"):
                until = time.monotonic() + stop_s
                for process in running:
                    process.terminate()
            if time.monotonic() >= until:
                for process in running:
                    process.kill()
            stop.wait(POLLED_EVERY_S) if until == float("inf") else time.sleep(POLLED_EVERY_S)
    return next((code for code in codes if code), 0)


def _close(process: subprocess.Popen[bytes], *, is_told: bool) -> int:
    """Close the pipe to a process that has ended; return its code as a shell has it."""
    assert process.stdin is not None
    process.stdin.close()
    code = process.returncode
    if is_told and code == -signal.SIGTERM:
        return 0
    return 128 - code if code < 0 else code


def end_with_starter() -> None:
    """Send this process SIGTERM when the one that started it is gone, even if that was killed.

    The starter holds the other end of the standard input, so its end is the starter's.
    """

    def watch() -> None:
        # Not by `sys.stdin`: a thread that holds its lock ends the interpreter with a fault.
        while os.read(STANDARD_INPUT, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="headrace-starter", daemon=True).start()
