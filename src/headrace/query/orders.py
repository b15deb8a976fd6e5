"""Orders by a person: rounds, roll-backs, erasures. Checks them and carries each out once."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from ..messages import ErasureOrdered, InputRejected, Reason, RollBackOrdered, RoundOrdered
from ..observe.values import fault_of_seconds

Order: TypeAlias = RoundOrdered | RollBackOrdered | ErasureOrdered

KEYS_MAX = 1_000
"""This many of the latest keys are remembered; an order with an older key counts as new."""

_SALT = re.compile(r"[0-9a-f]{32}")

TEXT_MAX = 200
"""The most characters of a key or a reason."""


def name_of(order: Order) -> str:
    """Return the name by which an order is remembered: orders of different kinds may share a key.

    Each desk passes an erasure on as an order of its own.

    >>> name_of(RoundOrdered(at=0.0, key="monday"))
    'round monday'
    >>> name_of(ErasureOrdered(at=0.0, key="monday", desk=3))
    'erasure 3 monday'
    """
    if isinstance(order, ErasureOrdered):
        return f"erasure {order.desk} {order.key}"
    return f"{'round' if isinstance(order, RoundOrdered) else 'roll-back'} {order.key}"


class Orders:
    """The keys of the orders that were carried out.

    >>> orders = Orders()
    >>> orders.is_known("monday"), orders.is_known("monday"), orders.is_known("")
    (False, True, False)
    """

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def is_known(self, key: str) -> bool:
        """Whether an order with this key came before; remember the key. The empty key is new."""
        if not key:
            return False
        if key in self._keys:
            return True
        self._keys[key] = None
        if len(self._keys) > KEYS_MAX:
            del self._keys[next(iter(self._keys))]
        return False


def fault_of(order: Order) -> str:
    """Return what is wrong with the fields of an order; empty if nothing is.

    >>> fault_of(RoundOrdered(at=0.0, labels_n=0))
    'labels_n is 0; must be a whole number of at least 1, or left out for all there is to spend'
    """
    if isinstance(order, ErasureOrdered):
        return _fault_of_erasure(order)
    if isinstance(order, RollBackOrdered):
        to: object = order.to
        if type(to) is not int or to < 0:
            return f"to is {to!r}; must be the number of a version, from 0 on"
        return _fault_of_texts(order, "key", "reason", "by")
    wanted: object = order.labels_n
    if wanted is not None and (type(wanted) is not int or wanted < 1):
        return (
            f"labels_n is {wanted!r}; must be a whole number of at least 1, or left out for all "
            "there is to spend"
        )
    return _fault_of_texts(order, "key", "reason", "by")


def _fault_of_erasure(order: ErasureOrdered) -> str:
    """Return what is wrong with an erasure that is to be written to logs; empty if nothing is."""
    if order.event_ids or (order.values and not order.salt):
        return "it names somebody in clear; values must be digests, and events named by request_ids"
    if order.salt and not _SALT.fullmatch(order.salt):
        return "its salt must be 32 hexadecimal digits"
    if order.before is not None or order.examples_before is not None:
        return "it is for a run: before and examples_before are not for Kafka"
    if not (order.values or order.request_ids):
        return "it names nobody; give values or request_ids"
    return _fault_of_texts(order, "key", "field", "by")


def fault_of_subject(order: ErasureOrdered) -> str:
    """Return what keeps an engine from finding whom an erasure names; empty if nothing does.

    >>> fault_of_subject(ErasureOrdered(at=0.0, event_ids="17"))
    'event_ids must be a tuple of texts'
    """
    for name in ("event_ids", "values"):
        texts: Any = getattr(order, name)
        is_several = isinstance(texts, tuple | list)
        if not (is_several and all(isinstance(one, str) for one in texts)):
            return f"{name} must be a tuple of texts"
    for name in ("before", "examples_before"):
        at: object = getattr(order, name)
        if at is not None and fault_of_seconds(at, name):
            return f"{name} must be a number of seconds since the epoch"
    if order.values and not order.field:
        return "it has values and no field; field is key, id, or the name of a feature"
    return _fault_of_texts(order, "key", "field", "by")


def _fault_of_texts(order: Order, *names: str) -> str:
    for name in names:
        text: object = getattr(order, name)
        if not isinstance(text, str) or len(text) > TEXT_MAX or not text.isprintable():
            return f"{name} must be a text of at most {TEXT_MAX} characters in one line"
    return ""


def why_no_round(kept_n: int, labels_n: int, can_ask_n: int) -> str:
    """Return why an order leads to no round over the `kept_n` events that are kept.

    The budget has `labels_n` labels to spend, of which `can_ask_n` may be asked now.
    """
    if not kept_n:
        return "no event was observed that could be asked about"
    if labels_n < 1:
        return "the budget has no label to spend; order again when it has earned some"
    if can_ask_n < 1:
        return (
            "as many requests are open as label.open_max allows, or all that is left is held for "
            "another purpose (query.budget.reserve, reserve_audit); wait for answers"
        )
    return f"each of the {kept_n:,} events that are kept was asked about already"


def refuse_order(order: Order, reason: Reason, detail: str, now: float) -> InputRejected:
    """Return the rejection of an order, with the reason."""
    key = order.key if isinstance(order.key, str) else ""
    return InputRejected(reason=reason, detail=detail, at=now, input_id=key[:TEXT_MAX])
