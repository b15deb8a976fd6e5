"""What is quick for the usual case gives the bits of what is done for any case."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import Engine, Event
from headrace.chance import Chance
from headrace.label.consensus import Majority, select_standing
from headrace.learn.committee.encoding import Encoder, _deviations
from headrace.learn.committee.stacker import Stacker
from headrace.learn.failures import Failures
from headrace.learn.members import as_answers
from headrace.messages import Answer, Moments
from headrace.observe.moments import DIGITS, RunningMoments
from headrace.observe.schema import Schema
from headrace.observe.seen import Seen, columns_of
from headrace.observe.signals import is_wrong, likeliest_of
from headrace.query.accounts import LABEL
from headrace.query.budgets import Budget, Reserve, Share
from headrace.query.pool import Pool
from headrace.query.strategies import BY_ROW, Strategy, rate_rows, utilities_by_row
from headrace.settings import ColumnsSettings, SchemaSettings

NUMBERS = st.floats(-1e9, 1e9)
VALUES = NUMBERS | st.integers(-9, 9) | st.booleans() | st.none() | st.just(math.nan)
ROWS = st.lists(st.lists(NUMBERS | st.just(math.nan), min_size=3, max_size=3), max_size=40)


def bits_of(x: object) -> str:
    """Every bit, the sign of 0 and the kind of the number too."""
    return f"{type(x).__name__} {x.hex()}" if isinstance(x, float) else repr(x)


@given(st.lists(VALUES, min_size=3, max_size=3))
def test_features_of_numbers_alone_are_those_given_one_by_one(values: list[object]) -> None:
    schema = Schema(SchemaSettings(classes=["a", "b"]), ColumnsSettings())
    names = ["x", "y", "z"]
    schema.row(dict.fromkeys(names, 1.0))
    given_ones = dict(zip(names, values, strict=True))
    row = schema.row(given_ones)  # type: ignore[arg-type]
    found = schema.features(row, given_ones)  # type: ignore[arg-type]
    one_by_one = {
        name: x if (known := given_ones[name]) is None else known
        for name, x in zip(names, row.tolist(), strict=True)
        if x == x
    }
    assert {k: bits_of(x) for k, x in found.items()} == {
        k: bits_of(x) for k, x in one_by_one.items()
    }


@given(ROWS, st.lists(st.integers(1, 9), max_size=8))
def test_moments_are_sums_event_by_event_however_they_are_cut(
    rows: list[list[float]], cuts: list[int]
) -> None:
    whole, running = np.array(rows).reshape(-1, 3), RunningMoments()
    start = 0
    for n in [*cuts, len(rows)]:
        if start < len(rows):
            running.add(whole[start : start + n])
            start += n
    expected = {}
    for name, column in zip("xyz", whole.T.tolist(), strict=True):
        there = [x for x in column if not math.isnan(x)]
        total = squares = 0.0
        for x in there:
            total += x - there[0]
            squares += (x - there[0]) * (x - there[0])
        if there:
            mean = total / len(there)
            spread = max(0.0, squares - mean * total)
            told = (float(f"{number:.{DIGITS}g}") for number in (there[0] + mean, spread))
            expected[name] = Moments(len(there), *told)
    assert running.pop_moments("xyz", ["numeric"] * 3) == (len(rows), expected)


@given(st.lists(st.tuples(st.integers(0, 50), NUMBERS | st.just(math.nan)), min_size=1))
def test_deviations_of_many_moments_are_those_of_each(found: list[tuple[int, float]]) -> None:
    n, squares = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    alone = [Moments(count, 0.0, x).deviation for count, x in found]
    assert _deviations(n, squares).tolist() == alone


@given(st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=5))
def test_a_row_of_plain_numbers_is_encoded_as_each_number_is(xs: list[list[object]]) -> None:
    encoder, names = Encoder(), ["x", "y", "z"]
    encoder.register(dict.fromkeys(names, 1.0))
    events = [dict(zip(names, x, strict=True)) for x in xs]
    expected = [
        [float(v) if v is not None else math.nan for v in x]  # type: ignore[arg-type]
        for x in xs
    ]
    assert encoder.raw_rows(events).tobytes() == np.array(expected).tobytes()


@given(st.integers(1, 4), st.lists(st.sampled_from(["a", "b", None]), max_size=4))
def test_a_majority_of_one_answer_is_that_of_the_general_rule(
    wanted_n: int, labels: list[str | None]
) -> None:
    answers = select_standing(
        [Answer(request_id="r", annotator=f"p{i}", label=x, at=i) for i, x in enumerate(labels)], 2
    )
    found = Majority().decide(answers, wanted_n=wanted_n, answers_max=9, is_closing=False)
    named = [x for x in labels if x is not None]
    heard = next(
        (
            named[:n]
            for n in range(wanted_n, len(named) + 1)
            if any(2 * named[:n].count(x) > n for x in named[:n])
        ),
        None,
    )
    if heard is None:
        assert not found.is_decided
    else:
        assert (found.label, found.tally) == (
            max(heard, key=heard.count),
            {x: heard.count(x) for x in sorted({*heard})},
        )


@given(st.dictionaries(st.text(max_size=2), st.floats(0.0, 1.0), max_size=4), st.text(max_size=2))
def test_the_likeliest_class_is_the_first_of_the_highest(said: dict[str, float], y: str) -> None:
    best = max(said, key=lambda name: said[name]) if said else ""
    assert likeliest_of(said) == best
    assert is_wrong(said, y) == (not said or best != y)


@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=3),
    st.integers(0, 9),
    st.floats(0.0, 1.0),
    st.integers(0, 300),
)
def test_what_is_set_aside_and_there_is_what_the_formulas_say(
    events_n: list[int], most_n: int, share: float, asked_n: int
) -> None:
    reserve = Reserve(most_n, share)
    reserve.use(10)
    assert reserve.held_n(asked_n) == min(most_n, int(max(0, asked_n - 10) * share + 1e-9))
    accounts = [Share(0.5) for _ in events_n]
    for account, n in zip(accounts, events_n, strict=True):
        account.events_passed(n)
    budget = Budget([*accounts])
    assert budget.balance == min(account.balance for account in accounts)
    assert budget.available_n == max(0, budget.balance // LABEL)


@given(st.integers(0, 1_000), st.integers(4, 30), st.integers(1, 3))
@settings(max_examples=20)
def test_what_a_stacker_reads_is_a_stack_by_member(seed: int, m: int, k: int) -> None:
    luck = np.random.default_rng(seed)
    stacker = Stacker([1.0, 2.0])
    said = [luck.normal(size=(2, luck.integers(1, k + 1))) for _ in range(m - 1)]
    said.append(luck.normal(size=(2, k)))
    for logs in said:
        stacker.add(logs, 0, 1.0)
    found, _ = stacker._in_classes(k)
    assert found.shape == (2, m, k)
    assert found.flags.c_contiguous
    for i, logs in enumerate(said):
        known = logs.shape[1]
        assert found[:, i, :known].tobytes() == logs.tobytes()
        assert (found[:, i, known:] < logs.min(axis=1, keepdims=True)).all()


@pytest.mark.parametrize("strategy", BY_ROW)
@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(0, 5))
@settings(max_examples=20)
def test_doubts_by_probabilities_alone_are_those_of_a_pool(
    strategy: Strategy, seed: int, n: int, k: int
) -> None:
    shares = np.random.default_rng(seed).gamma(0.3, size=(n, k)) + 1e-9
    shares /= shares.sum(axis=1, keepdims=True)
    pool = Pool(
        ids=[f"e{i}" for i in range(n)],
        keys=np.arange(n, dtype=np.uint64),
        at=np.zeros(n),
        X=np.zeros((n, 1)),
        is_category=np.zeros(1, np.bool_),
        probabilities=shares,
        wanted_n=1,
    )
    quick = rate_rows(strategy, shares)
    assert quick.tobytes() == utilities_by_row(strategy, "one", pool, Chance(7)).tobytes()
    assert quick.shape == (n,)


SCORES = st.floats(0.0, 1.0) | st.floats(allow_nan=True, allow_infinity=True)


@given(st.tuples(SCORES, SCORES), st.booleans())
def test_one_row_of_two_classes_is_what_it_is_among_others(
    row: tuple[float, float], is_learned: bool
) -> None:
    with np.errstate(all="ignore"):
        alone = as_answers(np.array([row]), Failures(), is_learned=is_learned)
        among = as_answers(np.array([row, (0.5, 0.5)]), Failures(), is_learned=is_learned)
    assert alone.shape == (1, 2)
    assert alone[0].tobytes() == among[0].tobytes()


@given(st.lists(st.floats(-9.0, 9.0) | st.integers(-9, 9) | st.none(), min_size=3, max_size=3))
def test_features_in_order_are_those_in_any_order(values: list[float | int | None]) -> None:
    schema = Schema(SchemaSettings())
    schema.row({"a": 0.5, "b": 0.5, "c": 0.5})
    original = dict(zip("abc", values, strict=True))
    row = schema.row(original)
    backward = dict(reversed(original.items()))
    in_order, in_any = schema.features(row, original), schema.features(row, backward)
    assert list(in_order) == list(in_any)
    assert [*map(bits_of, in_order.values())] == [*map(bits_of, in_any.values())]
    assert in_order is not original


@given(st.lists(st.floats(-9.0, 9.0) | st.none(), min_size=2, max_size=40), st.data())
@settings(max_examples=20, deadline=None)
def test_one_part_of_what_was_seen_is_the_block_that_its_pieces_are(
    values: list[float | None], data: st.DataObject
) -> None:
    engine = Engine(seed=7, classes=["a", "b"])
    engine.feed([Event(id=f"e{i}", at=i, features={"x": x}) for i, x in enumerate(values)])
    for part in engine.shard._seen:
        if len(part) < 2:
            continue
        cut = data.draw(st.integers(part.start + 1, part.stop - 1))
        pieces = [Seen(part.said, part.start, cut), Seen(part.said, cut, part.stop)]
        whole, joined = columns_of([part], 99), columns_of(pieces, 99)
        for name in whole.__dataclass_fields__:
            of_whole, of_pieces = getattr(whole, name), getattr(joined, name)
            assert of_whole.dtype == of_pieces.dtype
            assert of_whole.shape == of_pieces.shape
            assert of_pieces.flags.c_contiguous
            assert repr(of_whole.tolist()) == repr(of_pieces.tolist())
