"""The desk's calls: which roles may make each, its body, and the refusal of a wrong one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from .people import ROLES, Role

BODY_BYTES_MAX = 65_536


class Refused(Exception):  # noqa: N818 - as BadInput and the others
    """The caller's fault: an HTTP status and a sentence."""

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
    """The body of `POST /v1/rounds`; without `labels`, all there is to spend."""

    labels: int | float | None = None  # in JSON 20.0 is a whole number too
    reason: str = ""


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/login`."""

    token: str


async def read_body(request: web.Request, kind: Any) -> Any:
    """The JSON of a call, as a struct. Raises `Refused`."""
    return decode_body(await request.read() or b"{}", kind)


def decode_body(content: bytes, kind: Any) -> Any:
    """JSON as a struct. Raises `Refused`."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Refused(400, f"The body is not what this call takes: {error}.") from error


LABELLERS: tuple[Role, ...] = ("annotator", "operator")


@dataclass(frozen=True, slots=True)
class Route:
    """One call: `call` is the method of `Server` that answers it.

    One that changes something has an `act`, its name in the audit log; one with `roles` of None may
    be made by a stranger.
    """

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
