"""Labelling functions: each says what it thinks, once, and a person is always heard."""

from __future__ import annotations

from contextlib import closing
from itertools import count

import pytest

from bridges.formats.tools import request
from headrace.bridges.bridge import Delivery
from headrace.bridges.carrier import BridgeCarrier
from headrace.bridges.functions import Functions, FunctionsSettings
from headrace.bridges.outbox import BridgeOutbox
from headrace.errors import BadSettings
from headrace.label.dawid_skene import DawidSkene
from headrace.messages import Answer
from headrace.testing.bridges import Crash, MemoryEnd

CLASSES = ["ham", "spam"]


def bridge_of(folder, *names, **settings):
    paths = [f"bridges.rules:{name}" for name in names]
    chosen = FunctionsSettings(**({"functions": paths, "classes": CLASSES} | settings))
    return Functions(chosen, folder / "functions", clock=lambda: 50.0, outlives_power=False)


def said(folder, names, features, *, wanted_n=10, **settings):
    """What these functions say of one event, and what is wrong with them."""
    with closing(bridge_of(folder, *names, **settings)) as bridge:
        asked = request("r1", features, answers_wanted=wanted_n)
        bridge.send([Delivery("r1", asked)])
        receipt = bridge.receive("")
        return [(one.annotator, one.label) for one in receipt.replies], list(receipt.faults)


def test_each_function_names_a_class_or_abstains(tmp_path):
    names = ["shouts", "long", "short", "polite", "greedy", "named", "nameless"]
    found, faults = said(tmp_path, names, {"text": "PAY NOW AT ONCE", "n": 1})
    assert found == [
        ("lf:shouts", "spam"), ("lf:long", "spam"), ("lf:greedy", "spam"), ("lf:mine", "spam"),
        ("lf:nameless", "spam"),
    ]  # fmt: skip
    assert faults == []
    (tmp_path / "b").mkdir()
    found, faults = said(tmp_path / "b", ["shouts", "long", "short", "polite"], {"text": "hi"})
    assert (found, faults) == ([("lf:short", "ham")], [])
    (tmp_path / "c").mkdir()
    assert said(tmp_path / "c", ["polite"], {"text": "please"}) == ([("lf:polite", "ham")], [])


def test_booleans_are_the_classes_true_and_false(tmp_path):
    found = said(tmp_path, ["certain"], {"n": 2}, classes=[])
    assert found == ([("lf:certain", "true")], [])


@pytest.mark.parametrize(
    "name, fault",
    [
        ("broken", "lf:broken failed: ValueError: no such thing as hi (request r1)"),
        ("vague", "lf:vague returned 0.5; must be None, -1 or one of ham, spam"),
        ("far", "lf:far returned 7; must be None, -1 or one of ham, spam"),
        ("chatty", "lf:chatty returned 'xxx"),
        ("certain", "lf:certain returned False; must be None, -1 or one of ham, spam"),
    ],
)
def test_a_function_that_is_wrong_is_told_and_the_others_go_on(tmp_path, name, fault):
    found, (only,) = said(tmp_path, [name, "short"], {"text": "hi"})
    assert found == [("lf:short", "ham")]
    assert only.startswith(fault)


def test_a_label_that_could_not_be_an_answer_is_a_fault(tmp_path):
    found, (fault,) = said(tmp_path, ["chatty"], {"text": "hi"}, classes=[])
    assert (found, "1 to 200 characters" in fault) == ([], True)


def test_each_kind_of_fault_is_told_once(tmp_path):
    with closing(bridge_of(tmp_path, "broken", "far")) as bridge:
        for i in range(50):
            bridge.send([Delivery(f"r{i}", request(f"r{i}", {"text": f"{i}"}, answers_wanted=3))])
        assert len(bridge.receive("").faults) == 2
        assert bridge.receive("").faults == ()


def test_what_is_sent_again_is_not_said_again(tmp_path):
    with closing(bridge_of(tmp_path, "named")) as bridge:
        for _ in range(2):
            bridge.send([Delivery("r1", request("r1", answers_wanted=2), may_be_there=True)])
        first = bridge.receive("")
        assert len(first.replies) == 1
        assert bridge.receive(first.mark).replies == ()


@pytest.mark.parametrize(
    "wanted_n, who", [(1, []), (2, ["lf:greedy"]), (3, ["lf:greedy", "lf:mine"])]
)
def test_a_person_has_to_be_heard_unless_functions_may_decide_alone(tmp_path, wanted_n, who):
    names = ["shouts", "greedy", "named", "nameless"]
    found, faults = said(tmp_path, names, {"text": "hi"}, wanted_n=wanted_n)
    assert [name for name, _ in found] == who
    assert ["label.answers_wanted to 2" in fault for fault in faults] == [True] * (wanted_n == 1)
    (tmp_path / "b").mkdir()
    found, faults = said(tmp_path / "b", names, {"text": "hi"}, wanted_n=wanted_n, alone=True)
    assert (len(found), faults) == (3, [])


def test_withdrawals_are_nothing_to_functions(tmp_path):
    with closing(bridge_of(tmp_path, "named")) as bridge:
        bridge.send([Delivery("r1", None, "expired")])
        assert bridge.receive("").replies == ()


def test_every_request_is_answered_once_whenever_the_process_is_killed(tmp_path):
    asked = [request(f"r{i}", {"text": "hello world!"}, answers_wanted=3) for i in range(5)]
    for crash_at in count():
        folder = tmp_path / f"{crash_at}"
        end = MemoryEnd()
        end.requests += [*asked, asked[0]]
        left = [crash_at]

        def before(act, left=left):
            left[0] -= 1
            if left[0] == -1:
                raise Crash

        while True:
            try:
                with (
                    closing(bridge_of(folder, "long", "named")) as bridge,
                    closing(BridgeOutbox(folder / "outbox.sqlite", outlives_power=False)) as outbox,
                ):
                    carrier = BridgeCarrier(bridge, end, outbox, clock=lambda: 50.0, on_act=before)
                    while carrier.step():
                        pass
                break
            except Crash:
                continue
        found = {(one.request_id, one.annotator, one.label) for one in end.answers}
        wanted = {(f"r{i}", f"lf:{name}", "spam") for i in range(5) for name in ("long", "mine")}
        assert found == wanted, crash_at
        if left[0] >= 0:
            break
        assert len(end.answers) in (10, 20)  # twice where the log was written before the crash


def test_a_consensus_learns_that_a_rule_is_no_better_than_a_coin():
    consensus = DawidSkene(classes=["fine", "fraud"])
    for i in range(300):
        truth, other = ("fine", "fraud") if i % 2 else ("fraud", "fine")
        voices = {"ann": truth, "lf:good": other if i % 8 == 0 else truth}
        voices["lf:coin"] = truth if i // 2 % 2 else other
        answers = [
            Answer(request_id=f"r{i}", label=label, at=0.0, annotator=name)
            for name, label in voices.items()
        ]
        consensus.ended(f"r{i}", answers)
    belief = consensus.reliability.posterior_of
    assert belief([("lf:coin", "fraud")])["fraud"] < 0.6 < belief([("lf:good", "fraud")])["fraud"]


@pytest.mark.parametrize(
    "settings, fault",
    [
        ({"functions": []}, "functions.functions is empty"),
        ({"functions": ["bridges.rules"]}, "must be module:function"),
        ({"functions": ["bridges.rules:shout"]}, "did you mean shouts?"),
        ({"functions": ["bridges.rules:constant"]}, "no such function"),
        ({"functions": ["bridges.rule:shouts"]}, "no module bridges.rule"),
        ({"functions": ["bridges.rules:named", "bridges.rules:again"]}, "two of the name mine"),
        ({"classes": ["a", "a"], "functions": ["bridges.rules:named"]}, "names a class twice"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(tmp_path, settings, fault):
    with pytest.raises(BadSettings, match=fault.replace("?", r"\?")):
        bridge_of(tmp_path, **settings)
