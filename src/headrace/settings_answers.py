"""[answers]: how a record of a labelling tool becomes an answer."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from .settings_fields import Section, about

Unit: TypeAlias = Literal["s", "ms", "us", "ns"]


class AnswersSettings(Section, frozen=True, kw_only=True):
    """[answers]: where the fields of an answer stand. Paths are dotted, as in [input]."""

    request_id: Annotated[str, about("Path of the request's id, which its task has to carry.")] = (
        "request_id"
    )
    label: Annotated[
        str, about("Path of the label; null there means that the annotator can't tell.")
    ] = "label"
    annotator: Annotated[str, about("Path of who answered; may be absent.")] = "annotator"
    at: Annotated[str, about("Path of the time of the answer; may be absent.")] = "at"
    zone: Annotated[
        str, about("The zone of times that don't say theirs, as `UTC`, `+02:00`, `Europe/Zurich`.")
    ] = ""
    at_unit: Annotated[Unit, about("The unit of times that are numbers.")] = "s"
