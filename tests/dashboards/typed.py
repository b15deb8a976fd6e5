"""A dashboard through Grafana's own typed model and back: what it does not know gets lost.

The model is that of Grafana 11.6, as grafana-foundation-sdk has it. A key that is misspelt, or that
a panel of this type has not, is missing after the round trip; a value of the wrong type raises or
comes back changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

UNTYPED = {"expr", "step", "titleFormat", "textFormat", "tagKeys", "useValueForTime"}
"""Of an annotation: fields that Grafana's Prometheus source reads and the model leaves out."""


@cache
def _registered() -> None:
    plugins.register_default_plugins()


def round_trip_faults(board: dict[str, Any]) -> Iterator[str]:
    """Keys that are lost on the way, with their paths."""
    _registered()
    try:
        typed = Dashboard.from_json(json.loads(json.dumps(board)))
        back = json.loads(JSONEncoder(sort_keys=True).encode(typed))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        yield f"Grafana's model can't read it: {type(error).__name__}: {error}"
        return
    for path, fault in _lost(board, back, ()):
        is_marker = path[:2] == ("annotations", "list") and path[-1] in UNTYPED
        if not is_marker:
            yield f"{'.'.join(map(str, path))} {fault}"


def _lost(one: Any, back: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(one, dict) and isinstance(back, dict):
        for key, value in one.items():
            if key in back:
                yield from _lost(value, back[key], (*path, key))
            else:
                yield (*path, key), "is nothing that Grafana's model knows"
    elif isinstance(one, list) and isinstance(back, list) and len(one) == len(back):
        for i, (before, after) in enumerate(zip(one, back, strict=True)):
            yield from _lost(before, after, (*path, i))
    elif one != back:
        yield path, f"comes back as {json.dumps(back)[:60]}"
