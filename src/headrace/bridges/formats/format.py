"""What a file format of a labelling tool is, and what all of them share.

A format turns requests into the bytes of a file of tasks, and the bytes of a file of answers into
answers. It opens no file, knows no clock and remembers nothing: `Files` knows which requests and
classes there are, and which answers were read before.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Protocol

import msgspec

from ...messages import LabelRequested, Value, class_name
from ...observe.values import Refusal, format_value, seconds_of
from .settings import FilesSettings

FAULTS_MAX = 1_000
"""How many faults of a file are reported; the rest are counted."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Given:
    """One answer as it stands in a file.

    Attributes:
        line: Its line or number in the file, from 1.
        request_id: The id of the request.
        label: A class, or None where the annotator cannot tell.
        at: When it was given, seconds since the epoch; None where the file has no such value.
        annotator: Who answered; "" where the file has no such value.

    >>> Given(1, "r1", "fraud").at is None
    True
    """

    line: int
    request_id: str
    label: str | None
    at: float | None = None
    annotator: str = ""


@dataclass(slots=True)
class Reading:
    """What was read from a file.

    Attributes:
        given: The answers, in order.
        blank: The ids of requests without an answer.
        faults: Sentences about lines that can't be used, `FAULTS_MAX` at most.
        faults_n: The number of such lines.

    >>> reading = Reading()
    >>> reading.fault("this is no JSON object", 3); reading.faults
    ['line 3: this is no JSON object']
    """

    given: list[Given] = field(default_factory=list)
    blank: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    faults_n: int = 0

    def fault(self, sentence: str, line: int = 0) -> None:
        """Note a fault.

        Args:
            sentence: What is wrong.
            line: The line, from 1; 0 means the whole file.
        """
        self.faults_n += 1
        if self.faults_n <= FAULTS_MAX:
            self.faults.append(f"line {line}: {sentence}" if line else sentence)

    def id_in(self, found: dict[str, Any], name: str, line: int) -> str:
        """Read the request id of a record.

        Args:
            found: The record.
            name: The key of the id.
            line: The record's line, from 1.

        Returns:
            The id; "", and a fault is noted, where there is none.
        """
        value = found.get(name)
        if isinstance(value, str) and value:
            return value
        self.fault(f"there is no {name}; the tool has to keep it from the task", line)
        return ""

    def label_in(self, value: object, line: int) -> str | None:
        """Read a class.

        Args:
            value: What stands for the class, a text or a number.
            line: Its line, from 1.

        Returns:
            The class; None, and a fault is noted, for anything else.
        """
        if isinstance(value, str | int | float):
            return class_name(value)
        self.fault(f"the label is {format_value(value)}; must be a text", line)
        return None

    def only_label(self, chosen: Collection[object], line: int, none: str = "") -> str | None:
        """Read the class where a tool lets several be chosen.

        Args:
            chosen: What was chosen.
            line: Its line, from 1.
            none: The fault where nothing was chosen.

        Returns:
            The only chosen class; else None, and a fault is noted.
        """
        if len(chosen) == 1:
            return self.label_in(next(iter(chosen)), line)
        several = f"{len(chosen)} classes were chosen; one can be right"
        self.fault(several if chosen or not none else none, line)
        return None

    def time_in(self, value: object, line: int) -> float | None:
        """Read the time of an answer.

        Args:
            value: A number of seconds, or RFC 3339, in UTC without a zone.
            line: Its line, from 1.

        Returns:
            Seconds since the epoch; None where there is no value, and, with a fault, where it can't
            be read.
        """
        if value is None or value == "":
            return None
        try:
            return seconds_of(value, "the time", UTC)
        except (Refusal, OverflowError) as error:
            self.fault(f"{error}; the time of the file is taken", line)
            return None

    def objects_in(self, array: list[Any], kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Read the objects of an array; other items are faults.

        Args:
            array: The array.
            kind: What an item should be, for the fault.

        Yields:
            The number of an object, from 1, and the object.
        """
        for n, item in enumerate(array, start=1):
            if isinstance(item, dict):
                yield n, item
            else:
                self.fault(f"this is no {kind}", n)


class Format(Protocol):
    """How one tool reads tasks and writes answers; the class takes the settings.

    `headrace.testing.check_format` checks a format, and has an example of one.

    Attributes:
        suffix: The end of the names of its files, such as ".jsonl".

    >>> from headrace.bridges.formats.doccano import Doccano
    >>> Doccano(FilesSettings()).suffix
    '.jsonl'
    """

    suffix: str

    def tasks_of(self, requests: Sequence[LabelRequested]) -> bytes:
        """Write a file of tasks: the same bytes for the same requests.

        Args:
            requests: The requests.

        Returns:
            The content of the file.
        """

    def replies_of(self, content: bytes) -> Reading:
        """Read a file of answers. It raises nothing, whatever the bytes are.

        Args:
            content: The content of the file.

        Returns:
            The answers and faults in it.
        """


# -------------------------------------------------------------------------------------- tasks


def classes_of(request: LabelRequested, settings: FilesSettings) -> list[str]:
    """Return the classes to choose from: those of the settings, or those of the prediction."""
    return list(settings.classes) or sorted(request.prediction)


def guess_of(request: LabelRequested, settings: FilesSettings) -> tuple[str, float] | None:
    """Return the most likely class with its probability; None if there is none to show."""
    if not settings.show_guess or not request.prediction:
        return None
    return max(request.prediction.items(), key=lambda one: (one[1], one[0]))


def shorten_value(value: Value, chars_max: int) -> str:
    """Return a feature's value as a text for people, of at most `chars_max` characters.

    >>> [shorten_value(value, 10) for value in (0.1 + 0.2, True, None, "abcdefghijklm")]
    ['0.3', 'true', '', 'abcdefghi…']
    """
    if value is None:
        return ""
    is_fraction = isinstance(value, float) and not value.is_integer()
    text = format(value, ".10g") if is_fraction else class_name(value)
    # Half a surrogate pair can't be encoded as UTF-8.
    text = text.encode(errors="replace").decode()
    return text if len(text) <= chars_max else f"{text[: chars_max - 1]}…"


def text_of(request: LabelRequested, settings: FilesSettings) -> str:
    """Return the text of a task: one feature, or all of them, one a line."""
    features = request.features
    if settings.text:
        return shorten_value(features.get(settings.text), settings.chars_max)
    lines = (
        f"{name}: {shorten_value(value, settings.chars_max)}" for name, value in features.items()
    )
    return shorten_value("\n".join(lines), settings.chars_max)


def image_of(request: LabelRequested, settings: FilesSettings) -> str:
    """Return the address of the picture of a task; "" without one."""
    value = request.features.get(settings.image) if settings.image else None
    return value if isinstance(value, str) else ""


def object_lines(objects: Sequence[dict[str, Any]]) -> bytes:
    """Encode JSON objects, one a line, in ASCII: so no tool can mistake the encoding."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in objects)


# ------------------------------------------------------------------------------------ answers


def lines_of(content: bytes, tool: str, reading: Reading) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the JSON objects of a file with one a line, each with its line from 1.

    Any other line is a fault; if it is the first, the only one: the file is not one of `tool`.
    """
    lines = content.removeprefix(_BOM).split(b"\n")
    is_first = True
    for line_n, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        record = parse_json(line)
        if isinstance(record, dict):
            yield line_n, record
        elif is_first:
            reading.fault(f"this is no file of {tool}: line {line_n} is no JSON object")
            return
        else:
            reading.fault("this is no JSON object", line_n)
        is_first = False


def parse_json(content: bytes) -> Any:
    """Decode JSON; return None for bytes that are not JSON."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def annotator_in(found: dict[str, Any], name: str) -> str:
    """Return who answered, from the key `name`, as text; "" if the record does not say."""
    value = found.get(name)
    return class_name(value) if isinstance(value, str | int | float) else ""
