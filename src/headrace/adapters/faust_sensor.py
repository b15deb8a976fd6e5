"""Faust's own counters on our registry, under `faust_`: to look into Faust, and off by default.

They follow Faust's conventions: milliseconds, names such as `faust_total_events_total`, of which
promtool complains, and topics, tables and partitions as labels. No rule or dashboard of ours reads
them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from prometheus_client import CollectorRegistry

PREFIX = "faust"


def faust_sensor(app: Any, registry: CollectorRegistry) -> None:
    """Make a Faust app count on the registry; call it before the app starts, once a registry.

    Faust's own `setup_prometheus_sensors` would also open a page on Faust's web server, which we
    keep closed. This turns off prometheus-client's `_created` series for the whole process.
    """
    sensors = import_module("faust.sensors.prometheus")
    import_module("prometheus_client").disable_created_metrics()
    metrics = sensors.FaustMetrics.create(registry, PREFIX)
    app.monitor = sensors.PrometheusMonitor(metrics=metrics)
