"""Formats of labelling tools: files of tasks out, files of answers in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import BadSettings
from ...importing import import_function, suggest_nearest
from .argilla import Argilla
from .doccano import Doccano
from .format import Format, Given, Reading
from .ground_truth import GroundTruth
from .prodigy import Prodigy
from .settings import FilesSettings
from .table import Spreadsheet

__all__ = ["FORMATS", "FilesSettings", "Format", "Given", "Reading", "format_class"]

FORMATS: dict[str, Callable[[FilesSettings], Format]] = {
    "csv": Spreadsheet,
    "prodigy": Prodigy,
    "ground-truth": GroundTruth,
    "argilla": Argilla,
    "doccano": Doccano,
}
"""The formats by name, for the setting `format`."""


def format_class(name: str, setting: str) -> Callable[[FilesSettings], Any]:
    """Return the class of a format: one of `FORMATS`, or `module:class` of your own.

    Raises `BadSettings` if there is no such class; the error names `setting`, which has the name.

    >>> format_class("prodgy", "bridges.files.format")
    Traceback (most recent call last):
    headrace.errors.BadSettings: bridges.files.format is 'prodgy', and there is no such format; ...
    """
    if name in FORMATS:
        return FORMATS[name]
    if ":" in name:
        return import_function(setting, name)
    raise BadSettings(
        f"{setting} is {name!r}, and there is no such format{suggest_nearest(name, FORMATS)}; "
        f"known are {', '.join(FORMATS)}, or module:class of your own"
    )
