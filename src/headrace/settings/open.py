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
            "`kept`: they stay as they were asked. `demoted`: requests have a priority, which "
            "follows the model. `withdrawn`: and those are taken back that it no longer needs. "
            "With the latter two only blind draws judge the model."
        ),
    ] = "kept"
    every_n: Annotated[
        Count, about("Events from one look at them to the next, if the model has learned since.")
    ] = 50
    worth: Annotated[
        Annotated[float, Meta(gt=0, lt=1)],
        about("The part of the latest events that a question must be more useful than, to stay."),
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
