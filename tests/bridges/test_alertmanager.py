"""Alertmanager itself, with the configuration of the example, beside a real run and a real desk."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from grafana.prometheus import CACHE, program

from bridges.programs import Programs, a_run_and_a_desk, wait_for
from commands.runs import lines_of
from served import Served

EXAMPLE = Path(__file__).parents[2] / "examples" / "orchestrators" / "alertmanager.yml"
PROGRAM = program("prometheus-alertmanager")

# Debian's looks for its templates in /usr/share only; so it gets a /usr/share of its own.
_SHARE = str(CACHE / "usr" / "share")
_APART = ["unshare", "-rm", "sh", "-c", 'mount --bind "$0" /usr/share && exec "$@"', _SHARE]
PREFIX = _APART if PROGRAM and Path(PROGRAM).is_relative_to(CACHE) else []


def can_start() -> bool:
    if PROGRAM is None:
        return False
    try:
        done = subprocess.run([*PREFIX, PROGRAM, "--version"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


pytestmark = pytest.mark.skipif(
    not can_start(), reason="there is no Alertmanager that starts; .ci/prometheus.sh unpacks one"
)


class Alertmanager(Served):
    """The example as it is, but for the desk's address, the token's place and shorter waits."""

    UP_S_MAX = 60.0

    def __init__(self, folder: Path, desk: Programs) -> None:
        super().__init__(folder)
        token = folder / "headrace.token"
        token.write_text(desk.token)
        text = EXAMPLE.read_text(encoding="utf-8")
        for there, here in (
            ("https://labels.example.org:8780", desk.url),
            ("/etc/alertmanager/headrace.token", str(token)),
            ("group_wait: 1m", "group_wait: 1s\n      group_interval: 1s"),
            ("repeat_interval: 4h", "repeat_interval: 1s"),
            ("send_resolved: false", "send_resolved: true"),
        ):
            assert text.count(there) == 1, there
            text = text.replace(there, here)
        (folder / "alertmanager.yml").write_text(text, encoding="utf-8")

    def command(self) -> list[str]:
        return [
            *PREFIX,
            str(PROGRAM),
            f"--config.file={self.folder / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]

    def environment(self) -> dict[str, str]:
        return {}

    def is_up(self) -> bool:
        try:
            return bool(self.get("/-/ready"))
        except OSError:
            return False

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=60) as reply:
            return str(reply.read().decode())

    def fire(self, began: datetime, *, stream: str = "payments", ended: bool = False) -> None:
        labels = {"alertname": "HeadraceAccuracyFell", "stream": stream, "severity": "ticket"}
        alert: dict[str, Any] = {"labels": labels, "startsAt": began.isoformat()}
        if ended:
            alert["endsAt"] = datetime.now(UTC).isoformat()
        request = urllib.request.Request(
            f"{self.url}/api/v2/alerts",
            data=json.dumps([alert]).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=60).close()

    def count(self, what: str) -> float:
        wanted = rf'^alertmanager_{what}{{integration="webhook"}} (\S+)$'
        found = re.search(wanted, self.get("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    with a_run_and_a_desk(tmp_path_factory.mktemp("alerted")) as made:
        yield made


def orders(desk: Programs) -> list[dict[str, Any]]:
    path = desk.places.state / "orders.jsonl"
    return lines_of(path) if path.exists() else []


def test_an_alert_orders_one_round_however_often_it_is_told(desk: Programs, tmp_path: Path) -> None:
    began = datetime.now(UTC) - timedelta(minutes=10)
    with Alertmanager(tmp_path, desk) as manager:
        manager.fire(began, stream="another")
        manager.fire(began)
        wait_for(lambda: orders(desk), "order")
        wait_for(lambda: manager.count("notifications_total") >= 4, "repeats")
        assert len(orders(desk)) == 1
        first = orders(desk)[0]
        assert (first["labels_n"], first["reason"]) == (20, "alert HeadraceAccuracyFell")
        decided = wait_for(
            lambda: (
                (found := desk.call("GET", f"/v1/rounds/{first['key']}"))["state"] != "ordered"
                and found
            ),
            "decision",
        )
        assert decided["state"] == "asked"
        assert 1 <= decided["asked_n"] <= 20
        # It is over, which is told too; and fires again.
        manager.fire(began, ended=True)
        told_n = manager.count("notifications_total")
        wait_for(lambda: manager.count("notifications_total") > told_n, "word that it is over")
        assert len(orders(desk)) == 1
        manager.fire(datetime.now(UTC))
        wait_for(lambda: len(orders(desk)) == 2, "another order")
        assert manager.count("notifications_failed_total") == 0


def test_a_wrong_token_is_told_in_its_log_and_the_right_one_orders_later(
    desk: Programs, tmp_path: Path
) -> None:
    before_n = len(orders(desk))
    manager = Alertmanager(tmp_path, desk)
    (tmp_path / "headrace.token").write_text("wrong")
    with manager:
        manager.fire(datetime.now(UTC))
        wait_for(lambda: manager.count("notifications_failed_total"), "refusal")
        assert len(orders(desk)) == before_n
        log = (tmp_path / "log.txt").read_text()
        assert "unexpected status code 401" in log
        assert "headrace desk --add NAME" in log
        # The desk slows down who guesses tokens; the next group_interval tries again.
        (tmp_path / "headrace.token").write_text(desk.token)
        wait_for(lambda: len(orders(desk)) == before_n + 1, "order")
