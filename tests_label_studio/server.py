"""A real Label Studio on loopback, in the environment that .ci/label_studio.sh makes.

None outlives the tests: its data are in a folder of theirs, and nothing of it leaves this machine.
"""

from __future__ import annotations

import http.client
import http.cookiejar
import json
import re
import secrets
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from served import Served

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / ".label-studio" / "bin" / "label-studio"

ADMIN = "ops@example.org"


class RealLabelStudio(Served):
    """A Label Studio of its own, with an operator and his tokens."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.token = secrets.token_hex(20)
        self.password = secrets.token_urlsafe(16)
        self.personal = ""

    def start(self) -> None:
        super().start()
        if not self.personal:
            self.personal = self.call("POST", "/api/token/")["token"]

    def command(self) -> list[str]:
        command = [PROGRAM, "start", "--init", "-b", "-p", self.port]
        command += ["--internal-host", "127.0.0.1", "--data-dir", self.folder / "data"]
        command += ["--username", ADMIN, "--password", self.password]
        command += ["--user-token", self.token, "--enable-legacy-api-token", "first"]
        return [str(part) for part in command]

    def environment(self) -> dict[str, str]:
        return {
            "COLLECT_ANALYTICS": "False",
            "LATEST_VERSION_CHECK": "False",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
            # Or it would refuse to call a webhook on this machine.
            "USE_DEFAULT_BANNED_SUBNETS": "false",
        }

    def is_up(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    # ------------------------------------------------------------------ what an operator can do

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """A call with the legacy token; not by code of the bridge, which is what is tested."""
        request = urllib.request.Request(
            f"{self.url}{path}" + (f"?{urlencode(query)}" if query else ""),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Token {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as response:
            content = response.read()
        return json.loads(content) if content else None

    def project(self, title: str) -> dict[str, Any]:
        [found] = [
            one
            for one in self.call("GET", "/api/projects/", page_size=1000)["results"]
            if one["title"] == title
        ]
        return dict(found)

    def tasks(self, title: str) -> dict[str, int]:
        """The tasks of a project by request; there must not be two of one."""
        found = self.tasks_listed(title)
        assert len({one for one, _ in found}) == len(found)
        return dict(found)

    def tasks_listed(self, title: str) -> list[tuple[str, int]]:
        number = self.project(title)["id"]
        found = self.call("GET", "/api/tasks", project=number, page_size=1000)["tasks"]
        return [(task["data"]["request_id"], task["id"]) for task in found]

    def annotate(self, task: int, choice: str | None, by: int = 1) -> int:
        """Somebody submits an annotation; None is a skip. Its id."""
        body = {
            "result": [] if choice is None else chosen(choice),
            "was_cancelled": choice is None,
            "completed_by": by,
        }
        return int(self.call("POST", f"/api/tasks/{task}/annotations/", body)["id"])

    def correct(self, annotation: int, choice: str | None) -> None:
        body = {
            "result": [] if choice is None else chosen(choice),
            "was_cancelled": choice is None,
        }
        self.call("PATCH", f"/api/annotations/{annotation}/", body)


def chosen(choice: str) -> list[dict[str, Any]]:
    """The result of an annotation in a project that the bridge made."""
    value = {"choices": [choice]}
    return [{"from_name": "label", "to_name": "event", "type": "choices", "value": value}]


class Person:
    """Somebody who signed up with an invitation, in a browser of theirs."""

    def __init__(self, studio: RealLabelStudio, name: str) -> None:
        self._url = studio.url
        self._cookies = http.cookiejar.CookieJar()
        self._browser = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self._cookies)
        )
        invitation = studio.url + studio.call("GET", "/api/invite")["invite_url"]
        page = self._browser.open(invitation).read().decode()
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert found
        form = {
            "csrfmiddlewaretoken": found[1],
            "email": f"{name}@example.org",
            "password": secrets.token_urlsafe(16),
        }
        self._browser.open(
            urllib.request.Request(
                invitation, urlencode(form).encode(), headers={"Referer": invitation}
            )
        )

    @property
    def number(self) -> int:
        """Of the account."""
        return int(self.call("GET", "/api/current-user/whoami")["id"])

    def call(self, method: str, path: str, body: Any = None) -> Any:
        token = next(one.value for one in self._cookies if one.name == "csrftoken")
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "X-CSRFToken": str(token),
                "Referer": self._url,
            },
        )
        return json.loads(self._browser.open(request).read())

    def next_request(self, project: int) -> tuple[str, int]:
        """The request and the task that Label Studio offers to this person next."""
        task = self.call("GET", f"/api/projects/{project}/next")
        return task["data"]["request_id"], task["id"]
