"""doccano: text classification as JSONL or JSON, in and out.

doccano 1.8 keeps the keys of an imported line that it does not know as metadata, and exports them
beside `text` and `label`: so the request's id comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...messages import LabelRequested
from .format import Given, Reading, annotator_in, lines_of, object_lines, parse_json, text_of
from .settings import FilesSettings


class Doccano:
    """Files of doccano, for projects of document classification.

    >>> reading = Doccano(FilesSettings()).replies_of(
    ...     b'{"id": 1, "text": "hi", "request_id": "r1", "label": ["ham"], "Comments": []}'
    ... )
    >>> reading.given
    [Given(line=1, request_id='r1', label='ham', at=None, annotator='')]
    """

    suffix = ".jsonl"

    def __init__(self, settings: FilesSettings) -> None:
        self._settings = settings
        self._label = settings.label or "label"

    def tasks_of(self, requests: Sequence[LabelRequested]) -> bytes:
        return object_lines([self._make_task(request) for request in requests])

    def _make_task(self, request: LabelRequested) -> dict[str, Any]:
        return {
            # doccano refuses an empty text.
            "text": text_of(request, self._settings) or "-",
            # Without this key doccano refuses the file. A guess in it would come back as if a
            # person had given it.
            self._label: [],
            self._settings.request_id: request.request_id,
        }

    def replies_of(self, content: bytes) -> Reading:
        reading = Reading()
        for line, record in self._list_records(content, reading):
            self._read_record(line, record, reading)
        return reading

    def _list_records(
        self, content: bytes, reading: Reading
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        whole = parse_json(content.removeprefix(b"\xef\xbb\xbf"))
        if isinstance(whole, list):
            return reading.objects_in(whole, "example")
        return lines_of(content, "doccano", reading)

    def _read_record(self, line: int, found: dict[str, Any], reading: Reading) -> None:
        request_id = reading.id_in(found, self._settings.request_id, line)
        if not request_id:
            return
        labels = found.get(self._label)
        labels = [labels] if isinstance(labels, str) and labels else labels
        if not labels:
            reading.blank.append(request_id)
            return
        if not isinstance(labels, list):
            reading.fault(f"{self._label} is no list of labels", line)
            return
        label = reading.only_label(labels, line)
        if label is None:
            return
        at = reading.time_in(found.get(self._settings.at or "at"), line)
        who = annotator_in(found, self._settings.annotator or "annotator")
        reading.given.append(Given(line, request_id, label, at, who))
