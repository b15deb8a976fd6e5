"""Faust's own counters: on our registry, under their own prefix."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution

import pytest

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


def test_faust_counts_on_our_registry_under_its_own_prefix():
    try:
        distribution("faust-streaming")
    except PackageNotFoundError:
        pytest.skip("faust is not here; it comes with the worker on Kafka")
    # In a process of its own: it turns off `_created` for the whole process.
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    names = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("# TYPE")]
    assert "faust_total_events_total" in names
    assert [name for name in names if not name.startswith("faust_")] == []
    assert 'faust_metrics_by_name{metric="turns"} 3.0' in done.stdout
    assert "_created" not in done.stdout
