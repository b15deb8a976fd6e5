"""Decoders and file formats: those that are shipped keep the contracts, broken ones are told."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest

from bridges.formats.tools import TOOLS, Said
from headrace.bridges.formats import FORMATS
from headrace.extending import FilesSettings, Given, Reading
from headrace.testing import check_decoder, check_format

RECORDS = [b'{"id": "e1", "features": {"a": 1}}', b'[{"id": "e2"}, {"id": "e3"}]']


@pytest.mark.parametrize("path", ["json:loads", "headrace.decoders:cloudevent"])
def test_a_decoder_that_is_shipped_keeps_the_contract(path: str) -> None:
    check_decoder(path, RECORDS, {"ce_id": b"7", "ce_time": b"2024-05-01T12:00:00Z"})


def test_a_record_of_a_schema_registry_is_decoded() -> None:
    check_decoder("headrace.decoders:confluent_json", [b"\0\0\0\0\7" + one for one in RECORDS])
    with pytest.raises(AssertionError, match="record 0 is refused: ValueError: it does not begin"):
        check_decoder("headrace.decoders:confluent_json", RECORDS)


class Counting:
    """Decoders that break the contract."""

    n = 0

    @classmethod
    def count(cls, record: bytes) -> dict[str, Any]:
        cls.n += 1
        return {"id": cls.n}

    @staticmethod
    def take_headers(record: bytes, headers: dict[str, bytes]) -> dict[str, Any]:
        headers.clear()
        return {"id": "e"}

    @staticmethod
    def give_set(record: bytes) -> Any:
        return object()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("count", "record 2 is another one when it is read again"),
        ("take_headers", "it changes the headers"),
        ("give_set", "record 0 is refused: TypeError: it gave an object of type object"),
    ],
)
def test_a_decoder_that_breaks_the_contract_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    module = ModuleType("broken_decoders")
    setattr(module, name, getattr(Counting, name))
    monkeypatch.setitem(sys.modules, "broken_decoders", module)
    with pytest.raises(AssertionError, match=said):
        check_decoder(f"broken_decoders:{name}", [*RECORDS, b"{}"], {"a": b"1"})


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_that_is_shipped_keeps_the_contract(name: str) -> None:
    def fill(tasks: bytes, labels: Mapping[str, str]) -> bytes:
        return TOOLS[name](tasks, {one: Said(label, "ada") for one, label in labels.items()})

    check_format(FORMATS[name], fill)


class Lines:
    """A format of JSON lines, as it should be; `fault` breaks it."""

    suffix = ".jsonl"
    fault = ""

    def __init__(self, settings: FilesSettings) -> None:
        self.n = 0

    def tasks_of(self, requests: Any) -> bytes:
        self.n += self.fault == "moody"
        lines = [json.dumps([one.request_id, self.n]) for one in requests]
        return "\n".join(lines).encode()

    def replies_of(self, content: bytes) -> Reading:
        reading = Reading()
        for n, line in enumerate(content.split(b"\n"), start=1):
            try:
                [request_id, label] = json.loads(line)
            except (ValueError, TypeError, RecursionError) as error:
                if self.fault == "raises":
                    raise
                reading.fault(str(error), n)
            else:
                label = 1 if self.fault == "deaf" else label
                if isinstance(label, str) or self.fault == "deaf":
                    reading.given.append(Given(n, request_id, label))
        return reading


def answer_lines(tasks: bytes, labels: Mapping[str, str]) -> bytes:
    ids = [json.loads(line)[0] for line in tasks.splitlines()]
    return "\n".join(json.dumps([one, labels[one]]) for one in ids).encode()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("moody", "the same requests give other bytes"),
        ("raises", "`replies_of` raises JSONDecodeError"),
        ("deaf", "of the labels .* these come back"),
    ],
)
def test_a_format_that_breaks_the_contract_is_told(
    monkeypatch: pytest.MonkeyPatch, fault: str, said: str
) -> None:
    check_format(Lines, answer_lines)
    monkeypatch.setattr(Lines, "fault", fault)
    with pytest.raises(AssertionError, match=said):
        check_format(Lines, answer_lines)
