"""The section `[privacy]`: what a request for a label shows of its event.

This module has the settings and parses the rules; `privacy` applies them, and
`adapters.secret_files` reads the key.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from .fields import Section, about

RULES = ("keep", "mask", "hash", "round")
SHOWN_MAX = 100
"""The largest K of `mask:K`."""

_EXPECTED = "must be keep, mask, mask:4 (all but the last 4 characters), hash or round:10"


class PrivacySettings(Section, frozen=True, kw_only=True):
    """[privacy]: what a request shows of its event, wherever it goes. See [PRIVACY.md](PRIVACY.md).

    Read at each start; requests that were sent before stay as they were.
    """

    features: Annotated[
        dict[str, str] | None,
        about(
            "The features that requests show, and how: `keep`, `mask` (a fixed text instead), "
            "`mask:K` (all but the last K characters are masked), `hash` (HMAC-SHA-256 with the "
            "key in `key_file`), `round:STEP` (a number, to the nearest multiple of STEP). All "
            "other features are left out; an empty table shows none. Not set: requests show all "
            "features."
        ),
    ] = None
    key_file: Annotated[
        str,
        about(
            "File with the key that `hash` needs, of at least 32 characters. A relative path "
            "starts from the folder of the settings file."
        ),
    ] = ""
    event_id: Annotated[
        Literal["shown", "hashed"], about("How requests and rejections show an event's id.")
    ] = "shown"
    key: Annotated[
        Literal["left out", "shown", "hashed"],
        about("How requests show an event's key (`input.key`), where `features` is set."),
    ] = "left out"

    @property
    def needs_key(self) -> bool:
        """Whether a feature, an id or a key is hashed."""
        return "hashed" in (self.event_id, self.key) or "hash" in (self.features or {}).values()


@dataclass(frozen=True, slots=True)
class PrivacyRule:
    """How one feature is shown: `mask` leaves the `last_n` last characters, `round` uses `step`."""

    kind: str
    last_n: int = 0
    step: Decimal = Decimal(1)


def rule_of(text: str) -> PrivacyRule | None:
    """Parse a rule of the settings; None for a text that is no rule.

    >>> rule_of("mask:4"), rule_of("mask:all")
    (PrivacyRule(kind='mask', last_n=4, step=Decimal('1')), None)
    """
    kind, colon, argument = text.partition(":")
    if kind == "mask" and (
        not colon or (argument.isascii() and argument.isdigit() and len(argument) < 4)
    ):
        last_n = int(argument or 0)
        return PrivacyRule("mask", last_n) if last_n <= SHOWN_MAX else None
    if kind == "round" and colon:
        try:
            step = Decimal(argument)
        except InvalidOperation:
            return None
        is_step = step.is_finite() and Decimal("1e-9") <= step <= Decimal("1e15")
        return PrivacyRule("round", step=step) if is_step else None
    return PrivacyRule(kind) if kind in ("keep", "hash") and not colon else None


def faults_of_privacy(privacy: PrivacySettings, declared: Mapping[str, str]) -> list[str]:
    """List contradictions between these settings; `declared`: the features of `[schema]`.

    >>> faults_of_privacy(PrivacySettings(features={"emial": "keep"}), {"email": "text"})
    ['privacy.features names emial, which schema.features does not; did you mean email?']
    """
    faults = []
    for name, text in (privacy.features or {}).items():
        if rule_of(text) is None:
            near = difflib.get_close_matches(text.partition(":")[0], RULES, n=1)
            hint = f"; did you mean {near[0]}?" if near and near[0] != text else ""
            faults.append(f"privacy.features.{name} is {text!r}; {_EXPECTED}{hint}")
        if declared and name not in declared:
            faults.append(
                f"privacy.features names {name}, which schema.features does not; "
                f"{meant(name, list(declared))}"
            )
    if privacy.needs_key and not privacy.key_file:
        faults.append(
            "privacy hashes, and privacy.key_file names no key; name a file that holds one, such "
            "as `openssl rand -hex 32` writes"
        )
    others = PrivacySettings(key_file=privacy.key_file)
    if privacy.features is None and privacy != others:
        faults.append(
            "privacy.event_id and privacy.key hold where privacy.features is set; set it to the "
            "features that requests may show"
        )
    return faults


def meant(name: str, known: list[str]) -> str:
    """The hint for an unknown name: the known one that is nearest, or a list of those known."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    more = f" and {len(known) - 5} more" if len(known) > 5 else ""
    return f"known are {', '.join(known[:5])}{more}"
