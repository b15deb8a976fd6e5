"""The desk's store, people, features and calls; the page is tried in test_desk_page.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridges.desk_world import CLASSES, World
from bridges.requests import request
from headrace.bridges.bridge import Delivery
from headrace.bridges.desk.bridge import Desk, DeskSettings, Estimated
from headrace.bridges.desk.features import Usual
from headrace.bridges.desk.figures import SERIES_N
from headrace.bridges.desk.people import SESSION_S, Pace, People
from headrace.bridges.desk.server import check_address
from headrace.bridges.desk.store import KEPT_N, UNDO_S, Store
from headrace.errors import BadInput, BadSettings
from headrace.messages import Context, Moments
from headrace.testing import check_bridge


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with closing(Store(tmp_path / "desk.sqlite", lease_s=60.0, clock=clock)) as opened:
        yield opened


def asked(name: str, **changes: Any) -> Delivery:
    return Delivery(name, msgspec.structs.replace(request(name), **changes))


def gone(name: str) -> Delivery:
    return Delivery(name, None, "withdrawn")


def next_id(store: Store, person: str) -> str | None:
    leased = store.lease_next(person)
    return None if leased is None else leased.request.request_id


# ------------------------------------------------------------------------------- the bridge


class DeskRig:
    """People answer at the desk, and six seconds pass before anybody looks for their answers."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self._path = folder / "desk.sqlite"
        self._desk: Desk | None = None

    def bridge(self) -> Desk:
        if self._desk is not None:
            self._desk.close()
        self._desk = Desk.__new__(Desk)
        self._desk.settings = DeskSettings()
        self._desk.store = Store(self._path, lease_s=60.0, clock=self.clock, outlives_power=False)
        return self._desk

    def tasks(self) -> list[str]:
        with closing(Store(self._path, lease_s=60.0, outlives_power=False)) as store:
            query = "SELECT request_id FROM questions WHERE is_open = 1 ORDER BY n"
            return [row[0] for row in store._db.execute(query)]

    def answer(self, request_id: str, label: str | None, annotator: str) -> None:
        with closing(
            Store(self._path, lease_s=60.0, clock=self.clock, outlives_power=False)
        ) as store:
            assert store.add_answer(annotator, request_id, label) is not None
        self.clock.now += UNDO_S + 1


def test_the_desk_keeps_the_contract_of_bridges() -> None:
    check_bridge(DeskRig)


# --------------------------------------------------------------------------- who gets which


def test_draws_at_random_come_first_then_the_most_useful(store):
    store.take_deliveries([asked("low", utility=0.1), asked("high", utility=0.9)])
    store.take_deliveries([asked("lot", reason="control", utility=0.0, event_at=5.0)])
    store.take_deliveries([asked("later", reason="control", utility=0.0, event_at=6.0)])
    given = [next_id(store, person) for person in ("ann", "bob", "cyd", "dan", "eve")]
    assert given == ["lot", "later", "high", "low", None]


def test_a_question_is_one_persons_until_the_lease_is_over(store, clock):
    store.take_deliveries([asked("r1")])
    assert next_id(store, "ann") == next_id(store, "ann") == "r1"
    assert next_id(store, "bob") is None
    clock.now += 61.0
    assert next_id(store, "bob") == "r1"
    # An answer after the lease counts all the same, and ends the question for bob.
    assert store.add_answer("ann", "r1", "ham") == clock.now
    assert next_id(store, "bob") is None


def test_as_many_are_asked_as_are_wanted_and_one_more_where_the_run_wants_it(store):
    store.take_deliveries([asked("r1", answers_wanted=2)])
    assert [next_id(store, one) for one in ("ann", "bob", "cyd")] == ["r1", "r1", None]
    store.add_answer("ann", "r1", "ham")
    assert next_id(store, "ann") is None
    store.add_answer("bob", "r1", "spam")
    assert next_id(store, "cyd") is None
    store.take_deliveries([asked("r1:w3", not_by=("ann", "bob"))])
    assert [next_id(store, one) for one in ("ann", "cyd", "dan")] == [None, "r1:w3", None]
    store.take_deliveries([gone("r1:w3")])
    assert next_id(store, "dan") is None


def test_a_second_opinion_goes_to_nobody_who_answered(store):
    store.take_deliveries([asked("r1:2", opinion_n=2, not_by=("ann",))])
    assert next_id(store, "ann") is None
    assert next_id(store, "bob") == "r1:2"


def test_what_is_passed_goes_to_others_and_comes_back_last(store):
    store.take_deliveries([asked("high", utility=0.9), asked("low", utility=0.1)])
    assert next_id(store, "ann") == "high"
    store.pass_on("ann", "high")
    assert next_id(store, "ann") == "low"
    assert next_id(store, "bob") == "high"
    store.add_answer("ann", "low", "ham")
    store.pass_on("bob", "high")
    assert next_id(store, "ann") == "high"


def test_what_is_withdrawn_is_asked_no_more_and_may_still_be_answered(store):
    store.take_deliveries([asked("r1")])
    assert next_id(store, "ann") == "r1"
    store.take_deliveries([gone("r1")])
    assert next_id(store, "ann") is None
    assert store.add_answer("ann", "r1", "ham") is not None
    assert store.add_answer("ann", "unknown", "ham") is None


def test_how_long_a_question_takes_somebody_is_told_with_an_interval(store):
    store.take_deliveries([asked(f"r{i}") for i in range(4)])
    for i, took_s in enumerate((10.0, 20.0, 40.0, None)):
        store.add_answer("ann", f"r{i}", "ham", took_s=took_s)
    store.add_answer("bo", "r0", "ham", took_s=1.0)
    ann, bo = store.list_people()
    low, typical, high = ann["took_s"]
    assert typical == pytest.approx(20.0) and low == pytest.approx(400 / high) and 2 < low < 10
    assert (ann["answered_n"], bo["took_s"], bo["answered_n"]) == (4, None, 1)


def test_an_answer_can_be_taken_back_for_a_while_and_corrected_after(store, clock):
    store.take_deliveries([asked("r1")])
    store.add_answer("ann", "r1", "ham")
    assert store.read_replies("").replies == ()
    assert store.undo_answer("ann") == "r1"
    assert next_id(store, "ann") == "r1"
    clock.now += UNDO_S
    assert store.read_replies("").replies == ()
    store.add_answer("ann", "r1", "spam")
    clock.now += UNDO_S
    receipt = store.read_replies("")
    assert [(one.label, one.annotator) for one in receipt.replies] == [("spam", "ann")]
    assert store.undo_answer("ann") == "r1"
    assert next_id(store, "ann") == "r1"
    store.add_answer("ann", "r1", "ham")
    clock.now += UNDO_S
    assert [one.label for one in store.read_replies(receipt.mark).replies] == ["ham"]
    assert store.undo_answer("bob") is None


def test_no_answer_is_lost_and_corrections_count_where_the_clock_is_set_back(store, clock):
    store.take_deliveries([asked("r1"), asked("r2")])
    clock.now = 5_000.0
    store.add_answer("ann", "r1", "ham")
    clock.now = 4_998.0
    store.add_answer("bob", "r2", "ham")
    clock.now += UNDO_S
    first = store.read_replies("")
    clock.now = 1_400.0
    assert store.undo_answer("ann") == "r1"
    assert store.add_answer("ann", "r1", "spam") > 5_000.0
    clock.now += UNDO_S
    both = (*first.replies, *store.read_replies(first.mark).replies)
    given = [(one.request_id, one.label) for one in sorted(both, key=lambda one: one.at)]
    assert given == [("r2", "ham"), ("r1", "ham"), ("r1", "spam")]


def test_an_answer_that_may_be_undone_holds_back_those_behind_it(store, clock):
    """Else they would be read as of an earlier time than it, and it would be passed over."""
    store.take_deliveries([asked("r1"), asked("r2")])
    store.add_answer("ann", "r1", "ham")
    clock.now -= 2.0
    store.add_answer("bob", "r2", "ham")
    clock.now += UNDO_S
    assert store.read_replies("").replies == ()
    clock.now += 2.0
    assert [one.request_id for one in store.read_replies("").replies] == ["r1", "r2"]


def test_what_is_over_is_forgotten_beyond_a_limit(store, monkeypatch):
    monkeypatch.setattr("headrace.bridges.desk.store.KEPT_N", 3)
    assert KEPT_N > 3
    for i in range(10):
        store.take_deliveries([asked(f"r{i}")])
        store.add_answer("ann", f"r{i}", "ham")
    store.take_deliveries([])
    assert store.count_questions("ann")["answered_n"] == 3
    assert len(store.list_recent(100)) == 3


def test_the_curve_keeps_its_ends_and_its_shape(store):
    for n in range(1, 3 * SERIES_N):
        store.add_estimate(n, n / 10_000, 0.0, 1.0)
    series = store.list_estimates()
    assert len(series) <= SERIES_N
    assert (series[0][0], series[-1][0]) == (1, 3 * SERIES_N - 1)
    assert all(one[1] == one[0] / 10_000 for one in series)


def test_a_file_that_is_no_desks_is_refused(tmp_path):
    (tmp_path / "desk.sqlite").write_text("milk, eggs, bread" * 100)
    with pytest.raises(BadInput, match="is no desk's"):
        Store(tmp_path / "desk.sqlite", lease_s=60.0)


# ------------------------------------------------------------------------------------ people


def test_only_the_digest_of_a_token_is_kept_and_the_file_is_ours_alone(tmp_path):
    path = tmp_path / "people.json"
    token = People(path).add("ann", "annotator")
    assert token not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert People(path).by_token(token).name == "ann"


def test_a_session_ends_with_time_and_with_its_token(tmp_path, clock):
    people = People(tmp_path / "people.json", clock)
    session = people.open_session(people.by_token(people.add("ann", "viewer")))
    assert people.by_session(session).name == "ann"
    clock.now += SESSION_S
    assert people.by_session(session) is None
    again = people.open_session(people.by_token(people.add("ann", "viewer")))
    # Another process gives ann a new token: the one before is worth nothing any more.
    People(tmp_path / "people.json").add("ann", "operator")
    assert people.by_session(again) is None
    other = people.open_session(people.by_token(people.add("bob", "viewer")))
    people.close_session(other)
    assert people.by_session(other) is None


@pytest.mark.parametrize(
    ("name", "role", "told"),
    [("", "viewer", "the name is ''"), ("a\nb", "viewer", "the name"), ("ann", "boss", "the role")],
)
def test_names_and_roles_are_checked(tmp_path, name, role, told):
    with pytest.raises(BadSettings, match=told):
        People(tmp_path / "people.json").add(name, role)
    with pytest.raises(BadSettings, match="nobody named"):
        People(tmp_path / "people.json").remove("cyd")


def test_who_calls_too_often_waits_and_others_do_not():
    now = [0.0]
    pace = Pace(2.0, 3, lambda: now[0])
    assert [pace.wait_s("ann") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert pace.wait_s("bob") == 0.0
    now[0] = 0.5
    assert pace.wait_s("ann") == 0.0


# ----------------------------------------------------------------------------------- features


def questions(n: int) -> list[Any]:
    return [
        msgspec.structs.replace(
            request(f"r{i}"),
            features={"pays": float(i % 10), "flat": 1.0, "kind": "a" if i % 10 else "b"},
            prediction={"ham": i % 10 / 10, "spam": 1 - i % 10 / 10},
        )
        for i in range(n)
    ]


def test_what_is_far_out_and_what_the_model_goes_by_come_first():
    usual = Usual(questions(60))
    odd = msgspec.structs.replace(
        request("odd"), features={"flat": 1.0, "kind": "b", "pays": 50.0, "new": None}
    )
    rows = {row["name"]: row for row in usual.rank_features(odd)}
    assert next(iter(rows)) == "pays"
    assert rows["pays"]["usual"] == pytest.approx({"low": 0.9, "middle": 4.5, "high": 8.1})
    assert 0.5 < rows["pays"]["unusual"] < 1
    assert rows["pays"]["influence"] == pytest.approx(1.0)
    assert rows["kind"]["usual"] == {"share": 0.1}
    assert rows["flat"]["usual"] is None
    assert rows["new"]["value"] is None
    # How many have which value is known of the values that were there.
    bare = msgspec.structs.replace(odd, features={"kind": None})
    assert [row["unusual"] for row in usual.rank_features(bare)] == [0.0]


def test_the_moments_of_all_events_go_before_the_questions():
    context = Context(events_n=1_000, moments={"pays": Moments(1_000, 100.0, 100_000.0)})
    known = [msgspec.structs.replace(one, context=context) for one in questions(1)]
    [row, *_] = Usual(known).rank_features(known[0])
    assert row["usual"]["middle"] == 100.0
    assert row["usual"]["high"] == pytest.approx(100.0 + 12.816, abs=0.01)


def test_kinds_are_told_by_settings_then_by_the_value():
    features = {"photo": "https://x.test/1.png", "page": "x", "body": "w " * 50, "id": 1 << 60}
    one = msgspec.structs.replace(request("r"), features={**features, "nan": float("inf")})
    rows = {
        row["name"]: row for row in Usual([], images=["photo"], links=["page"]).rank_features(one)
    }
    kinds = {name: row["kind"] for name, row in rows.items()}
    assert kinds == {
        "photo": "image", "page": "link", "body": "text", "id": "number", "nan": "category",
    }  # fmt: skip
    assert rows["id"]["value"] == str(1 << 60)
    assert rows["nan"]["value"] == "inf"


# -------------------------------------------------------------------------------------- calls


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_question_is_asked_answered_and_counted(world):
    async def story(w: World) -> None:
        assert (await w.call("POST", "/v1/questions/next", {}))[0] == 204
        w.desk.send([asked("r/1")])
        status, question = await w.call("POST", "/v1/questions/next", {})
        assert status == 200
        assert (question["request_id"], question["classes"]) == ("r/1", CLASSES)
        assert question["guess"] is None
        assert "prediction" not in json.dumps(question)
        status, guess = await w.call("GET", "/v1/questions/r%2F1/guess")
        assert guess == {"classes": {"a": 1.0}}
        body = {"request_id": "r/1", "label": "ham", "note": "clear", "took_s": 2.5}
        status, given = await w.call("POST", "/v1/answers", body)
        assert (status, given["label"]) == (201, "ham")
        assert (await w.call("POST", "/v1/answers/undo", {})) == (200, {"request_id": "r/1"})
        assert (await w.call("POST", "/v1/questions/r%2F1/skip", {}))[0] == 204
        w.run.estimated = Estimated(0.9, 0.8, 0.95, 40)
        _, told = await w.call("GET", "/v1/status")
        assert told["estimate"] == {"accuracy": 0.9, "low": 0.8, "high": 0.95, "labels_n": 40}
        assert told["series"] == [[40, 0.9, 0.8, 0.95]]
        assert "annotators" not in told
        _, told = await w.call("GET", "/v1/status", role="operator")
        assert told["answered_n"] == 0

    world.play(story)


def test_a_stranger_is_told_nothing(world):
    async def story(w: World) -> None:
        w.desk.send([asked("r1")])
        for method, path in [
            ("GET", "/v1/me"), ("POST", "/v1/questions/next"), ("GET", "/v1/status"),
            ("POST", "/v1/answers"), ("GET", "/v1/openapi.json"), ("POST", "/v1/rounds"),
            ("GET", "/v1/questions/r1/guess"), ("GET", "/v1/rounds/k"),
        ]:  # fmt: skip
            status, told = await w.call(method, path, {} if method == "POST" else None, role="")
            assert (status, told["fault"]) == (401, "yours"), path
        for path in ("/static/..%2Fserver.py", "/static/x.py", "/static/", "/v2", "/people.json"):
            status, _ = await w.call("GET", path, role="")
            assert status == 404, path

    world.play(story)


def test_roles_do_what_they_may(world):
    async def story(w: World) -> None:
        for role, path, body in [
            ("viewer", "/v1/questions/next", {}),
            ("viewer", "/v1/answers", {"request_id": "r", "label": "ham"}),
            ("viewer", "/v1/rounds", {}),
            ("annotator", "/v1/rounds", {}),
        ]:
            status, told = await w.call("POST", path, body, role=role)
            assert status == 403, (role, path)
            assert "you are " + role in told["error"]
        assert (await w.call("GET", "/v1/status", role="viewer"))[0] == 200

    world.play(story)


def test_a_session_is_a_cookie_that_no_other_site_can_use(world):
    async def story(w: World) -> None:
        status, me = await w.call("POST", "/v1/login", {"token": w.tokens["annotator"]}, role="")
        assert (status, me) == (200, {"name": "annotator", "role": "annotator"})
        [cookie] = [one for one in w.client.session.cookie_jar if one.key == "headrace-8780"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert (await w.call("GET", "/v1/me", role=""))[0] == 200
        status, told = await w.call("POST", "/v1/questions/next", {}, role="")
        assert (status, told["error"]) == (403, "The header X-Headrace: 1 is missing.")
        ours = {"X-Headrace": "1"}
        assert (await w.call("POST", "/v1/questions/next", {}, role="", **ours))[0] == 204
        other = {"Origin": "https://evil.test", **ours}
        assert (await w.call("POST", "/v1/questions/next", {}, role="", **other))[0] == 403
        rebound = {"Host": "evil.test", **ours}
        assert (await w.call("POST", "/v1/questions/next", {}, role="", **rebound))[0] == 421
        assert (await w.call("POST", "/v1/logout", {}, role="", **ours))[0] == 204
        assert (await w.call("GET", "/v1/me", role=""))[0] == 401

    world.play(story)


def test_a_desk_is_reached_by_the_names_that_it_is_given(tmp_path):
    async def story(w: World) -> None:
        found = [
            (await w.call("GET", "/v1/me", Host=name))[0]
            for name in ("desk.example.org:8780", "127.0.0.1", "desk.example.com")
        ]
        assert found == [200, 200, 421]

    World(tmp_path, public=["desk.example.org"]).play(story)


def test_who_guesses_tokens_is_slowed_down(world):
    async def story(w: World) -> None:
        statuses = [
            (await w.call("POST", "/v1/login", {"token": f"t{i}"}, role=""))[0] for i in range(12)
        ]
        assert statuses == [401] * 10 + [429] * 2
        guesses = [
            (await w.call("GET", "/v1/me", role="", Authorization=f"Bearer t{i}"))[0]
            for i in range(12)
        ]
        assert guesses == [401] * 10 + [429] * 2

    world.play(story)


def test_who_calls_too_often_is_told_how_long_to_wait(tmp_path):
    async def story(w: World) -> None:
        seen = [(await w.call("GET", "/v1/me"))[0] for _ in range(12)]
        assert seen[:10] == [200] * 10
        assert 429 in seen[10:]
        headers = {"Authorization": f"Bearer {w.tokens['annotator']}"}
        async with w.client.get("/v1/me", headers=headers) as reply:
            assert int(reply.headers["Retry-After"]) >= 1

    World(tmp_path, calls_per_s=1.0).play(story)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"not json", "The body is not what this call takes"),
        (b"\xff\xfe", "The body is not what this call takes"),
        ({"request_id": "r1"}, "missing required field `label`"),
        ({"request_id": "r1", "label": "ham", "labl": 1}, "unknown field `labl`"),
        ({"request_id": "r1", "label": ""}, "A class is a text"),
        ({"request_id": "r1", "label": "a\nb"}, "A class is a text"),
        (
            {"request_id": "r1", "label": "eggs"},
            "eggs is no class of this stream; it has ham, spam",
        ),
        ({"request_id": "r1", "label": "ham", "note": "x" * 2_001}, "The note is longer"),
        ({"request_id": "r1", "label": "ham", "took_s": -1}, "took_s must be from 0"),
        ({"request_id": "r2", "label": "ham"}, "There is no such question"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(world, body, told):
    async def story(w: World) -> None:
        w.desk.send([asked("r1")])
        status, reply = await w.call("POST", "/v1/answers", body)
        assert status in (400, 404)
        assert told in reply["error"]
        assert w.desk.store.count_questions("annotator")["answered_n"] == 0

    world.play(story)


def test_a_body_that_is_too_large_is_refused(world):
    async def story(w: World) -> None:
        status, told = await w.call("POST", "/v1/answers", b"x" * 100_000)
        assert (status, told["fault"]) == (413, "yours")

    world.play(story)


def test_where_no_class_is_declared_the_first_may_be_named(world):
    async def story(w: World) -> None:
        w.run.declared = []
        w.desk.send([asked("r1", prediction={})])
        _, me = await w.call("GET", "/v1/me")
        assert (me["classes"], me["can_add_class"]) == ([], True)
        body = {"request_id": "r1", "label": "first"}
        assert (await w.call("POST", "/v1/answers", body))[0] == 201
        # It has a key at once, and keeps it when others follow, named or learned.
        w.desk.send([asked("r2", prediction={"early": 0.5, "first": 0.5}), asked("r3")])
        assert (await w.call("POST", "/v1/answers", {"request_id": "r2", "label": "tpyo"}))[
            0
        ] == 201
        assert (await w.call("POST", "/v1/answers", {"request_id": "r2", "label": "also"}))[
            0
        ] == 201
        _, me = await w.call("GET", "/v1/me")
        assert me["classes"] == ["first", "also", "a", "early"]
        assert me["keys"]["1"] == "first"

    world.play(story)


def test_what_was_bought_is_told_from_the_first_estimate_worth_comparing(world):
    async def story(w: World) -> None:
        for labels_n, accuracy in ((2, 0.0), (10, 0.7), (40, 0.9)):
            w.run.estimated = Estimated(accuracy, 0.0, 1.0, labels_n)
            _, told = await w.call("GET", "/v1/status")
            assert (told["bought"] is None) is (labels_n < 40)
        assert told["bought"] == {"first": 0.7, "now": 0.9}
        assert len(told["series"]) == 3

    world.play(story)


def test_a_round_is_ordered_once_under_its_key(world):
    async def story(w: World) -> None:
        key = {"Idempotency-Key": "night 1"}
        body = {"labels": 5, "reason": "a complaint"}
        ours = {"role": "operator", **key}
        assert (await w.call("POST", "/v1/rounds", body, **ours))[0] == 202
        assert (await w.call("POST", "/v1/rounds", {"labels": 9}, **ours))[0] == 200
        assert w.run.orders == {"night 1": (5, "a complaint")}
        status, told = await w.call("GET", "/v1/rounds/night%201", role="operator")
        assert (status, told) == (200, {"key": "night 1", "state": "ordered"})
        assert (await w.call("GET", "/v1/rounds/other", role="operator"))[0] == 404
        status, told = await w.call("POST", "/v1/rounds", {}, role="operator")
        assert "Idempotency-Key is missing" in told["error"]
        wrong = {"role": "operator", "Idempotency-Key": "k2"}
        assert (await w.call("POST", "/v1/rounds", {"labels": 0}, **wrong))[0] == 400

    world.play(story)


def test_an_error_of_ours_is_told_as_ours(world, caplog):
    async def story(w: World) -> None:
        def broken() -> None:
            raise RuntimeError("the disk is gone, and here is its secret")

        w.run.read_estimate = broken
        status, told = await w.call("GET", "/v1/status")
        assert status == 500
        assert told == {"error": "RuntimeError; the desk's log has more.", "fault": "ours"}

    world.play(story)
    assert "the disk is gone" in caplog.text


def test_every_reply_tells_the_browser_to_allow_nothing(world):
    async def story(w: World) -> None:
        for path in ("/", "/static/desk.js", "/v1/me", "/nothing"):
            async with w.client.get(path) as reply:
                assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
                assert reply.headers["X-Content-Type-Options"] == "nosniff"

    world.play(story)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"host": "0.0.0.0"}, "is not on loopback"),
        ({"host": "desk.example.org", "cert_file": "a.pem"}, "go together"),
    ],
)
def test_tokens_never_cross_a_network_in_the_clear(settings, told):
    with pytest.raises(BadSettings, match=told):
        check_address(DeskSettings(**settings))
    check_address(DeskSettings(host="0.0.0.0", allow_plaintext=True))
    check_address(DeskSettings(host="0.0.0.0", cert_file="a.pem", key_file="b.pem"))


def test_a_priority_that_changes_moves_a_question_to_its_new_place(store):
    store.take_deliveries(
        [asked("r1", priority=0.4, judges=False), asked("r2", priority=0.6, judges=False)]
    )
    store.take_deliveries([asked("r1", priority=0.9, judges=False), asked("lot", reason="control")])
    assert [next_id(store, one) for one in ("ann", "bob", "cyd")] == ["lot", "r1", "r2"]
