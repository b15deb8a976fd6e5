"""A small server that keeps the desk's HTTP contract, and can be away, late or strict on demand."""

from __future__ import annotations

import json
import math
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from repo.tree import SOURCE

PAGE = SOURCE / "bridges" / "desk" / "page"
KINDS = {".css": "text/css", ".js": "text/javascript", ".html": "text/html"}
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; "
    "connect-src 'self'"
)
TOKEN = "a-token"


def number(name: str, value: float, unusual: float = 0.1, influence: float | None = 0.1) -> Any:
    return {
        "name": name,
        "value": value,
        "kind": "number",
        "usual": {"low": 3.0, "middle": 21.5, "high": 90.0},
        "unusual": unusual,
        "influence": influence,
    }


def question(i: int, features: list[dict[str, Any]], classes: list[str]) -> dict[str, Any]:
    return {
        "request_id": f"r/{i}",
        "leased_until": time.time() + 300,
        "why": {"reason": "round", "strategy": "entropy", "utility": 0.97},
        "classes": classes,
        "features": features,
        "guess": None,
        "opinion_n": 1,
    }


class FakeDesk:
    """`questions` are given out in order; what came back stands in `answers`, the latest last."""

    def __init__(self, features: list[list[dict[str, Any]]], classes: list[str]) -> None:
        self.questions = [question(i, each, classes) for i, each in enumerate(features)]
        self.me = {
            "name": "ann",
            "role": "annotator",
            "classes": classes,
            "can_add_class": False,
            "keys": {str(i + 1): name for i, name in enumerate(classes[:9])},
        }
        self.answers: list[dict[str, Any]] = []
        self.skipped: list[str] = []
        self.calls: list[str] = []
        self.refusals: dict[str, tuple[int, str]] = {}
        self.is_away = False
        self.is_logged_in = False
        self.extra_status: dict[str, Any] = {}
        self.rounds: dict[str, dict[str, Any]] = {}
        outer = self

        class Reply(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.reply(self)

            def do_POST(self) -> None:
                outer.reply(self)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Reply)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reply(self, http: BaseHTTPRequestHandler) -> None:
        body = http.rfile.read(int(http.headers.get("Content-Length") or 0))
        if self.is_away:
            http.close_connection = True
            return
        if http.command == "GET" and not http.path.startswith("/v1/"):
            name = http.path.removeprefix("/static/").strip("/") or "index.html"
            path = PAGE / name
            self.send(http, 200, path.read_bytes(), KINDS[path.suffix])
            return
        self.calls.append(f"{http.command} {http.path}")
        if http.command == "POST" and http.headers.get("X-Headrace") != "1":
            status, said = 403, {"error": "X-Headrace is missing.", "fault": "yours"}
        elif http.path in self.refusals:
            status, words = self.refusals.pop(http.path)
            said = {"error": words, "fault": "yours"}
        elif http.path == "/v1/rounds":
            key = http.headers["Idempotency-Key"]
            self.rounds.setdefault(key, {"state": "ordered", "asked": json.loads(body)})
            status, said = 202, {"key": key, "state": "ordered"}
        else:
            status, said = self.decide(http.path, json.loads(body or b"{}"))
        self.send(http, status, b"" if said is None else json.dumps(said).encode())

    def send(
        self,
        http: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        kind: str = "application/json",
    ) -> None:
        http.send_response(status)
        http.send_header("Content-Type", kind)
        http.send_header("Content-Security-Policy", CSP)
        http.send_header("X-Content-Type-Options", "nosniff")
        http.send_header("Content-Length", str(len(body)))
        http.end_headers()
        http.wfile.write(body)

    def decide(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/v1/login":
            self.is_logged_in = body["token"] == TOKEN
            wrong = {"error": "This token is not known.", "fault": "yours"}
            return (200, {}) if self.is_logged_in else (401, wrong)
        if not self.is_logged_in:
            return 401, {"error": "Log in first.", "fault": "yours"}
        if path == "/v1/me":
            return 200, self.me
        if path == "/v1/questions/next":
            done = {a["request_id"] for a in self.answers} | set(self.skipped)
            left = [q for q in self.questions if q["request_id"] not in done]
            return (200, left[0]) if left else (204, None)
        if path.endswith("/guess"):
            return 200, {"classes": {"ham": 0.62, "spam": 0.38}}
        if path.endswith("/skip"):
            self.skipped.append(path.split("/")[3].replace("%2F", "/"))
            return 204, None
        if path == "/v1/answers/undo":
            if not self.answers:
                return 409, {"error": "There is no answer to take back.", "fault": "yours"}
            return 200, {"request_id": self.answers.pop()["request_id"]}
        if path == "/v1/answers":
            self.answers.append(body)
            if body["label"] is not None and body["label"] not in self.me["classes"]:
                self.add_class(body["label"])
            return 201, {
                "request_id": body["request_id"],
                "label": body["label"],
                "at": time.time(),
            }
        if path.startswith("/v1/rounds/"):
            return 200, self.rounds[path.split("/")[3]]
        assert path == "/v1/status", path
        return 200, self.status()

    def add_class(self, name: str) -> None:
        classes = [*self.me["classes"], name]
        self.me |= {
            "classes": classes,
            "keys": {str(i + 1): each for i, each in enumerate(classes[:9])},
        }
        for each in self.questions:
            each["classes"] = classes

    def status(self) -> dict[str, Any]:
        """Nine of ten are right, with the interval that so many labels allow."""
        given_n = len(self.answers)

        def row(n: int) -> list[float]:
            half = 1.96 * math.sqrt(0.09 / n)
            return [n, 0.9, 0.9 - half, min(1.0, 0.9 + half)]

        rows = [row(n) for n in (5, *range(10, 11 + given_n))]
        labels_n, accuracy, low, high = rows[-1]
        return {
            "open_n": len(self.questions) - given_n,
            "mine_n": 1,
            "answered_n": 10 + given_n,
            "mine_today_n": given_n,
            "estimate": {"accuracy": accuracy, "low": low, "high": high, "labels_n": labels_n},
            "series": rows,
            "bought": {"first": 0.71, "now": 0.9},
        } | self.extra_status
