"""The folder: nothing twice, corrections come through, people's files are left alone."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bridges.formats.tools import NAMES, TOOLS, Said, format_of, request
from headrace.bridges.bridge import Delivery, Unreachable
from headrace.bridges.files import Files
from headrace.bridges.formats import FilesSettings, Given, Reading
from headrace.errors import BadInput, BadSettings
from headrace.testing import check_bridge


def settings_of(**others) -> FilesSettings:
    return FilesSettings(**({"quiet_s": 0.0, "gather_s": 0.0} | others))


class Folder:
    """A bridge with a clock that is set, and people who save files."""

    def __init__(self, path: Path, **settings) -> None:
        self.path = path
        self.settings = settings
        self.now = 1_000.0
        self.mark = ""
        self.bridge = self.begun()

    def begun(self) -> Files:
        return Files(
            settings_of(**self.settings), self.path, clock=lambda: self.now, outlives_power=False
        )

    def restart(self) -> None:
        self.bridge.close()
        self.bridge = self.begun()

    def ask(self, *names: str, **others) -> None:
        self.bridge.send([Delivery(name, request(name, **others)) for name in names])

    def end(self, *names: str) -> None:
        self.bridge.send([Delivery(name, reason="expired") for name in names])

    def save(self, name: str, content: str | bytes, at: float | None = None) -> None:
        path = self.bridge.answers / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.now = self.now + 10.0 if at is None else at
        os.utime(path, (self.now, self.now))

    def look(self):
        """What is new, until nothing is; then all of it is safe."""
        found, faults = [], []
        while True:
            receipt = self.bridge.receive(self.mark)
            faults += receipt.faults
            if not receipt.replies:
                return found, faults
            found += [(one.request_id, one.label, one.annotator) for one in receipt.replies]
            self.mark = receipt.mark

    @property
    def task_files(self) -> list[Path]:
        return sorted(self.bridge.tasks.iterdir())


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "home", classes=["ham", "spam"])
    yield made
    made.bridge.close()


HEAD = "request_id,label,annotator\n"


# -------------------------------------------------------------------------------------- tasks


def test_a_sending_is_one_file_and_sent_again_it_is_the_same_file(folder):
    folder.ask("r1", "r2")
    (path,) = folder.task_files
    content = path.read_bytes()
    folder.restart()
    folder.ask("r1", "r2")
    assert folder.task_files == [path]
    assert path.read_bytes() == content
    folder.ask("r2", "r3")
    assert len(folder.task_files) == 2
    assert b"r2" not in folder.task_files[1].read_bytes()


def test_a_file_that_was_cut_before_it_was_there_is_written_at_the_next_start(folder, monkeypatch):
    monkeypatch.setattr(
        Path, "replace", lambda self, other: (_ for _ in ()).throw(OSError(28, "full"))
    )
    folder.ask("r1")
    with pytest.raises(Unreachable, match="full"):
        folder.look()
    monkeypatch.undo()
    folder.restart()
    folder.look()
    assert b"r1" in folder.task_files[-1].read_bytes()
    assert [path.name[0] for path in folder.task_files] in (["t"], [".", "t"])


def test_tasks_wait_for_others_for_a_while(tmp_path):
    folder = Folder(tmp_path, gather_s=60.0, tasks_max=3)
    folder.ask("r1")
    folder.now += 59
    folder.ask("r2")
    folder.look()
    assert folder.task_files == []
    folder.now += 1
    folder.look()
    assert [path.read_bytes().count(b"margin") for path in folder.task_files] == [0]
    assert [f"r{i}".encode() in folder.task_files[0].read_bytes() for i in (1, 2)] == [True, True]
    folder.ask(*[f"s{i}" for i in range(7)])
    assert len(folder.task_files) == 3
    folder.now -= 1_000_000  # the clock was put right
    folder.look()
    assert len(folder.task_files) == 4
    folder.bridge.close()


def test_a_task_that_ended_leaves_its_file_and_the_last_one_takes_it_along(folder):
    folder.ask("r1", "r2", "r3")
    (path,) = folder.task_files
    folder.end("r2")
    assert [name in path.read_text() for name in ("r1", "r2", "r3")] == [True, False, True]
    folder.restart()
    folder.end("r1")
    folder.end("r3", "unknown")
    assert folder.task_files == []


def test_a_file_that_somebody_took_or_changed_is_left_alone(folder):
    folder.ask("r1", "r2")
    folder.ask("r3", "r4")
    first, second = folder.task_files
    first.unlink()
    second.write_text("mine")
    for name in ("r1", "r3", "r2", "r4"):
        folder.end(name)
        folder.restart()
        folder.look()
        assert folder.task_files == [second]
        assert second.read_text() == "mine"


def test_a_rewriting_that_was_cut_is_known_for_ours(folder, monkeypatch):
    folder.ask("r1", "r2", "r3")
    (path,) = folder.task_files
    memory = folder.bridge._memory
    monkeypatch.setattr(memory, "has_written", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        folder.end("r1")
    folder.restart()
    folder.end("r2")
    assert [name in path.read_text() for name in ("r1", "r2", "r3")] == [False, False, True]


# ------------------------------------------------------------------------------------ answers


def test_answers_are_read_once_and_corrections_come_through(folder):
    folder.ask("r1", "r2")
    folder.save("a.csv", HEAD + "r1,ham,ada\nr2,,\n")
    assert folder.look() == ([("r1", "ham", "ada")], [])
    assert folder.look() == ([], [])
    folder.save("a.csv", HEAD + "r1,ham,ada\nr2,spam,ada\n")
    assert folder.look() == ([("r2", "spam", "ada")], [])
    folder.save("a.csv", HEAD + "r1,spam,ada\nr2,spam,ada\n")
    assert folder.look() == ([("r1", "spam", "ada")], [])
    folder.restart()
    assert folder.look() == ([], [])
    # Back to what it was: the last one counts, and each is later than the one before.
    folder.save("a.csv", HEAD + "r1,ham,ada\nr2,spam,ada\n", at=5.0)
    receipt = folder.bridge.receive(folder.mark)
    assert [(one.label, one.at) for one in receipt.replies] == [("ham", 1_030.001)]


def test_a_copy_of_a_file_says_nothing_new_and_an_old_one_corrects_nothing(folder):
    folder.ask("r1")
    folder.save("a.csv", HEAD + "r1,ham,ada\n")
    folder.save("copy of a.csv", HEAD + "r1,ham,ada\n")
    assert folder.look() == ([("r1", "ham", "ada")], [])
    folder.save("b.csv", HEAD + "r1,spam,ada\n")
    assert folder.look() == ([("r1", "spam", "ada")], [])
    # Somebody adds a line to the first file, whose old line stands there still.
    folder.save("a.csv", HEAD + "r1,ham,ada\nr1,ham,bob\n")
    assert folder.look() == ([("r1", "ham", "bob")], [])


def test_a_label_that_is_emptied_is_taken_back_and_a_line_that_is_gone_is_not(folder):
    folder.ask("r1", "r2")
    folder.save("a.csv", HEAD + "r1,ham,ada\nr2,ham,ada\n")
    folder.look()
    folder.save("a.csv", HEAD + "r1,,\n")
    assert folder.look() == ([("r1", None, "ada")], [])
    folder.save("a.csv", HEAD + "r1,spam,ada\n")
    assert folder.look() == ([("r1", "spam", "ada")], [])
    (folder.bridge.answers / "a.csv").unlink()
    assert folder.look() == ([], [])


def test_who_answered_is_in_the_file_or_is_whose_folder_it_is_in(folder):
    folder.ask("r1", "r2")
    folder.save("a.csv", "request_id,label\nr1,ham\n")
    folder.save("bob/a.csv", HEAD + "r1,spam,\nr2,ham,cy\n")
    found, faults = folder.look()
    assert (sorted(found), faults) == (
        [("r1", "ham", ""), ("r1", "spam", "bob"), ("r2", "ham", "cy")], [],
    )  # fmt: skip


def test_of_two_lines_of_one_annotator_the_later_one_counts(folder):
    folder.ask("r1", "r2")
    head = "request_id,label,annotator,at\n"
    folder.save("a.csv", head + "r1,ham,ada,20\nr1,spam,ada,10\nr2,ham,ada,\nr2,spam,ada,\n")
    assert folder.look()[0] == [("r2", "spam", "ada"), ("r1", "ham", "ada")]


def test_classes_are_spelt_as_we_know_them_and_others_are_faults(tmp_path):
    folder = Folder(tmp_path, classes=["true", "caf\u00e9", "Spam"])
    folder.ask("r1", "r2", "r3", "r4", "r5")
    lines = ["r1,TRUE,", "r2,cafe\u0301,", "r3, sPAM ,", "r4,spma,", "r5,?,"]
    folder.save("a.csv", HEAD + "\n".join(lines))
    found, faults = folder.look()
    assert [(one[0], one[1]) for one in found] == [
        ("r1", "true"), ("r2", "caf\u00e9"), ("r3", "Spam"), ("r5", None),
    ]  # fmt: skip
    assert faults == ["answers/a.csv: line 5: class 'spma' is none of true, caf\u00e9, Spam"]
    assert folder.look() == ([], [])
    folder.bridge.close()


def test_what_is_wrong_is_said_once_by_line_and_the_rest_is_read(folder):
    folder.ask("r1", "r2")
    folder.save("a.csv", HEAD + f"r1,hma,\nrX,ham,\nr2,ham,{'x' * 300}\nr2,spam,ada\n")
    found, faults = folder.look()
    assert found == [("r2", "spam", "ada")]
    assert faults == [
        "answers/a.csv: line 2: class 'hma' is none of ham, spam; did you mean ham?",
        "answers/a.csv: line 3: request 'rX' is none that was asked here",
        "answers/a.csv: line 4: annotator must be text of at most 200 characters",
    ]
    folder.restart()
    assert folder.look() == ([], [])


def test_one_file_that_is_none_does_not_stop_the_others(folder):
    folder.ask("r1")
    folder.save("a.png", b"\x89PNG\r\n\x1a\n\x00")
    folder.save("b.xlsx", b"PK\x03\x04")
    folder.save("c.csv", HEAD + "r1,ham,ada\n")
    found, faults = folder.look()
    assert found == [("r1", "ham", "ada")]
    assert len(faults) == 2


def test_a_file_that_is_too_large_is_not_read_and_said_once(tmp_path):
    folder = Folder(tmp_path, file_bytes_max=1_000)
    folder.ask("r1")
    folder.save("a.csv", HEAD + "r1,ham,ada\n" + "," * 2_000)
    found, faults = folder.look()
    assert (found, len(faults)) == ([], 1)
    assert "file_bytes_max" in faults[0]
    assert folder.look() == ([], [])
    folder.save("a.csv", HEAD + "r1,ham,ada\n")
    assert folder.look()[0] == [("r1", "ham", "ada")]
    folder.bridge.close()


def test_files_are_read_again_with_other_settings(folder):
    folder.ask("r1", "r2")
    folder.save("a.csv", HEAD + "r1,eggs,ada\nr2,ham,ada\n")
    found, faults = folder.look()
    assert (found, len(faults)) == ([("r2", "ham", "ada")], 1)
    folder.settings["classes"] = ["ham", "spam", "eggs"]
    folder.restart()
    assert folder.look() == ([("r1", "eggs", "ada")], [])


def test_a_file_is_read_when_it_is_quiet(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("headrace.bridges.files.time.monotonic", lambda: now[0])
    folder = Folder(tmp_path, quiet_s=2.0)
    folder.ask("r1")
    folder.save("a.csv", HEAD + "r1,h")
    assert folder.look() == ([], [])
    now[0] += 1.9
    folder.save("a.csv", HEAD + "r1,ham,ada\n")
    now[0] += 0.1
    assert folder.look() == ([], [])
    now[0] += 2.0
    assert folder.look() == ([("r1", "ham", "ada")], [])
    folder.bridge.close()


def test_what_is_not_finished_and_what_is_no_file_is_passed_over(folder):
    folder.ask("r1")
    for name in (".hidden.csv", "~$a.csv", "a.csv.part", "a.csv~", "a.crdownload"):
        folder.save(name, HEAD + "r1,ham,ada\n")
    os.mkfifo(folder.bridge.answers / "pipe.csv")
    (folder.bridge.answers / "gone.csv").symlink_to("nowhere")
    folder.save("deep/x.csv", "")
    (folder.bridge.answers / "deep" / "deeper").mkdir()
    found, faults = folder.look()
    assert found == []
    assert [fault.partition(":")[0].split(" is ")[0] for fault in faults] == [
        "answers/deep/x.csv", "answers/deep/deeper",
    ]  # fmt: skip
    assert folder.look() == ([], [])


def test_what_cannot_be_read_is_said_once_and_stops_nothing(folder, monkeypatch):
    folder.ask("r1", "r2")
    folder.save("a.csv", HEAD + "r1,ham,ada\n")
    folder.save("b.csv", HEAD + "r1,ham,bob\n")
    folder.save("cy/c.csv", HEAD + "r1,ham,cy\n")
    locked = ["a.csv", "cy"]
    read_bytes, iterdir = Path.read_bytes, Path.iterdir

    def refusing(read):
        def refused(path):
            if path.name in locked:
                raise PermissionError(13, "Permission denied", str(path))
            return read(path)

        return refused

    monkeypatch.setattr(Path, "read_bytes", refusing(read_bytes))
    monkeypatch.setattr(Path, "iterdir", refusing(iterdir))
    found, faults = folder.look()
    assert found == [("r1", "ham", "bob")]
    assert faults == [
        "answers/cy can't be read: Permission denied",
        "answers/a.csv can't be read: Permission denied",
    ]
    assert folder.look() == ([], [])
    locked.clear()
    assert folder.look() == ([("r1", "ham", "ada"), ("r1", "ham", "cy")], [])


def test_answers_come_through_while_tasks_cannot_be_written(folder, monkeypatch):
    folder.ask("r1")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    folder.ask("r2")
    folder.save("a.csv", HEAD + "r1,ham,ada\nr1,no,bob\n")
    receipt = folder.bridge.receive("")
    assert (len(receipt.replies), len(receipt.faults)) == (1, 1)
    with pytest.raises(Unreachable, match="full"):
        folder.bridge.receive(receipt.mark)
    monkeypatch.undo()
    folder.bridge.receive(receipt.mark)
    assert [name in folder.task_files[1].read_text() for name in ("r1", "r2")] == [False, True]


def test_answers_to_what_ended_still_pass(folder):
    folder.ask("r1")
    folder.end("r1")
    folder.save("a.csv", HEAD + "r1,ham,ada\n")
    assert folder.look() == ([("r1", "ham", "ada")], [])


def test_no_answer_is_from_the_future(folder):
    folder.ask("r1")
    folder.save("a.csv", HEAD + "r1,ham,ada\n", at=9e9)
    folder.now = 2_000.0
    assert [one.at for one in folder.bridge.receive("").replies] == [2_000.0]


def test_replies_come_again_until_they_are_safe_and_have_the_same_id(folder):
    folder.ask("r1", "r2")
    folder.save("a.csv", HEAD + "r1,ham,ada\nr2,ham,ada\n")
    first = folder.bridge.receive("")
    folder.restart()
    assert folder.bridge.receive("") == first
    assert folder.bridge.receive(first.mark).replies == ()
    assert len({one.reply_id for one in first.replies}) == 2


def test_a_memory_that_was_lost_reads_the_files_again(folder):
    folder.ask("r1")
    folder.save("a.csv", HEAD + "r1,ham,ada\n")
    folder.look()
    folder.bridge.close()
    for path in folder.path.glob("files.sqlite*"):
        path.unlink()
    folder.bridge = folder.begun()
    folder.ask("r1")
    assert folder.look() == ([("r1", "ham", "ada")], [])


def test_a_great_many_answers_come_in_pieces(folder):
    names = [f"r{i}" for i in range(2_500)]
    folder.ask(*names)
    folder.save("a.csv", HEAD + "".join(f"{name},ham,ada\n" for name in names))
    first = folder.bridge.receive("")
    assert len(first.replies) == 1_000
    assert [one[0] for one in folder.look()[0]] == names


def test_a_folder_that_is_away_is_waited_for(folder):
    folder.ask("r1")
    folder.bridge.answers.rename(folder.path / "elsewhere")
    with pytest.raises(Unreachable, match="answers"):
        folder.look()
    (folder.path / "elsewhere").rename(folder.bridge.answers)
    assert folder.look() == ([], [])


# ----------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "settings, fault",
    [
        ({"classes": ["ham", "Ham "]}, "differ by case"),
        ({"classes": ["ham", " "]}, "has an empty one"),
        ({"classes": ["ham", "?"]}, "bridges.team.cannot_tell"),
        ({"image": "url"}, "bridges.team.image"),
        ({"show_guess": True, "format": "doccano"}, "bridges.team.show_guess"),
        ({"show_guess": True, "format": "ground-truth"}, "bridges.team.show_guess"),
        ({"format": "prodgy"}, "bridges.team.format is 'prodgy'.*did you mean prodigy"),
        ({"format": "bridges.rules:Word"}, "bridges.team.format is 'bridges.rules:Word'"),
        ({"request_id": ""}, "bridges.team.request_id"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(tmp_path, settings, fault):
    with pytest.raises(BadSettings, match=fault):
        Files(settings_of(**settings), tmp_path / "team")


def test_a_folder_keeps_its_format(folder):
    folder.bridge.close()
    with pytest.raises(BadSettings, match="was begun with 'csv'"):
        Files(settings_of(format="doccano"), folder.path)
    folder.bridge = folder.begun()


class Words:
    """A format of one's own: `ID LABEL NAME` a line."""

    suffix = ".txt"

    def __init__(self, settings):
        self.settings = settings

    def tasks_of(self, requests):
        return "".join(f"{one.request_id}\n" for one in requests).encode()

    def replies_of(self, content):
        reading = Reading()
        for n, line in enumerate(content.decode().splitlines(), start=1):
            request_id, label, who = line.split()
            reading.given.append(Given(n, request_id, label, None, who))
        return reading


def test_a_format_of_ones_own_has_what_the_folder_has(tmp_path):
    folder = Folder(tmp_path, format=f"{__name__}:Words", classes=["ham"])
    folder.ask("r1", "r2")
    assert folder.task_files[0].read_text() == "r1\nr2\n"
    folder.save("a.txt", "r1 HAM ada\nr2 eggs ada\n")
    found, faults = folder.look()
    assert (found, len(faults)) == ([("r1", "ham", "ada")], 1)
    folder.save("b.txt", "no")
    folder.save("c.txt", "r2 ham ada\n")
    found, (fault,) = folder.look()
    assert found == [("r2", "ham", "ada")]
    assert fault.startswith("answers/b.txt: its format failed: ValueError: not enough values")
    folder.bridge.close()


@pytest.mark.parametrize("others", [{"answers_wanted": 2}, {"opinion_n": 2}])
def test_of_several_answers_each_has_to_say_whose_it_is(folder, others):
    folder.ask("r1", **others)
    folder.save("a.csv", "request_id,label\nr1,ham\n")
    found, (fault,) = folder.look()
    assert (found, "put it into answers/NAME/" in fault) == ([], True)
    (folder.bridge.answers / "ada").mkdir()
    (folder.bridge.answers / "a.csv").rename(folder.bridge.answers / "ada" / "a.csv")
    assert folder.look() == ([("r1", "ham", "ada")], [])


def test_the_folder_of_people_may_be_elsewhere(tmp_path):
    folder = Folder(tmp_path / "own", folder=str(tmp_path / "shared"))
    folder.ask("r1")
    assert folder.task_files[0].parent == tmp_path / "shared" / "tasks"
    folder.bridge.close()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="can't be made"):
        Files(settings_of(folder=str(tmp_path / "file")), tmp_path)


def test_a_memory_that_is_none_is_refused(tmp_path):
    (tmp_path / "files.sqlite").write_text("no" * 2_000)
    with pytest.raises(BadInput, match="memory of a bridge"):
        Files(settings_of(), tmp_path)


def test_a_memory_of_another_version_is_refused(folder):
    folder.bridge._memory._db.execute("PRAGMA user_version = 7")
    folder.bridge.close()
    with pytest.raises(BadInput, match="is of version 7"):
        folder.begun()
    with closing(sqlite3.connect(folder.path / "files.sqlite")) as db:
        db.execute("PRAGMA user_version = 1")
    folder.bridge = folder.begun()


# ----------------------------------------------------------------------------------- contract


class FilesRig:
    """People who answer in a file of their own for each task."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._tasks: dict[str, bytes] = {}
        self._n = 0

    def bridge(self) -> Files:
        return Files(settings_of(format=self._name), self._path, outlives_power=False)

    def _files(self) -> list[bytes]:
        folder = self._path / "tasks"
        there = sorted(folder.iterdir()) if folder.exists() else []
        return [path.read_bytes() for path in there if not path.name.startswith(".")]

    def tasks(self) -> list[str]:
        found = []
        for content in self._files():
            reading = format_of(self._name, label="label").replies_of(content)
            found += reading.blank
            self._tasks |= dict.fromkeys(reading.blank, content)
        return found

    def answer(self, request_id, label, annotator) -> None:
        self._n += 1
        at = 1_000.0 + self._n
        self.tasks()
        saved = TOOLS[self._name](self._tasks[request_id], {request_id: Said(label, annotator, at)})
        path = self._path / "answers" / f"{annotator}-{request_id}"
        path.write_bytes(saved)
        os.utime(path, (at, at))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.default_n(2)
def test_every_format_keeps_the_contract_of_a_bridge(name):
    # What the formats share is tried at each act, and what is their own at some.
    acts = None if name == "csv" else range(0, 80, 5)
    check_bridge(lambda path: FilesRig(path, name), acts=acts)
