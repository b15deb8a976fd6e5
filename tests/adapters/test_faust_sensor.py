"""Faust's own counters: on our registry, under their own prefix."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from warm import run_python

CODE = """
import faust
from prometheus_client import CollectorRegistry, generate_latest

from headrace.adapters.faust_sensor import faust_sensor

app = faust.App("sensed", broker="kafka://127.0.0.1:1", store="memory://", web_enabled=False)
registry = CollectorRegistry()
faust_sensor(app, registry)
app.monitor.count("turns", 3)
print(generate_latest(registry).decode())
"""


SET = """
from prometheus_client import generate_latest

from headrace.drivers.faust import FaustService, create_app
from headrace.settings import parse

for is_set in (False, True):
    service = FaustService(parse({"worker": {"faust_sensor": is_set}}))
    create_app(service.settings, service).monitor.count("turns", 3)
    print(is_set, b"faust_" in generate_latest(service.registry))
"""


def printed_by(code: str, folder: Path) -> str:
    """What a process of its own prints there: the sensor turns off `_created` for all of it."""
    try:
        distribution("faust-streaming")
    except PackageNotFoundError:
        pytest.skip("faust is not here; it comes with the worker on Kafka")
    done = run_python("-c", code, timeout=120, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_worker_counts_for_faust_only_where_it_is_set(tmp_path: Path):
    assert printed_by(SET, tmp_path).splitlines() == ["False False", "True True"]


def test_faust_counts_on_our_registry_under_its_own_prefix(tmp_path: Path):
    out = printed_by(CODE, tmp_path)
    names = [line.split()[2] for line in out.splitlines() if line.startswith("# TYPE")]
    assert "faust_total_events_total" in names
    assert [name for name in names if not name.startswith("faust_")] == []
    assert 'faust_metrics_by_name{metric="turns"} 3.0' in out
    assert "_created" not in out
