"""What the desk's calls take: their bodies, and the refusal of one that is wrong."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

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
