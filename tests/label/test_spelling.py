"""One class in several spellings, and lists of classes that are closed."""

from __future__ import annotations

import pytest

from headrace import BadSettings, Engine
from headrace.label.spelling import spell_class
from headrace.messages import Answer, Event, InputRejected, LabelRequested, LabelSettled
from headrace.settings import SchemaSettings, parse

KNOWN = ("false", "true", "Straße")
VARIANTS = ["True", "TRUE", " tRUE\n"]


def heard(label: str | None, known: tuple[str, ...] = KNOWN, **chosen: object) -> tuple:
    said = Answer(request_id="r", label=label, at=0.0)
    answer, fault = spell_class(said, known, SchemaSettings(**chosen))
    return answer.label, fault


@pytest.mark.parametrize("spelling", ["refuse", "join", "keep"])
@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize(
    ("label", "known"), [("true", "true"), (" true\t", "true"), ("Straße", "Straße"), (None, None)]
)
def test_a_known_class_and_a_refusal_are_taken(label, known, spelling, closed):
    assert heard(label, class_spelling=spelling, classes_closed=closed) == (known, "")


@pytest.mark.parametrize("label", [*VARIANTS, "STRASSE"])
def test_another_spelling_is_rejected_with_the_setting_that_helps(label):
    fault = heard(label)[1]
    assert label.strip() in fault
    assert 'schema.class_spelling to "join"' in fault
    assert '"keep"' in fault


@pytest.mark.parametrize(
    ("label", "known"), [*((one, "true") for one in VARIANTS), ("STRASSE", "Straße")]
)
def test_spellings_are_joined_where_that_is_set(label, known):
    assert heard(label, class_spelling="join") == (known, "")


@pytest.mark.parametrize("label", VARIANTS)
def test_spellings_are_kept_apart_where_that_is_set(label):
    assert heard(label, class_spelling="keep") == (label.strip(), "")


@pytest.mark.parametrize("spelling", ["refuse", "join"])
def test_a_spelling_that_two_classes_have_is_rejected(spelling):
    fault = heard("AB", ("Ab", "aB"), class_spelling=spelling)[1]
    assert "['Ab', 'aB'] are known" in fault


@pytest.mark.parametrize("label", ["Ab", "aB"])
def test_classes_that_are_listed_in_two_spellings_stay_two(label):
    assert heard(label, ("Ab", "aB")) == (label, "")


@pytest.mark.parametrize(
    ("label", "spelling"), [("maybe", "refuse"), ("maybe", "join"), ("True", "keep")]
)
def test_a_closed_list_takes_no_other_class(label, spelling):
    fault = heard(label, classes_closed=True, class_spelling=spelling)[1]
    assert fault == f"class {label!r} is none of schema.classes, and schema.classes_closed is true"


def test_an_open_list_takes_another_class():
    assert heard(" maybe ") == ("maybe", "")


def test_a_closed_list_without_classes_is_a_fault():
    with pytest.raises(BadSettings, match=r"schema\.classes must name the classes"):
        parse({"schema": {"classes_closed": True}})


def test_an_engine_says_what_it_does_with_another_spelling_wherever_it_is_cut():
    for spelling, settled_n in (("refuse", 1), ("join", 2), ("keep", 2)):
        schema = {"classes": ["false", "true"], "class_spelling": spelling}
        budget = {"share": 1.0, "start": 2}
        settings = parse({"schema": schema, "query": {"budget": budget}})
        events = [Event(id=str(i), at=float(i), features={"x": float(i)}) for i in range(20)]
        engine = Engine(settings=settings)
        asked = [one for one in engine.feed(events) if isinstance(one, LabelRequested)]
        said = [
            Answer(request_id=one.request_id, label=label, at=20.0)
            for one, label in zip(asked, ("true", "TRUE"), strict=False)
        ]
        cut = Engine(settings=settings)
        cut.restore(engine.snapshot())
        outputs = engine.feed(said)
        assert outputs == [one for answer in said for one in cut.feed([answer])]
        labels = [one.label for one in outputs if isinstance(one, LabelSettled)]
        rejected = [one.reason for one in outputs if isinstance(one, InputRejected)]
        assert len(labels) == settled_n
        assert labels[1:] == {"refuse": [], "join": ["true"], "keep": ["TRUE"]}[spelling]
        assert rejected == (["bad_answer"] if spelling == "refuse" else [])
