"""The folder with everything about a run: its settings, its journal, its lock."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
from pathlib import Path
from typing import BinaryIO

import msgspec

from ...adapters.journal import Journal
from ...errors import BadInput, BadSettings
from ...settings import Settings
from ...settings.reading import decides_nothing, differing_fields
from .places import explain_no_run

_ENCODER = msgspec.json.Encoder()


def settings_of_run(folder: Path) -> Settings:
    """Return the settings of a run, from its folder. Raises `BadInput`."""
    path = folder / "settings.json"
    if not path.exists():
        raise BadInput(explain_no_run(folder))
    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings)
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(f"{path} can't be read: {error}") from error


class RunFolder:
    """The folder with everything about a run; one process at a time has it.

    With `settings` the folder is made if need be, and stores them; without, it must be there, and
    its journal is only read, with `is_shared` even while a run goes on. Settings that decide
    nothing may change from one start to the next, no others may.

    Raises `BadSettings` if another process has the folder or the settings differ from those that
    it was begun with, `BadInput` if it holds no run.
    """

    def __init__(
        self, path: Path, settings: Settings | None = None, *, is_shared: bool = False
    ) -> None:
        self.path = path
        if settings is not None:
            try:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            except FileExistsError:
                raise BadSettings(f"{path} is a file; --state has to be a folder") from None
            except OSError as error:
                raise BadSettings(f"{path} can't be made: {error.strerror}") from error
        else:
            self.settings = settings_of_run(path)
        self._lock = None if is_shared else _lock_folder(path, is_made=settings is not None)
        try:
            self.edited: list[str] = []
            if settings is not None:
                self.settings = self._agree_settings(settings)
                self.edited = self._find_edits(settings)
            self.journal = Journal(path / "journal", is_read_only=settings is None)
        except BaseException:
            self._unlock()
            raise

    @property
    def decisions(self) -> Path:
        """The file of all outputs in order, one a line: the training log is in it."""
        return self.path / "decisions.jsonl"

    def close(self) -> None:
        self.journal.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def _agree_settings(self, settings: Settings) -> Settings:
        path = self.path / "settings.json"
        if not path.exists():
            replace_file(path, msgspec.json.format(_ENCODER.encode(settings)))
            return settings
        kept = settings_of_run(self.path)
        settings_then, settings_now = msgspec.to_builtins(kept), msgspec.to_builtins(settings)
        faults = [
            f"{where} is {now!r}, and {self.path} was begun with {then!r}; start with another "
            "--state, or set it back"
            for where, then, now in differing_fields(settings_then, settings_now)
            if not decides_nothing(where)
        ]
        if bool(kept.sealing.keys_file) != bool(settings.sealing.keys_file):
            begun = "with sealed files" if kept.sealing.keys_file else "without sealing"
            faults.append(
                f"{self.path} was begun {begun}, and sealing.keys_file says otherwise; start with "
                "another --state, or set it back"
            )
        if faults:
            raise BadSettings(faults)
        if kept != settings:
            # Readers of the folder must find keys and tools where they are now.
            replace_file(path, msgspec.json.format(_ENCODER.encode(settings)))
        return settings

    def _find_edits(self, settings: Settings) -> list[str]:
        """Return sentences on code named in the settings that was edited since the last start."""
        named = _named_code(settings)
        if not named:
            return []
        path = self.path / "code.json"
        now = {where: _source_digest(name) for where, name in named}
        try:
            then = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.DecodeError):
            then = now
        replace_file(path, _ENCODER.encode(now))
        return [
            f"{where} is {name!r}, and its file has changed since the last start: what was decided "
            "stands, what follows is decided by the new code, and headrace replay can't agree "
            "with both. Start with another --state to have all of it by the new code"
            for where, name in named
            if then.get(where, now[where]) != now[where]
        ]


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file at once: a reader sees the old content or the new."""
    new_file = path.with_suffix(".new")
    new_file.write_bytes(content)
    new_file.replace(path)


def _named_code(settings: Settings) -> list[tuple[str, str]]:
    """Return the settings that name the user's code, as `module:attribute`, by their paths."""
    named = [
        ("model.name", settings.model.name),
        ("query.strategy", settings.query.strategy),
        ("input.decoder", settings.input.decoder),
        ("answers.decoder", settings.answers.decoder),
    ]
    watches = enumerate(settings.drift.watch)
    named += [(f"drift.watch[{i}].detector", watch.detector) for i, watch in watches]
    return [(where, name) for where, name in named if name and ":" in name]


def _source_digest(name: str) -> str:
    """Return a digest of the file of the module in `module:attribute`, without code it imports."""
    try:
        spec = importlib.util.find_spec(name.partition(":")[0])
        text = b"" if spec is None or not spec.origin else Path(spec.origin).read_bytes()
    except (ImportError, ValueError, OSError):
        return ""
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _lock_folder(path: Path, *, is_made: bool) -> BinaryIO | None:
    """Lock the folder; a folder that is only read, an archive perhaps, need not have a lock."""
    try:
        lock = (path / "lock").open("ab" if is_made else "rb")
    except FileNotFoundError:
        if is_made:
            raise
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise BadSettings(
            f"{path} is in use by another process; stop that one, or give another --state"
        ) from None
    return lock


def is_running(path: Path) -> bool:
    """Whether a process has locked the folder of a run now."""
    try:
        with (path / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
