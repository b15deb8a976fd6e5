import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.errors import BadSettings
from headrace.messages import Answer, Event, EventBatch, InputRejected, Reason
from headrace.observe.answers import AnswersDecoder
from headrace.observe.decode import Decoder, batch_of
from headrace.observe.payloads import EVENTS_MAX
from headrace.observe.schema import Schema, kind_of
from headrace.settings import InputSettings, SchemaSettings

GOOD = {"id": "a", "at": 5.0, "features": {"x": 1}}
BATCHES = ("none", "instances", "kserve-v1", "kserve-v2", "columns")


def line(record: object) -> bytes:
    return json.dumps(record).encode()


def decoded(record: object, **chosen: object):
    return Decoder(InputSettings(**chosen)).decode([line(record)])


def events(record: object, **chosen: object) -> list[Event]:
    found = decoded(record, **chosen)
    assert found.rejected == []
    return [found.batch.row(i) for i in range(len(found.batch))]


def only(record: object, **chosen: object) -> Event:
    (event,) = events(record, **chosen)
    return event


def reject(record: object, **chosen: object) -> InputRejected:
    raw = record if isinstance(record, bytes) else line(record)
    found = Decoder(InputSettings(**chosen)).decode([raw])
    assert len(found.batch) == 0
    (rejected,) = found.rejected
    assert rejected.reason in list(Reason)
    return rejected


def same(one: EventBatch, two: EventBatch) -> bool:
    fields = ("ids", "names", "number_names", "texts", "predicted", "served_classes", "keys")
    return (
        all(repr(getattr(one, name)) == repr(getattr(two, name)) for name in fields)
        and np.array_equal(one.at, two.at, equal_nan=True)
        and np.array_equal(one.numbers, two.numbers, equal_nan=True)
        and repr(one.probabilities) == repr(two.probabilities)
        and one.model_versions == two.model_versions
    )


# ------------------------------------------------------------------------------------- fields


def test_every_field_is_found_by_its_path():
    record = {
        "meta": {"id": 7, "when": "2024-05-01T14:00:00+02:00", "model": {"v": 3}},
        "in": {"x": 1, "deep": {"y": [2, 3]}, "on": True, "none": None, "c": "red"},
        "out": [{"label": 1.0, "p": [0.25, 0.75]}],
        "user": "u",
    }
    assert only(
        record,
        id="meta.id",
        at="meta.when",
        features="in",
        predicted="out.0.label",
        probabilities="out.0.p",
        classes=["0", "1"],
        key="user",
        model_version="meta.model.v",
    ) == Event(
        id="7",
        at=1714564800.0,
        features={"x": 1.0, "deep.y.0": 2.0, "deep.y.1": 3.0, "on": 1.0, "c": "red", "none": None},
        predicted="1",
        probabilities={"0": 0.25, "1": 0.75},
        key="u",
        model_version="3",
    )


def test_flat_features_are_all_fields_without_another_meaning():
    record = {
        "id": "a",
        "at": 1,
        "label": "yes",
        "predicted": "no",
        "x": 1,
        "m": {"key": 2, "z": 3},
    }
    assert only(record, features="", key="m.key").features == {"x": 1.0, "m.z": 3.0}


def test_a_label_inside_the_features_is_no_feature():
    record = {"id": "a", "at": 1, "features": {"x": 1, "y": "spam", "truth": {"by": "eva"}}}
    found = only(record, label="features.y", key="features.truth.by").features
    assert found == {"x": 1.0}


def test_a_path_may_be_the_name_of_a_field_with_dots():
    record = {"request.id": "a", "at": 1, "features": {}}
    assert only(record, id="request.id").id == "a"


def test_an_array_of_features_takes_its_names_from_the_settings():
    record = {**GOOD, "features": [1, "red"]}
    assert only(record, feature_names=["x", "c"]).features == {"x": 1.0, "c": "red"}
    assert reject(record).reason == Reason.BAD_FEATURES


def test_literals_that_are_not_json_are_read():
    raw = b'\xef\xbb\xbf{"id":"a","at":1,"features":{"x":NaN,"y":-Infinity,"z":1e999,"ok":2}}'
    found = Decoder(InputSettings()).decode([raw])
    assert found.rejected == []
    assert found.batch.row(0).features == {"ok": 2.0, "x": None, "y": None, "z": None}
    schema = Schema(SchemaSettings())
    schema.rows(found.batch)
    assert (schema.names, schema.unused.not_finite_n) == (("ok",), 2)


def test_texts_that_look_like_numbers_stay_texts():
    assert only({**GOOD, "features": {"x": "1.5"}}).features == {"x": "1.5"}


@pytest.mark.parametrize(
    ("at", "seconds"),
    [
        (0, 0.0),
        (1.5, 1.5),
        ("2024-05-01T12:00:00Z", 1714564800.0),
        ("2024-05-01t12:00:00.25z", 1714564800.25),
        ("2024-05-01 14:00:00+02:00", 1714564800.0),
    ],
)
def test_times_are_seconds_or_rfc_3339(at, seconds):
    assert only({**GOOD, "at": at}).at == seconds


# ------------------------------------------------------------------------------------ rejects


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"id": None}, Reason.NO_ID, "nothing at id"),
        ({"id": True}, Reason.BAD_ID, "True"),
        ({"id": {}}, Reason.BAD_ID, "{}"),
        ({"at": None}, Reason.NO_TIME, "nothing at at"),
        ({"at": 1.7e12}, Reason.BAD_TIME, "divide"),
        ({"at": True}, Reason.BAD_TIME, "seconds"),
        ({"at": math.nan}, Reason.BAD_TIME, "seconds"),
        ({"at": "2024-05-01T12:00:00"}, Reason.BAD_TIME, "zone"),
        ({"at": "yesterday"}, Reason.BAD_TIME, "RFC 3339"),
        ({"features": None}, Reason.BAD_FEATURES, "missing"),
        ({"features": "x"}, Reason.BAD_FEATURES, "must be an object"),
        ({"features": {"a.b": 1, "a": {"b": 2}}}, Reason.BAD_FEATURES, "two features"),
        ({"features": {"x": [0] * 5000}}, Reason.BAD_FEATURES, "5000"),
        ({"features": {"x": {str(i): [1, 2] for i in range(4000)}}}, Reason.BAD_FEATURES, "8000"),
        ({"predicted": ["a"]}, Reason.BAD_FIELD, "predicted"),
        ({"probabilities": [1.0]}, Reason.BAD_PROBABILITIES, "input.classes"),
        ({"probabilities": 0.5}, Reason.BAD_PROBABILITIES, "must be"),
        ({"probabilities": {"a": 1.5}}, Reason.BAD_PROBABILITIES, "from 0 to 1"),
        ({"probabilities": {"a": "1"}}, Reason.BAD_PROBABILITIES, "from 0 to 1"),
    ],
)
def test_a_bad_field_says_which(change, reason, detail):
    rejected = reject({**GOOD, **change})
    assert (rejected.reason, detail in rejected.detail) == (reason, True), rejected.detail


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"x" * 2000, Reason.OVERSIZE),
        (b'{"id": "\xff"}', Reason.NOT_UTF8),
        (b'{"id": "\\ud800"}', Reason.NOT_UTF8),
        (b'{"id": "a"', Reason.NOT_JSON),
        (b"[" * 900, Reason.NOT_JSON),
        (b'{"id": "a"} {}', Reason.NOT_JSON),
        (b"[1]", Reason.NOT_AN_OBJECT),
        (b"null", Reason.NOT_AN_OBJECT),
    ],
)
def test_a_bad_line_says_why(raw, reason):
    assert reject(raw, line_bytes_max=1000).reason == reason


def test_a_reject_says_where_it_came_from():
    lines = [line(GOOD), b" \n", line({"id": "b"}), b"\xf0\x9f\x98\x80" * 600]
    found = Decoder(InputSettings()).decode(lines, "topic/3", [10, 11, 12, 13])
    assert found.events_n == [1, 0, 0, 0]
    first, second = found.rejected
    assert (first.input_id, first.source, first.position) == ("b", "topic/3", 12)
    assert (first.raw, first.at) == ('{"id": "b"}', 0.0)
    assert (second.position, second.raw) == (13, "😀" * 500)


def test_settings_that_cannot_be_followed_are_faults():
    with pytest.raises(BadSettings, match=r"input.id is empty(.|\n)*feature_names names one twice"):
        Decoder(InputSettings(id="", feature_names=["x", "x"]))


def test_the_page_lists_every_reason():
    page = Path(__file__).parents[2] / "docs" / "REJECTS.md"
    listed = re.findall(r"^\| `(\w+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [str(reason) for reason in Reason]


# ------------------------------------------------------------------------------- many in one


def test_instances_share_what_the_record_has():
    record = {
        "id": "r",
        "at": 5,
        "key": "k",
        "body": {"rows": [{"x": 1}, {"id": "own", "at": 6, "features": {"x": 2}}]},
    }
    one, two = events(record, batch="instances", batch_path="body.rows")
    assert one == Event(id="r/0", at=5.0, features={"x": 1.0}, key="k")
    assert two == Event(id="own", at=6.0, features={"x": 2.0}, key="k")


def test_kserve_v1_predictions_go_with_their_instances():
    record = {
        "id": "r",
        "at": 5,
        "request": {"instances": [[1, 2], [3, 4]]},
        "response": {"predictions": [{"c": 1, "p": [0, 1]}, {"c": 0, "p": [1, 0]}]},
    }
    one, two = events(
        record,
        batch="kserve-v1",
        batch_path="request",
        feature_names=["x", "y"],
        predicted="response.predictions.c",
        probabilities="response.predictions.p",
        classes=["0", "1"],
    )
    assert (one.id, one.features, one.predicted) == ("r/0", {"x": 1.0, "y": 2.0}, "1")
    assert (two.predicted, two.probabilities) == ("0", {"0": 1.0, "1": 0.0})


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]])
def test_kserve_v2_takes_one_tensor_for_all_features(data):
    record = {
        "id": "r",
        "at": 5,
        "inputs": [{"name": "t", "shape": [2, 2], "datatype": "FP64", "data": data}],
        "outputs": [
            {"name": "label", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "b"]},
            {"name": "p", "shape": [2, 2], "datatype": "FP64", "data": [1, 0, 0.5, 0.5]},
        ],
    }
    paths = {"predicted": "outputs.label", "probabilities": "outputs.p", "classes": ["a", "b"]}
    one, two = events(record, batch="kserve-v2", **paths)
    assert (one.features, one.predicted) == ({"t.0": 1.0, "t.1": 2.0}, "a")
    assert (two.id, two.probabilities) == ("r/1", {"a": 0.5, "b": 0.5})
    named = events(record, batch="kserve-v2", feature_names=["x", "y"])
    assert named[1].features == {"x": 3.0, "y": 4.0}


def test_kserve_v2_takes_a_tensor_for_each_feature():
    tensors = [
        {"name": "x", "shape": [2], "datatype": "FP64", "data": [1, 2]},
        {"name": "c", "shape": [2, 1], "datatype": "BYTES", "data": ["red", "blue"]},
        {"name": "id", "shape": [2], "datatype": "BYTES", "data": ["p", "q"]},
    ]
    one, two = events({"at": 5, "inputs": tensors}, batch="kserve-v2")
    assert (one.id, one.features) == ("p", {"x": 1.0, "c": "red"})
    assert (two.id, two.features) == ("q", {"x": 2.0, "c": "blue"})


@pytest.mark.parametrize("wrap", [lambda frame: frame, lambda frame: {"dataframe_split": frame}])
def test_columns_are_rows_of_a_frame(wrap):
    frame = {"index": [0, 1], "columns": ["x", "c", "at"], "data": [[1, "red", 8], [2, None, 9]]}
    one, two = events({"id": "r", **wrap(frame)}, batch="columns")
    assert (one.id, one.at, one.features) == ("r/0", 8.0, {"x": 1.0, "c": "red"})
    assert (two.id, two.at, two.features) == ("r/1", 9.0, {"x": 2.0, "c": None})


@pytest.mark.parametrize("batch", ["columns", "instances"])
def test_records_of_a_frame_are_instances(batch):
    record = {"id": "r", "at": 5, "dataframe_records": [{"x": 1}, {"x": 2}]}
    assert [event.features["x"] for event in events(record, batch=batch)] == [1.0, 2.0]


def test_a_bad_instance_takes_no_other_with_it():
    record = {"id": "r", "at": 5, "instances": [{"x": 1}, {"x": 2, "at": "now"}, {"x": 3}]}
    found = decoded(record, batch="kserve-v1")
    assert found.batch.ids == ["r/0", "r/2"]
    assert found.events_n == [2]
    assert [(r.reason, r.input_id) for r in found.rejected] == [(Reason.BAD_TIME, "r/1")]


@pytest.mark.parametrize(
    ("batch", "record"),
    [
        ("instances", {}),
        ("kserve-v1", {"instances": []}),
        ("kserve-v1", {"instances": [1] * (EVENTS_MAX + 1)}),
        ("kserve-v1", {"instances": [{"x": 1}], "predicted": ["a", "b"]}),
        ("kserve-v2", {"inputs": []}),
        ("kserve-v2", {"inputs": [{"name": "x", "shape": [2], "data": [1]}]}),
        ("kserve-v2", {"inputs": [{"name": "x", "shape": [-1], "data": [1]}]}),
        ("kserve-v2", {"inputs": [{"name": "x", "shape": [10**12, 0], "data": []}]}),
        ("kserve-v2", {"inputs": [{"name": "x", "shape": [2], "data": [[1], 2]}]}),
        ("kserve-v2", {"inputs": [{"name": "x", "shape": [2]}]}),
        ("columns", {"columns": ["x", "x"], "data": [[1, 2]]}),
        ("columns", {"columns": ["x"], "data": [[1, 2]]}),
        ("columns", {"dataframe_split": 3}),
    ],
)
def test_a_bad_batch_is_rejected_whole(batch, record):
    assert reject({"id": "r", "at": 5, **record}, batch=batch).reason == Reason.BAD_BATCH


# ------------------------------------------------------------------------------------ answers


def test_answers_and_refusals_are_told_apart():
    records = [
        {"request_id": "r", "label": 1.0, "annotator": "eva", "at": "2024-05-01T12:00:00Z"},
        {"request_id": 7, "label": None, "at": 5},
        {"request_id": "r", "cannot_tell": True},
    ]
    assert AnswersDecoder().decode([*map(line, records), b""]) == [
        Answer(request_id="r", label="1", annotator="eva", at=1714564800.0),
        Answer(request_id="7", label=None, at=5.0),
        Answer(request_id="r", label=None, at=0.0),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"request_id": None}, Reason.BAD_ANSWER),
        ({"request_id": ""}, Reason.BAD_ANSWER),
        ({"label": ""}, Reason.BAD_ANSWER),
        ({"label": {}}, Reason.BAD_ANSWER),
        ({"label": "x" * 501}, Reason.BAD_ANSWER),
        ({"annotator": []}, Reason.BAD_ANSWER),
        ({"cannot_tell": True}, Reason.BAD_ANSWER),
        ({"at": 1e12}, Reason.BAD_TIME),
    ],
)
def test_a_bad_answer_is_rejected(change, reason):
    record = {"request_id": "r", "label": "a", **change}
    (rejected,) = AnswersDecoder().decode([line(record)], "answers", [4])
    assert isinstance(rejected, InputRejected)
    assert (rejected.reason, rejected.source, rejected.position) == (reason, "answers", 4)


def test_an_answer_without_label_is_no_refusal():
    (rejected,) = AnswersDecoder().decode([b'{"request_id": "r"}'])
    assert isinstance(rejected, InputRejected)
    assert (rejected.reason, rejected.input_id) == (Reason.BAD_ANSWER, "r")


# --------------------------------------------------------------------------------- properties

NAMES = ["id", "at", "features", "predicted", "probabilities", "instances", "inputs", "columns"]
NAMES += ["data", "name", "shape", "request_id", "label", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=30) | JSON.map(line), max_size=6), st.sampled_from(BATCHES))
@example([b"[" * 5000, b'{"a":' + b"9" * 5000 + b"}", b"\\", b"\x00"], "none")
def test_no_bytes_raise_and_no_line_is_lost(lines, batch):
    for features in ("features", ""):
        found = Decoder(InputSettings(batch=batch, features=features)).decode(
            lines, positions=range(len(lines))
        )
        assert sum(found.events_n) == len(found.batch)
        rejected = {reject.position for reject in found.rejected}
        for i, raw in enumerate(lines):
            assert (found.events_n[i] > 0 or i in rejected) == bool(raw.strip())
        assert {reject.reason for reject in found.rejected} <= set(Reason)
        assert np.isfinite(found.batch.at).all()
        Schema(SchemaSettings()).rows(found.batch)
    assert len(AnswersDecoder().decode(lines)) == sum(bool(raw.strip()) for raw in lines)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.just(10**400), st.floats(), st.text(max_size=2)
)
EVENTS = st.lists(
    st.builds(
        Event,
        id=st.text(max_size=3),
        at=st.floats(-1e9, 1e9),
        features=st.dictionaries(st.sampled_from("abcde"), SCALARS, max_size=5),
        predicted=st.none() | st.just("p"),
        probabilities=st.none()
        | st.dictionaries(st.sampled_from("pq"), st.floats(0, 1), min_size=1),
        key=st.none() | st.just("k"),
    ),
    max_size=6,
)


@settings(max_examples=50, deadline=None)
@given(EVENTS)
def test_decoded_events_are_columns_as_batch_of_makes_them(stream):
    raw = [
        line({name: getattr(event, name) for name in event.__struct_fields__}) for event in stream
    ]
    found = Decoder(InputSettings()).decode(raw)
    assert found.rejected == []
    assert same(found.batch, batch_of(stream))


def present(event: Event) -> dict:
    return {name: value for name, value in event.features.items() if kind_of(value)}


@settings(max_examples=50, deadline=None)
@given(EVENTS)
def test_a_batch_means_the_same_as_its_events_one_by_one(stream):
    columns = batch_of(stream)
    assert len(columns) == len(stream)
    assert columns.numbers.flags.c_contiguous
    for i, event in enumerate(stream):
        row, alone = columns.row(i), batch_of([event]).row(0)
        assert present(row) == present(alone)
        assert (row.id, row.at, row.predicted, row.key) == (
            event.id,
            event.at,
            event.predicted,
            event.key,
        )
        assert row.probabilities == alone.probabilities


def test_numpy_values_are_taken_as_pythons_own():
    features = {"f": np.float32(0.5), "i": np.int64(2), "b": np.bool_(True), "s": np.str_("a")}
    batch = batch_of([Event(id="a", at=0.0, features=features)])
    assert batch.row(0).features == {"f": 0.5, "i": 2.0, "b": 1.0, "s": "a"}
    assert batch.names == ("f", "i", "b", "s")


def test_a_time_that_is_no_number_is_left_for_admission():
    stream = [Event(id="a", at=at, features={}) for at in ("12", 1, None)]
    assert np.array_equal(batch_of(stream).at, [math.nan, 1.0, math.nan], equal_nan=True)
