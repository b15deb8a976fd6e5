"""What a request shows of its event to annotators: all of it, or what `[privacy]` allows.

The engine and its logs need the true features, which the model learns with the label; so only
copies are changed, at the one place where each way out of the engine begins. The result is a pure
function of request, settings and key, so that a request sent again is the same, byte for byte.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Sequence
from decimal import Context as Arithmetic
from decimal import Decimal
from typing import Any

import msgspec

from ..errors import BadSettings
from ..messages import (
    Context,
    Features,
    InputRejected,
    LabelRequested,
    Output,
    QuestionChanged,
    Reason,
    RequestExpired,
    RequestWithdrawn,
    Value,
    class_name,
)
from ..settings.privacy import PrivacyRule, PrivacySettings, faults_of_privacy, meant, rule_of

MASK = "****"
KEY_BYTES_MIN = 32
HASH_BYTES = 16
REQUESTS_MIN = 20
"""After this many requests, a listed feature that none of them had is reported as missing."""

_PLAIN = frozenset(
    {
        Reason.OVERSIZE,
        Reason.NOT_UTF8,
        Reason.NOT_JSON,
        Reason.NO_ID,
        Reason.NO_TIME,
        Reason.FUTURE,
    }
)
"""Reasons whose detail never quotes an event; that of any other may."""

_OF_ANSWERS = frozenset(
    {
        Reason.UNKNOWN_REQUEST,
        Reason.LATE_ANSWER,
        Reason.TOO_MANY_CLASSES,
        Reason.TOO_MANY_ANSWERS,
        Reason.BAD_ANSWER,
        Reason.NOT_SEALED,
        Reason.BAD_ORDER,
        Reason.NO_ROUND,
    }
)
"""Reasons that are about what a person sent, and never about an event."""

_UNQUOTED = "what it says is not shown, since privacy.features is set; it is where its place says"


class Privacy:
    """Hides parts of requests and rejections, as the settings say, before they leave the engine.

    Args:
        settings: The section `[privacy]`; by default nothing is hidden.
        key: The secret key of the hashes, at least 32 bytes where something is hashed.

    Raises:
        BadSettings: A rule can't be read, or the key is too short.

    >>> rules = {"card": "mask:4", "age": "round:10"}
    >>> privacy = Privacy(PrivacySettings(features=rules))
    >>> privacy.show_features({"age": 37, "card": "4929 1234", "name": "Ada"})
    {'age': 40, 'card': '****1234'}
    """

    def __init__(self, settings: PrivacySettings | None = None, key: bytes = b"") -> None:
        self.settings = settings or PrivacySettings()
        faults = faults_of_privacy(self.settings, {})
        if self.settings.needs_key and len(key) < KEY_BYTES_MIN:
            faults.append(
                f"the key that privacy hashes with has {len(key)} bytes; must have at least "
                f"{KEY_BYTES_MIN}, such as `openssl rand -hex 32` gives: see privacy.key_file, or "
                "pass Privacy(settings.privacy, key)"
            )
        if faults:
            raise BadSettings(faults)
        self._key = key
        self._rules: dict[str, PrivacyRule] = {
            name: rule
            for name, text in (self.settings.features or {}).items()
            if (rule := rule_of(text)) is not None
        }
        self._requests_n = 0
        self._seen: set[str] = set()
        self._first: list[str] = []

    @property
    def is_active(self) -> bool:
        """Whether anything is hidden at all."""
        return self.settings.features is not None

    def all_shown(self, outputs: Sequence[Output]) -> list[Output]:
        """Hide parts of many outputs.

        Args:
            outputs: The outputs.

        Returns:
            The outputs as outsiders may see them, in the same order.
        """
        return [self.show_output(output) for output in outputs] if self.is_active else [*outputs]

    def show_output(self, output: Output) -> Output:
        """Hide parts of one output, and count it if it is a request.

        Args:
            output: The output.

        Returns:
            The output as annotators and readers of rejections may see it; other kinds are
            unchanged.
        """
        if not self.is_active:
            return output
        match output:
            case LabelRequested():
                self.count_request(output)
                return self.show_request(output)
            case QuestionChanged(record=record):
                shown: Any = self.show_output(record)
                return QuestionChanged(at=output.at, record=shown)
            case RequestWithdrawn() | RequestExpired():
                event_id = self.event_id(output.event_id)
                return msgspec.structs.replace(output, event_id=event_id)
            case InputRejected():
                return self._show_rejection(output)
        return output

    def event_id(self, event_id: str) -> str:
        """Hash an id, if the settings say so.

        Args:
            event_id: The id of an event.

        Returns:
            The id as it is shown.
        """
        is_hashed = self.is_active and self.settings.event_id == "hashed"
        return self._hash_text("", event_id) if is_hashed else event_id

    def show_features(self, features: Features) -> Features:
        """Hide features.

        Args:
            features: The features by name.

        Returns:
            Those that are shown, in the form they are shown, in the same order.
        """
        if not self.is_active:
            return features
        return {
            name: self._show_value(name, value, self._rules[name])
            for name, value in features.items()
            if name in self._rules
        }

    def describe_unseen(self, requests_min: int = REQUESTS_MIN) -> list[str]:
        """Describe features that the settings list and no request had so far.

        Args:
            requests_min: Before this number of requests none is described.

        Returns:
            A sentence for each.
        """
        if self._requests_n < requests_min:
            return []
        known = self._first
        return [
            f"privacy.features names {name}, which none of {self._requests_n} requests had; "
            f"{meant(name, known) if known else 'they had no features'}"
            for name in self._rules
            if name not in self._seen
        ]

    def show_request(self, request: LabelRequested) -> LabelRequested:
        """Hide parts of a request; unlike `show_output` it does not count it.

        Args:
            request: The request.

        Returns:
            The request as it is shown.
        """
        if not self.is_active:
            return request
        key = request.key
        if key is not None and self.settings.key != "shown":
            key = self._hash_text("key", key) if self.settings.key == "hashed" else None
        return msgspec.structs.replace(
            request,
            event_id=self.event_id(request.event_id),
            features=self.show_features(request.features),
            key=key,
            context=self._show_context(request.context),
        )

    def count_request(self, request: LabelRequested) -> None:
        """Count a request that is sent, and note which of its features are shown.

        Args:
            request: The request, as the engine made it: nothing is hidden yet.

        >>> privacy = Privacy(PrivacySettings(features={"age": "keep"}))
        >>> privacy.describe_unseen(requests_min=0)
        ['privacy.features names age, which none of 0 requests had; they had no features']
        """
        if self.is_active:
            self._requests_n += 1
            self._first = self._first or [*request.features]
            self._seen.update(self._rules.keys() & request.features.keys())

    def _show_rejection(self, rejected: InputRejected) -> InputRejected:
        if rejected.reason in _OF_ANSWERS:
            return rejected
        return msgspec.structs.replace(
            rejected,
            raw="",
            detail=rejected.detail if rejected.reason in _PLAIN else _UNQUOTED,
            input_id=self.event_id(rejected.input_id) if rejected.input_id else "",
        )

    def _show_context(self, context: Context | None) -> Context | None:
        """Keep only the moments of features that are shown unchanged."""
        if context is None:
            return None
        moments = {
            name: of_feature
            for name, of_feature in context.moments.items()
            if (rule := self._rules.get(name)) is not None and rule.kind == "keep"
        }
        return Context(events_n=context.events_n, moments=moments) if moments else None

    def _show_value(self, name: str, value: Value, rule: PrivacyRule) -> Value:
        if value is None or rule.kind == "keep":
            return value
        text = class_name(value)
        if rule.kind == "hash":
            return self._hash_text(f"feature {name}", text)
        if rule.kind == "round":
            return _round_value(value, rule.step)
        # The last characters of a short text would be most of it.
        has_end = 0 < 2 * rule.last_n <= len(text)
        return MASK + text[-rule.last_n :] if has_end else MASK

    def _hash_text(self, purpose: str, text: str) -> str:
        """Return the keyed hash of a text; the same text has another hash in another feature."""
        content = f"{len(purpose)}:{purpose}{text}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, content, "sha256")[:HASH_BYTES].hex()


_EXACTLY = Arithmetic(prec=60)


def _round_value(value: Value, step: Decimal) -> Value:
    """Return the nearest multiple of `step`; a value that is not a finite number is masked."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return MASK
    number = Decimal(value)
    if abs(number) > step * 10**15:
        return MASK
    times = _EXACTLY.to_integral_value(_EXACTLY.divide(number, step))
    nearest = _EXACTLY.multiply(times, step)
    return int(nearest) if nearest == nearest.to_integral_value() else float(nearest)


WHOLE = Privacy()
"""Hides nothing: for callers that hide elsewhere, or show outputs to nobody."""
