"""Decodes answers from the records that labelling tools export: bytes to `Answer`s.

Whether an answer fits an open request is for the desk to judge; nothing here keeps state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import BadSettings
from ..messages import Answer, InputRejected, Reason, Withdrawal
from ..settings import AnswersSettings
from ..settings.fields import faults_of_zone, zone_of
from .batches import Record
from .hook import Headers, Hook
from .payloads import find_value
from .raw import check_size, record_of, reject_line
from .values import Refusal, check_status, format_value, seconds_of, text_of

TEXT_MAX = 500  # characters of each text of an answer
LINE_BYTES_MAX = 1_048_576


class AnswersDecoder:
    """Decodes lines of answers as the settings [answers] say.

    An answer is a refusal if its label is null, if it has no label and `"cannot_tell": true`, or if
    the tool wrote `"answer": "reject"`, `"answer": "ignore"` or `was_cancelled` beside the label.
    `"withdraw": "why"` instead of a label withdraws the request. An answer without a time has
    `at` 0.0: the receiver can date it by nothing better than the engine's clock.

    `has_headers`: the function of `answers.decoder` has a parameter for the headers of each record.
    Raises `BadSettings` where there is no such function.

    >>> decoder = AnswersDecoder(AnswersSettings(batch_path="marks"))
    >>> decoder.decode([b'{"request_id": "r", "marks": [{"label": true, "annotator": "eva"}]}'])
    [Answer(request_id='r', label='true', at=0.0, annotator='eva')]
    """

    def __init__(
        self, settings: AnswersSettings | None = None, line_bytes_max: int = LINE_BYTES_MAX
    ) -> None:
        self._settings = settings or AnswersSettings()
        faults = faults_of_zone("answers.zone", self._settings.zone)
        if faults:
            raise BadSettings(faults)
        self._zone = zone_of(self._settings.zone)
        self._bytes_max = line_bytes_max
        path = self._settings.decoder
        self._hook = Hook(path, line_bytes_max, "answers.decoder") if path else None
        self.has_headers = self._hook is not None and self._hook.has_headers

    def decode(
        self,
        lines: Sequence[bytes],
        source: str = "",
        positions: Sequence[int] = (),
        headers: Sequence[Headers] = (),
    ) -> list[Answer | Withdrawal | InputRejected]:
        """Return answers, withdrawals and rejections of these lines in order; skip blank lines.

        `source` and `positions[i]`, the place of line i in it, are copied to rejections.
        `headers[i]` are the headers of the record in line i.
        """
        decoded: list[Answer | Withdrawal | InputRejected] = []
        for i, line in enumerate(lines):
            if not line or line.isspace():
                continue
            position = positions[i] if i < len(positions) else -1
            for record, answer in self._split_line(line, headers[i] if headers else {}):
                name = text_of(self._find_value(record, answer, self._settings.request_id)) or ""
                try:
                    if isinstance(answer, Refusal):
                        raise answer
                    decoded.append(self._read_answer(record, answer))
                except Refusal as refusal:
                    decoded.append(reject_line(refusal, line, name, source, position))
        return decoded

    def _split_line(self, line: bytes, headers: Headers) -> list[tuple[Record, Any]]:
        """Return each answer of a line, or a `Refusal`, with the record that holds it."""
        path = self._settings.batch_path
        try:
            records = self._read_records(line, headers)
        except Refusal as refusal:
            return [({}, refusal)]
        if not path:
            return [(record, record) for record in records]
        answers: list[tuple[Record, Any]] = []
        for record in records:
            items = find_value(record, path)
            if isinstance(items, list) and items and all(isinstance(item, dict) for item in items):
                answers += [(record, item) for item in items]
            else:
                must = "must be an array of answers, which are objects"
                fault = f"{path} is {format_value(items)}; {must}"
                fault = f"nobody has answered yet: {path} is empty" if items == [] else fault
                answers.append((record, Refusal(Reason.BAD_ANSWER, fault)))
        return answers

    def _read_records(self, line: bytes, headers: Headers) -> list[Record]:
        if self._hook is not None:
            check_size(line, self._bytes_max)
            return self._hook.read_records(line, headers)
        try:
            return [record_of(line, self._bytes_max)]
        except Refusal as refusal:
            refusal.detail += "; an array of tasks is read from a file *.json (docs/LOGS.md)"
            raise

    @staticmethod
    def _find_value(record: Record, answer: Any, path: str) -> Any:
        """Return the value at a path in the answer or, if there is none, in the whole record."""
        own = find_value(answer, path) if isinstance(answer, dict) else None
        return own if own is not None or answer is record else find_value(record, path)

    def _read_answer(self, record: Record, answer: Record) -> Answer | Withdrawal:
        settings = self._settings
        if path := settings.status:
            value = self._find_value(record, answer, path)
            check_status(value, path, settings.status_ok, "answers.status_ok")
        is_refused = self._is_refused(record, answer)
        request_id = _require_text(
            "request_id", self._find_value(record, answer, settings.request_id)
        )
        label = None if is_refused else self._read_label(record, answer)
        annotator = self._find_value(record, answer, settings.annotator)
        withdrawn = self._find_value(record, answer, "withdraw")
        cannot_tell = is_refused or self._find_value(record, answer, "cannot_tell") is True
        if not request_id or (label is not None and not label.strip()):
            raise Refusal(Reason.BAD_ANSWER, "request_id and label must not be empty")
        value = self._find_value(record, answer, settings.at)
        at = 0.0
        if value is not None:
            at = seconds_of(value, settings.at, self._zone, settings.at_unit, "answers")
        if withdrawn is not None and (reason := _require_text("withdraw", withdrawn)):
            return Withdrawal(request_id=request_id, at=at, reason=reason)
        if label is None and settings.label not in answer and not cannot_tell:
            fault = f"there is no label at {settings.label}; a refusal says null, or cannot_tell"
            raise Refusal(Reason.BAD_ANSWER, f"{fault}. answers.label says where it stands")
        if label is not None and cannot_tell:
            raise Refusal(Reason.BAD_ANSWER, "there is a label, and cannot_tell is true")
        return Answer(
            request_id=request_id,
            label=label,
            at=at,
            annotator="" if annotator is None else _require_text("annotator", annotator),
        )

    def _read_label(self, record: Record, answer: Record) -> str | None:
        value = self._find_value(record, answer, self._settings.label)
        if isinstance(value, list) and len(value) == 1 and not isinstance(value[0], list | dict):
            value = value[0]  # choices, of which one was chosen
        if isinstance(value, list | dict):
            wanted = "must be one class, and no spans of a text: let people choose one"
            wanted = wanted if value else "nobody chose yet"
            raise Refusal(Reason.BAD_ANSWER, f"label is {format_value(value)}; {wanted}")
        label = None if value is None else _require_text("label", value)
        return label if label is None else self._settings.class_names.get(label, label)

    def _is_refused(self, record: Record, answer: Record) -> bool:
        """Whether the tool marks the answer as rejected, skipped or cancelled: its label is void.

        Prodigy writes `answer`, Label Studio `was_cancelled`, in the record or in its annotation.
        """
        if self._settings.label != "answer" and record.get("answer") in ("reject", "ignore"):
            return True
        if record.get("was_cancelled") is True or answer.get("was_cancelled") is True:
            return True
        annotations = record.get("annotations")
        if answer is not record or not (isinstance(annotations, list) and annotations):
            return False
        return isinstance(annotations[0], dict) and annotations[0].get("was_cancelled") is True


def _require_text(field: str, value: Any) -> str:
    """Return a value of an answer as text. Raises `Refusal` if it is none, or too long."""
    text = text_of(value)
    if text is None or len(text) > TEXT_MAX:
        fault = f"{field} is {format_value(value)}; must be at most {TEXT_MAX} characters of text"
        if isinstance(value, list | dict):
            fault += f", to which answers.{field} leads"
        raise Refusal(Reason.BAD_ANSWER, fault)
    return text
