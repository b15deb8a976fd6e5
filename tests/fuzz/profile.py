"""How long a fuzzing target looks: seconds in a run of the suite, longer with HEADRACE_FUZZ_N."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES_N = int(os.environ.get("HEADRACE_FUZZ_N", "100"))
"""Inputs that a target tries; `make fuzz` sets it."""

fuzzed = settings(
    max_examples=EXAMPLES_N,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
