"""The address of a broker as a URL, and its secrets. This module opens files, no connections."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from ...errors import BadSettings
from ...settings.http import is_loopback
from ...settings.queue import ConnectionSettings
from ..secret_files import read_secret

SCHEMES: dict[str, tuple[Literal["redis", "rabbitmq"], bool, int]] = {
    "redis": ("redis", False, 6379),
    "rediss": ("redis", True, 6379),
    "amqp": ("rabbitmq", False, 5672),
    "amqps": ("rabbitmq", True, 5671),
}
"""By scheme of the URL: the kind of broker, whether it uses TLS, the usual port."""

PASSWORDS = {"redis": "HEADRACE_REDIS_PASSWORD", "rabbitmq": "HEADRACE_RABBITMQ_PASSWORD"}
"""The environment variables with the passwords, for where `password_file` names no file."""


class BrokerAway(Exception):  # noqa: N818 - as BadInput and the others
    """The broker can't be reached now, or ended the connection: try again later."""


def away_or_untrusted(address: object, reason: str) -> BrokerAway | BadSettings:
    """Return the error for a failed connection: a bad certificate is not worth another attempt."""
    if "CERTIFICATE_VERIFY_FAILED" not in reason:
        return BrokerAway(reason)
    return BadSettings(
        f"{address} shows a certificate that is not trusted, or is for another name; set ca_file "
        f"to the authorities that it is signed by ({reason})"
    )


@dataclass(frozen=True, slots=True)
class Address:
    """A broker's host and port, our user there, and the stream or queue; it holds no secret.

    `name` is the stream or queue, empty where the URL names none. `space` is the number of the
    database in Redis, and the virtual host in RabbitMQ.
    """

    kind: Literal["redis", "rabbitmq"]
    is_tls: bool
    host: str
    port: int
    user: str
    name: str
    space: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind} at {host}:{self.port}"


def is_address(text: str) -> bool:
    """Whether a text names a broker by its scheme, well-formed or not.

    >>> is_address("rediss://events:6379/log"), is_address("events.jsonl")
    (True, False)
    """
    scheme, mark, _ = text.partition("://")
    return bool(mark) and scheme.lower() in SCHEMES


def parse_address(text: str, setting: str) -> Address:
    """Parse the URL of a broker; `setting` names the option that has it, for errors.

    Raises `BadSettings`, whose text quotes no part of the URL: where a password has a /, a ? or a #
    in it, any part may be a piece of the password.

    >>> parse_address("amqp://eva@rabbit/inference?vhost=team", "--events")
    Address(kind='rabbitmq', is_tls=False, host='rabbit', port=5672, user='eva', name='inference',
    space='team')
    >>> parse_address("redis://:secret@127.0.0.1/log", "--events")
    Traceback (most recent call last):
    headrace.errors.BadSettings: --events holds a password, which others could see; put it into a
    file (password_file) or into the environment variable HEADRACE_REDIS_PASSWORD
    """
    try:
        parts = urlsplit(text)
        kind, is_tls, usual_port = SCHEMES[parts.scheme]
        host, port = parts.hostname, parts.port
        query = (
            dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
            if (parts.query)
            else {}
        )
    except (ValueError, KeyError):
        raise BadSettings(
            f"{setting} is no address; must be such as {_make_example(setting)}"
        ) from None
    if parts.password is not None:
        raise BadSettings(
            f"{setting} holds a password, which others could see; put it into a file "
            f"(password_file) or into the environment variable {PASSWORDS[kind]}"
        )
    if "@" in text.partition("://")[2].partition("/")[2]:
        raise BadSettings(
            f"{setting} has an @ behind a /; write a / in a user's name as %2F, and an @ in the "
            "name of a stream, queue or virtual host as %40. A password belongs into a file "
            f"(password_file) or into the environment variable {PASSWORDS[kind]}"
        )
    if not host or parts.fragment:
        fault = "has a # in it, which is %23 in a name" if host else "names no host"
        raise BadSettings(f"{setting} {fault}; must be such as {_make_example(setting)}")
    where, default = ("db", "0") if kind == "redis" else ("vhost", "/")
    if set(query) - {where}:
        raise BadSettings(
            f"{setting} has a parameter behind ? that is not known; with {parts.scheme}:// there "
            f"is ?{where}= alone, and [queue] or the section of the bridge has the rest"
        )
    space = query.get(where, default)
    if kind == "redis" and not (space.isascii() and space.isdigit() and len(space) < 6):
        raise BadSettings(f"{setting} has ?db= without a number; must be that of a database")
    return Address(
        kind=kind,
        is_tls=is_tls,
        host=host,
        port=usual_port if port is None else port,
        user=unquote(parts.username or ""),
        name=unquote(parts.path.removeprefix("/")),
        space=space,
    )


def _make_example(setting: str) -> str:
    if setting == "--events":
        return "redis://HOST:PORT/STREAM or amqp://USER@HOST:PORT/QUEUE"
    return "redis://HOST:PORT or amqp://USER@HOST:PORT"


def faults_of_connection(address: Address, settings: ConnectionSettings, section: str) -> list[str]:
    """Return what does not fit between an address and its settings, as sentences; [] if nothing."""
    faults = []
    if not address.is_tls:
        faults += [
            f"{section}.{name} is set, and the address is without TLS; write "
            f"{'rediss' if address.kind == 'redis' else 'amqps'}://, or remove {name}"
            for name in ("ca_file", "cert_file", "key_file")
            if getattr(settings, name)
        ]
        if not is_loopback(address.host) and not settings.allow_plaintext:
            secure = "rediss" if address.kind == "redis" else "amqps"
            faults.append(
                f"{address} is not on loopback, and without TLS the password and every message "
                f"could be read on the way; write {secure}://, or set {section}.allow_plaintext, "
                "where the network is trusted"
            )
    for name, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if getattr(settings, name) and not getattr(settings, other):
            faults.append(f"{section}.{name} is set without {section}.{other}; set both or neither")
    return faults


def read_password(address: Address, settings: ConnectionSettings, section: str) -> str:
    """Return the password, from its file or the environment; "" where there is none.

    Raises `BadSettings` for a file that can't be read, and for a user without a password.
    """
    variable = PASSWORDS[address.kind]
    if not settings.password_file:
        password = os.environ.get(variable, "").strip()
        if address.user and not password:
            raise BadSettings(
                f"{address} is to know us as {address.user}, and there is no password; set "
                f"{section}.password_file, or the environment variable {variable}"
            )
        return password
    return read_secret(settings.password_file, f"{section}.password_file")


def make_tls(settings: ConnectionSettings, section: str) -> ssl.SSLContext:
    """Return TLS 1.2 or later that checks the server's name. Raises `BadSettings` for bad files."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except OSError as error:
        raise BadSettings(
            f"{section}.ca_file is {settings.ca_file!r}: {error.strerror or 'no PEM certificates'}"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file, password="")
    except OSError as error:
        raise BadSettings(
            f"{section}.cert_file and key_file can't be used: {error.strerror or 'no PEM pair'}"
        ) from error
    return context


def import_client(name: Literal["redis", "pika"], extra: str) -> None:
    """Raise `BadSettings` where the client of a broker is not installed."""
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        raise BadSettings(
            f"{name} is not installed, the client of this broker: pip install 'headrace[{extra}]'"
        ) from error
