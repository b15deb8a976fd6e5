"""The audit log that `headrace run` writes in its folder while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ... import __version__
from ...adapters.chain import HashChain, encode_entry, read_entries
from ...adapters.journal import Journal
from ...adapters.snapshots.store import SnapshotStore
from ...engine import Engine
from ...settings import Settings
from ...settings.reading import differing_fields
from ..files.folder import replace_file
from .acts import DECIDED, FOLDER, Acts
from .records import RunRecords

FOLLOW_S = 1.0
"""How far the log is behind the run at most, about, in seconds."""


class DecidedLog:
    """The chain of what a run's records say; `follow_records` brings it up to them.

    It depends on the records alone: killed at any instant, it goes on with the entry that is next.
    """

    def __init__(self, state: Path, journal: Journal, settings: Settings) -> None:
        with ExitStack() as opened:
            self._records = RunRecords(state, journal, settings)
            opened.callback(self._records.close)
            self._chain = opened.enter_context(
                closing(
                    HashChain(
                        state / FOLDER,
                        DECIDED,
                        first={"stream": settings.stream},
                        waits=False,
                        file_bytes_max=settings.audit.file_bytes_max,
                        files_max=settings.audit.files_max,
                    )
                )
            )
            self._written_n = self._go_on()
            self._opened = opened.pop_all()

    @property
    def head(self) -> str:
        return self._chain.head

    @property
    def n(self) -> int:
        return self._chain.n

    def follow_records(self) -> None:
        """Write the entries of the records that came since."""
        for group in self._records.read_groups():
            number, skipped_n = self._records.groups_n - 1, self._written_n
            self._written_n = 0
            self._chain.append(
                entry | {"record": [number, i]} for i, entry in enumerate(group) if i >= skipped_n
            )

    def sync(self) -> None:
        self._chain.sync()

    def close(self) -> None:
        self._opened.close()

    def _go_on(self) -> int:
        """Return how many entries of the next group are written; the last one names its group."""
        number, i = self._chain.last.get("record") or _last_record(self._chain.folder)
        reached_n = self._records.skip_groups(number)
        if reached_n == number + 1 == self._records.begun_n:
            # The journal was begun anew behind that group, which was the last: an erasure.
            return 0
        has_all = reached_n == number and (i < 0 or self._records.has_more)
        if not has_all:
            # A loss of power took records that the log has; what follows is decided anew.
            from_n = self._records.groups_n
            self._chain.append([{"what": "records_lost", "record": [from_n, -1]}])
            return 0
        return i + 1


def _last_record(folder: Path) -> tuple[int, int]:
    """Return the last group number in a log, and the number of the entry within that group."""
    last = (0, -1)
    for entry in read_entries(folder, DECIDED):
        last = entry.get("record", last)
    return last


class AuditedRun(Protocol):
    """What a log needs of its run."""

    settings: Settings
    journal: Journal
    store: SnapshotStore
    before_anew: Callable[[], None]

    @property
    def engine(self) -> Engine: ...


class NoLog:
    """The log of a run that keeps none."""

    def follow_if_due(self) -> None: ...

    def close(self) -> None: ...


class RunLog:
    """The log of a run that goes on: what its records say, about each second, and its own acts."""

    def __init__(self, run: AuditedRun) -> None:
        self._run = run
        state = run.journal.path.parent
        self._decided = DecidedLog(state, run.journal, run.settings)
        self._acts = Acts(state / FOLDER)
        self._snapshot = run.store.newest
        self._followed_at = -FOLLOW_S
        self._note_start(state)
        self._follow_records()
        run.before_anew = self._decided.follow_records

    def follow_if_due(self) -> None:
        """Follow the records about once a second; call this after each step of the run."""
        if time.monotonic() - self._followed_at >= FOLLOW_S:
            self._follow_records()

    def close(self) -> None:
        with closing(self._decided):
            self._follow_records()
            self._acts.record("stopped", **self._how_far())

    def _follow_records(self) -> None:
        self._decided.follow_records()
        if self._run.store.newest != self._snapshot:
            self._snapshot = self._run.store.newest
            self._acts.record("snapshot", **_describe_snapshot(self._snapshot), **self._how_far())
        self._followed_at = time.monotonic()

    def _how_far(self) -> dict[str, Any]:
        """Return the state of the run, and the end of the chain of decisions, to be fixed here."""
        self._decided.sync()
        engine = self._run.engine
        return {
            "events_n": engine.shard.events_n,
            "model_version": engine.trainer.version,
            "decided_n": self._decided.n,
            "decided": self._decided.head,
        }

    def _note_start(self, state: Path) -> None:
        now = msgspec.json.decode(msgspec.json.encode(self._run.settings))
        kept_settings = state / FOLDER / "settings.json"
        then = msgspec.json.decode(
            (kept_settings if kept_settings.exists() else state / "settings.json").read_bytes()
        )
        changed = [where for where, _, _ in differing_fields(then, now)]
        code = state / "code.json"
        self._acts.record(
            "started",
            version=__version__,
            settings=sha256(encode_entry(now)).hexdigest(),
            changed=changed,
            code=msgspec.json.decode(code.read_bytes()) if code.exists() else {},
            **({"restored": _describe_snapshot(self._snapshot)} if self._snapshot else {}),
            **self._how_far(),
        )
        replace_file(kept_settings, msgspec.json.encode(now))


def open_log(run: AuditedRun) -> RunLog | NoLog:
    """Open the log of a run, if `audit.is_kept`."""
    return RunLog(run) if run.settings.audit.is_kept else NoLog()


def _describe_snapshot(path: str) -> dict[str, str]:
    """Return a snapshot's name and the hash of its content."""
    return {"snapshot": Path(path).name, "sha256": sha256(Path(path).read_bytes()).hexdigest()}
