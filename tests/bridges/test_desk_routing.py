"""Hard questions go to those who are right most often, by setting; a share stays as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridges.desk_world import World
from bridges.requests import request
from headrace import cli
from headrace.bridges.bridge import Delivery
from headrace.bridges.desk.bridge import DeskSettings
from headrace.bridges.desk.routing import (
    HERE_S,
    KNOWN_N,
    Comparisons,
    choose_suited,
    difficulty_of,
    is_as_they_come,
    rates_of,
    reliability_of,
)
from headrace.bridges.desk.store import DeskStore
from headrace.drivers.files.run_metrics import read_compared, write_report
from headrace.engine import Engine
from reports import replace_numbers

KNOWN = {"ann": Comparisons(100, 95), "bob": Comparisons(100, 75), "cyd": Comparisons(100, 55)}


def question(name: str, doubt: float, **changes: Any) -> Any:
    return request(name, prediction={"ham": 1.0 - doubt, "spam": doubt}, **changes)


class Rig:
    """A store whose time stands still unless told, and in which three people are here."""

    def __init__(self, path: Path, share: float) -> None:
        self.now = 10_000.0
        self.store = DeskStore(
            path, lease_s=60.0, expertise_share=share, outlives_power=False, clock=lambda: self.now
        )
        for name in KNOWN:
            self.ask(question(f"warm-{name}", 0.1))
            self.store.add_answer(name, f"warm-{name}", "ham")

    def ask(self, *questions: Any) -> None:
        self.store.take_deliveries([Delivery(one.request_id, one) for one in questions])

    def next(self, person: str) -> str | None:
        leased = self.store.lease_next(person, KNOWN)
        return None if leased is None else leased.request.request_id


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "desk.sqlite", 0.9)
    with closing(made.store):
        yield made


def by_expertise(rig: Rig, *people: str) -> None:
    """Let answers pass until chance gives none of these people the first question."""
    n = 0
    while any(is_as_they_come(one, turn_of(rig), 0.9) for one in people):
        rig.ask(question(f"turn-{n}", 0.1))
        rig.store.add_answer("ann", f"turn-{n}", "ham")
        n += 1


def turn_of(rig: Rig) -> int:
    return int(rig.store._db.execute("SELECT MAX(n) FROM answers").fetchone()[0])


def test_the_hardest_is_for_the_best_and_the_easiest_for_the_worst(rig):
    by_expertise(rig, *KNOWN)
    rig.ask(question("middle", 0.3), question("hard", 0.5), question("easy", 0.1))
    assert [rig.next(one) for one in ("bob", "ann", "cyd")] == ["middle", "hard", "easy"]


def test_the_setting_is_off_by_default_and_then_all_come_as_they_come(tmp_path):
    assert DeskSettings().expertise_share == 0.0
    rig = Rig(tmp_path / "desk.sqlite", 0.0)
    rig.ask(question("easy", 0.1), question("hard", 0.5))
    with closing(rig.store):
        assert rig.next("ann") == "easy"


def test_a_share_comes_as_it_comes(rig):
    chances = [is_as_they_come("ann", turn, 0.8) for turn in range(5_000)]
    assert 0.18 < sum(chances) / len(chances) < 0.22
    while not is_as_they_come("ann", turn_of(rig), 0.9):
        rig.ask(question(f"turn-{turn_of(rig)}", 0.1))
        rig.store.add_answer("bob", f"turn-{turn_of(rig)}", "ham")
    rig.ask(question("easy", 0.1, utility=0.9), question("hard", 0.5))
    assert rig.next("ann") == "easy"


def test_leases_and_passing_are_as_without(rig):
    by_expertise(rig, "ann", "bob")
    rig.ask(question("easy", 0.1), question("hard", 0.5))
    assert rig.next("ann") == rig.next("ann") == "hard"
    assert rig.next("bob") == "easy"
    rig.store.pass_on("ann", "hard")
    rig.now += 61.0
    assert rig.next("ann") == "easy"
    rig.store.add_answer("ann", "easy", "ham")
    assert rig.next("ann") == "hard", "what was passed comes last, and does come"


def test_everybody_is_given_something_and_every_question_is_given(rig):
    names = [f"q{i}" for i in range(40)]
    rig.ask(*(question(name, i / 80) for i, name in enumerate(names)))
    given = []
    while (found := rig.next("cyd")) is not None:
        given.append(found)
        rig.store.add_answer("cyd", found, "ham")
    assert sorted(given) == sorted(names)


def test_whoever_is_away_or_unknown_counts_for_nothing(rig):
    by_expertise(rig, "bob")
    rig.ask(question("easy", 0.1), question("hard", 0.5))
    known = KNOWN | {"dan": Comparisons(KNOWN_N - 1, 0)}
    assert choose_suited("dan", [question("r", 0.1)], [*KNOWN], known) is None
    rig.now += HERE_S + 1
    # Nobody has answered for an hour: there is nobody to compare bob with.
    assert rig.next("bob") == "easy"


def test_people_differing_or_no_guess_is_hardest():
    assert difficulty_of(question("r:w3", 0.1)) == 1.0
    assert difficulty_of(question("r:2", 0.1, opinion_n=2)) == 1.0
    assert difficulty_of(request("r", prediction={})) == 1.0
    assert difficulty_of(question("r", 0.25)) == 0.25
    alike = [question(name, 0.2) for name in ("a", "b", "c")]
    assert [choose_suited(name, alike, [*KNOWN], KNOWN) for name in KNOWN] == [0, 0, 0]


def test_a_question_goes_by_who_is_good_at_the_classes_that_are_likely():
    """Over all, dee and eli are alike; dee knows ham, eli spam."""
    known = {
        "dee": Comparisons(100, 75, {"ham": (50, 49), "spam": (50, 26)}),
        "eli": Comparisons(100, 75, {"ham": (50, 26), "spam": (50, 49)}),
    }
    easy_ham, hard_ham = question("a", 0.1), question("b", 0.4)
    easy_spam, hard_spam = question("c", 0.9), question("d", 0.6)
    hams, spams = [easy_ham, hard_ham], [easy_spam, hard_spam]
    assert difficulty_of(easy_spam) == difficulty_of(easy_ham)
    chosen = {
        (person, name): choose_suited(person, waiting, [*known], known)
        for person in known
        for name, waiting in (("ham", hams), ("spam", spams))
    }
    assert chosen == {
        ("dee", "ham"): 1,
        ("dee", "spam"): 0,
        ("eli", "ham"): 0,
        ("eli", "spam"): 1,
    }


def test_few_comparisons_at_a_class_leave_somebody_near_their_rate_over_all():
    few = rates_of(Comparisons(40, 30, {"ham": (1, 0)}))
    many = rates_of(Comparisons(400, 300, {"ham": (200, 0)}))
    overall = few.overall
    assert 0.0 < overall - reliability_of(few, {"ham": 1.0}) < 0.1
    assert reliability_of(many, {"ham": 1.0}) < 0.05
    assert reliability_of(few, {"never seen": 1.0}) == overall


def test_the_server_asks_the_run_how_good_people_are(tmp_path):
    async def story(world: World) -> None:
        world.run.people = {
            "annotator": Comparisons(100, 50),
            "operator": Comparisons(100, 99),
        }
        store = world.desk.store
        for name in ("annotator", "operator"):
            store.take_deliveries([Delivery(f"warm-{name}", question(f"warm-{name}", 0.1))])
            store.add_answer(name, f"warm-{name}", "ham")
        turn = 2
        while is_as_they_come("operator", turn, 0.9):
            turn += 1
            store.take_deliveries([Delivery(f"turn-{turn}", question(f"turn-{turn}", 0.1))])
            store.add_answer("operator", f"turn-{turn}", "ham")
        store.take_deliveries(
            [Delivery(n, question(n, d)) for n, d in (("easy", 0.1), ("hard", 0.5))]
        )
        _, found = await world.call("POST", "/v1/questions/next", {}, role="operator")
        assert found["request_id"] == "hard"

    World(tmp_path, expertise_share=0.9).play(story)


def test_a_run_tells_how_people_agreed(tmp_path):
    report = Engine(classes=["a", "b"]).report
    write_report(tmp_path, report)
    assert read_compared(tmp_path) == {}
    row = report.annotators.by_number[-1]
    known = {"a": (40, 38), "b": (18, 13)}
    people = [
        replace(
            row, name="ann", number=1, compared_n=50, agreed_n=45, gold_n=8, gold_right_n=6,
            by_class=known,
        ),
        replace(row, name="bob", number=2),
    ]  # fmt: skip
    write_report(tmp_path, replace_numbers(report, {"annotators.most_active": tuple(people)}))
    assert read_compared(tmp_path) == {"ann": Comparisons(58, 51, known)}


def test_beside_workers_on_kafka_the_setting_is_refused(tmp_path, capsys):
    settings = tmp_path / "headrace.toml"
    settings.write_text(
        '[kafka]\nservers = ["127.0.0.1:1"]\nevents = "events"\n'
        "[bridges.desk]\nexpertise_share = 0.5\n",
        encoding="utf-8",
    )
    assert cli.main(["desk", "--settings", str(settings)]) == 2
    assert "bridges.desk.expertise_share is set" in capsys.readouterr().err
