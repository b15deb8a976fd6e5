"""The model in use: what it has learned, what of it is made anew, how it changes places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from river import naive_bayes

from headrace.learn.calibration import Calibration
from headrace.learn.champion import Champion
from headrace.learn.committee.committee import Committee
from headrace.learn.learner import Learner
from headrace.learn.memory import Example
from headrace.learn.river_part import RiverPart
from headrace.observe.schema import Schema
from headrace.settings import LearnSettings, SchemaSettings


def champion_of(model: Any = None, **learn: Any) -> Champion:
    schema = Schema(SchemaSettings(classes=["a", "b"], features={"x": "numeric"}))
    learner = Learner(model or naive_bayes.GaussianNB(), schema)
    return Champion(learner, LearnSettings(**learn))


def taught(champion: Champion, *, swapped: bool = False) -> Champion:
    for i in range(20):
        row = np.array([i % 2 + 0.1 * (i % 3)])
        example = Example(f"r{i}", float(i), row, (i + swapped) % 2, is_control=True)
        champion.learn(example, at=100.0 + i)
    return champion


def says_b(champion: Champion) -> float:
    return float(champion.learner.probabilities(np.array([[1.0]]))[0, 1])


def test_what_is_learned_is_counted_with_the_time_of_the_label():
    champion = champion_of()
    assert (champion.has_learned, champion.learned_at) == (False, None)
    taught(champion)
    assert (champion.has_learned, champion.learned_n, champion.learned_at) == (True, 20, 119.0)


def test_what_can_not_be_learned_is_counted_apart():
    champion = champion_of()
    champion.learn(Example("r", 0.0, np.zeros(1), 7, is_control=False), at=5.0)
    champion.pass_over("no room")
    assert (champion.learned_n, champion.unlearnable_n, champion.learned_at) == (0, 2, None)
    assert champion.learner.unlearnable_n == 2


def test_an_adopted_learner_earns_a_calibration_and_the_counts_go_on():
    champion, other = taught(champion_of()), taught(champion_of(), swapped=True)
    before = champion.calibration
    champion.adopt(other.learner)
    assert says_b(champion) < 0.5
    assert champion.calibration is not before
    assert champion.learned_n == 20


def test_a_version_stays_as_it_was_and_can_be_gone_back_to():
    champion = taught(champion_of())
    version, said = champion.as_version(7), says_b(champion)
    assert (version.number, version.at, version.labels_n) == (7, 119.0, 20)
    for _ in range(5):
        taught(champion, swapped=True)
    assert says_b(champion) != said
    calibration = Calibration()
    champion.go_back(version.learner, calibration)
    assert says_b(champion) == said
    assert champion.calibration is calibration


@pytest.mark.parametrize(("renews", "can"), [(True, True), (False, False)])
def test_of_a_committee_the_river_members_are_made_anew_if_settings_say_so(renews: bool, can: bool):
    champion = champion_of(Committee(), retrain_members=renews)
    assert (champion.renews_members, champion.can_be_retrained) == (renews, can)
    assert isinstance(champion.part(), RiverPart)


def test_any_other_model_is_made_anew_as_a_whole():
    champion = champion_of(retrain_members=True)
    assert (champion.renews_members, champion.can_be_retrained) == (False, True)
    assert champion.part() is champion.learner


def test_a_part_that_trains_apart_has_a_schema_of_its_own():
    champion = taught(champion_of())
    schema = champion.learner.schema
    apart = champion.set_apart(champion.part().make_unlearned())
    assert apart.schema is not schema
    champion.adopt(apart)
    assert champion.learner.schema is schema


def test_a_displaced_part_returns_as_a_view_with_a_schema_of_its_own():
    champion = taught(champion_of())
    displaced = champion.part().copy()
    returned = champion.view_returning(displaced)
    assert isinstance(displaced, Learner) and isinstance(returned, Learner)
    assert returned is not displaced and returned.model is displaced.model
    assert displaced.schema is champion.learner.schema is not returned.schema
    committee = champion_of(Committee())
    taught(committee)
    part = committee.part().make_unlearned()
    returned = committee.view_returning(part)
    assert isinstance(returned, RiverPart) and isinstance(part, RiverPart)
    assert returned.members[0] is part.members[0]
    assert returned.schema is not committee.learner.schema


def test_a_displaced_learner_counts_its_failures_by_itself():
    champion, other = taught(champion_of()), taught(champion_of())
    displaced = champion.part()
    champion.pass_over("no room")
    champion.adopt(other.learner)
    assert isinstance(displaced, Learner)
    assert champion.learner.failures.first
    displaced.count_unlearnable("another")
    assert displaced.failures is not champion.learner.failures
    assert "no room" in champion.learner.failures.first["learn"]
