"""Contracts of what reads foreign bytes: a decoder of records, and a format of a labelling tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..bridges.formats import FilesSettings, Format, Reading
from ..messages import LabelRequested
from ..observe.hook import Hook
from ..observe.values import Refusal
from .bridges import make_request
from .claims import claim

BYTES_MAX = 1 << 20

FOREIGN = (b"", b"\xef\xbb\xbf", b"\x00\xff\xfe", b"\xed\xa0\x80", b"[" * 2_000, b"r1", b'{"a": 1}')
"""Bytes that no tool writes: a mark alone, no UTF-8, half a surrogate pair, an endless array."""


def check_decoder(
    path: str, records: Sequence[bytes], headers: Mapping[str, bytes] | None = None
) -> None:
    """Check a function for `input.decoder` or `answers.decoder`, which decodes records.

    Every record must be read as an object or an array of objects of what JSON has. It must give the
    same a second time, after other records, and after bytes that it can't read; a record that is
    cut in half must be refused by an exception or be read, and must not end the process.

    Args:
        path: The function, as the setting names it: `module:function`.
        records: Examples of your log, at least one.
        headers: Those of each record on Kafka, for a function with a parameter `headers`.

    Raises:
        AssertionError: It breaks a rule; the text says which.
        BadSettings: There is no such function, or it can't be called with a record.

    >>> check_decoder("json:loads", [b'{"id": "e1"}', b'[{"id": "e2"}, {"id": "e3"}]'])
    >>> check_decoder("json:loads", [b"17"])
    Traceback (most recent call last):
    AssertionError: record 0 is refused: it gave 17; must give an object, or an array of objects
    """
    claim(len(records) > 0, "there is no record to try the decoder on")
    hook, sent = Hook(path, BYTES_MAX), dict(headers or {})
    first = [_read(hook, record, sent, i) for i, record in enumerate(records)]
    claim(sent == dict(headers or {}), "it changes the headers that it is given")
    for record in [*(record[: len(record) // 2] for record in records), *FOREIGN]:
        try:
            hook.read_records(record, sent)
        except Refusal:
            continue
    for i, record in reversed(list(enumerate(records))):
        again = _read(hook, record, sent, i)
        claim(
            again == first[i],
            f"record {i} is another one when it is read again: it depends on more than its bytes",
        )


def _read(hook: Hook, record: bytes, headers: Mapping[str, bytes], i: int) -> list[dict[str, Any]]:
    try:
        return hook.read_records(record, headers)
    except Refusal as error:
        raise AssertionError(f"record {i} is refused: {error.detail}") from None


def check_format(
    make: Callable[[FilesSettings], Format],
    fill: Callable[[bytes, Mapping[str, str]], bytes],
    settings: FilesSettings | None = None,
) -> None:
    """Check a file format of the bridge `files`: tasks go out, answers come back.

    The same requests must give the same bytes, whatever stands in their features. Answers must come
    back with the ids and labels that were given, and nothing else. No bytes may make it raise:
    halves of a file of answers, and files of something else, are faults or are left out.

    Args:
        make: Makes the format from its settings, as the class itself does.
        fill: The person: takes a file of tasks and the label of each request id, and returns the
            file of answers.
        settings: Those of the bridge; by default two classes, "fine" and "fraud".

    Raises:
        AssertionError: It breaks a rule; the text says which.

    >>> class Words:
    ...     suffix = ".txt"
    ...     def __init__(self, settings):
    ...         pass
    ...     def tasks_of(self, requests):
    ...         return "".join(f"{one.request_id}\\n" for one in requests).encode()
    ...     def replies_of(self, content):
    ...         reading = Reading()
    ...         for n, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
    ...             words = line.split()
    ...             if len(words) == 2:
    ...                 reading.given.append(Given(n, words[0], words[1]))
    ...             else:
    ...                 reading.fault("this is not an id and a class", n)
    ...         return reading
    >>> from headrace.extending import Given, Reading
    >>> def fill(tasks, labels):
    ...     return "".join(f"{one} {labels[one]}\\n" for one in tasks.decode().split()).encode()
    >>> check_format(Words, fill)
    """
    format_ = make(settings or FilesSettings(classes=["fine", "fraud"]))
    claim(format_.suffix.startswith("."), f"its suffix is {format_.suffix!r}; must begin with .")
    requests = [make_request(i, deadline=1e9) for i in range(6)]
    labels = {one.request_id: ("fine", "fraud")[i % 2] for i, one in enumerate(requests)}
    tasks = _write(format_, requests)
    claim(tasks == _write(format_, requests), "the same requests give other bytes")
    answers = fill(tasks, labels)
    reading = _read_answers(format_, answers)
    given = {one.request_id: one.label for one in reading.given}
    claim(not reading.faults, f"it finds faults in good answers: {reading.faults[:1]}")
    claim(given == labels, f"of the labels {labels} these come back: {given}")
    for content in (answers[: len(answers) // 2], answers[1:], tasks, *FOREIGN):
        for one in _read_answers(format_, content).given:
            claim(
                one.label is None or isinstance(one.label, str),
                f"it reads the label {one.label!r}; must be a text, or None",
            )


def _write(format_: Format, requests: Sequence[LabelRequested]) -> bytes:
    tasks = format_.tasks_of(requests)
    claim(isinstance(tasks, bytes), f"`tasks_of` returns {type(tasks).__name__}; must be bytes")
    return tasks


def _read_answers(format_: Format, content: bytes) -> Reading:
    try:
        return format_.replies_of(content)
    except Exception as error:  # a format of the user's may raise anything
        words = f"`replies_of` raises {type(error).__name__} on {content[:20]!r}: {error}"
        raise AssertionError(words) from error
