"""The rules fit the exporter, each alert has its two tests, and the tests would notice."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from grafana.prometheus import program

from dashboards.alerting import (
    FOLDER,
    RULES,
    RUNBOOK,
    TESTS,
    alerts,
    expanded,
    groups,
    rule_faults,
    runbook_faults,
)

TEXT = RULES.read_text(encoding="utf-8")
PROMTOOL = program("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="there is no promtool; .ci/prometheus.sh unpacks one"
)


def promtool(*words: str) -> tuple[int, str]:
    """Its exit code and all it says."""
    # A third of its time it would collect garbage, at 60 MB.
    done = subprocess.run(
        [str(PROMTOOL), *words],
        env=os.environ | {"GOGC": "1000"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_rules_have_no_fault() -> None:
    assert rule_faults(TEXT) == []


def test_every_alert_has_its_paragraph_in_operations() -> None:
    assert list(runbook_faults(TEXT, RUNBOOK.read_text(encoding="utf-8"))) == []


def test_every_alert_has_a_test_that_fires_and_one_that_stays_quiet() -> None:
    tests = yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]
    found = [one["name"].partition(":")[0] for one in tests]
    assert found == [f"{name} {what}" for name in alerts(TEXT) for what in ("fires", "is quiet")]
    for one in tests:
        (asked,) = one["promql_expr_test"]
        assert (asked["exp_samples"] != []) == (" fires:" in one["name"])


BROKEN = (
    ("wrong metric", "headrace_drift_level", "headrace_drift_state", "no metric"),
    ("dropped increase", "increase(headrace_labels_total[1h])", "headrace_labels_total", "no rate"),
    ("rate of a gauge", "delta(headrace_features", "increase(headrace_features", "gauge"),
    ("wrong label", 'kind="learned"', 'sort="learned"', "no label sort"),
    ("value out of the set", 'outcome="rejected"', 'outcome="refuted"', "refuted"),
    ("bound that is no bucket", 'le="30.0"', 'le="30"', "le='30'"),
    (
        "workers added up",
        "max by (stream) (headrace_drift",
        "sum by (stream) (headrace_drift",
        "sum over workers",
    ),
    (
        "stream dropped",
        "min by (stream) (headrace_label_ag",
        "min(headrace_label_ag",
        "prints stream",
    ),
    (
        "no match",
        "max by (stream, instance) (headrace_acc",
        "max by (stream) (headrace_acc",
        "one side has not",
    ),
    ("severity", "{severity: page}", "{severity: critical}", "severity"),
    ("runbook", "docs/OPERATIONS.md#headracedown", "docs/OPERATIONS.md#down", "runbook_url"),
    (
        "no wait",
        "    for: 5m\n        labels: {severity: page}",
        "    labels: {severity: page}",
        "at once",
    ),
    (
        "unused recording",
        "stream:headrace_inputs_rejected:ratio_rate15m >",
        "vector(1) >",
        "no alert",
    ),
)


@pytest.mark.parametrize(("name", "old", "new", "fault"), BROKEN, ids=[one[0] for one in BROKEN])
def test_a_broken_rule_is_found(name: str, old: str, new: str, fault: str) -> None:
    assert old in TEXT
    assert [found for found in rule_faults(TEXT.replace(old, new)) if fault in found] != []


# ------------------------------------------------------------------------------- promtool


@needs_promtool
def test_promtool_finds_no_fault_in_rules_and_configuration() -> None:
    assert promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))[0] == 0
    code, told = promtool("check", "config", str(FOLDER.parent / "prometheus.yml"))
    assert code == 0, told
    rules_n = sum(len(group["rules"]) for group in groups(TEXT))
    assert f"{rules_n} rules found" in told


_ASKED = r'alertname=\\"(\w+)\\",[^\n]*\n'
MISSED = _ASKED + r"\s+exp: \{[^\n]*\n\s+got: nil"
FALSE = _ASKED + r"\s+exp: nil"


@pytest.mark.long
@needs_promtool
def test_each_alert_fires_when_it_should_and_else_stays_quiet() -> None:
    code, told = promtool("test", "rules", str(TESTS))
    assert code == 0, told


@needs_promtool
@pytest.mark.parametrize(
    ("expr", "noticed"),
    [("vector(1) > 2", MISSED), ("vector(1)", FALSE)],
    ids=["never", "always"],
)
def test_an_alert_that_never_or_always_fires_is_noticed(
    expr: str, noticed: str, tmp_path: Path
) -> None:
    """All of them at once; `noticed` is how promtool tells of a test that failed."""
    rules = yaml.safe_load(TEXT)
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                rule |= {"expr": expr, "for": "0s", "annotations": {}}
    rules["groups"] = [group for group in rules["groups"] if group["name"] != "headrace-recorded"]
    tests = yaml.safe_load(TESTS.read_text(encoding="utf-8"))
    for one in tests["tests"]:
        one["promql_expr_test"][0]["eval_time"] = "2m"
    tests |= {"rule_files": ["rules.yml"], "group_eval_order": [g["name"] for g in rules["groups"]]}
    for name, content in (("rules.yml", rules), ("tests.yml", tests)):
        (tmp_path / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    code, told = promtool("test", "rules", str(tmp_path / "tests.yml"))
    assert code == 1
    assert set(re.findall(noticed, told)) == set(alerts(TEXT))


def test_recorded_names_can_be_put_in() -> None:
    exprs = [expanded(rule["expr"], TEXT) for rule in alerts(TEXT).values()]
    assert not any("stream:" in expr or "stream_instance:" in expr for expr in exprs)
