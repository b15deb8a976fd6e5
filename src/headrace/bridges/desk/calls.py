"""The desk's calls: the roles that may make each, the bodies, and the refusal of a wrong call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from .people import ROLES, Role

BODY_BYTES_MAX = 65_536


class Refused(Exception):  # noqa: N818 - as BadInput and the others
    """A call is refused, by the caller's fault: the HTTP status and a sentence.

    `wait_s` is how long the caller should wait, in seconds; 0 if waiting does not help.
    """

    def __init__(self, status: int, sentence: str, wait_s: float = 0.0) -> None:
        super().__init__(sentence)
        self.status = status
        self.wait_s = wait_s


class AnswerGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/answers`; a label of null means "cannot tell"."""

    request_id: str
    label: str | None
    note: str = ""
    took_s: float | None = None
    seen_guess: bool = False


class RoundWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/rounds`; without `labels` the round may spend the whole budget."""

    labels: int | float | None = None  # in JSON 20.0 is a whole number too
    reason: str = ""


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/login`."""

    token: str


async def read_body(request: web.Request, kind: Any) -> Any:
    """Return the JSON body of a call as a struct of type `kind`. Raises `Refused`."""
    try:
        content = await request.read()
    except web.RequestPayloadError as error:
        raise Refused(400, "The body can't be unpacked.") from error
    return decode_body(content or b"{}", kind)


def decode_body(content: bytes, kind: Any) -> Any:
    """Decode JSON as a struct of type `kind`. Raises `Refused`."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Refused(400, f"The body is not what this call takes: {error}.") from error


LABELLERS: tuple[Role, ...] = ("annotator", "operator")


@dataclass(frozen=True, slots=True)
class CallRoute:
    """One call: its HTTP method and path, and `call`, the method of `Server` that answers it.

    `roles` may make it; None also lets strangers. A call that changes something has an `act`, its
    name in the audit log.
    """

    method: str
    path: str
    call: str
    roles: tuple[Role, ...] | None
    act: str = ""

    @property
    def is_safe(self) -> bool:
        """Whether the call changes nothing."""
        return self.method == "GET"


ROUTES = (
    CallRoute("GET", "/", "_serve_page", None),
    CallRoute("GET", "/static/{name}", "_serve_page", None),
    CallRoute("POST", "/v1/login", "_log_in", None, "login"),
    CallRoute("POST", "/v1/logout", "_log_out", ROLES, "logout"),
    CallRoute("GET", "/v1/me", "_describe_caller", ROLES),
    CallRoute("POST", "/v1/questions/next", "_lease_next", LABELLERS, "question_given"),
    CallRoute("GET", "/v1/questions/{id}/guess", "_show_guess", LABELLERS),
    CallRoute("POST", "/v1/questions/{id}/skip", "_skip_question", LABELLERS, "question_skipped"),
    CallRoute("POST", "/v1/answers", "_store_answer", LABELLERS, "answer_given"),
    CallRoute("POST", "/v1/answers/undo", "_undo_answer", LABELLERS, "answer_undone"),
    CallRoute("GET", "/v1/status", "_show_status", ROLES),
    CallRoute("POST", "/v1/rounds", "_open_round", ("operator",), "round_ordered"),
    CallRoute("POST", "/v1/alertmanager", "_open_round_for_alert", ("operator",), "round_ordered"),
    CallRoute("GET", "/v1/rounds/{key}", "_show_round", ("operator", "viewer")),
    CallRoute("GET", "/v1/openapi.json", "_describe_api", ROLES),
)
