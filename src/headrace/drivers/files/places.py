"""Where the files of a run are, and checks that no two of them are the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ...adapters.brokers.copying import COPY as QUEUE_COPY
from ...adapters.brokers.copying import MARK as QUEUE_MARK
from ...adapters.tables.records import is_export, is_table
from ...errors import BadSettings
from .copying import ANSWERS, COPY

OWN = (
    "journal",
    "decisions.jsonl",
    "rejects.jsonl",
    "settings.json",
    "settings.new",
    "code.json",
    "code.new",
    "orders.jsonl",
    "erasures.jsonl",
    "erased.jsonl",
    "places.json",
    "report.json",
    "lock",
)
"""The files that a run writes in its folder, beside its snapshots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """The paths of a run's files, and of its folder, `state`.

    `events` is None for standard input, and if `queue` is the URL of a stream or queue; `settings`
    is None if there is no such file.
    """

    events: Path | None
    answers: Path | None
    requests: Path
    state: Path
    settings: Path | None = None
    queue: str | None = None


def explain_no_run(folder: Path) -> str:
    """Return the error message for a folder that is no run's."""
    return f"{folder} holds no recorded run; give the --state of a `headrace run`"


def refuse_the_same(places: RunFiles) -> None:
    """Raise `BadSettings` if a file is given in two roles, or is one of the run's own files.

    It would be read as what it is not, or grow by what it leads to. Two names are one file if a
    link leads from one to the other, or if they differ in case alone: some file systems do not tell
    those apart.
    """
    given = {
        "--events": places.events,
        "--answers": places.answers,
        "--requests": places.requests,
        "--settings": places.settings,
    }
    own = {name: places.state / name for name in OWN}
    if places.queue is not None:
        own |= {name: places.state / name for name in (QUEUE_COPY, QUEUE_MARK)}
    elif places.events is None:
        own["stdin.jsonl"] = places.state / "stdin.jsonl"
    elif is_table(places.events):
        own[COPY] = places.state / COPY
    if places.answers is not None and is_export(places.answers):
        own[ANSWERS] = places.state / ANSWERS
    named = [(role, path) for role, path in given.items() if path is not None]
    for i, (role, path) in enumerate(named):
        for other, other_path in named[:i]:
            if _are_one(path, other_path):
                raise BadSettings(
                    f"{other} and {role} are both {path}; give each a file of its own"
                )
        for name, other_path in own.items():
            if _are_one(path, other_path):
                raise BadSettings(
                    f"{role} is {path}, which is the run's own {name} in --state {places.state}; "
                    "give another file"
                )
        if (places.state / "snapshots").resolve() in path.resolve().parents:
            raise BadSettings(
                f"{role} is {path}, in the folder of the run's snapshots; give a file elsewhere"
            )


def refuse_to_follow(places: RunFiles) -> None:
    """Raise `BadSettings` for answers in a table, an export or a packed file: they are read whole.

    So are answers in a file that is to be a table and is not there yet. Events in such a file are
    read whole too, and the answers to them may be followed all the same.
    """
    answers = places.answers
    if answers is not None and (is_table(answers) or is_export(answers)):
        raise BadSettings(
            f"--follow can't read {answers}: an export is read whole; leave --follow out "
            "and start again for each export, or give JSON lines"
        )


def _are_one(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        return path.samefile(other)
    return str(path.resolve()).casefold() == str(other.resolve()).casefold()


def is_whole(line: bytes) -> bool:
    """Whether a last line without a newline is complete: an object or array of JSON.

    No beginning of one is one itself, so a complete one was not cut while it was written.

    >>> is_whole(b'{"id": "e1"}'), is_whole(b'{"id": "e'), is_whole(b"12")
    (True, False, False)
    """
    if not line.rstrip().endswith((b"}", b"]")):
        return False
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False


def recorded_path(path: Path, state: Path) -> str:
    """Return a path as the journal has it: relative in the run's folder, which may be moved."""
    path, state = path.resolve(), state.resolve()
    return path.name if path.parent == state else str(path)
