"""Labels by how sure they are: weights when learning, and those of low consensus asked again."""

from __future__ import annotations

from typing import Any

import pytest
from river import base

from headrace import Engine
from headrace.errors import BadSettings
from headrace.learn.memory import Example
from headrace.messages import Answer, Event, LabelDisputed, LabelRequested, LabelSettled
from headrace.settings import parse
from headrace.state.codec import decode_state, encode_state

CROWD = {"consensus": "dawid_skene", "answers_wanted": 2, "answers_max": 2}


class Weighed(base.Classifier):
    """Counts the weight of each class; a weight does what it should."""

    def __init__(self) -> None:
        self.seen: dict[Any, float] = {}

    def learn_one(self, x: Any, y: Any, w: float = 1.0) -> None:
        self.seen[y] = self.seen.get(y, 0.0) + w

    def predict_proba_one(self, x: Any) -> dict[Any, float]:
        total = sum(self.seen.values())
        return {y: n / total for y, n in self.seen.items()}


def engine_with(label: dict[str, Any], **learn: Any) -> Engine:
    settings = parse(
        {
            "seed": 3,
            "schema": {"classes": ["a", "b"]},
            "query": {"budget": {"share": 0.5, "reserve": 0}},
            "label": label,
            "learn": learn,
        }
    )
    return Engine(Weighed(), settings=settings)


def asked_of(engine: Engine, n: int = 40) -> list[LabelRequested]:
    events = [Event(id=f"e{i}", at=float(i), features={"x": i % 5}) for i in range(n)]
    return [o for o in engine.feed(events) if isinstance(o, LabelRequested)]


def says(request: LabelRequested, who: str, label: str) -> Answer:
    return Answer(request_id=request.request_id, label=label, at=99.0, annotator=who)


def settled_by(engine: Engine, request: LabelRequested, labels: str) -> list[Any]:
    names = ("al", "bo", "cy")
    answers = [says(request, who, label) for who, label in zip(names, labels, strict=False)]
    return engine.feed(answers)


@pytest.mark.parametrize("is_soft", [True, False])
def test_a_label_weighs_as_its_class_is_probable(is_soft: bool):
    engine = engine_with(CROWD, soft_labels=is_soft)
    requests = asked_of(engine)
    total = 0.0
    for request in requests[:4]:
        (settled,) = [o for o in settled_by(engine, request, "aa") if isinstance(o, LabelSettled)]
        assert 0.9 < settled.agreement < 0.999
        total += settled.agreement
    seen = engine.trainer.champion.learner.model.seen
    assert sum(seen.values()) == pytest.approx(total if is_soft else 4.0)
    weights = [example.weight for example in engine.trainer.memory.examples()]
    assert weights == pytest.approx(weights) and (max(weights) < 1.0) is is_soft


def test_a_correction_weighs_what_it_is_worth():
    engine = engine_with({**CROWD, "unsure": "taken", "answers_wanted": 1}, soft_labels=True)
    request = asked_of(engine)[0]
    engine.feed([says(request, "al", "a"), says(request, "bo", "a")])
    (before,) = engine.trainer.memory.examples()
    engine.feed([says(request, "al", "b"), says(request, "bo", "b")])
    (after,) = engine.trainer.memory.examples()
    assert (before.code, after.code) == (0, 1) and 0.5 < after.weight < 1.0


def test_majority_knows_no_probability_and_the_fault_names_both_settings():
    with pytest.raises(BadSettings, match=r"learn\.soft_labels is true, and label\.consensus is"):
        parse({"learn": {"soft_labels": True}})


def test_an_example_of_before_weighs_one():
    data, foreign = encode_state(Example("e", 1.0, 0, 1, False))  # type: ignore[arg-type]
    assert decode_state(data, foreign).weight == 1.0
    assert Example.upgrade_state({"id": "e"}, 1) == {"id": "e", "weight": 1.0}


# ---------------------------------------------------------------- labels of low consensus


def test_a_label_of_low_consensus_is_discarded():
    """`unsure = "disputed"`: no label below `confidence`; the model never learns one."""
    engine = engine_with({**CROWD, "unsure": "disputed", "confidence": 0.97})
    request = asked_of(engine)[0]
    ends = settled_by(engine, request, "aa")  # two strangers who agree: 0.94
    assert [type(end) for end in ends if not hasattr(end, "record")] == [LabelDisputed]
    assert engine.trainer.champion.learned_n == 0


def test_a_label_of_low_consensus_is_relabelled():
    """`unsure = "asked"`: it is learned, asked of somebody else, and follows what they say."""
    label = {"consensus": "dawid_skene", "unsure": "asked", "second_opinion_share": 0.5}
    engine = engine_with({**label, "answers_wanted": 1, "answers_max": 1})
    for request in asked_of(engine)[:8]:
        outputs = engine.feed([says(request, "al", "a")])
    assert engine.trainer.champion.learned_n == 8
    outputs += engine.feed(later(100))
    second = opinions(outputs, 2)[0]
    assert second.not_by == ("al",)
    outputs = engine.feed([says(second, "bo", "b"), *later(200)])
    third = opinions(outputs, 3)[0]
    assert third.not_by == ("al", "bo")
    settled = [o for o in engine.feed([says(third, "cy", "b")]) if isinstance(o, LabelSettled)]
    assert (settled[-1].label, settled[-1].opinion_n) == ("b", 3)


def later(start: int) -> list[Event]:
    """More events: there is money again."""
    return [Event(id=f"e{i}", at=float(i), features={"x": 1}) for i in range(start, start + 60)]


def opinions(outputs: list[Any], n: int) -> list[LabelRequested]:
    return [o for o in outputs if isinstance(o, LabelRequested) and o.opinion_n == n]
