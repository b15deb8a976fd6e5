"""The engine: one shard, one desk, one trainer in one process, joined by messages alone.

The engine does no I/O: it takes inputs and returns outputs, and a driver acts on the outputs.
It reads no clock: `now` follows the times of events (docs/TIME.md) and ticks. Answers don't
move it, so that a wrong clock on a labelling tool can't expire requests.

    events ──▶ Shard ──▶ label requests ──▶ Desk ──▶ every end of a request ──▶ Trainer
                 ▲                                             │                   │
                 └──────────── refunds, labels, the model ◀────┴───────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from .chance import Chance
from .errors import BadInput, BadSettings, BrokenInvariant
from .label.desk import Desk
from .learn.retrain import RetrainJob
from .learn.scoring_model import ScoringModel
from .learn.trainer import Trainer
from .messages import (
    Answer,
    DriftChanged,
    ErasureOrdered,
    Event,
    EventBatch,
    Input,
    LabelDisputed,
    LabelRequested,
    LabelSettled,
    ModelAdopted,
    ModelKept,
    ModelRolledBack,
    Output,
    Reason,
    RequestExpired,
    RequestRescored,
    RequestWithdrawn,
    RetrainFinished,
    RetrainRequested,
    RollBackOrdered,
    RoundOrdered,
    Tick,
    Withdrawal,
)
from .observe.declared import Declared
from .observe.drift import Detector, DriftLevel
from .observe.given import RefusedEvent, accept_answer
from .observe.schema import Schema
from .privacy import Privacy
from .privacy.erasing import erase_subject
from .query.budgets import Account, Budget
from .query.orders import fault_of_subject, refuse_order
from .query.record import Differences
from .query.ruled import own_rule
from .query.schedule import Workflow
from .query.strategies import Strategy
from .query.strategies.state import keeps_state
from .report import Report
from .report.building import build_report, check_model_starts
from .settings import Settings
from .shard.feeding import check_inputs, feed_batch, join_events, never, pass_time
from .shard.recalling import settle_record
from .shard.shard import Shard
from .state import frozen
from .state.restoring import list_differences
from .wiring import complete_settings, make_budget, make_desk, make_schema, make_shard, make_trainer

_ENDS = (LabelSettled, LabelDisputed, RequestExpired, RequestWithdrawn)


class Engine:
    """Takes events and answers; returns label requests and how each request ended.

    Args:
        model: A classifier of river or scikit-learn; without one, `settings.model` names it. The
            engine works on a copy: your object learns nothing, and other engines may use it too.
        strategy: A name or a callable; overrides the settings, as do `budget` and `seed`.
        budget: An account such as `budgets.Share(0.05)`, a list of several, or a `Budget`.
        detectors: Your own drift detectors, by the signal each watches, such as
            `{"error": drift.ADWIN()}`; they run beside the watches of the settings.
        workflow: Decides when rounds open (`query.schedule`), instead of `settings.query.workflow`.
        privacy: What requests and rejections show (`privacy.Privacy`), instead of
            `settings.privacy`.
        seed: The seed of every random choice.
        classes: The names of the declared classes.
        settings: Made in Python, or by `load` or `parse`; checked in either case.

    Raises:
        BadSettings: The settings, or a model, strategy, budget or detector can't be used; or
            `settings.privacy` hashes and `privacy` is None, as settings don't hold the key.

    >>> from river import linear_model, preprocessing
    >>> from headrace.query.budgets import Share
    >>> model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    >>> engine = Engine(model, strategy="margin", budget=Share(0.5), seed=7)
    >>> events = [Event(id=str(i), at=float(i), features={"x": i % 3}) for i in range(50)]
    >>> requests = [o for o in engine.feed(events) if isinstance(o, LabelRequested)]
    >>> answer = Answer(request_id=requests[0].request_id, label="spam", at=51.0)
    >>> [type(o).__name__ for o in engine.feed([answer])]
    ['LabelSettled']
    """

    def __init__(
        self,
        model: Any = None,
        *,
        strategy: str | Strategy | None = None,
        budget: Account | Sequence[Account] | Budget | None = None,
        detectors: Mapping[str, Detector] | None = None,
        workflow: Workflow | None = None,
        privacy: Privacy | None = None,
        seed: int | None = None,
        classes: Sequence[str] | None = None,
        settings: Settings | None = None,
    ) -> None:
        settings = complete_settings(settings, seed, classes)
        if not isinstance(privacy, Privacy | None):
            raise BadSettings(f"privacy is {privacy!r}; pass a Privacy(settings, key)")
        if not isinstance(detectors, Mapping | None):
            raise BadSettings(f"detectors is {detectors!r}; must be a dict, by the signal of each")
        self.settings = settings
        self.chance = Chance(settings.seed)
        self.schema = make_schema(settings)
        self.trainer = make_trainer(settings, self.schema, self.chance, model)
        self.shard = make_shard(
            settings,
            self.schema,
            self.chance,
            self.trainer,
            strategy=strategy,
            budget=make_budget(budget, settings),
            workflow=workflow,
            detectors=detectors,
        )
        asking = self.shard.asking
        if workflow is not None and asking.arrivals is not None:
            raise BadSettings(
                "a workflow was passed and events are asked on arrival, where there are no "
                "batches; set query.ask to rounds"
            )
        self.desk = make_desk(settings)
        self._declared = Declared(settings.columns)
        rule = own_rule(settings.query.arrival)
        own = (
            self.trainer.champion.learner.model,
            asking.budget,
            asking.schedule.workflow,
            self.shard.drift.own,
            rule,
            asking.strategy if keeps_state(asking.strategy) else None,
        )
        self.privacy = Privacy(settings.privacy) if privacy is None else privacy
        self._own_types = frozen.allowed_by(own)
        self._report: Report | None = None

    # ----------------------------------------------------------------------------- feeding

    def feed(self, inputs: Sequence[Input]) -> list[Output]:
        """Process inputs in order. `feed(a + b)` returns `feed(a) + feed(b)`, bit for bit.

        Args:
            inputs: Events, batches of events, answers, ticks, withdrawals, orders, finished jobs.

        Returns:
            All outputs, in order (requests, their ends, drift, rounds, models, rejected inputs).

        Raises:
            BadSettings: An item is no input, or a tick or an order has no time; raised before
                anything is processed. A bad event or answer becomes an `InputRejected` instead.

        >>> [rejected] = Engine().feed([Event(id="e-1", at=float("nan"), features={})])
        >>> str(rejected.reason)
        'bad_time'
        """
        return [output for outputs in self.flow(inputs) for output in outputs]

    def flow(
        self, inputs: Sequence[Input], wake_at: Callable[[], float] = never
    ) -> Iterator[list[Output]]:
        """Do as `feed` does, but yield the outputs piece by piece; pieces without any are skipped.

        Between two pieces the caller may feed other inputs.

        Args:
            inputs: As for `feed`.
            wake_at: Before the first event at or after `wake_at()`, seconds, an empty list is
                yielded, so that a simulation can answer in time; then it must return a later time.

        Yields:
            The outputs of a piece, in order.

        Raises:
            BadSettings: As for `feed`, when the first piece is asked for.
        """
        for message in join_events(check_inputs(inputs), self.settings.input, self._declared):
            if isinstance(message, EventBatch):
                for piece in self._feed_events(message, wake_at):
                    yield self.privacy.all_shown(piece)
            else:
                outputs = self._feed_message(message)
                self._report = None
                if outputs:
                    yield self.privacy.all_shown(outputs)
        self._report = None

    def _feed_events(
        self, batch: EventBatch, wake_at: Callable[[], float]
    ) -> Iterator[list[Output]]:
        pieces = feed_batch(
            self.shard,
            batch,
            self._route_outputs,
            self._advance_clock,
            next_deadline=self.next_deadline,
            wake_at=wake_at,
        )
        for outputs in pieces:
            if outputs is None:
                yield []
                continue
            self._report = None
            if outputs:
                yield outputs

    def settle_record(self) -> tuple[list[Output], Differences]:
        """End the record of decisions that the engine follows after a restart.

        Returns:
            The outputs that still follow from the record, and by how much it differs from what was
            decided now.
        """
        outputs, differences = settle_record(self.shard)
        return self._route_outputs(outputs), differences

    def _feed_message(self, message: Input | RefusedEvent) -> list[Output]:
        match message:
            case Answer():
                return self._route_outputs(
                    self.desk.take_answer(accept_answer(message), self._clock)
                )
            case Withdrawal():
                return self._route_outputs(self.desk.take_withdrawal(message, self._clock))
            case Tick():
                return self._feed_tick(message.at)
            case RoundOrdered() | RollBackOrdered() | ErasureOrdered():
                return self._feed_tick(message.at) + self._carry_out_order(message)
            case RetrainFinished():
                return self._end_retraining(message)
            case RefusedEvent():
                return [self.shard.admission.reject_refused(message, self._clock)]
            case Event() | EventBatch():
                raise BrokenInvariant("events are fed as batches alone")

    def _carry_out_order(
        self, order: RoundOrdered | RollBackOrdered | ErasureOrdered
    ) -> list[Output]:
        """Open a round, roll the model back to a version, or erase what the order names.

        The outputs of an erasure carry no event ids: they don't say whose events were erased.
        """
        if isinstance(order, RoundOrdered):
            return self._route_outputs(self.shard.open_ordered_round(order))
        if isinstance(order, RollBackOrdered):
            entries = self.trainer.versions.order_roll_back(
                order, self._clock, self.trainer.version + 1
            )
            return self._route_outputs(entries)
        if fault := fault_of_subject(order):
            return [refuse_order(order, Reason.BAD_ORDER, fault, self._clock)]
        if self.shard.is_ordered(f"erase {order.key}" if order.key else ""):
            return []
        withdrawn, questions, done = erase_subject(
            order, self._clock, self.shard, self.desk, self.trainer
        )
        outputs: list[Output] = [*questions]
        for end in withdrawn:
            anonymous = msgspec.structs.replace(end, event_id="")
            outputs += [anonymous if o is end else o for o in self._route_outputs([end])]
        return [*outputs, done]

    @property
    def _clock(self) -> float:
        """`now` as a finite time, seconds: 0 before the first event."""
        return self.now if np.isfinite(self.now) else 0.0

    def _feed_tick(self, at: float) -> list[Output]:
        return pass_time(self.now, at, self._advance_clock, self.next_deadline)

    def _advance_clock(self, now: float) -> list[Output]:
        """Move the clock of shard, desk and trainer to `now`; return the outputs due by then."""
        outputs = self._route_outputs(self.shard.advance_clock(now))
        outputs += self._route_outputs(self.desk.advance_clock(now))
        return outputs + self._route_outputs(self.trainer.order_due(now))

    def _end_retraining(self, finished: RetrainFinished) -> list[Output]:
        entry, caught = self.trainer.judge(finished), self.trainer.retrainings.caught
        if entry is None:
            return []
        self.trainer.fold(entry, finished.challenger)
        self.trainer.versions.end_retraining(entry, caught, self.trainer.as_version)
        if isinstance(entry, ModelAdopted):
            self.shard.restart_watches()
        return [entry]

    def _route_outputs(self, outputs: Sequence[Output]) -> list[Output]:
        """Pass each output to the parts it concerns; return it, followed by what they output."""
        routed: list[Output] = []
        if not outputs:
            return routed
        for output in outputs:
            routed.append(output)
            if isinstance(output, LabelRequested):
                if withdrawn := self.desk.open_request(output):
                    routed += self._route_outputs(withdrawn)
            elif isinstance(output, RequestRescored):
                routed += self._route_outputs(self.desk.rescore_request(output))
            elif isinstance(output, _ENDS):
                self.trainer.fold(output)
                if asked := self.shard.take_end(output):
                    routed += self._route_outputs(asked)
                if due := self.trainer.order_due(self.now):
                    routed += self._route_outputs(due)
            elif isinstance(output, DriftChanged):
                if output.level == DriftLevel.DRIFT.name:
                    routed += self._route_outputs(self.trainer.order_retraining("drift", output.at))
            elif isinstance(output, RetrainRequested | ModelKept | ModelRolledBack):
                self.trainer.fold(output)
                if isinstance(output, ModelRolledBack):
                    self.shard.restart_watches()
        return routed

    # ------------------------------------------------------------------------------- state

    @property
    def now(self) -> float:
        """The clock (docs/TIME.md), seconds; minus infinity before the first event."""
        return self.shard.now

    def next_deadline(self) -> float | None:
        """Say when something is due even without an event; send a `Tick` then.

        Returns:
            The time, seconds since the epoch; None if nothing is due.

        >>> Engine().next_deadline() is None
        True
        """
        deadline = self.desk.next_deadline()
        for other in (self.shard.next_deadline(), self.trainer.next_deadline()):
            if other is not None and (deadline is None or other < deadline):
                deadline = other
        return deadline

    def open_requests(self) -> list[LabelRequested]:
        """List the questions that still want an answer: what a program shows to annotators.

        That is each request and each question of `QuestionChanged` until its end, until as many
        annotators have answered as it wants, or until its deadline. The list is part of the state:
        after `restore` it is as it was.

        Returns:
            The questions as they are shown, by time of asking, with their present `priority`.

        >>> from headrace.query.budgets import Share
        >>> engine = Engine(budget=Share(0.5), seed=7)
        >>> outputs = engine.feed([Event(id=str(i), at=i, features={"x": i}) for i in range(50)])
        >>> asked = [output for output in outputs if isinstance(output, LabelRequested)]
        >>> engine.open_requests() == asked
        True
        >>> answer = Answer(request_id=asked[0].request_id, label="fine", at=51.0)
        >>> outputs = engine.feed([answer])
        >>> engine.open_requests() == asked[1:]
        True
        """
        shown = self.privacy.show_request
        return [shown(question) for question in self.desk.list_unanswered(self._clock)]

    @property
    def open_job(self) -> RetrainJob | None:
        """The retraining job that waits to be run outside `feed`, by `learn.retrain.retrain`."""
        return self.trainer.retrainings.open_job

    def job(self, job_id: int) -> RetrainJob:
        """Return a retraining job to be run outside `feed`, by `learn.retrain.finish_job`.

        Args:
            job_id: The number in `RetrainRequested`.

        Returns:
            The job.

        Raises:
            BadSettings: No job is open, or the open one has another number.

        >>> Engine().job(0)
        Traceback (most recent call last):
        headrace.errors.BadSettings: job 0 is not open
        """
        job = self.trainer.retrainings.job(job_id)
        if job is None:
            raise BadSettings(f"job {job_id} is not open")
        return job

    @property
    def report(self) -> Report:
        """Frozen numbers about the engine; built at the first access after a feed."""
        if self._report is None:
            self._report = build_report(self)
        return self._report

    def check_model(self) -> None:
        """Raise an error if the model has failed at everything since the start.

        `feed` never raises because a model failed, so every driver calls this between two feeds.

        Raises:
            BadSettings: The model has failed at every label, or at every event.

        >>> Engine().check_model()
        """
        check_model_starts(self.trainer, [self.shard])

    def predict(self, features: Mapping[str, Any]) -> dict[str, float]:
        """Predict the class of one event by the present model.

        Args:
            features: The features by name. A feature or a category that the stream has not shown
                yet counts as missing.

        Returns:
            Calibrated probabilities by class; {} while no class is known, or where the model fails.

        Raises:
            BadInput: No event could have such features.

        >>> engine = Engine(classes=["fine", "fraud"])
        >>> sum(engine.predict({"amount": 3.0}).values())
        1.0
        """
        trainer = self.trainer
        model = ScoringModel.of(
            self.settings, self.schema, trainer.champion.learner, trainer.champion.calibration
        )
        probabilities = model.predict_many([features])[0]
        if np.isnan(probabilities).any():
            return {}
        return dict(zip(self.schema.classes, probabilities.tolist(), strict=True))

    def snapshot(self) -> bytes:
        """Return all state needed to go on; call it between two feeds.

        Returns:
            The state, for `restore`.

        >>> engine = Engine(seed=7)
        >>> outputs = engine.feed([Event(id="e-1", at=60.0, features={"x": 1.0})])
        >>> other = Engine(seed=7)
        >>> other.restore(engine.snapshot())
        >>> other.report.events.observed_n
        1
        """
        return frozen.freeze((self.schema, self.shard, self.desk, self.trainer), kind="engine")

    def restore(self, blob: bytes) -> None:
        """Go on from a snapshot of an engine that was made as this one was.

        If it raises, the engine is as it was before.

        Args:
            blob: The state, as `snapshot` returned it.

        Raises:
            BadInput: The blob is damaged, of another version, or names a type which is neither
                Headrace's nor river's nor one of this engine's own model.
            BadSettings: It was made under other settings, or with another model, strategy, budget,
                workflow or other detectors.

        >>> blob = Engine(seed=7).snapshot()
        >>> Engine(seed=8).restore(blob)
        Traceback (most recent call last):
        headrace.errors.BadSettings: seed is 8, and the state was made with 7; set it back, or \
begin with a new engine
        """
        match frozen.thaw(blob, kind="engine", allowed=self._own_types):
            case (Schema() as schema, Shard() as shard, Desk() as desk, Trainer() as trainer):
                faults = list_differences((shard, trainer), (self.shard, self.trainer))
            case _:
                raise BadInput("the state is not that of an engine")
        if faults:
            raise BadSettings(faults)
        shard.asking.attach_strategy(self.shard.asking.strategy)
        self.schema, self.shard, self.desk, self.trainer = schema, shard, desk, trainer
        self._report = None
