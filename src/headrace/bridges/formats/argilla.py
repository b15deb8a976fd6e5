"""Argilla 2: an array of records, as `records.to_json` and `rg.Dataset.records.from_json` have it.

`responses` has by question a list of values, each with who gave it. A response has a status only
where the export wrote one; see docs/FORMATS.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...messages import LabelRequested
from .format import Given, Reading, annotator_in, guess_of, image_of, parse_json, text_of
from .settings import FilesSettings


class Argilla:
    """Records of Argilla; the id of a record is that of its request.

    >>> reading = Argilla(FilesSettings()).replies_of(
    ...     b'[{"id": "r1", "responses": {"label": [{"value": "ham", "user_id": "7f3a"}]}}]'
    ... )
    >>> reading.given
    [Given(line=1, request_id='r1', label='ham', at=None, annotator='7f3a')]
    """

    suffix = ".json"

    def __init__(self, settings: FilesSettings) -> None:
        self._settings = settings
        self._question = settings.label or "label"

    def tasks_of(self, requests: Sequence[LabelRequested]) -> bytes:
        records = [json.dumps(self._make_record(request)) for request in requests]
        return ("[\n" + ",\n".join(records) + "\n]\n").encode()

    def _make_record(self, request: LabelRequested) -> dict[str, Any]:
        fields = {"text": text_of(request, self._settings)}
        image = image_of(request, self._settings)
        if image:
            fields["image"] = image
        suggestions = {}
        guess = guess_of(request, self._settings)
        if guess is not None:
            agent = f"headrace {request.model_version}"
            suggestions[self._question] = {"value": guess[0], "score": guess[1], "agent": agent}
        return {
            "id": request.request_id,
            "fields": fields,
            "metadata": {},
            "suggestions": suggestions,
            "responses": {},
            "vectors": {},
        }

    def replies_of(self, content: bytes) -> Reading:
        """Read answers as every format does; `line` is a record's number in the array, from 1."""
        reading = Reading()
        records = parse_json(content.removeprefix(b"\xef\xbb\xbf"))
        if not isinstance(records, list):
            reading.fault("this is no file of Argilla: it is no JSON array of records")
            return reading
        for n, record in reading.objects_in(records, "record"):
            self._read_record(n, record, reading)
        return reading

    def _read_record(self, n: int, record: dict[str, Any], reading: Reading) -> None:
        request_id = record.get("id")
        if not isinstance(request_id, str) or not request_id:
            reading.fault("the record has no id; the dataset has to keep it", n)
            return
        responses = self._list_responses(record, n, reading)
        if not responses:
            reading.blank.append(request_id)
        for response in responses:
            status = response.get("status")
            if status == "draft":
                continue
            value = response.get("value")
            faults_n = reading.faults_n
            is_discarded = status == "discarded" or value is None
            label = None if is_discarded else reading.label_in(value, n)
            if reading.faults_n > faults_n:
                continue
            at = reading.time_in(response.get(self._settings.at or "at"), n)
            who = annotator_in(response, self._settings.annotator or "user_id")
            reading.given.append(Given(n, request_id, label, at, who))

    def _list_responses(
        self, record: dict[str, Any], n: int, reading: Reading
    ) -> list[dict[str, Any]]:
        """Return the responses to our question, from nested records or from flat ones."""
        name = self._question
        by_question = record.get("responses")
        if isinstance(by_question, dict):
            responses = by_question.get(name, [])
        else:
            values = record.get(f"{name}.responses") or []
            users = record.get(f"{name}.responses.users") or []
            if not isinstance(values, list) or not isinstance(users, list):
                reading.fault(f"{name}.responses or its users are no list", n)
                return []
            statuses = record.get(f"{name}.responses.status") or [None] * len(values)
            is_list = isinstance(statuses, list)
            if not is_list or not (len(values) == len(users) == len(statuses)):
                reading.fault(f"{name}.responses and its users are not as many", n)
                return []
            rows = zip(values, users, statuses, strict=True)
            responses = [{"value": v, "user_id": u, "status": s} for v, u, s in rows]
        if isinstance(responses, list) and all(
            isinstance(response, dict) for response in responses
        ):
            return responses
        reading.fault(f"the responses to {name} are no list of responses", n)
        return []
