"""Which columns of a table are features, and which are the event's id, time or prediction."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import BadSettings
from ...settings import ColumnsSettings, InputSettings
from .table import Raw


def feature_columns(
    columns: dict[str, Raw],
    taken: Sequence[str | None],
    fields: InputSettings,
    declared: ColumnsSettings,
) -> dict[str, Raw]:
    """Columns that may be known when an event arrives, by the names that features get.

    `taken` are columns that mean something else. What [input] gives another meaning is no feature;
    where there are columns "features.*", only these are. Raises `BadSettings` where [columns] names
    a column that is not there.
    """
    other = {fields.id, fields.at, fields.key, fields.model_version, fields.predicted,
             fields.label, fields.status, *taken}  # fmt: skip
    features = {
        column: values
        for column, values in columns.items()
        if column not in other and not column.startswith(f"{fields.probabilities}.")
    }
    prefix = f"{fields.features}."
    if fields.features and any(column.startswith(prefix) for column in features):
        features = {
            column.removeprefix(prefix): values
            for column, values in features.items()
            if column.startswith(prefix)
        }
    faults = [
        f"columns.{kind} names {name!r}, which is no feature here; known are "
        f"{', '.join(list(features)[:20])}"
        for kind in ("numeric", "categorical", "text")
        for name in getattr(declared, kind)
        if name not in features
    ]
    if faults:
        raise BadSettings(faults)
    return {name: raw for name, raw in features.items() if name not in declared.ignored}
