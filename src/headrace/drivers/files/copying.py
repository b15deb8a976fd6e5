"""A table as the log of a run: copied into its folder as JSON lines, which the journal refers to.

The copy may grow with the table, but its lines never change: they were fed. An export of answers is
written anew by its tool each time, in any order: new answers are appended to the copy.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ...adapters.journal import hash_content
from ...adapters.tables.records import export_lines, lines_of
from ...adapters.wiping import wipe_stretches
from ...errors import BadInput, BadSettings
from ...messages import Answer, InputRejected
from ...observe.answers import AnswersDecoder
from ...observe.payloads import find_value
from ...settings import AnswersSettings, Settings

COPY = "table.jsonl"
ANSWERS = "answers.jsonl"


def copy_table(path: Path, state: Path, settings: Settings, on_note: Callable[[str], None]) -> Path:
    """Copy a table into a run's folder, with the rows that were added, and return the copy's path.

    `on_note` is called with notes about the table. Raises `BadInput` if rows that were copied
    before have changed.
    """
    copy = state / COPY
    new_copy = copy.with_name(f"{COPY}.new")
    with new_copy.open("wb") as file:
        for lines in lines_of(path, settings, on_note):
            file.write(lines)
    if not _begins_with(new_copy, copy):
        new_copy.unlink()
        raise BadInput(
            f"{path} has changed since {state} was begun, is another file, or is read otherwise "
            "now: rows may be added to it, and [columns] keeps their kinds; put it back, or start "
            "with another --state"
        )
    new_copy.replace(copy)
    return copy


class FileMark:
    """What a file was like when this was made, and whether it has changed since."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = self._look()

    @property
    def has_changed(self) -> bool:
        """Whether the file has another size or time of change, or is gone."""
        return self._look() != self._seen

    def _look(self) -> tuple[int, int] | None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        return stat.st_size, stat.st_mtime_ns


def copy_answers(path: Path, state: Path, settings: Settings, decoder: AnswersDecoder) -> Path:
    """Add the new answers of an export to the copy in a run's folder, and return the copy's path.

    Two answers are the same if they decode to the same, whatever else the tool wrote beside them.
    One is new also where its annotator has said something else in between at the same time, or
    without a time: the newer export counts, so such an answer is added without its time, too.
    Raises `BadInput` for an export that can't be read, `BadSettings` where answers are sealed.
    """
    if settings.sealing.keys_file:
        raise BadSettings(
            f"{path} is a table, and sealing.keys_file is set; let a bridge or the desk write the "
            "answers, which seal them, or leave sealing.keys_file out"
        )
    copy = state / ANSWERS
    before = copy.read_bytes() if copy.exists() else b""
    # Only the decoder of the settings knows where a time stands in its lines.
    is_json = not settings.answers.decoder
    known, latest = set[str](), dict[str, str]()
    for line in before.splitlines():
        digest, voice, _ = _answers_in(line, decoder)
        known.add(digest)
        latest[voice] = digest
    exported = [
        (line, *_answers_in(line, decoder)) for line in export_lines(path, settings.answers)
    ]
    lines_n = Counter(voice for _, _, voice, _ in exported)
    new_copy = copy.with_name(f"{ANSWERS}.new")
    with new_copy.open("wb") as file:
        file.write(before)
        for line, digest, voice, is_dated in exported:
            is_other = lines_n[voice] == 1 and latest.get(voice, digest) != digest
            if digest not in known or (voice and is_other):
                known.add(digest)
                latest[voice] = digest
                file.write(line + b"\n")
                if voice and is_other and is_dated and is_json:
                    file.write(_without_time(line, settings.answers) + b"\n")
        # The tool's next export may lack an answer that this one has.
        file.flush()
        os.fsync(file.fileno())
    new_copy.replace(copy)
    return copy


def _answers_in(line: bytes, decoder: AnswersDecoder) -> tuple[str, str, bool]:
    """Return a digest of the answers in a line, or of the line itself if it holds none.

    With it a text that names annotator, request and time of a single answer, else "", and whether
    that answer has a time.
    """
    answers = decoder.decode([line])
    if not answers or any(isinstance(answer, InputRejected) for answer in answers):
        return hash_content(line), "", False
    digest = hash_content(msgspec.json.encode(answers))
    (first, *more) = answers
    if more or not isinstance(first, Answer):
        return digest, "", False
    voice = f"{first.at} {len(first.annotator)}:{first.annotator}{first.request_id}"
    return digest, voice, first.at != 0.0


def _without_time(line: bytes, settings: AnswersSettings) -> bytes:
    """Return the line of an answer without its time, where objects alone lead to that."""
    record = json.loads(line)
    items = find_value(record, settings.batch_path)
    for answer in (record, *(items if isinstance(items, list) else ())):
        _remove_field(answer, settings.at)
    return msgspec.json.encode(record)


def _remove_field(value: Any, path: str) -> None:
    if isinstance(value, dict):
        value.pop(path, None)
        first, dot, rest = path.partition(".")
        if dot:
            _remove_field(value.get(first), rest)


def _begins_with(made: Path, before: Path) -> bool:
    """Whether a new file begins with the old one's lines; wipe in it what is wiped there."""
    if not before.exists():
        return True
    wiped, start = list[tuple[int, int]](), 0
    with made.open("rb") as new, before.open("rb") as old:
        for line in old:
            line_made = new.readline(len(line))
            if line_made != line:
                if len(line_made) != len(line) or not line.isspace():
                    return False
                wiped.append((start, start + len(line)))
            start += len(line)
    wipe_stretches(made, wiped)
    return True
