"""Requests for labels, as tests of bridges want them."""

from __future__ import annotations

from typing import Any

import msgspec

from headrace.messages import LabelRequested


def request(name: str, *, at: float = 0.0, deadline: float = 1e9, **changes: Any) -> LabelRequested:
    made = LabelRequested(
        request_id=name, event_id=f"of {name}", at=at, event_at=at, deadline=deadline,
        features={"x": 1}, reason="doubt", strategy="margin", utility=0.5, threshold=0.0,
        propensity=0.5, model_version=0, prediction={"a": 1.0}, round_n=0, seq=0,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)
