"""Prodigy: tasks as an object a line, for its `choice` interface; answers as `db-out` writes them.

The keys are those of Prodigy's documentation ("Annotation interfaces", "Input data"). A task has
`text` or `image`, `options` and `meta`; an answer also has `answer` (accept, reject, ignore),
`accept`, `_annotator_id`, `_session_id`, `_timestamp`. Prodigy keeps keys that it does not know,
such as the request's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...messages import LabelRequested
from .format import (
    Given,
    Reading,
    annotator_in,
    classes_of,
    guess_of,
    image_of,
    lines_of,
    object_lines,
    text_of,
)
from .settings import FilesSettings


class Prodigy:
    """Files of Prodigy.

    A task has no hashes: Prodigy computes them from what is shown, so it takes two events that look
    alike for one task, and does not show the second one.

    >>> reading = Prodigy(FilesSettings()).replies_of(
    ...     b'{"request_id": "r1", "options": [{"id": "ham"}], "accept": ["ham"], '
    ...     b'"answer": "accept"}'
    ... )
    >>> reading.given
    [Given(line=1, request_id='r1', label='ham', at=None, annotator='')]
    """

    suffix = ".jsonl"

    def __init__(self, settings: FilesSettings) -> None:
        self._settings = settings

    def tasks_of(self, requests: Sequence[LabelRequested]) -> bytes:
        return object_lines([self._make_task(request) for request in requests])

    def _make_task(self, request: LabelRequested) -> dict[str, Any]:
        settings = self._settings
        image = image_of(request, settings)
        task: dict[str, Any] = {"image": image} if image else {"text": text_of(request, settings)}
        classes = classes_of(request, settings)
        if classes:
            task["options"] = [{"id": name, "text": name} for name in classes]
        task[settings.request_id] = request.request_id
        meta: dict[str, Any] = {"asked": request.reason}
        if request.not_by:
            # A second opinion must come from somebody else than these people.
            meta["not by"] = ", ".join(request.not_by)
        guess = guess_of(request, settings)
        if guess is not None:
            meta |= {"guess": guess[0], "score": round(guess[1], 4)}
        task["meta"] = meta
        return task

    def replies_of(self, content: bytes) -> Reading:
        reading = Reading()
        for line, record in lines_of(content, "Prodigy", reading):
            self._read_record(line, record, reading)
        return reading

    def _read_record(self, line: int, found: dict[str, Any], reading: Reading) -> None:
        request_id = reading.id_in(found, self._settings.request_id, line)
        if not request_id:
            return
        answer = found.get("answer")
        if answer is None:
            reading.blank.append(request_id)
            return
        faults_n = reading.faults_n
        label = self._read_label(answer, found, line, reading)
        if reading.faults_n > faults_n:
            return
        # The id of the annotator is better than that of a session, which names the data set too.
        who = self._settings.annotator or "_annotator_id"
        reading.given.append(
            Given(
                line=line,
                request_id=request_id,
                label=label,
                at=reading.time_in(found.get(self._settings.at or "_timestamp"), line),
                annotator=annotator_in(found, who) or annotator_in(found, "_session_id"),
            )
        )

    def _read_label(
        self, answer: object, found: dict[str, Any], line: int, reading: Reading
    ) -> str | None:
        if answer not in ("accept", "reject", "ignore"):
            reading.fault("answer must be accept, reject or ignore", line)
            return None
        if answer == "ignore":
            return None
        chosen = found.get("accept")
        if isinstance(chosen, list) and "options" in found:
            # A rejected task with options was turned down as a whole.
            none = "it was accepted without a choice; ignore says that one can't tell"
            return None if answer == "reject" else reading.only_label(chosen, line, none)
        name = self._settings.label or "label"
        if name not in found:
            reading.fault(f"there is neither `accept` with options nor `{name}`", line)
            return None
        label = reading.label_in(found[name], line)
        return label if answer == "accept" else self._find_other(label, line, reading)

    def _find_other(self, label: str | None, line: int, reading: Reading) -> str | None:
        """Return the class that is meant by rejecting `label`: of two classes, the other one."""
        others = [name for name in self._settings.classes if name != label]
        if len(self._settings.classes) == 2 and len(others) == 1:
            return others[0]
        reading.fault(
            f"that it is not {label!r} does not say what it is; ask with options, or set `classes` "
            "to two",
            line,
        )
        return None
