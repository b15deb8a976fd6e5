"""Snapshots that nobody wrote: passed over without the key, refused in a sentence with it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import msgspec
import pytest
from hypothesis import given

from fuzz.mutated import mutated
from fuzz.profile import fuzzed
from headrace import Engine, Event
from headrace.adapters.snapshots.store import SnapshotStore
from headrace.errors import BadInput
from headrace.messages import Output
from headrace.settings import parse

SETTINGS = parse({"model": {"name": "naive-bayes"}, "observe": {"window_n": 20, "reservoir_n": 10}})


def events(start: int, stop: int) -> list[Event]:
    return [Event(id=str(i), at=float(i), features={"x": i % 3}) for i in range(start, stop)]


@cache
def blob() -> bytes:
    engine = Engine(settings=SETTINGS)
    engine.feed(events(0, 30))
    return engine.snapshot()


@cache
def parts() -> tuple[bytes, bytes, bytes]:
    """Header, data and models of the blob."""
    end = 12 + int.from_bytes(blob()[8:12], "big")
    data_n = msgspec.json.decode(blob()[12:end])["data"]
    return blob()[12:end], blob()[end : end + data_n], blob()[end + data_n :]


@cache
def after(is_restored: bool) -> list[Output]:
    """What an engine says to the next events, new or gone on from the blob."""
    engine = Engine(settings=SETTINGS)
    if is_restored:
        engine.restore(blob())
    return engine.feed(events(30, 60))


@cache
def sealed() -> bytes:
    """As `SnapshotStore` writes it, signed with a key that is gone."""
    return b"HRSNAP1\n" + b"\x01" * 8 + b"\x00\x00\x00\x02{}" + blob() + b"\x02" * 32


@fuzzed
@given(content=mutated([sealed(), b"HRSNAP1\n", b""]))
def test_without_the_key_a_file_is_passed_over(content: bytes, tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "snapshots", stream="s", kept_n=2)
    ours = Path(store.write(1, blob(), {"journal": 9}))
    ours.with_name("snapshot-000000000002.hr").write_bytes(content)
    found = store.read_latest()
    assert found is not None
    assert (found.seq, found.blob, found.positions) == (1, blob(), {"journal": 9})
    assert len(store.refused) == 1


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@fuzzed
@given(content=mutated([blob()]))
def test_a_state_that_is_not_whole_is_refused(content: bytes) -> None:
    engine = Engine(settings=SETTINGS)
    try:
        engine.restore(content)
    except BadInput as error:
        assert str(error)
        assert engine.feed(events(30, 60)) == after(False)
        return
    # What was changed is in the header and says nothing of the state, such as a version.
    assert engine.feed(events(30, 60)) == after(True)


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@fuzzed
@given(data=mutated([parts()[1]]))
def test_with_the_key_data_that_make_no_state_are_refused(data: bytes) -> None:
    """A header that fits them: only what reads the data is left to refuse them."""
    header, _, models = parts()
    body = data + models
    told = msgspec.json.decode(header) | {
        "data": len(data),
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    text = msgspec.json.encode(told)
    engine = Engine(settings=SETTINGS)
    try:
        engine.restore(blob()[:8] + len(text).to_bytes(4, "big") + text + body)
    except BadInput as error:
        assert str(error)
        assert engine.feed(events(30, 60)) == after(False)
