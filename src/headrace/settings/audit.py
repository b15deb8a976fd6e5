"""The section `[audit]`: the log of who asked, who answered and who changed the model."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .fields import Section, about


class AuditSettings(Section, frozen=True, kw_only=True):
    """[audit]: the hash-chained log of who asked, who answered and who changed the model.

    Read at each start. See [AUDIT.md](AUDIT.md).
    """

    is_kept: Annotated[
        bool,
        about(
            "Keep the log. A run writes it to `audit/` in its folder, and adds what was decided "
            "before; beside workers on Kafka, `headrace audit follow` writes it."
        ),
    ] = False
    file_bytes_max: Annotated[
        Annotated[int, Meta(ge=4_096, le=1 << 40)],
        about("Bytes after which the log continues in another file."),
    ] = 67_108_864
    files_max: Annotated[
        Annotated[int, Meta(ge=2, le=100_000)],
        about("The most files of the log; then the oldest is removed, and the log says so."),
    ] = 1_000
