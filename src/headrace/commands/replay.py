"""`headrace replay`: a recorded run decided again, and compared byte for byte."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from ..adapters.journal import pair_asked
from ..adapters.jsonl import open_input
from ..adapters.printing import show_progress
from ..drivers.audit.acts import FOLDER, Acts
from ..drivers.files.folder import RunFolder
from ..drivers.files.outputs import encode_output
from ..drivers.files.player import LINE_SHOWN_MAX, Player
from ..query.record import Differences
from ..settings.reading import differing_fields


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


def replay_run(
    path: Path, on_progress: Callable[[int, int], None] = lambda done, of: None
) -> Replayed:
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
            for record, end, asked in pair_asked(folder.journal.records()):
                outputs = [*map(encode_output, player.play(record, asked=asked))]
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
                self.difference = self.difference or _describe_difference(self.same_n + 1, was, now)
            elif not self.difference:
                self.same_n += 1


def _describe_difference(number: int, was: bytes, now: bytes) -> str:
    shown = [
        line.rstrip(b"\n").decode(errors="replace")[:LINE_SHOWN_MAX] or "(nothing)"
        for line in (was, now)
    ]
    told = [f"line {number} differs", f"  recorded: {shown[0]}", f"  decided:  {shown[1]}"]
    if not was.endswith(b"\n") and now.startswith(was):
        told.append("  the record ends there; a killed run completes it when it is started again")
        return "\n".join(told)
    try:
        fields = list(differing_fields(msgspec.json.decode(was), msgspec.json.decode(now)))
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
    with show_progress("deciding again") as on_progress:
        found = replay_run(arguments.state, on_progress)
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
