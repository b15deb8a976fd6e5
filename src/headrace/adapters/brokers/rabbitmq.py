"""RabbitMQ: a connection, and a queue as the source of events.

A queue drops messages that were acknowledged and delivers the others again, perhaps in another
order. So the mark of the source is the keys of the latest messages. RabbitMQ may redeliver at most
as many as it sends ahead (`queue.batch_max`); the source remembers twice that many.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
    from pika import BlockingConnection
    from pika.adapters.blocking_connection import BlockingChannel

TIMEOUT_S = 10.0
HEARTBEAT_S = 60

PASSING = ("timed out", "is down or inaccessible")
"""Words in errors that closed a channel but will pass: we were slow, or a node is away."""

_KEYS = msgspec.json.Decoder(list[str])


def connect_rabbitmq(
    address: Address, settings: ConnectionSettings, section: str
) -> BlockingConnection:
    """Open a connection to a server; `section` names the section of `settings`, for errors.

    Raises `BadSettings` where address and settings don't fit together or the server refuses us, and
    `BrokerAway`. No error shows a secret.
    """
    import_client("pika", "rabbitmq")
    import pika  # noqa: PLC0415 - an extra

    if faults := faults_of_connection(address, settings, section):
        raise BadSettings(faults)
    # pika logs a failure several times, with tracebacks, and raises it too: that one is reported.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    password = read_password(address, settings, section)
    user = address.user or "guest"
    tls = None
    if address.is_tls:
        tls = pika.SSLOptions(make_tls(settings, section), address.host)
    parameters = pika.ConnectionParameters(
        host=address.host,
        port=address.port,
        virtual_host=address.space,
        credentials=pika.PlainCredentials(user, password or "guest"),
        ssl_options=tls,
        heartbeat=HEARTBEAT_S,
        socket_timeout=TIMEOUT_S,
        stack_timeout=2 * TIMEOUT_S,
        blocked_connection_timeout=TIMEOUT_S,
        client_properties={"connection_name": "headrace"},
    )
    with translate_pika_errors(address):
        return pika.BlockingConnection(parameters)


@contextmanager
def translate_pika_errors(address: Address) -> Iterator[None]:
    """Turn pika's errors into `BrokerAway`, `BadSettings` if we are refused, or `BadInput`."""
    from pika import exceptions  # noqa: PLC0415 - an extra

    try:
        yield
    except (
        exceptions.ProbableAuthenticationError,
        exceptions.AuthenticationError,
        exceptions.ProbableAccessDeniedError,
    ) as error:
        raise BadSettings(
            f"{address} refuses us as {address.user or 'guest'}, or in the virtual host "
            f"{address.space}; set the user in the address, and its password"
        ) from error
    except exceptions.ChannelClosedByBroker as error:
        if any(words in error.reply_text for words in PASSING):
            raise BrokerAway(error.reply_text) from error
        raise BadInput(f"{address}: {error.reply_text}") from error
    except (exceptions.AMQPError, OSError) as error:
        raise away_or_untrusted(address, str(error) or repr(error)) from error


class RabbitLink:
    """The connection to a server and its one channel, opened on first use and after a failure.

    `section` names the section of `settings`, for errors. `prepare` is called with a new channel.
    """

    def __init__(
        self,
        address: Address,
        settings: ConnectionSettings,
        section: str,
        prepare: Callable[[BlockingChannel], None],
    ) -> None:
        self._address, self._settings, self._section = address, settings, section
        self._prepare = prepare
        self._connection: BlockingConnection | None = None
        self._channel: BlockingChannel | None = None

    @contextmanager
    def use_channel(self) -> Iterator[BlockingChannel]:
        """Yield the open channel; errors, as of `translate_pika_errors`, close the connection."""
        try:
            with translate_pika_errors(self._address):
                yield self._open_channel()
        except BaseException:
            self.close()
            raise

    def _open_channel(self) -> BlockingChannel:
        if self._connection is not None and self._channel is not None and self._channel.is_open:
            return self._channel
        self.close()
        self._connection = connect_rabbitmq(self._address, self._settings, self._section)
        self._channel = self._connection.channel()
        self._prepare(self._channel)
        return self._channel

    def close(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None and connection.is_open:
            with suppress(Exception):
                connection.close()


def key_of(body: bytes, message_id: str | None) -> str:
    """Return the key by which a redelivered message is known: a hash of its id and its body."""
    key = hashlib.blake2b((message_id or "").encode(), digest_size=8)
    key.update(b"\0")
    key.update(body)
    return key.hexdigest()


class RabbitSource:
    """A queue of events, read and acknowledged in batches; the mark is the latest keys."""

    def __init__(self, address: Address, settings: QueueSettings, *, follow: bool) -> None:
        if not address.name:
            raise BadSettings("--events names no queue; must be amqp://HOST:PORT/QUEUE")
        self._address, self._settings, self._follow = address, settings, follow
        self._link = RabbitLink(address, settings, "queue", self._prepare_channel)
        self._waiting: deque[tuple[int, str, bytes]] = deque()
        self._taken_to = 0
        self._known: dict[str, None] = {}
        self._known_max = 2 * settings.batch_max

    def read(self, mark: str, timeout_s: float) -> Batch:
        if mark and not self._known:
            self._known = dict.fromkeys(_KEYS.decode(mark))
            # An earlier run may have had a larger `batch_max`.
            self._known_max = max(self._known_max, len(self._known))
        with self._use_channel() as channel:
            if not self._waiting:
                channel.connection.process_data_events(timeout_s)
            is_end = not self._waiting and not self._follow and not self._get_message(channel)
        bodies = []
        for _ in range(min(len(self._waiting), self._settings.batch_max)):
            tag, key, body = self._waiting.popleft()
            self._taken_to = tag
            if key in self._known:
                # Redelivered, so it may be again: it moves to the end of the known keys.
                del self._known[key]
            else:
                bodies.append(body)
            self._known[key] = None
        for key in list(self._known)[: -self._known_max]:
            del self._known[key]
        if not self._taken_to:
            return Batch(mark=mark, is_end=is_end)
        return Batch(bodies=tuple(bodies), mark=msgspec.json.encode(list(self._known)).decode())

    def _prepare_channel(self, channel: BlockingChannel) -> None:
        channel.basic_qos(prefetch_count=self._settings.batch_max)
        # The queue is not ours to create: where there is none, this raises an error.
        channel.queue_declare(self._address.name, passive=True)
        channel.add_on_cancel_callback(lambda _: channel.close())
        channel.basic_consume(self._address.name, self._take_message)

    def _take_message(self, _: Any, method: Any, properties: Any, body: bytes) -> None:
        key = key_of(body, properties.message_id)
        self._waiting.append((method.delivery_tag, key, body))

    def _get_message(self, channel: BlockingChannel) -> bool:
        """Ask for one message, the only way to learn that the queue is empty; whether any waits."""
        method, properties, body = channel.basic_get(self._address.name)
        # Messages that were on their way to us arrived before the reply.
        channel.connection.process_data_events(0)
        if method is not None and properties is not None and body is not None:
            self._take_message(channel, method, properties, body)
            # Messages are acknowledged up to a tag, so they must be taken in the order of tags.
            self._waiting = deque(sorted(self._waiting))
        return bool(self._waiting)

    def acknowledge(self) -> None:
        if not self._taken_to:
            return
        with self._use_channel() as channel:
            channel.basic_ack(self._taken_to, multiple=True)
        self._taken_to = 0

    @contextmanager
    def _use_channel(self) -> Iterator[BlockingChannel]:
        """Yield the open channel; messages sent ahead on a failed one are delivered again."""
        try:
            with self._link.use_channel() as channel:
                yield channel
        except BaseException:
            self._waiting.clear()
            self._taken_to = 0
            raise

    def close(self) -> None:
        self._link.close()
