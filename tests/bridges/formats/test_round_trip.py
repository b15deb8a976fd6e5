"""Every format: answers come back as given whatever the features hold, and no bytes harm."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridges.formats.tools import NAMES, TOOLS, Said, format_of, request

HOSTILE = [
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "'=1", "''",
    '"quoted", and; split\tthrice', "line\nbreak\r\nand\u2028another\x85", "\ud800", "\x00\x1b[31m",
    "<script>alert(1)</script>", "é" * 50, "\U0001f600\u202e", "", " ",
]  # fmt: skip
texts = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=30), st.text("=+-@'\"\n;,\t", max_size=9)
)
values = st.one_of(texts, st.floats(), st.integers(), st.booleans(), st.none())
ids = st.one_of(
    st.from_regex("[0-9a-f]{32}(:[23])?", fullmatch=True),
    st.sampled_from(["12e45", "0012", "1,5", "=r", "'r", "--r", "é"]),
)
features = st.dictionaries(
    st.one_of(texts, st.sampled_from(["label", "request_id", "at"])), values, max_size=4
)
classes = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=9)


@pytest.mark.parametrize("name", NAMES)
@given(st.dictionaries(ids, features, min_size=1, max_size=5), st.lists(classes, max_size=5))
@pytest.mark.default_n(2)
def test_what_people_say_of_the_tasks_comes_back_whatever_the_features_hold(name, asked, labels):
    format_ = format_of(name)
    tasks = format_.tasks_of([request(one, held) for one, held in asked.items()])
    answers = {one: Said(label, "ada") for one, label in zip(asked, labels, strict=False)}
    reading = format_.replies_of(TOOLS[name](tasks, answers))
    wanted = [(one, said.label, "ada") for one, said in answers.items()]
    assert [(one.request_id, one.label, one.annotator) for one in reading.given] == wanted
    if name != "argilla":
        assert [one.at for one in reading.given] == [1_000.0] * len(wanted)
    open_ = [] if name == "prodigy" else [one for one in asked if one not in answers]
    # The manifest's lines without a label are a fault where nobody says what the attribute is.
    if name != "ground-truth":
        assert (reading.blank, reading.faults) == (open_, [])
    else:
        assert reading.faults_n == len(open_)


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(features, max_size=3))
def test_the_same_requests_are_the_same_bytes_and_no_answer(name, held):
    requests = [request(f"r{i}", one) for i, one in enumerate(held)]
    tasks = format_of(name, label="label").tasks_of(requests)
    assert tasks == format_of(name, label="label").tasks_of(requests)
    reading = format_of(name, label="label").replies_of(tasks)
    assert reading.given == []
    assert reading.blank == [one.request_id for one in requests]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("held", HOSTILE)
def test_a_refusal_comes_back_as_one(name, held):
    format_ = format_of(name, label="kind" if name == "ground-truth" else "")
    tasks = format_.tasks_of([request("r1", {"text": held}), request("r2")])
    reading = format_.replies_of(TOOLS[name](tasks, {"r1": Said(None, "ada")}))
    assert [(one.request_id, one.label) for one in reading.given] in (
        [("r1", None)],
        [("r1", "?")],  # what `cannot_tell` of the settings is for
    )
    assert reading.faults == []


@pytest.mark.parametrize("name", NAMES)
@given(st.binary(max_size=200))
def test_no_bytes_raise(name, content):
    reading = format_of(name).replies_of(content)
    assert all(isinstance(fault, str) and fault for fault in reading.faults)


@pytest.mark.parametrize("name", NAMES)
@given(st.data())
def test_no_damage_to_a_file_of_answers_raises(name, data):
    tasks = format_of(name).tasks_of([request("r1"), request("r2", {"a": "x\ny"})])
    whole = TOOLS[name](tasks, {"r1": Said("ham", "ada"), "r2": Said("spam", "bob")})
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 8)))
    format_of(name).replies_of(whole[:start] + data.draw(st.binary(max_size=4)) + whole[end:])


JSON_NAMES = [name for name in NAMES if name != "csv"]
deep = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
KEYS = [
    "request_id", "id", "label", "label-metadata", "kind-metadata", "accept", "options", "answer",
    "_timestamp", "responses", "label.responses", "label.responses.users", "class-name", "text",
]  # fmt: skip


@pytest.mark.parametrize("name", JSON_NAMES)
@example([{"request_id": "q", "label.responses": True}])
@example([{"request_id": "q", "label.responses": ["a"], "label.responses.users": True}])
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), deep), max_size=3))
@pytest.mark.default_n(2)
def test_no_object_of_another_shape_raises(name, objects):
    whole = msgspec.json.encode(objects)
    lines = b"\n".join(msgspec.json.encode(one) for one in objects)
    for content in (whole, lines):
        for one in format_of(name).replies_of(content).given:
            assert isinstance(one.request_id, str)
            assert one.label is None or isinstance(one.label, str)
