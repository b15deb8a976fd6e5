"""The dashboards and rules in a real Prometheus: on the demo's incident, and on a running demo.

The incident is a run of the demo, three hours and twenty minutes of event time, back-filled in a
few seconds; so windows of an hour are full and the colours can be judged before, in and after the
drift. The running demo is the real command, scraped as it plays.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana.build import FOLDER
from grafana.incident import History, history
from grafana.prometheus import Prometheus, free_port, program
from grafana.view import View

from dashboards.alerting import RULES, alerts, expanded, firing, groups
from dashboards.live import live_faults, reds
from dashboards.mutations import LIVE, TURNED, Mutation
from warm import run_python

pytestmark = pytest.mark.skipif(
    program("prometheus") is None or program("promtool") is None,
    reason="there is no prometheus; .ci/prometheus.sh unpacks one",
)

SHIPPED: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")
}
TEXT = RULES.read_text(encoding="utf-8")
PATIENCE_S = 240.0
ALERT_STEP_S = 15.0
QUICK = "global: {scrape_interval: 15s, evaluation_interval: 2s}"

NOT_SET = {
    "headrace_budget_cap_labels": "the demo's budget has no cap",
    "headrace_annotator_gold": "no answer is known: label.gold_share is 0",
}
IN_INCIDENT = {
    **NOT_SET,
    "headrace_choosing_gain": "its twins have too few labels to tell",
    "headrace_random_labels": "its twins have too few labels to tell",
    "headrace_model_evidence_age": "its model is no committee",
}
"""What has no sample in the incident, and why."""

MAY_LACK = {"headrace_random_labels": "the twins of a demo may have too few labels to tell"}

NO_LOG = {
    **NOT_SET,
    "headrace_partition_lag": "the demo reads no log",
    "headrace_training_log": "the demo keeps its training log in memory",
    "headrace_last_rebalance": "the demo is alone",
    "headrace_snapshot": "the demo writes none",
    "headrace_retrain_seconds": "retraining is part of its play, and not timed",
    "headrace_inputs_rejected": "its inputs are sound",
    'kind="adopted"': "its model is solved anew at each label, and never replaced",
    'reason="schedule"': "it asks on arrival",
}
"""What has no sample in the running demo, and why."""

LOST = {"Accuracy lost, last day", "Accuracy surely lost, against the best of a day"}
RED_IN_DRIFT = {
    6: {
        "headrace-overview": {
            "Drift now",
            "Drift level over time",
            "Statistics, over their own thresholds",
            "Features that moved most",
        },
        "headrace-drift": {
            "Drift level, by partition",
            "Detectors: their statistics over their thresholds",
            "Statistic by feature, top 20",
            "PSI by feature, top 20",
            "Statistic of the chosen features",
            "PSI of the chosen features",
        },
        "headrace-annotators": set(),
    },
    26: {"headrace-overview": LOST, "headrace-drift": set(), "headrace-annotators": set()},
}
"""What a person sees red some minutes into the drift.

At first the inputs, while the model has not been retrained; then what the labels say was lost.
"""


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, History]]:
    """A server on the incident. It is played once, whichever of several workers comes first."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "headrace-incident"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = shared / "played.json"
        if not told.exists():
            made = history(shared, time.time() - 60)
            told.write_text(json.dumps(made.start), encoding="utf-8")
    own = tmp_path_factory.mktemp("incident")
    shutil.copytree(shared / "blocks", own / "blocks")
    with Prometheus(own / "blocks", QUICK, rules=[RULES]) as server:
        yield server, History(json.loads(told.read_text(encoding="utf-8")))


def whole(incident: tuple[Prometheus, History]) -> View:
    """All of it in view."""
    server, made = incident
    return View(server, made.start + 60, made.end)


def until(incident: tuple[Prometheus, History], minutes: float) -> View:
    """From the beginning to some minutes after the drift, or before it."""
    server, made = incident
    return View(server, made.start + 60, made.drift + 60 * minutes)


# ---------------------------------------------------------------------------- the incident


@pytest.mark.parametrize("uid", sorted(SHIPPED))
@pytest.mark.default_n(1)
def test_every_query_has_an_answer(uid: str, incident: tuple[Prometheus, History]) -> None:
    assert live_faults(SHIPPED[uid], whole(incident), IN_INCIDENT) == []


@pytest.mark.parametrize("uid", sorted(SHIPPED))
def test_nothing_is_red_before_the_drift_and_after_it_healed(
    uid: str, incident: tuple[Prometheus, History]
) -> None:
    assert reds(SHIPPED[uid], until(incident, -10)) == set()
    assert reds(SHIPPED[uid], until(incident, 98)) == set()


@pytest.mark.parametrize("minutes", RED_IN_DRIFT)
@pytest.mark.parametrize("uid", sorted(SHIPPED))
def test_what_the_drift_did_is_red_and_nothing_else(
    uid: str, minutes: int, incident: tuple[Prometheus, History]
) -> None:
    assert reds(SHIPPED[uid], until(incident, minutes)) == RED_IN_DRIFT[minutes][uid]


@pytest.mark.parametrize("mutation", LIVE, ids=lambda mutation: mutation.name)
def test_a_broken_dashboard_is_found(
    mutation: Mutation, incident: tuple[Prometheus, History]
) -> None:
    found = live_faults(mutation.of(SHIPPED), whole(incident), IN_INCIDENT)
    assert [fault for fault in found if mutation.fault in fault] != [], found


def test_thresholds_upside_down_are_red_on_a_quiet_day(
    incident: tuple[Prometheus, History],
) -> None:
    assert reds(TURNED.of(SHIPPED), until(incident, -10)) == {TURNED.fault}


def test_the_incident_fires_its_alerts_and_no_other(
    incident: tuple[Prometheus, History],
) -> None:
    server, made = incident
    fired: dict[str, list[float]] = {}
    for name, rule in alerts(TEXT).items():
        expr = expanded(rule["expr"], TEXT)
        for one in server.over(expr, made.start + 60, made.end, ALERT_STEP_S):
            points = [(float(at), float(value)) for at, value in one["values"]]
            fired[name] = fired.get(name, []) + firing(points, rule, ALERT_STEP_S)
    times = {name: found for name, found in fired.items() if found}
    assert sorted(times) == ["HeadraceAccuracyFell", "HeadraceDrift"]
    assert made.drift < min(times["HeadraceDrift"]) < made.drift + 600
    assert made.drift < min(times["HeadraceAccuracyFell"]) < made.drift + 1_800


def test_prometheus_evaluates_every_rule(incident: tuple[Prometheus, History]) -> None:
    server, _ = incident
    deadline = time.monotonic() + PATIENCE_S
    rules: list[dict[str, Any]] = []
    while time.monotonic() < deadline:
        rules = [rule for group in server.ask("rules")["groups"] for rule in group["rules"]]
        if all(rule["health"] != "unknown" for rule in rules):
            break
        time.sleep(1)
    assert {rule["name"]: rule["health"] for rule in rules if rule["health"] != "ok"} == {}
    assert len(rules) == sum(len(group["rules"]) for group in groups(TEXT))


# ------------------------------------------------------------------------ the running demo


@pytest.mark.long
def test_a_running_demo_answers_every_query_that_it_can(tmp_path: Path) -> None:
    port = free_port()
    config = (
        "global: {scrape_interval: 1s, evaluation_interval: 1m}\n"
        "scrape_configs:\n"
        f"  - {{job_name: headrace, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n"
    )
    with Prometheus(tmp_path / "blocks", config) as server:
        start = time.time()
        play(port)
        # To the last scrape that was answered; after it, Prometheus knows that the demo is gone.
        (seen,) = server.over("headrace_events_observed_total", start, time.time(), 1.0)
        view = View(server, start, float(seen["values"][-1][0]), scrape_s=1.0)
        assert [
            fault
            for b in SHIPPED.values()
            for fault in live_faults(b, view, {**NO_LOG, **MAY_LACK})
        ] == []
        assert absences(view) == []


def play(port: int) -> None:
    """`headrace demo`, from its beginning to its end."""
    words = ["-m", "headrace", "demo", "--plain", "--port", str(port)]
    done = run_python(*words, "--speed", "500", timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr


def absences(view: View) -> list[str]:
    """Metrics that the demo is said not to have, and has all the same."""
    names = view.server.ask("label/__name__/values")
    assert len(names) > 80
    found = []
    for name in (name for name in names for part in NO_LOG if part in name):
        series = view.server.at(f"max_over_time({name}[1h])", view.end)
        if {float(one["value"][1]) for one in series} - {0.0}:
            found.append(name)
    return found
