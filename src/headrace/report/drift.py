"""The drift section of a report, from the monitors of all shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..observe.drift import SHARES_MAX, DriftLevel, DriftMonitor
from ..observe.shares import FeatureShares
from ..shard.shard import Shard
from .numbers import add_up, combine_sections, join_keys
from .sections import DriftReport


def combine_drift(shards: Sequence[Shard], classes: tuple[str, ...]) -> DriftReport:
    """Return the section of drift; causes are those of the first partition that rose highest."""
    monitors = [shard.drift for shard in shards]
    drift = combine_sections(DriftReport, [_report_drift(monitor) for monitor in monitors])
    return replace(
        drift,
        **_find_causes(monitors, DriftLevel[drift.level]),
        feature_shares=_choose_feature_shares(monitors, drift.feature_ratios),
        class_shares=_class_shares(shards, classes),
    )


def _report_drift(monitor: DriftMonitor) -> DriftReport:
    return DriftReport(
        level=monitor.level.name,
        changes_n=dict(monitor.record.changes_n),
        changed_at=dict(monitor.record.changed_at),
        statistics=join_keys(monitor.statistics),
        alarms_n=join_keys(monitor.record.alarms_n),
        alarmed_at=join_keys(monitor.record.alarmed_at),
        feature_psi=dict(monitor.windows.feature_psi),
        feature_ratios=dict(monitor.windows.feature_ratios),
    )


def _choose_feature_shares(
    monitors: Sequence[DriftMonitor], ratios: Mapping[str, float]
) -> dict[str, FeatureShares]:
    """Return shares of the features that moved most, each from the shard where it moved most."""
    shares: dict[str, FeatureShares] = {}
    for monitor in sorted(
        monitors, key=lambda m: -max(m.windows.feature_ratios.values(), default=0.0)
    ):
        for name, feature in monitor.windows.feature_shares.items():
            if monitor.windows.feature_ratios[name] == ratios[name]:
                shares.setdefault(name, feature)
    worst = sorted(shares, key=lambda name: -ratios[name])[:SHARES_MAX]
    return {name: shares[name] for name in worst}


def _find_causes(monitors: Sequence[DriftMonitor], level: DriftLevel) -> dict[str, Any]:
    """Return the causes of the drift level, from the first partition that rose to it."""
    holding = [m.record.last_rise for m in monitors if m.level == level > DriftLevel.STABLE]
    first = min((rise for rise in holding if rise), key=lambda rise: rise.at, default=None)
    if first is None:
        return {}
    return {"began_at": first.since, "features": first.features, "classes": first.classes}


def _class_shares(
    shards: Sequence[Shard], classes: tuple[str, ...]
) -> dict[str, tuple[float, float]]:
    """Return by class its share of the predictions, as (past, now)."""
    sides = []
    for side in (0, 1):
        counted = [
            dict(zip(shard.schema.classes, shard.drift.windows.class_counts[side], strict=False))
            for shard in shards
        ]
        counts = add_up(counted) if counted else {}
        total_n = sum(counts.values())
        sides.append({name: n / total_n for name, n in counts.items()} if total_n else {})
    past, now = sides
    named = [name for name in classes if name in past or name in now]
    return {name: (past.get(name, 0.0), now.get(name, 0.0)) for name in named}
