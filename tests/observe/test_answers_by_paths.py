"""Answers as labelling tools export them: paths, refusals, times, and what is no answer."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest

from headrace import Answer, BadSettings, InputRejected
from headrace.messages import Reason
from headrace.observe.answers import AnswersDecoder
from headrace.observe.values import Refusal, seconds_of
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
    (answer,) = AnswersDecoder(settings).decode([json.dumps(record).encode()])
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
    (rejected,) = AnswersDecoder(line_bytes_max=100).decode([line])
    assert isinstance(rejected, InputRejected)
    assert "an array of tasks is read from a file *.json (docs/LOGS.md)" in rejected.detail


@pytest.mark.parametrize(
    "at", ["1712011200123", "1712011200123456789", "1712011200", "1712011200123.5"]
)
def test_a_number_in_quotes_is_never_a_date_in_the_past(at: str):
    with pytest.raises(Refusal, match="must be a number of seconds"):
        seconds_of(at, "at", UTC)


@pytest.mark.parametrize(
    "at", ["2024-05-01 UTC", "2024-05-01+02:00", "2024-05-01 -0500", "2024-05-01-05:00"]
)
def test_the_offset_of_a_day_is_never_its_hour(at: str):
    with pytest.raises(Refusal, match="must be a number of seconds, or RFC 3339"):
        seconds_of(at, "at", UTC)


def test_a_leap_second_is_the_first_of_the_next_day():
    for at in ("2016-12-31T23:59:60Z", "2017-01-01 05:29:60 +05:30", "2017-01-01T00:00:00Z"):
        assert seconds_of(at, "at") == 1_483_228_800.0
    assert seconds_of("2016-12-31 23:59:60.25", "at", UTC) == 1_483_228_800.25


def test_a_time_after_what_numbers_may_be_is_told_by_itself():
    with pytest.raises(Refusal, match=r"'9999-12-31T23:59:59Z'; must be before the year 5138"):
        seconds_of("9999-12-31T23:59:59Z", "at")


@pytest.mark.parametrize(
    ("at", "unit", "told"),
    [
        (1.7e12, "s", 'must be seconds; divide milliseconds by 1000, or set input.at_unit = "ms"'),
        (1.7e15, "s", 'divide microseconds by 1000000, or set input.at_unit = "us"'),
        (1.7e18, "s", 'input.at_unit = "ns"'),
        (1.7e15, "ms", 'must be milliseconds; divide microseconds by 1000, or set .*"us"'),
        (1e30, "ns", "must be nanoseconds$"),
    ],
)
def test_a_number_in_another_unit_names_the_unit_that_it_is_in(at: float, unit: str, told: str):
    with pytest.raises(Refusal, match=told):
        seconds_of(at, "at", None, unit)


def test_without_zones_a_name_is_told_what_is_missing(monkeypatch):
    monkeypatch.setattr("headrace.settings.fields.available_timezones", set)
    with pytest.raises(BadSettings, match="pip install tzdata"):
        parse({"input": {"zone": "Europe/Nowhere"}})


@pytest.mark.parametrize("zone", ["Europe/Zuerich", "2 hours", "+25:00", ".5", "Europe", "../UTC"])
@pytest.mark.parametrize("section", ["input", "answers"])
def test_a_zone_that_is_none_is_a_fault(section: str, zone: str):
    with pytest.raises(BadSettings, match=rf"{section}\.zone is .*must be UTC, an offset"):
        parse({section: {"zone": zone}})


# ------------------------------------------------------------------- several answers in a record

MANY = AnswersSettings(
    batch_path="annotations",
    request_id="data.request_id",
    label="result.kind.value.choices",
    annotator="completed_by",
    at="created_at",
)


def read_all(record: Any, settings: AnswersSettings) -> list[Any]:
    return AnswersDecoder(settings).decode([json.dumps(record).encode()], "export", [7])


def annotation(by: int, *results: tuple[str, list[str]], **change: Any) -> dict[str, Any]:
    given = [
        {"from_name": name, "type": "choices", "value": {"choices": choices}}
        for name, choices in results
    ]
    return {"completed_by": by, "created_at": 1714557600 + by, "result": given, **change}


def test_every_annotation_of_a_task_is_an_answer():
    task = {
        "data": {"request_id": "r1"},
        "annotations": [
            annotation(1, ("remark", ["sure"]), ("kind", ["spam"])),
            annotation(2, ("kind", ["ham"]), was_cancelled=True),
            annotation(3, ("kind", ["ham"])),
        ],
    }
    told = [("1", "spam"), ("2", None), ("3", "ham")]
    assert [(one.annotator, one.label) for one in read_all(task, MANY)] == told


def test_one_annotation_that_is_no_answer_spoils_no_other():
    task = {
        "data": {"request_id": "r1"},
        "annotations": [
            annotation(1, ("kind", ["spam", "ham"])),
            annotation(2, ("kind", ["ham"]), created_at="soon"),
            annotation(3),
            annotation(4, ("kind", ["ham"]), ("kind", ["spam"])),
            annotation(5, ("kind", ["ham"])),
        ],
    }
    *rejected, answer = read_all(task, MANY)
    assert [one.reason for one in rejected] == [
        "bad_answer",
        "bad_time",
        "bad_answer",
        "bad_answer",
    ]
    assert [(one.input_id, one.position) for one in rejected] == [("r1", 7)] * 4
    assert (answer.annotator, answer.label) == ("5", "ham")


@pytest.mark.parametrize(
    ("given", "part"),
    [([], "nobody has answered yet"), (None, "must be an array"), ("x", "must be an array")],
)
def test_a_task_without_annotations_is_told(given: Any, part: str):
    (rejected,) = read_all({"data": {"request_id": "r1"}, "annotations": given}, MANY)
    assert (rejected.reason, rejected.input_id) == (Reason.BAD_ANSWER, "r1")
    assert part in rejected.detail


# ------------------------------------------------------------ what counts, codes, spans, functions


@pytest.mark.parametrize(
    ("human", "reason"), [("yes", None), ("no", "left_out"), (None, "left_out"), ({}, "left_out")]
)
def test_labels_of_a_machine_are_left_out(human: Any, reason: str | None):
    settings = AnswersSettings(label="k.class-name", status="k.human", status_ok=["yes"])
    answer = read({"request_id": "r", "k": {"class-name": "a", "human": human}}, settings)
    assert getattr(answer, "reason", None) == reason
    if reason:
        assert "answers.status_ok has 'yes'" in answer.detail


def test_codes_of_classes_get_their_names():
    settings = AnswersSettings(class_names={"3": "spam"})
    assert read({"request_id": "r", "label": 3}, settings).label == "spam"
    assert read({"request_id": "r", "label": [4]}, settings).label == "4"


@pytest.mark.parametrize("label", [[[0, 4, "PER"]], [[0, 4, "PER"], [5, 9, "ORG"]], [{"start": 0}]])
def test_spans_are_no_class(label: Any):
    rejected = read({"request_id": "r", "label": label}, AnswersSettings())
    assert rejected.reason == Reason.BAD_ANSWER
    assert rejected.detail.startswith("label is [")
    assert "no spans of a text" in rejected.detail


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"label": []}, "nobody chose yet"),
        ({"label": {"choices": ["a", "b"]}}, "must be one class"),
        ({"annotator": {"id": 1, "email": "e@x"}}, "to which answers.annotator leads"),
    ],
)
def test_what_is_no_text_says_what_is_wanted(change: Any, part: str):
    rejected = read({"request_id": "r", "label": "a", **change}, AnswersSettings())
    assert rejected.reason == Reason.BAD_ANSWER
    assert part in rejected.detail


def test_a_function_of_yours_reads_answers(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    code = 'def read(line):\n    r, *marks = line.decode().split("|")\n'
    code += '    return [{"request_id": r, "label": mark} for mark in marks]\n'
    (tmp_path / "marks_reader.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    decoder = AnswersDecoder(AnswersSettings(decoder="marks_reader:read"), line_bytes_max=200)
    found = decoder.decode([b"r1|a|b", b"r2", b"x" * 201, b""])
    assert [(one.request_id, one.label) for one in found[:2]] == [("r1", "a"), ("r1", "b")]
    assert [one.reason for one in found[2:]] == ["oversize"]


@pytest.mark.parametrize(
    ("section", "part"),
    [
        ({"decoder": "no function"}, "answers.decoder is 'no function'; must be module:function"),
        ({"status": "x"}, "answers.status_ok must name what counts"),
        ({"label": ""}, "must each be a path"),
    ],
)
def test_settings_that_do_not_fit_are_faults(section: Any, part: str):
    with pytest.raises(BadSettings, match=part.replace("(", "\\(")):
        parse({"answers": section})


def test_a_function_that_is_not_there_names_its_setting():
    with pytest.raises(BadSettings, match=r"answers\.decoder is 'json:lods'.*did you mean loads"):
        AnswersDecoder(AnswersSettings(decoder="json:lods"))
