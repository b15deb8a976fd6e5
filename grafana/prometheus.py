"""A Prometheus of one's own on loopback, and questions to it; for the picture and the checks."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

CACHE = Path(__file__).parents[1] / ".prometheus"
"""Where .ci/prometheus.sh unpacks Debian's package."""

READY_S_MAX = 120.0
ANSWER_S_MAX = 60.0


def program(name: str) -> str | None:
    """Path of `prometheus` or `promtool`: an installed one, else that of the cache; else None."""
    cached = CACHE / "usr" / "bin" / name
    return shutil.which(name) or (str(cached) if cached.is_file() else None)


def required(name: str) -> str:
    """The same, or an error that says what to do."""
    found = program(name)
    if found is None:
        raise FileNotFoundError(f"there is no {name}; install it, or run .ci/prometheus.sh")
    return found


def free_port() -> int:
    """A port of loopback that nobody had a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Prometheus:
    """A server on a folder of blocks, scraping what it is told to; to be used in a `with`."""

    def __init__(
        self, blocks: Path, config: str, *, port: int = 0, rules: Sequence[Path] = ()
    ) -> None:
        """`config` is the text of its settings; `rules` are put into them by their full paths."""
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._blocks = blocks
        if rules:
            config += "\nrule_files:\n" + "".join(f"  - {path.resolve()}\n" for path in rules)
        self._config = config
        self._log = blocks.parent / "prometheus.log"

    def __enter__(self) -> Prometheus:
        settings = self._blocks.parent / "prometheus.yml"
        settings.write_text(self._config, encoding="utf-8")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [
                    required("prometheus"),
                    f"--config.file={settings}",
                    f"--storage.tsdb.path={self._blocks}",
                    "--storage.tsdb.retention.time=365d",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    # Back-filled samples have no end that says so: look back no further than one.
                    "--query.lookback-delta=15s",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self._wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_S_MAX
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.1)
        self._process.kill()
        self._process.wait()
        raise RuntimeError(f"Prometheus did not get ready:\n{self._log.read_text()[-2_000:]}")

    # --------------------------------------------------------------------------- questions

    def ask(self, path: str, **parameters: Any) -> Any:
        """`data` of an answer of its API; raises `ValueError` with its reason if refused."""
        body = urllib.parse.urlencode(parameters, doseq=True)
        where = f"{self.url}/api/v1/{path}?{body}"
        try:
            with urllib.request.urlopen(where, timeout=ANSWER_S_MAX) as answer:
                told = json.load(answer)
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from error
        return told["data"]

    def over(self, expr: str, start: float, end: float, step_s: float) -> list[dict[str, Any]]:
        """Series with `values` from start to end."""
        found = self.ask("query_range", query=expr, start=start, end=end, step=step_s)
        return list(found["result"])

    def at(self, expr: str, moment: float) -> list[dict[str, Any]]:
        """Series with one `value` each, at a moment."""
        return list(self.ask("query", query=expr, time=moment)["result"])

    def values(self, selector: str, label: str, start: float, end: float) -> list[str]:
        """The values of a label over a time, as `label_values` of a dashboard gets them."""
        asked = {"match[]": selector, "start": start, "end": end}
        return list(self.ask(f"label/{label}/values", **asked))
