"""Redis: a connection, and a stream as the source of events.

The stream is read by ids, each entry once. A consumer group shows the progress: its last delivered
id is set to the last entry whose copy is safe. No entry is ever pending, so none is left behind.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import BadInput, BadSettings
from ...settings.queue import ConnectionSettings, QueueSettings
from .address import (
    Address,
    BrokerAway,
    away_or_untrusted,
    faults_of_connection,
    import_client,
    make_tls,
    read_password,
)
from .copying import Batch

if TYPE_CHECKING:
    import redis

TIMEOUT_S = 10.0
CONNECT_S = 5.0

PASSING = ("maxmemory", "MISCONF", "READONLY", "NOREPLICAS", "LOADING", "MASTERDOWN")
"""Words in errors of Redis that will pass: no memory, no disk, a replica, or just starting."""


def connect_redis(address: Address, settings: ConnectionSettings, section: str) -> redis.Redis:
    """Return a client of a server; it connects on first use, and again after a lost connection.

    `section` names the section of `settings`, for errors. Raises `BadSettings` where address and
    settings don't fit together; no error shows a secret.
    """
    import_client("redis", "redis")
    import redis  # noqa: PLC0415 - an extra
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    if faults := faults_of_connection(address, settings, section):
        raise BadSettings(faults)
    tls: dict[str, Any] = {}
    if address.is_tls:
        make_tls(settings, section)
        tls = {
            "ssl": True,
            "ssl_min_version": ssl.TLSVersion.TLSv1_2,
            "ssl_ca_certs": settings.ca_file or None,
            "ssl_certfile": settings.cert_file or None,
            "ssl_keyfile": settings.key_file or None,
        }
    password = read_password(address, settings, section)
    return redis.Redis(
        host=address.host,
        port=address.port,
        db=int(address.space),
        username=address.user or None,
        password=password or None,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=CONNECT_S,
        # Never let the client retry by itself: whoever repeats a command must know what it did.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        client_name="headrace",
        **tls,
    )


@contextmanager
def translate_redis_errors(address: Address) -> Iterator[None]:
    """Turn redis-py's errors into `BrokerAway`, `BadSettings` if we are refused, or `BadInput`."""
    import redis  # noqa: PLC0415 - an extra

    try:
        yield
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        raise BadSettings(f"{address} refuses us: {error}") from error
    except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.ReadOnlyError) as error:
        raise away_or_untrusted(address, str(error)) from error
    except redis.ResponseError as error:
        if any(word in str(error) for word in PASSING):
            raise BrokerAway(str(error)) from error
        raise BadInput(f"{address}: {error}") from error


def id_of(text: bytes | str) -> tuple[int, int]:
    """Return the id of an entry as a pair of numbers, which sorts as the stream does.

    >>> id_of(b"1700000000000-2") < id_of("1700000000000-10")
    True
    """
    plain = text.decode() if isinstance(text, bytes) else text
    at, _, number = plain.partition("-")
    return int(at), int(number or 0)


class RedisSource:
    """A stream of events, read from an id on; the mark is the last id, and how many were read."""

    def __init__(self, address: Address, settings: QueueSettings) -> None:
        if not address.name:
            raise BadSettings("--events names no stream; must be redis://HOST:PORT/STREAM")
        self._address, self._settings = address, settings
        self._stream = address.name
        self._client = connect_redis(address, settings, "queue")
        self._safe = ("", 0)
        self._shown = ("", 0)

    def read(self, mark: str, timeout_s: float) -> Batch:
        last, _, count = (mark or "0-0 0").partition(" ")
        with translate_redis_errors(self._address):
            info, entries = self._read_stream(last)
            if info is None:
                # No entry was added to the stream yet, or it was deleted.
                self._await_entry(last, timeout_s)
                return Batch(mark=mark, is_end=True)
            # Entries removed before our first look count as read, not as lost.
            known_n = int(count) if mark else info["entries-added"] - info["length"]
            lost_n = self._count_lost(info, last, known_n) if mark else 0
            reached = entries[-1][0].decode() if entries else last
            read_n = known_n + lost_n + len(entries)
            if len(entries) < self._settings.batch_max:
                read_n = info["entries-added"]
            if reached != "0-0":
                self._safe = (reached, read_n)
            if not entries:
                self._await_entry(last, timeout_s)
        return Batch(
            bodies=tuple(self._read_body(fields) for _, fields in entries),
            mark=f"{reached} {read_n}",
            notes=(self._describe_loss(lost_n, last),) if lost_n else (),
            is_end=not entries,
        )

    def _await_entry(self, last: str, timeout_s: float) -> None:
        """Wait at most `timeout_s` for an entry, which the next `read` returns."""
        self._client.xread({self._stream: last}, 1, int(1000 * timeout_s) or 1)

    def _read_stream(self, last: str) -> tuple[dict[str, Any] | None, list[tuple[bytes, Any]]]:
        """Return the state of the stream and the entries behind `last`, at one instant."""
        import redis  # noqa: PLC0415 - an extra

        with self._client.pipeline(transaction=True) as both:
            both.xinfo_stream(self._stream)
            both.xread({self._stream: last}, self._settings.batch_max)
            info, streams = both.execute(raise_on_error=False)
        if isinstance(info, redis.ResponseError) and "no such key" in str(info):
            return None, []
        for reply in (info, streams):
            if isinstance(reply, Exception):
                raise reply
        if "entries-added" not in info:
            raise BadInput(f"{self._address} is older than Redis 7, and does not say what it trims")
        return info, streams[0][1] if streams else []

    def _count_lost(self, info: dict[str, Any], last: str, known_n: int) -> int:
        """Count the entries that were removed unread. Raises `BadInput` for a new stream."""
        if id_of(info["last-generated-id"]) < id_of(last):
            raise BadInput(
                f"the stream {self._stream} of {self._address} ends before {last}, up to which it "
                "was read: it was begun anew; start with another --state"
            )
        first = info["first-entry"]
        if first is not None and id_of(first[0]) <= id_of(last):
            return 0
        # Every entry in the stream is unread; fewer than were added since means that some are lost.
        return max(0, int(info["entries-added"]) - known_n - int(info["length"]))

    def _describe_loss(self, lost_n: int, last: str) -> str:
        return (
            f"{lost_n} entries of the stream {self._stream} after {last} were removed before they "
            "were read; trim it by MINID, below the last delivered id of the group "
            f"{self._settings.group}"
        )

    def _read_body(self, fields: dict[bytes, bytes] | None) -> bytes:
        fields = fields or {}
        body = fields.get(self._settings.field.encode())
        if body is not None:
            return body
        try:
            return msgspec.json.encode({k.decode(): v.decode() for k, v in fields.items()})
        except UnicodeDecodeError:
            # This is no JSON, so it is rejected, and the rejection shows its content.
            return b" ".join(part for pair in fields.items() for part in pair)

    def acknowledge(self) -> None:
        reached, read_n = self._safe
        if not reached or self._safe == self._shown:
            return
        with translate_redis_errors(self._address):
            import redis  # noqa: PLC0415 - an extra

            name = self._settings.group
            try:
                self._client.xgroup_setid(self._stream, name, reached, entries_read=read_n)
            except redis.ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                self._client.xgroup_create(self._stream, name, reached, entries_read=read_n)
        self._shown = self._safe

    def close(self) -> None:
        self._client.close()
