"""Each format by itself: what stands in a task, and what each kind of record means."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from bridges.formats.tools import NAMES, format_of, request


def rows_of(tasks: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(tasks.decode("utf-8-sig"), newline="")))


def read(name, *records, **settings):
    """What a file with one JSON record a line (Argilla: in an array) gives."""
    lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
    content = f"[{','.join(lines)}]" if name == "argilla" else "\n".join(lines)
    return format_of(name, **settings).replies_of(content.encode())


def labels(reading) -> list[tuple[str, str | None]]:
    return [(one.request_id, one.label) for one in reading.given]


# ------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize(
    "hostile", ["=1+1", "+1", "-x", "@A1", "\t=1", "\r=1", "\n=1", " =1", "＝1", "-2", "=A1\n=A2"]
)
def test_no_cell_of_a_table_begins_as_a_formula(hostile):
    asked = request(hostile, {hostile: hostile}, prediction={hostile: 1.0})
    cells = [
        cell for row in rows_of(format_of("csv", show_guess=True).tasks_of([asked])) for cell in row
    ]
    assert sum(hostile in cell for cell in cells) == 5
    assert [cell for cell in cells if cell.strip()[:1] in "=+-@＝＋－＠" and cell.strip()] == []


def test_numbers_stay_numbers_in_a_table():
    features = {"debt": -3.5, "whole": 2.0, "third": 1 / 3, "no": None, "yes": True, "n": 7}
    features |= {"inf": math.inf}
    row = rows_of(format_of("csv").tasks_of([request("r", features)]))[1]
    assert row[4:] == ["-3.5", "2", "0.3333333333", "", "true", "7", "inf"]


def test_a_table_has_every_feature_once_and_none_takes_the_place_of_a_column_of_ours():
    asked = [request("r1", {"b": 1, "label": "x"}), request("r2", {"a": 2, "b": 3})]
    tasks = format_of("csv", classes=["ham", "spam"]).tasks_of(asked)
    assert rows_of(tasks) == [
        ["request_id", "label", "annotator", "choices", "b", "feature label", "a"],
        ["r1", "", "", "ham | spam", "1", "x", ""],
        ["r2", "", "", "ham | spam", "3", "", "2"],
    ]


@pytest.mark.parametrize("name", ["12e45", "00012", "1234567890123456", "1.5", "12:2", "1/2", "5%"])
def test_an_id_that_looks_like_a_number_or_a_date_is_text_in_a_table(name):
    cell = rows_of(format_of("csv").tasks_of([request(name)]))[1][0]
    assert cell == f"'{name}"


@pytest.mark.parametrize(
    "saved",
    [
        b"request_id,label\r\nr1,ham\r\n",
        "\ufeffrequest_id;label\r\nr1;ham\r\n".encode(),
        "request_id\tlabel\r\nr1\tham\r\n".encode("utf-16"),
        b"label,extra,request_id\nham,x,r1",
        b'"request_id","label","x"\n"r1","ham"\n\n,,\n',
        b"request_id,label\rr1,ham\r",
    ],
)
def test_a_table_is_read_as_spreadsheets_save_it(saved):
    reading = format_of("csv").replies_of(saved)
    assert (labels(reading), reading.faults) == ([("r1", "ham")], [])


def test_a_column_is_found_by_the_name_that_is_set():
    settings = {"request_id": "id", "label": "class", "annotator": "who", "at": "when"}
    content = b"when,who,class,id\n2026-03-01T10:00:00Z,ada,ham,r1\n1000.5,bob,spam,r1\n"
    given = format_of("csv", **settings).replies_of(content).given
    assert [(one.label, one.annotator, one.at) for one in given] == [
        ("ham", "ada", 1772359200.0),
        ("spam", "bob", 1000.5),
    ]


def test_a_class_that_begins_with_an_apostrophe_is_meant_as_it_stands():
    content = b"request_id,label\nr1,'tis\nr2,'=1\n"
    reading = format_of("csv", classes=["'tis", "=1"]).replies_of(content)
    assert labels(reading) == [("r1", "'tis"), ("r2", "=1")]


def test_a_second_opinion_says_who_has_answered_before():
    asked = [request("r1:2", not_by=("ada", "=bob")), request("r2")]
    assert [row[4] for row in rows_of(format_of("csv").tasks_of(asked))] == [
        "not by", "ada, =bob", "",
    ]  # fmt: skip
    tasks = format_of("prodigy").tasks_of(asked).splitlines()
    assert [json.loads(task)["meta"].get("not by") for task in tasks] == ["ada, =bob", None]


def test_faults_of_a_table_say_the_line_and_the_rest_is_read():
    content = b"request_id,label,at\nr1,ham,\n,spam,\nr2,spam,noon\nr3,\xe9t\xe9,\nr4,ham,\n"
    reading = format_of("csv").replies_of(content)
    assert labels(reading) == [("r1", "ham"), ("r2", "spam"), ("r4", "ham")]
    assert [fault.partition(":")[0] for fault in reading.faults] == ["line 3", "line 4", "line 5"]
    assert "the time of the file is taken" in reading.faults[1]
    assert "UTF-8" in reading.faults[2]


@pytest.mark.parametrize(
    "content, fault",
    [
        (b"", "line 1 must name one column request_id"),
        (b"request_id,lable\nr1,ham\n", "did you mean lable?"),
        (b"request_id,label,label\nr1,ham,spam\n", "one column label"),
        (b"PK\x03\x04rest", "workbook"),
        (b"\xd0\xcf\x11\xe0", "workbook"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "line 1 must name"),
    ],
)
def test_a_file_that_is_no_table_is_one_fault(content, fault):
    reading = format_of("csv").replies_of(content)
    assert reading.given == []
    assert len(reading.faults) == 1
    assert fault in reading.faults[0]


def test_a_huge_cell_is_cut_in_a_task_and_read_in_an_answer():
    limit = csv.field_size_limit()
    asked = request("r1", {"text": "x" * 3_000_000})
    assert len(rows_of(format_of("csv", chars_max=1_000_000).tasks_of([asked]))[1][4]) == 32_766
    content = b"request_id,label,text\nr1,ham,%s\nr2,spam,y\n" % (b"x" * 3_000_000)
    assert labels(format_of("csv").replies_of(content)) == [("r1", "ham"), ("r2", "spam")]
    assert csv.field_size_limit() == limit


# ---------------------------------------------------------------------------------- all tools


@pytest.mark.parametrize("name", NAMES)
def test_a_task_shows_the_text_that_is_set_and_no_guess_unless_it_is_wanted(name):
    asked = request("r1", {"text": "hello", "secret": "s3cret"})
    tasks = format_of(name, text="text").tasks_of([asked])
    assert b"hello" in tasks
    assert b"s3cret" not in tasks
    assert b"0.75" not in tasks


@pytest.mark.parametrize("name", ["csv", "prodigy", "argilla"])
def test_a_guess_is_shown_where_it_is_wanted(name):
    asked = [request("r1"), request("r2", prediction={})]
    tasks = format_of(name, show_guess=True, classes=["eggs"]).tasks_of(asked)
    assert tasks.count(b"ham") == 1
    assert b"spam" not in tasks


@pytest.mark.parametrize("name", ["prodigy", "ground-truth", "doccano"])
def test_tasks_are_ascii_and_one_a_line(name):
    asked = [request("r1", {"é\u2028": "a\nb\x85\u2028\ud800"}), request("r2")]
    tasks = format_of(name).tasks_of(asked)
    assert tasks.isascii()
    assert len(tasks.decode().splitlines()) == 2


@pytest.mark.parametrize("name", [name for name in NAMES if name != "csv"])
def test_another_tools_file_is_one_fault(name):
    for content in (b"request_id,label\nr1,ham\nr2,ham\n", b"\x89PNG\r\n\n\n\x00", b"PK\x03\x04"):
        reading = format_of(name).replies_of(content)
        assert (reading.given, len(reading.faults)) == ([], 1)
        assert "this is no file of" in reading.faults[0]


@pytest.mark.parametrize("name", ["prodigy", "ground-truth", "doccano"])
def test_a_line_that_is_no_json_does_not_stop_the_rest(name):
    good = {
        "request_id": "r1", "label": ["ham"], "accept": ["ham"], "options": [], "answer": "accept",
    }  # fmt: skip
    if name == "ground-truth":
        good = {"request_id": "r1", "k": 0, "k-metadata": {"class-name": "ham"}}
    reading = read(name, good, '{"request_id": "r2', "[]", "9" * 5_000, "", "[" * 5_000, good)
    assert [(one.line, one.label) for one in reading.given] == [(1, "ham"), (7, "ham")]
    assert [fault.partition(":")[0] for fault in reading.faults] == [
        "line 2", "line 3", "line 4", "line 6",
    ]  # fmt: skip


def test_so_many_faults_are_kept_and_the_rest_counted():
    lines = ["{}", *["no"] * 5_000]
    reading = read("prodigy", *lines)
    assert (len(reading.faults), reading.faults_n) == (1_000, 5_001)


# ------------------------------------------------------------------------------------ Prodigy


def prodigy_record(**others):
    record = {"request_id": "r1", "text": "hi", "options": [{"id": "ham", "text": "ham"}]}
    return record | {"accept": ["ham"], "answer": "accept"} | others


def test_a_task_for_prodigy():
    tasks = format_of("prodigy", text="text", classes=["ham", "spam"]).tasks_of([request("r1")])
    assert json.loads(tasks) == {
        "text": "hello",
        "options": [{"id": "ham", "text": "ham"}, {"id": "spam", "text": "spam"}],
        "request_id": "r1",
        "meta": {"asked": "doubt"},
    }
    picture = request("r1", {"url": "https://example.org/a.png", "n": 1})
    task = json.loads(format_of("prodigy", image="url").tasks_of([picture]))
    assert task["image"] == "https://example.org/a.png"
    assert "text" not in task
    # Nothing to choose among: the recipe has the labels.
    assert "options" not in json.loads(
        format_of("prodigy").tasks_of([request("r1", prediction={})])
    )


@pytest.mark.parametrize(
    "record, label",
    [
        (prodigy_record(), "ham"),
        (prodigy_record(accept=[3]), "3"),
        (prodigy_record(answer="ignore"), None),
        (prodigy_record(answer="ignore", accept=[]), None),
        (prodigy_record(answer="reject", accept=[]), None),
        ({"request_id": "r1", "label": "ham", "answer": "accept"}, "ham"),
        ({"request_id": "r1", "label": "ham", "answer": "reject"}, "spam"),
        ({"request_id": "r1", "label": "spam", "answer": "reject"}, "ham"),
        ({"request_id": "r1", "label": "ham", "answer": "ignore"}, None),
    ],
)
def test_answers_of_prodigy(record, label):
    reading = read("prodigy", record, classes=["ham", "spam"])
    assert (labels(reading), reading.faults) == ([("r1", label)], [])


@pytest.mark.parametrize(
    "record, fault",
    [
        (prodigy_record(accept=[]), "accepted without a choice"),
        (prodigy_record(accept=["ham", "spam"]), "2 classes were chosen"),
        (prodigy_record(accept=[{"id": "ham"}]), "must be a text"),
        (prodigy_record(answer="yes"), "answer must be accept, reject or ignore"),
        (prodigy_record(request_id=None), "there is no request_id"),
        ({"request_id": "r1", "label": "ham", "answer": "reject"}, "does not say what it is"),
        ({"request_id": "r1", "text": "hi", "answer": "accept"}, "neither `accept`"),
        ({"text": "hi", "answer": "accept"}, "there is no request_id"),
    ],
)
def test_answers_of_prodigy_that_say_no_class(record, fault):
    reading = read("prodigy", record, prodigy_record(request_id="r2"), classes=["ham", "a", "b"])
    assert labels(reading) == [("r2", "ham")]
    assert len(reading.faults) == 1
    assert fault in reading.faults[0]
    assert reading.faults[0].startswith("line 1: ")


def test_who_answered_prodigy_and_when():
    first = prodigy_record(_annotator_id="ada", _session_id="mail-ada", _timestamp=1772359200)
    reading = read("prodigy", first, prodigy_record(_session_id="mail-bob", who="cy"))
    assert [(one.annotator, one.at) for one in reading.given] == [
        ("ada", 1772359200.0), ("mail-bob", None),
    ]  # fmt: skip
    assert read("prodigy", prodigy_record(who="cy"), annotator="who").given[0].annotator == "cy"


# ------------------------------------------------------------------------------- Ground Truth


def manifest_line(name="sport", **others):
    about = {
        "class-name": "football", "confidence": 0.0, "type": "groundtruth/image-classification",
        "job-name": "identify-sport", "human-annotated": "yes",
        "creation-date": "2018-10-18T22:18:13.527256",
    }  # fmt: skip
    return {
        "source-ref": "s3://b/1.png",
        "request_id": "r1",
        name: 0,
        f"{name}-metadata": about | others,
    }


def test_an_output_manifest_as_it_is_documented():
    (one,) = read("ground-truth", manifest_line()).given
    assert (one.label, one.annotator, one.at) == ("football", "identify-sport", 1539901093.527256)


def test_tasks_for_ground_truth_keep_its_limits():
    asked = [
        request("r1", {"text": "\U0001f600" * 30_000}),
        request("r2", {"text": "\x00" * 30_000}),
        request("r3", {"text": "short"}),
    ]
    tasks = format_of("ground-truth", text="text", chars_max=1_000_000).tasks_of(asked)
    lines = tasks.decode().splitlines()
    assert max(map(len, lines)) <= 100_000
    sources = [json.loads(line)["source"] for line in lines]
    assert max(map(len, sources)) <= 20_000
    assert min(map(len, sources[:2])) > 7_000
    assert [one[-1] for one in sources] == ["…", "…", "t"]
    picture = request("r1", {"url": "s3://bucket/a.png"})
    tasks = format_of("ground-truth", image="url").tasks_of([picture])
    assert json.loads(tasks) == {"source-ref": "s3://bucket/a.png", "request_id": "r1"}


def test_labels_that_a_machine_gave_are_left_out_and_it_is_said():
    auto = manifest_line(**{"human-annotated": "no"})
    reading = read("ground-truth", auto, manifest_line(), auto)
    assert [one.line for one in reading.given] == [2]
    assert reading.faults == [
        "2 labels were given by its automation, not by people, and are left out"
    ]


@pytest.mark.parametrize(
    "line, fault",
    [
        (
            manifest_line(**{"failure-reason": "ClientError: no"}),
            "the job failed on it: ClientError",
        ),
        (manifest_line() | manifest_line("indoors"), "labels are in sport, indoors; set `label`"),
        ({"request_id": "r1", "source": "x"}, "there is no label; set `label`"),
        ({"request_id": "r1", "k": 1, "k-metadata": "x"}, "no k-metadata"),
        ({"request_id": "r1", "k": 1, "k-metadata": {}}, "is the job a classification?"),
        (
            {"request_id": "r1", "k": [0, 1], "k-metadata": {"class-map": {"0": "a", "1": "b"}}},
            "2 classes were chosen",
        ),
        ({"source": "x"}, "there is no request_id"),
    ],
)
def test_lines_of_a_manifest_that_say_no_class(line, fault):
    reading = read("ground-truth", line)
    assert reading.given == []
    assert [fault in one for one in reading.faults] == [True]


def test_of_several_jobs_the_attribute_that_is_set_is_read():
    both = manifest_line() | manifest_line("indoors", **{"class-name": "yes"})
    assert labels(read("ground-truth", both, label="indoors")) == [("r1", "yes")]
    several = {"request_id": "r1", "k": [1], "k-metadata": {"class-map": {"1": "b"}}}
    assert labels(read("ground-truth", several)) == [("r1", "b")]


# ------------------------------------------------------------------------------------ Argilla


def test_a_record_for_argilla():
    (record,) = json.loads(
        format_of("argilla", text="text", show_guess=True).tasks_of([request("r1")])
    )
    assert record == {
        "id": "r1",
        "fields": {"text": "hello"},
        "metadata": {},
        "suggestions": {"label": {"value": "ham", "score": 0.75, "agent": "headrace 3"}},
        "responses": {},
        "vectors": {},
    }


def test_responses_of_argilla():
    def record(name, *responses):
        return {"id": name, "fields": {}, "responses": {"label": list(responses)}}

    reading = read(
        "argilla",
        record("r1", {"value": "ham", "user_id": "a"}, {"value": "spam", "user_id": "b"}),
        record("r2", {"value": None, "user_id": "a", "status": "discarded"}),
        record("r3", {"value": "ham", "user_id": "a", "status": "draft"}),
        record("r4"),
        {"id": "r5", "responses": {"other": [{"value": 3, "user_id": "a"}]}},
        record("r6", {"value": ["ham", "spam"], "user_id": "a"}, {"value": "ham", "user_id": "b"}),
    )
    found = [(one.request_id, one.label, one.annotator) for one in reading.given]
    assert found == [
        ("r1", "ham", "a"), ("r1", "spam", "b"), ("r2", None, "a"), ("r6", "ham", "b"),
    ]  # fmt: skip
    assert reading.blank == ["r4", "r5"]
    assert len(reading.faults) == 1
    assert reading.faults[0].startswith("line 6: the label is ['ham', 'spam']")


def test_flat_records_of_argilla_say_the_status():
    flat = {
        "id": "r1", "text": "hi", "kind.responses": ["ham", "spam", None],
        "kind.responses.users": ["a", "b", "c"],
        "kind.responses.status": ["submitted", "draft", "discarded"],
    }  # fmt: skip
    reading = read("argilla", flat, {"id": "r2"}, flat | {"kind.responses": []}, label="kind")
    assert [(one.label, one.annotator) for one in reading.given] == [("ham", "a"), (None, "c")]
    assert len(reading.faults) == 1


# ------------------------------------------------------------------------------------ doccano


def test_a_task_for_doccano_has_no_label_and_never_an_empty_text():
    asked = [request("r1"), request("r2", {"text": ""})]
    tasks = format_of("doccano", text="text").tasks_of(asked)
    assert [json.loads(line) for line in tasks.splitlines()] == [
        {"text": "hello", "label": [], "request_id": "r1"},
        {"text": "-", "label": [], "request_id": "r2"},
    ]


def test_examples_of_doccano_as_lines_and_as_an_array():
    records = [
        {"id": 1, "text": "a", "request_id": "r1", "label": ["ham"], "Comments": []},
        {"id": 2, "text": "b", "request_id": "r2", "label": []},
        {"id": 3, "text": "c", "request_id": "r3", "label": ["ham", "spam"]},
        {"id": 4, "text": "d", "request_id": "r4", "label": {"ham": 1}},
        {"id": 5, "text": "e", "request_id": "r5", "label": "spam"},
        {"id": 6, "text": "f", "label": ["ham"]},
    ]
    lines = read("doccano", *records)
    array = format_of("doccano").replies_of(json.dumps(records).encode())
    assert lines == array
    assert (labels(lines), lines.blank) == ([("r1", "ham"), ("r5", "spam")], ["r2"])
    assert [fault.partition(":")[0] for fault in lines.faults] == ["line 3", "line 4", "line 6"]
