"""How Redis or RabbitMQ is reached, and the section `[queue]` for events that are read there.

This module has the settings alone. Secrets are no settings: `adapters.brokers.address` reads the
password from a file or the environment when it connects.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from msgspec import Meta

from .fields import Section, about

_PASSWORD = re.compile(r"://[^/?#]*:[^/?#]*@")

Batch = Annotated[int, Meta(ge=1, le=10_000)]


class ConnectionSettings(Section, frozen=True, kw_only=True):
    """What a connection to a broker needs beside its address."""

    ca_file: Annotated[
        str,
        about(
            "PEM file of the authorities that signed the server's certificate, for `rediss` and "
            "`amqps`; empty: the system's. The server's name is always checked."
        ),
    ] = ""
    cert_file: Annotated[
        str, about("PEM file with our certificate, where the server asks for one.")
    ] = ""
    key_file: Annotated[str, about("PEM file with the private key of that certificate.")] = ""
    password_file: Annotated[
        str,
        about(
            "File that holds only the password; empty: it is in the environment variable "
            "`HEADRACE_REDIS_PASSWORD` or `HEADRACE_RABBITMQ_PASSWORD`."
        ),
    ] = ""
    allow_plaintext: Annotated[
        bool,
        about(
            "Allow a connection without TLS to a server that is not on loopback: anybody on the "
            "way can then read the password and every message."
        ),
    ] = False


class QueueSettings(ConnectionSettings, frozen=True, kw_only=True):
    """[queue]: the stream or queue that `headrace run --events` names. See [QUEUES.md](QUEUES.md).

    Read at each start.
    """

    batch_max: Annotated[
        Batch,
        about("Messages copied and acknowledged at a time; RabbitMQ sends no more ahead."),
    ] = 500
    field: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)],
        about(
            "Redis: the field of an entry that holds the event as JSON. If an entry lacks this "
            "field, its own fields are the event, all of them as texts."
        ),
    ] = "event"
    group: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)],
        about(
            "Redis: the consumer group that shows how far the run has copied the stream, by its "
            "last delivered id and its lag. Each run reads the whole stream; give each run a group "
            "of its own."
        ),
    ] = "headrace"


def faults_of_secrets(bridges: dict[str, dict[str, Any]]) -> list[str]:
    """List the URLs of bridges that hold a password, since the settings are stored with the run.

    >>> faults_of_secrets({"team": {"url": "redis://eva:secret@events:6379"}})
    ['bridges.team.url holds a password, which is written down with the settings of a run; put it
    into a file or the environment']
    """
    return [
        f"bridges.{name}.{field} holds a password, which is written down with the settings of a "
        "run; put it into a file or the environment"
        for name, section in bridges.items()
        for field, value in section.items()
        if isinstance(value, str) and _PASSWORD.search(value)
    ]
