"""`headrace replay`: decide a recorded run again, and compare its outputs byte for byte."""

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
    """`same_n` outputs agree before the first that differs; `difference` describes it, or is empty.

    `other_n` outputs differ in all; in a run of an earlier version the first one ends the replay.
    `differences` counts decisions that would be others here; the replay follows the recorded ones.
    """

    same_n: int
    difference: str
    other_n: int = 0
    differences: Differences = field(default_factory=Differences)


def replay_run(
    path: Path, on_progress: Callable[[int, int], None] = lambda done, of: None
) -> Replayed:
    """Decide a recorded run again, from the start, and compare with what it decided.

    `on_progress` is called with the bytes of the journal done so far and in all. Raises `BadInput`
    if the folder holds no run, or an input is gone or changed; `BadSettings` if a run uses it.
    """
    folder = RunFolder(path)
    player = Player(folder)
    comparison = _ComparedLines()
    try:
        positions = player.begin_at_base(folder)
        with open_input(folder.decisions) as decided:
            decided.seek(int(positions.get("decisions", 0)))
            for record, end, asked in pair_asked(folder.journal.read_records()):
                outputs = [*map(encode_output, player.play_record(record, asked=asked))]
                if asked is None:
                    recorded = [decided.readline() for _ in outputs]
                else:
                    stop = asked.ends["decisions"]
                    recorded = decided.read(max(0, stop - decided.tell())).splitlines(keepends=True)
                comparison.compare_lines(recorded, outputs)
                if comparison.difference and asked is None:
                    break
                on_progress(end, folder.journal.size)
            else:
                if rest := decided.readline():
                    comparison.compare_lines([rest], [])
        return Replayed(
            comparison.same_n, comparison.difference, comparison.other_n, player.differences
        )
    finally:
        player.close()
        folder.close()


class _ComparedLines:
    """Compares recorded lines with those that are decided now, and counts both kinds."""

    def __init__(self) -> None:
        self.same_n = self.other_n = 0
        self.difference = ""

    def compare_lines(self, held: Sequence[bytes], decided: Sequence[bytes]) -> None:
        """Compare the lines of one journal record; `same_n` counts to the first difference."""
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
    lines = [f"line {number} differs", f"  recorded: {shown[0]}", f"  decided:  {shown[1]}"]
    if not was.endswith(b"\n") and now.startswith(was):
        lines.append("  the record ends there; a killed run completes it when it is started again")
        return "\n".join(lines)
    try:
        fields = list(differing_fields(msgspec.json.decode(was), msgspec.json.decode(now)))
    except msgspec.DecodeError:
        return "\n".join(lines)
    lines += [f"  {where}: {then!r} recorded, {here!r} decided" for where, then, here in fields[:5]]
    return "\n".join(lines)


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
    """Run `headrace replay`; return the exit code."""
    with show_progress("deciding again") as on_progress:
        replayed = replay_run(arguments.state, on_progress)
    Acts(arguments.state / FOLDER).record(
        "replayed",
        same_n=replayed.same_n,
        other_n=replayed.other_n,
        differences_n=replayed.differences.n,
    )
    if replayed.difference:
        sys.stdout.write(f"{replayed.same_n} outputs agreed, then {replayed.difference}\n")
    else:
        agree = f"all {replayed.same_n} outputs agree with {arguments.state}/decisions.jsonl"
        sys.stdout.write(f"{agree}\n")
    if replayed.differences.n:
        sys.stdout.write(f"{replayed.differences.told}; what was decided then holds\n")
    return 1 if replayed.difference or replayed.differences.n else 0
