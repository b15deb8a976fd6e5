"""Orders a round at the desk, and waits for what becomes of it; the standard library is enough.

    HEADRACE_TOKEN=... python order.py https://labels.example.org:8780 2026-11-29 --labels 20

The token is that of an operator (`headrace desk --state DIR --add airflow --role operator`). The
key names the order: whoever tries again with the same key orders nothing more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

POLL_S, AWAY_S = 2.0, 5.0
CALL_S_MAX = 30.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class NotDoneError(Exception):
    """The round was not decided in time, or the desk can't be reached: trying again may help."""


class RefusedError(Exception):
    """The desk does not take the order: trying again changes nothing."""


def order_round(
    url: str,
    token: str,
    key: str,
    *,
    labels: int | None = None,
    reason: str = "",
    wait_s: float = 600.0,
) -> dict[str, Any]:
    """What became of the round: `state` is `asked`, with `asked_n`, or `refused`, with `why`.

    A round that the run refuses is no fault: there was nothing to ask, or nothing to spend. Raises
    `RefusedError` for a token, an address or an order that the desk does not take, `NotDoneError`.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise RefusedError(f"{url} is not https://, and the token could be read on the way")
    until = time.monotonic() + wait_s
    body = {"reason": reason} if labels is None else {"reason": reason, "labels": labels}
    call = ("POST", f"{url}/v1/rounds", body)
    while True:
        try:
            found = _called(*call, token=token, key=key)
            if found["state"] != "ordered":
                return found
            call, pause_s = (
                ("GET", f"{url}/v1/rounds/{urllib.parse.quote(key, safe='')}", None),
                POLL_S,
            )
            why = "the run has not decided it; is it going on?"
        except OSError as error:
            pause_s, why = AWAY_S, f"the desk does not answer: {error}"
        if time.monotonic() + pause_s > until:
            raise NotDoneError(f"round {key} after {wait_s:g} s: {why}")
        time.sleep(pause_s)


def _called(method: str, url: str, body: Any, *, token: str, key: str) -> dict[str, Any]:
    """One call. Raises `RefusedError`, and `OSError` where trying again may help."""
    request = urllib.request.Request(url, method=method)
    request.add_header("Authorization", f"Bearer {token}")
    if body is not None:
        request.add_header("Idempotency-Key", key)
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, timeout=CALL_S_MAX) as reply:
            found: dict[str, Any] = json.loads(reply.read())
            return found
    except urllib.error.HTTPError as error:
        if error.code == 429 or error.code >= 500:
            raise OSError(f"{error.code}") from None
        said = json.loads(error.read() or b"{}").get("error", "no reason given")
        raise RefusedError(f"the desk refuses: {error.code}, {said}") from None


def main() -> int:
    """The exit code: 0 asked, 3 nothing to ask, 75 not decided in time, 2 refused."""
    parser = argparse.ArgumentParser(description="Order a round, and wait for what becomes of it.")
    parser.add_argument("url", help="address of the desk")
    parser.add_argument("key", help="a name for this order, the same when it is tried again")
    parser.add_argument("--labels", type=int, help="so many at most; else all there is to spend")
    parser.add_argument("--reason", default="")
    parser.add_argument("--wait", type=float, default=600.0, metavar="SECONDS")
    given = parser.parse_args()
    try:
        found = order_round(
            given.url,
            os.environ.get("HEADRACE_TOKEN", ""),
            given.key,
            labels=given.labels,
            reason=given.reason,
            wait_s=given.wait,
        )
    except (RefusedError, NotDoneError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, RefusedError) else 75
    print(json.dumps(found))
    return 0 if found["state"] == "asked" else 3


if __name__ == "__main__":
    sys.exit(main())
