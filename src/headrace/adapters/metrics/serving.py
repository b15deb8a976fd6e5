"""The port of a run or a worker: /metrics, /healthz and /readyz, and nothing else.

It listens on loopback by default; TLS and client certificates are settings. The standard library's
asyncio serves, in a thread of its own: a slow client costs a socket and no thread. A request may
have 8 KiB and take 5 seconds in all. At `CONNECTIONS_MAX` the connection that has waited longest is
dropped for a new one, so that no number of slow clients keeps a probe from its answer. /healthz is
answered at once, other pages are made two at a time. Every connection is closed after its answer,
and no body is read.
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


def serve(
    read_report: Callable[[], Report],
    *,
    http: HttpSettings | None = None,
    ready: Callable[[], str] = lambda: "",
    timings: Timings | None = None,
    registry: CollectorRegistry | None = None,
    on_note: Callable[[str], None] = lambda sentence: warnings.warn(sentence, stacklevel=3),
) -> Served:
    """Serve the metrics of a stream until the server is closed; return the running server.

    - `read_report`: returns the report, already made, for it is called in other threads.
    - `http`: address, port (0 is any free one) and certificates.
    - `ready`: returns in a sentence why this process is not ready, "" if it is; called in other
      threads.
    - `timings`: the times of the stream, to be shown beside the report.
    - `registry`: replaces the registry made from report and timings, to show more.
    - `on_note`: is called once if the address is not on loopback and there is no TLS.

    Raises `BadSettings` if it can't listen on the address, or can't use a certificate.
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
    """A running server, as `serve` makes it; `close` ends it."""

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
        # The clients whose request is not complete yet, the longest waiting first.
        self._waiting: dict[asyncio.StreamWriter, None] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        # Errors of a client that breaks off, or speaks no TLS, are not worth a log line.
        self._loop.set_exception_handler(lambda _, __: None)
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run_loop, name="headrace-http", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The URL of the metrics."""
        scheme = "http" if self._tls is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/metrics"

    def close(self) -> None:
        """Stop listening; return when the port is free and open requests are answered."""
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
                    await _close_gently(reader, writer)
        finally:
            self._waiting.pop(writer, None)
            self._answering.discard(task)
            writer.transport.abort()

    # ---------------------------------------------------------------------------- the answers

    async def _answer_head(self, head: bytes | int) -> bytes:
        """Return the whole response to a request's head, or to the status of its fault."""
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
                page = self._loop.run_in_executor(self._pool, self._make_page, path)
                status, body, kind = await page
        except Exception as error:
            status, body, kind = 500, f"{type(error).__name__}\n".encode(), _TEXT
        return _make_response(status, body, kind=kind, is_bodiless=words[0] == b"HEAD")

    def _make_page(self, path: bytes) -> tuple[int, bytes, str]:
        if path == b"/metrics":
            return 200, generate_latest(self._registry), _METRICS
        if path == b"/readyz":
            why_not = self._ready()
            text = f"not ready: {why_not}\n" if why_not else "ready\n"
            return (503 if why_not else 200), text.encode(), _TEXT
        return 404, b"there are /metrics, /healthz and /readyz\n", _TEXT


async def _read_head(reader: asyncio.StreamReader) -> bytes | int:
    """Read a request up to its empty line; return a status if it is too long or too slow."""
    try:
        async with asyncio.timeout(REQUEST_S_MAX):
            return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return 431
    except TimeoutError:
        return 408
    except asyncio.IncompleteReadError:
        return 400


async def _close_gently(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close after the client has read the response: a close over unread bytes would discard it."""
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
        addresses = socket.getaddrinfo(
            http.host, http.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = addresses[0]
        return socket.create_server(address[:2], family=family, backlog=WAITING_MAX)
    except OSError as error:
        raise BadSettings(
            f"/metrics can't listen on {where}: {error}; set another http.host or http.port"
        ) from error


def _make_tls(http: HttpSettings) -> ssl.SSLContext | None:
    """Return TLS 1.2 or later with our certificate; None without one.

    With `client_ca_file` clients need a certificate too. Raises `BadSettings` for bad files.
    """
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
