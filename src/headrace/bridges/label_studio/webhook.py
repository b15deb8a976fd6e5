"""Label Studio's webhook, as a hint that it is time to poll.

Label Studio calls a webhook once, with a timeout of a second, so a call may be lost. Only the
secret in a call's header is used: whoever has it can make the bridge poll earlier, and at most once
for each `receive`.
"""

from __future__ import annotations

import hmac
import http.client
import secrets
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ...errors import BadSettings
from .server import StudioServer
from .shapes import WebhookFound

HEADER = "X-Headrace-Webhook"
ACTIONS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED")
BODY_BYTES_MAX = 65_536
"""How much of a call's body is read, so that the connection ends well; the body is not used."""

CALL_S_MAX = 2.0
"""A connection that is silent for so long is closed, because calls are served one by one."""


class Webhook:
    """Listens at `address`, `HOST:PORT`, and remembers that it was called.

    Raises `BadSettings` if it can't listen at the address.
    """

    def __init__(self, address: str) -> None:
        self._secret = secrets.token_urlsafe(32)
        self._is_called = threading.Event()
        parts = urlsplit(f"//{address}")
        try:
            self._server = _make_server(parts.hostname or "", parts.port or 0, self)
        except OSError as error:
            raise BadSettings(
                f"bridges.label-studio.webhook_listen is {address}, which can't be had: {error}"
            ) from None
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, name="headrace-webhook", daemon=True)
        self._thread.start()

    def register_url(self, server: StudioServer, project: int, url: str) -> None:
        """Let Label Studio call `url` when somebody annotates in this project.

        Raises `BadSettings` where Label Studio refuses the address, and `Unreachable`.
        """
        wanted: dict[str, Any] = {
            "project": project,
            "url": url,
            "headers": {HEADER: self._secret},
            "is_active": True,
            "send_payload": False,
            "send_for_all_actions": False,
            "actions": list(ACTIONS),  # Left out, Label Studio would remove them all.
        }
        query = {"project": project}
        known = server.call("GET", "/api/webhooks/", list[WebhookFound], query=query)
        same = [webhook.id for webhook in known if webhook.url == url]
        method, path = (
            ("PATCH", f"/api/webhooks/{same[0]}/") if same else ("POST", "/api/webhooks/")
        )
        try:
            server.call(method, path, msgspec.Raw, body=wanted)
        except BadSettings as refused:
            raise BadSettings(
                f"bridges.label-studio.webhook_url is {url}, and it is not taken: {refused}. Label "
                "Studio calls private addresses only where it is started with "
                "USE_DEFAULT_BANNED_SUBNETS=false; without webhook_url the bridge polls alone"
            ) from None

    def was_called(self) -> bool:
        """Whether Label Studio has called since the last `was_called`."""
        is_called = self._is_called.is_set()
        self._is_called.clear()
        return is_called

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take_call(self, secret: str) -> int:
        """Take a call with this secret; return the HTTP status of the response."""
        if not hmac.compare_digest(secret.encode("utf-8", "replace"), self._secret.encode()):
            return http.client.UNAUTHORIZED
        self._is_called.set()
        return http.client.ACCEPTED


def _make_server(host: str, port: int, webhook: Webhook) -> HTTPServer:
    class Call(BaseHTTPRequestHandler):
        timeout = CALL_S_MAX

        def do_POST(self) -> None:
            """Respond at once, for an annotator may be waiting."""
            length = self.headers.get("Content-Length", "")
            if length.isascii() and length.isdigit():
                self.rfile.read(min(int(length), BODY_BYTES_MAX))
            self.send_response(webhook.take_call(self.headers.get(HEADER, "")))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Log nothing about callers."""

    class Quiet(HTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Ignore callers that break off."""

    return Quiet((host, port), Call)
