"""The port of a run or a worker: /metrics, /healthz and /readyz, and nothing else.

Loopback unless told otherwise; TLS and client certificates by setting. The standard library's
asyncio serves, in a thread of its own: a client that is slow costs a socket and no thread. A
request may be 8 KiB and take 5 seconds, all told. At `CONNECTIONS_MAX` the one that has waited
longest gives way to the next, so that no number of slow clients keeps a probe from its answer.
/healthz is answered at once, the others are made two at a time. Nothing is kept open and no body is
read.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from ...errors import BadSettings
from ...report import Report
from ...settings.http import HttpSettings, is_loopback
from .prometheus import registry_of
from .timings import Timings

REQUEST_BYTES_MAX = 8_192
REQUEST_S_MAX = 5.0
CONNECTIONS_MAX = 256
PAGES_AT_A_TIME_MAX = 2
LINGER_S = 0.2
WAITING_MAX = 128

_TEXT = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_STATUS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def is_ready() -> str:
    """Always ready: nothing is to be said against it."""
    return ""


def serve(
    read_report: Callable[[], Report],
    *,
    http: HttpSettings | None = None,
    ready: Callable[[], str] = is_ready,
    timings: Timings | None = None,
    registry: CollectorRegistry | None = None,
    on_note: Callable[[str], None] = lambda sentence: warnings.warn(sentence, stacklevel=3),
) -> Served:
    """Serve until closed; port 0 takes a free one.

    `read_report` and `ready` are called in other threads: give a report that is already made.
    `ready` says in a sentence why this is not ready, "" if it is. `registry` replaces the one made
    from the report and the timings, for who has more to show. `on_note` is told once if the address
    is not on loopback and there is no TLS.

    Raises `BadSettings` when the address can't be had or a certificate not be used.
    """
    http = http or HttpSettings()
    tls = _make_tls(http)
    if tls is None and not is_loopback(http.host):
        on_note(
            f"/metrics is served in plaintext on {http.host}, which is not on loopback: whoever "
            "reaches the port can read it; set http.cert_file and http.key_file"
        )
    return Served(registry or registry_of(read_report, timings), http, ready, tls)


class Served:
    """A running server; `close` ends it."""

    def __init__(
        self,
        registry: CollectorRegistry,
        http: HttpSettings,
        ready: Callable[[], str],
        tls: ssl.SSLContext | None,
    ) -> None:
        self.host = http.host
        self._registry = registry
        self._ready = ready
        self._tls = tls
        self._listener = _open_listener(http)
        self.port = int(self._listener.getsockname()[1])
        self._pool = ThreadPoolExecutor(PAGES_AT_A_TIME_MAX, thread_name_prefix="headrace-http")
        # Whose request is not whole yet, longest waiting first.
        self._waiting: dict[asyncio.StreamWriter, None] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        # A client that breaks off, or speaks no TLS, is its own affair.
        self._loop.set_exception_handler(lambda _, __: None)
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run_loop, name="headrace-http", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the metrics are."""
        scheme = "http" if self._tls is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/metrics"

    def close(self) -> None:
        """Stop listening; returns when the port is free and what was begun is answered."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()
        self._pool.shutdown()

    # ------------------------------------------------------------------------------ the loop

    def _run_loop(self) -> None:
        with self._listener:
            self._loop.run_until_complete(self._listen())
        self._loop.close()

    async def _listen(self) -> None:
        timeout_s = None if self._tls is None else REQUEST_S_MAX
        server = await asyncio.start_server(
            self._serve_client,
            sock=self._listener,
            limit=REQUEST_BYTES_MAX,
            ssl=self._tls,
            ssl_handshake_timeout=timeout_s,
            ssl_shutdown_timeout=timeout_s,
        )
        await self._closing.wait()
        server.close()
        for writer in self._waiting:
            writer.transport.abort()
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def _serve_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if len(self._waiting) >= CONNECTIONS_MAX:
            longest = next(iter(self._waiting))
            del self._waiting[longest]
            longest.transport.abort()
        self._waiting[writer] = None
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            with suppress(OSError, TimeoutError):
                head = await _read_head(reader)
                self._waiting.pop(writer, None)
                writer.write(await self._answer_head(head))
                async with asyncio.timeout(REQUEST_S_MAX):
                    await writer.drain()
                    await _part_from(reader, writer)
        finally:
            self._waiting.pop(writer, None)
            self._answering.discard(task)
            writer.transport.abort()

    # ---------------------------------------------------------------------------- the answers

    async def _answer_head(self, head: bytes | int) -> bytes:
        """The whole answer to a request's head, or to the fault with it."""
        if isinstance(head, int):
            return _make_response(head, _STATUS[head])
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _make_response(400, "this is not HTTP/1.1")
        if words[0] not in (b"GET", b"HEAD"):
            return _make_response(405, "only GET and HEAD", extra="Allow: GET, HEAD\r\n")
        try:
            path = words[1].split(b"?", 1)[0]
            if path == b"/healthz":
                status, body, kind = 200, b"alive\n", _TEXT
            else:
                made = self._loop.run_in_executor(self._pool, self._make_page, path)
                status, body, kind = await made
        except Exception as error:
            status, body, kind = 500, f"{type(error).__name__}\n".encode(), _TEXT
        return _make_response(status, body, kind=kind, is_bodiless=words[0] == b"HEAD")

    def _make_page(self, path: bytes) -> tuple[int, bytes, str]:
        if path == b"/metrics":
            return 200, generate_latest(self._registry), _METRICS
        if path == b"/readyz":
            why_not = self._ready()
            told = f"not ready: {why_not}\n" if why_not else "ready\n"
            return (503 if why_not else 200), told.encode(), _TEXT
        return 404, b"there are /metrics, /healthz and /readyz\n", _TEXT


async def _read_head(reader: asyncio.StreamReader) -> bytes | int:
    """A request up to its empty line; the status to answer with if it is too long or too slow."""
    try:
        async with asyncio.timeout(REQUEST_S_MAX):
            return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return 431
    except TimeoutError:
        return 408
    except asyncio.IncompleteReadError:
        return 400


async def _part_from(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the client have the answer: closed over unread bytes, a connection takes it back."""
    if writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()
        await writer.wait_closed()
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while await reader.read(REQUEST_BYTES_MAX):
                pass


def _make_response(
    status: int,
    body: bytes | str,
    *,
    kind: str = _TEXT,
    extra: str = "",
    is_bodiless: bool = False,
) -> bytes:
    content = body if isinstance(body, bytes) else f"{body}\n".encode()
    head = (
        f"HTTP/1.1 {status} {_STATUS[status]}\r\n"
        f"Content-Type: {kind}\r\n"
        f"Content-Length: {len(content)}\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"{extra}Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + (b"" if is_bodiless else content)


# ---------------------------------------------------------------------------------- opening


def _open_listener(http: HttpSettings) -> socket.socket:
    where = f"{http.host}:{http.port}"
    try:
        found = socket.getaddrinfo(
            http.host, http.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=WAITING_MAX)
    except OSError as error:
        raise BadSettings(
            f"/metrics can't listen on {where}: {error}; set another http.host or http.port"
        ) from error


def _make_tls(http: HttpSettings) -> ssl.SSLContext | None:
    """TLS 1.2 or later with our certificate, asking clients for theirs if told to."""
    if not http.cert_file:
        return None
    for name in ("cert_file", "key_file", "client_ca_file"):
        path = getattr(http, name)
        if path and not Path(path).is_file():
            raise BadSettings(f"http.{name} is {path}; there is no such file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    name = "cert_file"
    try:
        context.load_cert_chain(http.cert_file, http.key_file)
        if http.client_ca_file:
            name = "client_ca_file"
            context.load_verify_locations(cafile=http.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise BadSettings(
            f"http.{name} is {getattr(http, name)}; it can't be used: {error}"
        ) from error
    return context
