"""A run whose requests and answers are sealed is the run that it would be without, and readable."""

import json
import shutil
import threading
from contextlib import closing
from dataclasses import replace

import msgspec
import pytest

from commands.runs import SETTINGS, Kept, Stream, answer_to
from headrace import cli
from headrace.adapters.sealing import load_sealer
from headrace.bridges.folder import FolderEnd, places_of
from headrace.commands.replay import replay_run
from headrace.drivers.audit.verify import verify_log
from headrace.drivers.files.run import run_files
from headrace.errors import BadSettings
from headrace.messages import Answer, LabelRequested
from headrace.settings import parse

KEYS = ("n" * 64, "o" * 64)


def settings_of(folder, *keys, **more):
    path = folder / "seal.keys"
    path.write_text("\n".join(keys or KEYS[:1]))
    return parse({**SETTINGS, "sealing": {"keys_file": str(path)}, **more})


def end_of(stream, settings):
    sealer = load_sealer(settings.sealing, settings.stream)
    return closing(FolderEnd(stream.places.requests, stream.places.answers, sealer))


def requests_of(stream, settings):
    with end_of(stream, settings) as end:
        records, _ = end.read("", 10_000)
        assert end.faults == []
    return [one for one in records if isinstance(one, LabelRequested)]


def answer(stream, settings, answered):
    new = [one for one in requests_of(stream, settings) if one.request_id not in answered]
    answered.update(one.request_id for one in new)
    with end_of(stream, settings) as end:
        for request in new:
            found = answer_to(msgspec.to_builtins(request))
            end.write([msgspec.convert({"type": "Answer", **found}, Answer)])


def lived(folder, settings):
    folder.mkdir()
    stream, answered = Stream(folder), set()
    for start in range(0, 400, 100):
        stream.write_events(start, start + 100)
        stream.run(settings=settings)
        answer(stream, settings, answered)
    stream.run(settings=settings)
    return stream


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sealed")
    settings = settings_of(folder)
    return Kept(lived(folder / "run", settings)), settings


@pytest.fixture
def past(kept):
    return kept[0].put_back(), kept[1]


def test_every_decision_is_that_of_a_run_that_is_not_sealed(past, tmp_path):
    stream, settings = past
    plain = lived(tmp_path / "plain", parse(SETTINGS))
    assert stream.written()[1:] == plain.written()[1:]
    assert len(stream.decisions("LabelSettled")) > 50
    theirs = [json.loads(line) for line in plain.places.requests.read_text().splitlines()]
    ours = [msgspec.to_builtins(one) for one in requests_of(stream, settings)]
    assert ours == [one for one in theirs if one["type"] == "LabelRequested"]
    for path in (stream.places.requests, stream.places.answers):
        for line in path.read_text().splitlines():
            assert set(json.loads(line)) == {"type", "of", "key", "data"}
    assert not replay_run(stream.places.state).difference


def test_a_run_that_is_decided_again_writes_the_bytes_that_are_there(past, tmp_path):
    stream, settings = past
    written = stream.written()
    shutil.rmtree(stream.places.state / "snapshots")
    stream.places.requests.write_bytes(written[0][: len(written[0]) * 2 // 3])
    stream.run(settings=settings)
    assert stream.written() == written


def test_a_torn_line_is_completed_though_key_and_privacy_have_changed_since(past, tmp_path):
    stream, settings = past
    written = stream.places.requests.read_bytes()
    shutil.rmtree(stream.places.state / "snapshots")
    before_n = len(requests_of(stream, settings))
    torn = written.rfind(b"\n", 0, len(written) * 2 // 3) + 40
    stream.places.requests.write_bytes(written[:torn])
    rotated = settings_of(tmp_path, KEYS[1], KEYS[0], privacy={"features": {"x": "keep"}})
    notes = []
    stream.run(settings=rotated, on_note=notes.append)
    assert any("lines of its outputs would be others" in note for note in notes)
    shown = [{*one.features} for one in requests_of(stream, rotated)]
    assert shown[0] == {"x", "y"} and shown[-1] == {"x"}
    assert len(shown) == before_n


def test_keys_are_rotated_between_two_starts(past, tmp_path):
    stream, settings = past
    known = {one.request_id for one in requests_of(stream, settings)}
    rotated = settings_of(tmp_path, KEYS[1], KEYS[0])
    stream.write_events(400, 600)
    stream.run(settings=rotated)
    answer(stream, rotated, known)
    settled_n = len(stream.decisions("LabelSettled"))
    stream.run(settings=rotated)
    assert len(stream.decisions("LabelSettled")) > settled_n
    assert places_of(stream.places.state).settings == rotated
    assert not replay_run(stream.places.state).difference
    stream.write_events(600, 700)
    with pytest.raises(BadSettings, match=r"answers.*sealed by the key .*does not hold it"):
        shutil.rmtree(stream.places.state / "snapshots")
        stream.run(settings=settings_of(tmp_path, KEYS[0]))
    stream.run(settings=settings_of(tmp_path, KEYS[1], KEYS[0]))


@pytest.mark.parametrize("kind", ["plain", "altered", "moved"])
def test_an_answer_that_is_not_sealed_where_it_stands_is_rejected_and_the_others_count(
    past, tmp_path, kind
):
    stream, settings = past
    known = {one.request_id for one in requests_of(stream, settings)}
    stream.write_events(400, 500)
    stream.run(settings=settings)
    new = [one for one in requests_of(stream, settings) if one.request_id not in known]
    lines = stream.places.answers.read_bytes().splitlines(keepends=True)
    alien = {
        "plain": json.dumps(answer_to(msgspec.to_builtins(new[0]))).encode() + b"\n",
        "altered": lines[0].replace(lines[0][-40:-30], b"A" * 10),
        "moved": lines[-1],
    }[kind]
    with stream.places.answers.open("ab") as file:
        file.write(alien)
    answer(stream, settings, known)
    settled_n = len(stream.decisions("LabelSettled"))
    stream.run(settings=settings)
    (rejected,) = stream.decisions("InputRejected")
    assert rejected["reason"] == "not_sealed"
    assert len(stream.decisions("LabelSettled")) == settled_n + len(new)
    assert not replay_run(stream.places.state).difference


def test_a_bridge_passes_over_a_request_that_was_swapped_and_says_so(past, tmp_path):
    stream, settings = past
    lines = stream.places.requests.read_bytes().splitlines(keepends=True)
    i = next(i for i in range(len(lines)) if len(lines[i]) == len(lines[i + 1]))
    lines[i], lines[i + 1] = lines[i + 1], lines[i]
    stream.places.requests.write_bytes(b"".join(lines))
    with end_of(stream, settings) as end:
        records, _ = end.read("", 10_000)
        assert len(records) == len(lines) - 2
        assert all("its seal does not fit" in fault for fault in end.faults)


def test_a_run_is_sealed_for_life_or_not_at_all(past, tmp_path):
    sealed, plain = past[0], Stream(tmp_path)
    with pytest.raises(BadSettings, match="was begun with sealed files"):
        sealed.run(settings=parse(SETTINGS))
    plain.write_events(0, 50)
    plain.run()
    with pytest.raises(BadSettings, match="was begun without sealing"):
        plain.run(settings=settings_of(tmp_path))


def test_a_writer_that_was_killed_within_a_line_costs_that_line_alone(past, tmp_path):
    stream, settings = past
    known = {one.request_id for one in requests_of(stream, settings)}
    stream.write_events(400, 500)
    stream.run(settings=settings)
    with stream.places.answers.open("ab") as file:
        file.write(b'{"type":"Sealed","of":"default/ans')
    answer(stream, settings, known)
    stop = threading.Event()
    stream.run(settings=settings, stop=stop)
    rejected = [one["reason"] for one in stream.decisions("InputRejected")]
    assert rejected == ["not_sealed"]
    open_ids = {one.request_id for one in requests_of(stream, settings)}
    settled = {one["request_id"] for one in stream.decisions("LabelSettled")}
    assert open_ids - settled == set()


def test_answers_of_a_table_are_refused(past, tmp_path):
    stream, settings = past
    table = tmp_path / "answers.json"
    table.write_text("[]")
    with pytest.raises(BadSettings, match="is a table, and sealing"):
        run_files(replace(stream.places, answers=table), settings)


def test_headrace_unseal_reads_both_files(past, tmp_path, capsys):
    stream, settings = past
    keys = settings.sealing.keys_file
    assert cli.main(["unseal", str(stream.places.requests), "--keys", keys]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(one)["request_id"] for one in lines if "LabelRequested" in one] == [
        one.request_id for one in requests_of(stream, settings)
    ]
    assert cli.main(["unseal", str(stream.places.answers), "--keys", keys]) == 0
    assert '"label":"yes"' in capsys.readouterr().out
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"plain\n" + stream.places.answers.read_bytes())
    assert cli.main(["unseal", str(cut), "--keys", keys]) == 1
    told = capsys.readouterr()
    assert told.out == "" and "byte 0: it is not sealed" in told.err
    (tmp_path / "other").write_text("x" * 64)
    other = ["unseal", str(stream.places.answers), "--keys", str(tmp_path / "other")]
    assert cli.main(other) == 2
    assert "does not hold it" in capsys.readouterr().err


def test_the_audit_log_of_a_sealed_run_agrees_with_its_files(tmp_path):
    stream = lived(tmp_path / "run", settings_of(tmp_path, audit={"is_kept": True}))
    found = verify_log(stream.places.state)
    assert found.faults == []
    assert "the file of requests" in found.compared
    entries = (stream.places.state / "audit").glob("decided*")
    text = "".join(path.read_text() for path in entries)
    assert text.count('"what":"answered"') == len(stream.decisions("LabelSettled")) > 30
