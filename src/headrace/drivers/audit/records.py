"""The records of a run as the entries that its audit log must have, in order.

The writer of the log and its verifier both use this module. A group is what the journal's records
up to one `Asked` took in, and what that led to: answers and orders from the files that the journal
names, then the lines of `decisions.jsonl` up to where the journal says that they end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ...adapters.journal import Asked, Begun, Journal, Record, Retrained, Span
from ...adapters.jsonl import open_input, split_lines
from ...adapters.sealing import load_sealer
from ...errors import BadInput
from ...messages import Answer, InputRejected, LabelDisputed, LabelSettled, Output, Withdrawal
from ...observe.answers import AnswersDecoder
from ...query.orders import Order
from ...settings import Settings
from ..files.sealed import ANSWERS, opened_of
from .entries import TEXT_MAX, Entry, entry_of

_OUTPUTS: msgspec.json.Decoder[Output] = msgspec.json.Decoder(Output)
_ORDERS: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)


class Via(msgspec.Struct, frozen=True):
    """The field of an answer's record that names the bridge it came through."""

    via: str = ""


_VIA = msgspec.json.Decoder(Via)


class RunRecords:
    """The records of one run, read as they grow."""

    def __init__(self, state: Path, journal: Journal, settings: Settings) -> None:
        self._state = state
        self._journal = journal
        self._answers = AnswersDecoder(settings.answers, settings.input.line_bytes_max)
        self._sealer = load_sealer(settings.sealing, settings.stream)
        self._line_bytes_max = settings.input.line_bytes_max
        self._consensus = settings.label.consensus
        self._files: dict[Path, BinaryIO] = {}
        self._opened = ExitStack()
        self._offset = self._decided = 0
        self.groups_n = 0
        # How many groups were before the journal was begun anew, and are gone.
        self.begun_n = 0

    def read_groups(self) -> Iterator[list[Entry]]:
        """Yield the entries of each further group that is whole."""
        pending: list[Record] = []
        for record, end in self._journal.read_records(self._offset):
            if isinstance(record, Begun):
                self._begin_at(record, end)
            if not isinstance(record, Asked):
                pending.append(record)
                continue
            if record.ends["decisions"] - self._decided > self.rest_n:
                # A run that was told to stop while it began has not written all of it again.
                return
            entries = self._list_entries(pending, record.ends["decisions"])
            pending, self._offset = [], end
            self.groups_n += 1
            yield entries

    def skip_groups(self, groups_n: int) -> int:
        """Skip groups up to this number, or as many as there are; return the number reached."""
        for record, end in self._journal.read_records(self._offset) if groups_n else ():
            if isinstance(record, Begun):
                self._begin_at(record, end)
                if self.groups_n >= groups_n:
                    break
            if isinstance(record, Asked):
                self._offset, self._decided = end, record.ends["decisions"]
                self.groups_n += 1
                if self.groups_n == groups_n:
                    break
        return self.groups_n

    def _begin_at(self, begun: Begun, end: int) -> None:
        """Go on where the journal was begun anew: earlier records are gone, and were counted."""
        self.groups_n = self.begun_n = begun.asked_n
        self._decided, self._offset = begun.ends.get("decisions", 0), end

    @property
    def has_more(self) -> bool:
        """Whether there is another whole group."""
        return any(isinstance(one, Asked) for one, _ in self._journal.read_records(self._offset))

    @property
    def rest_n(self) -> int:
        """The bytes of decisions behind the last group that was returned."""
        path = self._state / "decisions.jsonl"
        return max(0, path.stat().st_size - self._decided) if path.exists() else 0

    def close(self) -> None:
        self._opened.close()

    def _list_entries(self, records: list[Record], until: int) -> list[Entry]:
        entries: list[Entry] = []
        for record in records:
            match record:
                case Span():
                    entries += self._of_span(record)
                case Retrained():
                    ended = {"what": "retraining_ended", "job_id": record.job_id, "at": record.at}
                    entries.append(ended | {"has_failed": record.error is not None})
        if until > self._decided:
            content = self._read_bytes(self._state / "decisions.jsonl", self._decided, until)
            sources = self._journal.sources.values()
            events = {str(self._state / one.path) for one in sources if one.kind == "events"}
            for line in content.splitlines():
                output = _OUTPUTS.decode(line)
                if not (isinstance(output, InputRejected) and output.source in events):
                    entries.append(self._of_output(output))
            self._decided = until
        return entries

    def _of_output(self, output: Output) -> Entry:
        match output:
            case LabelSettled() | LabelDisputed():
                return entry_of(output, consensus=self._consensus)
            case InputRejected():
                return entry_of(output, file=Path(output.source).name, position=output.position)
        return entry_of(output)

    def _of_span(self, span: Span) -> list[Entry]:
        source = self._journal.sources[span.source]
        if source.kind not in ("answers", "orders"):
            return []
        path = self._state / source.path
        content = self._read_bytes(path, span.start, span.stop)
        lines = [line.removesuffix(b"\n") for line in split_lines(content, self._line_bytes_max)]
        if source.kind == "orders":
            orders = (_order_of(line) for line in lines)
            return [entry_of(order) for order in orders if order is not None]
        entries: list[Entry] = []
        for line in opened_of(self._sealer, lines, ANSWERS, span.start):
            more: dict[str, Any] = {"file": path.name}
            if via := via_of(line):
                more["via"] = via
            entries += [
                entry_of(answer, **more)
                for answer in self._answers.decode([line])
                if isinstance(answer, Answer | Withdrawal)
            ]
        return entries

    def _read_bytes(self, path: Path, start: int, stop: int) -> bytes:
        if path not in self._files:
            self._files[path] = self._opened.enter_context(open_input(path))
        content = os.pread(self._files[path].fileno(), stop - start, start)
        if len(content) < stop - start:
            raise BadInput(
                f"{path} ends before byte {stop}, and the journal says that it was longer; put it "
                "back"
            )
        return content


def _order_of(line: bytes) -> Order | None:
    try:
        return _ORDERS.decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def via_of(line: bytes) -> str:
    """Return the bridge through which an answer came, if its record names it; else empty."""
    if b'"via"' not in line:
        return ""
    try:
        return _VIA.decode(line).via[:TEXT_MAX]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""
