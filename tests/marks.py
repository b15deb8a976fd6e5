"""Marks that parameters of a test bear."""

from __future__ import annotations

from typing import Any

import pytest


def long_ones(*values: Any) -> list[Any]:
    """These values of one parameter, each of which makes the test one of `make test-long`."""
    return [pytest.param(value, marks=pytest.mark.long) for value in values]
