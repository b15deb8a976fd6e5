"""Snapshots that nobody wrote: passed over without the key, refused in a sentence with it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hypothesis import given

from fuzz.mutated import mutated, tried
from headrace import Engine, Event
from headrace.adapters.snapshots import SnapshotStore
from headrace.errors import BadInput
from headrace.settings import parse

SETTINGS = parse({"model": {"name": "naive-bayes"}, "observe": {"window_n": 20, "reservoir_n": 10}})


@cache
def blob() -> bytes:
    engine = Engine(settings=SETTINGS)
    engine.feed([Event(id=str(i), at=float(i), features={"x": i % 3}) for i in range(30)])
    return engine.snapshot()


@cache
def sealed() -> bytes:
    """As `SnapshotStore` writes it, signed with a key that is gone."""
    return b"HRSNAP1\n" + b"\x01" * 8 + b"\x00\x00\x00\x02{}" + blob() + b"\x02" * 32


@tried(60)
@given(content=mutated([sealed(), b"HRSNAP1\n", b""]))
def test_files_in_the_folder_of_snapshots(content: bytes, tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "snapshots", stream="s", kept_n=2)
    ours = Path(store.write(1, blob(), {"journal": 9}))
    ours.with_name("snapshot-000000000002.hr").write_bytes(content)
    found = store.latest()
    assert found is not None
    assert (found.seq, found.blob, found.positions) == (1, blob(), {"journal": 9})
    assert len(store.refused) == 1


@tried(60)
@given(content=mutated([blob()]))
def test_states_of_an_engine(content: bytes) -> None:
    engine = Engine(settings=SETTINGS)
    try:
        engine.restore(content)
    except BadInput as error:
        assert str(error)
        return
    assert content == blob()
