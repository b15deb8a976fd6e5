"""The description of the desk's calls in OpenAPI 3.1; it is served at /v1/openapi.json."""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_COUNT = {"type": "integer", "minimum": 0}


def _make_object(
    required: dict[str, Any], optional: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


def _make_nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_FAULT = _make_object({"error": _TEXT, "fault": {"enum": ["yours", "ours"]}})
_FEATURE = _make_object(
    {
        "name": _TEXT,
        "value": {"type": ["string", "number", "boolean", "null"]},
        "kind": {"enum": ["number", "text", "category", "image", "link"]},
        "usual": _make_nullable({"type": "object"}),
        "unusual": {"type": "number", "minimum": 0, "maximum": 1},
        "influence": _make_nullable(_NUMBER),
    }
)
_QUESTION = _make_object(
    {
        "request_id": _TEXT,
        "leased_until": _NUMBER,
        "why": _make_object(
            {"reason": _TEXT, "strategy": _TEXT, "utility": _make_nullable(_NUMBER)}
        ),
        "classes": {"type": "array", "items": _TEXT},
        "features": {"type": "array", "items": _FEATURE},
        "guess": {"type": "null"},
        "opinion_n": {"type": "integer", "minimum": 1, "maximum": 3},
    }
)
_ME = _make_object(
    {
        "name": _TEXT,
        "role": {"enum": ["annotator", "operator", "viewer"]},
        "classes": {"type": "array", "items": _TEXT},
        "can_add_class": {"type": "boolean"},
        "keys": {"type": "object", "additionalProperties": _TEXT},
    }
)
_ESTIMATE = _make_object({"accuracy": _NUMBER, "low": _NUMBER, "high": _NUMBER, "labels_n": _COUNT})
_STATUS = _make_object(
    {
        "open_n": _COUNT,
        "mine_n": _COUNT,
        "answered_n": _COUNT,
        "mine_today_n": _COUNT,
        "estimate": _make_nullable(_ESTIMATE),
        "series": {"type": "array", "items": {"type": "array", "items": _NUMBER}},
        "bought": _make_nullable(_make_object({"first": _NUMBER, "now": _NUMBER})),
    },
    {"annotators": {"type": "array", "items": {"type": "object"}}},
)
_ROUND = _make_object(
    {"key": _TEXT, "state": {"enum": ["ordered", "asked", "refused"]}},
    {"asked_n": _COUNT, "round_n": _COUNT, "why": _TEXT},
)
_ANSWER = _make_object(
    {"request_id": _TEXT, "label": {"type": ["string", "null"], "maxLength": 500, "minLength": 1}},
    {
        "note": {"type": "string", "maxLength": 2_000},
        "took_s": {"type": ["number", "null"], "minimum": 0, "maximum": 86_400},
        "seen_guess": {"type": "boolean"},
    },
) | {"additionalProperties": False}
_GIVEN = _make_object({"request_id": _TEXT, "label": {"type": ["string", "null"]}, "at": _NUMBER})
_WANTED = _make_object(
    {},
    {
        "labels": {"type": ["integer", "null"], "minimum": 1},
        "reason": {"type": "string", "maxLength": 200},
    },
) | {"additionalProperties": False}
_ALERT = _make_object(
    {
        "status": {"enum": ["firing", "resolved"]},
        "startsAt": {"type": "string", "format": "date-time"},
    }
)
_ALERTS = _make_object(
    {
        "version": {"const": "4"},
        "groupKey": {"type": "string", "minLength": 1},
        "status": {"enum": ["firing", "resolved"]},
        "alerts": {"type": "array", "items": _ALERT},
    },
    {
        "groupLabels": {"type": "object", "additionalProperties": _TEXT},
        "commonLabels": {"type": "object", "additionalProperties": _TEXT},
    },
)


def _describe_call(
    about: str,
    replies: dict[int, tuple[str, dict[str, Any] | None]],
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
    *,
    may_be_empty: bool = False,
) -> dict[str, Any]:
    faults = {400: "the call is wrong", 401: "nobody is logged in", 403: "not for this role"}
    faults |= {404: "there is no such thing", 409: "not now", 413: "the body is too large"}
    faults |= {421: "the Host is not ours", 429: "too many calls", 503: "not now, by our fault"}
    responses: dict[str, Any] = {
        str(status): {"description": sentence, "content": {"application/json": {"schema": _FAULT}}}
        for status, sentence in faults.items()
    }
    for status, (sentence, schema) in replies.items():
        responses[str(status)] = {"description": sentence}
        if schema is not None:
            responses[str(status)]["content"] = {"application/json": {"schema": schema}}
    call: dict[str, Any] = {"summary": about, "responses": responses}
    if body is not None:
        call["requestBody"] = {
            "required": not may_be_empty,
            "content": {"application/json": {"schema": body}},
        }
    if parameters:
        call["parameters"] = parameters
    return call


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


_KEY = {"name": "Idempotency-Key", "in": "header", "required": True}
_ORDERED = [_KEY | {"schema": {"type": "string", "minLength": 1, "maxLength": 200}}]
_LABELS = {
    "name": "labels",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
}
_NOTHING = {"type": "object"}

_CALLS: dict[str, dict[str, Any]] = {
    "POST /v1/login": _describe_call(
        "Open a session with a token",
        {200: ("who you are", _make_object({"name": _TEXT, "role": _TEXT}))},
        _make_object({"token": _TEXT}) | {"additionalProperties": False},
    ),
    "POST /v1/logout": _describe_call("End the session", {204: ("done", None)}),
    "GET /v1/me": _describe_call("Who you are, and the classes", {200: ("you", _ME)}),
    "POST /v1/questions/next": _describe_call(
        "The next best question, leased to you",
        {200: ("a question", _QUESTION), 204: ("there is none", None)},
    ),
    "GET /v1/questions/{id}/guess": _describe_call(
        "What the model guesses",
        {200: ("probabilities", _make_object({"classes": {"type": "object"}}))},
        parameters=[_in_path("id")],
    ),
    "POST /v1/questions/{id}/skip": _describe_call(
        "Let somebody else answer",
        {204: ("done", None)},
        parameters=[_in_path("id")],
    ),
    "POST /v1/answers": _describe_call(
        "Answer, or correct your answer", {201: ("taken", _GIVEN)}, _ANSWER
    ),
    "POST /v1/answers/undo": _describe_call(
        "Take your last answer back",
        {200: ("its question", _make_object({"request_id": _TEXT}))},
    ),
    "GET /v1/status": _describe_call("How things stand", {200: ("numbers", _STATUS)}),
    "POST /v1/rounds": _describe_call(
        "Order a round; the same key again changes nothing",
        {202: ("ordered", _ROUND), 200: ("ordered before", _ROUND)},
        _WANTED,
        _ORDERED,
        may_be_empty=True,
    ),
    "POST /v1/alertmanager": _describe_call(
        "Order a round by a message of Alertmanager; repeated, it changes nothing",
        {
            202: ("ordered", _ROUND),
            200: ("ordered before", _ROUND),
            204: ("the alerts are over, nothing is ordered", None),
        },
        _ALERTS,
        [_LABELS],
    ),
    "GET /v1/rounds/{key}": _describe_call(
        "What became of a round",
        {200: ("the round", _ROUND)},
        parameters=[_in_path("key")],
    ),
    "GET /v1/openapi.json": _describe_call("This description", {200: ("OpenAPI 3.1", _NOTHING)}),
}


def describe_api() -> dict[str, Any]:
    """Return the whole description as a dict, to be encoded as JSON.

    >>> sorted(describe_api()["paths"])[:3]
    ['/v1/alertmanager', '/v1/answers', '/v1/answers/undo']
    """
    paths: dict[str, Any] = {}
    for route, call in _CALLS.items():
        method, path = route.split()
        paths.setdefault(path, {})[method.lower()] = call
    return {
        "openapi": "3.1.0",
        "info": {"title": "Headrace desk", "version": "1"},
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "paths": paths,
    }
