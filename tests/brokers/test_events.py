"""`headrace run --events redis://...` and `amqp://...`: each message once, whatever is killed."""

import json
import signal
import threading
import time
from contextlib import closing

import pika
import pytest

from brokers.servers import RedisServer
from commands.runs import SETTINGS, TOML, accidents, child, event, lines_of
from headrace import cli
from headrace.adapters.brokers.copying import COPY, MARK, QueueCopy
from headrace.adapters.brokers.sources import open_source
from headrace.drivers.files.places import RunFiles
from headrace.drivers.files.run import run_files
from headrace.errors import BadInput, BadSettings
from headrace.settings import parse


class Stream:
    """A stream of a Redis."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.url = f"{server.url}/{name}"

    def add(self, bodies):
        with self.server.client() as client, client.pipeline() as many:
            for body in bodies:
                many.xadd(self.name, {"event": body})
            many.execute()

    def left_n(self):
        """Entries that the group has not been told of."""
        with self.server.client() as client:
            groups = client.xinfo_groups(self.name)
            assert [group["pending"] for group in groups] == [0]
            return groups[0]["lag"]


class Queue:
    """A quorum queue of a RabbitMQ."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.url = f"{server.url}/{name}"
        with closing(server.connect()) as connection:
            self._declare(connection.channel())

    def _declare(self, channel, **options):
        return channel.queue_declare(
            self.name, durable=True, arguments={"x-queue-type": "quorum"}, **options
        )

    def add(self, bodies):
        with closing(self.server.connect()) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for body in bodies:
                channel.basic_publish(
                    "", self.name, body, pika.BasicProperties(delivery_mode=2), mandatory=True
                )

    def left_n(self):
        """Messages that nobody acknowledged."""
        until = time.monotonic() + 10
        while True:
            with closing(self.server.connect()) as connection:
                left_n = self._declare(connection.channel()).method.message_count
            # A connection that was just closed gives back what it had a moment later.
            if not left_n or time.monotonic() > until:
                return left_n
            time.sleep(0.1)


@pytest.fixture(params=["redis", "rabbit"])
def server(request):
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def source(server, name):
    return (Stream if isinstance(server, RedisServer) else Queue)(server, name)


@pytest.fixture
def places(tmp_path, source):
    return RunFiles(
        events=None,
        queue=source.url,
        answers=tmp_path / "answers.jsonl",
        requests=tmp_path / "requests.jsonl",
        state=tmp_path / "state",
    )


def bodies(start, stop):
    return [json.dumps(event(i)).encode() for i in range(start, stop)]


def copied(places):
    return [line["id"] for line in lines_of(places.state / COPY)]


def ids(start, stop):
    return [f"e{i}" for i in range(start, stop)]


def small(**queue):
    return parse({**SETTINGS, "queue": {"batch_max": 20, **queue}})


def test_what_is_there_is_fed_once_and_the_next_start_goes_on(places, source):
    notes = []
    source.add(bodies(0, 90))
    report = run_files(places, small(), on_note=notes.append)
    assert report.events.observed_n == 90
    source.add(bodies(90, 130))
    report = run_files(places, small(), on_note=notes.append)
    assert report.events.observed_n == 130
    assert report.events.rejected_n == {}
    assert copied(places) == ids(0, 130)
    assert source.left_n() == 0
    assert accidents(notes) == []
    # The folder is all that a replay needs.
    assert cli.main(["replay", str(places.state)]) == 0
    # The decisions are those of the same events in a file.
    alike = RunFiles(
        events=places.state / COPY,
        answers=places.answers,
        requests=places.requests.with_name("alike.jsonl"),
        state=places.state.with_name("alike"),
    )
    run_files(alike, small())
    assert alike.requests.read_bytes() == places.requests.read_bytes()


def test_with_follow_it_waits_for_more_until_told_to_stop(places, source):
    source.add(bodies(0, 30))
    stop, fed = threading.Event(), [0]

    def look(runner):
        fed.append(runner.engine.shard.events_n)

    thread = threading.Thread(
        target=run_files,
        args=(places, small()),
        kwargs={"follow": True, "stop": stop, "on_turn": look},
    )
    thread.start()
    wait_for(lambda: fed[-1] == 30)
    source.add(bodies(30, 45))
    wait_for(lambda: fed[-1] == 45)
    stop.set()
    thread.join(30)
    assert copied(places) == ids(0, 45)


def wait_for(is_so, within_s=180.0):
    until = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


class Crash(BaseException):
    """The process ends here."""


CUTS = ["in the copy", "before the mark", "before the word"]


@pytest.mark.parametrize("cut", CUTS)
def test_a_crash_between_copy_mark_and_word_loses_nothing_and_feeds_nothing_twice(
    places, source, cut, monkeypatch
):
    source.add(bodies(0, 50))

    def crash(*_):
        raise Crash

    cuts = {"in the copy": "sync", "before the mark": "_save_mark"}
    with monkeypatch.context() as patched, pytest.raises(Crash):
        if cut in cuts:
            patched.setattr(QueueCopy, "_open_copy", with_mark(QueueCopy._open_copy))
            patched.setattr(QueueCopy, cuts[cut], crash)
        else:
            _, made = open_source(source.url, small().queue, follow=False)
            patched.setattr(type(made), "acknowledge", crash)
        run_files(places, small())
    if cut == "in the copy":
        with (places.state / COPY).open("r+b") as file:
            file.truncate((places.state / COPY).stat().st_size - 7)
    assert (places.state / COPY).stat().st_size > 0
    report = run_files(places, small())
    assert report.events.observed_n == 50
    assert report.events.rejected_n == {}
    assert sorted(copied(places)) == sorted(ids(0, 50))
    assert source.left_n() == 0


def with_mark(opened):
    """Opening as it is, with the first mark there already: the crash is meant for the next."""

    def open_marked(self):
        path = self._mark_path
        kind, name = self._address.kind, self._address.name
        path.write_text(json.dumps({"kind": kind, "name": name, "stop": 0, "mark": ""}))
        return opened(self)

    return open_marked


def test_a_run_that_is_killed_again_and_again_feeds_each_message_once(places, source, tmp_path):
    (tmp_path / "settings.toml").write_text(TOML + "[queue]\nbatch_max = 7\n")
    argv = ["run", "--events", source.url, "--requests", str(places.requests)]
    argv += ["--state", str(places.state), "--settings", str(tmp_path / "settings.toml")]
    done_n = 0
    for i in range(3):
        source.add(bodies(100 * i, 100 * i + 100))
        running = child([*argv, "--follow"], tmp_path / "output.txt")
        wait_for(lambda before=done_n: len(copied(places)) > before + 20 + 9 * before % 5)
        running.kill()
        running.join()
        done_n = len(copied(places))
    assert running.exitcode == -signal.SIGKILL
    ended = child(argv, tmp_path / "output.txt")
    ended.join(60)
    assert ended.exitcode == 0, (tmp_path / "output.txt").read_text()
    assert sorted(copied(places)) == sorted(ids(0, 300))
    assert source.left_n() == 0
    assert lines_of(places.state / "rejects.jsonl") == []


def test_messages_that_are_no_events_go_to_the_rejects(places, source):
    pretty = json.dumps(event(1), indent=2).encode() + b"\r\n"
    source.add([b"{nonsense", bodies(0, 1)[0], b"", pretty, b"\xff\xfe"])
    report = run_files(places, small())
    assert report.events.observed_n == 2
    assert report.events.rejected_n == {"not_json": 1, "not_an_object": 1, "not_utf8": 1}


def test_another_queue_or_a_copy_that_was_cut_is_refused(places, source):
    source.add(bodies(0, 30))
    run_files(places, small())
    with pytest.raises(BadSettings, match="was begun with"):
        run_files(other(places, queue=f"{source.url}-other"), small())
    mark = (places.state / MARK).read_bytes()
    (places.state / MARK).unlink()
    with pytest.raises(BadInput, match=r"queue\.json, which says what they are, is gone"):
        run_files(places, small())
    (places.state / MARK).write_bytes(mark)
    copy = (places.state / COPY).read_bytes()
    (places.state / COPY).write_bytes(copy[:-10])
    with pytest.raises(BadInput, match="were copied to it"):
        run_files(places, small())
    (places.state / COPY).write_bytes(copy)
    assert run_files(places, small()).events.observed_n == 30


def other(places, **changed):
    fields = {name: getattr(places, name) for name in places.__dataclass_fields__}
    return RunFiles(**{**fields, **changed})


def test_a_decoder_of_your_own_is_refused(places):
    settings = parse({"input": {"decoder": "json:loads"}})
    with pytest.raises(BadSettings, match=r"input\.decoder is set"):
        run_files(places, settings)
