"""The port: three pages and nothing else, loopback, TLS when set, and nobody can hold it up."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace as hr
from headrace.adapters.metrics import serving
from headrace.adapters.metrics.serving import REQUEST_BYTES_MAX, Served, serve
from headrace.errors import BadSettings
from headrace.report import Report
from headrace.settings.http import HttpSettings

WAIT_S = 30.0


@pytest.fixture(scope="module")
def report() -> Report:
    return hr.Engine(classes=["no", "yes"]).report


@pytest.fixture
def served(report: Report) -> Iterator[Served]:
    served = serve(lambda: report)
    yield served
    served.close()


def got(served: Served, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=WAIT_S)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def said(served: Served, content: bytes) -> bytes:
    """Send these bytes, and take all that comes back."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=WAIT_S) as client:
        client.sendall(content)
        answer = b""
        while more := client.recv(65_536):
            answer += more
        return answer


# ------------------------------------------------------------------------------------- pages


def test_metrics_come_as_prometheus_wants_them(served: Served) -> None:
    status, headers, body = got(served, "/metrics")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"headrace_events_observed_total" in body
    assert b"process_resident_memory_bytes" in body
    with urllib.request.urlopen(served.url, timeout=WAIT_S) as answer:
        assert answer.status == 200


def test_head_is_get_without_a_body(served: Served) -> None:
    status, headers, body = got(served, "/healthz", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "6", b"")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metric", "/../etc/passwd", "/favicon.ico"])
def test_any_other_path_is_not_found(served: Served, path: str) -> None:
    status, _, body = got(served, path)
    assert (status, b"passwd" in body) == (404, False)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_sent(served: Served, method: str) -> None:
    status, headers, _ = got(served, "/metrics", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_ready_says_why_not_until_it_is(report: Report) -> None:
    why_not = ["the training log is 300 records behind"]
    served = serve(lambda: report, ready=lambda: why_not[0])
    try:
        assert got(served, "/healthz")[0] == 200
        assert got(served, "/readyz")[::2] == (503, f"not ready: {why_not[0]}\n".encode())
        why_not[0] = ""
        assert got(served, "/readyz")[::2] == (200, b"ready\n")
    finally:
        served.close()


def test_a_page_that_fails_says_no_more_than_what_kind_of_fault() -> None:
    def broken() -> Report:
        raise ValueError("the secret of the house")

    served = serve(broken)
    try:
        assert got(served, "/metrics")[::2] == (500, b"ValueError\n")
        assert got(served, "/healthz")[0] == 200
    finally:
        served.close()


# ------------------------------------------------------------------------------------ limits


def test_what_is_no_request_is_answered_and_survived(served: Served) -> None:
    assert said(served, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert said(served, b"GET /metrics SPDY/3\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert got(served, "/healthz")[0] == 200


def test_a_request_that_is_too_long_is_refused(served: Served) -> None:
    head = b"GET /metrics HTTP/1.1\r\nX: " + b"x" * REQUEST_BYTES_MAX
    assert said(served, head).startswith(b"HTTP/1.1 431 ")


def test_a_slow_client_is_cut_off_however_it_dribbles(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "REQUEST_S_MAX", 0.5)
    served = serve(lambda: report)
    try:
        with socket.create_connection(("127.0.0.1", served.port), timeout=WAIT_S) as client:
            stop = threading.Event()

            def dribble() -> None:
                while not stop.wait(0.05):
                    try:
                        client.sendall(b"x")
                    except OSError:
                        return

            thread = threading.Thread(target=dribble)
            thread.start()
            try:
                answer = client.recv(100)
            finally:
                stop.set()
                thread.join()
        assert answer.startswith(b"HTTP/1.1 408 ")
    finally:
        served.close()


@pytest.mark.parametrize("begun", [b"", b"G", b"GET /metrics HTTP/1.1\r\nHost: x\r\n"])
@pytest.mark.parametrize("clients_n", [10, 120, 300])
def test_slow_clients_do_not_keep_a_probe_out(
    served: Served, monkeypatch: pytest.MonkeyPatch, clients_n: int, begun: bytes
) -> None:
    # They are cut off in an hour only: it is not their end that lets the probes in.
    monkeypatch.setattr(serving, "REQUEST_S_MAX", 3_600.0)
    monkeypatch.setattr(serving, "CONNECTIONS_MAX", 200)
    slow = []
    try:
        for _ in range(clients_n):
            client = socket.create_connection(("127.0.0.1", served.port), timeout=WAIT_S)
            client.sendall(begun)
            slow.append(client)
        for path in ("/healthz", "/readyz", "/metrics"):
            assert got(served, path)[0] == 200
        assert len(served._waiting) <= 200
        there = [thread for thread in threading.enumerate() if "headrace-http" in thread.name]
        assert len(there) <= serving.PAGES_AT_A_TIME_MAX + 1
    finally:
        for client in slow:
            client.close()


def test_a_page_that_takes_long_does_not_keep_a_probe_out(report: Report) -> None:
    made = threading.Event()

    def slow() -> Report:
        made.wait(WAIT_S)
        return report

    served = serve(slow)
    address = ("127.0.0.1", served.port)
    asking = [socket.create_connection(address, timeout=WAIT_S) for _ in range(20)]
    try:
        for client in asking:
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert got(served, "/healthz")[0] == 200
        made.set()
        assert all(client.recv(12) == b"HTTP/1.1 200" for client in asking)
    finally:
        made.set()
        for client in asking:
            client.close()
        served.close()


def test_what_was_begun_is_answered_before_it_closes(report: Report) -> None:
    begun, made = threading.Event(), threading.Event()

    def slow() -> Report:
        begun.set()
        made.wait(WAIT_S)
        return report

    served = serve(slow)
    with socket.create_connection(("127.0.0.1", served.port), timeout=WAIT_S) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert begun.wait(WAIT_S)
        closing = threading.Thread(target=served.close)
        closing.start()
        made.set()
        assert client.recv(12) == b"HTTP/1.1 200"
        closing.join(WAIT_S)
        assert not closing.is_alive()


# ----------------------------------------------------------------------------------- address


def test_it_listens_on_loopback_and_gives_the_port_back(report: Report) -> None:
    served = serve(lambda: report)
    assert served.url == f"http://127.0.0.1:{served.port}/metrics"
    served.close()
    served.close()
    again = serve(lambda: report, http=HttpSettings(port=served.port))
    again.close()
    assert not [t for t in threading.enumerate() if "headrace-http" in t.name and t.is_alive()]


def test_it_closes_at_once_when_nobody_asks(report: Report) -> None:
    served = serve(lambda: report)
    started = time.monotonic()
    served.close()
    # Polling for the end, as servers do, would take half a second; this is a wide margin.
    assert time.monotonic() - started < WAIT_S


def test_a_port_that_is_taken_is_told_with_its_setting(report: Report) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadSettings, match=rf"127.0.0.1:{port}.*http.port"):
            serve(lambda: report, http=HttpSettings(port=port))


def test_plaintext_beyond_loopback_is_allowed_and_told_once(report: Report) -> None:
    notes: list[str] = []
    served = serve(lambda: report, http=HttpSettings(host="0.0.0.0"), on_note=notes.append)
    try:
        got(served, "/metrics")
        got(served, "/metrics")
        (note,) = notes
        assert "0.0.0.0" in note and "http.cert_file" in note
    finally:
        served.close()
    with pytest.warns(UserWarning, match="plaintext"):
        serve(lambda: report, http=HttpSettings(host="0.0.0.0")).close()


# --------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem and server.pem, the latter being key and certificate in one."""
    pytest.importorskip("cryptography")
    from kafka import certificates as made  # noqa: PLC0415 - it wants cryptography

    folder = tmp_path_factory.mktemp("certificates")
    made.write(folder)
    return folder


def spoken(served: Served, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", served.port, timeout=WAIT_S, context=context
    )
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().status
    finally:
        connection.close()


def test_tls_is_spoken_when_set_and_nothing_else(report: Report, certificates: Path) -> None:
    pem = str(certificates / "server.pem")
    served = serve(lambda: report, http=HttpSettings(cert_file=pem, key_file=pem))
    try:
        assert served.url.startswith("https://")
        context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        assert spoken(served, context) == 200
        with pytest.raises((OSError, http.client.HTTPException)):
            got(served, "/metrics")
        assert spoken(served, context) == 200
    finally:
        served.close()


def test_without_a_certificate_of_ours_no_client_gets_in(
    report: Report, certificates: Path
) -> None:
    pem, ca = str(certificates / "server.pem"), str(certificates / "ca.pem")
    settings = HttpSettings(cert_file=pem, key_file=pem, client_ca_file=ca)
    served = serve(lambda: report, http=settings)
    try:
        context = ssl.create_default_context(cafile=ca)
        with pytest.raises((OSError, http.client.HTTPException)):
            spoken(served, context)
        context.load_cert_chain(pem)
        assert spoken(served, context) == 200
    finally:
        served.close()


def test_a_certificate_that_cannot_be_used_is_told_with_its_setting(
    report: Report, tmp_path: Path
) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate")
    there = HttpSettings(cert_file=str(nonsense), key_file=str(nonsense))
    with pytest.raises(BadSettings, match=r"http.cert_file is .*nonsense.pem; it can't be used"):
        serve(lambda: report, http=there)
    gone = HttpSettings(cert_file=str(nonsense), key_file=str(tmp_path / "gone.pem"))
    with pytest.raises(BadSettings, match=r"http.key_file is .*gone.pem; there is no such file"):
        serve(lambda: report, http=gone)
