"""Of what `[privacy]` hides, nothing reaches a file that leaves a run; and the run is the same."""

import json
import threading
from contextlib import closing

import pytest

from commands.runs import SETTINGS, Stream, answer_to, copy_of, event
from headrace.bridges.desk.features import Usual
from headrace.bridges.folder import FolderEnd
from headrace.commands.replay import replay_run
from headrace.messages import LabelRequested
from headrace.settings import parse

HIDDEN = "s3cret"


def settings_of(folder, **privacy):
    (folder / "privacy.key").write_text("k" * 64)
    named = {
        "features": {"x": "keep", "y": "round:5", "who": "hash", "card": "mask:2"},
        "key_file": str(folder / "privacy.key"),
        "event_id": "hashed",
    }
    return parse({**SETTINGS, "privacy": named | privacy})


def private_event(i):
    found = event(i)
    found["features"] |= {"who": f"{HIDDEN}-{i}", "card": f"{HIDDEN}4711", "not_listed": HIDDEN}
    return found | {"key": f"{HIDDEN}{i}", "id": f"{HIDDEN}-id-{i}"}


BAD = [
    {"id": f"{HIDDEN}-a", "at": HIDDEN, "features": {"x": 1}},
    {"id": f"{HIDDEN}-b", "at": 1_700_000_000.0, "features": HIDDEN},
    {"id": [HIDDEN], "at": 1_700_000_000.0, "features": {}},
    {"id": f"{HIDDEN}-c", "at": 1_700_000_000.0, "features": {}, "probabilities": {HIDDEN: 7}},
    {"id": f"{HIDDEN}-d", "at": 1_700_000_000.0, "features": {}, "key": {"a": HIDDEN}},
]


def write(stream, start, stop):
    with stream.places.events.open("a") as file:
        for i in range(start, stop):
            file.write(json.dumps(private_event(i)) + "\n")
        for bad in BAD:
            file.write(json.dumps(bad) + "\n")
        file.write(f'{{"cut": "{HIDDEN}\n"{HIDDEN}"\n')


def answer(stream):
    """By the true features, which whoever labels has to know from elsewhere."""
    true = {one["request_id"]: one for one in stream.decisions("LabelRequested")}
    answered = stream.places.answers.read_text() if stream.places.answers.exists() else ""
    with stream.places.answers.open("a") as file:
        for request in stream.requests():
            if request["request_id"] not in answered:
                file.write(json.dumps(answer_to(true[request["request_id"]])) + "\n")


def lived(folder, settings):
    folder.mkdir()
    stream = Stream(folder)
    for start in (0, 200, 400):
        write(stream, start, start + 200)
        stream.run(settings=settings)
        answer(stream)
    stream.run(settings=settings)
    return stream


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    """A run of which this is hidden; to be read, not changed."""
    folder = tmp_path_factory.mktemp("private")
    return lived(folder / "run", settings_of(folder))


def test_nothing_hidden_leaves_and_every_decision_is_that_of_an_open_run(private, tmp_path):
    plain = lived(tmp_path / "open", parse(SETTINGS))
    requests, rejects = private.places.requests, private.places.state / "rejects.jsonl"
    for path in (requests, rejects):
        assert path.stat().st_size > 0
        assert HIDDEN not in path.read_text()
    key = private.folder.with_name("privacy.key").read_bytes()
    for path in private.folder.rglob("*"):
        assert not path.is_file() or key not in path.read_bytes()
    shown = private.requests()
    assert all({*one["features"]} == {"x", "y", "who", "card"} for one in shown)
    assert {one["features"]["card"] for one in shown} == {"****11"}
    reasons = {json.loads(line)["reason"] for line in rejects.read_text().splitlines()}
    assert {"bad_time", "bad_features", "bad_id", "not_json"} <= reasons
    decided = [stream.written()[1] for stream in (private, plain)]
    assert decided[0] == decided[1]
    assert len(private.decisions("LabelSettled")) > 40
    assert not replay_run(private.places.state).difference


def test_a_desk_knows_what_is_usual_only_of_what_it_may_see(private):
    with closing(FolderEnd(private.places.requests, private.places.answers)) as end:
        records, _ = end.read("", 1000)
    questions = [one for one in records if isinstance(one, LabelRequested)]
    usual = Usual(questions)
    assert len(questions) > 40
    assert {row["name"] for row in usual.rank_features(questions[-1])} == {"x", "y", "who", "card"}
    assert HIDDEN not in repr(usual.rank_features(questions[-1]))


def test_a_run_that_is_cut_goes_on_to_the_same_bytes(private, tmp_path):
    settings = settings_of(tmp_path)
    cut, again = (copy_of(private, tmp_path / name) for name in ("cut", "again"))
    for _ in range(3):
        stop = threading.Event()
        cut.run(settings=settings, stop=stop, on_turn=lambda runner, stop=stop: stop.set())
    cut.run(settings=settings)
    again.run(settings=settings)
    assert cut.written()[:2] == again.written()[:2]


def test_what_is_shown_may_change_from_one_start_to_the_next(tmp_path):
    stream = Stream(tmp_path)
    write(stream, 0, 200)
    stream.run(settings=settings_of(tmp_path))
    first = len(stream.requests())
    write(stream, 200, 400)
    stream.run(settings=settings_of(tmp_path, features={"x": "keep"}))
    shown = [{*one["features"]} for one in stream.requests()]
    assert 0 < first < len(shown)
    assert shown == [{"x", "y", "who", "card"}] * first + [{"x"}] * (len(shown) - first)
    assert not replay_run(stream.places.state).difference


@pytest.mark.parametrize(("events_n", "told_n"), [(200, 1), (10, 0)])
def test_a_listed_feature_that_no_request_has_is_told_once(tmp_path, events_n, told_n):
    stream, notes = Stream(tmp_path), []
    write(stream, 0, events_n)
    features = {"x": "keep", "crad": "keep"}
    stream.run(settings=settings_of(tmp_path, features=features), on_note=notes.append)
    told = [note for note in notes if note.startswith("privacy.features")]
    assert len(told) == told_n or (events_n == 10 and not stream.requests())
    assert all("did you mean card?" in note for note in told)


def test_a_kill_at_any_byte_of_the_requests_is_completed(tmp_path):
    settings = settings_of(tmp_path)
    stream = Stream(tmp_path)
    write(stream, 0, 250)
    stream.run(settings=settings)
    written = stream.places.requests.read_bytes()
    for snapshot in (stream.places.state / "snapshots").glob("snapshot-*"):
        snapshot.unlink()
    stream.places.requests.write_bytes(written[: len(written) * 2 // 3])
    stream.run(settings=settings)
    assert stream.places.requests.read_bytes() == written
