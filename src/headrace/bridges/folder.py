"""The end of a bridge at a `headrace run`: the run's file of requests and its file of answers."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..adapters.jsonl import Tail, name_file_in_errors, write_all
from ..adapters.sealing import Sealer
from ..adapters.tables.records import is_export, is_table
from ..errors import BadInput, BadSettings, NotSealed
from ..messages import Answer, ForAnnotators, Withdrawal
from ..settings import AnswersSettings, Settings

PLACES = "places.json"
"""The file in a run's folder that says where it reads and writes; written at each start."""

LINE_BYTES_MAX = 16 << 20

_RECORDS = msgspec.json.Decoder(ForAnnotators)
_PLACES = msgspec.json.Decoder(dict[str, str | None])


@dataclass(frozen=True, slots=True)
class RunPlaces:
    """The files of a run that a bridge needs, and the settings of the run."""

    requests: Path
    answers: Path
    settings: Settings


def remember_places(state: Path, requests: Path, answers: Path | None) -> None:
    """Write the paths of a run's files into its folder, where bridges read them."""
    content = {
        "requests": str(requests.resolve()),
        "answers": None if answers is None else str(answers.resolve()),
    }
    new = state / f"{PLACES}.new"
    new.write_bytes(msgspec.json.encode(content) + b"\n")
    new.replace(state / PLACES)


def places_of(state: Path) -> RunPlaces:
    """Return the files of the run with this folder.

    Raises `BadInput` where there is no run, or one that reads no answers, and `BadSettings` where
    the run expects answers in another shape than bridges write.
    """
    try:
        paths = _PLACES.decode((state / PLACES).read_bytes())
        settings = msgspec.json.decode((state / "settings.json").read_bytes(), type=Settings)
    except FileNotFoundError as error:
        raise BadInput(
            f"{state} holds no run that a bridge could join; start `headrace run --follow --state "
            f"{state} --answers FILE` first"
        ) from error
    except msgspec.MsgspecError as error:
        raise BadInput(f"{state} can't be read: {error}") from error
    requests, answers = paths.get("requests"), paths.get("answers")
    if requests is None or answers is None:
        raise BadInput(
            f"the run in {state} reads no answers, so nobody could give any; start it again with "
            "--answers FILE"
        )
    if is_table(Path(answers)) or is_export(Path(answers)):
        raise BadInput(
            f"the run in {state} reads its answers from an export, {answers}, to which no line can "
            "be appended; start it again with another file, --answers answers.jsonl"
        )
    check_answers(settings.answers)
    return RunPlaces(Path(requests), Path(answers), settings)


def check_answers(settings: AnswersSettings) -> None:
    """Raise `BadSettings` if the run can't read answers in the shape that bridges write."""
    free = ("zone", "class_names")
    changed = [
        f"answers.{name}"
        for name in settings.__struct_fields__
        if name not in free and getattr(settings, name) != getattr(AnswersSettings(), name)
    ]
    if changed:
        raise BadSettings(
            f"{', '.join(changed)} say that answers come from a tool in a shape of its own, and a "
            "bridge writes them in ours; leave them out to use a bridge"
        )


class FolderEnd:
    """Reads requests from a file as it grows, and appends answers to another.

    Several bridges may append to one file: each waits for the others, and writes its name, `via`,
    into its answers. A line that is no request is skipped, with a sentence in `faults`. With a
    `sealer` both files are sealed.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> end = FolderEnd(folder / "requests.jsonl", folder / "answers.jsonl")
    >>> end.read("", 10)
    ([], '')
    >>> end.write([Answer(request_id="r1", label="ham", at=1.0)])
    >>> (folder / "answers.jsonl").read_text()
    '{"type":"Answer","request_id":"r1","label":"ham","at":1.0}\\n'
    >>> end.close()
    """

    def __init__(
        self, requests: Path, answers: Path, sealer: Sealer | None = None, *, via: str = ""
    ) -> None:
        self.requests = requests
        self.answers = answers
        self.via = via
        self.sealer = sealer
        self.faults: list[str] = []
        self._tail: Tail | None = None

    def read(self, place: str, n: int) -> tuple[list[ForAnnotators], str]:
        """Return the next records behind byte `place`, and the place behind them.

        Raises `BadInput` as `Tail` does.
        """
        position = int(place or 0)
        if self._tail is None or self._tail.position != position:
            self.close()
            if position > (self.requests.stat().st_size if self.requests.exists() else 0):
                raise BadInput(
                    f"{self.requests} is shorter than what was read of it, {position} bytes; put "
                    "it back, or give the bridge another --folder"
                )
            self._tail = Tail(self.requests, position=position, length_max=LINE_BYTES_MAX)
        records: list[ForAnnotators] = []
        lines = self._tail.peek(n, is_final=False)
        for line in lines:
            try:
                if not line.isspace():  # A line of spaces was wiped.
                    records.append(_RECORDS.decode(self._unseal_line(line, position)))
            except (NotSealed, msgspec.MsgspecError, UnicodeError) as error:
                self.faults.append(f"{self.requests}: a line is no request: {error}")
            position += len(line)
        self._tail.advance(len(lines))
        return records, str(self._tail.position) if lines else place

    def _unseal_line(self, line: bytes, position: int) -> bytes:
        if self.sealer is None:
            return line
        return self.sealer.unseal(line.removesuffix(b"\n"), "requests", position)

    def write(self, answers: Sequence[Answer | Withdrawal]) -> None:
        lines: Sequence[bytes] = [encode_answer(answer, self.via) + b"\n" for answer in answers]
        self.answers.parent.mkdir(parents=True, exist_ok=True)
        with closing(self.answers.open("a+b", buffering=0)) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            size, before = os.fstat(file.fileno()).st_size, b""
            if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
                # The process that wrote the last line may have been killed within it.
                before = b"\n"
            if self.sealer is not None:
                lines = self.sealer.seal_lines(lines, "answers", size + len(before))
            write_all(file, before + b"".join(lines), self.answers)
            with name_file_in_errors(self.answers):
                os.fsync(file.fileno())

    def close(self) -> None:
        if self._tail is not None:
            self._tail.close()
            self._tail = None


def encode_answer(answer: Answer | Withdrawal, via: str = "") -> bytes:
    """Encode an answer for a log of answers, as `AnswersDecoder` reads it by default.

    `via` names the bridge that it came through, for the audit log.

    >>> encode_answer(Withdrawal(request_id="r1", at=2.0, reason="a twin of r0"))
    b'{"request_id":"r1","withdraw":"a twin of r0","at":2.0}'
    """
    fields: dict[str, Any] = {"via": via} if via else {}
    if isinstance(answer, Withdrawal):
        withdrawal = {"request_id": answer.request_id, "withdraw": answer.reason, "at": answer.at}
        return msgspec.json.encode(withdrawal | fields)
    return msgspec.json.encode(msgspec.to_builtins(answer) | fields)
