"""A function of the user's that reads records: what it may give, and all that it may do wrong."""

from __future__ import annotations

import datetime
import decimal
import math
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from headrace import cli
from headrace.errors import BadSettings
from headrace.messages import Reason
from headrace.observe.decode import Decoded, Decoder
from headrace.settings import InputSettings

GOOD = {"id": "e1", "at": 5.0, "features": {"x": 1.0}}


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module of the user's, empty."""
    module = types.ModuleType("mine")
    monkeypatch.setitem(sys.modules, "mine", module)
    return module


def decoded(mine: Any, read: Callable[..., Any], *lines: bytes, **fields: Any) -> Decoded:
    mine.read = read
    settings = InputSettings(**{"decoder": "mine:read", **fields})
    return Decoder(settings).decode(lines or (b"\x00\xff",), "log", range(7, 99))


def test_an_object_is_mapped_as_one_in_json_would_be(mine: Any) -> None:
    def read(record: bytes) -> Any:
        name, at, x = record.split(b"|")
        return {"who": {"name": name.decode()}, "at": float(at), "features": {"x": float(x)}}

    found = decoded(mine, read, b"a|1|2.5", b"b|2|3.5", id="who.name")
    assert found.batch.ids == ["a", "b"]
    assert found.batch.row(1).features == {"x": 3.5}
    assert (found.events_n, found.rejected) == ([1, 1], [])


def test_an_array_of_objects_is_many_events_and_an_empty_one_none(mine: Any) -> None:
    def read(record: bytes) -> Any:
        return [GOOD | {"id": f"e{i}"} for i in range(len(record))]

    found = decoded(mine, read, b"  ", b"", b"x", b"\n\n\n")
    assert found.events_n == [2, 0, 1, 3]
    assert decoded(mine, lambda _: [], b"x").events_n == [0]
    assert decoded(mine, lambda _: [], b"x").rejected == []


def test_one_object_that_is_at_fault_spoils_no_other(mine: Any) -> None:
    found = decoded(mine, lambda _: [GOOD, {"at": 1}, GOOD | {"id": "e2"}])
    assert found.batch.ids == ["e1", "e2"]
    assert [(one.reason, one.position) for one in found.rejected] == [(Reason.NO_ID, 7)]


def test_values_of_other_libraries_become_what_json_has(mine: Any) -> None:
    moment = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
    features = {
        "a": np.float32(0.5),
        "b": np.int64(3),
        "c": np.arange(2),
        "d": decimal.Decimal("1.25"),
        "e": math.nan,
        "f": np.bool_(True),
    }
    found = decoded(mine, lambda _: {"id": np.int64(8), "at": moment, "features": features})
    event = found.batch.row(0)
    assert (event.id, event.at) == ("8", 1714564800.0)
    assert event.features == {
        "a": 0.5, "b": 3.0, "c.0": 0.0, "c.1": 1.0, "d": 1.25, "e": None, "f": True,
    }  # fmt: skip


def test_headers_are_given_to_a_function_that_wants_them(mine: Any) -> None:
    def read(record: bytes, headers: dict[str, bytes]) -> Any:
        return GOOD | {"id": headers.get("ce_id", b"none").decode()}

    mine.read = read
    decoder = Decoder(InputSettings(decoder="mine:read"))
    assert decoder.has_headers
    assert decoder.decode([b"1", b"2"], headers=[{"ce_id": b"k"}, {}]).batch.ids == ["k", "none"]
    assert decoder.decode([b"1"]).batch.ids == ["none"]
    assert not Decoder(InputSettings(decoder="json:loads")).has_headers
    assert not Decoder(InputSettings()).has_headers


def failing(_: bytes) -> Any:
    raise KeyError("amount \ud800" + "m" * 1_000)


def circle(_: bytes) -> Any:
    found: dict[str, Any] = {}
    found["self"] = found
    return found


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (failing, "KeyError: 'amount"),
        (circle, "RecursionError"),
        (lambda _: None, "it gave None; must give an object"),
        (lambda _: 5, "it gave 5"),
        (lambda _: [GOOD, "text"], "it gave 'text'"),
        (lambda _: object(), "TypeError: it gave an object of type object"),
        (lambda _: {"id": "\ud800"}, "UnicodeEncodeError"),
        (lambda _: {("a", "b"): 1}, "TypeError"),
        (lambda _: [GOOD] * 10_001, "10001 objects"),
        (
            lambda _: {"at": decimal.Decimal("NaN")},
            "Error: ",
        ),  # of either kind, by msgspec's version
    ],
)
def test_what_goes_wrong_in_it_rejects_the_record_and_no_other(
    mine: Any, read: Callable[[bytes], Any], said: str
) -> None:
    found = decoded(mine, lambda line: GOOD if line == b"good" else read(line), b"bad", b"good")
    assert found.events_n == [0, 1]
    (rejected,) = found.rejected
    assert rejected.reason == Reason.NOT_DECODED
    assert said in rejected.detail
    assert len(rejected.detail) <= 300
    assert rejected.detail.encode()
    assert (rejected.raw, rejected.source, rejected.position) == ("bad", "log", 7)


def test_sizes_are_limited_before_it_and_behind_it(mine: Any) -> None:
    called = []

    def read(record: bytes) -> Any:
        called.append(record)
        return GOOD | {"features": {"x": "y" * 2_000}}

    found = decoded(mine, read, b"z" * 1_001, b"small", line_bytes_max=1_000)
    assert [one.reason for one in found.rejected] == [Reason.OVERSIZE] * 2
    assert called == [b"small"]


# ------------------------------------------------------------------------------- finding it


def fault_of(decoder: str) -> str:
    with pytest.raises(BadSettings) as caught:
        Decoder(InputSettings(decoder=decoder))
    (fault,) = caught.value.faults
    return fault


def test_a_function_that_is_not_there_is_told_with_the_nearest_one(
    mine: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine.read_avro, mine.number = failing, 5
    assert fault_of("mine:read_avo").endswith("mine has no such function; did you mean read_avro?")
    assert "no such function" in fault_of("mine:number")
    assert "no module jsn; did you mean json?" in fault_of("jsn:loads")
    assert "no module json.decode; did you mean decoder?" in fault_of("json.decode:loads")
    (tmp_path / "broken_hook.py").write_text("import no_such_library\n")
    (tmp_path / "raising_hook.py").write_text("raise RuntimeError('on import')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "it needs no_such_library, which is not here" in fault_of("broken_hook:read")
    assert "can't be imported: RuntimeError: on import" in fault_of("raising_hook:read")


def test_a_function_that_takes_something_else_is_refused(mine: Any) -> None:
    mine.nothing, mine.much = lambda: None, lambda record, schema: None
    mine.only_headers = lambda *, headers: None
    for name in ("nothing", "much", "only_headers"):
        assert "can't be called with a record" in fault_of(f"mine:{name}")


def test_check_finds_a_decoder_that_is_not_there(tmp_path: Any, capsys: Any) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('[input]\ndecoder = "jsn:loads"\n')
    assert cli.main(["check", str(path)]) == 1
    assert "input.decoder is 'jsn:loads'; there is no module jsn" in capsys.readouterr().out
