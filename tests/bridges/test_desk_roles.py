"""Every call over HTTP has its roles, and what changes something is in the audit log."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridges.desk_world import World
from bridges.requests import request
from commands.runs import Stream
from headrace import cli
from headrace.adapters.chain import read_entries
from headrace.bridges.bridge import Delivery
from headrace.bridges.desk.calls import ROUTES
from headrace.bridges.desk.people import ROLES, People
from headrace.bridges.desk.server import Server
from headrace.bridges.folder import remember_places
from headrace.commands.desk import JoinedRun
from headrace.drivers.audit.acts import Acts
from headrace.settings import Settings
from repo.tree import SOURCE, modules

STATED = {(route.method, route.path): route for route in ROUTES}
BODIES: dict[str, Any] = {
    "/v1/answers": {"request_id": "r1", "label": "ham"},
    "/v1/rounds": {"labels": 3, "reason": "monday"},
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.desk.send([Delivery("r1", request("r1")), Delivery("r2", request("r2"))])
    return found


def path_of(path: str) -> str:
    return path.replace("{id}", "r1").replace("{key}", "k1").replace("{name}", "desk.css")


def test_every_route_of_the_server_states_its_roles(world: World) -> None:
    server = Server(world.desk, world.people, world.run)
    served = {
        (route.method, route.resource.canonical)
        for route in server.app.router.routes()
        if route.method != "HEAD"
    }
    world.desk.close()
    assert served == set(STATED)
    for route in ROUTES:
        assert route.roles is None or set(route.roles) <= set(ROLES)
        assert route.is_safe or route.act, f"{route.path} changes something, and no entry says so"
        assert route.roles or route.path in ("/", "/static/{name}", "/v1/login")
        assert route.roles != ()


SERVERS = {
    "Application", "BaseHTTPRequestHandler", "HTTPServer", "TCPServer", "ThreadingHTTPServer",
    "create_server", "make_server", "start_server", "start_unix_server",
}  # fmt: skip
"""Names by which one listens, called, imported or inherited from."""


def listening() -> Iterator[str]:
    """Modules that serve anything to whoever reaches a port."""
    for module in modules():
        tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
        names = {
            getattr(node, "attr", getattr(node, "id", getattr(node, "name", "")))
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute | ast.Name | ast.alias)
        }
        if names & SERVERS:
            yield str(module)


def test_nothing_else_serves_over_http() -> None:
    """A new port has its roles stated in docs/AUDIT.md, and its test, before it stands here.

    `adapters/metrics/serving.py` gives numbers to whoever has a certificate, and takes nothing:
    `tests/adapters/test_serving.py` holds that to GET and HEAD of three paths. The webhook takes
    one hint from who has its secret, and nothing of what is sent: test_label_studio_webhook.py.
    """
    assert sorted(listening()) == [
        "adapters/metrics/serving.py",
        "bridges/desk/server.py",
        "bridges/label_studio/webhook.py",
    ]


def test_who_has_not_the_role_is_refused_and_that_is_told(world: World) -> None:
    async def story(w: World) -> None:
        for route in ROUTES:
            if route.roles is None:
                continue
            body = BODIES.get(route.path, {}) if route.method == "POST" else None
            status, _ = await w.call(route.method, path_of(route.path), body, role="")
            assert status == 401, route
            for role in set(ROLES) - set(route.roles):
                w.acts.clear()
                status, _ = await w.call(route.method, path_of(route.path), body, role=role)
                assert status == 403, (route, role)
                call = f"{route.method} {route.path}"
                assert w.acts == [{"what": "call_refused", "by": role, "role": role, "call": call}]

    world.play(story)


def test_what_is_done_is_told_with_the_name_of_who_did_it(world: World) -> None:
    async def story(w: World) -> None:
        ours = {"X-Headrace": "1"}
        await w.call("POST", "/v1/login", {"token": w.tokens["annotator"]}, role="")
        await w.call("POST", "/v1/questions/next", {}, role="", **ours)
        await w.call("POST", "/v1/questions/r1/skip", {}, role="", **ours)
        await w.call("POST", "/v1/answers", BODIES["/v1/answers"], role="", **ours)
        await w.call("POST", "/v1/answers/undo", {}, role="", **ours)
        await w.call("POST", "/v1/logout", {}, role="", **ours)
        wanted = {"role": "operator", "Idempotency-Key": "k1"}
        assert (await w.call("POST", "/v1/rounds", BODIES["/v1/rounds"], **wanted))[0] == 202
        assert (await w.call("POST", "/v1/rounds", BODIES["/v1/rounds"], **wanted))[0] == 200

    world.play(story)
    who = {"by": "annotator", "role": "annotator"}
    assert [one.pop("remote", None) for one in world.acts] == ["127.0.0.1", *[None] * 7]
    order = {"by": "operator", "role": "operator", "key": "k1", "labels_n": 3}
    given = world.acts[1]["request_id"]
    assert world.acts == [
        {"what": "login", **who},
        {"what": "question_given", "request_id": given, **who},
        {"what": "question_skipped", "request_id": "r1", **who},
        {"what": "answer_given", "request_id": "r1", "label": "ham", **who},
        {"what": "answer_undone", "request_id": "r1", **who},
        {"what": "logout", **who},
        {"what": "round_ordered", "is_new": True, **order},
        {"what": "round_ordered", "is_new": False, **order},
    ]
    assert {one["what"] for one in world.acts} == {r.act for r in ROUTES if r.act}


def test_what_is_refused_or_changes_nothing_leaves_no_act_but_a_refusal(world: World) -> None:
    async def story(w: World) -> None:
        for body in (b"no JSON", {"request_id": "?", "label": "ham"}):
            assert (await w.call("POST", "/v1/answers", body))[0] >= 400
        assert (await w.call("POST", "/v1/questions/none/skip", {}))[0] == 404
        assert (await w.call("POST", "/v1/answers/undo", {}))[0] == 409
        await w.call("GET", "/v1/status")
        assert w.acts == []
        for i in range(200):
            await w.call("GET", "/v1/me", role="", Authorization=f"Bearer t{i}")
            await w.call("POST", "/v1/login", {"token": f"t{i}"}, role="")

    world.play(story)
    assert {one["what"] for one in world.acts} == {"login_refused"}
    # Guesses are slowed down, so that nobody fills the log with them.
    assert 0 < len(world.acts) <= 25
    assert not any(
        "token" in field or "t1" in str(v) for one in world.acts for field, v in one.items()
    )


def test_the_log_is_told_of_no_more_refusals_than_it_can_bear(world: World) -> None:
    async def story(w: World) -> None:
        for _ in range(100):
            await w.call("POST", "/v1/rounds", {}, role="viewer")

    world.play(story)
    assert len(world.acts) <= 70


def test_tokens_orders_and_names_stand_in_the_log_of_the_run(tmp_path: Path, capsys) -> None:
    stream = Stream(tmp_path)
    stream.write_events(0, 60)
    stream.run()
    state = stream.places.state
    (state / "audit").mkdir()
    remember_places(state, stream.places.requests, stream.places.answers)
    argv = ["desk", "--state", str(state)]
    assert cli.main([*argv, "--add", "ann", "--role", "operator"]) == 0
    token = capsys.readouterr().err.rpartition("#token=")[2].strip()
    assert cli.main([*argv, "--remove", "ann"]) == 0
    with closing(JoinedRun(Settings(), state)) as run:
        assert run.open_round(2, "monday", "k1", "ann")
    assert cli.main(["round", "open", str(state), "--key", "k2"]) == 0
    assert cli.main(["replay", str(state)]) == 0
    acts = [entry for entry in read_entries(state / "audit", "acts") if entry["what"] != "begun"]
    assert [entry["what"] for entry in acts] == ["token_given", "token_removed", "replayed"]
    assert (acts[0]["to"], acts[0]["role"], acts[1]["of"]) == ("ann", "operator", "ann")
    assert all(entry["user"] for entry in acts)
    assert token not in "".join(path.read_text() for path in (state / "audit").glob("*.jsonl"))
    orders = (state / "orders.jsonl").read_text()
    assert '"by":"ann"' in orders
    assert f'"by":"{acts[0]["user"]}"' in orders


def test_a_token_is_given_where_no_log_is_kept(tmp_path: Path) -> None:
    Acts(None).record("token_given", to="ann")
    Acts(tmp_path / "none").record("token_given", to="ann")
    assert People(tmp_path / "people.json").add("ann", "viewer")
    assert not (tmp_path / "none").exists()
