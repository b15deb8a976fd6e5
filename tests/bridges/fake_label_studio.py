"""A Label Studio for tests: the part of its HTTP API that the bridge calls, with its traps.

What it does was seen at a real one, 1.23.2, which `make label-studio` holds the bridge against. It
takes tasks twice, stores any class, and says nothing of an annotation that was deleted.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen
from xml.etree import ElementTree

LEGACY = "0123456789abcdef0123456789abcdef01234567"
PERSONAL = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXAiOiJyZWZyZXNoIn0.c2lnbmF0dXJl"


@dataclass
class Fault:
    """What happens to the next call of a path instead of an answer, or before it."""

    path: str
    status: int = 0  # 0: carried out, and the connection closed without an answer
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"<html>busy</html>"
    before: Callable[[], None] = lambda: None


class FakeLabelStudio:
    """Call `start`, or use `running`; what is public may be read and changed by a test."""

    def __init__(self) -> None:
        self.projects: dict[int, dict[str, Any]] = {}
        self.tasks: dict[int, dict[str, Any]] = {}
        self.annotations: dict[int, dict[str, Any]] = {}
        self.drafts: set[int] = set()
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        self.faults: list[Fault] = []
        self.webhooks: dict[int, dict[str, Any]] = {}
        self.calls_private_addresses = True
        self.legacy_is_on = True
        self.personal_tokens = {PERSONAL}
        self.access_n = 0
        self.now = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
        self._ids = iter(range(1, 10_000_000))
        self._lock = threading.RLock()
        self._server: ThreadingHTTPServer | None = None

    # ------------------------------------------------------------------------------ the server

    @contextmanager
    def running(self) -> Iterator[FakeLabelStudio]:
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake._answer(self)

            do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self, path: str) -> list[tuple[dict[str, str], Any]]:
        """The queries and bodies of all calls of a path."""
        return [(query, body) for _, at, query, body in self.calls if re.fullmatch(path, at)]

    # ---------------------------------------------------------------------------- what people do

    def tick(self) -> str:
        self.now += timedelta(milliseconds=1)
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def task_of(self, request_id: str) -> int:
        [task] = [i for i, task in self.tasks.items() if task["data"]["request_id"] == request_id]
        return task

    def annotate(self, task: int, choice: str | list[str] | None, by: int | None = 1) -> int:
        """Somebody submits an annotation; None is a skip."""
        with self._lock:
            new = next(self._ids)
            now = self.tick()
            self.annotations[new] = {
                "id": new,
                "task": task,
                "completed_by": by,
                "result": self._result(task, choice),
                "was_cancelled": choice is None,
                "updated_at": now,
            }
            self.tasks[task]["updated_at"] = self.tick()
        self._call_webhooks(task)
        return new

    def correct(self, annotation: int, choice: str | list[str] | None) -> None:
        with self._lock:
            found = self.annotations[annotation]
            found["result"] = self._result(found["task"], choice)
            found["was_cancelled"] = choice is None
            found["updated_at"] = self.tick()
            self.tasks[found["task"]]["updated_at"] = self.tick()

    def retract(self, annotation: int) -> None:
        with self._lock:
            task = self.annotations.pop(annotation)["task"]
            self.tasks[task]["updated_at"] = self.tick()

    def _call_webhooks(self, task: int) -> None:
        """Once, whatever comes of it."""
        if task not in self.tasks:
            return
        for hook in self.webhooks.values():
            if hook["project"] == self.tasks[task]["project"] and hook["actions"]:
                headers = {"Content-Type": "application/json", **hook["headers"]}
                call = Request(hook["url"], b'{"action": "ANNOTATION_CREATED"}', headers)
                with suppress(OSError), urlopen(call, timeout=30):
                    pass

    def next_task(self, project: int) -> int | None:
        """As `GET /api/projects/{id}/next` for one annotator."""
        wanted = self.projects[project]
        scores = [
            (prediction["score"], i)
            for i, task in self.tasks.items()
            if task["project"] == project and not self._annotations(i)
            for prediction in task["predictions"]
            if prediction["model_version"] == wanted["model_version"]
        ]
        return min(scores)[1] if scores else None

    def _result(self, task: int, choice: str | list[str] | None) -> list[dict[str, Any]]:
        if choice is None or choice == []:
            return []
        choices = [choice] if isinstance(choice, str) else choice
        tags = self.projects[self.tasks[task]["project"]]["parsed_label_config"]
        name, tag = next(iter(tags.items()))
        return [
            {
                "from_name": name,
                "to_name": tag["to_name"][0],
                "type": "choices",
                "value": {"choices": choices},
            }
        ]

    def _annotations(self, task: int) -> list[dict[str, Any]]:
        return [one for one in self.annotations.values() if one["task"] == task]

    # --------------------------------------------------------------------------------- the API

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else None
        fault = next((one for one in self.faults if re.fullmatch(one.path, url.path)), None)
        if fault is not None:
            self.faults.remove(fault)
            fault.before()
        with self._lock:
            self.calls.append((handler.command, url.path, query, body))
            if fault is not None and fault.status:
                self._write(handler, fault.status, fault.body, fault.headers)
                return
            status, found = self._carried_out(handler, url.path, query, body)
        if fault is None:
            content = b"" if found is None else json.dumps(found).encode()
            self._write(handler, status, content, {"Content-Type": "application/json"})
        handler.close_connection = True

    @staticmethod
    def _write(
        handler: BaseHTTPRequestHandler, status: int, content: bytes, headers: dict[str, str]
    ) -> None:
        try:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)
        except OSError:
            pass  # whoever asked has gone

    def _carried_out(
        self, handler: BaseHTTPRequestHandler, path: str, query: dict[str, str], body: Any
    ) -> tuple[int, Any]:
        if path == "/api/token/refresh/":
            if body["refresh"] not in self.personal_tokens:
                return 401, {"detail": "Token is invalid"}
            self.access_n += 1
            return 200, {"access": f"access.{self.access_n}"}
        said = handler.headers.get("Authorization")
        legacy = f"Token {LEGACY}" if self.legacy_is_on else None
        if said not in (legacy, f"Bearer access.{self.access_n}"):
            return 401, {"detail": "Authentication credentials were not provided."}
        return self._routed(handler.command, path, query, body)

    def _routed(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path == "/api/projects/" and method == "POST":
            return 201, self.make_project(**body)
        if path == "/api/projects/":
            found = [one for one in self.projects.values() if query["title"] in one["title"]]
            return 200, {"results": [{"id": one["id"], "title": one["title"]} for one in found]}
        if match := re.fullmatch(r"/api/projects/(\d+)/", path):
            return self._project(int(match[1]), body if method == "PATCH" else {})
        if match := re.fullmatch(r"/api/projects/(\d+)/import", path):
            return self._import(int(match[1]), body)
        if path == "/api/tasks" and method == "GET":
            return self._list(query)
        if path == "/api/dm/actions" and query["id"] == "delete_tasks":
            chosen = body["selectedItems"]["included"] or [*self.tasks]  # none means all
            for task in chosen:
                self.tasks.pop(task, None)
            return 200, {"processed_items": len(chosen)}
        if path.startswith("/api/webhooks/"):
            return self._webhooks(method, path, query, body)
        raise AssertionError(f"nobody calls {method} {path}")

    def _webhooks(
        self, method: str, path: str, query: dict[str, str], body: Any
    ) -> tuple[int, Any]:
        if method == "GET":
            number = int(query["project"])
            return 200, [hook for hook in self.webhooks.values() if hook["project"] == number]
        if not self.calls_private_addresses:
            return 403, {"detail": "URL resolves to a reserved network address"}
        match = re.fullmatch(r"/api/webhooks/(\d+)/", path)
        number = int(match[1]) if match else next(self._ids)
        # A change without actions takes them all away.
        self.webhooks[number] = {"id": number, "actions": [], **body}
        return (200 if match else 201), self.webhooks[number]

    def make_project(self, title: str, label_config: str, **fields: Any) -> dict[str, Any]:
        new = next(self._ids)
        view = ElementTree.fromstring(label_config)
        tags = {
            tag.attrib["name"]: {
                "type": tag.tag,
                "to_name": [tag.attrib["toName"]],
                "labels": [choice.attrib["value"] for choice in tag],
            }
            for tag in view.iter()
            if "toName" in tag.attrib
        }
        self.projects[new] = {
            "id": new,
            "title": title,
            "label_config": label_config,
            "parsed_label_config": tags,
            "maximum_annotations": 1,
            "show_collab_predictions": True,
            "sampling": "Sequential sampling",
            "model_version": "",
            **fields,
        }
        return self.projects[new]

    def _project(self, number: int, changes: dict[str, Any]) -> tuple[int, Any]:
        if number not in self.projects:
            return 404, {"detail": "No Project matches the given query."}
        version = changes.get("model_version")
        versions = {
            one["model_version"] for task in self.tasks.values() for one in task["predictions"]
        }
        if version and version not in versions:
            return 400, {"validation_errors": {"model_version": ["Model version doesn't exist"]}}
        self.projects[number].update(changes)
        return 200, self.projects[number]

    def _import(self, number: int, tasks: list[dict[str, Any]]) -> tuple[int, Any]:
        project = self.projects[number]
        needed = re.findall(r'value="\$(\w+)"', project["label_config"])
        for task in tasks:
            for key in needed:
                if key not in task["data"]:
                    said = f'"{key}" key is expected in task data :: {task}'
                    return 400, {"detail": "Validation error", "validation_errors": [said]}
        made = []
        for task in tasks:
            new = next(self._ids)
            self.tasks[new] = {**task, "id": new, "project": number, "updated_at": self.tick()}
            project["model_version"] = (
                project["model_version"] or task["predictions"][0]["model_version"]
            )
            made.append(new)
        return 201, {"task_count": len(made), "task_ids": made}

    def _list(self, query: dict[str, str]) -> tuple[int, Any]:
        params = json.loads(query["query"])
        found = [one for one in self.tasks.values() if one["project"] == int(query["project"])]
        for item in params.get("filters", {}).get("items", []):
            found = [task for task in found if _passes(task, item)]
        if included := params.get("selectedItems", {}).get("included"):
            found = [task for task in found if task["id"] in included]
        [order] = params["ordering"]
        key = order.rpartition(":")[2]
        found.sort(key=lambda task: task[key], reverse=order.startswith("-"))
        found = found[: int(query["page_size"])]
        include = query["include"].split(",")
        return 200, {"tasks": [self._shown(task, include, query) for task in found]}

    def _shown(
        self, task: dict[str, Any], include: list[str], query: dict[str, str]
    ) -> dict[str, Any]:
        annotations = self._annotations(task["id"])
        cancelled_n = sum(one["was_cancelled"] for one in annotations)
        full = {
            "id": task["id"],
            "updated_at": task["updated_at"],
            "data": task["data"],
            "total_annotations": len(annotations) - cancelled_n,
            "cancelled_annotations": cancelled_n,
        }
        if query["fields"] == "all":
            full["draft_exists"] = task["id"] in self.drafts
            full["annotations"] = [
                {key: value for key, value in one.items() if key in include} for one in annotations
            ]
        return {key: value for key, value in full.items() if key in include}


def _passes(task: dict[str, Any], item: dict[str, Any]) -> bool:
    column = item["filter"].removeprefix("filter:tasks:")
    value: Any = task["data"].get(column[5:]) if column.startswith("data.") else task[column]
    if item["operator"] == "in_list":
        return value in item["value"]
    assert item["operator"] == "greater"
    if item["type"] == "Datetime":
        datetime.strptime(item["value"], "%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: DTZ007 - only its form
    return bool(value > item["value"])
