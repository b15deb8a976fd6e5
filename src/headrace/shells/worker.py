"""`faust -A headrace.shells.worker worker`, as before the app moved to `drivers.faust`."""

from __future__ import annotations

from typing import Any

from ..drivers import faust
from ..drivers.faust import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """`app`, made when Faust asks for it, as `drivers.faust` makes it."""
    if name != "app":
        raise AttributeError(name)
    return faust.app
