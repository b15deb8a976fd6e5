"""The outputs of a run as lines of its files, and those that a run before has written already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..adapters.journal import Asked, digest
from ..adapters.jsonl import Appender
from ..messages import InputRejected, LabelRequested, Output, RequestWithdrawn
from ..query.record import Differences

LOGS: dict[str, Any] = {
    "requests": LabelRequested | RequestWithdrawn,
    "decisions": Output,
    "rejects": InputRejected,
}
"""What each file of a run holds."""

_ENCODER = msgspec.json.Encoder()


def encoded(output: Output) -> bytes:
    """An output as its line in `decisions.jsonl`."""
    return _ENCODER.encode(output) + b"\n"


def contents_of(outputs: Sequence[Output]) -> dict[str, list[bytes]]:
    """The lines that go into each file."""
    lines = [(output, encoded(output)) for output in outputs]
    return {
        name: [line for output, line in lines if isinstance(output, kinds)]
        for name, kinds in LOGS.items()
    }


def ends_of(
    logs: Mapping[str, Appender], contents: Mapping[str, list[bytes]]
) -> tuple[dict[str, int], dict[str, str]]:
    """Where each file ends when these lines are in it, bytes; and a digest of the lines."""
    joined = {name: b"".join(contents[name]) for name in logs}
    ends = {name: log.position + len(joined[name]) for name, log in logs.items()}
    return ends, {name: digest(content) for name, content in joined.items()}


def differences_told(differences: Differences, lines_n: int) -> str:
    """What is to be said when a run that was fed again came to something else; empty if it did not.

    `lines_n` lines of its outputs would be others.
    """
    if not (differences.n or lines_n):
        return ""
    told = differences.told or "no decision differs from the record"
    return (
        f"another machine or version has decided this run: {told}; {lines_n} lines of its outputs "
        "would be others now. What was decided then holds"
    )


def written_again(logs: Mapping[str, Appender], outputs: Sequence[Output], asked: Asked) -> int:
    """Write of these outputs what the files do not hold yet of what was asked then.

    Returns how many lines would be others now: those that are there stay. Raises `BrokenInvariant`
    where they are not those that were written.
    """
    contents, differing_n = contents_of(outputs), 0
    for name, log in logs.items():
        was = asked.digests[name]
        differing_n += log.keep(contents[name], asked.ends[name], was, digest)
    return differing_n
