"""The desk's HTTP server: the page, and the calls of docs/DESK.md. Strangers get no information.

Every call but the page's own files and the login needs a token (`Authorization: Bearer`) or a
session (a cookie). A call with a session that changes something must have the header `X-Headrace`,
which no other site can make a browser send. The `Host` has to be one of ours, so that a page of
another site can't use a name of its own that leads to this address.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote

import msgspec
from aiohttp import web

from ...errors import BadSettings
from ...messages import LabelRequested
from ...settings import SchemaSettings
from ...settings.http import is_loopback
from ..bridge import Unreachable
from .alerts import ordered_by
from .bridge import DeskBridge, DeskSettings, Estimated
from .calls import (
    BODY_BYTES_MAX,
    ROUTES,
    AnswerGiven,
    CallRoute,
    Login,
    Refused,
    RoundWanted,
    read_body,
)
from .classes import check_label
from .features import QUESTIONS_N, Usual
from .openapi import describe_api
from .people import Pace, People, Person
from .routing import Comparisons

NOTE_MAX = 2_000
LOGINS_PER_S, LOGINS_AT_ONCE = 1 / 6, 10
REFUSALS_PER_S, REFUSALS_AT_ONCE = 1.0, 60
"""The pace of refusals in the audit log; those beyond are only counted there."""
KEYS_N = 9
STEADY_N = 10
"""From so many labels on estimates are compared: with fewer the interval spans everything."""
COOKIE = "headrace"
"""The name of the cookie; the port is added, since a browser sends it to all ports of a host."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_PAGE = {file.name: file for file in (files(__package__) / "page").iterdir()}
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}

NOBODY = Person("", "viewer", "")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LabelledRun(Protocol):
    """The run that the desk labels for: its numbers, its classes, and orders of rounds."""

    def read_estimate(self) -> Estimated | None: ...

    def read_comparisons(self) -> dict[str, Comparisons]:
        """Return by annotator how often they were right, as far as that is known."""

    def list_classes(self) -> list[str]:
        """Return the classes that are declared; [] if none are."""

    def open_round(self, labels_n: int | None, reason: str, key: str, by: str) -> bool:
        """Order a round; return False if this `key` was ordered before.

        `labels_n` is how many labels it may ask for, None for the whole budget; `by` is the person
        who orders it. Raises `BadSettings`, and `Unreachable` while the run can't be reached. It
        may be called in any thread, as `find_round` may.
        """

    def find_round(self, key: str) -> dict[str, Any] | None:
        """Return the state of an order; None for a key that was never ordered."""


class Latest(NamedTuple):
    """Usual values and the model's classes, from the latest questions up to number `newest_n`."""

    newest_n: int
    usual: Usual
    classes: list[str]


@dataclass(slots=True)
class Call:
    """One call: its request, its caller (`NOBODY` for a stranger), and fields for the audit log.

    `act` are these fields; without `has_acted` there is no entry.
    """

    request: web.Request
    person: Person = NOBODY
    act: dict[str, Any] = field(default_factory=dict)
    has_acted: bool = True


class Server:
    """The web application of one desk. Raises `BadSettings` for an address that is not safe.

    `schema` says which classes the run takes. `on_act` is called for each entry of the audit log:
    with `what` happened, and fields by name.
    """

    def __init__(
        self,
        desk: DeskBridge,
        people: People,
        run: LabelledRun,
        *,
        schema: SchemaSettings | None = None,
        on_act: Callable[..., None] = lambda what, **fields: None,
    ) -> None:
        self.settings = desk.settings
        check_address(self.settings)
        self._store = desk.store
        self._people = people
        self._run = run
        self._schema = schema or SchemaSettings()
        self._cookie = f"{COOKIE}-{self.settings.port}"
        self._pace = Pace(self.settings.calls_per_s, math.ceil(10 * self.settings.calls_per_s))
        self._logins = Pace(LOGINS_PER_S, LOGINS_AT_ONCE)
        self._on_act = on_act
        self._refusals = Pace(REFUSALS_PER_S, REFUSALS_AT_ONCE)
        self._refusals_left_out_n = 0
        self._latest = Latest(-1, Usual([]), [])
        self.app = web.Application(
            client_max_size=BODY_BYTES_MAX, middlewares=[self._guard_request]
        )
        for route in ROUTES:
            add = self.app.router.add_get if route.is_safe else self.app.router.add_post
            add(route.path, self._make_endpoint(route))

    # -------------------------------------------------------------------------- who may call

    @web.middleware
    async def _guard_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._check_host(request)
            response = await handler(request)
        except Refused as refused:
            response = _make_fault(refused.status, str(refused), "yours")
            if refused.wait_s:
                response.headers["Retry-After"] = str(math.ceil(refused.wait_s))
        except BadSettings as error:
            response = _make_fault(400, str(error), "yours")
        except Unreachable as error:
            response = _make_fault(503, f"{error}; try again.", "ours")
        except web.HTTPException as error:
            response = _make_fault(error.status, f"{error.reason}.", "yours")
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        except (OSError, sqlite3.OperationalError) as error:
            why = getattr(error, "strerror", None) or error  # strangers get no paths
            response = _make_fault(503, f"The desk can't store this: {why}; try again.", "ours")
            request.app.logger.error("%s %s failed: %s", request.method, request.path, error)
        except Exception as error:
            response = _make_fault(500, f"{type(error).__name__}; the desk's log has more.", "ours")
            request.app.logger.exception("%s %s failed", request.method, request.path)
        response.headers.update(_HEADERS)
        return response

    def _check_host(self, request: web.Request) -> None:
        name = (request.host or "").rpartition("@")[2]
        host = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        is_ours = host in (self.settings.host, *self.settings.public) or (
            is_loopback(self.settings.host) and is_loopback(host)
        )
        if not is_ours and self.settings.host not in ("0.0.0.0", "::"):
            raise Refused(421, f"This is not {host[:100]}; bridges.desk.public names who we are.")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != name:
            raise Refused(403, "Another site may not call this one.")

    def _make_endpoint(self, route: CallRoute) -> Handler:
        """Return the handler of a route, which checks the role and reports the act."""
        carry_out: Callable[[Call], Awaitable[web.StreamResponse]] = getattr(self, route.call)

        async def answer(request: web.Request) -> web.StreamResponse:
            call = Call(request)
            if route.roles is not None:
                call.person = person = self._identify_caller(request, route)
                call.act |= {"by": person.name, "role": person.role}
            response = await carry_out(call)
            if route.act and call.has_acted:
                self._on_act(route.act, **call.act)
            return response

        return answer

    def _identify_caller(self, request: web.Request, route: CallRoute) -> Person:
        """Return the caller, if they have one of the route's roles. Raises `Refused`."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            caller = f"token from {request.remote}"
            if (person := self._people.by_token(token.strip())) is None:
                self._count_call(self._logins, caller)
                self._report_refusal("login_refused", remote=request.remote)
        else:
            person = self._people.by_session(request.cookies.get(self._cookie, ""))
            is_safe = request.method in ("GET", "HEAD")
            if person is not None and not is_safe and request.headers.get("X-Headrace") != "1":
                raise Refused(403, "The header X-Headrace: 1 is missing.")
            # All tabs of a browser have one session: a page names the person that it shows.
            named = unquote(request.headers.get("X-Headrace-Name", ""))
            if person is not None and named not in ("", person.name):
                raise Refused(401, f"{person.name} has logged in in this browser meanwhile.")
        if person is None:
            raise Refused(401, "Log in first: headrace desk --add NAME gives a link.")
        self._count_call(self._pace, person.name)
        roles = route.roles or ()
        if person.role not in roles:
            call = f"{route.method} {route.path}"
            self._report_refusal("call_refused", by=person.name, role=person.role, call=call)
            raise Refused(403, f"This is for {' and '.join(roles)}s; you are {person.role}.")
        return person

    def _report_refusal(self, what: str, **fields: Any) -> None:
        """Report a refusal to the audit log; of too many at once, only their number."""
        if self._refusals.wait_s(""):
            self._refusals_left_out_n += 1
            return
        if self._refusals_left_out_n:
            fields["left_out_n"], self._refusals_left_out_n = self._refusals_left_out_n, 0
        self._on_act(what, **fields)

    def _count_call(self, pace: Pace, caller: str) -> None:
        if wait_s := pace.wait_s(caller):
            raise Refused(429, "Too many calls; wait a moment.", wait_s)

    async def _log_in(self, call: Call) -> web.Response:
        self._count_call(self._logins, f"login from {call.request.remote}")
        body = await read_body(call.request, Login)
        person = self._people.by_token(body.token)
        if person is None:
            self._report_refusal("login_refused", remote=call.request.remote)
            raise Refused(401, "This token is not known.")
        call.act = {"by": person.name, "role": person.role, "remote": call.request.remote}
        response = web.json_response({"name": person.name, "role": person.role})
        response.set_cookie(
            self._cookie,
            self._people.open_session(person),
            httponly=True,
            samesite="Strict",
            secure=bool(self.settings.cert_file) or self.settings.allow_plaintext,
            path="/",
        )
        return response

    async def _log_out(self, call: Call) -> web.Response:
        self._people.close_session(call.request.cookies.get(self._cookie, ""))
        response = web.Response(status=204)
        response.del_cookie(self._cookie, path="/")
        return response

    # ---------------------------------------------------------------------------- the page

    async def _serve_page(self, call: Call) -> web.Response:
        name = call.request.match_info.get("name", "index.html")
        page = _PAGE.get(name)
        kind = _KINDS.get(Path(name).suffix)
        if page is None or kind is None:
            raise Refused(404, "There is no such file.")
        return web.Response(text=page.read_text("utf-8"), content_type=kind, charset="utf-8")

    async def _describe_caller(self, call: Call) -> web.Response:
        person = call.person
        classes = self._list_classes()
        return web.json_response(
            {
                "name": person.name,
                "role": person.role,
                "classes": classes,
                "can_add_class": self._can_add_class(),
                "keys": {str(i + 1): name for i, name in enumerate(classes[:KEYS_N])},
            }
        )

    def _list_classes(self) -> list[str]:
        """Return the declared classes, then those that people named, then those of the model.

        A class keeps its place, and so its key on the page, when others are named.
        """
        declared = self._run.list_classes()
        if not self._can_add_class():
            return declared
        known = [] if declared else self._read_latest().classes
        return list(dict.fromkeys((*declared, *self._store.list_named_classes(), *known)))

    def _can_add_class(self) -> bool:
        # Where no classes are declared, people must be able to name the first ones.
        is_closed = self._schema.classes_closed or not self.settings.new_classes
        return not is_closed or not self._run.list_classes()

    # ------------------------------------------------------------------------------ labelling

    async def _lease_next(self, call: Call) -> web.Response:
        person = call.person
        known = self._run.read_comparisons() if self.settings.expertise_share else None
        leased = self._store.lease_next(person.name, known)
        if leased is None:
            call.has_acted = False
            return web.Response(status=204)
        call.act["request_id"] = leased.request.request_id
        return web.json_response(
            self._show_question(leased.request) | {"leased_until": leased.until}
        )

    def _show_question(self, question: LabelRequested) -> dict[str, Any]:
        return {
            "request_id": question.request_id,
            "why": {
                "reason": question.reason,
                "strategy": question.strategy,
                "utility": question.utility if math.isfinite(question.utility) else None,
            },
            "classes": self._list_classes(),
            "features": self._read_latest().usual.rank_features(question),
            "guess": None,
            "opinion_n": question.opinion_n,
        }

    def _read_latest(self) -> Latest:
        """Return what the latest questions show, read again when there is a new question."""
        newest_n = self._store.newest_n()
        if self._latest.newest_n != newest_n:
            recent, settings = self._store.list_recent(QUESTIONS_N), self.settings
            self._latest = Latest(
                newest_n,
                Usual(recent, texts=settings.texts, images=settings.images, links=settings.links),
                sorted({name for question in recent for name in question.prediction}),
            )
        return self._latest

    def _find_question(self, call: Call) -> LabelRequested:
        question = self._store.find_question(call.request.match_info["id"])
        if question is None:
            raise Refused(404, "There is no such question.")
        return question

    async def _show_guess(self, call: Call) -> web.Response:
        return web.json_response({"classes": self._find_question(call).prediction})

    async def _skip_question(self, call: Call) -> web.Response:
        person = call.person
        request_id = call.act["request_id"] = self._find_question(call).request_id
        self._store.pass_on(person.name, request_id)
        return web.Response(status=204)

    async def _store_answer(self, call: Call) -> web.Response:
        person = call.person
        body = await read_body(call.request, AnswerGiven)
        label = body.label
        if label is not None:
            classes, can_add = self._list_classes(), self._can_add_class()
            label = check_label(label, classes, self._schema, can_add=can_add)
        if len(body.note) > NOTE_MAX:
            raise Refused(400, f"The note is longer than {NOTE_MAX} characters.")
        took_s = body.took_s
        if took_s is not None and not 0 <= took_s <= 86_400:
            raise Refused(400, "took_s must be from 0 to 86400 (seconds).")
        at = self._store.add_answer(
            person.name,
            body.request_id,
            label,
            note=body.note,
            took_s=took_s,
            saw_guess=body.seen_guess,
        )
        if at is None:
            raise Refused(404, "There is no such question.")
        given = {"request_id": body.request_id, "label": label, "at": at}
        call.act |= {"request_id": body.request_id, "label": label}
        return web.json_response(given, status=201)

    async def _undo_answer(self, call: Call) -> web.Response:
        person = call.person
        request_id = self._store.undo_answer(person.name)
        if request_id is None:
            raise Refused(409, "There is no answer of yours to take back.")
        call.act["request_id"] = request_id
        return web.json_response({"request_id": request_id})

    # ------------------------------------------------------------------- status and rounds

    async def _show_status(self, call: Call) -> web.Response:
        person = call.person
        estimate = self._run.read_estimate()
        if estimate is not None:
            self._store.add_estimate(
                estimate.labels_n, estimate.accuracy, estimate.low, estimate.high
            )
        series = self._store.list_estimates()
        status: dict[str, Any] = dict(self._store.count_questions(person.name))
        status["estimate"] = None if estimate is None else msgspec.structs.asdict(estimate)
        status["series"] = series
        steady = [row for row in series if row[0] >= STEADY_N]
        bought = {"first": steady[0][1], "now": steady[-1][1]} if len(steady) > 1 else None
        status["bought"] = bought
        if person.role == "operator":
            status["annotators"] = self._store.list_people()
        return web.json_response(status)

    async def _open_round(self, call: Call) -> web.Response:
        key = call.request.headers.get("Idempotency-Key", "")
        if not key:
            raise Refused(400, "The header Idempotency-Key is missing; give each order a name.")
        body = await read_body(call.request, RoundWanted)
        labels_n = body.labels
        if isinstance(labels_n, float):
            if not labels_n.is_integer():
                raise Refused(400, f"labels is {labels_n:g}; must be a whole number.")
            labels_n = int(labels_n)
        return await self._order_round(call, labels_n, body.reason, key)

    async def _open_round_for_alert(self, call: Call) -> web.Response:
        order = await ordered_by(call.request)
        if order is None:
            call.has_acted = False
            return web.Response(status=204)
        return await self._order_round(call, order.labels_n, order.reason, order.key)

    async def _order_round(
        self, call: Call, labels_n: int | None, reason: str, key: str
    ) -> web.Response:
        # Files and brokers may be slow, and others must be able to label meanwhile.
        name = call.person.name
        is_new = await asyncio.to_thread(self._run.open_round, labels_n, reason, key, name)
        call.act |= {"key": key, "labels_n": labels_n, "is_new": is_new}
        state = await asyncio.to_thread(self._run.find_round, key) or {"state": "ordered"}
        return web.json_response({"key": key, **state}, status=202 if is_new else 200)

    async def _show_round(self, call: Call) -> web.Response:
        key = call.request.match_info["key"]
        state = await asyncio.to_thread(self._run.find_round, key)
        if state is None:
            raise Refused(404, "No round was ordered under this key.")
        return web.json_response({"key": key, **state})

    async def _describe_api(self, call: Call) -> web.Response:
        return web.json_response(describe_api())


def check_address(settings: DeskSettings) -> None:
    """Raise `BadSettings` if the connection to the desk is open to others, without TLS."""
    if bool(settings.cert_file) != bool(settings.key_file):
        raise BadSettings("bridges.desk.cert_file and key_file go together; set both or neither")
    if not is_loopback(settings.host) and not settings.cert_file and not settings.allow_plaintext:
        raise BadSettings(
            f"bridges.desk.host is {settings.host!r}, which is not on loopback, and there is no "
            "TLS: tokens and events could be read on the way; set cert_file and key_file, or "
            "allow_plaintext where something before us speaks TLS"
        )


def tls_of(settings: DeskSettings) -> ssl.SSLContext | None:
    """Return TLS 1.2 or later with our certificate; None without one. Raises `BadSettings`."""
    if not settings.cert_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    except OSError as error:
        raise BadSettings(f"bridges.desk.cert_file can't be used: {error}") from error
    return context


def _make_fault(status: int, sentence: str, whose: str) -> web.Response:
    return web.json_response({"error": sentence, "fault": whose}, status=status)
