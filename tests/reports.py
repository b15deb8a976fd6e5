"""Reports with some numbers changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headrace.report import Report


def replace_numbers(report: Report, numbers: dict[str, Any]) -> Report:
    """The same report with other values at paths such as "labels.settled_n"."""
    for path, value in numbers.items():
        section, _, name = path.partition(".")
        new = replace(getattr(report, section), **{name: value}) if name else value
        report = replace(report, **{section: new})
    return report
