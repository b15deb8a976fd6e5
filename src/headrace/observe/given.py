"""Events that a program passes in, checked and converted by the same rules as those of files.

Values from a database may be Decimals and dates, those of numpy and pandas their own scalars, those
of a nested record dicts and lists. Each is converted to what it would be in a line of JSON; a value
that JSON can't express raises `Refusal`, which rejects that event alone. `values` has the rules
shared with files.
"""

from __future__ import annotations

import datetime as dt
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ..errors import BadSettings
from ..messages import Answer, Event, Features, Reason, class_name
from ..settings import InputSettings
from .values import (
    CLASSES_MAX,
    DEPTH_MAX,
    FEATURES_MAX,
    SECONDS_MAX,
    Refusal,
    features_of,
    format_value,
    identity_of,
    optional_text,
    probabilities_of,
    seconds_of,
    text_of,
)

_SCALARS = frozenset((float, int, bool, str, type(None)))
_TEXT = frozenset((str,))
WHOLE_MAX = Decimal(10) ** 40
"""Whole Decimals below this become integers; `Decimal("1e999999")` would have a million digits."""

WHOLE_DIGITS_MAX = 4_000
_WHOLE_END = 10**WHOLE_DIGITS_MAX

_MISSING_TYPES = frozenset(("NAType", "NaTType"))


class RefusedEvent(NamedTuple):
    """An event that can't be used: its id, empty if that is at fault, and the reason."""

    id: str
    refusal: Refusal


def accept_event(event: Event, settings: InputSettings) -> Event | RefusedEvent:
    """Return the event as `check_event` converts it, or `RefusedEvent` if it can't be used."""
    if _is_plain(event):
        return event
    try:
        return check_event(event, settings)
    except Refusal as refusal:
        return RefusedEvent("" if _is_endless(event.id) else text_of(event.id) or "", refusal)


def id_of(event: Event) -> str:
    """Return the id under which the engine knows an event; empty if the id is refused."""
    try:
        return identity_of(_to_plain(event.id, "id"), "id")
    except Refusal:
        return ""


def accept_answer(answer: Answer) -> Answer:
    """Return the answer with its label as a class name and its time in seconds, as far as possible.

    What can't be converted stays as it is, and the desk rejects it.

    >>> at = dt.datetime(1970, 1, 1, 1, tzinfo=dt.UTC)
    >>> accept_answer(Answer(request_id="r", label=True, at=at))
    Answer(request_id='r', label='true', at=3600.0, annotator='')
    """
    if answer.label is not None and not isinstance(answer.label, str):
        with suppress(Refusal):
            label = truth_of(answer.label)
            name = None if label is None else class_name(label)
            answer = msgspec.structs.replace(answer, label=name)
    if not isinstance(answer.at, float | int):
        with suppress(Refusal):
            answer = msgspec.structs.replace(answer, at=_read_time(answer.at))
    return answer


def check_event(event: Event, settings: InputSettings) -> Event:
    """Return the event with every value as it would be read from a file. Raises `Refusal`.

    `input.feature_names` and `input.classes` name the items of features and probabilities that come
    as arrays.

    >>> check_event(Event(id=7, at=np.int64(5), features={"a": Decimal("1.5")}), InputSettings())
    Event(id='7', at=5.0, features={'a': 1.5}, predicted=None, probabilities=None, key=None,
        model_version=None)
    """
    probabilities: Any = event.probabilities
    if isinstance(probabilities, Mapping):
        probabilities = {class_name(name): p for name, p in probabilities.items()}
    probabilities = _to_plain(probabilities, "probabilities")
    checked_event = Event(
        id=identity_of(_to_plain(event.id, "id"), "id"),
        at=_read_time(event.at),
        features=plain_features(event.features, settings.feature_names),
        predicted=optional_text(_to_plain(event.predicted, "predicted"), "predicted"),
        probabilities=probabilities_of(probabilities, settings.classes),
        key=optional_text(_to_plain(event.key, "key"), "key"),
        model_version=optional_text(
            _to_plain(event.model_version, "model_version"), "model_version"
        ),
    )
    _check_texts(checked_event)
    return checked_event


def plain_features(features: Any, names: Sequence[str] = ()) -> Features:
    """Return features alone, converted as by `check_event`. Raises `Refusal`."""
    if not (isinstance(features, Mapping | list | tuple) or hasattr(features, "tolist")):
        what = "missing" if features is None else format_value(features)
        fault = "must be a dict, or a list named by input.feature_names"
        raise Refusal(Reason.BAD_FEATURES, f"the features are {what}; {fault}")
    return features_of(_to_plain(features, "features"), "features", names)


def truth_of(truth: Any) -> str | float | None:
    """Return the true class as a name; a number that is not whole stays one; None if missing.

    Raises `Refusal` for a value that is no class: several labels, a date, an object.
    """
    if isinstance(truth, Mapping | set | frozenset | list | tuple) or getattr(truth, "ndim", False):
        raise Refusal(
            Reason.BAD_ANSWER,
            f"is {format_value(truth)}; must be one class, a text, a number or a boolean: several "
            "labels an event are not supported, so pass one of them, or an engine for each",
        )
    if isinstance(truth, dt.date | dt.timedelta):
        raise Refusal(Reason.BAD_ANSWER, f"is {format_value(truth)}; must be one class, not a time")
    value = _to_plain(truth, "the truth")
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return class_name(value) if value.is_integer() else value
    return None if value is None or value == "" else class_name(value)


def read_classes(classes: Sequence[str]) -> list[str]:
    """Return the names of declared classes; a number or a boolean is named as in an answer.

    Raises `BadSettings` for what is no list of classes.
    """
    is_ordered = isinstance(classes, Iterable) and not isinstance(classes, str | bytes | Set)
    if not is_ordered:
        raise BadSettings(f"classes is {classes!r}; must be a list, such as ['fine', 'fraud']")
    names = []
    for one in classes:
        try:
            name = truth_of(one)
        except Refusal as refusal:
            raise BadSettings(f"a class {refusal.detail}") from refusal
        if not isinstance(name, str) or not name.strip():
            raise BadSettings(f"a class is {one!r}; must be a text, a whole number or a boolean")
        names.append(name)
    return names


# ------------------------------------------------------------------------------------- parts


def _is_plain(event: Event) -> bool:
    """Whether all values have the usual types, as in nearly all events: nothing to convert."""
    features = event.features
    kinds = {*map(type, features.values())} if type(features) is dict else _SCALARS
    return (
        type(event.id) is str
        and type(event.at) in (float, int)
        and -SECONDS_MAX <= event.at <= SECONDS_MAX
        and type(features) is dict
        and len(features) <= FEATURES_MAX
        and event.id.isascii()
        and all(map(_is_plain_text, (event.predicted, event.key, event.model_version)))
        and (event.probabilities is None or _are_plain_shares(event.probabilities))
        and _TEXT.issuperset(map(type, features))
        and _SCALARS.issuperset(kinds)
        and (str not in kinds or all(x.isascii() for x in features.values() if type(x) is str))
        and (
            int not in kinds
            or all(abs(x) < _WHOLE_END for x in features.values() if type(x) is int)
        )
    )


def _is_plain_text(text: Any) -> bool:
    return text is None or (type(text) is str and text != "" and text.isascii())


def _are_plain_shares(shares: Any) -> bool:
    return (
        type(shares) is dict
        and 0 < len(shares) <= CLASSES_MAX
        and all(type(name) is str for name in shares)
        and all(type(p) is float and 0.0 <= p <= 1.0 for p in shares.values())
    )


def _read_time(at: Any) -> float:
    if isinstance(at, dt.datetime) and not _is_missing(at):
        if at.tzinfo is None:
            fault = "must say its zone, as with tzinfo=datetime.timezone.utc"
            raise Refusal(Reason.BAD_TIME, f"at is {format_value(at)}; {fault}")
        return at.timestamp()
    if isinstance(at, dt.date | dt.time | dt.timedelta | np.datetime64 | np.timedelta64):
        fault = "must be seconds since the epoch, or a datetime with a zone"
        raise Refusal(Reason.BAD_TIME, f"at is {format_value(at)}; {fault}")
    return seconds_of(_to_plain(at, "at"), "at")


def _to_plain(value: Any, name: str, depth: int = 0) -> Any:
    """Return the value as JSON would have it. Raises `Refusal` for one that JSON can't express."""
    if _is_endless(value):
        fault = f"is a whole number of over {WHOLE_DIGITS_MAX} digits, which can't be written"
        raise Refusal(Reason.BAD_FEATURES, f"{name} {fault}")
    if type(value) in _SCALARS or _is_missing(value):
        return None if _is_missing(value) else value
    for kind, as_plain in _KINDS:
        if isinstance(value, kind):
            return as_plain(value)
    if depth > DEPTH_MAX + 1:
        raise Refusal(Reason.BAD_FEATURES, f"{name} is nested deeper than {DEPTH_MAX}")
    value = _unwrap_value(value)
    if isinstance(value, Mapping):
        named = {str(key): _to_plain(inner, str(key), depth + 1) for key, inner in value.items()}
        if len(named) < len(value):
            raise Refusal(Reason.BAD_FEATURES, f"two names in {name} are alike as text")
        return named
    if isinstance(value, list | tuple):
        return [_to_plain(inner, f"{name}.{i}", depth + 1) for i, inner in enumerate(value)]
    if type(value) in _SCALARS:
        return value
    fault = "must be a number, a text, a boolean, a time, None, or a dict or list of these"
    raise Refusal(Reason.BAD_FEATURES, f"{name} is {format_value(value)}; {fault}")


def _unwrap_value(value: Any) -> Any:
    """Return what an array, tensor, row of a frame, Arrow value or UUID holds, as Python's own."""
    for method in ("to_dict", "tolist", "as_py"):
        if hasattr(value, method):
            return getattr(value, method)()
    return str(value) if type(value).__name__ == "UUID" else value


def _is_endless(value: Any) -> bool:
    """Whether a value is a whole number with more digits than Python writes as text."""
    return isinstance(value, int) and not -_WHOLE_END < value < _WHOLE_END


def _is_missing(value: Any) -> bool:
    """Whether a value is a missing one of pandas or numpy: NA, NaT."""
    if type(value).__name__ in _MISSING_TYPES:
        return True
    return isinstance(value, np.datetime64 | np.timedelta64) and bool(np.isnat(value))


def _seconds_of_date(value: dt.date) -> float:
    # A time without a zone is taken as UTC, as in Parquet.
    if not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001 - its zone is next
    aware = value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
    return aware.timestamp()


def _seconds_of_day(value: dt.time) -> float:
    return value.hour * 3600.0 + value.minute * 60.0 + value.second + value.microsecond / 1e6


def _number_of(value: Decimal) -> float | int | None:
    if value.is_nan():
        return None
    is_whole = abs(value) < WHOLE_MAX and value == value.to_integral_value()
    return int(value) if is_whole else float(value)


# The order matters: a member of an IntEnum is also an integer, numpy's timedelta64 an Integral.
_KINDS: tuple[tuple[Any, Any], ...] = (
    (Enum, lambda v: _to_plain(v.value, v.name)),
    (str, str.__str__),
    (np.datetime64, lambda v: float((v - np.datetime64(0, "s")) / np.timedelta64(1, "s"))),
    (np.timedelta64, lambda v: float(v / np.timedelta64(1, "s"))),
    (np.bool_, bool),
    (Decimal, _number_of),
    (dt.date, _seconds_of_date),
    (dt.time, _seconds_of_day),
    (dt.timedelta, dt.timedelta.total_seconds),
    (PurePath, str),
    (numbers.Integral, int),
    (numbers.Real, float),
)


def _check_texts(event: Event) -> None:
    """Raise `Refusal` for a text with half a surrogate pair: it can't be written as UTF-8."""
    texts = (event.id, event.predicted, event.key, event.model_version, *event.features)
    for text in (*texts, *event.features.values()):
        if isinstance(text, str) and not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                fault = f"{format_value(text)} can't be written as UTF-8: {error.reason}"
                raise Refusal(Reason.NOT_UTF8, fault) from None
