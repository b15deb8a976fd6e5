"""A recorded run decided again: from its journal to the same outputs, byte for byte.

`RunFolder` is what is known of a run, `Player` feeds an engine what a journal says; `headrace run`
goes through both, so that a restart and a replay can't differ from what was done at first. Then
`headrace replay`, which decides everything again and compares.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from rich.progress import Progress

from ..adapters.journal import Journal, Record, Retrained, Source, Span, Ticked, digest
from ..adapters.jsonl import open_input, split_lines
from ..engine import Engine
from ..errors import BadInput, BadSettings
from ..learn.retrain import Challenger, retrain
from ..messages import InputRejected, Output, RetrainFinished, Tick
from ..observe.admission import ID_LENGTH_MAX
from ..observe.answers import AnswersDecoder
from ..observe.decode import Decoded, Decoder
from ..settings import Settings
from .orders import decode_order
from .places import no_run_told
from .printing import make_console

LINE_SHOWN_MAX = 500

_ENCODER = msgspec.json.Encoder()


def encoded(output: Output) -> bytes:
    """An output as its line in `decisions.jsonl`."""
    return _ENCODER.encode(output) + b"\n"


# ------------------------------------------------------------------------------------ the folder


class RunFolder:
    """The folder that holds all that is known of a run; one process at a time has it.

    With `settings` the folder is made if need be, and keeps them; without, it must be there, and
    its journal is only read, which with `is_shared` is done while a run may go on. [run] may change
    from one start to the next, nothing else may.

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
        elif not (path / "settings.json").exists():
            raise BadInput(no_run_told(path))
        self._lock = None if is_shared else _locked(path, is_made=settings is not None)
        try:
            self.settings = self._kept() if settings is None else self._agreed(settings)
            self.edited = [] if settings is None else self._edited(settings)
            self.journal = Journal(path / "journal", is_read_only=settings is None)
        except BaseException:
            self._unlock()
            raise

    @property
    def decisions(self) -> Path:
        """Every output in order, one a line: the training log is in it."""
        return self.path / "decisions.jsonl"

    def close(self) -> None:
        self.journal.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def _kept(self) -> Settings:
        path = self.path / "settings.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Settings)
        except (OSError, msgspec.DecodeError) as error:
            raise BadInput(f"{path} can't be read: {error}") from error

    def _agreed(self, settings: Settings) -> Settings:
        path = self.path / "settings.json"
        if not path.exists():
            _replace(path, msgspec.json.format(_ENCODER.encode(settings)))
            return settings
        there, here = msgspec.to_builtins(self._kept()), msgspec.to_builtins(settings)
        faults = [
            f"{where} is {now!r}, and {self.path} was begun with {then!r}; start with another "
            "--state, or set it back"
            for where, then, now in _differences(there, here, "")
            if not where.startswith(("run.", "http.", "queue.", "bridges"))
            and where != "label.cost"
        ]
        if faults:
            raise BadSettings(faults)
        return settings

    def _edited(self, settings: Settings) -> list[str]:
        """What was edited behind a name in the settings since the last start, as sentences."""
        named = _named_code(settings)
        if not named:
            return []
        path = self.path / "code.json"
        now = {where: _source_digest(name) for where, name in named}
        try:
            then = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.DecodeError):
            then = now
        _replace(path, _ENCODER.encode(now))
        return [
            f"{where} is {name!r}, and its file has changed since the last start: what was decided "
            "stands, what follows is decided by the new code, and headrace replay can't agree "
            "with both. Start with another --state to have all of it by the new code"
            for where, name in named
            if then.get(where, now[where]) != now[where]
        ]


def _replace(path: Path, content: bytes) -> None:
    """Write a small file at once: whoever reads it sees the old one or the new one."""
    made = path.with_suffix(".new")
    made.write_bytes(content)
    made.replace(path)


def _named_code(settings: Settings) -> list[tuple[str, str]]:
    """Settings that name code of the user's, as `module:attribute`, by their paths."""
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
    """A digest of the file of the module in `module:attribute`; code that it calls is not in it."""
    try:
        spec = importlib.util.find_spec(name.partition(":")[0])
        text = b"" if spec is None or not spec.origin else Path(spec.origin).read_bytes()
    except (ImportError, ValueError, OSError):
        return ""
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _locked(path: Path, *, is_made: bool) -> BinaryIO | None:
    """The folder's lock; one that is only read, an archive perhaps, need not have one."""
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


def _differences(there: Any, here: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(there, dict) and isinstance(here, dict):
        for name in dict.fromkeys((*there, *here)):
            path = f"{where}.{name}" if where else name
            yield from _differences(there.get(name), here.get(name), path)
    elif there != here:
        yield where, there, here


# ------------------------------------------------------------------------------------ the player


class Player:
    """Feeds an engine what a journal says; `rejected_n` counts the lines that hold no event."""

    def __init__(self, folder: RunFolder) -> None:
        self.engine = Engine(settings=folder.settings)
        self.decoder = Decoder(folder.settings.input, folder.settings.columns)
        self.answers_decoder = AnswersDecoder(
            folder.settings.answers, folder.settings.input.line_bytes_max
        )
        self.line_bytes_max = folder.settings.input.line_bytes_max
        self.rejected_n: dict[str, int] = {}
        self._folder = folder.path
        self._sources = folder.journal.sources
        self._files: dict[int, BinaryIO] = {}

    def play(
        self,
        record: Record,
        content: bytes | None = None,
        challenger: Challenger | None = None,
    ) -> list[Output]:
        """The outputs that follow from one record.

        Who has the bytes of a span or the challenger of a job at hand may pass them. Raises
        `BadInput` if the bytes of a source are gone, or not those that were fed.
        """
        match record:
            case Source():
                return []
            case Ticked():
                return self.engine.feed([Tick(at=record.at)])
            case Retrained():
                return self._retrained(record, challenger)
            case Span():
                lines = self._lines(record, self.read(record) if content is None else content)
                path = str(self.path_of(self._sources[record.source]))
                match self._sources[record.source].kind:
                    case "events":
                        return self._events(lines, path)
                    case "answers":
                        return self._answers(lines, path)
                    case "orders":
                        return self._orders(lines, path)

    def path_of(self, source: Source) -> Path:
        """Where a source is."""
        return self._folder / source.path

    def read(self, span: Span) -> bytes:
        """The bytes of a span, verified. Raises `BadInput`."""
        if span.source not in self._files:
            self._files[span.source] = open_input(self.path_of(self._sources[span.source]))
        file = self._files[span.source]
        content = os.pread(file.fileno(), span.stop - span.start, span.start)
        if digest(content) != span.digest:
            raise BadInput(
                f"{file.name} has changed: bytes {span.start} to {span.stop} are no longer those "
                "that were fed; put them back, or start with another --state"
            )
        return content

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _lines(self, span: Span, content: bytes) -> list[tuple[int, bytes]]:
        """Each line without its newline, and the byte at which it begins."""
        start, lines = span.start, []
        for line in split_lines(content, self.line_bytes_max):
            lines.append((start, line.removesuffix(b"\n")))
            start += len(line)
        return lines

    def _events(self, lines: list[tuple[int, bytes]], path: str) -> list[Output]:
        """What could not be read, then what the events lead to."""
        texts, positions = [line for _, line in lines], [position for position, _ in lines]
        decoded = self.decoder.decode(
            texts, path, positions, halves=self.engine.shard.admission.halves
        )
        for rejected in decoded.rejected:
            self._count(rejected)
        outputs = self.engine.feed([decoded.batch]) if len(decoded.batch) else []
        return [*decoded.rejected, *_placed(outputs, decoded, lines, path)]

    def _answers(self, lines: list[tuple[int, bytes]], path: str) -> list[Output]:
        outputs: list[Output] = []
        for position, line in lines:
            for answer in self.answers_decoder.decode([line], path, [position]):
                if isinstance(answer, InputRejected):
                    self._count(answer)
                    outputs.append(answer)
                else:
                    outputs += _placed_at(self.engine.feed([answer]), path, position, line)
        return outputs

    def _orders(self, lines: list[tuple[int, bytes]], path: str) -> list[Output]:
        """Rounds that were ordered: now, by the engine's clock, whatever the time of day was."""
        outputs: list[Output] = []
        for position, line in lines:
            order = decode_order(line, self.engine.now)
            followed = [order] if isinstance(order, InputRejected) else self.engine.feed([order])
            for output in followed:
                if isinstance(output, InputRejected):
                    self._count(output)
            outputs += _placed_at(followed, path, position, line)
        return outputs

    def _count(self, rejected: InputRejected) -> None:
        """One more that the engine does not count itself."""
        self.rejected_n[rejected.reason] = self.rejected_n.get(rejected.reason, 0) + 1

    def _retrained(self, record: Retrained, challenger: Challenger | None) -> list[Output]:
        job = self.engine.open_job
        is_open = job is not None and job.job_id == record.job_id
        if challenger is None and record.error is None and job is not None and is_open:
            challenger = retrain(job)
        finished = RetrainFinished(
            job_id=record.job_id, at=record.at, challenger=challenger, error=record.error
        )
        return self.engine.feed([finished])


def _placed(
    outputs: list[Output], decoded: Decoded, lines: list[tuple[int, bytes]], path: str
) -> list[Output]:
    """The outputs, with the place of each event that the engine turned away."""
    placed: list[Output] = []
    event, line, first = len(decoded.batch), len(lines), len(decoded.batch)
    # From the end: of two events with the same id, it is the later one that was turned away.
    for output in reversed(outputs):
        if isinstance(output, InputRejected):
            event -= 1
            while decoded.batch.ids[event][:ID_LENGTH_MAX] != output.input_id:
                event -= 1
            while first > event:
                line -= 1
                first -= decoded.events_n[line]
            placed.append(_at(output, path, *lines[line]))
        else:
            placed.append(output)
    return placed[::-1]


def _placed_at(outputs: Sequence[Output], path: str, position: int, line: bytes) -> list[Output]:
    """What followed from a line; rejections with the place of it."""
    return [
        _at(output, path, position, line) if isinstance(output, InputRejected) else output
        for output in outputs
    ]


def _at(rejected: InputRejected, path: str, position: int, line: bytes) -> InputRejected:
    raw = line[: 4 * LINE_SHOWN_MAX].decode(errors="replace")[:LINE_SHOWN_MAX]
    return msgspec.structs.replace(rejected, source=path, position=position, raw=raw)


# ------------------------------------------------------------------------------------ the replay


@dataclass(frozen=True, slots=True)
class Replayed:
    """`same_n` outputs agreed; `difference` says what the first other one is, or is empty."""

    same_n: int
    difference: str


def replay(path: Path, on_progress: Callable[[int, int], None] = lambda done, of: None) -> Replayed:
    """Decide a recorded run again, from the start, and compare with what it decided.

    `on_progress` gets the bytes of the journal that are done, and all of them. Raises `BadInput` if
    the folder holds no run, or an input is gone or changed; `BadSettings` if a run has the folder.
    """
    folder = RunFolder(path)
    player = Player(folder)
    same_n = 0
    try:
        with open_input(folder.decisions) as decided:
            for record, end in folder.journal.records():
                for output in player.play(record):
                    was, now = decided.readline(), encoded(output)
                    if was != now:
                        return Replayed(same_n, _difference(same_n + 1, was, now))
                    same_n += 1
                on_progress(end, folder.journal.size)
            if rest := decided.readline():
                return Replayed(same_n, _difference(same_n + 1, rest, b""))
        return Replayed(same_n, "")
    finally:
        player.close()
        folder.close()


def _difference(number: int, was: bytes, now: bytes) -> str:
    shown = [
        line.rstrip(b"\n").decode(errors="replace")[:LINE_SHOWN_MAX] or "(nothing)"
        for line in (was, now)
    ]
    told = [f"line {number} differs", f"  recorded: {shown[0]}", f"  decided:  {shown[1]}"]
    if not was.endswith(b"\n") and now.startswith(was):
        told.append("  the record ends there; a killed run completes it when it is started again")
        return "\n".join(told)
    try:
        fields = list(_differences(msgspec.json.decode(was), msgspec.json.decode(now), ""))
    except msgspec.DecodeError:
        return "\n".join(told)
    told += [f"  {where}: {then!r} recorded, {here!r} decided" for where, then, here in fields[:5]]
    return "\n".join(told)


# --------------------------------------------------------------------------------- command line


def register(subparsers: Any) -> None:
    """Add `headrace replay`."""
    parser = subparsers.add_parser(
        "replay",
        help="decide a recorded run again and compare",
        description="Decide a recorded run again, from its journal and its inputs, and compare "
        "every output with decisions.jsonl, byte for byte. Exit 0: all agree; 1: they differ; "
        "2: the inputs are gone or have changed.",
    )
    parser.add_argument("state", type=Path, metavar="DIR", help="the --state of a `headrace run`")
    parser.set_defaults(func=main)


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace replay`; the exit code."""
    console = make_console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("deciding again", total=None)
        found = replay(
            arguments.state, lambda done, of: progress.update(bar, completed=done, total=of)
        )
    if found.difference:
        sys.stdout.write(f"{found.same_n} outputs agreed, then {found.difference}\n")
        return 1
    sys.stdout.write(f"all {found.same_n} outputs agree with {arguments.state}/decisions.jsonl\n")
    return 0
