"""Python programs that start at once: forked from one process in which Headrace is imported.

Importing river, SciPy and Faust takes seconds of a processor, and the suite starts many hundred
programs. `start_python` and `run_python` take what `python` takes, `-m headrace ...`, `-c CODE` or
`FILE ...`, and give a process of its own, with a folder, an environment and pipes of its own, to
be killed and waited for like any other. A test of the start itself, of another hash seed, or of
what an import brings, needs a real `python`.

No program outlives the one that started it, even if that is killed: each has a guard, which is
told by the end of a socket.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, Any

REQUEST_BYTES_MAX = 200_000


class Program:
    """A started program; as far as it goes, what `subprocess.Popen` offers."""

    def __init__(self, guard: socket.socket) -> None:
        self._guard = guard
        self._told = guard.makefile("rb")
        pid = self._told.readline()
        assert pid, "the process that forks is gone; what it says stands above"
        self.pid = int(pid)
        self.returncode: int | None = None
        self.stdin: IO[Any] | None = None
        self.stdout: IO[Any] | None = None
        self.stderr: IO[Any] | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._read_code(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; its exit code. Raises `TimeoutExpired` after `timeout` s."""
        code = self._read_code(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing if it has ended."""
        if self.poll() is None:
            self._guard.send(bytes([number]))

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait until it has ended; what it wrote to the pipes, which are closed."""
        self.wait(timeout)
        told = [pipe.read() if pipe else "" for pipe in (self.stdout, self.stderr)]
        for pipe in filter(None, (self.stdin, self.stdout, self.stderr)):
            pipe.close()
        return told[0], told[1]

    def _read_code(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._guard], [], [], timeout)[0]:
            self.returncode = int(self._told.readline())
            self._told.close()
            self._guard.close()
        return self.returncode


def start_python(
    *words: str,
    stdin: int | IO[Any] | None = None,
    stdout: int | IO[Any] | None = None,
    stderr: int | IO[Any] | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Program:
    """Start `python` with these words; `stdout` and `stderr` may be PIPE, which is read as text."""
    ours, guards = socket.socketpair()
    pipes: dict[str, IO[Any]] = {}
    files: list[int] = []
    owned: list[int] = []
    for name, given in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
        if given == subprocess.PIPE:
            reading, writing = os.pipe()
            kept, sent = (writing, reading) if name == "stdin" else (reading, writing)
            pipes[name] = open(kept, "w" if name == "stdin" else "r", encoding="utf-8")  # noqa: SIM115, PTH123
        elif given is None or given == subprocess.DEVNULL:
            sent = os.open(os.devnull, os.O_RDWR) if given or name == "stdin" else os.dup(2)
        elif given == subprocess.STDOUT:
            sent = os.dup(files[1])
        else:
            sent = os.dup(given if isinstance(given, int) else given.fileno())
        files.append(sent)
        owned.append(sent)
    told = {"words": words, "cwd": str(cwd or Path.cwd()), "env": dict(env or os.environ)}
    socket.send_fds(_nursery(), [json.dumps(told).encode()], [*files, guards.fileno()])
    guards.close()
    for file in owned:
        os.close(file)
    program = Program(ours)
    program.stdin, program.stdout, program.stderr = map(pipes.get, ("stdin", "stdout", "stderr"))
    return program


def run_python(
    *words: str,
    timeout: float = 300.0,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `python` with these words to its end; its exit code and what it wrote."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        program = start_python(*words, stdout=out, stderr=err, cwd=cwd, env=env)
        try:
            code = program.wait(timeout)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


@cache
def _nursery() -> socket.socket:
    """The socket of the process that forks, which ends when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


# ------------------------------------------------------------------------- the process that forks


def serve(requests: socket.socket) -> None:
    """Fork a program at each request. Returns only in such a program, with nothing but its own."""
    from headrace.cli import COMMANDS  # noqa: PLC0415 - a client needs none of it

    for _, module in COMMANDS.values():
        import_module(module)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, files, _, _ = socket.recv_fds(requests, REQUEST_BYTES_MAX, 4)
        if not request:
            os._exit(0)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            return _guard_program(json.loads(request), files)
        for file in files:
            os.close(file)


def _guard_program(request: dict[str, Any], files: list[int]) -> None:
    """Fork once more. Returns in the program; its guard passes signals on until it has ended."""
    guard = socket.socket(fileno=files.pop())
    pid = os.fork()
    if pid == 0:
        guard.close()
        _become(request, files)
        return
    for file in files:
        os.close(file)
    guard.send(f"{pid}\n".encode())
    threading.Thread(target=_pass_signals_on, args=(guard, pid), daemon=True).start()
    _, status = os.waitpid(pid, 0)
    try:
        guard.send(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    finally:
        os._exit(0)


def _pass_signals_on(guard: socket.socket, pid: int) -> None:
    # It may have ended by itself.
    with suppress(ProcessLookupError):
        while received := guard.recv(1):
            os.kill(pid, received[0])
        # A stopped program takes no other signal than this one.
        os.kill(pid, signal.SIGKILL)


def _become(request: dict[str, Any], files: list[int]) -> None:
    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout = open_text(0, "r"), open_text(1, "w")
    sys.stderr = open_text(2, "w", buffering=1, errors="backslashreplace")
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    if hasattr(time, "tzset"):
        time.tzset()
    sys.argv = request["words"]


def open_text(number: int, mode: str, **how: Any) -> Any:
    return open(number, mode, encoding="utf-8", closefd=False, **how)


def run_words(words: list[str]) -> None:
    """What `python` does with its words."""
    if places := os.environ.get("PYTHONPATH"):
        # An empty one of several is the folder that it starts in.
        sys.path[:0] = places.split(os.pathsep)
    for option in filter(None, os.environ.get("PYTHONWARNINGS", "").split(",")):
        action, _, category = option.partition("::")
        warnings.simplefilter(action, getattr(builtins, category or "Warning"))
    first, *others = words
    if first == "-m":
        sys.argv = others
        sys.path.insert(0, "")
        if others[0] in ("headrace", "headrace.cli"):
            sys.exit(import_module("headrace.cli").main())
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.path.insert(0, "")
        sys.argv = ["-c", *others[1:]]
        program = ModuleType("__main__")
        sys.modules["__main__"] = program
        exec(compile(others[0], "<string>", "exec"), program.__dict__)
    else:
        sys.path.insert(0, str(Path(first).parent))
        runpy.run_path(first, run_name="__main__")


def main(arguments: Sequence[str]) -> None:
    """The nursery; in each program that it forks, that program."""
    # Where a script lies is no place of imports of a program's.
    sys.path.pop(0)
    serve(socket.socket(fileno=int(arguments[0])))
    run_words(sys.argv)


if __name__ == "__main__":
    main(sys.argv[1:])
