"""A server of somebody else's program on loopback, with data in a folder of the test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

POLL_S = 0.25


class Served(ABC):
    """`start`, `stop`, `start` again with the same data and port; it does not outlive the tests."""

    UP_S_MAX = 600.0
    STOP_S_MAX = 30.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What it finds in its environment besides ours and a home in its folder."""

    @abstractmethod
    def is_up(self) -> bool:
        """Whether it answers."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env={**os.environ, "HOME": str(self.folder), **self.environment()},
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        until = time.monotonic() + self.UP_S_MAX
        while not self.is_up():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                told = (self.folder / "log.txt").read_text(errors="replace")[-3000:]
                raise AssertionError(f"{type(self).__name__} did not start:\n{told}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        if self._process is None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, sign)
                self._process.wait(self.STOP_S_MAX)
                break
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._process = None
