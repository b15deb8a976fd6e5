"""Payloads of many events, in every form that serving tools log."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from headrace.messages import Event, InputRejected
from headrace.observe.batches import EVENTS_MAX, rows_of
from headrace.observe.decode import Decoder
from headrace.settings import InputSettings

FRAME = [{"months": 3, "plan": "basic"}, {"months": 27, "plan": "family"}]
ROWS = [[3, "basic"], [27, "family"]]
NAMES = ["months", "plan"]


def read(record: object, **chosen: Any) -> tuple[list[Event], list[InputRejected]]:
    line = json.dumps({"id": "a", "at": 5, "payload": record}).encode()
    chosen = {"batch_path": "payload", **chosen}
    found = Decoder(InputSettings(**chosen)).decode([line])
    return [found.batch.row(i) for i in range(len(found.batch))], found.rejected


def features(record: object, **chosen: Any) -> list[dict[str, Any]]:
    events, rejected = read(record, **chosen)
    assert rejected == []
    return [dict(event.features) for event in events]


def detail(record: object, **chosen: Any) -> str:
    _, (rejected,) = read(record, **chosen)
    assert rejected.reason == "bad_batch"
    return rejected.detail


@pytest.mark.parametrize(
    "payload",
    [
        {"columns": NAMES, "data": ROWS},
        {"dataframe_split": {"index": [0, 1], "columns": NAMES, "data": ROWS}},
        {"dataframe_records": FRAME},
        {"instances": FRAME},
        {"inputs": {"months": [3, 27], "plan": ["basic", "family"]}},
        {"inputs": FRAME, "params": {"top": 1}},
        {"inputs": ROWS},
        {"instances": ROWS},
        {
            "inputs": [
                {"name": "months", "shape": [2], "datatype": "INT64", "data": [3, 27]},
                {"name": "plan", "shape": [2, 1], "datatype": "BYTES", "data": ["basic", "family"]},
            ]
        },
    ],
)
@pytest.mark.parametrize("is_text", [False, True])
def test_whatever_mlflow_takes(payload: Any, is_text: bool):
    record = json.dumps(payload) if is_text else payload
    assert features(record, batch="columns", feature_names=NAMES) == FRAME


@pytest.mark.parametrize(
    ("payload", "part"),
    [
        ({"inputs": {"a": [1, 2], "b": [1]}}, "b holds 1 events, an earlier one 2"),
        ({"inputs": {"a": 1}}, "the input a is 1; must be an array"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "dataframe_split"),
        ({"inputs": "late"}, "dataframe_split"),
    ],
)
def test_what_is_no_frame_is_told(payload: Any, part: str):
    assert part in detail(payload, batch="columns")


@pytest.mark.parametrize(
    "payload",
    [
        {"data": {"names": NAMES, "ndarray": ROWS}},
        {"data": {"names": NAMES, "tensor": {"shape": [2, 2], "values": [3, "basic", *ROWS[1]]}}},
        {"data": {"ndarray": ROWS}},
        {"data": {"names": [], "ndarray": ROWS}, "meta": {"puid": "1"}},
        {"jsonData": FRAME},
        {"jsonData": ROWS},
    ],
)
def test_every_message_of_seldon(payload: Any):
    assert features(payload, batch="seldon", feature_names=NAMES) == FRAME


def test_one_row_of_seldon_may_stand_alone():
    payload = {"data": {"names": ["f0", "f1"], "ndarray": [0.77, 0.63]}}
    assert features(payload, batch="seldon") == [{"f0": 0.77, "f1": 0.63}]
    assert features({"jsonData": FRAME[0]}, batch="seldon") == FRAME[:1]
    assert features({"strData": json.dumps(FRAME[0])}, batch="seldon") == FRAME[:1]
    assert features({"strData": "late"}, batch="seldon", feature_names=["t"]) == [{"t": "late"}]


@pytest.mark.parametrize(
    ("payload", "part"),
    [
        ({"binData": "AAAA"}, "binData can't be read"),
        ({"data": {"tftensor": {}}}, "`ndarray`, or a `tensor`"),
        ({"data": {"names": ["a"], "ndarray": [[1, 2]]}}, "must be 1 values"),
        ({"data": {"names": ["a", "a"], "ndarray": [[1, 2]]}}, "each once"),
        ({"data": {"tensor": {"shape": [2, 2], "values": [1]}}}, "1 values for the shape [2, 2]"),
        ({"data": {"tensor": {"values": [1]}}}, "the shape of tensor"),
    ],
)
def test_what_is_no_message_of_seldon_is_told(payload: Any, part: str):
    assert part in detail(payload, batch="seldon")


@pytest.mark.parametrize(
    "text",
    [
        "3,basic\n27,family",
        "3, basic\r\n27, family\r\n",
        "\n3,basic\n\n27,family\n",
        '{"months": 3, "plan": "basic"}\n{"months": 27, "plan": "family"}\n',
        '[3, "basic"]\n[27, "family"]',
        json.dumps(ROWS),
        json.dumps({"instances": ROWS}),
    ],
)
@pytest.mark.parametrize("is_encoded", [False, True])
def test_a_text_of_many_lines_is_many_events(text: str, is_encoded: bool):
    payload = {"data": text, "encoding": "CSV"}
    if is_encoded:
        payload = {"data": base64.b64encode(text.encode()).decode(), "encoding": "BASE64"}
    chosen = {"batch": "instances", "batch_path": "payload.data", "feature_names": NAMES}
    assert features(payload, **chosen) == FRAME


def test_instances_that_are_texts_are_opened_where_they_are_json():
    texts = [json.dumps(one) for one in FRAME]
    assert features(texts, batch="instances") == FRAME
    assert (
        features([json.dumps(row) for row in ROWS], batch="instances", feature_names=NAMES) == FRAME
    )
    assert features(["late", "5"], batch="instances", feature_names=["t"]) == [
        {"t": "late"},
        {"t": "5"},
    ]


@pytest.mark.parametrize(
    "told",
    [
        [0.25, 0.5],
        "0.25\n0.5\n",
        "0.25,0.5",
        "[0.25, 0.5]",
        ["0.25", "0.5"],
        [[0.75, 0.25], [0.5, 0.5]],
        "0.75,0.25\n0.5,0.5",
        [{"ok": 0.75, "bad": 0.25}, {"ok": 0.5, "bad": 0.5}],
        {"names": ["ok", "bad"], "ndarray": [[0.75, 0.25], [0.5, 0.5]]},
        {"tensor": {"shape": [2, 2], "values": [0.75, 0.25, 0.5, 0.5]}},
        [{"classes": ["ok", "bad"], "scores": [0.75, 0.25]}] * 2,
        ['{"labels": ["bad", "ok"], "scores": [0.25, 0.75]}'] * 2,
        [{"ids": ["1", "2"], "displayNames": ["ok", "bad"], "confidences": [0.75, 0.25]}] * 2,
        [[{"label": "ok", "score": 0.75}, {"label": "bad", "score": 0.25}]] * 2,
    ],
)
def test_responses_to_two_events(told: Any):
    record = {"asked": ROWS, "told": told}
    events, rejected = read(
        record, batch="instances", batch_path="payload.asked", feature_names=NAMES,
        probabilities="payload.told", classes=["ok", "bad"],
    )  # fmt: skip
    assert rejected == []
    assert events[0].probabilities == {"ok": 0.75, "bad": 0.25}
    assert len(events) == 2


@pytest.mark.parametrize("told", [["a", "b"], [["a"], ["b"]], "a\nb", "a,b", '["a", "b"]'])
def test_labels_of_two_events(told: Any):
    events, _ = read(
        {"asked": ROWS, "told": told}, batch="instances", batch_path="payload.asked",
        feature_names=NAMES, predicted="payload.told",
    )  # fmt: skip
    assert [event.predicted for event in events] == ["a", "b"]


@pytest.mark.parametrize(
    "told",
    [
        {"classes": ["a", "a"], "scores": [0.5, 0.5]},
        {"classes": ["a"], "scores": [0.5, 0.5]},
        {"labels": [["a"]], "scores": [1]},
    ],
)
def test_two_arrays_that_do_not_fit_are_told(told: Any):
    line = json.dumps({"id": "a", "at": 5, "features": {}, "probabilities": told}).encode()
    (rejected,) = Decoder(InputSettings()).decode([line]).rejected
    assert (rejected.reason, "each text once" in rejected.detail) == ("bad_probabilities", True)


def test_another_number_of_rows_stays_what_it_is():
    assert rows_of("a\nb", 3) == "a\nb"
    assert rows_of({"a": 0.5}, 1) == {"a": 0.5}


def test_no_record_holds_more_events_than_there_may_be():
    assert str(EVENTS_MAX) in detail("1\n" * (EVENTS_MAX + 1), batch="instances")


@pytest.mark.parametrize(
    ("status", "is_taken"),
    [(200, True), ("200", True), (200.0, True), (400, False), (None, False), ([], False)],
)
@pytest.mark.parametrize("batch", ["none", "instances"])
def test_a_request_that_failed_is_left_out(status: Any, is_taken: bool, batch: Any):
    record = {"id": "a", "at": 5, "status_code": status, "features": {"x": 1}, "rows": [{"x": 1}]}
    fields = InputSettings(status="status_code", batch=batch, batch_path="rows")
    found = Decoder(fields).decode([json.dumps(record).encode()])
    assert (len(found.batch), len(found.rejected)) == ((1, 0) if is_taken else (0, 1))
    if not is_taken:
        assert found.rejected[0].reason == "left_out"
        assert "input.status_ok has '200'" in found.rejected[0].detail


@pytest.mark.parametrize(
    ("error", "is_taken"), [(None, True), ("", True), ("late", False), ({"a": 1}, False)]
)
def test_an_error_that_is_not_there_is_a_good_status(error: Any, is_taken: bool):
    record = {"id": "a", "at": 5, "features": {"x": 1}, "error": error}
    fields = InputSettings(status="error", status_ok=[""])
    found = Decoder(fields).decode([json.dumps(record).encode()])
    assert len(found.batch) == is_taken


def test_statuses_that_are_good_may_be_words():
    line = b'{"id": "a", "at": 5, "ok": true, "x": 1}'
    fields = InputSettings(features="", status="ok", status_ok=["true"])
    found = Decoder(fields).decode([line])
    assert found.batch.row(0).features == {"x": 1.0}


def test_bytes_that_are_no_text_stay_as_they_are():
    raw = base64.b64encode(bytes([255, 254])).decode()
    payload = {"data": raw, "encoding": "BASE64"}
    assert "must be an object" in detail(payload, batch="kserve-v1", batch_path="payload.data")


def test_what_leads_nowhere_names_the_setting():
    assert "where input.batch_path leads" in detail([], batch="instances", batch_path="rows")
    line = json.dumps({"id": "a", "at": 5, "features": "1,2\n3,4"}).encode()
    (rejected,) = Decoder(InputSettings(feature_names=["x", "y"])).decode([line]).rejected
    assert 'input.batch = "instances"' in rejected.detail
    line = json.dumps({"id": "a", "at": 5, "features": {}, "probabilities": {"p": [1]}}).encode()
    (rejected,) = Decoder(InputSettings()).decode([line]).rejected
    assert "input.probabilities" in rejected.detail


@pytest.mark.parametrize("text", ["Zurich,CH", "a\nb", '["a", "b"]'])
def test_a_key_of_two_events_is_no_list(text: str):
    chosen = {"batch_path": "payload.rows", "key": "payload.key", "model_version": "payload.key"}
    record = {"rows": FRAME, "key": text}
    events, _ = read(record, batch="instances", **chosen)
    assert [(one.key, one.model_version) for one in events] == [(text, text)] * 2
