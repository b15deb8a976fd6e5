"""Log lines of a worker: for people, or one JSON object a line; to standard error.

A line has its time, level, logger and message. No setting that holds a secret is ever logged: a
`client.Secret` does not show itself, and no other module has one.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable

from ...settings.kafka import WorkerSettings

QUIET = ("aiokafka", "faust", "mode", "kafka")
"""Libraries whose chatter is of no use to an operator: only their errors are shown."""


SELDOM_S = 30.0
KIND_LENGTH = 40
KINDS_MAX = 1_000
"""How many kinds of lines are told apart; at the limit all are forgotten, and pass once more."""


class JsonLines(logging.Formatter):
    """One object a line: at (RFC 3339), level, logger, message, and the error if there was one."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "at": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Seldom(logging.Filter):
    """Lets each kind of line of a library pass once in `SELDOM_S`: an outage has thousands."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(QUIET):
            return True
        kind = (record.name, str(record.msg)[:KIND_LENGTH])
        if record.created - self._passed.get(kind, 0.0) < SELDOM_S:
            return False
        if len(self._passed) >= KINDS_MAX:
            self._passed.clear()
        self._passed[kind] = record.created
        return True


class Noted(logging.Handler):
    """Passes the messages of warnings and worse to `note`."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        self._note(record.getMessage())


def set_up(worker: WorkerSettings, note: Callable[[str], None] | None = None) -> None:
    """Send all logging of this process to standard error, as the settings say, or to `note`."""
    handler = logging.StreamHandler(sys.stderr) if note is None else Noted(note)
    if worker.log_format == "json":
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    handler.addFilter(Seldom())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(worker.log_level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
