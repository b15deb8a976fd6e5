"""Answers may come in any order and any number of times within their deadlines: same labels."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import Answer, Engine, Event, LabelDisputed, LabelRequested, LabelSettled, Tick
from headrace.messages import Input, Output
from headrace.settings import Settings, parse

DEADLINE_S = 1_000.0
EVENTS = [Event(id=str(i), at=float(i), features={"x": float(i % 7)}) for i in range(40)]


def engine_settings(wanted_n: int) -> Settings:
    """A strategy that does not look at labels, so that the same events are asked about."""
    return parse(
        {
            "seed": 5,
            "model": {"name": "naive-bayes"},
            "query": {
                "strategy": "random",
                "control_share": 1.0,
                "budget": {"share": 0.5, "reserve": 0},
                "rounds": {"every_n": 5},
            },
            "label": {
                "deadline_s": DEADLINE_S,
                "answers_wanted": wanted_n,
                "answers_max": wanted_n + 2,
            },
            "drift": {"watch": []},
        }
    )


def labels_of(outputs: list[Output]) -> dict[str, str]:
    """The label each request has in the end; a dispute and an expiry are both no label."""
    found: dict[str, str] = {}
    for output in outputs:
        if isinstance(output, LabelSettled):
            found[output.request_id] = output.label
        elif isinstance(output, LabelDisputed):
            found.pop(output.request_id, None)
    return found


def requests_of(outputs: list[Output]) -> list[LabelRequested]:
    return [output for output in outputs if isinstance(output, LabelRequested)]


REQUESTS = {n: requests_of(Engine(settings=engine_settings(n)).feed(EVENTS)) for n in (1, 2, 3)}

answers_of_one = st.lists(
    st.tuples(
        st.sampled_from(["al", "bo", "cy", ""]),
        st.sampled_from(["spam", "ham", "eggs", None]),
        st.integers(0, 3),
    ),
    max_size=6,
)


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[int, list[Answer], list[Answer]]:
    """Answers to several requests, and the same with repetitions in another order."""
    wanted_n = draw(st.sampled_from([1, 2, 3]))
    answers = [
        Answer(request_id=request.request_id, annotator=who, label=label, at=50.0 + at)
        for request in REQUESTS[wanted_n][:6]
        for who, label, at in draw(answers_of_one)
    ]
    repeated = draw(st.lists(st.sampled_from(answers), max_size=10)) if answers else []
    return wanted_n, answers, draw(st.permutations(answers + repeated))


@given(shuffled())
@settings(max_examples=50, deadline=None)
def test_order_and_repetition_of_answers_do_not_matter(
    case: tuple[int, list[Answer], list[Answer]],
) -> None:
    wanted_n, answers, others = case
    found = []
    for given_answers in (answers, others):
        engine = Engine(settings=engine_settings(wanted_n))
        outputs = engine.feed([*EVENTS, *given_answers, Tick(at=5 * DEADLINE_S)])
        found.append(labels_of(outputs))
        assert engine.report.labels.open_n == 0
    assert found[0] == found[1]


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_answers_among_the_events_come_to_the_same_labels(data: st.DataObject) -> None:
    plain: list[Input] = []
    for request in REQUESTS[2]:
        answers = data.draw(answers_of_one)
        plain += [
            Answer(request_id=request.request_id, annotator=who, label=label, at=50.0 + at)
            for who, label, at in answers
        ]
    # Each answer is fed at a place after its request: behind all events, or somewhere among them.
    places = data.draw(st.lists(st.integers(0, 40), min_size=len(plain), max_size=len(plain)))
    asked_at = {request.request_id: int(request.at) for request in REQUESTS[2]}
    mixed: list[tuple[float, int, Input]] = [(event.at, -1, event) for event in EVENTS]
    for i, (answer, place) in enumerate(zip(plain, places, strict=True)):
        assert isinstance(answer, Answer)
        mixed.append((asked_at[answer.request_id] + place + 0.5, i, answer))
    mixed.sort(key=lambda each: each[:2])
    closing = Tick(at=5 * DEADLINE_S)
    late = Engine(settings=engine_settings(2)).feed([*EVENTS, *plain, closing])
    early = Engine(settings=engine_settings(2)).feed([*(each[2] for each in mixed), closing])
    assert [r.request_id for r in requests_of(early)] == [r.request_id for r in requests_of(late)]
    assert labels_of(early) == labels_of(late)


def test_there_is_something_to_answer() -> None:
    assert all(len(requests) >= 6 for requests in REQUESTS.values())
