"""Alertmanager's webhook as an order of a round.

Alertmanager sends no header of its own choice, so the key of the order is made of what it sends:
the group of alerts, and when the first of those that fire began to. The payload is version 4 of
https://prometheus.io/docs/alerting/latest/configuration/#webhook_config; only what is needed of it
is read, and of that only the name of the alert is kept.
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
"""Of a message: about a thousand alerts."""

DIGITS_MAX = 9
NAME_MAX = 100
"""Characters of an alert's name in the reason of a round."""

Status = Literal["firing", "resolved"]


class Alert(Struct, frozen=True):
    """One alert of a message, as far as it is read."""

    status: Status
    began_at: Annotated[datetime, Meta(tz=True)] = field(name="startsAt")


class Notified(Struct, frozen=True):
    """A message of Alertmanager about one group of alerts, as far as it is read."""

    version: str
    group_key: Annotated[str, Meta(min_length=1)] = field(name="groupKey")
    status: Status
    alerts: list[Alert]
    group_labels: dict[str, str] = field(name="groupLabels", default_factory=dict)
    common_labels: dict[str, str] = field(name="commonLabels", default_factory=dict)


class Ordered(NamedTuple):
    """The order that a message amounts to."""

    key: str
    labels_n: int | None
    reason: str


async def ordered_by(request: web.Request) -> Ordered | None:
    """The order in a call of the webhook; None where the alerts are over. Raises `Refused`."""
    labels_n = labels_of(request.query)
    content = bytearray()
    async for chunk in request.content.iter_any():
        content += chunk
        if len(content) > BYTES_MAX:
            told = (
                f"The message is larger than {BYTES_MAX:,} bytes; make groups smaller by group_by."
            )
            raise Refused(413, told)
    return order_of(decode_body(bytes(content), Notified), labels_n)


def labels_of(query: Mapping[str, str]) -> int | None:
    """How many labels the address asks for, all there is to spend if it says nothing.

    Raises `Refused`.

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
        told = f"labels is {text[:50]!r}; must be a whole number from 1 to {10**DIGITS_MAX - 1}."
        raise Refused(400, told)
    return int(text)


def order_of(notified: Notified, labels_n: int | None) -> Ordered | None:
    """The order that a message amounts to; None where its alerts are over. Raises `Refused`.

    A message that is repeated while the same alert fires makes the same key, so it orders nothing
    anew. When the first alert of a group is over and another goes on, that one counts anew.
    """
    if notified.version != VERSION:
        told = f"The message is of version {notified.version[:20]!r}; version {VERSION} is read."
        raise Refused(400, told)
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
    kept = "".join(letter for letter in name[:NAME_MAX] if letter.isprintable())
    return Ordered(
        f"alertmanager-{group}-{first:%Y%m%dT%H%M%S.%fZ}", labels_n, f"alert {kept}".strip()
    )
