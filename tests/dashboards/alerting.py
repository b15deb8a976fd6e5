"""What has to hold of the recording and alert rules: their faults as sentences, as in `checks`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dashboards.exporter import Series, exported
from dashboards.promql import Found, read

Json = dict[str, Any]

FOLDER = Path(__file__).parents[2] / "grafana" / "rules"
RULES = FOLDER / "headrace.yml"
TESTS = FOLDER / "tests" / "headrace_test.yml"
RUNBOOK = Path(__file__).parents[2] / "docs" / "OPERATIONS.md"

TEMPLATE = re.compile(r"\{\{\s*\$labels\.(\w+)")
BARE = {
    "HeadraceSnapshotRefused": "a worker may come up with the count at 1, which no increase shows",
}
"""Alerts that look at a counter itself, and why."""

NO_WAIT = {
    "HeadraceSnapshotRefused": "one is one too many",
    "HeadraceRebalancing": "it looks back over an hour already",
}
"""Alerts without `for`, and why."""


@cache
def groups(text: str) -> list[Json]:
    """The groups of a rule file."""
    return list(yaml.safe_load(text)["groups"])


def alerts(text: str) -> dict[str, Json]:
    """The alerts of a rule file by name, in order."""
    return {
        rule["alert"]: rule for group in groups(text) for rule in group["rules"] if "alert" in rule
    }


def recorded(text: str) -> dict[str, str]:
    """The expressions of the recording rules by name, in order."""
    rules = [rule for group in groups(text) for rule in group["rules"]]
    return {rule["record"]: rule["expr"] for rule in rules if "record" in rule}


def expanded(expr: str, text: str) -> str:
    """An expression with every recorded name replaced by what it stands for."""
    for name, inner in reversed(recorded(text).items()):
        expr = re.sub(rf"{re.escape(name)}\b", f"({inner.strip()})", expr)
    return expr


def rule_faults(text: str) -> list[str]:
    """All faults of a rule file."""
    known = dict(exported())
    found: list[str] = []
    for name, expr in recorded(text).items():
        reading = read(expr, known)
        found += [f"{name}: {fault}" for fault in reading.faults]
        found += [f"{name}: {fault}" for fault in _name_faults(name, reading)]
        made = reading.reading
        known[name] = Series(name, "gauge", made.labels, made.measure, made.noun, over="each")
        if sum(name in rule["expr"] for rule in alerts(text).values()) == 0:
            found.append(f"{name}: is recorded and used by no alert")
    for name, rule in alerts(text).items():
        found += [f"{name}: {fault}" for fault in _alert_faults(name, rule, known)]
    return found


def names_used(text: str) -> set[str]:
    """The sample names of the exporter that the rules select."""
    exprs = [*recorded(text).values(), *(rule["expr"] for rule in alerts(text).values())]
    return {name for expr in exprs for name in read(expr, exported()).names}


def _name_faults(name: str, found: Found) -> Iterator[str]:
    """A recorded name is level:metric:operation, and the level says what labels are left."""
    parts = name.split(":")
    if len(parts) != 3:
        yield "is not called level:metric:operation"
    elif set(parts[0].split("_")) != found.reading.labels:
        yield f"has the labels {sorted(found.reading.labels)}"


def _alert_faults(name: str, rule: Json, known: dict[str, Series]) -> Iterator[str]:
    found = read(rule["expr"], known)
    for fault in found.faults:
        if not (name in BARE and fault.endswith("is a counter and has no rate or increase")):
            yield fault
    if rule.get("labels", {}).get("severity") not in ("page", "ticket"):
        yield "has no severity, page or ticket"
    if "for" not in rule and name not in NO_WAIT:
        yield "fires at once, without `for`"
    told = rule.get("annotations", {})
    for key in ("summary", "description", "runbook", "runbook_url"):
        if not told.get(key, "").strip():
            yield f"has no {key}"
    for text in told.values():
        for label in TEMPLATE.findall(text):
            if label not in found.reading.labels:
                yield f"prints {label}, which the query drops"
    if told.get("runbook_url") != f"docs/OPERATIONS.md#{name.lower()}":
        yield "its runbook_url does not lead to its own heading"


def runbook_faults(text: str, page: str) -> Iterator[str]:
    """Every alert has a row and a heading in the page, and every such heading an alert."""
    headings = re.findall(r"^### (Headrace\w+)$", page, re.MULTILINE)
    yield from (f"{name} has no heading" for name in alerts(text) if name not in headings)
    yield from (f"{name} is no alert" for name in headings if name not in alerts(text))
    yield from (f"{name} has two headings" for name in headings if headings.count(name) > 1)
    for name, rule in alerts(text).items():
        severity, wait = rule["labels"]["severity"], rule.get("for", "0s")
        if f"| [{name}](#{name.lower()}) | {severity} | {wait} |" not in page:
            yield f"{name} has no row with {severity} and {wait}"


# --------------------------------------------------------------------------------- firing


def seconds(text: str) -> float:
    """A duration of Prometheus in seconds.

    >>> seconds("1h30m")
    5400.0
    """
    units = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
    return float(sum(int(n) * units[u] for n, u in re.findall(r"(\d+)([smhd])", text)))


def firing(points: list[tuple[float, float]], rule: Json, step_s: float) -> list[float]:
    """When an alert would fire, given the times at which its query gives anything."""
    since: float | None = None
    last = -1e18
    found = []
    for at, _ in points:
        since = at if since is None or at - last > 1.5 * step_s else since
        last = at
        if at - since >= seconds(rule.get("for", "0s")):
            found.append(at)
    return found
