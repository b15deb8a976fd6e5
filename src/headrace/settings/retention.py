"""The section [retention]: who an event is about, and how long anything is kept."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

from .fields import Section, about
from .label import LabelSettings

DAY_S = 86_400.0

Days: TypeAlias = Annotated[int, Meta(ge=1, le=36_500)]


class RetentionSettings(Section, frozen=True, kw_only=True):
    """[retention]: who events are about, and how long they are kept. See [ERASURE.md](ERASURE.md).

    All of these settings may change from one start to the next.
    """

    subject: Annotated[
        str,
        about(
            "What identifies the person that an event is about, for `headrace erase`: `key` (its "
            "path is `input.key`), `id`, or the name of a feature."
        ),
    ] = "key"
    days: Annotated[
        Days | None,
        about(
            "Days after which an event is forgotten, with all that was asked, answered and decided "
            "about it: in memory, in the files of the run and in the memories of its bridges and "
            "desks, by the clock of the stream. On Kafka: in memory, in snapshots and in the "
            "memories of bridges, by the clock of the desks' log. None: only numbers limit what is "
            "kept."
        ),
    ] = None
    examples_days: Annotated[
        Days | None,
        about(
            "The same for labelled examples in memory, from which models are made anew, and for "
            "the evidence of a committee. None: as `days`."
        ),
    ] = None
    unlearns: Annotated[
        bool,
        about(
            "Whenever examples are forgotten by their age, make the models anew from those that "
            "are left. If false, a river model keeps in its sums what it has learned."
        ),
    ] = False

    @property
    def kept_examples_days(self) -> int | None:
        """The days that examples are kept; None: they are bounded by number alone."""
        return self.days if self.examples_days is None else self.examples_days


def faults_of_retention(
    retention: RetentionSettings, label: LabelSettings, window_s: float | None, model: str
) -> list[str]:
    """List contradictions between how long things are kept and how long they are needed."""
    faults, days = [], retention.days
    if days is not None and days * DAY_S <= label.deadline_s:
        faults.append(
            f"retention.days is {days}, and label.deadline_s {label.deadline_s:g}, which is "
            f"{label.deadline_s / DAY_S:g} days: requests would be withdrawn before they end; "
            "lower label.deadline_s"
        )
    if days is not None and window_s is not None and window_s > days * DAY_S:
        faults.append(
            f"observe.window_s is {window_s:g}, and retention.days {days} ({days * DAY_S:g} s): "
            "no event would stay so long; lower observe.window_s"
        )
    if retention.unlearns and retention.kept_examples_days is None:
        faults.append(
            "retention.unlearns is true, and no example is forgotten by its age; set "
            "retention.days or retention.examples_days"
        )
    is_keeper = model == "knn" or ":" in model
    if is_keeper and retention.kept_examples_days is not None and not retention.unlearns:
        faults.append(
            f"model.name is {model}: knn, and perhaps a model of yours, keeps the examples "
            "themselves, longer than [retention] says; set retention.unlearns to true"
        )
    return faults
