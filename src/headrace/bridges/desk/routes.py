"""Every call of the desk's HTTP: which roles may make it, and what the audit log calls it.

A call that changes something has an `act`. `roles` of None are calls that a stranger may make: the
page's own files, which are in the package, and the login itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from .people import ROLES, Role

LABELLERS: tuple[Role, ...] = ("annotator", "operator")


@dataclass(frozen=True, slots=True)
class Route:
    """One call: `call` is the method of `Server` that answers it."""

    method: str
    path: str
    call: str
    roles: tuple[Role, ...] | None
    act: str = ""

    @property
    def is_safe(self) -> bool:
        """It changes nothing."""
        return self.method == "GET"


ROUTES = (
    Route("GET", "/", "_page", None),
    Route("GET", "/static/{name}", "_page", None),
    Route("POST", "/v1/login", "_login", None, "login"),
    Route("POST", "/v1/logout", "_logout", ROLES, "logout"),
    Route("GET", "/v1/me", "_me", ROLES),
    Route("POST", "/v1/questions/next", "_next", LABELLERS, "question_given"),
    Route("GET", "/v1/questions/{id}/guess", "_guess", LABELLERS),
    Route("POST", "/v1/questions/{id}/skip", "_skip", LABELLERS, "question_skipped"),
    Route("POST", "/v1/answers", "_answer", LABELLERS, "answer_given"),
    Route("POST", "/v1/answers/undo", "_undo", LABELLERS, "answer_undone"),
    Route("GET", "/v1/status", "_status", ROLES),
    Route("POST", "/v1/rounds", "_open_round", ("operator",), "round_ordered"),
    Route("POST", "/v1/alertmanager", "_open_round_for_alert", ("operator",), "round_ordered"),
    Route("GET", "/v1/rounds/{key}", "_round", ("operator", "viewer")),
    Route("GET", "/v1/openapi.json", "_openapi", ROLES),
)
