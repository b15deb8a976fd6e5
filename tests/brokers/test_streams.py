"""What is particular to a stream of Redis, and to a queue of RabbitMQ, as the source of a run."""

import json
import threading
from contextlib import closing

import pytest

from brokers.servers import RedisServer
from brokers.test_events import Queue, Stream, bodies, copied, ids, small, wait_for
from commands.runs import accidents
from headrace.adapters.brokers.address import parse_address
from headrace.adapters.brokers.copying import Batch, QueueCopy
from headrace.adapters.brokers.sources import open_source
from headrace.drivers.files.places import RunFiles
from headrace.drivers.files.run import run_files
from headrace.errors import BadInput


def places_of(folder, url):
    return RunFiles(
        events=None,
        queue=url,
        answers=None,
        requests=folder / "requests.jsonl",
        state=folder / "state",
    )


@pytest.fixture
def stream(redis_server, name):
    return Stream(redis_server, name)


@pytest.fixture
def places(tmp_path, stream):
    return places_of(tmp_path, stream.url)


def test_an_entry_of_plain_fields_is_an_event_of_texts(places, client, name):
    for i in range(3):
        fields = {"id": f"e{i}", "at": "2026-03-01T10:00:00Z", "amount": "12.5", "card": "visa"}
        client.xadd(name, fields)
    client.xadd(name, {b"\xff": b"no text"})
    settings = small()
    settings = type(settings)(
        **{n: getattr(settings, n) for n in settings.__struct_fields__ if n != "input"},
        input=type(settings.input)(features=""),
    )
    report = run_files(places, settings)
    assert report.events.observed_n == 3
    assert report.events.rejected_n == {"not_utf8": 1}


def test_the_field_of_an_event_has_another_name(places, client, name):
    client.xadd(name, {"payload": bodies(0, 1)[0], "source": "web"})
    assert run_files(places, small(field="payload")).events.observed_n == 1


def test_the_group_tells_how_far_the_copy_is_and_its_lag(places, stream, client, name):
    stream.add(bodies(0, 50))
    run_files(places, small(group="watch"))
    (group,) = client.xinfo_groups(name)
    last = client.xrevrange(name, count=1)[0][0]
    assert (group["name"], group["last-delivered-id"], group["lag"]) == (b"watch", last, 0)
    stream.add(bodies(50, 57))
    assert client.xinfo_groups(name)[0]["lag"] == 7
    # A group that was lost is made again where the run is.
    client.xgroup_destroy(name, "watch")
    run_files(places, small(group="watch"))
    assert client.xinfo_groups(name)[0]["lag"] == 0
    client.xgroup_destroy(name, "watch")
    notes = []
    # How the stream is reached may change from start to start.
    run_files(places, small(group="other", batch_max=7), on_note=notes.append)
    assert [(g["name"], g["lag"]) for g in client.xinfo_groups(name)] == [(b"other", 0)]
    assert accidents(notes) == []


def test_entries_that_were_trimmed_unread_are_said_once(places, stream, client, name):
    notes = []
    stream.add(bodies(0, 30))
    run_files(places, small(), on_note=notes.append)
    stream.add(bodies(30, 60))
    client.xtrim(name, maxlen=5, approximate=False)
    assert accidents(notes) == []
    report = run_files(places, small(), on_note=notes.append)
    assert report.events.observed_n == 35
    (note,) = accidents(notes)
    assert note.startswith(f"25 entries of the stream {name} after ")
    assert "were removed before they were read; trim it by MINID" in note
    stream.add(bodies(60, 61))
    run_files(places, small(), on_note=notes.append)
    assert len(accidents(notes)) == 1
    # What was read may go.
    client.xtrim(name, maxlen=0, approximate=False)
    stream.add(bodies(61, 62))
    assert run_files(places, small(), on_note=notes.append).events.observed_n == 37
    assert len(accidents(notes)) == 1
    # All of it, in the middle of a batch, and with nothing left to read.
    stream.add(bodies(62, 112))
    client.xtrim(name, maxlen=45, approximate=False)
    assert run_files(places, small(), on_note=notes.append).events.observed_n == 82
    stream.add(bodies(112, 120))
    client.xtrim(name, maxlen=0, approximate=False)
    for _ in range(2):
        run_files(places, small(), on_note=notes.append)
    counts = [note.partition(" ")[0] for note in accidents(notes)]
    assert counts == ["25", "5", "8"]


def test_a_stream_begun_anew_is_refused_and_one_that_is_gone_is_waited_for(
    places, stream, client, name
):
    stream.add(bodies(0, 10))
    run_files(places, small())
    client.delete(name)
    assert run_files(places, small()).events.observed_n == 10
    client.xadd(name, {"event": bodies(10, 11)[0]}, id="5-1")
    with pytest.raises(BadInput, match="it was begun anew"):
        run_files(places, small())
    client.delete(name)
    stream.add(bodies(10, 12))
    assert run_files(places, small()).events.observed_n == 12


def test_a_key_that_is_no_stream_is_refused(places, client, name):
    client.set(name, "x")
    with pytest.raises(BadInput, match="WRONGTYPE"):
        run_files(places, small())


def test_a_server_that_is_away_is_tried_again_and_both_are_said(redis_installed, tmp_path):
    notes, fed, stop = [], [0], threading.Event()
    with RedisServer(tmp_path / "own") as server:
        stream = Stream(server, "log")
        places = places_of(tmp_path, stream.url)
        stream.add(bodies(0, 20))
        thread = threading.Thread(
            target=run_files,
            args=(places, small()),
            kwargs={
                "follow": True,
                "stop": stop,
                "on_note": notes.append,
                "on_turn": lambda runner: fed.append(runner.engine.shard.events_n),
            },
        )
        thread.start()
        wait_for(lambda: fed[-1] == 20)
        server.kill()
        wait_for(lambda: accidents(notes))
        server.start()
        stream.add(bodies(20, 30))
        wait_for(lambda: fed[-1] == 30)
        stop.set()
        thread.join(30)
        assert copied(places) == ids(0, 30)
        away, back = accidents(notes)
        assert "is away: " in away
        assert away.endswith("trying again until it is back")
        assert back == f"redis at 127.0.0.1:{server.port} is back"
    # Nobody waits for ever for the end of a run that has one.
    with pytest.raises(BadInput, match=r"is away: .*start again when it is back"):
        run_files(places, small())


def test_a_queue_that_is_not_there_is_refused(rabbit_server, tmp_path):
    places = places_of(tmp_path, f"{rabbit_server.url}/no-such-queue")
    with pytest.raises(BadInput, match="no queue 'no-such-queue'"):
        run_files(places, small())


def test_what_a_queue_gives_again_is_known_by_id_and_content(rabbit_server, name):
    queue = Queue(rabbit_server, name)
    queue.add([b"1", b"2", b"2", b"3"])

    def reopened():
        return open_source(queue.url, small(batch_max=2).queue, follow=False)[1]

    with closing(reopened()) as source:
        first = source.read("", 0.5)
        while len(first.bodies) < 2:
            first = source.read(first.mark, 0.5)
    # Nothing was acknowledged: all of it comes again, and the mark knows what was copied.
    found = []
    with closing(reopened()) as source:
        batch = first
        while not batch.is_end:
            batch = source.read(batch.mark, 0.5)
            found += batch.bodies
            source.acknowledge()
    # Two that say the same are one.
    assert sorted({*first.bodies, *found}) == [b"1", b"2", b"3"]
    assert len(first.bodies) + len(found) == 3
    assert queue.left_n() == 0


class Fed:
    """A source that gives what it was told."""

    def __init__(self, *batches):
        self.batches, self.told = list(batches), 0

    def read(self, mark, timeout_s):
        return self.batches.pop(0)

    def acknowledge(self):
        self.told += 1

    def close(self):
        pass


def test_the_mark_is_safe_before_the_broker_is_told(tmp_path, monkeypatch):
    source = Fed(Batch((b"{}",), "m1"), Batch((), "m1", is_end=True))
    address = parse_address("redis://127.0.0.1/log", "--events")
    copy = QueueCopy(source, address, tmp_path, follow=False, note=print)
    with closing(copy):
        order = []
        for name in ("sync", "_save_mark"):
            kept = getattr(copy, name)
            monkeypatch.setattr(
                copy, name, lambda *a, name=name, kept=kept: (order.append(name), kept(*a))
            )
        kept_word = source.acknowledge
        monkeypatch.setattr(source, "acknowledge", lambda: (order.append("word"), kept_word()))
        assert copy.pump(0.0)
        assert order == ["sync", "_save_mark", "word"]
        assert json.loads((tmp_path / "queue.json").read_text())["stop"] == 3
        assert not copy.has_ended
        assert not copy.pump(0.0)
        assert copy.has_ended
