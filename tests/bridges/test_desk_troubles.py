"""What the desk says of full disks, lost rights and callers who send rubbish."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest

from bridges.desk_world import World
from bridges.requests import request
from headrace.bridges.bridge import Delivery
from headrace.bridges.desk.people import People
from headrace.bridges.desk.store import Store
from headrace.commands.bridge import name_files
from headrace.errors import BadInput
from headrace.settings import SchemaSettings


def test_nothing_that_sqlite_writes_is_for_others(tmp_path):
    with closing(Store(tmp_path / "desk.sqlite", lease_s=60.0)) as store:
        store.take_deliveries([Delivery("r1", request("r1"))])
        assert {p.name for p in tmp_path.iterdir() if p.stat().st_mode & 0o077} == set()


def test_a_file_that_cannot_be_opened_is_not_told_to_be_of_another_kind(tmp_path):
    (tmp_path / "desk.sqlite-wal").mkdir()
    with pytest.raises(BadInput, match=r"desk\.sqlite can't be used: .+"):
        Store(tmp_path / "desk.sqlite", lease_s=60.0)


def test_a_full_disk_is_told_with_the_folder_and_what_to_do():
    with (
        pytest.raises(BadInput, match=r"bridges can't be written: .* is full; make room"),
        ExitStack() as opened,
    ):
        opened.enter_context(name_files(Path("state/bridges")))
        raise sqlite3.OperationalError("database or disk is full")


def test_who_labels_while_the_disk_is_full_is_told_to_try_again(tmp_path, caplog):
    async def story(w: World) -> None:
        w.desk.send([Delivery("r1", request("r1"))])
        # Now the file may not grow by another page.
        pages_n = w.desk.store._db.execute("PRAGMA page_count").fetchone()[0]
        w.desk.store._db.execute(f"PRAGMA max_page_count = {pages_n}")
        body = {"request_id": "r1", "label": "ham", "note": "x" * 2_000}
        for _ in range(40):
            status, told = await w.call("POST", "/v1/answers", body)
            body["note"] += "x" if len(body["note"]) < 2_000 else ""
            body["label"] = "spam" if body["label"] == "ham" else "ham"
            if status != 201:
                break
        assert (status, told["fault"]) == (503, "ours")
        assert "database or disk is full" in told["error"]
        assert (await w.call("GET", "/v1/me"))[0] == 200

    World(tmp_path).play(story)
    assert "Traceback" not in caplog.text
    assert "database or disk is full" in caplog.text


def test_who_removes_the_file_of_people_takes_all_tokens_away(tmp_path):
    people = People(tmp_path / "people.json")
    token = people.add("ann", "annotator")
    session = people.open_session(people.by_token(token))
    (tmp_path / "people.json").unlink()
    assert people.by_token(token) is people.by_session(session) is None


def question(name: str):
    return msgspec.structs.replace(request(name), prediction={})


@pytest.mark.parametrize("header", ["Authorization", "Cookie"])
def test_a_token_of_other_bytes_is_a_token_that_is_not_known(tmp_path, caplog, header):
    async def story(w: World) -> None:
        value = {"Authorization": "Bearer \udcff", "Cookie": "headrace-8780=\udcff"}[header]
        assert w.people.by_token("\udcff") is w.people.by_session("\udcff") is None
        reader, writer = await asyncio.open_connection(w.client.host, w.client.port)
        content = f"GET /v1/me HTTP/1.1\r\nHost: localhost\r\n{header}: {value}\r\n\r\n"
        writer.write(content.encode(errors="surrogateescape"))
        assert (await reader.readline()).split()[1] == b"401"
        writer.close()

    World(tmp_path).play(story)
    assert caplog.text == ""


def test_a_name_that_is_no_file_of_the_page_is_not_looked_for(tmp_path, caplog):
    async def story(w: World) -> None:
        for name in ("a" * 400 + ".js", "..%2Fserver.py", "%00.js", "desk.js%00.html"):
            assert (await w.call("GET", f"/static/{name}", role=""))[0] == 404, name

    World(tmp_path).play(story)
    assert caplog.text == ""


def test_a_body_that_cannot_be_unpacked_is_its_senders_fault(tmp_path, caplog):
    async def story(w: World) -> None:
        packed = {"Content-Encoding": "gzip"}
        status, told = await w.call("POST", "/v1/answers", b"no gzip", **packed)
        assert (status, told["fault"]) == (400, "yours")

    World(tmp_path).play(story)
    assert "failed" not in caplog.text


@pytest.mark.parametrize(
    ("label", "schema", "taken"),
    [
        ("Ham", {}, "Choose a class that is known: class 'Ham' is new, and 'ham' is known;"),
        ("Ham", {"class_spelling": "join"}, ["ham"]),
        ("Ham", {"class_spelling": "keep"}, ["ham", "Ham"]),
        (" ham ", {}, ["ham"]),
        (" eggs", {}, ["ham", "eggs"]),
        ("U\u0308bel", {}, ["ham", "\u00dcbel"]),
        ("eggs", {"classes_max": 1}, "'eggs' would be one more than schema.classes_max, 1"),
    ],
)
def test_what_the_run_would_refuse_is_refused_at_once(tmp_path, label, schema, taken):
    async def story(w: World) -> None:
        w.run.declared = []
        w.desk.send([Delivery(f"r{i}", question(f"r{i}")) for i in range(2)])
        body = {"request_id": "r0", "label": "ham"}
        assert (await w.call("POST", "/v1/answers", body))[0] == 201
        status, told = await w.call("POST", "/v1/answers", {"request_id": "r1", "label": label})
        assert status == (400 if isinstance(taken, str) else 201)
        if isinstance(taken, str):
            assert taken in told["error"]
            taken_n = w.desk.store.count_questions("annotator")["answered_n"]
            assert taken_n == 1
        else:
            assert (await w.call("GET", "/v1/me"))[1]["classes"] == taken

    World(tmp_path, schema=SchemaSettings(**schema)).play(story)


def test_a_closed_list_of_classes_is_closed_at_the_desk(tmp_path):
    async def story(w: World) -> None:
        assert (await w.call("GET", "/v1/me"))[1]["can_add_class"] is False

    schema = SchemaSettings(classes=["ham", "spam"], classes_closed=True)
    World(tmp_path, schema=schema, new_classes=True).play(story)
