"""The section `[sealing]`: whether stored requests and answers are sealed, and by which keys."""

from __future__ import annotations

from typing import Annotated

from .fields import Section, about


class SealingSettings(Section, frozen=True, kw_only=True):
    """[sealing]: encryption of the stored requests and answers. See [PRIVACY.md](PRIVACY.md)."""

    keys_file: Annotated[
        str,
        about(
            "File of keys, one per line, each of at least 32 characters: the first one seals, and "
            "any of them opens. Whether this is set holds for the life of a run; the keys in the "
            "file may change. A relative path starts from the folder of the settings file. Empty: "
            "nothing is sealed."
        ),
    ] = ""
