"""[columns]: the kinds of features, where they are declared and not inferred."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from .fields import Section, about

KINDS = ("numeric", "categorical", "text", "ignored")


class ColumnsSettings(Section, frozen=True, kw_only=True):
    """[columns]: the kinds of single features, by their names in a request, in files and logs of
    every format. The kind of any other feature is inferred: from the whole column in a table (CSV,
    Parquet), from its values one by one in a stream. `[schema]` declares all features at once.
    """

    numeric: Annotated[
        list[str],
        about("Features that are numbers; a text that is not a number counts as missing."),
    ] = field(default_factory=list)
    categorical: Annotated[
        list[str],
        about("Features that are categories, even if numbers: codes such as 0101 stay unchanged."),
    ] = field(default_factory=list)
    text: Annotated[
        list[str], about("Features that are free text, whose values are not expected to repeat.")
    ] = field(default_factory=list)
    ignored: Annotated[list[str], about("Fields that are not features; no request shows them.")] = (
        field(default_factory=list)
    )
    missing: Annotated[
        list[str],
        about(
            "Texts that stand for a missing value, in features and in the label of `headrace "
            "pilot`. An empty value in a table always counts as missing, other words only among "
            "numbers."
        ),
    ] = field(default_factory=list)
    decimal: Annotated[
        Literal["found", ".", ","],
        about(
            "The mark before the decimals of a number that is written as text. `found`: detected "
            "from the column of a table; a point in a stream."
        ),
    ] = "found"


def faults_of_columns(columns: ColumnsSettings) -> list[str]:
    """List the features that `[columns]` declares twice."""
    kinds_of: dict[str, list[str]] = {}
    for kind in KINDS:
        for name in getattr(columns, kind):
            kinds_of.setdefault(name, []).append(kind)
    return [
        f"columns.{' and columns.'.join(dict.fromkeys(kinds))} name {name!r}"
        f"{' twice' if len(set(kinds)) == 1 else ''}; declare it once"
        for name, kinds in kinds_of.items()
        if len(kinds) > 1
    ]
