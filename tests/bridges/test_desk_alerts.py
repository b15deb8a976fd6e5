"""Alertmanager's webhook at the desk: what it orders, what it does not, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bridges.desk_world import World
from headrace.bridges.desk.alerts import BYTES_MAX

PATH = "/v1/alertmanager"
FELL = "2026-11-29T08:15:00.123456789Z"
KEY = "alertmanager-a39c3386009a91b5-20261129T081500.123457Z"


def alert(began: str = FELL, status: str = "firing") -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "HeadraceAccuracyFell", "stream": "payments"},
        "annotations": {
            "summary": "The model of payments has become worse within a day, and not by chance"
        },
        "startsAt": began,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
        "fingerprint": "a1b2c3d4e5f60718",
    }


def message(*alerts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """As Alertmanager 0.25 sends one, every field of it."""
    labels = {"alertname": "HeadraceAccuracyFell", "stream": "payments"}
    return {
        "receiver": "headrace",
        "status": "firing",
        "alerts": list(alerts) or [alert()],
        "groupLabels": labels,
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": '{}/{stream="payments"}:{alertname="HeadraceAccuracyFell"}',
        "truncatedAlerts": 0,
    } | changes


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def post(w: World, body: Any, query: str = "", **fields: str) -> tuple[int, Any]:
    return await w.call("POST", PATH + query, body, **({"role": "operator"} | fields))


def test_an_alert_orders_a_round_and_its_repeats_order_nothing(world):
    async def story(w: World) -> None:
        status, told = await post(w, message(), "?labels=20")
        assert (status, told) == (202, {"key": KEY, "state": "ordered"})
        assert w.run.orders == {KEY: (20, "alert HeadraceAccuracyFell")}
        assert w.acts == [
            {
                "what": "round_ordered", "by": "operator", "role": "operator", "key": KEY,
                "labels_n": 20, "is_new": True,
            }
        ]  # fmt: skip
        # A repeat; a second alert of the group, which began later; the same instant elsewhere.
        repeats = [
            message(),
            message(alert(), alert("2026-11-29T09:00:00Z")),
            message(alert("2026-11-29T07:00:00Z", "resolved"), alert()),
            message(alert("2026-11-29T10:15:00.123456789+02:00")),
        ]
        for repeat in repeats:
            assert (await post(w, repeat, "?labels=20"))[0] == 200
        assert list(w.run.orders) == [KEY]
        path = f"/v1/rounds/{KEY}"
        assert (await w.call("GET", path, role="operator"))[1]["state"] == "ordered"

    world.play(story)


def test_another_firing_and_another_group_order_anew(world):
    async def story(w: World) -> None:
        others = [
            message(),
            message(alert("2026-11-29T08:15:00.2Z")),
            message(groupKey='{}:{alertname="HeadraceDrift"}', commonLabels={}),
            # The first alert is over, and another goes on.
            message(alert(status="resolved"), alert("2026-11-29T09:00:00Z")),
        ]
        for each in others:
            assert (await post(w, each))[0] == 202
        assert len(w.run.orders) == 4
        assert {labels_n for labels_n, _ in w.run.orders.values()} == {None}

    world.play(story)


def test_what_is_over_orders_nothing(world):
    async def story(w: World) -> None:
        over = message(alert(status="resolved"), status="resolved")
        assert await post(w, over, "?labels=20") == (204, None)
        assert w.run.orders == {}
        assert w.acts == []

    world.play(story)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({}, "alert"),
        ({"alertname": "x" * 5_000}, "alert " + "x" * 100),
        ({"alertname": "two\nlines\u202e"}, "alert twolines"),
    ],
)
def test_the_reason_names_the_alert_whatever_it_is_called(world, labels, reason):
    async def story(w: World) -> None:
        assert (await post(w, message(commonLabels=labels, groupLabels={})))[0] == 202
        assert [found for _, found in w.run.orders.values()] == [reason]

    world.play(story)


@pytest.mark.parametrize(
    ("body", "query", "status", "told"),
    [
        (message(version="3"), "", 400, "of version '3'; version 4 is read"),
        (message(alert(status="resolved")), "", 400, "no alert in it does; leave max_alerts at 0"),
        (message(alerts=[]), "", 400, "no alert in it does"),
        (message(groupKey=""), "", 400, r"length >= 1 - at `\$.groupKey`"),
        (message(alert("yesterday")), "", 400, r"Invalid RFC3339 .* at `\$.alerts\[0\].startsAt`"),
        (message(alert("2026-11-29T08:15:00")), "", 400, r"`\$.alerts\[0\].startsAt`"),
        (message(alert("0001-01-01T00:00:00+05:00")), "", 400, "before the year 1"),
        ({"labels": 20}, "", 400, "missing required field `version`"),
        (b"", "", 400, "The body is not what this call takes"),
        (b"{" * 2_000, "", 400, "The body is not what this call takes"),
        (rb'{"groupKey": "\ud800"}', "", 400, "The body is not what this call takes"),
        (message(), "?labels=0", 400, "labels is '0'; must be a whole number from 1 to"),
        (message(), "?labels=", 400, "labels is ''"),
        (message(), "?labels=2e1", 400, "labels is '2e1'"),
        (message(), "?labels=" + "9" * 5_000, 400, "labels is '9999"),
        (message(), "?labels=%D9%A3", 400, "must be a whole number"),
        (message(), "?labels=1&labels=2", 400, "labels more than once"),
        (message(), "?label=20", 400, "has 'label'; it takes labels, and nothing else"),
        (b" " * (BYTES_MAX + 1), "", 413, "smaller by group_by"),
    ],
)
def test_what_is_wrong_is_refused_and_orders_nothing(world, body, query, status, told):
    async def story(w: World) -> None:
        found, answer = await post(w, body, query)
        assert (found, answer["fault"]) == (status, "yours")
        assert re.search(told, answer["error"]), answer
        assert w.run.orders == {}
        assert w.acts == []

    world.play(story)


def test_the_page_shows_the_example_as_it_is():
    root = Path(__file__).parents[2]
    example = (root / "examples" / "orchestrators" / "alertmanager.yml").read_text("utf-8")
    shown = (root / "docs" / "ORCHESTRATORS.md").read_text("utf-8")
    assert example.partition("\nroute:")[2] in shown


def test_a_large_group_fits(world):
    async def story(w: World) -> None:
        large = message(*[alert() for _ in range(1_000)])
        assert 65_536 < len(json.dumps(large)) < BYTES_MAX
        assert (await post(w, large))[0] == 202

    world.play(story)
