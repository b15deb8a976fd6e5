"""The outputs of a run as lines of its files, and what earlier starts have written of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from ...adapters.journal import Asked, hash_content
from ...adapters.jsonl import Appender
from ...adapters.sealing import Sealer
from ...errors import BadInput
from ...messages import ForAnnotators, InputRejected, Output, QuestionChanged
from ...privacy import Privacy
from ...query.record import Differences

_SHOWN: dict[str, Any] = {
    "requests": ForAnnotators,
    "rejects": InputRejected,
}
"""Which outputs go into the files that others read, as `[privacy]` shows them."""

_ENCODER = msgspec.json.Encoder()


def encode_output(output: Output) -> bytes:
    """Encode an output as its line in `decisions.jsonl`."""
    return _ENCODER.encode(output) + b"\n"


class OutputLogs:
    """The files that a run appends its outputs to.

    `positions` are the bytes written to each, by name, up to where the run goes on. Decisions are
    written in full; requests and rejections as `privacy` shows them, requests sealed where there is
    a `sealer`. Raises `BadInput` as `Appender`, and if the run `is_new` and a file is not empty.
    """

    def __init__(
        self,
        requests: Path,
        state: Path,
        positions: Mapping[str, int | str],
        privacy: Privacy,
        sealer: Sealer | None = None,
        *,
        is_new: bool,
    ) -> None:
        self._privacy = privacy
        self._sealer = sealer
        paths = {
            "requests": requests,
            "decisions": state / "decisions.jsonl",
            "rejects": state / "rejects.jsonl",
        }
        with ExitStack() as opened:
            self._logs: dict[str, Appender] = {}
            for name, path in paths.items():
                self._logs[name] = log = Appender(path, position=int(positions.get(name, 0)))
                opened.callback(log.close)
                if is_new and log.size:
                    raise BadInput(
                        f"{path} has {log.size} bytes that {state} knows nothing of; give "
                        "a new file, or the --state that wrote it"
                    )
            self._opened = opened.pop_all()

    @property
    def positions(self) -> dict[str, int]:
        """Where each file ends with the outputs written so far, bytes."""
        return {name: log.position for name, log in self._logs.items()}

    @property
    def is_behind(self) -> bool:
        """Whether a file holds more than the outputs written so far."""
        return any(log.is_behind for log in self._logs.values())

    def contents_of(self, outputs: Sequence[Output]) -> dict[str, list[bytes]]:
        """Return the lines that go into each file next, sealed if the file is."""
        contents = self._lines_of(outputs)
        return {
            name: [*self._seal_lines(name, lines, self._logs[name].position)]
            for name, lines in contents.items()
        }

    def _seal_lines(self, name: str, lines: Sequence[bytes], position: int) -> Sequence[bytes]:
        if self._sealer is None or name != "requests":
            return lines
        return self._sealer.seal_lines(lines, name, position)

    def _lines_of(self, outputs: Sequence[Output]) -> dict[str, list[bytes]]:
        """Return the lines unsealed; annotators get a `QuestionChanged` as the record in it."""
        lines: dict[str, list[bytes]] = {"requests": [], "decisions": [], "rejects": []}
        for output in outputs:
            lines["decisions"].append(line := encode_output(output))
            record = output.record if isinstance(output, QuestionChanged) else output
            name = next((name for name, kinds in _SHOWN.items() if isinstance(record, kinds)), None)
            if name is not None:
                shown = self._privacy.show_output(record)
                lines[name].append(line if shown is output else encode_output(shown))
        return lines

    def ends_of(self, contents: Mapping[str, list[bytes]]) -> tuple[dict[str, int], dict[str, str]]:
        """Return where each file ends with these lines, in bytes, and a digest of the lines."""
        joined = {name: b"".join(contents[name]) for name in self._logs}
        ends = {name: log.position + len(joined[name]) for name, log in self._logs.items()}
        return ends, {name: hash_content(content) for name, content in joined.items()}

    def write(self, contents: Mapping[str, list[bytes]]) -> None:
        """Append these lines."""
        for name, lines in contents.items():
            if lines:
                self._logs[name].write(b"".join(lines))

    def write_again(self, outputs: Sequence[Output], asked: Asked) -> int:
        """Write the lines of these outputs that the files lack; `asked` is their journal record.

        Returns how many lines would differ now: those in the files stay. Raises `BrokenInvariant`
        where these are not the ones that were written.
        """
        contents, differing_n = self._lines_of(outputs), 0
        for name, log in self._logs.items():
            was, seal = asked.digests[name], partial(self._seal_lines, name)
            differing_n += log.append_missing(
                contents[name], asked.ends[name], was, hash_content, seal
            )
        return differing_n

    def check(self) -> None:
        """Raise `BadInput` if a file is no longer the one under its name."""
        for log in self._logs.values():
            log.check()

    def sync(self) -> None:
        """Make all that was written survive a loss of power."""
        for log in self._logs.values():
            log.sync()

    def close(self) -> None:
        self._opened.close()


def describe_differences(differences: Differences, lines_n: int) -> str:
    """Describe how a run that was fed again differs from its record; empty if it does not.

    `lines_n` lines of its outputs would differ now.
    """
    if not (differences.n or lines_n):
        return ""
    sentence = differences.told or "no decision differs from the record"
    return (
        f"another machine, version, [privacy] or key has decided this run: {sentence}; {lines_n} "
        "lines of its outputs would be others now. What was decided then holds"
    )
