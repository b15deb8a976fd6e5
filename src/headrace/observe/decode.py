"""Decodes lines of a log to a batch of events; a line that can't be used is rejected with a reason.

Nothing is remembered from one line to the next except the `Halves` that the caller holds, so any
split of the lines gives the same events. `payloads` finds the fields of a record; admission rejects
duplicates and times in the future.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import BadSettings
from ..messages import (
    EventBatch,
    InputRejected,
    Reason,
)
from ..settings import ColumnsSettings, InputSettings
from ..settings.fields import faults_of_zone, zone_of
from .columns import EventValues, batch_of, columns_of
from .declared import Declared
from .hook import Headers, Hook
from .joining import Halves, Join
from .payloads import Fields, Layout, Record
from .plain import PlainLines
from .raw import check_size, record_of, reject_line
from .values import (
    Refusal,
    features_of,
    format_value,
    identity_of,
    optional_text,
    probabilities_of,
    seconds_of,
    text_of,
)

__all__ = ["Decoded", "Decoder", "batch_of"]


@dataclass(frozen=True, eq=False, slots=True)
class Decoded:
    """The events in some lines, and what could not be read.

    Every line that is not blank has an event or a rejection; a line with many events may have both,
    and one that `input.decoder` reads may have neither.

    Attributes:
        batch: The events, in order.
        events_n: The number of events of each line.
        rejected: The rejections, in order.

    >>> lines = [b'{"id": 7, "at": 60.0, "features": {"x": 1}}', b"no JSON"]
    >>> decoded = Decoder(InputSettings()).decode(lines)
    >>> decoded.events_n, len(decoded.rejected)
    ([1, 0], 1)
    """

    batch: EventBatch
    events_n: list[int]
    rejected: list[InputRejected]


class Decoder:
    """Decodes lines of an inference log as [input] says, and their features as [columns] declares.

    Args:
        settings: The section `[input]`.
        columns: The section `[columns]`; by default nothing is declared.

    Attributes:
        has_headers: Whether the function at `decoder` has a parameter for the headers of each
            record.

    Raises:
        BadSettings: There is no path of the id or the time, a name twice in `feature_names` or
            `classes`, no such zone, or no function at `decoder`.

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
        """Whether requests and responses are separate records, so that the events of a line depend
        on the
        lines before.
        """
        return self._join is not None

    def decode(
        self,
        lines: Sequence[bytes],
        source: str = "",
        positions: Sequence[int] = (),
        headers: Sequence[Headers] = (),
        halves: Halves | None = None,
    ) -> Decoded:
        """Decode the events of lines as one batch.

        The batch takes 8 bytes for each event and each feature that any of them has: pass some
        hundreds of lines at a time.

        Args:
            lines: The lines, as bytes.
            source: Where they came from; rejections have it.
            positions: The place of each line there; rejections have it.
            headers: The headers of each line; not needed where `has_headers` is false.
            halves: The records that wait to be joined (`[input.join]`); changed in place. If None,
                only records within these lines are joined.

        Returns:
            The batch, the number of events in each line, and the rejections. No line raises.
        """
        if not self._declared.is_any and (batch := self._plain.batch(lines)) is not None:
            return Decoded(batch, [1] * len(batch), [])
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
            records = self._read_records(line, headers[i] if headers else {})
            for fields in self._read_fields(records, halves, line, source, position):
                if isinstance(fields, InputRejected):
                    rejected.append(fields)
                    continue
                try:
                    if isinstance(fields, Refusal):
                        raise fields
                    events.append(self._as_declared(self._read_event(fields)))
                except Refusal as refusal:
                    name = text_of(fields.id) if isinstance(fields, Fields) else None
                    rejected.append(reject_line(refusal, line, name or "", source, position))
            events_n.append(len(events) - before_n)
        return Decoded(columns_of(events), events_n, rejected)

    def _read_fields(
        self,
        records: Sequence[Record | Refusal],
        halves: Halves,
        line: bytes,
        source: str,
        position: int,
    ) -> list[Fields | Refusal | InputRejected]:
        """Return the fields of each event in a line's records, or a fault of that event alone."""
        whole: Sequence[Record | Refusal | InputRejected] = records
        if self._join is not None and records:
            nothing = Refusal(Reason.NOT_JOINED, "")
            place = reject_line(nothing, line, "", source, position)
            whole = self._join.join_records(records, halves, place)
        fields_or_faults: list[Fields | Refusal | InputRejected] = []
        for record in whole:
            if isinstance(record, Refusal | InputRejected):
                fields_or_faults.append(record)
                continue
            try:
                fields_or_faults += self._layout.read_fields(record)
            except Refusal as refusal:
                fields_or_faults.append(refusal)
        return fields_or_faults

    def _read_records(self, line: bytes, headers: Headers) -> Sequence[Record | Refusal]:
        """Return the objects of one line, or a `Refusal`; nothing for a blank line."""
        if not line or (self._hook is None and line.isspace()):
            return ()
        try:
            if self._hook is None:
                return [record_of(line, self._settings.line_bytes_max)]
            check_size(line, self._settings.line_bytes_max)
            return self._hook.read_records(line, headers)
        except Refusal as refusal:
            return (refusal,)

    def _as_declared(self, values: EventValues) -> EventValues:
        if not self._declared.is_any:
            return values
        return (*values[:2], self._declared.apply_to(values[2]), *values[3:])

    def _read_event(self, fields: Fields) -> EventValues:
        """Return the values of one event. Raises `Refusal`."""
        settings = self._settings
        return (
            identity_of(fields.id, settings.id),
            seconds_of(fields.at, settings.at, self._zone, settings.at_unit),
            features_of(fields.features, settings.features, settings.feature_names, fields.hidden),
            self._name_class(optional_text(fields.predicted, settings.predicted)),
            self._name_classes(probabilities_of(fields.probabilities, settings.classes)),
            optional_text(fields.key, settings.key),
            optional_text(fields.model_version, settings.model_version),
        )

    def _name_class(self, served: str | None) -> str | None:
        """Return the name in `input.class_names` of a class of the served model, or itself."""
        return served if served is None else self._settings.class_names.get(served, served)

    def _name_classes(self, served: dict[str, float] | None) -> dict[str, float] | None:
        names = self._settings.class_names
        if not served or not names:
            return served
        named = {names.get(code, code): p for code, p in served.items()}
        if len(named) < len(served):
            fault = f"two of {format_value(list(served))} have one name in input.class_names"
            raise Refusal(Reason.BAD_PROBABILITIES, fault)
        return named
