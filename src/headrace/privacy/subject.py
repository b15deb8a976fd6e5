"""The subject of an erasure: decides which events the order names (docs/ERASURE.md)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..messages import ErasureOrdered, Features, class_name
from ..observe.originals import unpack_features
from ..observe.schema import Schema
from ..observe.window import Columns

DIGEST_BYTES = 16


def digest_of(text: str, salt: str) -> str:
    """Return the digest that stands in a log instead of a text: 32 hexadecimal digits.

    It is BLAKE2b keyed with the salt: with the salt one can test whether a text is the one, but not
    compute the text.

    >>> digest_of("ada", "00" * 16)
    '96a5c2cbd9f72bd4c231b9e09bfc7f5a'
    """
    content = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, key=bytes.fromhex(salt), digest_size=DIGEST_BYTES).hexdigest()


class Subject:
    """Knows which events are to be erased: by their ids, and by the values of one field.

    `request_id` returns, for an event's id, the id of the request that may exist about it; without
    it the order's request ids are ignored.
    """

    def __init__(
        self, order: ErasureOrdered, request_id: Callable[[str], str] | None = None
    ) -> None:
        self.event_ids = set(order.event_ids)
        self._request_ids = set(order.request_ids) if request_id is not None else set()
        self._request_id = request_id
        self._salt = order.salt
        self.field = order.field
        self.values = set(order.values)
        self.before = -math.inf if order.before is None else order.before

    def names_event(self, event_id: str, key: str | None, features: Features | None) -> bool:
        """Whether an event with this id, key and these features is to be erased.

        >>> subject = Subject(ErasureOrdered(at=0.0, field="customer", values=("7",)))
        >>> subject.names_event("e1", None, {"customer": 7.0}), subject.names_event("e2", "7", {})
        (True, False)
        """
        if event_id in self.event_ids or self._has_request(event_id):
            return True
        if not self.values:
            return False
        if self.field == "id":
            return self.has_value(event_id)
        if self.field == "key":
            return key is not None and self.has_value(key)
        value = (features or {}).get(self.field)
        return value is not None and self.has_value(class_name(value))

    def has_value(self, text: str) -> bool:
        """Whether a text is one of the values, which are digests if the order has a salt."""
        return (digest_of(text, self._salt) if self._salt else text) in self.values

    def _has_request(self, event_id: str) -> bool:
        return (
            bool(self._request_ids)
            and self._request_id is not None
            and (self._request_id(event_id) in self._request_ids)
        )

    @property
    def is_anybody(self) -> bool:
        """Whether the order names anybody; else it only names a time."""
        return bool(self.event_ids or self.values or self._request_ids)

    def find_events(self, events: Columns, schema: Schema) -> NDArray[np.bool_]:
        """Which of these events are to be erased, shape (n,)."""
        is_named = events.at < self.before
        if not self.is_anybody:
            return is_named
        is_feature = bool(self.values) and self.field not in ("id", "key")
        for row, event_id in enumerate(events.ids.tolist()):
            key, _ = events.origins[row] or (None, None)
            features: Features | None = None
            if is_feature:
                features = unpack_features(events.originals[row])
                features = schema.features(events.rows[row]) if features is None else features
            is_named[row] |= self.names_event(event_id, key, features)
        return is_named
