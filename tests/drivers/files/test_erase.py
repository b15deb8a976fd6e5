"""A person is erased from a run: her bytes are in no file of it, and it goes on as ever."""

import fcntl
import json
import random
import threading
import time
from dataclasses import replace

import pytest

from commands.runs import SETTINGS, START_AT, Kept, Stream, lines_of
from headrace import cli
from headrace.adapters.journal import Journal
from headrace.adapters.sealing import load_sealer
from headrace.adapters.snapshots.store import SnapshotStore
from headrace.bridges.bridge import Delivery
from headrace.bridges.desk.store import Store
from headrace.bridges.folder import FolderEnd
from headrace.bridges.outbox import BridgeOutbox
from headrace.commands import erase as command
from headrace.drivers.files import erasing
from headrace.drivers.files.run import run_files
from headrace.messages import Answer, LabelRequested
from headrace.settings import parse

HER = "canary-Ms-Kim"
OPTIONS = {**SETTINGS, "retention": {"subject": "customer"}}


def event(i):
    luck = random.Random(i)
    is_hers = i % 9 == 0
    features = {"x": luck.gauss(0, 1), "y": luck.gauss(0, 1)}
    features["customer"] = HER if is_hers else f"customer {i % 5}"
    if is_hers:
        features["note"] = f"{HER} wrote this and is waiting for an answer"
    return {
        "id": f"{HER}/{i}" if is_hers else f"e{i}",
        "at": START_AT + 10 * i,
        "features": features,
    }


def write_events(stream, start, stop):
    with stream.places.events.open("a") as file:
        for i in range(start, stop):
            file.write(json.dumps(event(i)) + "\n")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run that has asked about her, was answered, and stands still."""
    found = Stream(tmp_path_factory.mktemp("hers") / "run")
    found.folder.mkdir()
    write_events(found, 0, 400)
    with found.places.events.open("a") as file:
        file.write(json.dumps(event(9)) + "\n")  # rejected: a duplicate of hers
        file.write(f'{{"id": "broken", "by": "{HER}", \n')
    run(found)
    found.answer()
    run(found)
    write_events(found, 400, 500)
    run(found)
    assert any(one["features"]["customer"] == HER for one in found.requests())
    assert any(one["event_id"].startswith(HER) for one in found.decisions("LabelSettled"))
    return Kept(found)


@pytest.fixture
def stream(kept):
    return kept.put_back()


def run(stream, **options):
    return run_files(stream.places, parse(OPTIONS), **options)


def files_with(folder, text, *, but=()):
    """Files below a folder that have this text anywhere in their bytes."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and text.encode() in path.read_bytes() and path.name not in but
    )


def erase(stream, *more, capsys=None):
    return cli.main(["erase", *more, "--state", str(stream.places.state)])


def test_her_bytes_are_in_no_file_of_the_run(stream, capsys):
    assert "state/decisions.jsonl" in files_with(stream.folder, HER)
    asked_n = len([one for one in stream.requests() if one["features"]["customer"] == HER])
    # What kills have left of copies and snapshots.
    state = stream.places.state
    for left in (state / "table.jsonl.new", state / "snapshots" / ".snapshot-1.tmp"):
        left.write_text(HER)
    assert erase(stream, HER) == 1
    told = capsys.readouterr().out
    assert "window 22" in told
    assert f"left: {stream.places.events}: 58 lines" in told
    assert files_with(stream.folder, HER) == ["events.jsonl"]
    withdrawn = [o for o in lines_of(stream.places.requests) if o["type"] == "RequestWithdrawn"]
    assert withdrawn
    assert {(one["reason"], one["event_id"]) for one in withdrawn} == {("erased", "")}
    assert asked_n > len(withdrawn)
    [done] = lines_of(stream.places.state / "erased.jsonl")
    assert done["lines"]["decisions.jsonl"] > asked_n
    # A second time there is nothing; her lines in the file of events are wiped on demand.
    assert erase(stream, HER, "--inputs") == 0
    assert "wiped in files that were read: 70 lines" in capsys.readouterr().out
    assert files_with(stream.folder, HER) == []
    assert erase(stream, HER) == 3


def test_the_run_goes_on_and_is_decided_again_from_there(stream, capsys):
    assert erase(stream, HER, "--inputs") == 0
    before = len(stream.requests())
    with stream.places.events.open("a") as file:
        for i in range(500, 700):
            file.write(json.dumps(event(i) | {"id": f"later {i}"}) + "\n")
    report = run(stream)
    assert report.events.observed_n == 700
    stream.answer()
    run(stream)
    assert len(stream.requests()) > before + 10
    capsys.readouterr()
    assert cli.main(["replay", str(stream.places.state)]) == 0
    assert "agree" in capsys.readouterr().out
    # Without snapshots the base is enough; without the base there is nothing to go on from.
    written = stream.written()
    for path in (stream.places.state / "snapshots").glob("*.hr"):
        path.unlink()
    run(stream)
    assert stream.written() == written
    assert cli.main(["report", str(stream.places.state)]) == 0
    for path in (
        *(stream.places.state / "base").glob("*.hr"),
        *(stream.places.state / "snapshots").glob("*.hr"),
    ):
        path.unlink()
    capsys.readouterr()
    assert cli.main(["replay", str(stream.places.state)]) == 2
    assert "has no state from which this run could go on" in capsys.readouterr().err


def test_what_follows_is_the_same_at_any_batching(tmp_path):
    def played(folder, stops):
        stream = Stream(folder)
        folder.mkdir()
        write_events(stream, 0, 300)
        run(stream)
        stream.answer()
        run(stream)
        erase(stream, HER)
        for start, stop in zip([300, *stops], [*stops, 420], strict=True):
            with stream.places.events.open("a") as file:
                for i in range(start, stop):
                    file.write(json.dumps(event(i) | {"id": f"later {i}"}) + "\n")
            run(stream)
        return [one["request_id"] for one in stream.requests()]

    assert played(tmp_path / "one", []) == played(tmp_path / "many", [301, 350, 383])


@pytest.mark.parametrize(
    "step",
    ["begin_anew", "erase_requests", "wipe_where", "wipe_stretches", "remove_before", "place"],
)
@pytest.mark.default_n(2)
def test_killed_at_any_step_it_is_done_by_the_next_start(stream, monkeypatch, step):
    def killed(*given, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if step == "place":
            patched.setattr(command, "_carry_order_out", killed)
        elif step == "begin_anew":
            patched.setattr(Journal, "begin_anew", killed)
        elif step == "remove_before":
            patched.setattr(SnapshotStore, "remove_before", killed)
        else:
            patched.setattr(erasing, step, killed)
        assert erase(stream, HER) == 130
    notes = []
    run(stream, on_note=notes.append)
    assert any("erased" in note for note in notes)
    assert files_with(stream.folder, HER) == ["events.jsonl"]
    assert cli.main(["replay", str(stream.places.state)]) == 0


def test_a_run_that_goes_on_erases_between_two_events(stream, capsys):
    stop, codes = threading.Event(), []
    person = threading.Thread(target=lambda: codes.append(erase(stream, HER, "--inputs")))
    turns = 0

    def on_turn(runner):
        nonlocal turns
        turns += 1
        if turns == 5:
            person.start()
        if turns > 5 and not person.is_alive():
            stop.set()
        if turns > 6:
            time.sleep(0.01)

    run(stream, follow=True, stop=stop, on_turn=on_turn)
    person.join()
    assert codes == [0], capsys.readouterr()
    assert files_with(stream.folder, HER) == []
    assert cli.main(["replay", str(stream.places.state)]) == 0


def test_bridges_and_desks_forget_and_tell_the_tool(stream):
    folder = stream.places.state / "bridges"
    outbox = BridgeOutbox(folder / "tool.sqlite")
    end = FolderEnd(stream.places.requests, stream.places.answers)
    records, place = end.read("", 10_000)
    requests = [one for one in records if isinstance(one, LabelRequested)]
    outbox.take_in(records, place, START_AT)
    store = Store(folder / "desk" / "desk.sqlite", lease_s=60.0)
    hers = [one for one in requests if one.features["customer"] == HER]
    store.take_deliveries([Delivery(request_id=one.request_id, request=one) for one in requests])
    store.add_answer("ann", hers[0].request_id, "yes", note=f"known to be {HER}")
    outbox.note_sent(outbox.to_send(10_000))
    assert "state/bridges/desk/desk.sqlite-wal" in files_with(stream.folder, HER)
    assert erase(stream, HER) == 1
    assert files_with(stream.folder, HER) == ["events.jsonl"]
    leaving = [one for one in outbox.to_send(10_000) if one.request is None]
    assert {one.request_id for one in leaving} == {one.request_id for one in hers}
    assert store.find_question(hers[0].request_id) is None
    others = [one for one in requests if one not in hers]
    assert store.find_question(others[0].request_id) == others[0]
    # The bridge goes on reading where it was, over lines that are blank now.
    more, _ = end.read(place, 10_000)
    end.close()
    again, _ = end.read("", 10_000)
    assert len(again) == len(records) - len(hers) + len(more)
    assert {type(one).__name__ for one in more} == {"RequestWithdrawn"}
    assert not end.faults
    store.close()
    outbox.close()
    end.close()
    assert files_with(stream.folder, HER) == ["events.jsonl"]


def test_a_table_stays_without_her(tmp_path, capsys):
    rows = ["id,at,x,customer"]
    rows += [f"e{i},{START_AT + i},{i % 7},{HER if i % 6 == 0 else 'c'}" for i in range(120)]
    table = tmp_path / "events.csv"
    table.write_text("\n".join(rows) + "\n")
    stream = Stream(tmp_path)
    places = replace(stream.places, events=table, answers=None)
    run_files(places, parse(OPTIONS))
    assert erase(stream, HER) == 1
    assert "the table that it was copied from has these rows still" in capsys.readouterr().out
    assert files_with(tmp_path, HER) == ["events.csv"]
    rows.append(f"e120,{START_AT + 120},3,c")
    table.write_text("\n".join(rows) + "\n")
    assert run_files(places, parse(OPTIONS)).events.observed_n == 121
    assert files_with(tmp_path, HER) == ["events.csv"]
    assert cli.main(["replay", str(places.state)]) == 0


def test_records_of_two_halves(tmp_path):
    stream = Stream(tmp_path)
    with stream.places.events.open("w") as file:
        for i in range(60):
            who = HER if i % 6 == 0 else "c"
            features = {"x": i % 5, "customer": who}
            request = {"type": "request", "id": f"e{i}", "at": START_AT + i, "features": features}
            print(json.dumps(request), file=file)
            if i != 54:
                print(json.dumps({"type": "response", "id": f"e{i}", "by": who}), file=file)
    join = {"id": "id", "type": "type", "wait_n": 1_000}
    fields = {"id": "request.id", "at": "request.at", "features": "request.features"}
    settings = parse({**OPTIONS, "input": {**fields, "join": join}})
    run_files(replace(stream.places, answers=None), settings)
    assert erase(stream, HER, "--inputs") == 0
    assert files_with(tmp_path, HER) == []


def test_who_is_named_and_how(stream, capsys):
    assert erase(stream) == 2
    assert "nobody is named" in capsys.readouterr().err
    assert erase(stream, "nobody of that name") == 3
    assert erase(stream, "customer 1", "--by", "custmer") == 3
    assert not (stream.places.state / "base").exists()  # for nobody nothing is begun anew
    ids = stream.folder / "ids.txt"
    # As a spreadsheet saves it, with a byte order mark.
    text = "".join(f"{HER}/{i}\n" for i in range(0, 500, 9))
    ids.write_text(text, encoding="utf-8-sig", newline="\r\n")
    assert erase(stream, "--ids", str(ids), "--inputs") == 0
    # What is left is a line that is no event, and so has no id.
    assert files_with(stream.folder, f"{HER}/", but=("ids.txt",)) == []
    assert files_with(stream.folder, HER, but=("ids.txt",)) == [
        "events.jsonl",
        "state/decisions.jsonl",
        "state/rejects.jsonl",
    ]
    assert cli.main(["erase", "x", "--state", str(stream.folder)]) == 2


def test_a_run_that_does_not_come_to_it_does_it_later(stream, capsys):
    with (stream.places.state / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert erase(stream, HER, "--wait", "0") == 75
    run(stream)
    assert files_with(stream.folder, HER) == ["events.jsonl"]


@pytest.mark.parametrize("is_live", [False, True])
def test_the_audit_log_stays_whole(stream, is_live, capsys):
    kept = parse({**OPTIONS, "audit": {"is_kept": True}})
    run_files(stream.places, kept)
    if is_live:
        with (stream.places.state / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert erase(stream, HER, "--wait", "0") == 75
    else:
        assert erase(stream, HER, "--inputs") == 0
    write_events(stream, 500, 501)
    run_files(stream.places, kept)
    capsys.readouterr()
    assert cli.main(["audit", "verify", str(stream.places.state)]) == 0
    told = capsys.readouterr().out
    assert "compared from the latest erasure on" in told
    assert "erased" in told
    assert files_with(stream.places.state, HER) == []


def test_sealed_requests_and_answers(tmp_path, capsys):
    keys = tmp_path / "keys"
    keys.write_text("k" * 40)
    keys.chmod(0o600)
    sealed = parse({**OPTIONS, "sealing": {"keys_file": str(keys)}})
    stream = Stream(tmp_path)
    write_events(stream, 0, 300)
    places = replace(stream.places, answers=tmp_path / "answers.jsonl")
    run_files(places, sealed)
    end = FolderEnd(places.requests, places.answers, load_sealer(sealed.sealing, sealed.stream))
    requests, _ = end.read("", 10_000)
    hers = [one.request_id for one in requests if one.features["customer"] == HER]
    assert hers
    end.write([Answer(request_id=one.request_id, label="yes", at=one.at) for one in requests])
    run_files(places, sealed)
    assert erase(stream, HER, "--inputs") == 0
    end.close()
    left, _ = end.read("", 10_000)
    assert not end.faults
    asked = [one.request_id for one in left if isinstance(one, LabelRequested)]
    assert asked == [one.request_id for one in requests if one.request_id not in hers]
    end.close()
    capsys.readouterr()
    for path, n in ((places.requests, len(asked)), (places.answers, len(asked))):
        assert cli.main(["unseal", str(path), "--keys", str(keys)]) == 0
        assert len(capsys.readouterr().out.splitlines()) == n
    assert cli.main(["replay", str(places.state)]) == 0
