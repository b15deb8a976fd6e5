"""The bridge on a real Label Studio: what becomes of our tasks there, and of annotations here."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests_label_studio.server import ROOT, Person, RealLabelStudio, chosen

from bridges.studio import Renamed, Studio, asked, deliveries
from commands.runs import Stream
from headrace.bridges import make_bridge
from headrace.bridges.bridge import Bridge, Delivery, Unreachable
from headrace.errors import BadSettings
from headrace.testing import check_bridge

CALLED_S_MAX = 30.0
CLASSES = ["fine", 'fraud & "<more>"']


def held_for(studio: RealLabelStudio, token_file: Path, title: str, **settings: Any) -> Studio:
    """A bridge to a project of the real one."""
    wanted = {"project": title, "token_file": str(token_file), "classes": CLASSES, **settings}
    return Studio(studio, token_file.parent, **wanted)


# ---------------------------------------------------------------------------------------- killed


def carry(studio: RealLabelStudio, folder: Path, title: str, *when: str) -> None:
    """A bridge in a process of its own, which ends by itself or kills itself."""
    command = [sys.executable, "-m", "tests_label_studio.carry", str(folder), studio.url, title]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src"), str(ROOT / "tests")])
    done = subprocess.run(
        [*command, *when],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (-signal.SIGKILL if when else 0), done.stdout + done.stderr
    assert done.stdout == "", done.stdout


def answers_in(folder: Path) -> dict[str, str | None]:
    """The latest answer to each request in the log of answers."""
    lines = (folder / "answers.jsonl").read_text().splitlines()
    return {one["request_id"]: one["label"] for one in map(json.loads, lines)}


def test_300_requests_are_300_tasks_though_the_bridge_is_killed_and_no_answer_is_lost(
    studio: RealLabelStudio, token_file: Path
) -> None:
    folder, title = token_file.parent, "Killed"
    names = [f"{number:032x}" for number in range(300)]
    requests = [asked(name, deadline=1e9, prediction={"fine": 1.0}) for name in names]
    content = b"".join(msgspec.json.encode(one) + b"\n" for one in requests)
    (folder / "requests.jsonl").write_bytes(content)

    # The second hundred is imported, and the process ends before it can write that down.
    carry(studio, folder, title, "remember what was sent", "2")
    tasks = studio.tasks(title)
    assert len(tasks) == 200
    said: dict[str, str | None] = {}
    for name in names[:200:10]:
        studio.annotate(tasks[name], "fraud")
        said[name] = "fraud"
    # The second hundred is found and not imported again; the third is not imported yet.
    carry(studio, folder, title, "send", "2")
    assert studio.tasks(title) == tasks
    assert answers_in(folder) == said
    # Answers are read and remembered, and the process ends before the log of answers has them.
    for name in names[1:200:20]:
        studio.annotate(tasks[name], None)
        said[name] = None
    carry(studio, folder, title, "write answers", "1")
    assert answers_in(folder) != said

    carry(studio, folder, title)
    tasks = studio.tasks(title)
    assert sorted(tasks) == names
    assert answers_in(folder) == said
    for name in names[200::5]:
        studio.annotate(tasks[name], "fine")
        said[name] = "fine"
    carry(studio, folder, title)
    assert answers_in(folder) == said
    assert studio.tasks(title) == tasks


class Rig:
    """A project of the real Label Studio as `check_bridge` wants it."""

    def __init__(
        self, studio: RealLabelStudio, folder: Path, token_file: Path, title: str, bob: int
    ) -> None:
        self.studio = studio
        self.title = title
        self._folder = folder
        self._settings = {
            "url": studio.url,
            "project": title,
            "classes": ["fine", "fraud"],
            "token_file": str(token_file),
            "poll_s": 0.0,
            "answers_wanted": 2,
        }
        self._said: dict[tuple[str, str], int] = {}
        self._accounts = {"ann": 1, "bob": bob}

    def bridge(self) -> Bridge:
        made = make_bridge("label-studio", {"label-studio": self._settings}, self._folder)
        names = {str(number): name for name, number in self._accounts.items()}
        return Renamed(made, names)

    def tasks(self) -> Sequence[str]:
        return [name for name, _ in self.studio.tasks_listed(self.title)]

    def answer(self, request_id: str, label: str | None, annotator: str) -> None:
        known = self._said.get((request_id, annotator))
        if known is not None:
            self.studio.correct(known, label)
            return
        task = self.studio.tasks(self.title)[request_id]
        by = self._accounts[annotator]
        self._said[request_id, annotator] = self.studio.annotate(task, label, by)


def test_it_keeps_the_contract_of_bridges(studio: RealLabelStudio, token_file: Path) -> None:
    bob = Person(studio, "second").number
    made: list[Rig] = []

    def new(folder: Path) -> Rig:
        made.append(Rig(studio, folder, token_file, f"Contract {len(made)}", bob))
        return made[-1]

    check_bridge(new, acts=[5, 6, 23])
    assert len(made) == 4


# ------------------------------------------------------------------------------ what people do


def test_answers_corrections_skips_and_retractions(
    studio: RealLabelStudio, token_file: Path
) -> None:
    held = held_for(studio, token_file, "Answers", texts=["mail"], images=["photo"])
    held.bridge.send(deliveries("q1", "q2", "q3", "q4", "q5"))
    assert held.poll() == []
    tasks = studio.tasks("Answers")
    first = studio.annotate(tasks["q1"], CLASSES[1])
    studio.annotate(tasks["q2"], None)
    assert held.said() == [
        ("q1", CLASSES[1], "label-studio:1"),
        ("q2", None, "label-studio:1"),
    ]
    assert held.poll() == []
    studio.correct(first, "fine")
    assert held.said() == [("q1", "fine", "label-studio:1")]
    studio.call("DELETE", f"/api/annotations/{first}/")
    assert held.said() == [("q1", None, "label-studio:1")]

    # The same account twice on one task, and the later one deleted in the list of tasks.
    studio.annotate(tasks["q3"], "fine")
    second = studio.annotate(tasks["q3"], CLASSES[1])
    assert held.said() == [("q3", CLASSES[1], "label-studio:1")]
    studio.call("DELETE", f"/api/annotations/{second}/")
    assert held.said() == [("q3", "fine", "label-studio:1")]
    project = studio.project("Answers")["id"]
    studio.call(
        "POST",
        "/api/dm/actions",
        {"selectedItems": {"all": False, "included": [tasks["q3"]]}},
        id="delete_tasks_annotations",
        project=project,
    )
    assert held.said() == [("q3", None, "label-studio:1")]

    # Label Studio stores any class.
    assert held.faults == []
    wrong = studio.annotate(tasks["q4"], "no class of ours")
    assert held.poll() == []
    [fault] = held.faults
    assert "request q4: label-studio:1 has chosen 'no class of ours'" in fault
    studio.correct(wrong, "fine")
    assert held.said() == [("q4", "fine", "label-studio:1")]

    # An annotation that comes with an import calls no webhook; the poll sees it.
    data = studio.call("GET", f"/api/tasks/{tasks['q5']}/")["data"]
    imported = {**data, "request_id": "q6"}
    studio.call(
        "POST",
        f"/api/projects/{project}/import",
        [{"data": imported, "annotations": [{"result": chosen("fine")}]}],
    )
    assert held.said() == [("q6", "fine", "label-studio:1")]
    held.bridge.close()


def test_its_webhook_brings_an_answer_long_before_the_poll(
    studio: RealLabelStudio, token_file: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/hook"
    held = held_for(studio, token_file, "Called", poll_s=3_600.0, webhook_url=url)
    for secret_n in (1, 2):
        held.bridge.send(deliveries(f"q{secret_n}"))
        assert held.poll() == []
        studio.annotate(studio.tasks("Called")[f"q{secret_n}"], "fine")
        until, said = time.monotonic() + CALLED_S_MAX, list[Any]()
        while not said and time.monotonic() < until:
            time.sleep(0.1)
            said = held.said()
        assert said == [(f"q{secret_n}", "fine", "label-studio:1")]
        # Started again, it has another secret, and is called with that one.
        held.bridge.close()
        held.restarted()
    assert [hook["url"] for hook in studio.call("GET", "/api/webhooks/")].count(url) == 1
    held.bridge.close()


def test_what_happened_while_the_bridge_was_not_there_is_found(
    studio: RealLabelStudio, token_file: Path
) -> None:
    held = held_for(studio, token_file, "Away")
    held.bridge.send(deliveries("q1", "q2", "q3"))
    tasks = studio.tasks("Away")
    first = studio.annotate(tasks["q1"], "fine")
    second = studio.annotate(tasks["q2"], "fine")
    assert len(held.poll()) == 2
    held.bridge.close()
    studio.call("DELETE", f"/api/annotations/{first}/")
    studio.correct(second, None)
    studio.annotate(tasks["q3"], "fine")
    held.restarted()
    # The mark before came again, for the process ended before it could write the new one down.
    assert sorted(held.said(), key=str) == [
        ("q1", None, "label-studio:1"),
        ("q2", None, "label-studio:1"),
        ("q3", "fine", "label-studio:1"),
    ]
    assert held.faults == []
    held.bridge.close()


def test_moot_tasks_leave_unless_they_are_begun_by_anybody(
    studio: RealLabelStudio, token_file: Path
) -> None:
    held = held_for(studio, token_file, "Moot")
    names = ["idle", "answered", "skipped", "drafted", "kept"]
    held.bridge.send(deliveries(*names))
    tasks = studio.tasks("Moot")
    studio.annotate(tasks["answered"], "fine")
    studio.annotate(tasks["skipped"], None)
    # Label Studio shows a draft to nobody but its author.
    somebody = Person(studio, "drafter")
    somebody.call("POST", f"/api/tasks/{tasks['drafted']}/drafts", {"result": chosen("fine")})
    held.bridge.send([Delivery(name, reason="expired") for name in names[:4]])
    assert sorted(studio.tasks("Moot")) == ["answered", "drafted", "kept", "skipped"]
    held.bridge.send([Delivery("idle"), Delivery("never")])
    assert len(studio.tasks("Moot")) == 4
    held.bridge.close()


# ---------------------------------------------------------------------------------------- order


def test_the_next_task_follows_our_priority_for_one_person_and_for_two(
    studio: RealLabelStudio, token_file: Path
) -> None:
    held = held_for(studio, token_file, "Order")
    requests = [
        asked("low", utility=0.1),
        asked("above 1", utility=1.9),
        asked("high", utility=0.9),
        asked("below 0", utility=-3.0),
        asked("drawn", utility=0.0, reason="control"),
        asked("middle", utility=0.5),
    ]
    held.bridge.send([Delivery(one.request_id, one) for one in requests[:3]])
    held.bridge.send([Delivery(one.request_id, one) for one in requests[3:]])
    project = studio.project("Order")["id"]
    ann, bob = Person(studio, "ann"), Person(studio, "bob")
    order = []
    for _ in range(2):
        (request, task), (other, second) = ann.next_request(project), bob.next_request(project)
        order += [request, other]
        for person, number in ((ann, task), (bob, second)):
            person.call("POST", f"/api/tasks/{number}/annotations/", {"result": chosen("fine")})
    order += [ann.next_request(project)[0], bob.next_request(project)[0]]
    assert order == ["drawn", "above 1", "high", "middle", "low", "below 0"]
    said = held.said()
    assert len(said) == 4
    assert len({annotator for _, _, annotator in said}) == 2
    # A person does not see the guess of the model.
    task = studio.call("GET", f"/api/projects/{project}/")
    assert task["show_collab_predictions"] is False
    held.bridge.close()


def test_a_project_of_somebody_else_is_brought_into_order(
    studio: RealLabelStudio, token_file: Path
) -> None:
    config = (
        '<View><Table name="row" value="$features"/><Choices name="sort" toName="row">'
        '<Choice value="fine"/><Choice value="fraud"/></Choices></View>'
    )
    made = studio.call("POST", "/api/projects/", {"title": "Theirs", "label_config": config})
    theirs = {"data": {"features": {}}, "predictions": [{"model_version": "theirs", "result": []}]}
    studio.call("POST", f"/api/projects/{made['id']}/import", [theirs])
    assert studio.project("Theirs")["model_version"] == "theirs"
    held = held_for(
        studio,
        token_file,
        "Theirs",
        project=made["id"],
        classes=[],
        choices="sort",
        show_guess=True,
    )
    held.bridge.send([Delivery("q1", asked("q1", prediction={"fraud": 1.0}, answers_wanted=1))])
    found = studio.project("Theirs")
    assert found["model_version"] == "headrace"
    assert found["sampling"] == "Uncertainty sampling"
    assert found["show_collab_predictions"] is True
    task = studio.call("GET", f"/api/projects/{made['id']}/next")
    assert task["data"]["request_id"] == "q1"
    assert task["predictions"][0]["result"][0]["value"] == {"choices": ["fraud"]}
    assert task["predictions"][0]["result"][0]["from_name"] == "sort"
    held.bridge.close()


# -------------------------------------------------------------------------- tokens, away and back


def test_both_kinds_of_tokens_and_wrong_ones(studio: RealLabelStudio, token_file: Path) -> None:
    held = held_for(studio, token_file, "Tokens")
    held.bridge.send(deliveries("q1"))
    token_file.write_text(studio.token)
    held.restarted().send(deliveries("q2"))
    assert sorted(studio.tasks("Tokens")) == ["q1", "q2"]
    for wrong in ("f" * 40, "a.b.c", studio.personal[:-3] + "abc"):
        token_file.write_text(wrong)
        with pytest.raises(BadSettings, match="does not accept the token"):
            held.restarted().send(deliveries("q3"))
    held.bridge.close()


def test_tasks_that_the_project_does_not_take_end_the_bridge_with_its_reason(
    studio: RealLabelStudio, token_file: Path
) -> None:
    config = (
        '<View><Text name="row" value="$body"/><Choices name="label" toName="row">'
        '<Choice value="fine"/></Choices></View>'
    )
    studio.call("POST", "/api/projects/", {"title": "Needs more", "label_config": config})
    held = held_for(studio, token_file, "Needs more", classes=[])
    with pytest.raises(BadSettings, match='"body" key is expected in task data') as caught:
        held.bridge.send(deliveries("q1"))
    assert "<b>" not in str(caught.value)
    held.bridge.close()


def test_a_label_studio_that_was_away_is_gone_on_with(
    studio: RealLabelStudio, token_file: Path
) -> None:
    held = held_for(studio, token_file, "Back again")
    held.bridge.send(deliveries("q1"))
    held.poll()
    studio.stop()
    with pytest.raises(Unreachable, match="does not answer"):
        held.bridge.send(deliveries("q2"))
    with pytest.raises(Unreachable):
        held.poll()
    studio.start()
    held.bridge.send([Delivery("q2", asked("q2"), may_be_there=True)])
    studio.annotate(studio.tasks("Back again")["q1"], "fine")
    assert held.said() == [("q1", "fine", "label-studio:1")]
    with pytest.raises(urllib.error.HTTPError):
        studio.call("GET", "/api/projects/99999/")
    held.bridge.close()


# --------------------------------------------------------------------------------- from end to end


def test_a_run_is_answered_in_label_studio(
    studio: RealLabelStudio, token_file: Path, tmp_path: Path
) -> None:
    stream = Stream(tmp_path)
    stream.write_events(0, 200)
    stream.run()
    wanted = {one["request_id"]: one["features"] for one in stream.requests()}
    assert len(wanted) >= 10
    settings = tmp_path / "bridge.toml"
    settings.write_text(
        f'[bridges.label-studio]\nurl = "{studio.url}"\nproject = "A run"\n'
        'classes = ["no", "yes"]\npoll_s = 0.2\n'
    )
    command = [sys.executable, "-m", "headrace", "bridge", "label-studio", "--every", "0.2"]
    command += ["--state", str(stream.places.state), "--settings", str(settings)]
    process = subprocess.Popen(
        command,
        env={**os.environ, "HEADRACE_LABEL_STUDIO_TOKEN": studio.personal},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + 120
        tasks: dict[str, int] = {}
        while set(tasks) != set(wanted) and time.monotonic() < until:
            time.sleep(0.5)
            titles = [one["title"] for one in studio.call("GET", "/api/projects/")["results"]]
            tasks = studio.tasks("A run") if "A run" in titles else {}
        assert set(tasks) == set(wanted)
        right = {one: "yes" if f["x"] + f["y"] > 0 else "no" for one, f in wanted.items()}
        for request_id, label in right.items():
            studio.annotate(tasks[request_id], label)
        while time.monotonic() < until and (
            not stream.places.answers.exists() or len(answers_in(tmp_path)) < len(wanted)
        ):
            time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert f"{len(wanted)} answers came" in told
    assert answers_in(tmp_path) == right
    stream.run()
    settled = {one["request_id"]: one["label"] for one in stream.decisions("LabelSettled")}
    assert settled == right
