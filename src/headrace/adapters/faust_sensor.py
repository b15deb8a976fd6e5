"""Faust's own counters on our registry, under `faust_`: for looking into Faust, and off by default.

Not ours: Faust counts in milliseconds and has names such as `faust_total_events_total`, so that
promtool complains of them, and its labels are topics, tables and partitions. No rule and no
dashboard of ours reads them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from prometheus_client import CollectorRegistry

PREFIX = "faust"


def faust_sensor(app: Any, registry: CollectorRegistry) -> None:
    """Make this Faust app count on the registry; before it starts, and once a registry.

    Faust's own `setup_prometheus_sensors` would open a page on Faust's web server as well, which
    stays shut. Turns off the client's `_created` series, which each counter would have, for the
    whole process.
    """
    sensors = import_module("faust.sensors.prometheus")
    import_module("prometheus_client").disable_created_metrics()
    metrics = sensors.FaustMetrics.create(registry, PREFIX)
    app.monitor = sensors.PrometheusMonitor(metrics=metrics)
