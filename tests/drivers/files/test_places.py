"""No two files of a run are one, whatever names they are given."""

import os

import pytest

from headrace.drivers.files.places import RunFiles, is_whole, refuse_the_same
from headrace.errors import BadSettings


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "state" / "snapshots").mkdir(parents=True)
    for name in ("e.jsonl", "a.jsonl", "r.jsonl", "s.toml", "state/journal"):
        (tmp_path / name).touch()
    return tmp_path


def places(folder, **named):
    names = {"events": "e.jsonl", "answers": "a.jsonl", "requests": "r.jsonl", "settings": "s.toml"}
    paths = {role: folder / name for role, name in (names | named).items() if name}
    return RunFiles(**{"events": None, "answers": None, **paths}, state=folder / "state")


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"requests": "e.jsonl"}, "--events and --requests are both"),
        ({"requests": "a.jsonl"}, "--answers and --requests are both"),
        ({"answers": "e.jsonl"}, "--events and --answers are both"),
        ({"requests": "s.toml"}, "--requests and --settings are both"),
        ({"requests": "state/../e.jsonl"}, "--events and --requests are both"),
        ({"requests": "new.jsonl", "answers": "NEW.jsonl"}, "--answers and --requests are both"),
        ({"requests": "soft"}, "--events and --requests are both"),
        ({"requests": "hard"}, "--events and --requests are both"),
        ({"requests": "dangling", "answers": "later.jsonl"}, "--answers and --requests are both"),
        ({"requests": "state/decisions.jsonl"}, "the run's own decisions.jsonl"),
        ({"requests": "state/Decisions.jsonl"}, "the run's own decisions.jsonl"),
        ({"requests": "state/rejects.jsonl"}, "the run's own rejects.jsonl"),
        ({"requests": "state/settings.json"}, "the run's own settings.json"),
        ({"requests": "to-the-journal"}, "the run's own journal"),
        ({"answers": "state/journal"}, "--answers is .*the run's own journal"),
        ({"events": "state/decisions.jsonl"}, "--events is .*the run's own decisions.jsonl"),
        ({"events": None, "requests": "state/stdin.jsonl"}, "the run's own stdin.jsonl"),
        ({"requests": "state/snapshots/more"}, "folder of the run's snapshots"),
    ],
)
def test_two_names_of_one_file_are_refused(folder, named, told):
    (folder / "soft").symlink_to(folder / "e.jsonl")
    os.link(folder / "e.jsonl", folder / "hard")
    (folder / "dangling").symlink_to(folder / "later.jsonl")
    (folder / "to-the-journal").symlink_to(folder / "state" / "journal")
    with pytest.raises(BadSettings, match=told):
        refuse_the_same(places(folder, **named))


@pytest.mark.parametrize(
    "named", [{}, {"events": None}, {"events": "state/stdin.jsonl"}, {"requests": "state/r.jsonl"}]
)
def test_files_of_their_own_are_taken(folder, named):
    refuse_the_same(places(folder, **named))


@pytest.mark.parametrize("line", [b"[1]", b' {"at": NaN} ', b'{"a": "\xc3\xa9"}'])
def test_a_whole_last_line_is_told_from_every_beginning_of_it(line):
    assert is_whole(line)
    stripped = line.strip()
    assert not any(is_whole(stripped[:end]) for end in range(len(stripped)))


@pytest.mark.parametrize("line", [b"", b"12", b"null", b"[" * 100_000, b"\xff", b"e1,1.0,2.0"])
def test_what_may_go_on_is_not_whole(line):
    assert not is_whole(line)
