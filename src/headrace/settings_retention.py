"""The section [retention]: who an event is about."""

from __future__ import annotations

from typing import Annotated

from .settings_fields import Section, about


class RetentionSettings(Section, frozen=True, kw_only=True):
    """[retention]: who events are about. See [ERASURE.md](ERASURE.md)."""

    subject: Annotated[
        str,
        about(
            "What names the person that an event is about, for `headrace erase`: `key` (the path "
            "is `input.key`), `id`, or the name of a feature. It may change from one start to the "
            "next."
        ),
    ] = "key"
