"""Events admitted all at once are admitted as one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.chance import Chance
from headrace.messages import EventBatch, InputRejected
from headrace.observe.admission import Admission
from headrace.observe.schema import Schema
from headrace.settings import SchemaSettings, parse

NAMES = st.integers(0, 60).map(str) | st.sampled_from(["", "x" * 500, "x" * 501])
TIMES = st.floats(0.0, 30.0) | st.sampled_from([np.nan, np.inf, -2e11, 1.1e11, 5e8])


def admitted(events, cuts, ids_n, *, is_quick):
    """What becomes of the events in batches that end at `cuts`, and the state after them."""
    chance = Chance(7)
    admission = Admission(parse({"observe": {"ids_n": ids_n}}), chance)
    if not is_quick:
        admission._are_usual = lambda *_: False
    schema, told = Schema(SchemaSettings()), []
    for start, stop in zip([0, *cuts], [*cuts, len(events)], strict=True):
        if start == stop:
            continue
        part = events[start:stop]
        batch = EventBatch(
            ids=[name for name, _ in part],
            at=np.array([at for _, at in part]),
            names=("f",),
            number_names=("f",),
            numbers=np.ones((len(part), 1)),
            texts={},
        )
        for run in admission.admit_batch(batch, schema):
            if isinstance(run, InputRejected):
                told.append(run)
            else:
                told += zip(run.ids.tolist(), run.clock.tolist(), strict=True)
    state = admission._latest, admission._before, admission.rejected
    return told, [list(one.items()) for one in state], admission.clock.now, admission.clock._heard


@settings(max_examples=50, deadline=None)
@given(
    usual_n=st.integers(20, 60),
    odd=st.lists(st.tuples(NAMES, TIMES), max_size=25),
    cuts=st.lists(st.integers(0, 60), max_size=4),
    ids_n=st.integers(1, 80),
)
def test_events_admitted_at_once_are_admitted_as_one_by_one(usual_n, odd, cuts, ids_n):
    events = [(f"e{i}", float(i)) for i in range(usual_n)] + odd
    events += [(f"g{i}", 30.0 + i / 9.0) for i in range(usual_n)]
    cuts = sorted(min(cut, len(events)) for cut in cuts)
    quick = admitted(events, cuts, ids_n, is_quick=True)
    # NaN is written as what it is, so that it equals itself.
    assert repr(quick) == repr(admitted(events, cuts, ids_n, is_quick=False))


def test_usual_events_are_admitted_at_once(monkeypatch):
    events = [(f"e{i}", float(i)) for i in range(100)]
    asked = []
    fault = Admission._fault
    monkeypatch.setattr(
        Admission, "_fault", lambda self, *a, **k: asked.append(a) or fault(self, *a, **k)
    )
    told, *_ = admitted(events, [50], 1_000, is_quick=True)
    assert len(told) == 100
    assert len(asked) == 50  # Those before there was a clock.
