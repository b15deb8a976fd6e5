"""[answers]: how a record of a labelling tool becomes an answer."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import field

from .fields import Section, about

Unit: TypeAlias = Literal["s", "ms", "us", "ns"]


class AnswersSettings(Section, frozen=True, kw_only=True):
    """[answers]: where the fields of an answer are found. Paths are dotted, as in [input]."""

    decoder: Annotated[
        str,
        about(
            "`module:function` that turns a line's bytes into an object, or an array of objects, "
            "as `input.decoder` does. Empty: lines are JSON."
        ),
    ] = ""
    batch_path: Annotated[
        str,
        about(
            "Path of an array in a record whose elements are answers, such as the annotations of a "
            "task. A field that an element lacks is looked up in the record. Empty: a record is "
            "one answer."
        ),
    ] = ""
    request_id: Annotated[
        str, about("Path of the request's id, which the task in the labelling tool has to carry.")
    ] = "request_id"
    label: Annotated[str, about("Path of the label; null means that the annotator can't tell.")] = (
        "label"
    )
    annotator: Annotated[str, about("Path of the annotator; may be absent.")] = "annotator"
    at: Annotated[
        str,
        about(
            "Path of the time of the answer; may be absent: then answers of one annotator count in "
            "their order."
        ),
    ] = "at"
    zone: Annotated[
        str, about("Time zone of times without a zone, such as `UTC`, `+02:00` or `Europe/Zurich`.")
    ] = ""
    at_unit: Annotated[Unit, about("The unit of times that are numbers.")] = "s"
    class_names: Annotated[
        dict[str, str],
        about('Names of classes where a tool exports codes: `{3 = "fraud"}`.'),
    ] = field(default_factory=dict)
    status: Annotated[
        str,
        about(
            "Path of a field that says whether an answer counts, such as whether a person gave it. "
            "An answer with a value not in `status_ok` is left out, and counted as `left_out`. "
            "Empty: every answer counts."
        ),
    ] = ""
    status_ok: Annotated[
        list[str], about("The values of the field `status` with which an answer counts.")
    ] = field(default_factory=list)


def faults_of_answers(answers: AnswersSettings) -> list[str]:
    """List the contradictions in `[answers]`."""
    faults = []
    if answers.status and not answers.status_ok:
        faults.append("answers.status is set; answers.status_ok must name what counts")
    if not answers.request_id or not answers.label:
        faults.append("answers.request_id and answers.label must each be a path")
    return faults
