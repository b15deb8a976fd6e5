"""A recorded run decided again: from its journal to the same outputs, byte for byte.

`Player` feeds an engine what a journal says; `headrace run`
goes through both, so that a restart and a replay can't differ from what was done at first. Then
`headrace replay`, which decides everything again and compares.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from rich.progress import Progress

from ..adapters.journal import (
    Asked,
    Begun,
    Record,
    Retrained,
    Source,
    Span,
    Ticked,
    digest,
    with_asked,
)
from ..adapters.jsonl import open_input, split_lines
from ..engine import Engine
from ..errors import BadInput
from ..learn.retrain import Challenger, retrain
from ..messages import (
    Input,
    InputRejected,
    LabelRequested,
    Output,
    RetrainFinished,
    Tick,
)
from ..observe.admission import ID_LENGTH_MAX
from ..observe.decode import Decoded, Decoder
from ..privacy import WHOLE
from ..query.record import Decided, Differences, decided_of
from ..query.record import Record as AskedThen
from ..recalling import follow_record
from .audit.acts import FOLDER, Acts
from .base import restore_base
from .orders import decode_order
from .outputs import encoded
from .printing import make_console
from .run_folder import RunFolder, differing_fields
from .sealed import answers_decoder_of

LINE_SHOWN_MAX = 500

# ------------------------------------------------------------------------------------ the player


class Player:
    """Feeds an engine what a journal says; `rejected_n` counts the lines that hold no event.

    `differences` are those of what was decided from what the journal has it led to.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.engine = Engine(settings=folder.settings, privacy=WHOLE)
        self.decoder = Decoder(folder.settings.input, folder.settings.columns)
        self.answers_decoder = answers_decoder_of(folder.settings)
        self.line_bytes_max = folder.settings.input.line_bytes_max
        self.rejected_n: dict[str, int] = {}
        self.differences = Differences()
        self._decided: list[tuple[str, Decided]] = []
        self._began_n = 0
        self._folder = folder.path
        self._sources = folder.journal.sources
        self._files: dict[int, BinaryIO] = {}

    def play(
        self,
        record: Record,
        content: bytes | None = None,
        challenger: Challenger | None = None,
        *,
        asked: Asked | None = None,
    ) -> list[Output]:
        """The outputs that follow from one record.

        Who has the bytes of a span or the challenger of a job at hand may pass them. With `asked`,
        what the record led to when it was fed first, it leads to the same requests. Raises
        `BadInput` if the bytes of a source are gone, or not those that were fed.
        """
        shard = self.engine.shard
        self._decided, self._began_n = [], shard.events_n
        if asked is not None:
            follow_record(shard, AskedThen(asked.ids, asked.decided, shard.events_n))
        outputs = self._played(record, content, challenger)
        if asked is not None:
            missing, differences = self.engine.settle_record()
            outputs += missing
            self.differences.add(differences)
        return outputs

    def asked(self, ends: dict[str, int], digests: dict[str, str]) -> Asked:
        """What the record that was played last led to, for the journal."""
        ids, decided = [n for n, _ in self._decided], [one for _, one in self._decided]
        return Asked(ids=ids, decided=decided, ends=ends, digests=digests)

    def _feed(self, message: Input) -> list[Output]:
        """What follows from one message; and the numbers behind the requests in it."""
        found, shard = list[Output](), self.engine.shard
        for outputs in self.engine.flow([message]):
            after_n = shard.events_n - self._began_n
            self._decided += [
                (o.request_id, decided_of(o, shard.chance.key(o.event_id), after_n))
                for o in outputs
                if isinstance(o, LabelRequested)
            ]
            found += outputs
        return found

    def _played(
        self, record: Record, content: bytes | None, challenger: Challenger | None
    ) -> list[Output]:
        match record:
            case Source() | Asked() | Begun():
                return []
            case Ticked():
                return self._feed(Tick(at=record.at))
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

    def begin_at_base(self, folder: RunFolder) -> dict[str, int | str]:
        """Bring the engine to where the journal begins; the positions there, none at a start."""
        if not folder.journal.origin:
            return {}
        snapshot = restore_base(folder, self.engine)
        rejected_n = str(snapshot.positions["rejected_n"])
        self.rejected_n = msgspec.json.decode(rejected_n, type=dict[str, int])
        return snapshot.positions

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
        outputs = self._feed(decoded.batch) if len(decoded.batch) else []
        return [*decoded.rejected, *_placed(outputs, decoded, lines, path)]

    def _answers(self, lines: list[tuple[int, bytes]], path: str) -> list[Output]:
        outputs: list[Output] = []
        for position, line in lines:
            for answer in self.answers_decoder.decode([line], path, [position]):
                if isinstance(answer, InputRejected):
                    self._count(answer)
                    outputs.append(answer)
                else:
                    outputs += _placed_at(self._feed(answer), path, position, line)
        return outputs

    def _orders(self, lines: list[tuple[int, bytes]], path: str) -> list[Output]:
        """Rounds that were ordered: now, by the engine's clock, whatever the time of day was."""
        outputs: list[Output] = []
        for position, line in lines:
            order = decode_order(line, self.engine.now)
            followed = [order] if isinstance(order, InputRejected) else self._feed(order)
            for output in followed:
                if isinstance(output, InputRejected):
                    self._count(output)
            outputs += _placed_at(followed, path, position, line)
        return outputs

    def _count(self, rejected: InputRejected) -> None:
        """One more that the engine does not count itself."""
        self.rejected_n[rejected.reason] = self.rejected_n.get(rejected.reason, 0) + 1

    def _retrained(self, record: Retrained, challenger: Challenger | None) -> list[Output]:
        job = self.engine.trainer.job(record.job_id)
        if challenger is None and record.error is None and job is not None:
            challenger = retrain(job)
        finished = RetrainFinished(
            job_id=record.job_id, at=record.at, challenger=challenger, error=record.error
        )
        return self._feed(finished)


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
    """`same_n` outputs agreed; `difference` says what the first other one is, or is empty.

    `other_n` outputs differ in all; in a run of an earlier version the first one ends it.
    `differences` counts decisions that would be others here; outputs follow the record.
    """

    same_n: int
    difference: str
    other_n: int = 0
    differences: Differences = field(default_factory=Differences)


def replay(path: Path, on_progress: Callable[[int, int], None] = lambda done, of: None) -> Replayed:
    """Decide a recorded run again, from the start, and compare with what it decided.

    `on_progress` gets the bytes of the journal that are done, and all of them. Raises `BadInput` if
    the folder holds no run, or an input is gone or changed; `BadSettings` if a run has the folder.
    """
    folder = RunFolder(path)
    player = Player(folder)
    found = _Compared()
    try:
        positions = player.begin_at_base(folder)
        with open_input(folder.decisions) as decided:
            decided.seek(int(positions.get("decisions", 0)))
            for record, end, asked in with_asked(folder.journal.records()):
                outputs = [*map(encoded, player.play(record, asked=asked))]
                if asked is None:
                    held = [decided.readline() for _ in outputs]
                else:
                    stop = asked.ends["decisions"]
                    held = decided.read(max(0, stop - decided.tell())).splitlines(keepends=True)
                found.compare(held, outputs)
                if found.difference and asked is None:
                    break
                on_progress(end, folder.journal.size)
            else:
                if rest := decided.readline():
                    found.compare([rest], [])
        return Replayed(found.same_n, found.difference, found.other_n, player.differences)
    finally:
        player.close()
        folder.close()


class _Compared:
    """Lines that were recorded beside those that are decided now."""

    def __init__(self) -> None:
        self.same_n = self.other_n = 0
        self.difference = ""

    def compare(self, held: Sequence[bytes], decided: Sequence[bytes]) -> None:
        """Compare what one record led to; `same_n` counts up to the first difference."""
        for was, now in zip_longest(held, decided, fillvalue=b""):
            if was != now:
                self.other_n += 1
                self.difference = self.difference or _difference(self.same_n + 1, was, now)
            elif not self.difference:
                self.same_n += 1


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
        fields = list(differing_fields(msgspec.json.decode(was), msgspec.json.decode(now), ""))
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
        "every output with decisions.jsonl, byte for byte. What was asked is asked again: how many "
        "decisions would be others here, and by how much, is told. Exit 0: all agree; 1: they "
        "differ; 2: the inputs are gone or have changed.",
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
    Acts(arguments.state / FOLDER).record(
        "replayed", same_n=found.same_n, other_n=found.other_n, differences_n=found.differences.n
    )
    if found.difference:
        sys.stdout.write(f"{found.same_n} outputs agreed, then {found.difference}\n")
    else:
        agree = f"all {found.same_n} outputs agree with {arguments.state}/decisions.jsonl"
        sys.stdout.write(f"{agree}\n")
    if found.differences.n:
        sys.stdout.write(f"{found.differences.told}; what was decided then holds\n")
    return 1 if found.difference or found.differences.n else 0
