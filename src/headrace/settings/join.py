"""[input.join]: a request and its response that were logged as two records."""

from __future__ import annotations

from typing import Annotated

from .fields import Section, Size, about


class JoinSettings(Section, frozen=True, kw_only=True):
    """[input.join]: joins a request and its response that the log has as two records, in either
    order. The result is one record, {"request": ..., "response": ...}, where the paths of `[input]`
    start. On Kafka both have to be in one partition.
    """

    id: Annotated[
        str, about("Path of the id that the two records share. Empty: nothing is joined.")
    ] = ""
    type: Annotated[str, about("Path of the field that tells request and response.")] = "type"
    request: Annotated[
        str, about("The value of that field in a request, or the part after the value's last dot.")
    ] = "request"
    response: Annotated[str, about("The value of that field in a response, likewise.")] = "response"
    wait_n: Annotated[
        Size,
        about(
            "How many records may follow a record before its other half comes; after that the "
            "record is rejected as `not_joined`."
        ),
    ] = 10_000


def faults_of_join(join: JoinSettings, paths: dict[str, str]) -> list[str]:
    """List the contradictions in `[input.join]`; `paths`: settings of `[input]` to check, by name.

    >>> faults_of_join(JoinSettings(id="id"), {"at": "time"})
    ['input.at is time; with input.join it must begin with request. or response.']
    """
    faults = []
    if join.request == join.response:
        faults.append(f"input.join.request and input.join.response are both {join.request!r}")
    if join.id:
        faults += [
            f"input.{name} is {path}; with input.join it must begin with request. or response."
            for name, path in paths.items()
            if not path.startswith(("request.", "response."))
        ]
    return faults
