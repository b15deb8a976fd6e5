"""The port of a run or a worker: /metrics, /healthz and /readyz, and nothing else.

Loopback unless told otherwise; TLS and client certificates by setting. A request may be 8 KiB and
take 5 seconds, all told; eight are answered at a time, more wait. Nothing is kept open and no body
is read, so whoever can reach the port can make it slow, and nothing more.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

from prometheus_client import CollectorRegistry, generate_latest

from ..errors import BadSettings
from ..report import Report
from ..settings_http import HttpSettings, is_loopback
from .prometheus import registry_of
from .timings import Timings

REQUEST_BYTES_MAX = 8_192
REQUEST_S_MAX = 5.0
AT_A_TIME_MAX = 8
LINGER_S = 0.2
LINGER_READS_MAX = 8
WAITING_MAX = 64

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
    tls = _tls(http)
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
        self._listener = _listener(http)
        self.port = int(self._listener.getsockname()[1])
        self._room = threading.Semaphore(AT_A_TIME_MAX)
        self._pool = ThreadPoolExecutor(AT_A_TIME_MAX, thread_name_prefix="headrace-http")
        self._bell, self._rope = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, name="headrace-http", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the metrics are."""
        scheme = "http" if self._tls is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/metrics"

    def close(self) -> None:
        """Stop listening; returns when the port is free and what was begun is answered."""
        if self._rope.fileno() < 0:
            return
        self._rope.close()
        self._thread.join()
        self._pool.shutdown()

    # ------------------------------------------------------------------------------ the loop

    def _accept(self) -> None:
        """Hand connections to the pool, one for each free place, until the rope is pulled."""
        with self._listener, self._bell, DefaultSelector() as waiting:
            waiting.register(self._bell, EVENT_READ)
            waiting.register(self._listener, EVENT_READ)
            while True:
                self._room.acquire()
                rung = [key.fileobj for key, _ in waiting.select()]
                if self._bell in rung:
                    return
                try:
                    connection, _ = self._listener.accept()
                    self._pool.submit(self._serve, connection)
                except OSError:
                    # It was gone before we came, or there are too many open files.
                    self._room.release()
                    time.sleep(0.01)
                except RuntimeError:
                    # The interpreter is on its way out, and nobody closed us.
                    return

    def _serve(self, connection: socket.socket) -> None:
        deadline = time.monotonic() + REQUEST_S_MAX
        # A client that breaks off, or speaks no TLS, is its own affair.
        with suppress(OSError), connection:
            try:
                connection.settimeout(REQUEST_S_MAX)
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                with connection:
                    answer = self._answer(_head(connection, deadline))
                    connection.settimeout(max(0.1, deadline - time.monotonic()))
                    connection.sendall(answer)
                    _part(connection)
            finally:
                self._room.release()

    # ---------------------------------------------------------------------------- the answers

    def _answer(self, head: bytes | int) -> bytes:
        """The whole answer to a request's head, or to the fault with it."""
        if isinstance(head, int):
            return _response(head, _STATUS[head])
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _response(400, "this is not HTTP/1.1")
        if words[0] not in (b"GET", b"HEAD"):
            return _response(405, "only GET and HEAD", extra="Allow: GET, HEAD\r\n")
        try:
            status, body, kind = self._page(words[1].split(b"?", 1)[0])
        except Exception as error:
            status, body, kind = 500, f"{type(error).__name__}\n".encode(), _TEXT
        return _response(status, body, kind=kind, is_bodiless=words[0] == b"HEAD")

    def _page(self, path: bytes) -> tuple[int, bytes, str]:
        if path == b"/metrics":
            return 200, generate_latest(self._registry), _METRICS
        if path == b"/healthz":
            return 200, b"alive\n", _TEXT
        if path == b"/readyz":
            why_not = self._ready()
            told = f"not ready: {why_not}\n" if why_not else "ready\n"
            return (503 if why_not else 200), told.encode(), _TEXT
        return 404, b"there are /metrics, /healthz and /readyz\n", _TEXT


def _head(connection: socket.socket, deadline: float) -> bytes | int:
    """A request up to its empty line; the status to answer with if it is too long or too slow."""
    head = b""
    while b"\r\n\r\n" not in head:
        if len(head) > REQUEST_BYTES_MAX:
            return 431
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return 408
        connection.settimeout(left_s)
        try:
            more = connection.recv(REQUEST_BYTES_MAX)
        except TimeoutError:
            return 408
        if not more:
            return 400
        head += more
    return head


def _part(connection: socket.socket) -> None:
    """Let the client have the answer: closed over unread bytes, a connection takes it back."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(LINGER_S)
    for _ in range(LINGER_READS_MAX):
        if not connection.recv(REQUEST_BYTES_MAX):
            return


def _response(
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


def _listener(http: HttpSettings) -> socket.socket:
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


def _tls(http: HttpSettings) -> ssl.SSLContext | None:
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
