"""The test of the test: dashboards broken on purpose are found, each by the check that is meant."""

from __future__ import annotations

import json

import pytest
from grafana.build import FOLDER

from dashboards.alerting import RUNBOOK
from dashboards.checks import faults
from dashboards.mutations import LIVE, STATIC, TURNED, Mutation

SHIPPED = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")
}


@pytest.mark.parametrize("mutation", STATIC, ids=lambda mutation: mutation.name)
def test_a_broken_dashboard_is_found(mutation: Mutation) -> None:
    found = faults(mutation.of(SHIPPED))
    assert [fault for fault in found if mutation.fault in fault] != [], found


def test_the_page_says_how_many_there_are() -> None:
    told = f"{len(STATIC)} dashboards broken on purpose without a server, {len(LIVE) + 1} with one"
    assert told in RUNBOOK.read_text(encoding="utf-8")


@pytest.mark.parametrize("mutation", [*LIVE, TURNED], ids=lambda mutation: mutation.name)
def test_some_can_only_be_found_with_a_server(mutation: Mutation) -> None:
    assert faults(mutation.of(SHIPPED)) == [], "move it to STATIC"
