"""Open questions are scored again when the model has moved: withdrawn, demoted or kept."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import pytest

from headrace import Answer, Engine, Event, EventBatch, LabelRequested
from headrace.errors import BadSettings
from headrace.flow.desks import PartitionDesk
from headrace.flow.wire import desk_input_of, now_headers, value_of
from headrace.label.desk import Desk
from headrace.messages import (
    Input,
    InputRejected,
    LabelSettled,
    ModelAdopted,
    Output,
    QuestionChanged,
    RequestExpired,
    RequestRescored,
    RequestWithdrawn,
    RetrainFinished,
    RetrainRequested,
)
from headrace.observe.columns import batch_of
from headrace.query.record import AskedRecord, Decided, RescoredThen, decided_of, rescored_of
from headrace.query.requests import BLIND
from headrace.settings import LabelSettings, parse
from headrace.shard.recalling import follow_record
from marks import long_ones
from worlds import ON_ARRIVAL, SMALL, Played, encoded, events_of, played, settings_with

OPEN = {"rescored": "withdrawn", "every_n": 20}
ASKED: dict[str, Any] = {"arrival": ON_ARRIVAL, "rounds": {**SMALL["query"], "ask": "rounds"}}


@lru_cache(maxsize=8)
def run_of(ask: str, rescored: str = "withdrawn", late: str = "refused") -> Played:
    settings = settings_with(
        seed=4,
        model={"name": "naive-bayes"},
        query={**ASKED[ask], "open": OPEN | {"rescored": rescored}},
        label={**SMALL["label"], "late_answers": late},
    )
    return played(settings, events_of(4, 400), 4)


def of_kind(outputs: Sequence[Output], kind: type[Any]) -> list[Any]:
    return [one for one in outputs if isinstance(one, kind)]


# ------------------------------------------------------------------- whatever the batching


@pytest.mark.parametrize("ask", ["arrival", "rounds"])
@pytest.mark.parametrize("size", [*long_ones(2), 7, 64])
@pytest.mark.default_n(2)
def test_questions_are_scored_at_the_same_places_however_events_are_batched(
    ask: str, size: int
) -> None:
    run = run_of(ask)
    assert of_kind(run.outputs, RequestRescored)
    engine, outputs = Engine(settings=run.settings), list[Output]()
    for i in range(0, len(run.inputs), size):
        outputs += engine.feed(run.inputs[i : i + size])
    assert encoded(outputs) == encoded(run.outputs)
    assert msgspec.json.encode(engine.report) == run.report


@pytest.mark.parametrize("ask", ["arrival", "rounds"])
def test_a_snapshot_in_between_changes_nothing(ask: str) -> None:
    run = run_of(ask)
    engine, outputs, open_n = Engine(settings=run.settings), list[Output](), 0
    for i in range(0, len(run.inputs), 50):
        outputs += engine.feed(run.inputs[i : i + 50])
        open_n += len(engine.shard.asking.open._asked)
        blob, engine = engine.snapshot(), Engine(settings=run.settings)
        engine.restore(blob)
    assert open_n > 10
    assert encoded(outputs) == encoded(run.outputs)


# ------------------------------------------------------------------------ what is withdrawn


@pytest.mark.parametrize("ask", ["arrival", "rounds"])
def test_only_what_doubt_chose_is_withdrawn_and_blind_draws_alone_judge(ask: str) -> None:
    outputs = run_of(ask).outputs
    requests = {one.request_id: one for one in of_kind(outputs, LabelRequested)}
    gone = [one for one in of_kind(outputs, RequestRescored) if one.withdrawn]
    assert gone
    assert {requests[one.request_id].reason for one in gone} <= {"doubt", "round", "ordered"}
    assert not any(requests[one.request_id].judges for one in gone)
    for one in requests.values():
        assert one.judges == (one.strategy == BLIND)
        if one.reason == "control" and one.round_n < 0:
            assert one.propensity == one.control_p
    for label in of_kind(outputs, LabelSettled):
        assert label.judges == requests[label.request_id].judges


@pytest.mark.parametrize("ask", ["arrival", "rounds"])
def test_what_is_withdrawn_ends_at_once_and_only_once(ask: str) -> None:
    outputs = run_of(ask).outputs
    for i, one in enumerate(outputs):
        if isinstance(one, RequestRescored) and one.withdrawn:
            end = outputs[i + 1]
            assert isinstance(end, RequestWithdrawn | LabelSettled)
            assert end.request_id == one.request_id
            if isinstance(end, RequestWithdrawn):
                assert end.reason == one.withdrawn
    ended = [one.request_id for one in of_kind(outputs, RequestWithdrawn)]
    assert len(ended) == len(set(ended))


@pytest.mark.parametrize("late", ["taken", "refused"])
@pytest.mark.parametrize("ask", ["arrival", "rounds"])
@pytest.mark.default_n(2)
def test_what_is_spent_is_never_above_what_was_earned(ask: str, late: str) -> None:
    """Money of what is withdrawn comes back only where no answer can cost it any more."""
    run = run_of(ask, late=late)
    assert of_kind(run.outputs, RequestWithdrawn)
    share, start = 0.25, 3 if ask == "arrival" else 0
    paid: set[str] = set()
    labelled: set[str] = set()
    for after in run.after:
        for one in after.outputs:
            if isinstance(one, LabelRequested):
                paid.add(one.request_id)
            elif isinstance(one, RequestWithdrawn | RequestExpired) and late == "refused":
                paid.discard(one.request_id)
            elif isinstance(one, LabelSettled):
                labelled.add(one.request_id)
        assert len(paid | labelled) <= share * after.events_n + start + 1e-9
        assert after.balance >= 0


def test_kept_questions_leave_requests_as_they_were_without_the_setting() -> None:
    settings = settings_with(seed=4, model={"name": "naive-bayes"}, query=ON_ARRIVAL)
    run = played(settings, events_of(4, 200), 4)
    assert not of_kind(run.outputs, RequestRescored)
    assert all(b"priority" not in line and b"judges" not in line for line in encoded(run.outputs))


def test_demoted_questions_change_their_priority_and_stay_open() -> None:
    outputs = run_of("arrival", "demoted").outputs
    said = of_kind(outputs, RequestRescored)
    assert said and not any(one.withdrawn for one in said)
    before = {one.request_id: one.priority for one in of_kind(outputs, LabelRequested)}
    for one in said:
        assert one.priority != before[one.request_id]
        assert round(10 * one.priority) == pytest.approx(10 * one.priority)
        before[one.request_id] = one.priority


@pytest.mark.parametrize("rescored", ["demoted", "withdrawn"])
def test_what_came_of_open_questions_is_counted(rescored: str) -> None:
    run = run_of("arrival", rescored)
    said = of_kind(run.outputs, RequestRescored)
    counted = msgspec.json.decode(run.report)["asking"]["rescored_n"]
    assert sum(counted.values()) == len(said)
    for why in {one.withdrawn for one in said if one.withdrawn}:
        assert counted[why] == sum(one.withdrawn == why for one in said)
    moved_n = sum(not one.withdrawn for one in said)
    assert counted.get("lower", 0) + counted.get("higher", 0) == moved_n


# --------------------------------------------------------------------------- the record wins


def in_pieces(run: Played) -> list[tuple[Input, ...]]:
    """The inputs, some at a time: fed so they do what they do one by one, as shown above."""
    return [run.inputs[i : i + 25] for i in range(0, len(run.inputs), 25)]


def recorded(run: Played) -> tuple[list[str], list[Decided], list[RescoredThen]]:
    """What a run has asked and has said of open questions, and after how many events."""
    key = Engine(settings=run.settings).shard.chance.key
    asked, decided, rescored = list[str](), list[Decided](), list[RescoredThen]()
    for after in run.after:
        for one in after.outputs:
            if isinstance(one, LabelRequested) and one.opinion_n == 1:
                asked.append(one.request_id)
                decided.append(decided_of(one, key(one.event_id), after.events_n))
            rescored += rescored_of([one], after.events_n)
    return asked, decided, rescored


def test_what_the_record_says_of_open_questions_is_said_again() -> None:
    run = run_of("rounds")
    asked, decided, rescored = recorded(run)
    gone = next(i for i, one in enumerate(rescored) if one.said.withdrawn)
    kept = rescored[gone]
    altered = [*rescored[:gone], *rescored[gone + 1 :]]

    again = Engine(settings=run.settings)
    follow_record(again.shard, AskedRecord(asked, decided, 0, altered))
    outputs = [one for piece in in_pieces(run) for one in again.feed(piece)]
    more, differences = again.settle_record()
    said = of_kind([*outputs, *more], RequestRescored)
    assert kept.said not in said
    assert [one.said for one in altered] == said
    assert differences.turned_n > 0


def test_a_whole_record_differs_in_nothing() -> None:
    run = run_of("arrival")
    asked, decided, rescored = recorded(run)
    again = Engine(settings=run.settings)
    follow_record(again.shard, AskedRecord(asked, decided, 0, rescored))
    outputs = [one for piece in in_pieces(run) for one in again.feed(piece)]
    more, differences = again.settle_record()
    assert encoded([*outputs, *more]) == encoded(run.outputs)
    assert differences.n == 0


# ------------------------------------------------------------------------------ redundancy


def test_a_question_like_one_that_was_drawn_blindly_is_redundant() -> None:
    """Rows of ten kinds: what doubt asked is withdrawn once the same row is asked blindly."""
    luck = np.random.default_rng(0)
    settings = parse(
        {
            "seed": 2,
            "model": {"name": "naive-bayes"},
            "label": {"late_answers": "refused"},
            "query": {
                "ask": "arrival",
                "budget": {"share": 0.3},
                "open": {"rescored": "withdrawn", "every_n": 10, "worth": 0.01},
                "duplicates": {"distance": 0.0},
            },
        }
    )
    engine, outputs, answers = Engine(settings=settings), list[Output](), list[Answer]()
    for i in range(300):
        kind = int(luck.integers(20))
        event = Event(id=str(i), at=float(i), features={"x": float(kind), "y": kind % 7})
        found = engine.feed([event])
        for one in of_kind(found, LabelRequested):
            label = "a" if one.features["x"] > 10 else "b"
            # Blind draws are answered, so that the model moves.
            if one.judges:
                answers.append(Answer(request_id=one.request_id, label=label, at=float(i)))
        outputs += found
        if len(answers) > 3:
            outputs += engine.feed([answers.pop(0)])
    gone = [one for one in of_kind(outputs, RequestRescored) if one.withdrawn == "redundant"]
    assert gone
    rows = {one.request_id: (one.features["x"], one.at) for one in of_kind(outputs, LabelRequested)}
    for one in gone:
        x, asked_at = rows[one.request_id]
        others = [at for name, (other, at) in rows.items() if name != one.request_id and other == x]
        assert any(asked_at < at <= one.at for at in others)


# ---------------------------------------------------------------------------------- limits


def test_so_many_questions_are_held_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.query.open_questions.SCORED_MAX", 3)
    run = run_of("rounds")
    engine = Engine(settings=run.settings)
    engine.feed(run.inputs[:250])
    held = []
    for message in run.inputs[250:450]:
        engine.feed([message])
        held.append(len(engine.shard.asking.open._asked))
    assert max(held) == 3


def test_settings_that_change_nothing_are_faults() -> None:
    for wrong, told in (
        ({"open": {"every_n": 10}}, "is kept, so that every_n and worth change nothing"),
        ({"open": {"rescored": "demoted", "worth": 0.3}}, "so that worth changes nothing"),
        ({"open": {"rescored": "demoted"}, "strategy": "random"}, "which prefers nothing"),
    ):
        with pytest.raises(BadSettings, match=told):
            parse({"query": wrong})


def test_events_in_columns_are_rescored_alike() -> None:
    """A batch of columns is what the same events are one by one."""
    run = run_of("arrival")
    events = [one for one in run.inputs if isinstance(one, Event)][:150]
    plain, columns = Engine(settings=run.settings), Engine(settings=run.settings)
    batch = batch_of(events)
    assert isinstance(batch, EventBatch)
    assert encoded(plain.feed(events)) == encoded(columns.feed([batch]))


# ----------------------------------------------------------------- while a model is made anew


@pytest.mark.parametrize("ask", ["arrival", "rounds"])
def test_while_a_model_is_made_anew_the_one_in_use_scores_asks_and_learns(ask: str) -> None:
    """It is the proxy: what is asked meanwhile is asked by versions after the order."""
    settings = run_of(ask).settings
    engine, ordered, versions = Engine(settings=settings), None, set[int]()
    for piece in in_pieces(run_of(ask)):
        # It takes for ever.
        for one in engine.feed([m for m in piece if not isinstance(m, RetrainFinished)]):
            if isinstance(one, RetrainRequested) and ordered is None:
                ordered = one.model_version
            elif isinstance(one, LabelRequested) and ordered is not None and engine.open_job:
                versions.add(one.model_version)
    assert ordered is not None
    assert len([one for one in versions if one > ordered]) > 3


def test_a_challenger_that_takes_over_moves_the_model() -> None:
    """So that open questions are scored again at the next place."""
    run = run_of("arrival")
    version, is_adopted = 0, False
    for after in run.after:
        if of_kind(after.outputs, ModelAdopted):
            is_adopted = True
            assert after.model_version > version
            assert after.is_look_due
        version = after.model_version
    assert is_adopted


# -------------------------------------------------------------------------------- at the desk


def a_desk(**limits: Any) -> tuple[Desk, LabelRequested]:
    """With one open request that wants two answers."""
    desk = Desk(LabelSettings(**limits), classes=["a", "b"], classes_max=4)
    [request, *_] = of_kind(run_of("rounds").outputs, LabelRequested)
    request = msgspec.structs.replace(request, answers_wanted=2)
    assert desk.open_request(request) == []
    return desk, request


def rescored(request: LabelRequested, why: str = "", priority: float = 0.3) -> RequestRescored:
    return RequestRescored(
        request_id=request.request_id, at=request.at + 1.0, priority=priority, withdrawn=why
    )


def test_a_desk_keeps_the_priority_and_ends_what_is_withdrawn() -> None:
    desk, request = a_desk(late_answers="refused")
    assert desk.rescore_request(rescored(request)) == []
    assert desk.list_requests()[0].priority == 0.3
    [end] = desk.rescore_request(rescored(request, "redundant"))
    assert isinstance(end, RequestWithdrawn) and end.reason == "redundant"
    assert desk.rescore_request(rescored(request, "redundant")) == []
    late = Answer(request_id=request.request_id, label="a", at=request.at, annotator="al")
    [refused] = desk.take_answer(late, request.at + 2.0)
    assert isinstance(refused, InputRejected) and refused.reason == "late_answer"


def test_answers_that_agree_are_not_thrown_away_with_the_question() -> None:
    desk, request = a_desk()
    one = Answer(request_id=request.request_id, label="a", at=request.at, annotator="al")
    assert desk.take_answer(one, request.at) == []
    end, taken_back = desk.rescore_request(rescored(request, "no longer informative"))
    assert isinstance(end, LabelSettled) and end.label == "a" and end.judges == request.judges
    # One of two answers is there: somebody may still be shown the question.
    assert isinstance(taken_back, QuestionChanged)
    assert taken_back.record.request_id == request.request_id


def test_a_desk_on_kafka_is_told_in_its_log() -> None:
    [request, *_] = of_kind(run_of("rounds").outputs, LabelRequested)
    said = rescored(request, "redundant")

    class Logged:
        value, headers = value_of(said), now_headers(said.at)

    entry = desk_input_of(Logged())  # type: ignore[arg-type]  # what of a record is read
    assert entry == (said, said.at)
    desk = PartitionDesk(run_of("rounds").settings, 0)
    desk.fold(request, request.at, 0)
    [ended] = desk.fold(said, said.at, 1)
    assert isinstance(ended.output, RequestWithdrawn) and ended.origin is not None
