"""The source of events that an address names; only the client that it needs is imported."""

from __future__ import annotations

from ...settings.queue import QueueSettings
from .address import Address, parse_address
from .copying import CopySource


def open_source(url: str, settings: QueueSettings, *, follow: bool) -> tuple[Address, CopySource]:
    """Return the address and the source that a URL names; the source is not connected yet.

    With `follow` a queue is read without end. Raises `BadSettings` for a URL, settings or secrets
    that can't be used.
    """
    address = parse_address(url, "--events")
    if address.kind == "redis":
        from .redis import RedisSource  # noqa: PLC0415 - an extra

        return address, RedisSource(address, settings)
    from .rabbitmq import RabbitSource  # noqa: PLC0415 - an extra

    return address, RabbitSource(address, settings, follow=follow)
