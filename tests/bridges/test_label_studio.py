"""The bridge to Label Studio, against a fake one that has the traps of the real one.

tests_label_studio/ holds it against a real one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bridges.fake_label_studio import LEGACY, FakeLabelStudio, Fault
from bridges.studio import CLASSES, Renamed, Studio, asked, deliveries
from headrace.bridges import make_bridge
from headrace.bridges.bridge import Bridge, Delivery, Unreachable
from headrace.bridges.label_studio import bridge as bridge_module
from headrace.errors import BadInput, BadSettings
from headrace.testing import check_bridge

# ---------------------------------------------------------------------------------------- sending


def test_requests_become_tasks_of_a_project_that_is_made(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1", "q2"))
    [project] = studio.fake.projects.values()
    assert project["title"] == "Headrace"
    assert project["parsed_label_config"]["label"]["labels"] == CLASSES
    assert (project["maximum_annotations"], project["show_collab_predictions"]) == (1, False)
    assert project["sampling"] == "Uncertainty sampling"
    task = studio.fake.tasks[studio.fake.task_of("q1")]
    assert task["data"] == {
        "request_id": "q1",
        "features": {"x": 1.5, "mail": "<b>hi</b>", "photo": "https://example.org/1.png"},
    }
    assert task["meta"] == {
        "reason": "round",
        "strategy": "margin",
        "utility": 0.5,
        "model_version": 7,
        "deadline": 60.0,
    }
    [prediction] = task["predictions"]
    assert prediction["result"] == [
        {
            "from_name": "label",
            "to_name": "event",
            "type": "choices",
            "value": {"choices": ["spam & <eggs>"]},
        }
    ]
    assert studio.poll() == []


def test_only_the_named_features_leave_and_texts_and_images_have_tags_of_their_own(
    studio: Studio, tmp_path: Path
) -> None:
    other = Studio(
        studio.fake,
        tmp_path / "b",
        project="Mails",
        features=["x"],
        texts=["mail"],
        images=["photo"],
    )
    other.bridge.send([Delivery("q9", asked("q9", features={"x": "\x00", "mail": "hi", "y": 2}))])
    assert studio.fake.tasks[studio.fake.task_of("q9")]["data"] == {
        "request_id": "q9",
        "features": {"x": "\ufffd"},
        "text_1": "hi",
        "image_1": "",
    }
    [project] = studio.fake.projects.values()
    assert '<Text name="text_1" value="$text_1" valueType="text"/>' in project["label_config"]
    assert '<Image name="image_1" value="$image_1"/>' in project["label_config"]
    other.bridge.close()


def test_a_prediction_that_cannot_be_chosen_is_left_out_and_the_score_stays(studio: Studio) -> None:
    studio.bridge.send(
        [
            Delivery("q1", asked("q1", prediction={"eggs": 1.0})),
            Delivery("q2", asked("q2", prediction={})),
        ]
    )
    for task in studio.fake.tasks.values():
        [prediction] = task["predictions"]
        assert (prediction["result"], prediction["score"]) == ([], pytest.approx(1 / 3))


def test_the_next_task_follows_our_priority_and_random_draws_come_first(studio: Studio) -> None:
    requests = [
        asked("low", utility=0.1),
        asked("above 1", utility=1.9),
        asked("high", utility=0.9),
        asked("below 0", utility=-3.0),
        asked("drawn", utility=0.0, reason="control"),
    ]
    studio.bridge.send([Delivery(one.request_id, one) for one in requests])
    [project] = studio.fake.projects
    order = []
    while (task := studio.fake.next_task(project)) is not None:
        order.append(studio.fake.tasks[task]["data"]["request_id"])
        studio.fake.annotate(task, "ham")
    assert order == ["drawn", "above 1", "high", "low", "below 0"]
    scores = [task["predictions"][0]["score"] for task in studio.fake.tasks.values()]
    assert all(0 <= score <= 1 for score in scores)


def test_a_project_whose_order_follows_another_model_gets_ours_after_the_first_import(
    studio: Studio, tmp_path: Path
) -> None:
    project = studio.fake.make_project(
        "Headrace",
        '<View><Table name="row" value="$features"/><Choices name="label" toName="row">'
        '<Choice value="ham"/><Choice value="spam &amp; &lt;eggs&gt;"/></Choices></View>',
        model_version="theirs",
    )
    studio.bridge.send(deliveries("q1"))
    assert project["model_version"] == "headrace"
    assert project["sampling"] == "Uncertainty sampling"
    task = studio.fake.tasks[studio.fake.task_of("q1")]
    assert task["predictions"][0]["result"][0]["to_name"] == "row"
    studio.bridge.send(deliveries("q2"))
    assert len(studio.fake.projects) == 1


def test_a_send_that_was_cut_after_the_import_makes_no_second_task(studio: Studio) -> None:
    studio.fake.faults.append(Fault(r"/api/projects/\d+/import"))
    with pytest.raises(Unreachable):
        studio.bridge.send(deliveries("q1", "q2"))
    assert len(studio.fake.tasks) == 2
    studio.restarted().send([*deliveries("q1", "q2", cut=True), *deliveries("q3")])
    assert sorted(task["data"]["request_id"] for task in studio.fake.tasks.values()) == [
        "q1",
        "q2",
        "q3",
    ]


def test_a_search_for_many_requests_keeps_its_address_short(studio: Studio) -> None:
    many = [f"{number:032x}" for number in range(100)]
    studio.bridge.send(deliveries(*many))
    studio.bridge.send(deliveries(*many, cut=True))
    assert len(studio.fake.tasks) == 100
    queries = [query["query"] for query, _ in studio.fake.paths("/api/tasks") if "query" in query]
    assert queries
    assert max(map(len, queries)) < 2_000


def test_a_second_task_that_a_late_import_left_is_removed_and_said(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1"))
    first = studio.fake.task_of("q1")
    studio.poll()
    studio.bridge.send(deliveries("q1"))  # as by an import that the server carried out late
    assert len(studio.fake.tasks) == 2
    assert studio.poll() == []
    assert [*studio.fake.tasks] == [first]
    [fault] = studio.faults
    assert "second task" in fault


def test_of_two_tasks_of_one_request_the_one_that_is_begun_stays(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1"))
    studio.bridge.send(deliveries("q1"))
    [_, second] = studio.fake.tasks
    studio.fake.annotate(second, "ham")
    assert studio.said() == [("q1", "ham", "label-studio:1")]
    assert [*studio.fake.tasks] == [second]


def test_withdrawn_and_expired_requests_leave_unless_somebody_has_begun(studio: Studio) -> None:
    names = ["idle", "answered", "skipped", "drafted", "kept"]
    studio.bridge.send(deliveries(*names))
    studio.fake.annotate(studio.fake.task_of("answered"), "ham")
    studio.fake.annotate(studio.fake.task_of("skipped"), None)
    studio.fake.drafts.add(studio.fake.task_of("drafted"))
    studio.bridge.send([Delivery(name, reason="expired") for name in names[:4]])
    left = sorted(task["data"]["request_id"] for task in studio.fake.tasks.values())
    assert left == ["answered", "drafted", "kept", "skipped"]
    # Once more, and of one that is unknown: Label Studio takes a list of no tasks for all.
    studio.bridge.send([Delivery("idle", reason="expired", may_be_there=True), Delivery("never")])
    assert len(studio.fake.tasks) == 4


def test_more_answers_wanted_than_the_project_takes_is_a_fault_of_settings(studio: Studio) -> None:
    with pytest.raises(BadSettings, match=r"wants 2 answers.*answers_wanted is 1; raise it"):
        studio.bridge.send([Delivery("q1", asked("q1", answers_wanted=2))])
    studio.settings["answers_wanted"] = 2
    studio.restarted().send([Delivery("q1", asked("q1", answers_wanted=2))])
    [project] = studio.fake.projects.values()
    assert project["maximum_annotations"] == 2


def test_an_import_that_names_no_tasks_is_tried_again(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.bridge.send([])
    monkeypatch.setattr(FakeLabelStudio, "_import", lambda *_: (201, {"import": 5}))
    with pytest.raises(Unreachable, match="not yet said") as caught:
        studio.bridge.send(deliveries("q1"))
    assert caught.value.after_s == 5.0


def test_a_refused_import_says_why_and_repeats_no_task(studio: Studio) -> None:
    studio.fake.make_project(
        "Headrace",
        '<View><Text name="t" value="$body"/><Choices name="label" toName="t">'
        '<Choice value="ham"/><Choice value="spam &amp; &lt;eggs&gt;"/></Choices></View>',
    )
    with pytest.raises(BadSettings, match='"body" key is expected') as caught:
        studio.bridge.send(deliveries("q1"))
    assert "<b>hi</b>" not in str(caught.value)


# -------------------------------------------------------------------------------------- receiving


def test_answers_corrections_skips_and_retractions_come_once(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1", "q2"))
    first = studio.fake.annotate(studio.fake.task_of("q1"), "ham", by=4)
    studio.fake.annotate(studio.fake.task_of("q2"), None, by=5)
    assert studio.said() == [("q1", "ham", "label-studio:4"), ("q2", None, "label-studio:5")]
    assert studio.poll() == []
    studio.fake.correct(first, "spam & <eggs>")
    [corrected] = studio.poll()
    assert corrected.label == "spam & <eggs>"
    studio.fake.retract(first)
    [retracted] = studio.poll()
    assert (retracted.label, retracted.annotator) == (None, "label-studio:4")
    assert retracted.at > corrected.at
    assert retracted.reply_id != corrected.reply_id
    assert studio.poll() == []
    assert studio.faults == []


def test_times_are_those_of_the_annotation(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1"))
    studio.fake.annotate(studio.fake.task_of("q1"), "ham")
    [reply] = studio.poll()
    assert reply.at == pytest.approx(studio.fake.now.timestamp(), abs=0.01)


def test_an_annotator_has_one_vote_a_task(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1"))
    task = studio.fake.task_of("q1")
    studio.fake.annotate(task, "ham", by=4)
    second = studio.fake.annotate(task, "spam & <eggs>", by=4)
    studio.fake.annotate(task, "ham", by=5)
    assert studio.said() == [
        ("q1", "spam & <eggs>", "label-studio:4"),
        ("q1", "ham", "label-studio:5"),
    ]
    # The earlier word counts again, as a later reply: the desk takes the latest of each annotator.
    studio.fake.retract(second)
    [again] = studio.poll()
    assert (again.label, again.annotator) == ("ham", "label-studio:4")
    assert "without" in again.reply_id


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("eggs", "has chosen 'eggs', which is none of the classes"),
        (["ham", "spam & <eggs>"], "has chosen 2 classes"),
        ([], "has chosen no class"),
    ],
)
def test_what_is_no_class_is_a_fault_and_no_answer(
    studio: Studio, choice: str | list[str], words: str
) -> None:
    studio.bridge.send(deliveries("q1", "q2"))
    studio.fake.annotate(studio.fake.task_of("q1"), choice)
    assert studio.poll() == []
    [fault] = studio.faults
    assert words in fault
    assert "request q1" in fault
    # Said once, after a restart too.
    studio.restarted()
    assert studio.poll() == []
    assert len(studio.faults) == 1
    # A class that is corrected into something else is an answer taken back.
    second = studio.fake.annotate(studio.fake.task_of("q2"), "ham")
    assert studio.said() == [("q2", "ham", "label-studio:1")]
    studio.fake.correct(second, choice)
    assert studio.said() == [("q2", None, "label-studio:1")]
    assert len(studio.faults) == 2
    # And back again.
    studio.fake.correct(second, "ham")
    assert studio.said() == [("q2", "ham", "label-studio:1")]


def test_classes_of_the_settings_count_where_the_project_offers_more(studio: Studio) -> None:
    studio.fake.make_project(
        "Headrace",
        '<View><Table name="row" value="$features"/><Choices name="label" toName="row">'
        '<Choice value="ham"/><Choice value="other"/></Choices></View>',
    )
    studio.settings["classes"] = ["ham"]
    studio.restarted().send(deliveries("q1", "q2"))
    studio.fake.annotate(studio.fake.task_of("q1"), "other")
    assert studio.poll() == []
    assert len(studio.faults) == 1
    studio.settings["classes"] = []
    studio.restarted()
    studio.fake.annotate(studio.fake.task_of("q2"), "other")
    assert studio.said() == [
        ("q1", "other", "label-studio:1"),
        ("q2", "other", "label-studio:1"),
    ]


def test_annotations_of_nobody_and_tasks_of_nobody(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1"))
    studio.fake.annotate(studio.fake.task_of("q1"), "ham", by=None)
    [reply] = studio.poll()
    assert reply.annotator.startswith("label-studio:of ")
    [project] = studio.fake.projects
    studio.fake.tasks[900] = {
        "id": 900,
        "project": project,
        "data": {"features": {}},
        "predictions": [],
        "updated_at": studio.fake.tick(),
    }
    assert studio.poll() == []
    studio.fake.annotate(900, "ham")
    assert studio.poll() == []
    assert studio.poll() == []
    assert studio.faults == ["task 900 of Label Studio is no request of ours; left alone"]


def test_what_was_given_and_did_not_arrive_is_given_again(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1"))
    studio.poll()
    old = studio.mark
    annotation = studio.fake.annotate(studio.fake.task_of("q1"), "ham")
    given = studio.bridge.receive(old)
    assert [one.label for one in given.replies] == ["ham"]
    # The carrier's disk was full, or its process ended: the old mark comes again.
    assert studio.bridge.receive(old) == given
    assert studio.restarted().receive(old) == given
    # And where the process ended just after: what was given counts.
    assert studio.restarted().receive(given.mark).replies == ()
    studio.fake.retract(annotation)
    [retracted] = studio.restarted().receive(given.mark).replies
    assert retracted.label is None


def test_what_was_read_before_label_studio_went_away_is_read_again(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1", "q2"))
    studio.fake.annotate(studio.fake.task_of("q1"), "ham")
    studio.bridge.send(deliveries("q2"))
    # The answer is read, and then the second task of q2 cannot be removed.
    studio.fake.faults.append(Fault("/api/dm/actions", 503))
    with pytest.raises(Unreachable):
        studio.poll()
    assert studio.said() == [("q1", "ham", "label-studio:1")]
    assert len(studio.fake.tasks) == 2


def test_with_an_empty_mark_all_is_given_anew(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1"))
    studio.fake.annotate(studio.fake.task_of("q1"), "ham")
    assert len(studio.poll()) == 1
    studio.poll()
    assert len(studio.restarted().receive("").replies) == 1


def test_with_an_outbox_from_before_all_that_it_lacks_is_given_anew(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1", "q2"))
    studio.fake.annotate(studio.fake.task_of("q1"), "ham")
    assert len(studio.poll()) == 1
    old = studio.mark
    second = studio.fake.annotate(studio.fake.task_of("q2"), "ham")
    lost = studio.poll()
    assert [one.request_id for one in lost] == ["q2"]
    assert studio.poll() == []
    found = studio.restarted().receive(old)
    assert set(lost) <= set(found.replies)
    studio.mark = found.mark
    studio.fake.retract(second)
    assert studio.said() == [("q2", None, "label-studio:1")]


def test_a_poll_of_many_pages_reads_every_task_once(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge_module, "LISTED_N", 10)
    monkeypatch.setattr(bridge_module, "PAGES_MAX", 2)
    names = [f"q{number}" for number in range(95)]
    studio.bridge.send(deliveries(*names))
    for name in names[::3]:
        studio.fake.annotate(studio.fake.task_of(name), "ham")
    # While the pages are read, a task that was read already changes: it must not be missed.
    found = studio.poll()
    late = studio.fake.annotate(studio.fake.task_of("q1"), "ham")
    for _ in range(20):
        found += studio.poll()
    said = [one.request_id for one in found]
    assert sorted(said) == sorted([*names[::3], "q1"])
    assert late in studio.fake.annotations
    assert studio.faults == []


def test_where_nothing_is_new_the_mark_stays_and_no_task_is_read_again(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1", "q2"))
    studio.fake.annotate(studio.fake.task_of("q1"), "ham")
    studio.poll()
    studio.poll()
    before, calls_n = studio.mark, len(studio.fake.calls)
    assert studio.poll() == []
    assert studio.mark == before
    assert len(studio.fake.calls) == calls_n + 2  # the newest change, and the list


def test_a_change_that_became_visible_late_is_found(studio: Studio) -> None:
    studio.bridge.send(deliveries("q1", "q2"))
    slow = studio.fake.task_of("q1")
    hidden = studio.fake.annotate(slow, "ham")
    kept, changed = studio.fake.annotations.pop(hidden), studio.fake.tasks[slow]["updated_at"]
    studio.fake.tasks[slow]["updated_at"] = "2026-11-29T09:00:00.001000Z"
    studio.fake.annotate(studio.fake.task_of("q2"), "ham")
    assert len(studio.poll()) == 1
    # The transaction that began before ends only now.
    studio.fake.annotations[hidden] = kept
    studio.fake.tasks[slow]["updated_at"] = changed
    assert studio.said() == [("q1", "ham", "label-studio:1")]


def test_it_looks_no_more_often_than_it_is_told(studio: Studio) -> None:
    studio.settings["poll_s"] = 3600.0
    studio.restarted().send(deliveries("q1"))
    studio.poll()
    studio.fake.annotate(studio.fake.task_of("q1"), "ham")
    calls_n = len(studio.fake.calls)
    assert studio.poll() == []
    assert len(studio.fake.calls) == calls_n


def test_a_mark_of_something_else_and_a_file_of_something_else_are_refused(
    studio: Studio, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="is no mark of a bridge to Label Studio"):
        studio.bridge.receive("12")
    (tmp_path / "other" / "label-studio").mkdir(parents=True)
    (tmp_path / "other" / "label-studio" / "label-studio.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(BadInput, match="no memory of a bridge"):
        Studio(studio.fake, tmp_path / "other")


# --------------------------------------------------------------------------------------- the seam


class Rig:
    """The fake as `check_bridge` wants it; its annotators are named as they are there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fake = FakeLabelStudio()
        self.fake.start()
        self._said: dict[tuple[str, str], int] = {}

    def bridge(self) -> Bridge:
        settings = {"url": self.fake.url, "classes": ["fine", "fraud"], "poll_s": 0.0}
        made = make_bridge("label-studio", {"label-studio": settings}, self.folder)
        return Renamed(made, {})

    def tasks(self) -> Sequence[str]:
        return [task["data"]["request_id"] for task in self.fake.tasks.values()]

    def answer(self, request_id: str, label: str | None, annotator: str) -> None:
        known = self._said.get((request_id, annotator))
        if known is not None:
            self.fake.correct(known, label)
            return
        by: Any = annotator
        self._said[request_id, annotator] = self.fake.annotate(
            self.fake.task_of(request_id), label, by=by
        )


@pytest.mark.long
def test_it_keeps_the_contract_of_bridges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_LABEL_STUDIO_TOKEN", LEGACY)
    rigs: list[Rig] = []

    def new(folder: Path) -> Rig:
        rigs.append(Rig(folder))
        return rigs[-1]

    try:
        check_bridge(new)
    finally:
        for rig in rigs:
            rig.fake.stop()
    assert len(rigs) > 10
