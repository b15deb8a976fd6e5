"""Rows of an inference table of a served MLflow model, one a record, for `input.decoder`.

Request and response stand in a row as texts that are JSON themselves, and its time is milliseconds:
no path leads into a text, so they are opened here. A request that failed is no event.
"""

from __future__ import annotations

import json
from typing import Any


def read(record: bytes) -> Any:
    """The row with what it holds opened, or nothing: `[]` says that it holds no event."""
    row = json.loads(record)
    if row["status_code"] != 200:
        return []
    return {
        "id": row.get("client_request_id") or row["databricks_request_id"],
        "at": row["timestamp_ms"] / 1_000,
        "request": _frame(json.loads(row["request"])),
        "response": json.loads(row["response"]),
    }


def _frame(request: dict[str, Any]) -> dict[str, Any]:
    """MLflow's `inputs` as a frame; its other forms are known to `batch = "columns"`."""
    inputs = request.get("inputs")
    if not isinstance(inputs, dict):
        return request
    rows = zip(*inputs.values(), strict=True)
    return {"columns": list(inputs), "data": [list(row) for row in rows]}
