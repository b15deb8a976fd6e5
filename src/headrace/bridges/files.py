"""A folder as a bridge: tasks in files in `tasks/`, answers in files that people put in `answers/`.

A file of tasks is written whole or not at all. When a task ends, its file is rewritten without it,
and removed after the last one; a file that somebody has changed is left alone. A file of answers is
read when it has not changed for a while, and again when it changes.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..adapters.jsonl import sync_folder
from ..errors import BadInput, BadSettings
from ..importing import SAID_MAX, suggest_nearest
from ..label.answers import fault_of
from ..messages import Answer
from .bridge import Delivery, Receipt, Unreachable
from .formats import FilesSettings, Given, Reading, format_class
from .formats.memory import FolderMemory, TaskFile, digest_of
from .formats.settings import faults_of_files, fold_class

REPLIES_MAX = 1_000
"""The most replies in one receipt."""

_UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".download", ".new", ".swp", "~")


@dataclass(frozen=True, slots=True)
class _Found:
    """A file of answers. `name` is its path below `answers/`, `look` its size, time and inode.

    `size` is in bytes, `at` its time of change in seconds since the epoch. `annotator` names the
    folder that it is in, "" for none.
    """

    name: str
    path: Path
    look: str
    size: int
    at: float
    annotator: str


class Files:
    """A bridge to people who work with files; see docs/FORMATS.md.

    Args:
        settings: The section `[bridges.files]`.
        folder: Has the bridge's own memory and, unless `settings.folder` names another, `tasks/`
            and `answers/`.
        clock: Returns the time, seconds since the epoch.
        outlives_power: Whether files survive a loss of power.

    Raises:
        BadSettings: Settings don't fit together, or the folder was begun with another format.
        BadInput: The folder can't be used.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> bridge = Files(FilesSettings(format="csv"), folder)
    >>> bridge.receive("").replies
    ()
    >>> bridge.close()
    """

    Settings = FilesSettings

    def __init__(
        self,
        settings: FilesSettings,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        outlives_power: bool = True,
    ) -> None:
        self._section = f"bridges.{folder.name}"
        if faults := [f"{self._section}.{fault}" for fault in self.faults_of(settings)]:
            raise BadSettings(faults)
        self._settings = settings
        self._format = format_class(settings.format, f"{self._section}.format")(settings)
        self._clock = clock
        self._outlives_power = outlives_power
        home = Path(settings.folder).expanduser() if settings.folder else folder
        self.tasks = home / "tasks"
        self.answers = home / "answers"
        self._problems: dict[str, str] = {}
        self._quiet_since: dict[str, tuple[str, float]] = {}
        self._classes = {fold_class(name): name for name in settings.classes}
        try:
            self.tasks.mkdir(parents=True, exist_ok=True)
            self.answers.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{error.filename} can't be made: {error.strerror}") from error
        self._memory = FolderMemory(folder / "files.sqlite", outlives_power=outlives_power)
        # With other settings a file may give other answers: all files are read again.
        self._memory.use_settings(digest_of(msgspec.json.encode(settings)))
        begun_with = self._memory.replies.recall_note("format", settings.format)
        if begun_with != settings.format:
            self.close()
            raise BadSettings(
                f"{self._section}.format is {settings.format!r}, and {folder} was begun with "
                f"{begun_with!r}; give the other format a bridge of its own, with another name"
            )

    @staticmethod
    def faults_of(settings: FilesSettings) -> list[str]:
        """Check settings.

        Args:
            settings: The section `[bridges.files]`.

        Returns:
            What does not fit together, as sentences that begin with a setting's name; empty if all
            does.
        """
        faults = faults_of_files(settings)
        try:
            format_class(settings.format, "format")
        except BadSettings as error:
            faults += error.faults
        return faults

    def close(self) -> None:
        """Close the bridge's own memory."""
        self._memory.close()

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Store the tasks; write them when there are enough, or one has waited long enough.

        Args:
            deliveries: Tasks to make or to remove.
        """
        self._memory.take_deliveries(deliveries, self._clock())
        # The tasks are safe now; `receive` reports a folder that can't be written.
        with suppress(Unreachable):
            self._write_tasks()

    def receive(self, mark: str) -> Receipt:
        """Read the files of answers; a fault of a file is reported once.

        Args:
            mark: The mark of an earlier receipt; "" at first.

        Returns:
            What is new since the mark.
        """
        faults: list[str] = []
        replies, reached = self._memory.replies.read_after(mark, REPLIES_MAX)
        if not replies:
            self._read_answers(faults)
            replies, reached = self._memory.replies.read_after(mark, REPLIES_MAX)
        if not replies and not faults:
            self._write_tasks()
        return Receipt(replies=replies, mark=reached, faults=tuple(faults))

    # ---------------------------------------------------------------------------------- tasks

    def _write_tasks(self) -> None:
        settings = self._settings
        self._memory.assign_requests(
            self._format.suffix, settings.tasks_max, settings.gather_s, self._clock()
        )
        for file in self._memory.list_stale():
            with _translate_errors():
                self._update_file(file)

    def _update_file(self, file: TaskFile) -> None:
        """Bring one file of tasks up to date, unless somebody took or changed it."""
        path = self.tasks / file.name
        content = self._format.tasks_of(file.requests) if file.requests else b""
        digest = digest_of(content)
        current = digest_of(path.read_bytes()) if path.is_file() else ""
        if not (current in file.ours if current else not file.was_written):
            digest = file.ours[0] or digest  # No longer ours; the digest of our last content stays.
        elif file.requests:
            self._memory.will_write(file, digest)
            new = path.with_name(f".{file.name}.new")
            with new.open("wb") as out:
                out.write(content)
                out.flush()
                if self._outlives_power:
                    os.fsync(out.fileno())
            new.replace(path)
            if self._outlives_power:
                sync_folder(self.tasks)
        else:
            path.unlink(missing_ok=True)
        self._memory.has_written(file, digest)

    # -------------------------------------------------------------------------------- answers

    def _read_answers(self, faults: list[str]) -> None:
        before = self._memory.read_before()
        with _translate_errors():
            problems: dict[str, str] = {}
            files = {file.name: file for file in _files_in(self.answers, problems)}
        if gone := [name for name in before if name not in files]:
            self._memory.forget_files(gone)
        self._quiet_since = {n: v for n, v in self._quiet_since.items() if n in files}
        for name, file in files.items():
            look, digest = before.get(name, ("", ""))
            if look != file.look and self._is_quiet(file):
                try:
                    self._read_file(file, digest, faults)
                except OSError as error:
                    problems[name] = f"can't be read: {error.strerror}"
        faults += [
            f"answers/{name} {problem}"
            for name, problem in problems.items()
            if self._problems.get(name) != problem
        ]
        self._problems = problems

    def _is_quiet(self, file: _Found) -> bool:
        """Whether a file has looked the same for long enough."""
        look, since = self._quiet_since.get(file.name, ("", 0.0))
        now = time.monotonic()
        if look != file.look:
            self._quiet_since[file.name] = (file.look, now)
            return self._settings.quiet_s == 0
        return now - since >= self._settings.quiet_s

    def _read_file(self, file: _Found, digest_before: str, faults: list[str]) -> None:
        if file.size > self._settings.file_bytes_max:
            faults.append(
                f"answers/{file.name} has {file.size} bytes and is not read; cut it in pieces, or "
                f"raise {self._section}.file_bytes_max"
            )
            self._memory.looked_at(file.name, file.look, "")
            return
        content = file.path.read_bytes()
        if _look_of(file.path.stat()) != file.look:
            return  # It was changed while it was read.
        digest = digest_of(content)
        if digest == digest_before:
            self._memory.looked_at(file.name, file.look, digest)
            return
        try:
            reading = self._format.replies_of(content)
        except Exception as error:
            # A format from outside may raise anything, and other files must still be read.
            reading = Reading()
            reading.fault(f"its format failed: {type(error).__name__}: {error}"[:SAID_MAX])
        answers = [
            answer
            for answer in (self._check_answer(g, file, reading) for g in reading.given)
            if answer
        ]
        at = min(file.at, self._clock())
        self._memory.take_answers((file.name, file.look, digest), answers, reading.blank, at)
        faults += [f"answers/{file.name}: {fault}" for fault in reading.faults]
        if (more_n := reading.faults_n - len(reading.faults)) > 0:
            faults.append(f"answers/{file.name}: and {more_n} more faults")

    def _check_answer(self, given: Given, file: _Found, reading: Reading) -> Given | None:
        """Complete an answer: its class in our spelling, its annotator; None after a fault."""
        label = given.label
        if label is not None and label.strip() == self._settings.cannot_tell:
            label = None
        if label is not None and self._classes and label not in self._settings.classes:
            our_label = self._classes.get(fold_class(label))
            if our_label is None:
                known = self._settings.classes
                reading.fault(
                    f"class {label[:60]!r} is none of {', '.join(known)[:200]}"
                    f"{suggest_nearest(label, known)}",
                    given.line,
                )
                return None
            label = our_label
        who = given.annotator or file.annotator
        answer = Answer(
            request_id=given.request_id,
            label=label,
            at=file.at if given.at is None else given.at,
            annotator=who,
        )
        if fault := fault_of(answer):
            reading.fault(fault, given.line)
            return None
        needs_name = self._memory.needs_name(given.request_id)
        if needs_name is None:
            fault = f"request {given.request_id[:60]!r} is none that was asked here"
        elif needs_name and not who:
            fault = "several people answer this request, and it doesn't say who did; name them "
            fault += "in the file, or put it into answers/NAME/"
        if fault:
            reading.fault(fault, given.line)
            return None
        return Given(given.line, given.request_id, label, given.at, who)


def _look_of(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"


def _files_in(folder: Path, problems: dict[str, str]) -> Iterator[_Found]:
    """Yield the files of answers in order: in the folder itself, and in the folders of annotators.

    For a folder that can't be read, or is inside an annotator's, an entry is added to `problems`.
    """
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_dir():
            yield from _file_at(path, "")
            continue
        try:
            inside = sorted(path.iterdir())
        except OSError as error:
            problems[path.name] = f"can't be read: {error.strerror}"
            continue
        for inner in inside:
            if inner.is_dir() and not inner.name.startswith("."):
                problems[f"{path.name}/{inner.name}"] = (
                    "is a folder in the folder of an annotator, and is not read"
                )
            yield from _file_at(inner, path.name)


def _file_at(path: Path, annotator: str) -> Iterator[_Found]:
    if path.name.startswith((".", "~")) or path.name.endswith(_UNFINISHED):
        return
    try:
        status = path.stat()
    except OSError:
        return  # It was removed just now, or is a link to nothing.
    if stat.S_ISREG(status.st_mode):
        name = f"{annotator}/{path.name}" if annotator else path.name
        yield _Found(name, path, _look_of(status), status.st_size, status.st_mtime, annotator)


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Turn an `OSError` into `Unreachable`, for which the carrier waits and tries again."""
    try:
        yield
    except OSError as error:
        raise Unreachable(f"{error.filename or 'the folder'}: {error.strerror}") from error
