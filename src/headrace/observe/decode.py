"""Bytes to events and answers; single events to columns. A line that can't be used says why.

Nothing is remembered from one line to the next but the `Halves` that the caller holds, so any split
of the lines gives the same events.
Where the fields of a record stand is in `payloads`; duplicates and the future are not judged here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ..errors import BadSettings
from ..messages import (
    Answer,
    EventBatch,
    InputRejected,
    Reason,
    Withdrawal,
)
from ..settings import AnswersSettings, ColumnsSettings, InputSettings
from ..settings_fields import faults_of_zone, zone_of
from .columns import EventValues, batch_of, columns_of
from .declared import Declared
from .hook import Headers, Hook
from .joining import Halves, Join
from .payloads import Fields, Layout, Record, find
from .plain import PlainLines
from .values import (
    Refusal,
    features_of,
    identity_of,
    optional_text,
    probabilities_of,
    seconds_of,
    shown,
    text_of,
)

__all__ = ["Decoded", "Decoder", "batch_of", "decode_answers"]

RAW_MAX = 500  # characters of a rejected line that are kept
ANSWER_TEXT_MAX = 500  # characters of each text of an answer

_JSON = msgspec.json.Decoder()


@dataclass(frozen=True, eq=False, slots=True)
class Decoded:
    """What some lines held: `events_n[i]` events of line i, all in order; and what was rejected.

    Every line that is not blank has an event or a rejection; one that holds many may have both, and
    one that is read by `input.decoder` none.
    """

    batch: EventBatch
    events_n: list[int]
    rejected: list[InputRejected]


class Decoder:
    """Reads lines of an inference log as [input] says, and their features as [columns] declares.

    Raises `BadSettings` where the settings can't be followed: no path of the id or the time, a
    name twice in `feature_names` or `classes`, no function where `decoder` says.

    `has_headers`: that function wants the headers of each record. `is_joining`: requests and
    responses are records of their own, so that what a line leads to depends on those before.

    >>> line = b'{"id": 7, "at": "2024-05-01T12:00:00Z", "features": {"x": 1, "colour": "red"}}'
    >>> decoded = Decoder(InputSettings()).decode([line, b"", b"{}"])
    >>> decoded.batch.ids, decoded.batch.at.tolist(), decoded.batch.row(0).features
    (['7'], [1714564800.0], {'x': 1.0, 'colour': 'red'})
    >>> decoded.events_n, [str(rejected.reason) for rejected in decoded.rejected]
    ([1, 0, 0], ['no_id'])
    """

    def __init__(self, settings: InputSettings, columns: ColumnsSettings | None = None) -> None:
        faults = [
            f"input.{name} is empty; must be a path"
            for name in ("id", "at")
            if not getattr(settings, name)
        ]
        faults += [
            f"input.{name} names one twice"
            for name in ("feature_names", "classes")
            if len(set(getattr(settings, name))) < len(getattr(settings, name))
        ]
        faults += faults_of_zone("input.zone", settings.zone)
        if faults:
            raise BadSettings(faults)
        self._settings = settings
        self._zone = zone_of(settings.zone)
        self._layout = Layout(settings)
        self._plain = PlainLines(settings)
        self._declared = Declared(columns or ColumnsSettings())
        self._hook = Hook(settings.decoder, settings.line_bytes_max) if settings.decoder else None
        self._join = Join(settings.join) if settings.join.id else None
        self.has_headers = self._hook is not None and self._hook.has_headers

    @property
    def is_joining(self) -> bool:
        return self._join is not None

    def decode(
        self,
        lines: Sequence[bytes],
        source: str = "",
        positions: Sequence[int] = (),
        headers: Sequence[Headers] = (),
        halves: Halves | None = None,
    ) -> Decoded:
        """All events of these lines as one batch; `positions[i]` is where line i came from.

        `headers[i]` are those of line i; they may be left out where `has_headers` is false, and
        for lines that have none. `halves` are the records that wait to be joined (`[input.join]`),
        and are changed; without them nothing is joined but what is in these lines.

        The batch takes 8 bytes for each event and each feature that any of them has: pass some
        hundreds of lines at a time.
        """
        events: list[EventValues] = []
        events_n: list[int] = []
        rejected: list[InputRejected] = []
        halves = Halves() if halves is None else halves
        for i, line in enumerate(lines):
            plain = self._plain.values(line)
            if plain is not None:
                events.append(self._as_declared(plain))
                events_n.append(1)
                continue
            before_n = len(events)
            position = positions[i] if i < len(positions) else -1
            records = self._records(line, headers[i] if headers else {})
            for fields in self._fields(records, halves, line, source, position):
                if isinstance(fields, InputRejected):
                    rejected.append(fields)
                    continue
                try:
                    if isinstance(fields, Refusal):
                        raise fields
                    events.append(self._as_declared(self._event(fields)))
                except Refusal as refusal:
                    name = text_of(fields.id) if isinstance(fields, Fields) else None
                    rejected.append(_rejected(refusal, line, name or "", source, position))
            events_n.append(len(events) - before_n)
        return Decoded(columns_of(events), events_n, rejected)

    def _fields(
        self,
        records: Sequence[Record | Refusal],
        halves: Halves,
        line: bytes,
        source: str,
        position: int,
    ) -> list[Fields | Refusal | InputRejected]:
        """The events of the records of a line, unread; what is at fault spoils no other."""
        whole: Sequence[Record | Refusal | InputRejected] = records
        if self._join is not None and records:
            nothing = Refusal(Reason.NOT_JOINED, "")
            place = _rejected(nothing, line, "", source, position)
            whole = self._join.joined(records, halves, place)
        found: list[Fields | Refusal | InputRejected] = []
        for record in whole:
            if isinstance(record, Refusal | InputRejected):
                found.append(record)
                continue
            try:
                found += self._layout.fields(record)
            except Refusal as refusal:
                found.append(refusal)
        return found

    def _records(self, line: bytes, headers: Headers) -> Sequence[Record | Refusal]:
        """The objects of one line, or why there are none; of a blank line nothing."""
        if not line or (self._hook is None and line.isspace()):
            return ()
        try:
            if self._hook is None:
                return [_parsed(line, self._settings.line_bytes_max)]
            _check_size(line, self._settings.line_bytes_max)
            return self._hook.records(line, headers)
        except Refusal as refusal:
            return (refusal,)

    def _as_declared(self, values: EventValues) -> EventValues:
        if not self._declared.is_any:
            return values
        return (*values[:2], self._declared.applied(values[2]), *values[3:])

    def _event(self, fields: Fields) -> EventValues:
        """The values of one event. Raises `Refusal`."""
        settings = self._settings
        return (
            identity_of(fields.id, settings.id),
            seconds_of(fields.at, settings.at, self._zone, settings.at_unit),
            features_of(fields.features, settings.features, settings.feature_names, fields.hidden),
            self._named(optional_text(fields.predicted, settings.predicted)),
            self._all_named(probabilities_of(fields.probabilities, settings.classes)),
            optional_text(fields.key, settings.key),
            optional_text(fields.model_version, settings.model_version),
        )

    def _named(self, served: str | None) -> str | None:
        """A class of the served model by the name that people know."""
        return served if served is None else self._settings.class_names.get(served, served)

    def _all_named(self, served: dict[str, float] | None) -> dict[str, float] | None:
        names = self._settings.class_names
        if not served or not names:
            return served
        named = {names.get(code, code): p for code, p in served.items()}
        if len(named) < len(served):
            fault = f"two of {shown(list(served))} have one name in input.class_names"
            raise Refusal(Reason.BAD_PROBABILITIES, fault)
        return named


def decode_answers(
    lines: Sequence[bytes],
    source: str = "",
    positions: Sequence[int] = (),
    *,
    line_bytes_max: int = 1_048_576,
    settings: AnswersSettings | None = None,
) -> list[Answer | Withdrawal | InputRejected]:
    """Answers, one a line: {"request_id", "label", "annotator", "at"}; blank lines are skipped.

    `settings` say where these stand; by default under their names. What a tool says beside a label
    counts: `"answer"` of `reject` or `ignore`, or `was_cancelled`, makes it a refusal and no label.

    A label of null, or none and `"cannot_tell": true`, is a refusal; `"withdraw": "why"` instead of
    a label takes the request back. Without `at` an answer has the time 0.0: whoever takes it knows
    no better than the clock of the engine.

    >>> decode_answers([b'{"request_id": "r", "label": true, "annotator": "eva"}'])
    [Answer(request_id='r', label='true', at=0.0, annotator='eva')]
    """
    answers: list[Answer | Withdrawal | InputRejected] = []
    settings = settings or AnswersSettings()
    for i, line in enumerate(lines):
        if not line or line.isspace():
            continue
        name = ""
        try:
            record = _parsed(line, line_bytes_max)
            name = text_of(find(record, settings.request_id)) or ""
            answers.append(_answer(record, settings))
        except Refusal as refusal:
            if refusal.reason in {Reason.NOT_JSON, Reason.NOT_AN_OBJECT, Reason.OVERSIZE}:
                refusal.detail += "; an array of tasks has to be one answer a line (docs/LOGS.md)"
            position = positions[i] if i < len(positions) else -1
            answers.append(_rejected(refusal, line, name, source, position))
    return answers


def _answer(record: Record, settings: AnswersSettings) -> Answer | Withdrawal:
    texts: dict[str, str | None] = {}
    paths = {
        "request_id": settings.request_id,
        "label": settings.label,
        "annotator": settings.annotator,
        "withdraw": "withdraw",
    }
    is_refused = _is_refused(record, settings)
    for field, path in paths.items():
        value = None if field == "label" and is_refused else find(record, path)
        if field == "label" and isinstance(value, list) and len(value) == 1:
            value = value[0]  # choices, of which one was chosen
        text = texts[field] = text_of(value)
        is_absent = value is None and field != "request_id"
        if not is_absent and (text is None or len(text) > ANSWER_TEXT_MAX):
            raise Refusal(
                Reason.BAD_ANSWER,
                f"{field} is {shown(value)}; must be at most {ANSWER_TEXT_MAX} characters of text",
            )
    label, request_id = texts["label"], texts["request_id"]
    cannot_tell = is_refused or record.get("cannot_tell") is True
    if not request_id or (label is not None and not label.strip()):
        raise Refusal(Reason.BAD_ANSWER, "request_id and label must not be empty")
    found = find(record, settings.at)
    zone, unit = zone_of(settings.zone), settings.at_unit
    at = 0.0 if found is None else seconds_of(found, settings.at, zone, unit, "answers")
    if texts["withdraw"]:
        return Withdrawal(request_id=request_id, at=at, reason=texts["withdraw"])
    if label is None and settings.label not in record and not cannot_tell:
        fault = f"there is no label at {settings.label}; a refusal says null, or cannot_tell"
        raise Refusal(Reason.BAD_ANSWER, f"{fault}. answers.label says where it stands")
    if label is not None and cannot_tell:
        raise Refusal(Reason.BAD_ANSWER, "there is a label, and cannot_tell is true")
    return Answer(
        request_id=request_id,
        label=label,
        at=at,
        annotator=texts["annotator"] or "",
    )


def _is_refused(record: Record, settings: AnswersSettings) -> bool:
    """Whether a tool says that the label beside it does not hold: rejected, skipped, cancelled.

    Prodigy writes `answer`, Label Studio `was_cancelled`, in the record or in its annotation.
    """
    if settings.label != "answer" and record.get("answer") in ("reject", "ignore"):
        return True
    if record.get("was_cancelled") is True:
        return True
    given = record.get("annotations")
    if not (isinstance(given, list) and given and isinstance(given[0], dict)):
        return False
    return given[0].get("was_cancelled") is True


# -------------------------------------------------------------------------------------- lines


def _parsed(line: bytes, bytes_max: int) -> Record:
    """The JSON object of a line. Raises `Refusal`."""
    _check_size(line, bytes_max)
    try:
        record = _JSON.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        record = _parsed_leniently(line)
    if type(record) is not dict:
        raise Refusal(Reason.NOT_AN_OBJECT, f"the line is {shown(record)}; must be an object")
    return record


def _check_size(line: bytes, bytes_max: int) -> None:
    if len(line) > bytes_max:
        raise Refusal(Reason.OVERSIZE, f"the line has {len(line)} bytes; at most {bytes_max}")


def _parsed_leniently(line: bytes) -> Any:
    """What msgspec refuses may still do: NaN, Infinity, 1e999, a byte order mark."""
    try:
        record = json.loads(line.decode("utf-8-sig"))
        # Half a surrogate pair can be escaped in JSON, but not be written as text again.
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise Refusal(Reason.NOT_UTF8, f"the line is not UTF-8: {error.reason}") from None  # type: ignore[attr-defined]
    except (ValueError, RecursionError) as error:
        raise Refusal(Reason.NOT_JSON, f"the line is not JSON: {error}"[:200]) from None
    return record


def _rejected(
    refusal: Refusal, line: bytes, name: str, source: str, position: int
) -> InputRejected:
    return InputRejected(
        reason=refusal.reason,
        detail=refusal.detail,
        at=0.0,
        input_id=name[:RAW_MAX],
        source=source,
        position=position,
        # No character of UTF-8 has more than four bytes.
        raw=line[: 4 * RAW_MAX].decode("utf-8", errors="replace")[:RAW_MAX],
    )


def record_of(line: bytes, bytes_max: int) -> Record:
    """The JSON object of one line, as every reader of a log takes it. Raises `Refusal`."""
    return _parsed(line, bytes_max)
