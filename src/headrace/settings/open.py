"""[query.open]: what happens to open questions when the model changes; part of `settings.query`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from .fields import Count, Section, about


class OpenSettings(Section, frozen=True, kw_only=True):
    """[query.open]: questions that wait for an answer while the model learns (docs/ASKING.md).

    Questions that were drawn blindly stay as they are, whatever is set.
    """

    rescored: Annotated[
        Literal["kept", "demoted", "withdrawn"],
        about(
            "`kept`: open questions stay as they were asked. `demoted`: requests have a priority, "
            "which changes with the model. `withdrawn`: that too, and questions that the model no "
            "longer needs are withdrawn. With `demoted` and `withdrawn` only blind draws judge the "
            "model."
        ),
    ] = "kept"
    every_n: Annotated[
        Count, about("Events from one check of them to the next, if the model has learned since.")
    ] = 50
    worth: Annotated[
        Annotated[float, Meta(gt=0, lt=1)],
        about("To stay, a question must be more useful than this share of the latest events."),
    ] = 0.5


def faults_of_open(settings: OpenSettings, strategy: str) -> list[str]:
    """List contradictions between these settings, and with the strategy."""
    faults = []
    if settings.rescored == "kept" and settings != OpenSettings():
        faults.append(
            "query.open.rescored is kept, so that every_n and worth change nothing; set it to "
            "demoted or withdrawn, or leave them out"
        )
    if settings.rescored == "demoted" and settings.worth != OpenSettings().worth:
        faults.append(
            "query.open.rescored is demoted, so that worth changes nothing; set it to withdrawn, "
            "or leave worth out"
        )
    if settings.rescored != "kept" and strategy == "random":
        faults.append(
            f"query.open.rescored is {settings.rescored} and query.strategy is random, which "
            "prefers nothing; take another strategy, or kept"
        )
    return faults
