"""Formats of labelling tools: files of tasks out, files of answers in."""

from __future__ import annotations

from collections.abc import Callable

from .argilla import Argilla
from .doccano import Doccano
from .format import Format, Given, Reading
from .ground_truth import GroundTruth
from .prodigy import Prodigy
from .settings import FilesSettings, FormatName
from .table import Table

__all__ = ["FORMATS", "FilesSettings", "Format", "FormatName", "Given", "Reading"]

FORMATS: dict[FormatName, Callable[[FilesSettings], Format]] = {
    "csv": Table,
    "prodigy": Prodigy,
    "ground-truth": GroundTruth,
    "argilla": Argilla,
    "doccano": Doccano,
}
"""Formats by name."""
