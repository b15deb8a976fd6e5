"""Our own state as data: what comes back, what is refused, and states of earlier versions."""

import collections
import math
from collections import deque
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.chance import Chance
from headrace.errors import BadInput
from headrace.messages import Answer, Event, EventBatch, LabelRequested
from headrace.observe.drift import DriftLevel
from headrace.query.rules import RULES, make_rule
from headrace.settings import Settings
from headrace.state import codec, names
from headrace.state.codec import decode_state, encode_state
from headrace.state.compare import find_differences


def again(state: Any) -> Any:
    """The state through bytes; that it is written in the same bytes again is checked on the way."""
    data, foreign = encode_state(state)
    back = decode_state(data, foreign)
    assert encode_state(back)[0] == data
    assert find_differences(state, back) == []
    return back


ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text()
ODD_TEXTS = st.text(st.characters(codec=None))
HASHED = ATOMS | ODD_TEXTS | st.tuples(ATOMS, ODD_TEXTS) | st.frozensets(ATOMS)
TREES = st.recursive(
    HASHED,
    lambda part: (
        st.lists(part)
        | st.lists(part).map(tuple)
        | st.dictionaries(HASHED, part)
        | st.sets(HASHED)
        | st.lists(part).map(lambda parts: deque(parts, maxlen=9))
    ),
    max_leaves=20,
)


def has_nan(value: Any) -> bool:
    return "nan" in repr(value)


@given(TREES)
def test_any_tree_of_plain_values_comes_back_in_the_same_bytes(tree: Any):
    data, _ = encode_state(tree)
    back = decode_state(data, [])
    assert encode_state(back)[0] == data
    # A NaN in a set or as a key is not equal to itself: the bytes have said it.
    if not has_nan(tree):
        assert find_differences(tree, back) == []


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6)[::2],
        np.empty((3, 0)),
        np.array(5.0),
        np.array([0.0, -0.0, math.nan, math.inf]),
        np.array([1, 2], dtype=">i4"),
        np.array([True, False]),
        np.array(["a", "bc"]),
        np.array(["2024-01-02"], dtype="M8[D]"),
        np.array([1 + 2j]),
        np.array([None, (1, 2), "x"], dtype=object),
        np.zeros((2, 0), dtype=object),
    ],
    ids=str,
)
def test_arrays_come_back_bit_for_bit_in_their_layout(array: np.ndarray):
    back = again(array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.forc
    assert back.flags.writeable
    again([array[:1] if array.ndim else array])


def test_tuples_of_one_length_stay_tuples_in_an_array_of_objects():
    array = np.empty(2, dtype=object)
    array[0], array[1] = (1, 2), (3, 4)
    assert again(array).tolist() == [(1, 2), (3, 4)]


def test_an_array_that_is_not_to_be_written_stays_so():
    array = np.ones(2)
    array.flags.writeable = False
    assert not again(array).flags.writeable


def test_objects_of_all_kinds_come_back_equal():
    batch = EventBatch(["a"], np.zeros(1), ("x",), ("x",), np.ones((1, 1)), {})
    state = [
        Event(id="a", at=1.0, features={"x": 1.0}),
        Settings(),
        Chance(7),
        DriftLevel.WARNING,
        {DriftLevel.DRIFT: np.float64(0.1)},
        batch,
        1 << 90,
        -(1 << 63) - 1,
        "\ud800",
    ]
    back = again(state)
    assert back[0] == state[0]
    assert back[1] == state[1]
    assert back[3] is DriftLevel.WARNING
    assert type(back[4][DriftLevel.DRIFT]) is np.float64
    assert back[5].row(0) == batch.row(0)
    assert back[6:] == state[6:]


def test_what_stands_in_two_places_stands_in_two_places_again():
    shared, array = {"n": 1}, np.ones(1)
    circle: list[Any] = [shared, array, (shared, array)]
    circle.append(circle)
    back = again(circle)
    assert back[3] is back
    assert back[2][0] is back[0]
    assert back[2][1] is back[1]


def test_foreign_objects_are_listed_once_in_the_order_of_their_places():
    one, two = collections.Counter("ab"), complex(1, 2)
    data, foreign = encode_state([one, {"x": two}, one])
    assert foreign == [one, two]
    back = decode_state(data, ["new", "newer"])
    assert back == ["new", {"x": "newer"}, "new"]


def test_arrays_of_structures_are_no_part_of_a_state():
    with pytest.raises(TypeError, match="can't be part of a state"):
        encode_state(np.zeros(1, dtype=[("a", "f8")]))


# ------------------------------------------------------------------------------------ forged


def forged(root: Any, *shapes: Any) -> bytes:
    return msgspec.msgpack.encode([shapes, root])


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "state.frozen:hashlib.sha256",
        "state.codec:importlib.import_module",
        "settings_http:msgspec.Struct",
        "messages:msgspec.Struct",
        "__main__:main",
        "commands.__main__:x",
        "..os:system",
        "messages:Event.__init__",
        "messages:Event.__class__",
        "errors:BadInput",
        "learn.mixed:MixedNB",
        "chance:_mix",
        "no.such.module:Thing",
        "messages:Nothing",
        "messages",
        "",
    ],
)
def test_only_classes_of_our_own_state_are_made(name: str):
    with pytest.raises(BadInput, match=r"no class|has no class"):
        decode_state(forged([15, 0], [name, 1, []]), [])
    with pytest.raises(BadInput, match=r"no class|has no class"):
        decode_state(forged([16, name, "x"]), [])


@pytest.mark.parametrize(
    "node",
    [
        [99],
        [],
        ["x"],
        [0, 0],
        [0, -1],
        [10, "|O", [1], 0, b"12345678"],
        [10, "O8", [1], 0, b"12345678"],
        [10, "f8,O", [1], 0, b"12345678"],
        [10, "<f8", [1 << 60], 0, b"12345678"],
        [10, "<f8", [2], 0, b"12345678"],
        [10, "<f8", [1], 0, b"1234567"],
        [10, "<U0", [1 << 40], 0, b""],
        [11, [1 << 50], [2, [1]]],
        [12, "<f8", b"1"],
        [5, 1],
        [5, [1, 2], 3],
        [7, [1, 2]],
        [9, -5],
        [17, 3],
        [15, 7],
        [15, 0, 1, 2],
        [16, "observe.drift.detectors:DriftLevel", "__class__"],
    ],
    ids=str,
)
def test_forged_nodes_are_refused_and_ask_for_no_memory(node: Any):
    with pytest.raises((BadInput, ValueError, TypeError, LookupError)):
        decode_state(forged(node, ["chance:Chance", 1, ["seed"]]), [])


def test_depth_is_an_error_and_no_crash():
    for levels in (900, 100_000):
        lists = b"\x92\x01" * levels + b"\xc0"
        with pytest.raises(RecursionError):
            decode_state(b"\x92\x90" + lists, [])


def test_a_struct_can_not_stand_inside_itself():
    with pytest.raises(BadInput, match="inside itself"):
        decode_state(
            forged([15, 0, "a", 1.0, [0, 0]], ["messages:Event", 1, ["id", "at", "features"]]), []
        )


# ------------------------------------------------------------------------------- versions


def test_a_field_that_an_object_must_have_is_missed():
    with pytest.raises(BadInput, match="other fields: seed"):
        decode_state(forged([15, 0], ["chance:Chance", 1, []]), [])
    with pytest.raises(TypeError, match="colour"):
        shape = ["messages:Event", 1, ["id", "at", "features", "colour"]]
        decode_state(forged([15, 0, "a", 1.0, [6, {}], 3], shape), [])


def test_a_class_of_a_later_version_is_refused_with_both_numbers():
    with pytest.raises(BadInput, match="version 2, this Headrace knows up to 1"):
        decode_state(forged([15, 0, 7], ["chance:Chance", 2, ["seed"]]), [])


def test_a_class_of_an_earlier_version_is_upgraded(monkeypatch: pytest.MonkeyPatch):
    written, _ = encode_state([Chance(7), Chance(8)])

    def upgraded(fields: dict[str, Any], version: int) -> dict[str, Any]:
        assert version == 1
        return {"seed": fields["seed"] + 100}

    monkeypatch.setattr(Chance, "STATE_VERSION", 2, raising=False)
    with pytest.raises(BadInput, match="can't be brought to version 2"):
        decode_state(written, [])
    monkeypatch.setattr(Chance, "upgrade_state", staticmethod(upgraded), raising=False)
    assert [chance.seed for chance in decode_state(written, [])] == [107, 108]
    # Of the present version nothing is upgraded.
    assert decode_state(encode_state(Chance(7))[0], []).seed == 7


def test_a_class_that_moved_is_found_where_it_is_now(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(names.RENAMED, "luck:Luck", "chance:Chance")
    codec._class_named.cache_clear()
    assert decode_state(forged([15, 0, 7], ["luck:Luck", 1, ["seed"]]), []).seed == 7
    codec._class_named.cache_clear()


def test_a_message_that_was_held_in_a_state_is_written_as_before():
    """msgspec leaves a float out only if it is the very object that is the default."""
    held = LabelRequested(
        request_id="r", event_id="e", at=0.0, event_at=0.0, deadline=1.0, features={}, reason="",
        strategy="", utility=0.0, threshold=0.0, propensity=1.0, model_version=0, prediction={},
        round_n=0, seq=0,
    )  # fmt: skip
    told = msgspec.structs.replace(held, control_p=float("0"))
    assert msgspec.json.encode(held) != msgspec.json.encode(told)
    for message in (held, told, Answer(request_id="r", label=None, at=0.0)):
        again = decode_state(*encode_state(message))
        assert msgspec.json.encode(again) == msgspec.json.encode(message)
        assert again == message
    both = decode_state(*encode_state([held, told]))
    assert [msgspec.json.encode(one) for one in both] == [*map(msgspec.json.encode, (held, told))]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_that_has_seen_nothing_is_read_back(name: str) -> None:
    rule = make_rule(name, {})
    data, foreign = encode_state(rule)
    back = decode_state(data, foreign)
    assert encode_state(back)[0] == data
    assert all(getattr(back, name) == getattr(rule, name) for name in plain_fields(rule))


def plain_fields(rule: Any) -> list[Any]:
    return [name for name, value in vars(rule).items() if isinstance(value, int | float)]
