"""Models that were displaced: tried again where their inputs return, or back when missed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from river import naive_bayes

from headrace import LabelSettled, ModelAdopted, ModelRolledBack, RetrainFinished
from headrace.chance import Chance
from headrace.errors import BrokenInvariant
from headrace.learn.committee.committee import Committee
from headrace.learn.learner import Learner
from headrace.learn.memory import Example
from headrace.learn.parked import ALIKE_MAX, NOISE, Trial, describe_examples, distance_of
from headrace.learn.retrain import RetrainJob, retrain
from headrace.learn.trainer import Entry, Trainer
from headrace.learn.training_log import TrainingLog
from headrace.messages import Context
from headrace.observe.schema import Schema
from headrace.settings import LearnSettings, SchemaSettings
from headrace.state import frozen

LEARN: dict[str, Any] = {
    "retrain_labels_min": 12,
    "adopt_margin": 0.0,
    "adopt_labels_n": 20,
    "memory_n": 60,
}


def trainer_of(model: Any = None, **learn: Any) -> Trainer:
    schema = Schema(SchemaSettings(classes=["a", "b"], features={"x": "numeric"}))
    learner = Learner(model or naive_bayes.GaussianNB(), schema)
    return Trainer(learner, schema, LearnSettings(**{**LEARN, **learn}), Chance(1))


def settled(i: int, concept: int, shift: float = 0.0) -> LabelSettled:
    """Class "a" is low and "b" high in concept 0, the other way round in concept 1."""
    return LabelSettled(
        request_id=f"r{i}",
        event_id=f"e{i}",
        at=float(i),
        event_at=float(i),
        label="ab"[(i + concept) % 2],
        features={"x": shift + 4.0 * (i % 2) + 0.01 * (i % 7)},
        prediction={},
        reason="control",
        seq=i,
        answers_n=1,
        agreement=1.0,
        context=Context(opinions={"a": (0.5,) * 4, "b": (0.5,) * 4}, events_n=1, moments={}),
    )


class Life:
    """A trainer as an engine drives it: what is due is folded, jobs are run at once."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.log: list[Entry] = []
        self.i = 0

    def fold(self, entry: Entry, challenger: Any = None) -> None:
        self.log.append(entry)
        self.trainer.fold(entry, challenger)

    def live(self, n: int, concept: int, shift: float = 0.0) -> None:
        for _ in range(n):
            self.fold(settled(self.i, concept, shift))
            self.i += 1
            for entry in self.trainer.order_due(float(self.i)):
                self.fold(entry)

    def retrain(self, reason: str) -> Any:
        for entry in self.trainer.order_retraining(reason, float(self.i)):
            self.fold(entry)
        job = self.trainer.retrainings.open_job
        assert job is not None
        challenger = retrain(job)
        verdict = self.trainer.judge(
            RetrainFinished(job_id=job.job_id, at=float(self.i), challenger=challenger)
        )
        assert verdict is not None
        self.fold(verdict, challenger)
        return verdict

    def adopt(self) -> None:
        """Retrain, and adopt whatever comes of it."""
        for entry in self.trainer.order_retraining("labels", float(self.i)):
            self.fold(entry)
        job = self.trainer.retrainings.open_job
        assert job is not None
        self.fold(
            ModelAdopted(
                job_id=job.job_id,
                at=float(self.i),
                model_version=self.trainer.version + 1,
                champion_right=0.0,
                challenger_right=1.0,
                labels_n=20,
            )
        )


# ------------------------------------------------------------------------------- roll back


def test_a_challenger_that_proves_worse_is_rolled_back_once() -> None:
    life = Life(trainer_of())
    life.live(200, 0)
    before = life.trainer.champion.learner
    life.live(60, 1)  # a champion of 200 labels of concept 0, a memory of 60 of concept 1
    life.adopt()
    assert (life.trainer.retrainings.adopted_n, len(life.trainer.displaced.parked)) == (1, 1)
    assert life.trainer.champion.learner is not before
    life.live(40, 0)
    told = [entry for entry in life.log if isinstance(entry, ModelRolledBack)]
    assert len(told) == life.trainer.retrainings.rolled_back_n == 1
    # The predecessor is right on every label since, the challenger on none, until it is noticed.
    assert (told[0].champion_right, told[0].challenger_right) == (1.0, 0.0)
    assert told[0].labels_n == math.ceil(NOISE**2)
    assert told[0].job_id == 0
    assert life.trainer.displaced.parked == []
    assert life.trainer.champion.learner.is_right(np.array([0.0]), 0)


def test_a_challenger_that_is_as_good_stays_and_its_trial_ends() -> None:
    life = Life(trainer_of(trial_labels_n=20))
    life.live(100, 0)
    life.adopt()
    assert life.trainer.displaced.is_on_trial(0)
    life.live(21, 0)
    assert not life.trainer.displaced.is_on_trial(0)
    life.live(60, 1)
    assert life.trainer.retrainings.rolled_back_n == 0


@pytest.mark.parametrize(
    ("lost_n", "won_n", "is_worse"),
    [(0, 0, False), (7, 0, False), (8, 0, True), (12, 2, False), (13, 2, True), (0, 20, False)],
)
def test_worse_is_beyond_noise(lost_n: int, won_n: int, is_worse: bool) -> None:
    part = Learner(naive_bayes.GaussianNB(), Schema(SchemaSettings(classes=["a", "b"])))
    trial = Trial(0, 1, part, trainer_of().champion.calibration)
    trial.predecessor_right_n, trial.champion_right_n = lost_n, won_n
    trial.differing_n = lost_n + won_n
    assert trial.is_worse is is_worse


def test_adoptions_that_change_nothing_are_seldom_rolled_back() -> None:
    rolled_back_n = 0
    for seed in range(2_000):
        luck, lead, differing_n = np.random.default_rng(seed), 0, 0
        # Half of 50 labels differ, by chance alone.
        for step in luck.choice([-1, 1], size=25):
            lead, differing_n = lead + int(step), differing_n + 1
            if lead > 0 and lead >= NOISE * math.sqrt(differing_n):
                rolled_back_n += 1
                break
    assert 0.005 < rolled_back_n / 2_000 < 0.03


def test_a_roll_back_of_what_is_not_on_trial_is_refused_and_does_not_count_in_the_log() -> None:
    life = Life(trainer_of())
    life.live(20, 0)
    entry = ModelRolledBack(
        job_id=3, at=1.0, model_version=1, champion_right=1.0, challenger_right=0.0, labels_n=7
    )
    assert not TrainingLog(life.trainer).counts(entry)
    with pytest.raises(BrokenInvariant, match="not on trial"):
        life.trainer.fold(entry)


# ---------------------------------------------------------------------------------- parked


def concepts_return(**learn: Any) -> Life:
    """Concept 0 at x near 0, concept 1 far off, and back: a retraining at each change."""
    life = Life(trainer_of(trial_labels_n=1, **learn))
    life.live(300, 0)
    life.retrain("drift")
    life.live(60, 1, shift=50.0)
    life.adopt()
    return life


def test_a_model_whose_inputs_return_is_tried_again_and_adopted() -> None:
    life = concepts_return()
    [parked] = life.trainer.displaced.parked
    life.live(100, 0)
    [order] = life.trainer.order_retraining("drift", float(life.i))
    life.fold(order)
    job = life.trainer.retrainings.open_job
    assert job is not None
    assert [p.number for p in job.parked] == [parked.number]
    challenger = retrain(job)
    assert {example_id for example_id, _ in challenger.right} <= {f"r{i}" for i in range(400, 460)}


def test_a_model_of_other_inputs_is_not_tried() -> None:
    life = concepts_return()
    life.live(100, 1, shift=50.0)
    [order] = life.trainer.order_retraining("drift", float(life.i))
    life.fold(order)
    assert life.trainer.retrainings.open_job is not None
    assert life.trainer.retrainings.open_job.parked == ()


def test_no_more_are_parked_than_the_setting_allows() -> None:
    life = Life(trainer_of(parked_max_n=2, trial_labels_n=1))
    life.live(40, 0)
    for _ in range(4):
        life.adopt()
        life.live(20, 0, shift=50.0 * life.trainer.retrainings.adopted_n)
    assert [parked.number for parked in life.trainer.displaced.parked] == [3, 4]


def test_a_parked_model_wins_by_what_neither_had_learned() -> None:
    schema = Schema(SchemaSettings(classes=["a", "b"], features={"x": "numeric"}))
    knowing = Learner(naive_bayes.GaussianNB(), schema)
    examples = []
    for i in range(40):
        row = schema.row({"x": 4.0 * (i % 2) + 0.01 * (i % 7)})
        knowing.learn(row, i % 2)
        examples.append(Example(f"e{i}", float(i), row, i % 2 if i >= 20 else (i + 1) % 2, i >= 25))
    trial = trainer_of().champion.calibration
    from headrace.learn.parked import Parked  # noqa: PLC0415 - beside its one use

    parked = Parked(7, 19.0, knowing, trial, {})
    job = RetrainJob(
        0,
        tuple(examples),
        (1.0,) * 40,
        3,
        Learner(naive_bayes.GaussianNB(), schema),
        1,
        20,
        parked=(parked,),
    )
    challenger = retrain(job)
    assert challenger.parked == 7
    assert challenger.right == tuple((f"e{i}", True) for i in range(25, 40))
    # What was parked is left as it was.
    assert knowing.learned_n == 40
    # A model that was parked later has too few labels to be judged by.
    later = RetrainJob(
        0,
        tuple(examples),
        (1.0,) * 40,
        3,
        Learner(naive_bayes.GaussianNB(), schema),
        1,
        20,
        parked=(Parked(7, 31.0, knowing, trial, {}),),
    )
    assert retrain(later).parked is None


def test_descriptions_tell_a_shift_from_chance() -> None:
    schema = Schema(SchemaSettings(features={"x": "numeric", "c": "categorical"}))
    luck = np.random.default_rng(3)

    def sample(mean: float, share: float) -> Any:
        rows = [
            schema.row({"x": float(luck.normal(mean)), "c": "u" if luck.random() < share else "v"})
            for _ in range(100)
        ]
        return describe_examples(
            [Example(str(i), 0.0, row, 0, True) for i, row in enumerate(rows)], schema
        )

    same = [distance_of(sample(0.0, 0.5), sample(0.0, 0.5)) for _ in range(50)]
    moved = [distance_of(sample(0.0, 0.5), sample(2.0, 0.9)) for _ in range(50)]
    assert max(same) < ALIKE_MAX < min(moved)
    assert distance_of({"x": (0.0, 1.0)}, {"y": (0.0, 1.0)}) == 1.0


# -------------------------------------------------------------------- half-lives, committees


def test_the_half_life_with_the_lower_loss_is_taken() -> None:
    rows = [np.array([4.0 * (i % 2) + 0.1 * (i % 7)]) for i in range(80)]
    turned = tuple(
        Example(f"e{i}", float(i), rows[i], (i + (i >= 40)) % 2, i >= 60) for i in range(80)
    )
    steady, short = (1.0,) * 80, tuple(0.5 ** ((79 - i) / 5.0) for i in range(80))
    schema = Schema(SchemaSettings(classes=["a", "b"], features={"x": "numeric"}))

    def right_n(weights: tuple[float, ...], *alternatives: tuple[float, ...]) -> int:
        blank = Learner(naive_bayes.GaussianNB(), schema)
        job = RetrainJob(0, turned, weights, 1, blank, 1, 20, alternatives=alternatives)
        return sum(is_right for _, is_right in retrain(job).right)

    assert right_n(steady) < 20 == right_n(short)
    assert right_n(steady, short) == right_n(short, steady) == 20


@pytest.mark.long
def test_river_members_of_a_committee_are_retrained_if_the_setting_says_so() -> None:
    plain, renewing = (
        Life(trainer_of(Committee(), retrain_members=wanted)) for wanted in (False, True)
    )
    for life in (plain, renewing):
        life.live(30, 0)
    assert plain.trainer.order_retraining("drift", 30.0) == []
    committee = renewing.trainer.champion.learner.model
    before, others = committee.river_members(), committee.evidence_n
    renewing.adopt()
    assert renewing.trainer.champion.learner.model is committee
    assert all(a is not b for a, b in zip(before, committee.river_members(), strict=True))
    assert committee.evidence_n == others == 30
    # Two concepts on: the predecessor and the successor both go on, and the trainer repeats.
    renewing.live(15, 1)
    again = trainer_of(Committee(), retrain_members=True)
    for entry in renewing.log:
        again.fold(entry)
    rows = np.array([[0.0], [2.0], [4.0]])
    mine, theirs = (t.probabilities(rows) for t in (again, renewing.trainer))
    assert mine.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("is_committee", [False, True])
def test_parked_models_and_trials_outlive_a_snapshot(is_committee: bool) -> None:
    def life_of() -> Life:
        return Life(trainer_of(Committee() if is_committee else None, retrain_members=True))

    whole = life_of()
    whole.live(30, 0)
    whole.adopt()
    blob = frozen.freeze((whole.trainer, whole.trainer.schema), kind="engine")
    back, _ = frozen.thaw(blob, kind="engine")
    entries = [settled(1_000 + i, 1) for i in range(12)]
    for trainer in (whole.trainer, back):
        for entry in entries:
            trainer.fold(entry)
    rows = np.array([[0.0], [2.0], [4.0]])
    assert whole.trainer.probabilities(rows).tobytes() == back.probabilities(rows).tobytes()
    assert back.order_due(0.0) == whole.trainer.order_due(0.0)
    assert len(back.displaced.parked) == 1
    assert back.displaced.is_on_trial(0)


def test_the_report_tells_how_old_the_evidence_is() -> None:
    trainer = trainer_of(Committee())
    for i in range(20):
        trainer.fold(settled(i, 0))
    told = trainer.champion.learner.describe_evidence()
    assert told["evidence_n"] == 20
    assert told["evidence_age_s"] == pytest.approx(9.5)
    # 1,000 label gaps at the start; few labels move it little.
    assert told["evidence_memory_s"] == pytest.approx(1_000.0, rel=0.3)
    assert set(trainer_of().champion.learner.describe_evidence().values()) == {None}
