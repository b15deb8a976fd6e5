"""RabbitMQ between Headrace and annotators: a quorum queue of tasks, another of answers.

The broker confirms every task before it counts as sent; an answer is acknowledged when it is safe.
A queue can't be searched: after a crash a task may be in it twice, with the same message id, and a
withdrawn task stays in it; withdrawals are published in an exchange for programs that listen.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from ..adapters.brokers.address import BrokerAway, parse_address
from ..adapters.brokers.rabbitmq import RabbitLink, key_of
from ..errors import BadSettings
from ..messages import LabelRequested
from ..settings.fields import Few, about
from ..settings.queue import ConnectionSettings
from .bridge import Delivery, Receipt, Reply, Unreachable
from .replies import decode_answer, make_reply

if TYPE_CHECKING:
    from pika.adapters.blocking_connection import BlockingChannel

READ_N = 200
"""How many answers are read at a time."""

RETURNED_MAX = 1_000_000

LOOK_S = 10.0
"""Seconds between two checks of the dead letters."""

NORMAL, HIGH = 4, 5
"""The two priorities of quorum queues, from RabbitMQ 4.0 on; earlier versions ignore them."""

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class RabbitSettings(ConnectionSettings, frozen=True, kw_only=True):
    """[bridges.rabbitmq]: tasks and answers as queues of RabbitMQ. See [QUEUES.md](QUEUES.md)."""

    url: Annotated[
        str, about("The server: `amqp://USER@HOST:PORT?vhost=NAME`, or `amqps://...` over TLS.")
    ] = "amqp://127.0.0.1:5672"
    tasks: Annotated[
        Name,
        about(
            "Quorum queue of the tasks. Beside it are the queue `TASKS.dead` and the exchange "
            "`TASKS.withdrawn`. All belong to one bridge."
        ),
    ] = "headrace.tasks"
    answers: Annotated[
        Name, about("Quorum queue of the answers, of one bridge; `ANSWERS.dead` is beside it.")
    ] = "headrace.answers"
    deliveries_max: Annotated[
        Few,
        about(
            "A task given out so often and never acknowledged goes to the dead letters, "
            "`TASKS.dead`. Can't be changed while the queue is there."
        ),
    ] = 3
    high_utility: Annotated[
        float | None,
        about(
            "Requests whose utility is at least this have a high priority, all others a normal "
            "one: from RabbitMQ 4.0 on two of the first come for one of the others. None: all "
            "are alike."
        ),
    ] = None
    declare: Annotated[
        bool,
        about("Make queues and the exchange at the start; false: they are there, made by you."),
    ] = True


class RabbitMQ:
    """A bridge to RabbitMQ; `folder` is not used. Raises `BadSettings` for a bad address."""

    Settings = RabbitSettings

    def __init__(
        self,
        settings: RabbitSettings,
        folder: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        address = parse_address(settings.url, "bridges.rabbitmq.url")
        if address.kind != "rabbitmq" or address.name:
            raise BadSettings(
                "bridges.rabbitmq.url must be amqp://HOST:PORT or amqps://HOST:PORT, without a "
                "queue: bridges.rabbitmq.tasks and answers name those"
            )
        if settings.tasks == settings.answers:
            raise BadSettings(
                f"bridges.rabbitmq.tasks and answers are both {settings.tasks!r}; each needs its "
                "own"
            )
        self._address = address
        self._clock = clock
        self._link = RabbitLink(address, settings, "bridges.rabbitmq", self._declare_queues)
        # The last receipt, until it is known to be safe, and the tag up to which to acknowledge it.
        self._given: Receipt | None = None
        self._given_to = 0
        self._look_at = 0.0
        self._dead_n = 0

    def close(self) -> None:
        self._given = None
        self._link.close()

    def send(self, deliveries: Sequence[Delivery]) -> None:
        with self._use_channel() as channel:
            for delivery in deliveries:
                if delivery.request is None:
                    self._announce_end(channel, delivery)
                else:
                    self._publish_task(channel, delivery.request)

    def _publish_task(self, channel: BlockingChannel, request: LabelRequested) -> None:
        import pika  # noqa: PLC0415 - an extra

        high_utility = self._settings.high_utility
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=2,
            message_id=request.request_id,
            type="LabelRequested",
            priority=HIGH
            if high_utility is not None and request.utility >= high_utility
            else NORMAL,
        )
        body = msgspec.json.encode(request)
        # This waits until the broker confirms the task, and raises if it does not.
        channel.basic_publish("", self._settings.tasks, body, properties, mandatory=True)

    def _announce_end(self, channel: BlockingChannel, gone: Delivery) -> None:
        import pika  # noqa: PLC0415 - an extra

        properties = pika.BasicProperties(
            content_type="application/json", message_id=gone.request_id, type="withdrawn"
        )
        body = msgspec.json.encode({"request_id": gone.request_id, "reason": gone.reason})
        exchange = f"{self._settings.tasks}.withdrawn"
        channel.basic_publish(exchange, gone.request_id, body, properties)

    def receive(self, mark: str) -> Receipt:
        with self._use_channel() as channel:
            faults = self._check_dead_letters(channel)
            if self._given is not None:
                if mark != self._given.mark:
                    # The last receipt is not safe yet, so it is returned again, and nothing else.
                    return self._given
                channel.basic_ack(self._given_to, multiple=True)
                self._given = None
            replies: list[Reply] = []
            for _ in range(READ_N):
                method, properties, body = channel.basic_get(self._settings.answers)
                if method is None or properties is None or body is None:
                    break
                try:
                    replies.append(_parse_reply(body, properties))
                    self._given_to = method.delivery_tag
                except ValueError as error:
                    channel.basic_reject(method.delivery_tag, requeue=False)
                    dead = f"{self._settings.answers}.dead"
                    faults.append(
                        f"an answer in {self._settings.answers}: {error}; moved to {dead}"
                    )
        if not replies:
            return Receipt((), mark, tuple(faults))
        # The mark is new: answers to an earlier process are delivered again, with other tags.
        self._given = Receipt(tuple(replies), secrets.token_hex(8), tuple(faults))
        return self._given

    # ------------------------------------------------------------------------------ the server

    @contextmanager
    def _use_channel(self) -> Iterator[BlockingChannel]:
        """Yield the open channel; if it fails, the receipt that is not safe yet is dropped."""
        try:
            with self._link.use_channel() as channel:
                # This sends heartbeats, and notices that the connection is lost.
                channel.connection.process_data_events(0)
                yield channel
        except BaseException as error:
            self._given = None
            if isinstance(error, BrokerAway):
                raise Unreachable(f"{self._address}: {error}") from error
            raise

    def _declare_queues(self, channel: BlockingChannel) -> None:
        is_there = not self._settings.declare
        returned_max = {
            self._settings.tasks: self._settings.deliveries_max - 1,
            # A killed bridge returns good answers to the queue: they must not become dead letters.
            self._settings.answers: RETURNED_MAX,
        }
        for name, limit in returned_max.items():
            dead = f"{name}.dead"
            kind: dict[str, Any] = {"x-queue-type": "quorum"}
            channel.queue_declare(dead, durable=True, arguments=kind, passive=is_there)
            limits = {
                "x-delivery-limit": limit,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": dead,
                # A dead letter leaves its queue only when the other queue has confirmed it.
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            }
            channel.queue_declare(name, durable=True, arguments=kind | limits, passive=is_there)
        exchange = f"{self._settings.tasks}.withdrawn"
        channel.exchange_declare(exchange, "fanout", durable=True, passive=is_there)
        channel.confirm_delivery()

    def _check_dead_letters(self, channel: BlockingChannel) -> list[str]:
        """Every `LOOK_S` return a sentence if more tasks went to the dead letters, in a list."""
        if self._clock() < self._look_at:
            return []
        self._look_at = self._clock() + LOOK_S
        dead = f"{self._settings.tasks}.dead"
        n = channel.queue_declare(dead, passive=True).method.message_count
        more_n, self._dead_n = n - self._dead_n, n
        if more_n <= 0:
            return []
        return [
            f"{more_n} tasks more were given out {self._settings.deliveries_max} times and never "
            f"acknowledged; they are in {dead}, which has {n} now"
        ]


def _parse_reply(body: bytes, properties: Any) -> Reply:
    """Return the reply in a message. Raises `ValueError` for one that can't be used."""
    answer = decode_answer(body)
    at, message_id = properties.timestamp, properties.message_id
    if answer.at is None and at is None:
        raise ValueError("there is neither `at` nor a timestamp")
    return make_reply(answer, key_of(body, f"{message_id or ''} {at or ''}"), float(at or 0))
