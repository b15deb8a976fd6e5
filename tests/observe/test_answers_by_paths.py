"""Answers as labelling tools export them: paths, refusals, times, and what is no answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace import Answer, BadSettings, InputRejected
from headrace.messages import Reason
from headrace.observe.decode import decode_answers
from headrace.settings import AnswersSettings, parse

PRODIGY = AnswersSettings(
    request_id="meta.request_id", label="accept", annotator="_annotator_id", at="_timestamp"
)
LABEL_STUDIO = AnswersSettings(
    request_id="data.request_id",
    label="annotations.0.result.0.value.choices",
    annotator="annotations.0.completed_by",
    at="annotations.0.created_at",
)


def read(record: Any, settings: AnswersSettings) -> Any:
    (answer,) = decode_answers([json.dumps(record).encode()], settings=settings)
    return answer


def prodigy(**change: Any) -> dict[str, Any]:
    record = {
        "text": "late again",
        "meta": {"request_id": "r1"},
        "options": [{"id": "spam", "text": "spam"}, {"id": "ham", "text": "ham"}],
        "accept": ["spam"],
        "answer": "accept",
        "_timestamp": 1714557600,
        "_annotator_id": "eva",
    }
    return {**record, **change}


def label_studio(choices: list[str], **change: Any) -> dict[str, Any]:
    result = [{"from_name": "c", "type": "choices", "value": {"choices": choices}}]
    annotation = {
        "completed_by": 7,
        "was_cancelled": False,
        "created_at": "2024-05-01T10:00:00.000000Z",
        "result": result,
    }
    return {"id": 1, "data": {"request_id": "r1"}, "annotations": [{**annotation, **change}]}


def test_a_task_of_prodigy_is_an_answer():
    told = Answer(request_id="r1", label="spam", at=1714557600.0, annotator="eva")
    assert read(prodigy(), PRODIGY) == told


@pytest.mark.parametrize("said", ["reject", "ignore"])
@pytest.mark.parametrize("chosen", [["spam"], [], ["ham", "spam"]])
def test_what_prodigy_rejects_or_ignores_is_a_refusal(said: str, chosen: list[str]):
    answer = read(prodigy(answer=said, accept=chosen), PRODIGY)
    assert (answer.request_id, answer.label) == ("r1", None)


def test_a_task_of_label_studio_is_an_answer():
    told = Answer(request_id="r1", label="spam", at=1714557600.0, annotator="7")
    assert read(label_studio(["spam"]), LABEL_STUDIO) == told


@pytest.mark.parametrize("choices", [["spam"], []])
def test_what_label_studio_cancelled_is_a_refusal(choices: list[str]):
    cancelled = label_studio(choices, was_cancelled=True)
    assert read(cancelled, LABEL_STUDIO).label is None
    cancelled["annotations"][0]["result"] = []
    assert read(cancelled, LABEL_STUDIO).label is None


def test_a_cancelled_record_by_itself_is_a_refusal():
    record = {"request_id": "r1", "label": "spam", "was_cancelled": True}
    assert read(record, AnswersSettings()).label is None


@pytest.mark.parametrize("choices", [[], ["ham", "spam"]])
def test_no_choice_or_several_are_no_answer(choices: list[str]):
    for record, settings in (
        (label_studio(choices), LABEL_STUDIO),
        (prodigy(accept=choices), PRODIGY),
    ):
        rejected = read(record, settings)
        assert (rejected.reason, rejected.input_id) == (Reason.BAD_ANSWER, "r1")
        assert rejected.detail.startswith("label is [")


@pytest.mark.parametrize("said", ["reject", "ignore", "spam"])
def test_a_label_that_stands_at_answer_is_the_label(said: str):
    answer = read({"request_id": "r1", "answer": said}, AnswersSettings(label="answer"))
    assert answer.label == said


def test_another_field_named_answer_says_nothing():
    answer = read({"request_id": "r1", "label": "spam", "answer": "yes, 3"}, AnswersSettings())
    assert answer.label == "spam"


@pytest.mark.parametrize(
    ("settings", "at", "seconds"),
    [
        (AnswersSettings(zone="UTC"), "2024-05-01 10:00:00", 1714557600.0),
        (AnswersSettings(zone="+02:00"), "2024-05-01T12:00:00", 1714557600.0),
        (AnswersSettings(zone="Europe/Zurich"), "2024-05-01T12:00:00", 1714557600.0),
        (AnswersSettings(at_unit="ms"), 1714557600500, 1714557600.5),
        (AnswersSettings(), None, 0.0),
    ],
)
def test_times_of_answers_have_their_zone_and_unit(settings: AnswersSettings, at: Any, seconds):
    assert read({"request_id": "r", "label": "a", "at": at}, settings).at == seconds


@pytest.mark.parametrize(
    ("at", "setting"), [("2024-05-01T10:00:00", "answers.zone"), (1714557600500, "answers.at_unit")]
)
def test_a_time_that_is_not_taken_names_the_setting(at: Any, setting: str):
    rejected = read({"request_id": "r", "label": "a", "at": at}, AnswersSettings())
    assert rejected.reason == Reason.BAD_TIME
    assert setting in rejected.detail


def test_a_path_that_leads_nowhere_names_the_setting():
    rejected = read({"request_id": "r", "choice": "a"}, AnswersSettings())
    assert "answers.label says where it stands" in rejected.detail


@pytest.mark.parametrize(
    "line", [b"[", b'[{"request_id": "r", "label": "a"}]', b"[" + b" " * 200 + b"]"]
)
def test_an_array_of_tasks_is_told_to_be_lines(line: bytes):
    (rejected,) = decode_answers([line], line_bytes_max=100)
    assert isinstance(rejected, InputRejected)
    assert "one answer a line (docs/LOGS.md)" in rejected.detail


@pytest.mark.parametrize("zone", ["Europe/Zuerich", "2 hours", "+25:00", ".5", "Europe", "../UTC"])
@pytest.mark.parametrize("section", ["input", "answers"])
def test_a_zone_that_is_none_is_a_fault(section: str, zone: str):
    with pytest.raises(BadSettings, match=rf"{section}\.zone is .*must be UTC, an offset"):
        parse({section: {"zone": zone}})
