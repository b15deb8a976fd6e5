"""The section `[sealing]`: whether stored requests and answers are sealed, and by which keys."""

from __future__ import annotations

from typing import Annotated

from .fields import Section, about


class SealingSettings(Section, frozen=True, kw_only=True):
    """[sealing]: encryption of the stored requests and answers. See [PRIVACY.md](PRIVACY.md)."""

    keys_file: Annotated[
        str,
        about(
            "File of keys, one a line, of 32 characters at least: the first seals, all open. "
            "Whether it is set holds for the life of a run; which keys are in it may change. A "
            "relative path goes from the folder of the settings' file. Empty: nothing is sealed."
        ),
    ] = ""
