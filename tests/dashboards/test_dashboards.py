"""The dashboards hold together by themselves, fit the exporter, and are what their code says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from grafana.board import TITLES
from grafana.build import FOLDER, boards, text_of

from dashboards.alerting import RULES, RUNBOOK, alerts, names_used
from dashboards.checks import faults, panels_of, targets_of
from dashboards.exporter import exported, families
from headrace.settings import Settings

BUILT = {board.uid: board for board in boards()}
SHIPPED = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")
}
PROVISIONING = FOLDER.parent / "provisioning"

LEFT_OUT = {
    "process_virtual_memory_bytes": "says nothing that resident memory does not say better",
    # What is looked at now and then stands in `headrace report`, where its words have room.
    "headrace_calibration_temperature_ratio": "in the report",
    "headrace_drift_since_timestamp_seconds": "in the report, and in the lines about drift",
    "headrace_events_off_clock": "told by a run and in the log of a worker; docs/TIME.md",
    "headrace_events_unpredicted_total": "in the report",
    "headrace_features_appeared_total": "headrace_features shows it as it grows",
    "headrace_label_requests_repeated_total": "changes nothing: a log may deliver twice",
    "headrace_labels_revised_total": "corrected answers are shown, which cause them",
    "headrace_model_parked_models": "says nothing of how well it goes",
    "headrace_query_duplicates_total": "0 where duplicates are asked; docs/ASKING.md",
    "headrace_query_quota_missing_labels": "none where there are no quotas; docs/ASKING.md",
    "headrace_recomputed_decisions_different_total": "told in the log of a worker",
}
"""Metrics that no dashboard and no rule uses, and why."""


@pytest.mark.parametrize("uid", sorted(TITLES))
def test_a_dashboard_has_no_fault(uid: str) -> None:
    assert faults(SHIPPED[uid]) == []


def test_the_files_are_what_the_code_says() -> None:
    assert sorted(SHIPPED) == sorted(BUILT) == sorted(TITLES)
    for uid, board in BUILT.items():
        text = (FOLDER / f"{uid}.json").read_text(encoding="utf-8")
        assert text == text_of(board), "make dashboards writes them anew"


def test_every_metric_is_shown_or_left_out_with_a_reason() -> None:
    used = {name for board in SHIPPED.values() for *_, f in targets_of(board) for name in f.names}
    used |= names_used(RULES.read_text(encoding="utf-8"))
    used |= {
        name
        for board in SHIPPED.values()
        for marker in board["annotations"]["list"]
        for name in exported()
        if name in marker.get("expr", "")
    }
    unused = {family for family, names in families().items() if not names & used}
    assert unused == set(LEFT_OUT)


OF_TOPICS = {"retention.ms"}
"""Kafka's settings of a topic, which look like ours."""


def test_alerts_and_settings_that_a_panel_names_exist() -> None:
    known = alerts(RULES.read_text(encoding="utf-8"))
    odd = []
    for board in SHIPPED.values():
        for panel in panels_of(board):
            told = panel["description"]
            odd += [name for name in re.findall(r"Headrace[A-Z]\w+", told) if name not in known]
            odd += [path for path in SETTING.findall(told) if not is_setting(path)]
    assert odd == []


@pytest.mark.parametrize("path", [RULES, RUNBOOK], ids=lambda path: path.name)
def test_rules_and_runbook_name_settings_that_exist(path: Path) -> None:
    named = set(SETTING.findall(path.read_text(encoding="utf-8"))) - OF_TOPICS
    assert [name for name in sorted(named) if not is_setting(name)] == []


def test_panels_that_the_runbook_names_exist() -> None:
    """What stands in italics there, with a capital, is the beginning of a title, or a variable."""
    titles = {panel["title"] for board in SHIPPED.values() for panel in panels_of(board)}
    titles |= {v["label"] for board in SHIPPED.values() for v in board["templating"]["list"]}
    page = RUNBOOK.read_text(encoding="utf-8")
    named = re.findall(r"(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)", page)
    assert len(named) > 30
    assert [name for name in named if not any(t.startswith(name) for t in titles)] == []


SECTIONS = "|".join(Settings.__struct_fields__)
SETTING = re.compile(rf"(?<![-/\w])((?:{SECTIONS})(?:\.[a-z_]+)+)\b(?![/(])")


def is_setting(path: str) -> bool:
    """Whether there is a setting or a section of this path."""
    inner: Any = Settings()
    for part in path.split("."):
        if not isinstance(inner, msgspec.Struct) or part not in inner.__struct_fields__:
            return False
        inner = getattr(inner, part)
    return True


def test_the_dashboards_lead_to_each_other() -> None:
    for uid, board in SHIPPED.items():
        urls = [link["url"] for link in board["links"]]
        assert urls == [f"/d/{other}" for other in TITLES if other != uid]
        assert all(link["includeVars"] and link["keepTime"] for link in board["links"])


def test_grafana_finds_them_as_provisioned() -> None:
    read = {
        path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in PROVISIONING.glob("*/*.yml")
    }
    (source,) = read["datasources"]["datasources"]
    (provider,) = read["dashboards"]["providers"]
    scrape = yaml.safe_load((FOLDER.parent / "prometheus.yml").read_text(encoding="utf-8"))
    assert source["type"] == "prometheus" and source["url"] == "${PROMETHEUS_URL}"
    assert source["jsonData"]["timeInterval"] == scrape["global"]["scrape_interval"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards/headrace"
    assert provider["allowUiUpdates"] is False
