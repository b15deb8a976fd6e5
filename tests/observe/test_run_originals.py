"""What events of a run said, as they came: asked of the batch, kept where their rows say less."""

from __future__ import annotations

from headrace.messages import Event
from headrace.observe.decode import batch_of
from headrace.observe.originals import Originals, unpack_features

BATCH = batch_of([Event(id=str(i), at=float(i), features={"x": i, "y": "red"}) for i in range(6)])


def test_places_are_counted_from_where_the_run_begins():
    originals = Originals(BATCH, 2, 4, are_rows_exact=False)
    assert originals.features(0, 0) == {"x": 2, "y": "red"}
    assert originals.features(1, 2) == {"x": 5, "y": "red"}


def test_those_that_are_kept_are_packed_and_no_others():
    originals = Originals(BATCH, 2, 4, are_rows_exact=False)
    originals.pack_events(1, 3)
    kept = [unpack_features(one) for one in originals.packed]
    assert kept == [None, {"x": 3, "y": "red"}, {"x": 4, "y": "red"}, None]


def test_nothing_is_kept_of_events_whose_rows_say_all():
    originals = Originals(BATCH, 0, 6, are_rows_exact=True)
    originals.pack_events(0, 6)
    assert [originals.features(0, 3), *originals.packed] == [None] * 7
