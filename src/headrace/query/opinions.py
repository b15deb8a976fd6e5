"""Second opinions of one shard: which labels that look wrong are asked again, and of whom.

About a label that the model does not believe (`learn.noise`) another annotator is asked. Where both
disagree the label is dropped, and a third opinion is asked, which mostly settles it. These requests
are no draws: they repeat the event and the propensity of the first one, and judge nothing; a label
that is corrected only where the model contradicts it would make the model look better than it is.

With `label.unsure = "asked"` a label is also asked again whose answers leave it unsure: the
consensus gave it a probability below `sure`. A third opinion follows if it is still unsure after
the second.

Opinions are paid from the budget like any other request, and are at most a share of all labels
asked. Requests are kept while they wait for money or for their answer; both have limits.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from ..messages import LabelDisputed, LabelRequested, LabelSettled, RequestEnded
from ..messages.request_ids import opinion_id

REASON = "second opinion"
STRATEGY, UNSURE = "suspicion", "consensus"
"""Why a label was asked again: the model does not believe it, or the consensus is not sure."""


class Opinions:
    """Requests for an opinion, at most `share` of the labels asked; labels below `sure` need one.

    `asked_n` counts the requests asked or waiting, less those that ended without an answer;
    `held_n` the second opinions among them that may still lead to a third, for which the share
    keeps room.
    """

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 only labels that look wrong were asked again."""
        return fields | {"sure": 0.0}

    def __init__(self, share: float, sure: float = 0.0) -> None:
        self.share = share
        self.sure = sure
        self.asked_n = 0
        self.held_n = 0
        self.open: dict[str, LabelRequested] = {}

    def has_room(self, labels_n: int) -> bool:
        """Whether one more second opinion, and the third that may follow, stay within the share."""
        return self.asked_n + self.held_n + 2 <= self.share * labels_n

    def is_unsure(self, entry: LabelSettled) -> bool:
        """Whether the answers leave the label unsure."""
        return entry.agreement < self.sure

    def ask_second(self, entry: LabelSettled, model_version: int) -> LabelRequested:
        """Return the request for a second opinion; time and deadline are set when it is paid."""
        return self._open_request(
            LabelRequested(
                request_id=opinion_id(entry.request_id, 2),
                event_id=entry.event_id,
                at=entry.at,
                event_at=entry.event_at,
                deadline=entry.at,
                features=entry.features,
                reason=REASON,
                strategy=UNSURE if self.is_unsure(entry) else STRATEGY,
                utility=0.0,
                threshold=0.0,
                propensity=entry.propensity,
                model_version=model_version,
                prediction=entry.prediction,
                round_n=-1,
                seq=entry.seq,
                served=entry.served,
                served_model=entry.served_model,
                key=entry.key,
                opinion_n=2,
                not_by=entry.by,
            )
        )

    def ask_third(
        self, second: LabelRequested, entry: LabelSettled | LabelDisputed, model_version: int
    ) -> LabelRequested:
        """Return the request for a third opinion, where the second left the label open."""
        return self._open_request(
            msgspec.structs.replace(
                second,
                request_id=opinion_id(entry.request_id, 3),
                at=entry.at,
                model_version=model_version,
                opinion_n=3,
                not_by=entry.by,
            )
        )

    def _open_request(self, request: LabelRequested) -> LabelRequested:
        self.open[request.request_id] = request
        self.asked_n += 1
        self.held_n += request.opinion_n == 2
        return request

    def _close_request(self, request_id: str) -> LabelRequested | None:
        request = self.open.pop(request_id, None)
        self.held_n -= request is not None and request.opinion_n == 2
        return request

    def give_up(self, request: LabelRequested) -> None:
        """Give up a request that waits for money."""
        self._close_request(request.request_id)
        self.asked_n -= 1

    def close_answered(self, entry: LabelSettled | LabelDisputed) -> LabelRequested | None:
        """Close and return the opinion whose answer led to this outcome; None if it is not open."""
        return self._close_request(opinion_id(entry.request_id, entry.opinion_n))

    def close_unanswered(self, entry: RequestEnded) -> bool:
        """Close the opinion that ended without an answer; whether this entry is such an end."""
        if self._close_request(entry.request_id) is None:
            return False
        self.asked_n -= 1
        return True
