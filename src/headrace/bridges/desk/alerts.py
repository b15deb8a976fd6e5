"""Alertmanager's webhook as an order of a round.

Alertmanager can't send a header with a key, so the key of the order is made from its message: the
group of alerts, and the time at which the first of its firing alerts began. The payload is version
4 of https://prometheus.io/docs/alerting/latest/configuration/#webhook_config; only the fields below
are read, and only the name of the alert is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple

from aiohttp import web
from msgspec import Meta, Struct, field

from .calls import Refused, decode_body

VERSION = "4"
BYTES_MAX = 1_000_000
"""The most bytes of a message: about a thousand alerts."""

DIGITS_MAX = 9
NAME_MAX = 100
"""The most characters of an alert's name in the reason of a round."""

Status = Literal["firing", "resolved"]


class Alert(Struct, frozen=True):
    """One alert of a message, without the fields that are not read."""

    status: Status
    began_at: Annotated[datetime, Meta(tz=True)] = field(name="startsAt")


class Notified(Struct, frozen=True):
    """A message of Alertmanager about one group of alerts, without fields that are not read."""

    version: str
    group_key: Annotated[str, Meta(min_length=1)] = field(name="groupKey")
    status: Status
    alerts: list[Alert]
    group_labels: dict[str, str] = field(name="groupLabels", default_factory=dict)
    common_labels: dict[str, str] = field(name="commonLabels", default_factory=dict)


class AlertOrder(NamedTuple):
    """The order of a round that a message stands for; `labels_n` of None is all of the budget."""

    key: str
    labels_n: int | None
    reason: str


async def ordered_by(request: web.Request) -> AlertOrder | None:
    """Return the order in a call of the webhook; None if its alerts are over. Raises `Refused`."""
    labels_n = labels_of(request.query)
    content = bytearray()
    async for chunk in request.content.iter_any():
        content += chunk
        if len(content) > BYTES_MAX:
            sentence = (
                f"The message is larger than {BYTES_MAX:,} bytes; make groups smaller by group_by."
            )
            raise Refused(413, sentence)
    return order_of(decode_body(bytes(content), Notified), labels_n)


def labels_of(query: Mapping[str, str]) -> int | None:
    """Return how many labels the address asks for; None, all there is to spend, if it doesn't.

    Raises `Refused` for an address with anything else.

    >>> labels_of({"labels": "20"}), labels_of({})
    (20, None)
    """
    if others := [name for name in query if name != "labels"]:
        raise Refused(
            400, f"The address has {others[0][:50]!r}; it takes labels, and nothing else."
        )
    if len(query) > 1:
        raise Refused(400, "The address has labels more than once.")
    if "labels" not in query:
        return None
    text = query["labels"]
    is_number = text.isascii() and text.isdecimal() and len(text) <= DIGITS_MAX
    if not is_number or int(text) < 1:
        sentence = (
            f"labels is {text[:50]!r}; must be a whole number from 1 to {10**DIGITS_MAX - 1}."
        )
        raise Refused(400, sentence)
    return int(text)


def order_of(notified: Notified, labels_n: int | None) -> AlertOrder | None:
    """Return the order that a message stands for; None if its alerts are over. Raises `Refused`.

    A message that is repeated while the same alert fires has the same key, so it orders no further
    round. When the first alert of a group is over and another one still fires, the key changes.
    """
    if notified.version != VERSION:
        sentence = (
            f"The message is of version {notified.version[:20]!r}; version {VERSION} is read."
        )
        raise Refused(400, sentence)
    if notified.status == "resolved":
        return None
    began = [alert.began_at for alert in notified.alerts if alert.status == "firing"]
    if not began:
        raise Refused(400, "The message fires, and no alert in it does; leave max_alerts at 0.")
    try:
        first = min(began).astimezone(UTC)
    except OverflowError:
        raise Refused(400, "An alert began before the year 1.") from None
    group = hashlib.blake2b(notified.group_key.encode(), digest_size=8).hexdigest()
    name = notified.common_labels.get("alertname") or notified.group_labels.get("alertname", "")
    shown_name = "".join(letter for letter in name[:NAME_MAX] if letter.isprintable())
    return AlertOrder(
        f"alertmanager-{group}-{first:%Y%m%dT%H%M%S.%fZ}", labels_n, f"alert {shown_name}".strip()
    )
