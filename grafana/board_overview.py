"""The overview: one page that says in a minute whether all is well, and where to look if not."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from . import rows_health, rows_labels, rows_quality, rows_stream
from .board import board

ABOUT = (
    "Is it healthy, is the model good, did the world drift, are labels flowing, is the money well "
    "spent. Every panel says what red means and what to do: point at the i beside its title. "
    "Red alone at the top needs a person; docs/OPERATIONS.md walks through an incident."
)


def overview() -> Dashboard:
    """The dashboard."""
    return board(
        "headrace-overview",
        ABOUT,
        [
            ("Is it healthy?", rows_health.health()),
            ("Quality and efficiency", rows_health.quality()),
            ("Beyond accuracy", rows_quality.beyond_accuracy()),
            ("Drift", rows_health.drift()),
            ("Asking", rows_labels.asking()),
            ("Labelling", rows_labels.labelling()),
            ("Stream", rows_stream.stream()),
            ("State", rows_stream.state()),
        ],
    )
